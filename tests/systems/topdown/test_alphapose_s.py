"""The top-down weights that come with the package."""

import numpy as np
import pytest
import torch

from fastpose_mtn.build import build_pose_tracking
from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.ops.oks import object_keypoint_similarity
from fastpose_mtn.skeletons import POSETRACK15


@pytest.fixture(scope="module")
def pose():
    return build_pose_tracking(weights="alphapose-s", device="cpu", precision="fp32")


@pytest.fixture(scope="module")
def drawn():
    return build_dataset("synthetic://v?seeds=700100&frames=2&people=3&occlusion=0", training=False)[0]


def test_it_locates_drawn_people_whom_it_hardly_trained_on(pose, drawn):
    boxes = drawn.targets.boxes
    found = pose.estimator.estimate_given(drawn.image, boxes, np.ones(len(boxes), np.float32))
    areas = torch.from_numpy(0.53 * np.prod(boxes[:, 2:] - boxes[:, :2], axis=1))
    similarity = object_keypoint_similarity(
        torch.from_numpy(pose.estimator.skeleton.convert(found.keypoints, POSETRACK15)),
        torch.from_numpy(drawn.targets.keypoints),
        areas,
        POSETRACK15.sigmas,
    )
    assert similarity.argmax(dim=1).tolist() == list(range(len(boxes)))
    assert similarity.diagonal().mean() > 0.6


def test_people_finds_whom_it_looks_at_and_describes_them(pose, drawn):
    assert pose.cfg.MODEL.TOPDOWN.DETECTOR.WEIGHTS == "people"
    (found,) = pose.estimator.estimate([drawn.image])
    assert len(found) >= 2
    assert found.embeddings.shape == (len(found), 128)
    assert found.keypoints.shape[1] == len(pose.estimator.skeleton) == 19
