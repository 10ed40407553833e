"""The one-stage weights that come with the package."""

import numpy as np
import pytest
import torch

from fastpose_mtn.build import build_pose_tracking
from fastpose_mtn.checkpoints.loading import weights_file
from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.ops.oks import object_keypoint_similarity
from fastpose_mtn.skeletons import POSETRACK15


@pytest.fixture(scope="module")
def pose():
    return build_pose_tracking(weights="posedet-s", device="cpu", precision="fp32")


DRAWN = "synthetic://v?seeds=700100&frames=8&people=3&occlusion=0"


def drawn_people(pose, frame):
    """People found in a frame, and their similarity (found, drawn) with those who were drawn."""
    drawn = build_dataset(DRAWN, training=False)[frame]
    (found,) = pose.estimator.estimate([drawn.image])
    seen = found[found.scores >= pose.cfg.TRACKER.MIN_SCORE]
    areas = torch.from_numpy(0.53 * np.prod(drawn.targets.boxes[:, 2:] - drawn.targets.boxes[:, :2], axis=1))
    similarity = object_keypoint_similarity(
        torch.from_numpy(pose.estimator.skeleton.convert(seen.keypoints, POSETRACK15)),
        torch.from_numpy(drawn.targets.keypoints),
        areas,
        POSETRACK15.sigmas,
    )
    return seen, similarity


def test_it_is_small_enough_for_the_package():
    assert weights_file("posedet-s").stat().st_size <= 12e6


def test_it_finds_drawn_people_whom_it_hardly_trained_on(pose):
    _, similarity = drawn_people(pose, 0)
    assert (similarity.amax(dim=0) > 0.5).sum() >= 2


def test_it_knows_them_again(pose):
    """Of three people each is more like themself, seven frames later, than like the others."""
    vectors = []
    for frame in (0, 7):
        seen, similarity = drawn_people(pose, frame)
        vectors.append(seen.embeddings[similarity.argmax(dim=0).numpy()])
        np.testing.assert_allclose(np.linalg.norm(vectors[-1], axis=1), 1.0, atol=1e-3)
    alike = vectors[0] @ vectors[1].T
    assert alike.shape == (3, 3)
    assert alike.diagonal().min() > alike[~np.eye(3, dtype=bool)].max() + 0.1
