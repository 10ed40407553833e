"""Label files of whole bodies: joints in several fields, and a v between 0 and 2."""

import json

import numpy as np
import pytest

from fastpose_mtn.data.coco.dataset import read_records
from fastpose_mtn.data.coco.ground_truth import read_coco_labels
from fastpose_mtn.data.coco.wholebody import HALPE, PART_FIELDS, WHOLEBODY
from fastpose_mtn.data.problems import Problems
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import COCO17, COCO_WHOLEBODY133


def joints(first, count, v=2):
    return [value for k in range(first, first + count) for value in (k, 50, v)]


def person(**changes):
    record = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "bbox": [5, 5, 140, 90], "area": 900}
    record |= {"num_keypoints": 17, "keypoints": joints(0, 17)}
    first = 17
    for field, count in PART_FIELDS:
        record[field] = joints(first, count)
        first += count
    return {**record, **changes}


def read(tmp_path, annotation, form=WHOLEBODY):
    """The person as training has it, the labels as evaluation has them, and what is told."""
    category = {"id": 1, "name": "person", "keypoints": list(COCO17.joints)}
    image = {"id": 1, "file_name": "1.jpg", "width": 200, "height": 120}
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({"images": [image], "annotations": [annotation], "categories": [category]}))
    (tmp_path / "1.jpg").write_bytes(b"")
    problems = Problems()
    _, [record] = read_records("mine", path, tmp_path, form, problems, filter_empty=False, skip_missing=False)
    labels = read_coco_labels(path, form, Problems())
    (one,) = record.people
    return one.keypoints, labels.dataset["annotations"][0], problems


def test_joints_of_all_fields_are_in_the_skeletons_order(tmp_path):
    keypoints, label, problems = read(tmp_path, person())
    np.testing.assert_allclose(keypoints[:, 0], np.arange(133) + 0.5)  # continuous
    assert np.reshape(label["keypoints"], (133, 3))[:, 0].tolist() == list(range(133))
    assert COCO_WHOLEBODY133.joints[17] == "left_big_toe"
    assert not list(problems)  # num_keypoints counts the body alone


def test_a_field_that_is_not_there_is_unlabelled(tmp_path):
    annotation = person(face_kpts=None, lefthand_kpts=[])
    keypoints, label, _ = read(tmp_path, annotation)
    labelled = np.flatnonzero(keypoints[:, 2] > 0).tolist()
    assert labelled == [*range(23), *range(112, 133)]
    assert label["num_keypoints"] == 44


@pytest.mark.parametrize(
    ("v", "training", "evaluation"), [(0.34, 0, 1), (0.35, 1, 1), (1.5, 1, 1), (1.6, 2, 2), (0.0, 0, 0)]
)
def test_a_v_that_is_a_share(tmp_path, v, training, evaluation):
    """Training wants to be sure; the benchmarks' own tools take any v above 0."""
    values = joints(112, 21)
    values[2] = v
    keypoints, label, problems = read(tmp_path, person(righthand_kpts=values))
    assert keypoints[112, 2] == training
    assert label["keypoints"][3 * 112 + 2] == evaluation
    told = [problem.kind for problem in problems]
    assert told == ([] if v == 0 else ["annotations with joints whose v is a share, labelled from 0.35 on"])


def test_halpes_joints_have_shares_too(tmp_path):
    values = joints(0, 136)
    values[5], values[8] = 0.2, 0.9
    keypoints, _, _ = read(tmp_path, person(keypoints=values, num_keypoints=136), HALPE)
    assert keypoints[:3, 2].tolist() == [2, 0, 1]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"foot_kpts": [1, 2, 2] * 5}, r"foot_kpts: expected 18 numbers, x, y, v for each of the 6 joints .*, got 15"),
        ({"keypoints": [1, 2, 2] * 133}, r"keypoints: expected 51 numbers, .*, got 399"),
        ({"face_kpts": [1, 2, 3] * 68}, "keypoints: expected v of 0, 1 or 2, got 3"),
        ({"face_kpts": [1, 2, -0.5] * 68}, "keypoints: expected v of 0, 1 or 2, got -0.5"),
        ({"lefthand_kpts": "none"}, "lefthand_kpts: expected 63 numbers"),
    ],
)  # fmt: skip
def test_what_is_no_list_of_joints_is_refused(tmp_path, changes, expected):
    with pytest.raises(InputError, match=r"annotations\[0\] \(id 1\): " + expected):
        read(tmp_path, person(**changes))
