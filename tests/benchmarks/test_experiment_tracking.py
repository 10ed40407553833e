"""PoseTrack's figures of weighted sequences are those of the evaluation."""

import numpy as np
import pytest
from experiment_figures import statistic
from experiment_tracking import TRACKING_FIGURES, sequence_records

from fastpose_mtn.build import build_tracker
from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.evaluation.measures.tracking import TrackingMeasure
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections

NAMES = {"AP", "MOTA", "IDF1", "HOTA", "switches"}


def scenes(seeds):
    return build_dataset(f"synthetic://a?seeds={seeds}&frames=8&size=160x120&people=3-4", training=False)


def entries(dataset):
    """People found near the labels, some of them missed."""
    out = []
    for index in range(len(dataset)):
        image = dataset[index]
        rng = np.random.default_rng([int(part) for part in image.file_name.split("/")])
        people = image.targets[~image.targets.ignore & (rng.random(len(image.targets)) < 0.8)]
        joints = people.keypoints + rng.normal(0, [1.5, 1.5, 0], people.keypoints.shape).astype(np.float32)
        joints[..., 2] = rng.uniform(0.3, 1, joints.shape[:2])
        found = PersonDetections(people.boxes, np.full(len(people), 0.9, np.float32), joints)
        out.append((index, found, image.posetrack))
    return out


def evaluated(dataset, found):
    cfg = get_cfg()
    metrics = TrackingMeasure(dataset, POSETRACK15, lambda: build_tracker(cfg, POSETRACK15)).evaluate(found)
    metrics["posetrack/switches"] = metrics["posetrack/num_switches"]
    return metrics


def test_figures_are_the_evaluations_of_all_sequences_and_of_those_that_are_drawn():
    dataset = scenes("1-3")
    found = entries(dataset)
    records = [{"scene": index // 8} for index in range(24)]
    for scene, own in enumerate(sequence_records(dataset, get_cfg(), found)):
        records[8 * scene]["sequence"] = own
    assert {name.removeprefix("posetrack/") for name in TRACKING_FIGURES} == NAMES
    whole = evaluated(dataset, found)
    assert 0.1 < whole["posetrack/MOTA"] < 0.99
    alone = scenes("2")
    second = evaluated(alone, [(i, *rest) for i, (_, *rest) in enumerate(found[8:16])])
    for name in TRACKING_FIGURES:
        value = statistic(name, records)
        assert value(np.ones(24)) == pytest.approx(whole[name], abs=1e-6), name
        weights = np.repeat([0, 1, 0], 8)
        assert value(weights) == pytest.approx(second[name], abs=1e-6), name
        if name != "posetrack/switches":
            assert value(2 * weights) == pytest.approx(second[name], abs=0.01), name


def test_untracked_people_have_none_of_them():
    with pytest.raises(ValueError, match="posetrack/MOTA needs sequences whose people are tracked"):
        statistic("posetrack/MOTA", [{"scene": 0}])
