"""Figures of weighted images: by hand, and pycocotools' own; and intervals of differences."""

import numpy as np
import pytest
from experiment_figures import (
    SeenImage,
    crowding,
    image_records,
    paired_difference,
    statistic,
)

from fastpose_mtn.evaluation.coco.average_precision import CocoEvaluator
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections, PersonTargets


def people_of(rng, count=3):
    """Boxes and joints inside them, some of them unlabelled, some hidden."""
    corner = rng.uniform(0, 300, (count, 2))
    boxes = np.concatenate((corner, corner + rng.uniform(60, 140, (count, 2))), axis=1)
    xy = boxes[:, None, :2] + rng.uniform(0, 1, (count, 15, 2)) * (boxes[:, 2:] - boxes[:, :2])[:, None]
    joints = np.concatenate((xy, rng.integers(0, 3, (count, 15, 1))), axis=2)
    return PersonTargets(
        boxes=boxes.astype(np.float32),
        keypoints=joints.astype(np.float32),
        identities=np.full(count, -1),
        ignore=np.arange(count) == count - 1,
    )


def seen(rng, scene, noise=6.0):
    """People found near the labels, one of them twice."""
    targets = people_of(rng)
    keypoints = targets.keypoints[[0, 1, 2, 0]]
    keypoints[..., :2] += rng.normal(0, noise, keypoints[..., :2].shape)
    keypoints[..., 2] = rng.uniform(0, 1, keypoints.shape[:2])
    found = PersonDetections(
        targets.boxes[[0, 1, 2, 0]], rng.uniform(0.1, 1, 4).astype(np.float32), keypoints
    )
    return SeenImage(scene, (480, 640), targets, found)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    return [seen(rng, scene=number // 2) for number in range(12)]


def evaluated(images):
    evaluator = CocoEvaluator(POSETRACK15)
    for number, image in enumerate(images):
        evaluator.add(number, image.size_hw, image.targets, image.found)
    return evaluator.evaluate()


@pytest.mark.parametrize("name", ["AP", "AP50", "AP75"])
def test_average_precision_is_pycocotools_of_images_and_of_those_drawn_twice(images, name):
    value = statistic(f"keypoint/{name}", image_records(images, POSETRACK15))
    weights = np.array([0, 1, 2, 1, 3, 0, 1, 1, 0, 1, 2, 0])
    drawn = [image for image, times in zip(images, weights, strict=True) for _ in range(times)]
    assert 0.05 < value(np.ones(12)) < 0.98
    assert value(np.ones(12)) == pytest.approx(evaluated(images)[f"keypoint/{name}"], abs=1e-9)
    assert value(weights) == pytest.approx(evaluated(drawn)[f"keypoint/{name}"], abs=1e-9)
    assert np.isnan(value(np.zeros(12)))


def test_images_where_nobody_is():
    nobody = PersonTargets(
        np.zeros((0, 4), np.float32),
        np.zeros((0, 15, 3), np.float32),
        np.zeros(0, np.int64),
        np.zeros(0, bool),
    )
    none = PersonDetections(
        np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 15, 3), np.float32)
    )
    (record,) = image_records([SeenImage(0, (48, 64), nobody, none)], POSETRACK15)
    assert record == {"scene": 0, "crowding": 0.0, "people": 0, "scores": [], "right": [], "ignored": []}
    assert np.isnan(statistic("keypoint/AP", [record])(np.ones(1)))


def test_hard_images_are_the_crowded_ones(images):
    records = image_records(images, POSETRACK15)
    crowded = [{**record, "crowding": 0.9 if number < 5 else 0.5} for number, record in enumerate(records)]
    alone = evaluated(images[:5])["keypoint/AP"]
    assert statistic("keypoint/AP_hard", crowded)(np.ones(12)) == pytest.approx(alone, abs=1e-9)


def test_crowding_is_others_joints_in_a_box_to_own_ones():
    targets = people_of(np.random.default_rng(1), 3)  # the third one is ignored
    targets.boxes[:] = [[0, 0, 10, 10], [5, 0, 15, 10], [0, 0, 99, 99]]
    targets.keypoints[0] = [[2, 5, 2]] * 14 + [[7, 5, 1]]
    targets.keypoints[1] = [[8, 5, 2]] * 3 + [[12, 5, 2]] * 9 + [[0, 0, 0]] * 3
    # 3 of the other's 12 in the first box, which has 15 own; 1 of the first one's in the second, which has 12
    assert crowding(targets) == pytest.approx((3 / 15 + 1 / 12) / 2, abs=1e-5)


def given(joints):
    """A record of one person's joints: v, error, OKS, confidence."""
    return {
        "scene": 0,
        "crowding": 0,
        "people": 0,
        "scores": [],
        "right": [],
        "ignored": [],
        "joints": joints,
    }


