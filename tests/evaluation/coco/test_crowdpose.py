"""CrowdPose's AP by crowding, worked by hand."""

import json
import math

import numpy as np
import pytest

from fastpose_mtn.evaluation.coco.crowdpose import CROWD_BOUNDS_PAPER, evaluate_crowdpose_files
from fastpose_mtn.skeletons import CROWDPOSE14

SIZES = ("AP", "AP50", "AP75", "AR", "AR50", "AR75")


def person(image_id, number, area=1.0):
    """A person of 100 x 100 px with joints in the middle of a COCO-style annotation."""
    return {
        "id": number, "image_id": image_id, "category_id": 1, "iscrowd": 0, "bbox": [100, 100, 100, 100],
        "area": area, "num_keypoints": 14, "keypoints": [150, 150, 2] * 14,
    }  # fmt: skip


def result(image_id, shift=0.0, score=0.9):
    return {
        "image_id": image_id, "category_id": 1, "score": score, "keypoints": [150 + shift, 150, 1] * 14,
    }  # fmt: skip


def evaluate(tmp_path, crowd_indices, results, area=1.0, **options):
    gt = {
        "images": [{"id": i, "crowdIndex": c, "height": 480, "width": 640} for i, c in enumerate(crowd_indices, 1)],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [person(i, i, area) for i, _ in enumerate(crowd_indices, 1)],
    }  # fmt: skip
    path = tmp_path / "gt.json"
    path.write_text(json.dumps(gt))
    return evaluate_crowdpose_files(path, results, **options)


def test_each_group_is_measured_alone(tmp_path):
    # easy: found; medium: one of two found, hard: missed, behind a better-scored false positive.
    results = [result(1), result(2), result(4, shift=300, score=0.95)]
    metrics = evaluate(tmp_path, [0.0, 0.3, 0.5, 0.9], results)
    assert metrics["keypoint/AP_easy"] == pytest.approx(1.0)
    assert metrics["keypoint/AP_medium"] == pytest.approx(51 / 101)
    assert metrics["keypoint/AP_hard"] == 0.0
    # Together: the false positive leads, 2 of 4 found at a precision of 2/3.
    assert metrics["keypoint/AP"] == pytest.approx(51 / 101 * 2 / 3)
    assert metrics["keypoint/AR"] == pytest.approx(0.5)
    assert metrics.keys() == {f"keypoint/{n}" for n in (*SIZES, "AP_easy", "AP_medium", "AP_hard")}


def test_bounds_are_the_apis_and_belong_to_the_upper_group(tmp_path):
    # 0.15 is easy to the API and medium to the paper; 0.2 and 0.8 belong above.
    results = [result(1), result(2)]
    by_api = evaluate(tmp_path, [0.15, 0.2, 0.8], results)
    by_paper = evaluate(tmp_path, [0.15, 0.2, 0.8], results, crowd_bounds=CROWD_BOUNDS_PAPER)
    groups = [[m[f"keypoint/AP_{g}"] for g in ("easy", "medium", "hard")] for m in (by_api, by_paper)]
    assert groups[0] == [pytest.approx(1.0), pytest.approx(1.0), 0.0]
    assert math.isnan(groups[1][0])
    assert groups[1][1:] == [pytest.approx(1.0), 0.0]


@pytest.mark.parametrize("area", [1.0, 1e6])
def test_the_area_is_053_of_the_box_whatever_the_labels_say(tmp_path, area):
    def mean_oks(shift):
        scale = 2 * 0.53 * 100 * 100 * (2 * np.array(CROWDPOSE14.sigmas)) ** 2
        return np.exp(-(shift**2) / scale).mean()

    shift = next(d for d in np.linspace(0, 50, 2000) if mean_oks(d) < 0.62)
    assert 0.61 < mean_oks(shift) < 0.62  # counts at 0.5, 0.55 and 0.6
    metrics = evaluate(tmp_path, [0.5], [result(1, shift=shift)], area=area)
    assert metrics["keypoint/AP"] == metrics["keypoint/AP_medium"] == pytest.approx(0.3)


def test_nothing_found_is_zero(tmp_path):
    metrics = evaluate(tmp_path, [0.5], [])
    assert metrics["keypoint/AP"] == metrics["keypoint/AP_medium"] == 0.0
    assert math.isnan(metrics["keypoint/AP_easy"])


def test_errors_name_file_record_and_field(tmp_path):
    for wrong in (None, -0.5, "hard", math.nan):
        with pytest.raises(
            ValueError, match=r"gt\.json: images\[1\]: crowdIndex: expected a number of 0 or more"
        ):
            evaluate(tmp_path, [0.5, wrong], [])
    boxes = [{"image_id": 1, "category_id": 1, "score": 1.0, "bbox": [1, 2, 3, 4]}]
    with pytest.raises(ValueError, match=r"results\[0\]: keypoints: missing; these are results of boxes"):
        evaluate(tmp_path, [0.5], boxes)


def test_real_labels_as_their_own_results_score_one(real_data):
    labels = json.loads((real_data / "crowdpose" / "test_crowdpose.json").read_text())["annotations"]
    results = [
        {"image_id": a["image_id"], "category_id": 1, "keypoints": a["keypoints"], "score": 0.9}
        for a in labels
        if a["num_keypoints"]
    ]
    metrics = evaluate_crowdpose_files(real_data / "crowdpose" / "test_crowdpose.json", results)
    assert metrics["keypoint/AP"] == pytest.approx(1.0)
    assert metrics["keypoint/AP_medium"] == pytest.approx(1.0)  # both images lie in the middle
