"""Box and keypoint AP of people in memory: worked examples."""

import math

import numpy as np
import pytest

from fastpose_mtn.evaluation.coco.average_precision import (
    CocoEvaluator,
    detections_to_coco_results,
)
from fastpose_mtn.ops.oks import AREA_PER_BOX
from fastpose_mtn.skeletons import POSETRACK15, Skeleton
from fastpose_mtn.structures import PersonDetections, PersonTargets

ONE = Skeleton(name="ONE", joints=("nose",), limbs=(), sigmas=(0.05,), source="test")
SIZE = (480, 640)


def people(*boxes, joint=None, ignore=None):
    """Labelled people with one joint each, at the box's centre unless given."""
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    joints = np.zeros((len(boxes), 1, 3), np.float32)
    joints[:, 0, :2] = (boxes[:, :2] + boxes[:, 2:]) / 2 if joint is None else joint
    joints[:, 0, 2] = 2
    return PersonTargets(
        boxes=boxes,
        keypoints=joints,
        identities=np.full(len(boxes), -1, np.int64),
        ignore=np.zeros(len(boxes), bool) if ignore is None else np.array(ignore),
    )


def found(*boxes, scores=None, shift=0.0):
    """Detections with one joint each, ``shift`` pixels right of the box's centre."""
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    joints = np.ones((len(boxes), 1, 3), np.float32)
    joints[:, 0, :2] = (boxes[:, :2] + boxes[:, 2:]) / 2 + np.array([shift, 0])
    scores = np.full(len(boxes), 0.9) if scores is None else scores
    return PersonDetections(boxes=boxes, scores=np.array(scores, np.float32), keypoints=joints)


def evaluate(targets, detections, **options):
    evaluator = CocoEvaluator(ONE, **options)
    evaluator.add(1, SIZE, targets, detections)
    return evaluator.evaluate()


BOX = (100, 100, 200, 200)


def test_a_perfect_detection_scores_one_in_its_size_range_and_nan_in_the_others():
    metrics = evaluate(people(BOX), found(BOX))
    # 0.53 * 100 * 100 = 5300 px^2: medium, between 32^2 and 96^2.
    ones = {"box/AP", "box/AP50", "box/AP75", "box/AP_medium", "box/AR_1", "box/AR_10", "box/AR_100"}
    ones |= {"box/AR_medium", "keypoint/AP", "keypoint/AP50", "keypoint/AP75", "keypoint/AP_medium"}
    ones |= {"keypoint/AR", "keypoint/AR50", "keypoint/AR75", "keypoint/AR_medium"}
    nans = {"box/AP_small", "box/AP_large", "box/AR_small", "box/AR_large"}
    nans |= {"keypoint/AP_large", "keypoint/AR_large"}
    assert metrics.keys() == ones | nans
    assert {name for name, value in metrics.items() if value == pytest.approx(1.0)} == ones
    assert {name for name, value in metrics.items() if math.isnan(value)} == nans


def test_half_of_the_people_found_is_ap_51_of_101_recall_points():
    metrics = evaluate(people(BOX, (300, 100, 400, 200)), found(BOX))
    assert metrics["box/AP"] == pytest.approx(51 / 101)
    assert metrics["box/AR_100"] == pytest.approx(0.5)


def test_a_box_of_iou_062_counts_at_three_of_ten_thresholds():
    metrics = evaluate(people(BOX), found((100, 100, 200, 162)))
    assert metrics["box/AP"] == pytest.approx(0.3)
    assert (metrics["box/AP50"], metrics["box/AP75"]) == (pytest.approx(1.0), 0.0)


@pytest.mark.parametrize("area_per_box", [1.0, AREA_PER_BOX])
@pytest.mark.parametrize("given", [False, True])
def test_oks_uses_the_skeletons_sigma_and_the_area(area_per_box, given):
    area = 7000.0 if given else area_per_box * 100 * 100
    # OKS = exp(-d^2 / (2 * area * (2 sigma)^2)) = 0.62
    shift = math.sqrt(-math.log(0.62) * 2 * area) * 2 * ONE.sigmas[0]
    evaluator = CocoEvaluator(ONE, area_per_box=area_per_box)
    evaluator.add(1, SIZE, people(BOX), found(BOX, shift=shift), areas=[7000.0] if given else None)
    metrics = evaluator.evaluate()
    assert metrics["keypoint/AP"] == pytest.approx(0.3)
    assert metrics["keypoint/AP50"] == pytest.approx(1.0)
    assert metrics["box/AP"] == pytest.approx(1.0)


def test_a_detection_on_an_ignored_person_is_neither_right_nor_wrong():
    crowd = (300, 100, 400, 200)
    detections = found(crowd, BOX, scores=[0.9, 0.8])
    ignored = evaluate(people(BOX, crowd, ignore=[False, True]), detections)
    assert ignored["box/AP"] == pytest.approx(1.0)
    assert ignored["keypoint/AP"] == pytest.approx(1.0)
    # Without the crowd the same detection is a false positive ahead of the right one.
    wrong = evaluate(people(BOX), detections)
    assert wrong["box/AP"] == pytest.approx(0.5)
    assert wrong["keypoint/AP"] == pytest.approx(0.5)


