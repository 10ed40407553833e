import json

import cv2
import numpy as np
import pytest

from fastpose_mtn.data.catalog import DATASETS, build_dataset, register_coco_json
from fastpose_mtn.data.loader import AugmentedImages
from fastpose_mtn.skeletons import POSETRACK15


@pytest.fixture
def mine(tmp_path):
    """One image, two people of whom one is known, in a file that ``json://`` names."""
    cv2.imwrite(str(tmp_path / "a.png"), np.zeros((40, 50, 3), np.uint8))
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 50, "height": 40}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 10, 20], "keypoints": [5, 6, 2], "person_id": 9},
            {"id": 2, "image_id": 1, "category_id": 1, "bbox": [9, 2, 10, 20], "keypoints": [0, 0, 0], "person_id": -1},
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": ["nose"]}],
    }  # fmt: skip
    (tmp_path / "labels.json").write_text(json.dumps(content))
    return f"json://{tmp_path}/labels.json?images={tmp_path}"


def test_a_name_says_what_its_images_train(mine):
    assert build_dataset(mine, training=True).tasks == {"boxes", "keypoints", "identities"}
    dataset = build_dataset(f"{mine}&tasks=boxes+keypoints", training=True)
    assert dataset.tasks == {"boxes", "keypoints"}
    assert dataset.num_identities == 0


def test_a_plus_in_the_name_of_a_folder_is_a_plus(mine, tmp_path):
    (tmp_path / "a+b").mkdir()
    (tmp_path / "a+b" / "a.png").write_bytes((tmp_path / "a.png").read_bytes())
    dataset = build_dataset(f"json://{tmp_path}/labels.json?images={tmp_path}/a+b", training=True)
    assert dataset[0].image.shape == (40, 50, 3)


def test_an_identity_that_is_not_trained_takes_nobody_elses_number(mine):
    sets = [build_dataset(mine + tasks, training=True) for tasks in ("", "&tasks=boxes", "")]
    images = AugmentedImages(sets, [], seed=0, skeleton=POSETRACK15)
    assert images.num_identities == 2
    assert [images[i, 0].targets.identities.tolist() for i in range(3)] == [[0, -1], [-1, -1], [1, -1]]


def test_public_names_take_tasks_too(mine, tmp_path, monkeypatch):
    monkeypatch.setenv("FASTPOSE_DATASETS", str(tmp_path))
    monkeypatch.setitem(DATASETS, "scratch", None)
    monkeypatch.delitem(DATASETS, "scratch")
    register_coco_json("scratch", "labels.json", ".")
    try:
        assert build_dataset("scratch?tasks=identities", training=True).tasks == {"identities"}
        with pytest.raises(ValueError, match=r"dataset scratch\?task=boxes: expected NAME\[\?tasks=T\+T\]"):
            build_dataset("scratch?task=boxes", training=True)
    finally:
        del DATASETS["scratch"]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("json://a.json", r"dataset json://a.json: expected json://ANNOTATIONS\?images=FOLDER"),
        ("json://a.json?images=b&format=voc", r"\[&format=coco\|posetrack\|halpe\|wholebody\]"),
        ("json://a.json?images=b&pictures=c", r"expected json://ANNOTATIONS\?images=FOLDER"),
        ("json://a.json?images=b&tasks=masks", r"tasks are \['masks'\], expected some of"),
        (
            "nonesuch",
            "unknown dataset 'nonesuch'; known: synthetic://..., json://..., crops://..., keypoints_coco_2017_train",
        ),
    ],
)
def test_names_that_mean_nothing(name, text):
    with pytest.raises(ValueError, match=text):
        build_dataset(name, training=True)


def test_every_public_name_looks_below_the_datasets_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DETECTRON2_DATASETS", str(tmp_path))
    monkeypatch.delenv("FASTPOSE_DATASETS", raising=False)
    for name in DATASETS:
        with pytest.raises(ValueError, match=f"dataset {name}: annotations not found: {tmp_path}"):
            build_dataset(name, training=False)


@pytest.mark.parametrize(
    "name", ["json://a.json?images=b&tasks=boxes&tasks=keypoints", "crops://a?seed=1&seed=2"]
)
def test_a_part_that_stands_there_twice_is_refused(name):
    """One of the two would be ignored without a word."""
    with pytest.raises(ValueError, match=r"(tasks|seed) stands there twice; expected (json|crops)://"):
        build_dataset(name, training=True)
