"""Files wherever fsspec reaches, tried on a disk and in memory."""

import pytest

pytest.importorskip("fsspec", reason="fsspec is not installed: pip install -e '.[corpus]'")

import fsspec

from fastpose_mtn.corpus.place import Place, stamp_of
from fastpose_mtn.errors import InputError


@pytest.fixture(params=["disk", "memory"])
def folder(request, tmp_path):
    if request.param == "disk":
        yield Place.of(str(tmp_path))
        return
    yield Place.of(f"memory://{tmp_path}")
    fsspec.filesystem("memory").rm("/", recursive=True)


def test_a_file_is_written_whole_moved_and_removed(folder):
    (folder / "a/b.json").write_whole(b"one")
    (folder / "a/b.json").write_whole(b"two")
    (folder / "a/b.json").move_to(folder / "c/d.json")
    assert [path.removeprefix(folder.path) for path in folder.fs.find(folder.path)] == ["/c/d.json"]
    assert folder.fs.cat_file((folder / "c/d.json").path) == b"two"
    (folder / "c").remove()
    (folder / "c").remove()
    assert folder.fs.find(folder.path) == []


def test_an_address_is_the_same_place_in_any_working_directory(folder, monkeypatch, tmp_path):
    file = folder / "a b.mp4"
    file.write_whole(b"content")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert Place.of(file.address) == file


def test_a_relative_path_becomes_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    place = Place.of("results")
    assert (place.address, place.local, place.within_process) == (
        f"{tmp_path}/results",
        tmp_path / "results",
        False,
    )


@pytest.mark.parametrize("name", ["", ".", "..", "/", "/etc/passwd", "a/../../b", "a//b", "results/"])
def test_a_name_does_not_lead_out_of_a_folder(tmp_path, name):
    """A manifest that somebody damaged must not have other folders removed."""
    with pytest.raises(ValueError, match="expected the name of a file within it, got '"):
        Place.of(str(tmp_path)) / name


def test_memory_is_this_process_s_own():
    place = Place.of("memory://results")
    assert (place.address, place.local, place.within_process) == ("memory:///results", None, True)


def test_what_lies_in_a_folder(tmp_path):
    folder = Place.of("/data/out")
    assert folder.holds(Place.of("/data/out"))
    assert folder.holds(Place.of("/data/out/a/b.mp4"))
    assert not folder.holds(Place.of("/data/output/a.mp4"))
    assert not folder.holds(Place.of("memory:///data/out/a.mp4"))


@pytest.mark.parametrize(
    ("address", "message"),
    [
        (
            "rtsp://camera/1",
            "rtsp://camera/1: Protocol not known: rtsp; give a path, or an address that fsspec can open",
        ),
        ("  ", "an empty path; give a file, a folder or an address such as s3://bucket/folder"),
    ],
)
def test_an_address_that_no_file_system_is_known_for(address, message):
    with pytest.raises(InputError) as error:
        Place.of(address)
    assert str(error.value) == message


def test_what_tells_that_a_file_has_changed():
    assert stamp_of({"size": 3, "ETag": '"ab"', "LastModified": "today"}) == '"ab"'
    assert stamp_of({"mtime": 12.5, "created": 1.0}) == "12.5"
    assert stamp_of({"size": 3}) == ""