def test_figures_of_joints():
    rows = [[2, 1.0, 0.9, 0.8], [2, 3.0, 0.5, 0.6], [1, 5.0, 0.1, 0.7]]
    records = [
        given([rows]),
        given([[[1, 10.0, 1.0, 0.1]], []]),
    ]  # the second has a person without labelled joints
    both, first = np.ones(2), np.array([1, 0])
    assert statistic("joints/error", records)(first) == pytest.approx(3.0)
    assert statistic("joints/error", records)(both) == pytest.approx((3.0 + 10.0) / 2)
    assert statistic("joints/share", records)(first) == pytest.approx(
        0.1
    )  # a mean OKS of 0.5: one threshold of ten
    assert statistic("joints/hardest", records)(both) == pytest.approx((0.5 + 1.0) / 2)
    # the hidden joint of 0.7 lies between the visible ones, that of 0.1 below both
    assert statistic("joints/separation", records)(first) == pytest.approx(0.5)
    assert statistic("joints/separation", records)(both) == pytest.approx(3 / 4)
    # ranks of confidences 3 1 2 (and 0), of errors 1 2 3 (and 4)
    assert statistic("joints/rank", records)(first) == pytest.approx(-0.5)
    assert statistic("joints/rank", records)(both) == pytest.approx(
        np.corrcoef([3, 1, 2, 0], [1, 2, 3, 4])[0, 1]
    )


def test_joints_errors_are_in_the_crops_pixels(images):
    image = images[0]
    kept = ~image.targets.ignore
    found = PersonDetections(
        image.targets.boxes[kept],
        np.ones(2, np.float32),
        image.targets.keypoints[kept] * np.float32([1, 1, 0.5]) + np.float32([3, 4, 0]),
    )
    scaled = SeenImage(0, image.size_hw, image.targets, found, scales=np.array([0.5, 2.0]))
    (record,) = image_records([scaled], POSETRACK15)
    first, second = record["joints"]
    assert len(first) == (image.targets.keypoints[0, :, 2] > 0).sum()
    assert [row[1] for row in first] == pytest.approx([2.5] * len(first), abs=1e-4)
    assert [row[1] for row in second] == pytest.approx([10.0] * len(second), abs=1e-4)
    # of OKS: the mean over the labelled joints is what pycocotools compares, here at 50 % of the thresholds or so
    share = statistic("joints/share", [record])(np.ones(1))
    assert share == pytest.approx(evaluated([scaled])["keypoint/AR"], abs=1e-9)


def test_what_cannot_be_measured_is_said(images):
    records = image_records(images, POSETRACK15)
    with pytest.raises(ValueError, match=r"figures: expected some of keypoint/AP, .* got 'keypoint/ap'"):
        statistic("keypoint/ap", records)
    with pytest.raises(ValueError, match="joints/error needs people in given boxes: set TEST.DETECTOR truth"):
        statistic("joints/error", records)
    with pytest.raises(ValueError, match="on the same images alone"):
        paired_difference([records], [records[:4]], "keypoint/AP")


def test_a_figure_that_is_undefined_has_no_interval(images):
    nobody = [{**record, "people": 0} for record in image_records(images, POSETRACK15)]
    difference = paired_difference([nobody], [nobody], "keypoint/AP", resamples=3)
    assert np.isnan([difference.mean, difference.low, difference.high]).all()


def test_intervals_are_of_scenes_and_seeds():
    rng = np.random.default_rng(0)
    scene_effect, scenes, per_scene = rng.normal(0, 2.0, 40), 40, 5

    def arm(shift, noise):
        """Errors that images of a scene share in both arms, and ones of their own."""
        return [
            {**given([[[2, 50 + scene_effect[s] + shift + rng.normal(0, noise), 0.5, 0.5]]]), "scene": s}
            for s in range(scenes)
            for _ in range(per_scene)
        ]

    theirs = [arm(0.0, 1.0) for _ in range(3)]
    ours = [arm(shift, 1.0) for shift in (0.9, 1.0, 1.1)]
    difference = paired_difference(ours, theirs, "joints/error")
    assert difference.mean == pytest.approx(np.mean(difference.seeds))
    assert difference.low < 1.0 < difference.high
    # what both arms share does not widen it: 600 differences of deviation sqrt(2), and seeds 0.1 apart
    assert 0.1 < difference.high - difference.low < 0.5
    assert paired_difference(theirs, theirs, "joints/error").high == 0.0
    # seeds that disagree widen it, whatever the number of images
    apart = paired_difference([arm(s, 0.01) for s in (-3, 1, 5)], [arm(0, 0.01)] * 3, "joints/error")
    assert apart.low < -1
    assert apart.high > 3
    # images of one scene are not independent: copies of them narrow nothing
    alone = paired_difference([ours[0][::5]], [theirs[0][::5]], "joints/error")
    copied = paired_difference(
        [[r for r in ours[0][::5] for _ in range(5)]],
        [[r for r in theirs[0][::5] for _ in range(5)]],
        "joints/error",
    )
    assert (copied.low, copied.high) == pytest.approx((alone.low, alone.high))
