import json

import numpy as np
import pytest
from convert_prw import convert_prw, main
from matlab_files import cells, draw
from scipy.io import savemat

from fastpose_mtn.data.catalog import build_dataset


@pytest.fixture
def prw(tmp_path):
    root = tmp_path / "prw"
    (root / "annotations").mkdir(parents=True)
    tables = {
        "c1s1_000151": ("box_new", [[479, 10.5, 20, 30, 60], [-2, -4, 5, 30, 60]]),
        "c2s1_000176": ("anno_file", [[3, 1, 2, 30, 60], [3, 1, 2, 0, 60]]),
        "c3s3_000001": ("anno_previous", [[933, 50, 60, 30, 60]]),
    }
    for frame, (name, rows) in tables.items():
        savemat(root / "annotations" / f"{frame}.jpg.mat", {name: np.array(rows, float)})
    savemat(root / "frame_train.mat", {"img_index_train": cells("c1s1_000151", "c2s1_000176")})
    savemat(root / "frame_test.mat", {"img_index_test": cells("c3s3_000001")})
    savemat(root / "ID_train.mat", {"ID_train": np.array([[479, 480]])})
    draw(root / "frames", *(f"{frame}.jpg" for frame in tables))
    return root


def test_who_is_written_where(prw):
    (train, summary), (test, test_summary) = convert_prw(prw)
    found = [(a["image_id"], a["bbox"], a["person_id"]) for a in json.loads(train.read_text())["annotations"]]
    assert found == [(1, [10.5, 20, 30, 60], 479), (1, [0, 5, 26, 60], -1), (2, [1, 2, 30, 60], 3)]
    assert "2 images, 3 people, 0 ignored boxes, 2 identities" in summary
    assert "1 boxes without area, left out, first" in summary
    assert "c2s1_000176.jpg.mat, row 2" in summary
    assert "1 people whom the split's list of identities lacks, kept, first" in summary
    assert json.loads(test.read_text())["annotations"][0]["person_id"] == 933
    assert test_summary == "1 images, 1 people, 0 ignored boxes, 1 identities"


def test_the_training_reads_it(prw, monkeypatch):
    monkeypatch.setenv("FASTPOSE_DATASETS", str(prw.parent))
    main([])
    dataset = build_dataset("prw_train", training=True, filter_empty=True)
    assert dataset.tasks == {"boxes", "identities"}
    assert [dataset[i].targets.identities.tolist() for i in (0, 1)] == [[0, -1], [1]]


def test_files_that_are_missing_or_something_else(prw, capsys):
    savemat(prw / "annotations" / "c1s1_000151.jpg.mat", {"box_new": np.zeros((2, 4))})
    with pytest.raises(ValueError, match=r"c1s1_000151.jpg.mat: expected a table .*, got an array \(2, 4\)"):
        convert_prw(prw)
    savemat(prw / "frame_train.mat", {"img_index_train": 1})
    with pytest.raises(ValueError, match="expected img_index_train to be a list of frame names"):
        convert_prw(prw)
    (prw / "frame_train.mat").unlink()
    with pytest.raises(SystemExit):
        main(["--root", str(prw)])
    assert "frame_train.mat: no such file" in capsys.readouterr().err


def test_a_frame_without_people(prw):
    savemat(prw / "annotations" / "c3s3_000001.jpg.mat", {"box_new": np.zeros((0, 0))})
    assert convert_prw(prw)[1][1] == "1 images, 0 people, 0 ignored boxes"
