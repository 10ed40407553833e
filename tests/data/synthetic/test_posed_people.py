"""Scenes whose people take poses, sizes and places from label files; and scenes that do not, which stay as they were."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from real_poses import standing, write_json

from fastpose_mtn.data.synthetic import PosePrior, SceneConfig, SyntheticScene
from fastpose_mtn.data.synthetic.body import POINT
from fastpose_mtn.data.synthetic.pose_prior_file import read_pose_prior
from fastpose_mtn.data.synthetic.torso import torso_surface
from fastpose_mtn.skeletons import COCO17, POSETRACK15

SIZE = (320, 240)
STILL = SceneConfig(size_wh=SIZE, frame_count=20, people=2, occlusion=0.0, camera_motion=0.0)
JOINTS = [joint for joint in POSETRACK15.joints if joint in COCO17.joints]
OURS, COCOS = ([skeleton.index(joint) for joint in JOINTS] for skeleton in (POSETRACK15, COCO17))
PAIR = [standing(90, 210, 150, "walk", 0.8), standing(220, 200, 120, "wave", -0.4)]
PAIR_RIGHT, PAIR_UP = ([person + np.array(by) for person in PAIR] for by in ((40, 5, 0), (20, -5, 0)))


def prior_of(folder: Path, *images: list[np.ndarray], size_wh: tuple[int, int] = SIZE) -> PosePrior:
    return read_pose_prior(write_json(folder / "poses.json", list(images), [size_wh] * len(images)), "test")


def labelled_by_height(scene: SyntheticScene, index: int = 0) -> np.ndarray:
    """(N, 15, 3) the tallest first."""
    targets = scene.frame(index).targets
    return targets.keypoints[np.argsort(-np.ptp(targets.boxes[:, 1::2], axis=1))]


def visible_shares(scene: SyntheticScene) -> list[float]:
    """The tallest first."""
    frame = scene.frame(0)
    order = np.argsort(-np.ptp(frame.targets.boxes[:, 1::2], axis=1))
    return frame.visible_share[order].tolist()


def test_the_first_frame_has_the_labels_poses_sizes_and_places(tmp_path: Path) -> None:
    drawn = labelled_by_height(SyntheticScene(3, STILL, prior_of(tmp_path, PAIR)))
    assert len(drawn) == 2
    for person, label in zip(drawn, PAIR, strict=True):
        assert (person[OURS, 2] > 0).all()
        assert person[OURS, :2] == pytest.approx(label[COCOS, :2] + 0.5, abs=0.02)


def test_an_image_of_another_shape_keeps_its_proportions(tmp_path: Path) -> None:
    """A photograph of 160x240 lies somewhere in the middle of a frame of 320x240, of 320x480 at half its size."""
    high = [standing(60, 210, 150)]
    for scale in (1, 2):
        label = high[0] * (scale, scale, 1)
        prior = prior_of(tmp_path, [label], size_wh=(160 * scale, 240 * scale))
        lefts = []
        for seed in range(6):
            config = SceneConfig(**{**vars(STILL), "people": 1})
            (person,) = labelled_by_height(SyntheticScene(seed, config, prior))
            moved = person[OURS, :2] - (label[COCOS, :2] + 0.5) / scale
            assert moved == pytest.approx(np.tile(moved[0], (len(OURS), 1)), abs=0.02)
            assert moved[0, 1] == pytest.approx(0, abs=0.02)
            lefts.append(moved[0, 0])
        assert 0 <= min(lefts) < max(lefts) <= 160
        assert max(lefts) - min(lefts) > 40


def test_who_is_hidden_in_the_photograph_is_hidden(tmp_path: Path) -> None:
    """The larger one stands behind, against the rule that the larger is the nearer."""
    behind, front = standing(150, 225, 200), standing(158, 215, 160)
    behind[COCOS[1:5], 2] = 1
    larger, smaller = visible_shares(SyntheticScene(0, STILL, prior_of(tmp_path, [behind, front])))
    assert larger < 0.7
    assert smaller == 1
    behind[:, 2] = 2
    larger, smaller = visible_shares(SyntheticScene(0, STILL, prior_of(tmp_path, [behind, front])))
    assert larger == 1
    assert smaller < 0.7


def test_people_move_about_their_pose(tmp_path: Path) -> None:
    scene = SyntheticScene(5, STILL, prior_of(tmp_path, PAIR))
    first, last = labelled_by_height(scene, 0), labelled_by_height(scene, 19)
    moved = np.linalg.norm(last[..., :2] - first[..., :2], axis=-1).max(axis=1)
    assert (moved > 1.0).all()
    assert (moved < 0.5 * np.array([150, 120])).all()
    step = np.linalg.norm(labelled_by_height(scene, 1)[..., :2] - first[..., :2], axis=-1)
    assert step.max() < 0.06 * 150


def test_the_seed_decides(tmp_path: Path) -> None:
    prior = prior_of(tmp_path, PAIR, PAIR_RIGHT, PAIR_UP)
    frames = [SyntheticScene(seed, STILL, prior).frame(7) for seed in range(8)]
    again = SyntheticScene(4, STILL, prior).frame(7)
    assert np.array_equal(again.image, frames[4].image)
    assert np.array_equal(again.targets.keypoints, frames[4].targets.keypoints)
    places = {round(float(f.targets.keypoints[:, OURS[1], 0].mean()) / 10) for f in frames}
    assert len(places) > 1, "seeds take different images"


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_people_may_lie_or_stand_on_their_heads(tmp_path: Path, turns: int) -> None:
    """The trunk's clothes are as wide along a lying body as on a standing one."""
    upright = standing(160, 200, 150)
    turned = upright.copy()
    for _ in range(turns):
        turned[:, 0], turned[:, 1] = turned[:, 1].copy() + 40, 280 - turned[:, 0]
    config = SceneConfig(**{**vars(STILL), "people": 1})

    def width(label: np.ndarray) -> float:
        scene = SyntheticScene(1, config, prior_of(tmp_path, [label]))
        (person,) = labelled_by_height(scene)
        assert person[OURS, :2] == pytest.approx(label[COCOS, :2] + 0.5, abs=0.02)
        figure, look = scene.pose(0, 0), scene.cast[0]
        at, _ = torso_surface(figure, look, 150.0, 150.0)
        across = at(1.0, 0.6) - at(0.0, 0.6)
        trunk = figure.xy[POINT["chest"]] - figure.xy[POINT["pelvis"]]
        assert abs(across @ trunk) < 0.3 * np.linalg.norm(across) * np.linalg.norm(trunk)
        return float(np.linalg.norm(across))

    assert width(turned) == pytest.approx(width(upright), rel=0.05)


def test_without_poses_a_seed_draws_what_it_always_drew() -> None:
    """Numbers of the version before there were poses; colours in blocks, which no library's rounding moves."""
    config = SceneConfig(size_wh=SIZE, frame_count=12, people=4, occlusion=0.4)
    frame = SyntheticScene(7, config).frame(5)
    boxes = [[12, 44, 97, 231], [176, 38, 242, 214], [57, 49, 125, 213]]
    assert frame.targets.boxes == pytest.approx(np.array(boxes), abs=1.01)
    left_shoulders = [[69.12, 74.3, 1.0], [192.53, 74.73, 2.0], [93.34, 76.55, 1.0]]
    assert frame.targets.keypoints[:, POSETRACK15.index("left_shoulder")] == pytest.approx(
        np.array(left_shoulders), abs=0.01
    )
    blocks = frame.image.reshape(3, 80, 4, 80, 3).mean(axis=(1, 3, 4))
    assert blocks == pytest.approx(
        np.array([[120.8, 101.8, 102.1, 127.0], [82.0, 80.7, 87.0, 91.0], [74.2, 75.1, 78.5, 84.3]]), abs=0.5
    )
