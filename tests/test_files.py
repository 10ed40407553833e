"""Files are whole under their name or plainly partial."""

import errno
import json
from pathlib import Path

import pytest

from fastpose_mtn.errors import error_line
from fastpose_mtn.files import (
    JsonArray,
    PartialFile,
    PartialFolder,
    finish,
    name_of,
    naming,
    partial_path,
    whole_file,
    write_text,
)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_file_has_its_name_when_it_is_whole(tmp_path):
    path = tmp_path / "new" / "a.txt"
    with whole_file(path) as partial:
        partial.write_bytes(b"half")
        assert names(path.parent) == ["a.txt.partial"]
        partial.write_bytes(b"whole")
    assert names(path.parent) == ["a.txt"]
    assert path.read_bytes() == b"whole"


def test_a_report_may_name_a_file_whose_name_is_no_text(tmp_path):
    write_text(tmp_path / "report.html", "é caf\udce9.mp4")
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == "é caf\\udce9.mp4"


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("a.b.mp4", "a.b"),
        (".hidden.mp4", ".hidden"),
        ("clip", "clip"),
        ("..mp4", "..mp4"),
        ("...mp4", "...mp4"),
    ],
)
def test_results_are_not_called_as_the_folder_above(file, name):
    assert name_of(Path("/videos") / file) == name


def failing(path):
    with whole_file(path) as partial:
        partial.write_text("half")
        raise RuntimeError("broken")


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.txt"
    with pytest.raises(RuntimeError, match="broken"):
        failing(path)
    assert names(tmp_path) == []
    write_text(path, "earlier\n")
    with pytest.raises(RuntimeError, match="broken"):
        failing(path)
    assert path.read_bytes() == b"earlier\n"
    assert names(tmp_path) == ["a.txt"]


def test_a_block_that_writes_nothing_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), whole_file(tmp_path / "a.txt"):
        pass


def test_an_error_that_does_not_name_its_file_gets_the_name(tmp_path):
    def fill(partial):
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.txt"
    with pytest.raises(OSError, match="No space left") as told, whole_file(path) as partial:
        fill(partial)
    assert told.value.filename == f"{path}.partial"
    assert error_line(told.value) == (
        f"error: {path}.partial: No space left on device; make room, or write to another disk"
    )
    with pytest.raises(FileNotFoundError) as told, naming(path):
        (tmp_path / "b").read_bytes()
    assert told.value.filename == str(tmp_path / "b")


def test_text_grows_line_by_line_in_a_partial_file(tmp_path):
    file = PartialFile(tmp_path / "a.txt")
    file.write("one\n")
    assert partial_path(file.path).read_text() == "one\n"
    file.finish()
    assert (tmp_path / "a.txt").read_text() == "one\n"
    for keep, left in ((True, ["a.txt", "b.txt.partial"]), (False, ["a.txt"])):
        PartialFile(tmp_path / "b.txt").abandon(keep=keep)
        assert names(tmp_path) == left


def test_a_folder_has_its_name_when_all_is_in_it(tmp_path):
    path = tmp_path / "deep" / "walk"
    for number, kept in enumerate((["0"], ["1"])):  # the second run's in the place of the first one's
        folder = PartialFolder(path, replaces=True)
        (folder.partial_path / f"{number}").touch()
        assert path.exists() == bool(number)
        folder.close(complete=True)
        folder.close(complete=True)
        assert [file.name for file in path.iterdir()] == kept
    folder = PartialFolder(path, replaces=True)
    (folder.partial_path / "2").touch()
    folder.close(complete=False)
    assert [file.name for file in path.iterdir()] == ["1"]
    assert [f.name for f in PartialFolder(path, replaces=True).partial_path.iterdir()] == []


def test_a_folder_that_is_not_to_be_replaced_stays(tmp_path):
    """Somebody has written into it while this one was filled."""
    path = tmp_path / "walk"
    path.mkdir()
    folder = PartialFolder(path, replaces=False)
    (path / "theirs").touch()
    with pytest.raises(OSError, match="walk"):
        folder.close(complete=True)
    assert folder.partial_path.exists()
    (path / "theirs").unlink()
    folder.close(complete=True)
    assert path.exists()
    assert not folder.partial_path.exists()


def test_what_others_have_written_gets_its_name(tmp_path):
    partial_path(tmp_path / "a.bin").write_bytes(b"bytes")
    finish(tmp_path / "a.bin")
    assert names(tmp_path) == ["a.bin"]


@pytest.mark.parametrize("records", [[], [1], [{"a": [1, 2]}, "b"]])
def test_elements_of_an_array_stand_one_a_line(records):
    parts = []
    array = JsonArray(parts.append)
    for record in records:
        array.append(record)
    text = "[" + "".join(parts) + "]"
    assert json.loads(text) == records
    assert text.count("\n") == len(records)
