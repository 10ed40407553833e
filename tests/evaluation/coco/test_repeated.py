"""Keypoint AP of choices among people: pycocotools', to the last digit."""

import numpy as np
import pytest

from fastpose_mtn.evaluation.coco.average_precision import CocoEvaluator
from fastpose_mtn.evaluation.coco.repeated import LabelledPeople, RepeatedAP
from fastpose_mtn.skeletons import COCO17
from fastpose_mtn.structures import PersonDetections, PersonTargets


def image(rng, people, extra, *, equal_scores=False):
    """Labelled people, some ignored and some without joints; each found once or twice, and some who are nobody."""
    corner, size = rng.uniform(0, 600, (people, 2)), rng.uniform([30, 60], [120, 300], (people, 2))
    joints = np.dstack(
        (corner[:, None] + rng.random((people, 17, 2)) * size[:, None], rng.integers(0, 3, (people, 17)))
    )
    joints[rng.random(people) < 0.2, :, 2] = 0
    targets = PersonTargets(
        np.concatenate((corner, corner + size), axis=1).astype(np.float32), joints.astype(np.float32),
        np.full(people, -1), rng.random(people) < 0.2,
    )  # fmt: skip
    found = np.concatenate((np.tile(joints, (2, 1, 1)), rng.uniform(0, 600, (extra, 17, 3))))
    found[..., :2] += rng.normal(size=found[..., :2].shape) * rng.uniform(0, 12, (len(found), 1, 1))
    found[..., 2] = 0.5
    boxes = np.concatenate((found[..., :2].min(axis=1), found[..., :2].max(axis=1)), axis=1)
    scores = np.full(len(found), 0.5) if equal_scores else rng.random(len(found))
    detections = PersonDetections(
        boxes.astype(np.float32), scores.astype(np.float32), found.astype(np.float32)
    )
    areas = rng.uniform(500, 20000, people)
    return LabelledPeople(detections, targets, areas, (800, 800))


def official(images, chosen):
    evaluator = CocoEvaluator(COCO17)
    for number, (one, people) in enumerate(zip(images, chosen, strict=True)):
        evaluator.add(number, one.size_hw, one.targets, one.found[np.sort(people)], one.areas)
    return evaluator.evaluate()["keypoint/AP"]


@pytest.mark.parametrize("equal_scores", [False, True])
def test_it_is_pycocotools_ap(equal_scores):
    rng = np.random.default_rng(0)
    images = [image(rng, people, 3, equal_scores=equal_scores) for people in (0, 1, 4, 9, 14)]
    measure = RepeatedAP(images, COCO17)
    values = []
    for share in (1.0, 0.6, 0.6, 0.0):
        chosen = [np.flatnonzero(rng.random(len(one.found)) < share) for one in images]
        values.append(measure(chosen))
        assert values[-1] == pytest.approx(official(images, chosen), abs=1e-12)
        assert measure(chosen) == values[-1]
    assert 0.1 < values[0] < 1.0
    assert values[-1] == 0.0


def test_areas_are_shares_of_boxes_where_labels_have_none():
    one = image(np.random.default_rng(1), 6, 2)
    bare = LabelledPeople(one.found, one.targets, None, one.size_hw)
    everyone = [np.arange(len(one.found))]
    assert RepeatedAP([bare], COCO17)(everyone) == pytest.approx(official([bare], everyone), abs=1e-12)


def test_without_labels_there_is_nothing_to_measure():
    empty = image(np.random.default_rng(2), 0, 3)
    assert np.isnan(RepeatedAP([empty], COCO17)([np.arange(3)]))
