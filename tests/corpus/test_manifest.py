"""The manifest: what is written comes back, and what must not be mixed is refused."""

from datetime import datetime, timezone

import pytest

pytest.importorskip("pyarrow", reason="pyarrow is not installed: pip install -e '.[corpus]'")
pytest.importorskip("fsspec", reason="fsspec is not installed: pip install -e '.[corpus]'")

import pyarrow.parquet as pq

from fastpose_mtn.corpus.manifest import DONE, FAILED, Manifest, Row
from fastpose_mtn.corpus.place import Place
from fastpose_mtn.errors import InputError

ROWS = [
    Row(
        "walk", "/v/walk.mp4", 12, "7.5", DONE, None, 2, 30, 60, 2, 1, 1.5, ["walk.json", "walk.mp4"], "m1", "0.1.0",
        datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=timezone.utc),
    ),
    Row("run", "/v/run.mp4", 13, "", FAILED, "not a video", 1),
    Row("new", "/v/new.mp4", 14, ""),
]  # fmt: skip


@pytest.fixture
def folder(tmp_path):
    return Place.of(str(tmp_path))


def filled(folder, settings=None):
    manifest = Manifest(folder)
    manifest.check_settings(settings or {"weights": "w1"})
    manifest.rows = {row.source: row for row in ROWS}
    return manifest


def test_rows_come_back_as_they_were(folder):
    filled(folder).write()
    again = Manifest(folder)
    assert list(again.rows.values()) == ROWS
    assert again.settings == {"weights": "w1"}


def test_it_is_a_parquet_table_that_others_read(folder, tmp_path):
    filled(folder).write()
    table = pq.read_table(tmp_path / "manifest.parquet")
    assert table["status"].to_pylist() == ["done", "failed", "waiting"]
    assert table["files"].to_pylist() == [["walk.json", "walk.mp4"], [], []]
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.parquet"]


def test_results_made_otherwise_are_refused(folder, tmp_path):
    filled(folder, {"weights": "w1", "a": "1", "b": "2", "c": "3", "gone": "x"}).write()
    again = Manifest(folder)
    with pytest.raises(InputError) as error:
        again.check_settings({"weights": "w2", "a": "0", "b": "0", "c": "0", "new": "y"})
    assert str(error.value) == (
        f"{tmp_path}/manifest.parquet: its results were made with weights w1, now w2; a 1, now 0; b 2, now 0 and 1 more; "
        "ask for the same, or choose another --output"
    )
    again.check_settings({"weights": "w1", "a": "1", "b": "2", "c": "3", "new": "y"})


def test_two_runs_that_write_to_one_folder_are_told(folder):
    first, second = filled(folder), filled(folder)
    first.write()
    with pytest.raises(InputError, match="another run writes to it; wait for it, or choose another --output"):
        second.write()
    first.write()


def test_a_file_that_is_no_manifest_is_left_alone(folder, tmp_path):
    for content in (b"", b"no parquet at all"):
        (tmp_path / "manifest.parquet").write_bytes(content)
        with pytest.raises(
            InputError, match="manifest.parquet: not a manifest that this command wrote; move it away or"
        ):
            Manifest(folder)
        assert (tmp_path / "manifest.parquet").read_bytes() == content


def test_another_program_s_parquet_file_is_no_manifest(folder, tmp_path):
    import pyarrow as pa

    pq.write_table(pa.table({"source": ["a.mp4"]}), tmp_path / "manifest.parquet")
    with pytest.raises(InputError, match="not a manifest"):
        Manifest(folder)


def test_a_large_manifest_is_written_less_often(folder, monkeypatch):
    clock = iter([0.0, 1.0, 1.0, 5.0, 30.0, 30.0, 30.0, 30.0])
    monkeypatch.setattr("fastpose_mtn.corpus.manifest.time.monotonic", lambda: next(clock))
    manifest = filled(folder)
    manifest.write()  # takes from 0 to 1
    manifest.rows.clear()
    manifest.write(now=False)  # at 5
    assert len(Manifest(folder).rows) == 3
    manifest.write(now=False)  # at 30
    assert Manifest(folder).rows == {}