def test_a_person_without_joints_counts_for_boxes_only():
    joints = np.zeros((2, 1, 3), np.float32)
    joints[0] = [150, 150, 2]
    both = people(BOX, (300, 100, 400, 200))
    targets = PersonTargets(both.boxes, joints, both.identities, both.ignore)
    metrics = evaluate(targets, found(BOX))
    assert metrics["box/AR_100"] == pytest.approx(0.5)
    assert metrics["keypoint/AR"] == pytest.approx(1.0)


def test_nothing_found_is_zero_and_nothing_labelled_is_nan():
    missed = evaluate(people(BOX), found())
    assert missed["box/AP"] == missed["keypoint/AP"] == missed["keypoint/AR"] == 0.0
    for detections in (found(), found(BOX)):
        assert all(math.isnan(value) for value in evaluate(people(), detections).values())
    assert all(math.isnan(value) for value in CocoEvaluator(ONE).evaluate().values())


def test_torch_and_numpy_give_the_same_and_nothing_is_printed(capfd):
    targets, detections = people(BOX, (300, 100, 400, 200)), found(BOX, (300, 100, 400, 170), shift=3)
    assert evaluate(targets, detections) == pytest.approx(
        evaluate(targets.to("cpu"), detections.to("cpu")), nan_ok=True
    )
    assert capfd.readouterr().out == ""


def test_without_a_skeleton_boxes_only():
    evaluator = CocoEvaluator(None)
    evaluator.add(1, SIZE, people(BOX), found(BOX))
    metrics = evaluator.evaluate()
    assert metrics["box/AP"] == pytest.approx(1.0)
    assert not any(name.startswith("keypoint/") for name in metrics)


def test_merged_evaluators_count_a_repeated_image_once():
    first, second = CocoEvaluator(ONE), CocoEvaluator(ONE)
    first.add("a", SIZE, people(BOX), found(BOX))
    second.add("a", SIZE, people(BOX), found(BOX))
    second.add("b", SIZE, people(BOX), found())
    first.merge([second])
    assert len(first) == 2
    assert first.evaluate()["box/AR_100"] == pytest.approx(0.5)


def test_coco_joints_are_pixel_indices():
    detections = found((10, 20, 31, 41))  # the centre of pixel (20, 30)
    [record] = detections_to_coco_results(7, detections)
    assert record["keypoints"] == [20.0, 30.0, 1.0]
    assert record["bbox"] == [10.0, 20.0, 21.0, 21.0]
    assert (record["image_id"], record["category_id"]) == (7, 1)


def test_the_half_pixel_decides_next_to_an_ignored_box():
    # A crowd without joints: pycocotools measures how far a joint lies outside its box grown to
    # three times its size, here to x = 300. A joint at continuous x = 300 + d is index 299.5 + d.
    crowd = people(BOX, ignore=[True])
    crowd = PersonTargets(crowd.boxes, np.zeros((1, 1, 3), np.float32), crowd.identities, crowd.ignore)
    real = people((400, 100, 500, 200))
    targets = PersonTargets(
        *(np.concatenate([getattr(real, f), getattr(crowd, f)]) for f in ("boxes", "keypoints", "identities", "ignore"))
    )  # fmt: skip
    reach = math.sqrt(-math.log(0.5) * 2 * AREA_PER_BOX * 100 * 100) * 2 * ONE.sigmas[0]  # OKS 0.5
    right = found((400, 100, 500, 200), scores=[0.8])
    for beyond, ap50 in ((0.4, 1.0), (0.6, 0.5)):
        stray = found((250, 100, 350, 200), shift=reach + beyond)
        both = PersonDetections(
            *(
                np.concatenate([getattr(stray, f), getattr(right, f)])
                for f in ("boxes", "scores", "keypoints")
            )
        )
        assert evaluate(targets, both)["keypoint/AP50"] == pytest.approx(ap50)


def test_errors_name_image_and_field():
    evaluator = CocoEvaluator(POSETRACK15)
    with pytest.raises(
        ValueError, match=r"image 5: targets\.keypoints: expected 15 joints of skeleton POSETRACK15, got 1"
    ):
        evaluator.add(5, SIZE, people(BOX), found(BOX))
    evaluator = CocoEvaluator(ONE)
    with pytest.raises(ValueError, match=r"image 5: areas: expected shape \(1,\), got \(2,\)"):
        evaluator.add(5, SIZE, people(BOX), found(BOX), areas=[1, 2])
    evaluator.add(5, SIZE, people(BOX), found(BOX))
    with pytest.raises(ValueError, match="image 5 was added twice"):
        evaluator.add(5, SIZE, people(BOX), found(BOX))
    with pytest.raises(ValueError, match="same skeleton"):
        evaluator.merge([CocoEvaluator(None)])
    with pytest.raises(ValueError, match="area_per_box: expected a positive"):
        CocoEvaluator(ONE, area_per_box=0)
