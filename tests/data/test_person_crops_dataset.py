"""People of a dataset of images, one by one."""

import json

import cv2
import numpy as np
import pytest

from fastpose_mtn.data import image_file
from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.data.coco import dataset as coco_dataset
from fastpose_mtn.data.person_crops import PersonCrops
from fastpose_mtn.skeletons import COCO17, POSETRACK15, Skeleton


def person(number, image, box, joints=17, crowd=0):
    x, y, w, h = box
    points = [value for j in range(17) for value in ((x + w / 2, y + h / 2, 2) if j < joints else (0, 0, 0))]
    return {
        "id": number, "image_id": image, "category_id": 1, "bbox": list(box), "area": w * h, "iscrowd": crowd,
        "keypoints": points, "num_keypoints": joints,
    }  # fmt: skip


@pytest.fixture
def dataset(tmp_path):
    names = ["a.jpg", "b.jpg", "c.jpg"]
    for value, name in enumerate(names):
        cv2.imwrite(str(tmp_path / name), np.full((40, 60, 3), 50 * value, np.uint8))
    labels = {
        "images": [
            {"id": i, "file_name": name, "width": 60, "height": 40} for i, name in enumerate(names, 1)
        ],
        "annotations": [
            person(1, 1, (5, 5, 20, 30)),
            person(2, 1, (30, 5, 20, 30), joints=0),
            person(3, 1, (10, 0, 20, 30), joints=3),
            person(4, 3, (1, 1, 10, 20), joints=1),
            person(5, 3, (30, 1, 10, 20), crowd=1),
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}],
    }
    (tmp_path / "labels.json").write_text(json.dumps(labels))
    return build_dataset(f"json://{tmp_path}/labels.json?images={tmp_path}", training=True)


def test_everybody_with_a_joint_is_a_sample_and_an_images_people_are_a_group(dataset):
    crops = PersonCrops(dataset, COCO17)
    assert len(crops) == 3
    assert crops.group_sizes.tolist() == [2, 1]
    assert [(crops[i].image_id, crops[i].focus) for i in range(3)] == [(1, 0), (1, 2), (3, 0)]
    assert crops[0].tasks == {"keypoints"}


def test_an_image_is_read_once_for_its_people(dataset, monkeypatch):
    read = []

    def reading(path, *given, **named):
        read.append(path.name)
        return image_file.read_image(path, *given, **named)

    monkeypatch.setattr(coco_dataset, "read_image", reading)
    crops = PersonCrops(dataset, COCO17)
    for index in (0, 1, 2):
        assert crops[index].image.shape == (40, 60, 3)
    assert read == ["a.jpg", "c.jpg"]


def test_joints_that_the_network_lacks_do_not_count(dataset):
    noseless = Skeleton("N", tuple(j for j in COCO17.joints if j != "nose"), (), (), "")
    crops = PersonCrops(dataset, noseless)
    assert len(crops) == 2  # the nose is the only joint of the person of image 3
    hand = Skeleton("H", ("left_thumb1",), (), (), "")
    with pytest.raises(ValueError, match="nobody in it has a box and a labelled joint of H; leave it out"):
        PersonCrops(dataset, hand)


def test_drawn_images_stay_samples():
    drawn = build_dataset("synthetic://t?seeds=0-1&frames=3&size=96x64&people=2", training=True)
    crops = PersonCrops(drawn, POSETRACK15)
    assert len(crops) == 6
    assert crops.group_sizes.tolist() == drawn.group_sizes.tolist()
    assert crops[4].focus is None
    assert crops.image_size_wh(0) == (1, 1)
