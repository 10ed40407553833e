"""The one-stage weights that come with the package."""

import numpy as np
import pytest
import torch

from fastpose_mtn.build import build_pose_tracking
from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.ops.oks import object_keypoint_similarity
from fastpose_mtn.skeletons import POSETRACK15


@pytest.fixture(scope="module")
def pose():
    return build_pose_tracking(weights="posedet-s", device="cpu", precision="fp32")


def test_it_finds_drawn_people_whom_it_hardly_trained_on(pose):
    drawn = build_dataset("synthetic://v?seeds=700100&frames=2&people=3&occlusion=0", training=False)[0]
    (found,) = pose.estimator.estimate([drawn.image])
    seen = found[found.scores >= pose.cfg.TRACKER.MIN_SCORE]
    areas = torch.from_numpy(0.53 * np.prod(drawn.targets.boxes[:, 2:] - drawn.targets.boxes[:, :2], axis=1))
    similarity = object_keypoint_similarity(
        torch.from_numpy(pose.estimator.skeleton.convert(seen.keypoints, POSETRACK15)),
        torch.from_numpy(drawn.targets.keypoints),
        areas,
        POSETRACK15.sigmas,
    )
    assert (similarity.amax(dim=0) > 0.5).sum() >= 2
    assert seen.embeddings is None
