"""The command that fits proposals: a detector's boxes and labels in, a table that training reads out."""

import json
import re

import numpy as np
import pytest
import yaml
from tiny_topdown import topdown_config

from fastpose_mtn.commands.proposals import main
from fastpose_mtn.data.transforms.crop_person import CropPerson
from fastpose_mtn.skeletons import PERSON19

FIT = ("fit", "--output")


@pytest.fixture
def files(tmp_path):
    """40 images of one labelled person, whose box a detector draws 10 pixels too low, and one that it misses."""
    images, annotations, found = [], [], []
    rng = np.random.default_rng(0)
    for number in range(1, 42):
        images.append({"id": number, "file_name": f"{number}.jpg", "width": 320, "height": 240})
        box = [20 + number, 30, 50, 100]
        annotations.append(
            {"id": number, "image_id": number, "category_id": 1, "iscrowd": 0, "area": 5000, "bbox": box,
             "keypoints": [0] * 51, "num_keypoints": 0}
        )  # fmt: skip
        if number < 41:
            shifted = [box[0], box[1] + 10 + rng.normal(), box[2], box[3]]
            found.append({"image_id": number, "category_id": 1, "bbox": shifted, "score": 0.8})
            found.append({"image_id": number, "category_id": 1, "bbox": box, "score": 0.05})
    labels = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "person"}]}
    for image in images:
        (tmp_path / image["file_name"]).touch()  # nobody looks into them
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    (tmp_path / "found.json").write_text(json.dumps(found))
    return f"json://{tmp_path / 'labels.json'}?images={tmp_path}", tmp_path


def test_a_file_of_boxes_gives_a_table_that_training_reads(files, capsys):
    dataset, folder = files
    table = folder / "made" / "boxes.yaml"
    main([*FIT, str(table), "--dataset", dataset, "--detector", str(folder / "found.json")])
    printed = capsys.readouterr().out
    assert "41 images, 41 people, 40 of them found" in printed
    fitted = yaml.safe_load(table.read_text())["whole"]["y"]
    assert fitted["boxes"] == 40
    assert np.average(fitted["means"], axis=0, weights=fitted["weights"]) == pytest.approx(
        [0.1, 0.1], abs=0.005
    )
    crop = CropPerson.from_config(
        topdown_config(
            "INPUT.PGPG.SAMPLER", "mixture", "INPUT.PGPG.TABLE", str(table), "INPUT.PGPG.FROM_ITER", "3"
        ),
        PERSON19,
    )
    drawn = np.array([crop.propose(np.array([0, 0, 50, 100]), np.random.default_rng(s)) for s in range(200)])
    assert drawn.mean(axis=0) == pytest.approx([0, 10, 50, 110], abs=0.5)
    assert crop.propose_from == 3 * 64


def test_weights_find_drawn_people(tmp_path, capsys):
    """The packaged network sees drawn frames; its boxes are near the labels."""
    table = tmp_path / "boxes.yaml"
    drawn = "synthetic://few?seeds=5-10&size=320x192&people=4&frames=12&stride=6&occlusion=0"
    main([*FIT, str(table), "--dataset", drawn, "--detector", "drawn", "--device", "cpu"])
    assert "written: " in capsys.readouterr().out
    fitted = yaml.safe_load(table.read_text())["whole"]
    means = [np.average(fitted[axis]["means"], axis=0, weights=fitted[axis]["weights"]) for axis in "xy"]
    assert np.abs(means).max() < 0.1


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["boxes.txt"], r"--output .*boxes\.txt: expected a name that ends in \.yaml"),
        (["boxes.yaml", "--min-score", "2"], r"--min-score 2\.0: expected 1 or more images, and a score in \[0, 1\]"),
        (["boxes.yaml", "--detector", "nowhere.json"], r"--detector nowhere\.json: no such file"),
        (["boxes.yaml", "--detector", ""], "--detector: expected a value, got an empty one"),
        (["boxes.yaml", "--min-score", "0.9"], r"expected 10 or more boxes that show labelled people .*, got 0"),
    ],
)  # fmt: skip
def test_what_cannot_be_fitted(files, capsys, arguments, problem):
    dataset, folder = files
    detector = ["--detector", str(folder / "found.json")]
    with pytest.raises(SystemExit) as stop:
        main([*FIT, str(folder / arguments[0]), "--dataset", dataset, *detector, *arguments[1:]])
    assert stop.value.code == 2
    assert not list(folder.glob("boxes.*"))

    assert re.search(problem, capsys.readouterr().err)
