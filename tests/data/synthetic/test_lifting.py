"""A body that is seen flat gets its depth back: what faces whereto, and which limb is in front."""

from __future__ import annotations

import numpy as np
import pytest
from real_poses import LOOK, body_points, photographed

from fastpose_mtn.data.synthetic.body import POINT
from fastpose_mtn.data.synthetic.lifting import LiftedPose, lift
from fastpose_mtn.skeletons import COCO17

ROWS = [
    POINT[f"{side}_{joint}"]
    for side in "lr"
    for joint in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
]
ACTIONS = ("stand", "walk", "wave", "crouch", "point", "bend")
HEADINGS = (0.0, 0.7, -1.2, np.pi / 2, 2.8, -2.4)


def lifted(action: str, heading: float, phase: float = 0.9) -> tuple[LiftedPose, np.ndarray]:
    """The pose, and the body that it is of in heights from the pelvis."""
    points = body_points(action, heading, phase)
    keypoints = photographed(points, (300, 400), 340)
    back = abs(heading) > np.pi / 2
    if back:  # the ear on the side that is near is all that shows of the face
        near = COCO17.index("right_ear" if np.sin(heading) > 0 else "left_ear")
        keypoints[[i for i in range(5) if i != near]] = 0
    truth = (points - points[POINT["pelvis"]]) / LOOK.height
    return lift(keypoints, keypoints[:, 2] > 0), truth


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("heading", HEADINGS)
def test_what_is_seen_stays_and_gets_the_size_of_its_body(action: str, heading: float) -> None:
    pose, truth = lifted(action, heading)
    assert pose.height == pytest.approx(340, rel=0.15)
    assert pose.points[ROWS, :2] * pose.height / 340 == pytest.approx(truth[ROWS, :2], abs=0.003)  # a pixel
    forward = pose.points[POINT["torso_forward"]][[0, 2]]
    assert forward @ (np.sin(heading), -np.cos(heading)) / np.linalg.norm(forward) > 0.7


@pytest.mark.parametrize("action", ACTIONS)
def test_most_of_the_depth_of_a_drawn_body_comes_back(action: str) -> None:
    lost, depth = 0.0, 0.0
    for heading in HEADINGS:
        pose, truth = lifted(action, heading)
        lost += float(np.abs(pose.points[ROWS, 2] * pose.height / 340 - truth[ROWS, 2]).mean())
        depth += float(np.abs(truth[ROWS, 2]).mean())
    assert lost < 0.6 * depth


@pytest.mark.parametrize(
    ("heading", "facing"), [(0.0, (0, -1)), (1.0, (0.84, -0.54)), (-1.5, (-1, 0)), (np.pi, (0, 1)), (2.3, (0.75, 0.67))]
)  # fmt: skip
def test_trunk_and_face_look_the_same_way(heading: float, facing: tuple[float, float]) -> None:
    pose, _ = lifted("stand", heading)
    for name in ("torso_forward", "head_forward"):
        forward = pose.points[POINT[name]][[0, 2]]
        assert forward / np.linalg.norm(forward) @ facing > 0.8, name


def test_knees_bend_backward_and_elbows_forward() -> None:
    pose, _ = lifted("crouch", 0.0)
    for s in "lr":
        hip, knee, ankle = (pose.points[POINT[f"{s}_{name}"], 2] for name in ("hip", "knee", "ankle"))
        assert knee < hip - 0.1, "facing us, the knees of somebody who crouches are nearer"
        assert ankle > knee + 0.1
    pose, _ = lifted("point", 0.0)
    assert pose.points[POINT["r_wrist"], 2] < pose.points[POINT["r_shoulder"], 2] - 0.15


def test_a_face_tells_where_it_looks() -> None:
    keypoints = photographed(body_points("stand", 0.0), (300, 400), 340)
    keypoints[COCO17.index("left_ear"), 2] = 0
    keypoints[COCO17.index("nose"), 0] += 18  # to the right of the image; the right ear is what is seen
    pose = lift(keypoints, keypoints[:, 2] > 0)
    assert pose.points[POINT["head_forward"], 0] > 0.6
    nose = pose.pelvis_xy + pose.points[POINT["nose"], :2] * (pose.height, -pose.height)
    assert nose == pytest.approx(keypoints[COCO17.index("nose"), :2])


def test_joints_in_one_place_are_still_a_body() -> None:
    keypoints = np.tile([50.0, 60.0, 1.0], (17, 1))
    pose = lift(keypoints, keypoints[:, 2] > 0)
    assert np.isfinite(pose.points).all()
