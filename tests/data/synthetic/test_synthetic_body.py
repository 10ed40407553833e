"""Bodies: left is left, feet stand on the ground, and a joint counts as visible only if it is seen."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fastpose_mtn.data.synthetic import body
from fastpose_mtn.data.synthetic.appearance import Appearance, draw_appearance, draw_cast
from fastpose_mtn.data.synthetic.body import POINT
from fastpose_mtn.data.synthetic.brush import PART, Brush
from fastpose_mtn.data.synthetic.figure import Figure, outline_reach
from fastpose_mtn.data.synthetic.person import draw_figure
from fastpose_mtn.data.synthetic.truth import BodyTruth, label_people
from fastpose_mtn.skeletons import POSETRACK15

SIZE = 400  # pixels of the test picture's sides


def plain_look() -> Appearance:
    """Somebody with a bare head in shirt and trousers, without bags."""
    return replace(
        draw_appearance(np.random.default_rng(0)), height=1.7, build=1.0, shoulders=1.0, hips=1.0, hair_style="short",
        hat="none", top="tee", bottom="trousers", bag="none",
    )  # fmt: skip


def pose(action: str, heading: float, look: Appearance, phase: float = 0.0) -> np.ndarray:
    angles = body.action_angles(action, np.array([phase]), np.array([0.0]), left_handed=False)
    return body.to_camera(body.solve(angles, look), np.array([heading]))[0]


def draw(points: np.ndarray, look: Appearance, x: float = 200.0) -> tuple[BodyTruth, np.ndarray, np.ndarray]:
    """Draws a 340 px tall person with the feet at row 370; also who and which part is seen where."""
    scale = 200.0
    xy = np.stack([x + scale * points[:, 0], 370 - scale * points[:, 1]], -1)
    figure = Figure(xy=xy, depth=points[:, 2], axes=points, scale=scale, light=0.3, box=False)
    reach = outline_reach(look, scale)
    x0, y0 = (int(v) for v in np.floor(xy[: body.FIRST_AXIS].min(axis=0) - reach))
    x1, y1 = (int(v) for v in np.ceil(xy[: body.FIRST_AXIS].max(axis=0) + reach))
    mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
    draw_figure(figure, look, Brush(np.zeros((SIZE, SIZE, 3), np.uint8), mask, (x0, y0)))
    part = np.zeros((SIZE, SIZE), np.uint8)
    a, b, c, d = max(x0, 0), max(y0, 0), min(x1, SIZE), min(y1, SIZE)
    part[b:d, a:c] = mask[b - y0 : d - y0, a - x0 : c - x0]
    return BodyTruth(0, figure, mask, (x0, y0)), (part > 0).astype(np.uint8), part


def visibility(truth: BodyTruth, look: Appearance, owner: np.ndarray, part: np.ndarray) -> dict[str, int]:
    targets, _, _ = label_people([truth], [look], owner, part)
    return dict(zip(POSETRACK15.joints, targets.keypoints[0, :, 2].astype(int).tolist(), strict=True))


def test_left_is_the_persons_own_left() -> None:
    look = plain_look()
    front, back, right = (pose("stand", angle, look) for angle in (0.0, np.pi, np.pi / 2))
    for name in ("shoulder", "elbow", "wrist", "hip", "knee", "ankle"):
        left, other = POINT[f"l_{name}"], POINT[f"r_{name}"]
        assert front[left, 0] > front[other, 0], "facing us, the left side is on the image's right"
        assert back[left, 0] < back[other, 0]
        assert right[left, 2] > right[other, 2], "walking to the image's right, the left side is the far one"
    assert front[POINT["nose"], 2] < front[POINT["head"], 2], "facing us, the nose is nearer than the head"
    assert right[POINT["nose"], 0] > right[POINT["head"], 0]


@pytest.mark.parametrize("action", body.ACTIONS)
def test_feet_stand_on_the_ground_and_limbs_keep_their_length(action: str) -> None:
    look = plain_look()
    for phase in (0.0, 1.0, 2.5, 4.0):
        points = pose(action, 0.4, look, phase)
        feet = points[[POINT[f"{s}_{p}"] for s in "lr" for p in ("heel", "toe")], 1]
        assert -0.001 <= feet.min() <= 0.1
        thigh = np.linalg.norm(points[POINT["l_knee"]] - points[POINT["l_hip"]])
        assert thigh == pytest.approx(body.THIGH * 1.7)
        forearm = np.linalg.norm(points[POINT["r_wrist"]] - points[POINT["r_elbow"]])
        assert forearm == pytest.approx(body.FOREARM * 1.7)
    if action == "stand":
        # Shares of the height: 0.245 + 0.240 leg, 0.292 trunk, 0.040 neck, 0.142 head, 0.03 to 0.05 foot.
        assert points[POINT["head_top"], 1] == pytest.approx(1.7, rel=0.03)
    if action == "crouch":
        assert points[POINT["head_top"], 1] < 1.3
    if action == "cheer":
        assert min(points[POINT["l_wrist"], 1], points[POINT["r_wrist"], 1]) > points[POINT["head_top"], 1]


def test_walking_swings_the_legs_against_each_other() -> None:
    look = plain_look()
    first, second = pose("walk", np.pi / 2, look, np.pi / 2), pose("walk", np.pi / 2, look, 3 * np.pi / 2)
    assert first[POINT["l_ankle"], 0] > 0.2 > -0.2 > first[POINT["r_ankle"], 0]
    assert second[POINT["r_ankle"], 0] > 0.2 > -0.2 > second[POINT["l_ankle"], 0]
    assert first[POINT["r_wrist"], 0] > first[POINT["l_wrist"], 0], "the arm goes with the other side's leg"


def test_everything_of_somebody_who_faces_us_is_visible() -> None:
    look = plain_look()
    truth, owner, part = draw(pose("wave", 0.0, look), look)
    assert set(visibility(truth, look, owner, part).values()) == {2}


def test_an_occluder_hides_what_is_behind_it() -> None:
    look = plain_look()
    truth, owner, part = draw(pose("wave", 0.0, look), look)
    whole = int(owner.sum())
    knee_row = int(truth.figure.xy[POINT["l_knee"], 1])
    owner[knee_row - 12 :] = 255  # a wall up to just above the knees
    seen = visibility(truth, look, owner, part)
    assert {name for name, v in seen.items() if v == 1} == {
        "left_knee", "right_knee", "left_ankle", "right_ankle",
    }  # fmt: skip
    targets, _, shares = label_people([truth], [look], owner, part)
    assert shares[0] == pytest.approx((owner == 1).sum() / whole)
    assert 0.5 < shares[0] < 0.9
    assert targets.boxes[0, 3] > knee_row + 60, "the box is amodal: it reaches down to the hidden feet"
    assert not targets.ignore[0]


def test_another_person_in_front_hides_joints_even_with_the_same_body_part() -> None:
    look = plain_look()
    truth, owner, part = draw(pose("wave", 0.0, look), look)
    owner[owner == 1] = 2  # the very same pixels, but they belong to person 1
    owner[:4, :4] = 1  # a bit of person 0 shows, so that they are listed
    targets, _, shares = label_people([truth], [look], owner, part)
    assert set(targets.keypoints[0, :, 2].tolist()) == {1.0}
    assert targets.ignore[0]
    assert shares[0] < 0.01


def test_somebody_wholly_hidden_is_not_listed() -> None:
    look = plain_look()
    truth, owner, part = draw(pose("stand", 0.0, look), look)
    targets, heads, shares = label_people([truth], [look], np.full_like(owner, 255), part)
    assert (len(targets), len(heads), len(shares)) == (0, 0, 0)


def test_a_bag_at_the_edge_is_not_a_person() -> None:
    look = replace(plain_look(), bag="hand")
    truth, owner, part = draw(pose("stand", 0.0, look), look)
    bag = truth.mask == PART["carried"]
    assert bag.any()
    only_bag = replace(truth, mask=np.where(bag, truth.mask, 0).astype(np.uint8))
    assert len(label_people([only_bag], [look], owner, part)[0]) == 0


def test_the_own_body_hides_joints() -> None:
    look = plain_look()
    seen_from_behind = visibility(*swap(draw(pose("stand", np.pi, look), look), look))
    assert seen_from_behind["nose"] == 1
    assert seen_from_behind["head_top"] == 2
    assert seen_from_behind["left_shoulder"] == seen_from_behind["right_shoulder"] == 2
    to_the_right = visibility(*swap(draw(pose("stand", np.pi / 2, look), look), look))
    assert to_the_right["nose"] == 2
    assert (to_the_right["right_shoulder"], to_the_right["left_shoulder"]) == (2, 1)
    assert (to_the_right["right_elbow"], to_the_right["left_elbow"]) == (2, 1)
    assert to_the_right["left_hip"] == 1


def swap(
    drawn: tuple[BodyTruth, np.ndarray, np.ndarray], look: Appearance
) -> tuple[BodyTruth, Appearance, np.ndarray, np.ndarray]:
    truth, owner, part = drawn
    return truth, look, owner, part


def test_joints_outside_the_image_are_unlabelled() -> None:
    look = plain_look()
    truth, owner, part = draw(pose("stand", 0.0, look), look, x=2.0)  # the right half lies beyond the edge
    targets, _, _ = label_people([truth], [look], owner, part)
    right = targets.keypoints[0, POSETRACK15.index("right_shoulder")]
    assert right.tolist() == [0.0, 0.0, 0.0]
    assert targets.keypoints[0, POSETRACK15.index("left_shoulder"), 2] == 2
    assert targets.boxes[0, 0] == 0.0


def test_look_alikes_are_similar_but_not_equal() -> None:
    casts = [draw_cast(seed, 12) for seed in range(60)]
    pairs, people = 0, 0
    for cast in casts:
        people += len(cast)
        for i, look in enumerate(cast):
            for other in cast[:i]:
                near = np.abs(np.subtract(look.top_colour, other.top_colour)).max() < 60
                if near and (look.top, look.pattern, look.bottom) == (other.top, other.pattern, other.bottom):
                    assert look != other
                    pairs += 1
                    break
    assert 0.08 < pairs / people < 0.28  # about one in six
