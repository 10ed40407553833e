import json

import pytest
from convert_posetrack17 import convert_posetrack17, main
from matlab_files import draw

from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.skeletons import POSETRACK15

NAME = "000342_mpii_relpath_5sec_trainsub"


def joint(number, x, y, **fields):
    return {"id": [number], "x": [x], "y": [y], **{name: [value] for name, value in fields.items()}}


def person(track, *points):
    head = {"x1": [30], "y1": [10], "x2": [20], "y2": [25]}
    return {**head, "track_id": [track], "annopoints": [{"point": list(points)}] if points else []}


@pytest.fixture
def posetrack17(tmp_path):
    root = tmp_path / "posetrack17"
    image = f"images/bonn_5sec/{NAME}/00000001.jpg"
    entry = {
        "image": [{"name": image}], "imgnum": [1], "is_labeled": [1],
        "annorect": [
            person(4, joint(13, 100.5, 40, is_visible=1), joint(0, 90, 200, is_visible=0)),
            person(6),
        ],
        "ignore_regions": [{"point": [{"x": [1], "y": [2]}, {"x": [40], "y": [2]}, {"x": [40], "y": [30]}]}],
    }  # fmt: skip
    folder = root / "annotations" / "train"
    folder.mkdir(parents=True)
    (folder / f"{NAME}.json").write_text(json.dumps({"annolist": [entry]}))
    draw((root / image).parent, "00000001.jpg")
    return root


def test_the_training_reads_what_is_written(posetrack17, monkeypatch):
    monkeypatch.setenv("FASTPOSE_DATASETS", str(posetrack17.parent))
    ((folder, summary),) = convert_posetrack17(posetrack17)
    assert folder == posetrack17 / "posetrack18_annotations" / "train"
    assert summary.startswith("1 sequences, 1 frames, 2 people")
    dataset = build_dataset("posetrack17_train", training=True, filter_empty=True)
    targets = dataset[0].targets
    # The region, the person, and the head of whom nobody labelled.
    assert targets.ignore.tolist() == [True, False, True]
    assert targets.boxes[0].tolist() == [1, 2, 40, 30]
    assert targets.boxes[2].tolist() == [20, 10, 30, 25]
    joints = dataset.skeleton.convert(targets.keypoints[1], POSETRACK15)
    assert joints[POSETRACK15.index("nose")].tolist() == [100.5, 40, 2]
    assert joints[POSETRACK15.index("right_ankle")].tolist() == [90, 200, 1]  # labelled, not visible
    assert targets.identities.tolist() == [-1, 0, -1]
    assert dataset.image_size_wh(0) == (320, 240)


def test_missing_images_and_sequences(posetrack17, capsys):
    next(posetrack17.glob("images/*/*/*.jpg")).unlink()
    with pytest.raises(SystemExit):
        main(["--root", str(posetrack17)])
    assert "--skip-missing converts without it" in capsys.readouterr().err
    main(["--root", str(posetrack17), "--skip-missing"])
    assert "1 sequences" in capsys.readouterr().out
    with pytest.raises(ValueError, match=r"expected annotations/train/\*\.json or annotations/val"):
        convert_posetrack17(posetrack17 / "images")
