import math

import numpy as np
import pytest

from fastpose_mtn.commands import evaluate_drawn as command
from fastpose_mtn.data.synthetic import SceneConfig, SyntheticFrame, SyntheticScene
from fastpose_mtn.evaluation.drawn_metrics import (
    SyntheticEvaluator,
    longest_run,
    occlusion_gaps,
    persons_shown,
    roc_auc,
)
from fastpose_mtn.skeletons import COCO17, PERSON19, POSETRACK15
from fastpose_mtn.structures import PersonDetections, PersonTargets


def test_auc_by_hand():
    # Of the 6 pairs (visible, hidden) 4 are in order, 1 is a tie and 1 is not.
    assert roc_auc(np.array([0.9, 0.5, 0.4]), np.array([0.4, 0.45])) == pytest.approx((4 + 0.5) / 6)
    assert roc_auc(np.array([0.9]), np.array([0.1, 0.2])) == 1.0
    assert math.isnan(roc_auc(np.array([]), np.array([0.1])))


def test_longest_run():
    assert longest_run(np.array([True, False, True, True, True, False])) == 3
    assert longest_run(np.array([False])) == 0
    assert longest_run(np.zeros(0, bool)) == 0


def test_a_detection_shows_the_person_it_overlaps_most():
    people = np.array([[0, 0, 10, 10], [5, 0, 15, 10]], np.float32)
    detected = np.array([[0, 0, 10, 9], [6, 0, 16, 10], [0, 0, 4, 4], [100, 0, 110, 10]], np.float32)
    assert persons_shown(people, detected).tolist() == [0, 1, -1, -1]
    assert persons_shown(np.zeros((0, 4), np.float32), detected).tolist() == [-1] * 4


def gaps(shares, detected=None):
    shares = np.array([shares], np.float32).T
    seen = range(len(shares)) if detected is None else detected
    shown = [np.array([0]) if i in seen else np.array([-1]) for i in range(len(shares))]
    return list(occlusion_gaps(shares, shown))


def test_gaps_by_hand():
    # Clear, half gone, hidden for 5 frames, half there, clear.
    assert gaps([1, 0.9, 0.3, 0, 0.1, 0.1, 0, 0, 0.3, 0.8]) == [(0, 1, 9)]
    assert gaps([1, 0, 0, 0, 0, 1]) == []  # 4 frames only
    assert gaps([1, 0, 0, 0.2, 0, 0, 0, 1]) == []  # never hidden for 5 frames together
    assert gaps([1, 0, 0, 0, 0, 0]) == []  # never comes back
    assert gaps([0, 0, 0, 0, 0, 1]) == []  # was never there
    assert gaps([1, 0, 0, 0, 0, 0, 0.6, 0, 0, 0, 0, 0, 1]) == [(0, 0, 6), (0, 6, 12)]


def test_a_gap_begins_and_ends_where_the_person_is_detected():
    shares = [1, 1, 0, 0, 0, 0, 0, 1, 1]
    assert gaps(shares, detected=[0, 8]) == [(0, 0, 8)]
    assert gaps(shares, detected=[0, 1]) == []


def frame(boxes, shares, identities, visibility=2.0, ignore=None):
    n = len(boxes)
    keypoints = np.zeros((n, 15, 3), np.float32)
    keypoints[..., :2] = np.array(boxes, np.float32).reshape(n, 2, 2).mean(axis=1)[:, None]
    keypoints[..., 2] = visibility
    targets = PersonTargets(
        np.array(boxes, np.float32).reshape(-1, 4), keypoints, np.array(identities, np.int64).reshape(-1),
        np.zeros(n, bool) if ignore is None else np.array(ignore),
    )  # fmt: skip
    return SyntheticFrame(
        np.zeros((0, 0, 3), np.uint8), targets, np.zeros((n, 4), np.float32), np.array(shares, np.float32)
    )


def detections(boxes, embeddings, confidence=0.5, scores=None):
    keypoints = np.zeros((len(boxes), 15, 3), np.float32)
    keypoints[..., 2] = np.reshape(confidence, (-1, 1)) if np.ndim(confidence) else confidence
    return PersonDetections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.full(len(boxes), 0.9, np.float32) if scores is None else np.array(scores, np.float32),
        keypoints=keypoints,
        embeddings=np.array(embeddings, np.float32).reshape(-1, 2),
    )


A, B = [0, 0, 20, 60], [50, 0, 70, 60]


def sequence(after):
    """Person 0 and then 5 frames of person 1 alone; ``after`` is what is found when 0 is back."""
    frames = [frame([A, B], [1, 1], [0, 1])] + [frame([B], [1], [1])] * 5 + [frame([A, B], [1, 1], [0, 1])]
    found = [detections([A, B], [[1, 0], [0, 1]])] + [detections([B], [[0, 1]])] * 5 + [after]
    config = SceneConfig(size_wh=(100, 80), frame_count=7, people=2)
    evaluator = SyntheticEvaluator()
    evaluator.add_sequence(0, config, frames, found)
    return evaluator.evaluate()


def test_the_right_person_is_nearest():
    metrics = sequence(detections([A, B], [[0.9, 0.1], [0, 1]]))
    assert metrics["reid/rank1"] == 1.0
    assert metrics["reid/queries"] == metrics["reid/queries_contested"] == 1.0
    assert metrics["box/AP"] == pytest.approx(1.0)


def test_another_person_is_nearest():
    assert sequence(detections([A, B], [[0, 1], [0.9, 0.1]]))["reid/rank1"] == 0.0


def test_a_second_detection_of_the_right_person_is_right():
    twice = detections([A, [0, 0, 20, 55], B], [[0, 1], [0.9, 0.1], [0.5, 0.5]])
    assert sequence(twice)["reid/rank1"] == 1.0


def test_weak_detections_of_others_do_not_count():
    alone = sequence(detections([A, B], [[0.5, 0.5], [0.9, 0.1]], scores=[0.9, 0.2]))
    assert alone["reid/rank1"] == 1.0
    assert alone["reid/queries_contested"] == 0.0
    assert math.isnan(alone["reid/rank1_contested"])


def test_confidence_of_joints():
    evaluator = SyntheticEvaluator()
    small, large, ignored = [0, 0, 20, 40], [30, 0, 80, 120], [90, 0, 99, 40]
    visibility = np.full((3, 15), 2.0)
    visibility[0, :5] = 1
    truth = frame([small, large, ignored], [1, 1, 1], [0, 1, 2], visibility, ignore=[False, False, True])
    found = detections([small, large, ignored], np.zeros((3, 2)), confidence=[0.4, 0.8, 0.1])
    evaluator.add_sequence(0, SceneConfig(size_wh=(200, 150), frame_count=1, people=3), [truth], [found])
    metrics = evaluator.evaluate()
    # Visible: 10 joints of 0.4 and 15 of 0.8; hidden: 5 of 0.4, ties with the first 10.
    assert metrics["joints/visibility_auc"] == pytest.approx((15 + 10 * 0.5) / 25)
    assert metrics["joints/confidence_visible"] == pytest.approx((10 * 0.4 + 15 * 0.8) / 25)
    assert metrics["joints/confidence_hidden"] == pytest.approx(0.4)
    assert metrics["joints/confidence_visible_0_50px"] == pytest.approx(0.4)
    assert metrics["joints/confidence_visible_100_200px"] == pytest.approx(0.8)
    assert math.isnan(metrics["joints/confidence_visible_50_100px"])


class Oracle:
    """Finds everybody who can be seen, with the identity as the vector, by drawing the same scenes itself."""

    skeleton = POSETRACK15

    def __init__(self, seeds, config):
        self._truth = iter([f for seed in seeds for f in SyntheticScene(seed, config).frames()])

    def estimate(self, frames, min_score=0.0):
        out = []
        for image in frames:
            truth = next(self._truth)
            assert np.array_equal(image, truth.image)
            t = truth.targets[~truth.targets.ignore]
            joints = POSETRACK15.convert(t.keypoints, self.skeleton)
            joints[..., 2] /= 2
            vectors = np.eye(8, dtype=np.float32)[t.identities]
            out.append(PersonDetections(t.boxes, np.ones(len(t), np.float32), joints, vectors))
        return out


@pytest.mark.parametrize("skeleton", [POSETRACK15, PERSON19], ids=lambda s: s.name)
def test_a_perfect_network_is_perfect(skeleton):
    config = SceneConfig(size_wh=(320, 180), frame_count=40, people=5, occlusion=1.0)
    oracle = Oracle([800_000, 800_001], config)
    oracle.skeleton = skeleton
    metrics = command.evaluate_synthetic(oracle, seeds=[800_000, 800_001], config=config, batch_size=7)
    assert metrics["box/AP"] == pytest.approx(1.0)
    assert metrics["keypoint/AP"] == pytest.approx(1.0)
    assert metrics["joints/visibility_auc"] == 1.0
    assert metrics["reid/rank1"] == 1.0
    assert metrics["reid/queries"] >= 1


def test_another_skeleton_is_refused():
    oracle = Oracle([], SceneConfig())
    oracle.skeleton = COCO17
    with pytest.raises(ValueError, match="skeleton, COCO17, has no head_bottom and no head_top"):
        command.evaluate_synthetic(oracle, seeds=[1], config=SceneConfig())


def test_the_command_reports_a_missing_file_in_one_line(capsys):
    with pytest.raises(SystemExit) as stop:
        command.main(["--weights", "absent.safetensors"])
    assert stop.value.code == 2
    assert capsys.readouterr().err == "error: weights file not found: absent.safetensors\n"


def test_numbers_as_text():
    text = command.metrics_text(
        {"box/AP": 0.5, "box/AP_small": 0.1, "reid/queries": 12.0, "reid/rank1": math.nan}
    )
    assert text.splitlines() == ["box/AP        0.500", "reid/queries  12", "reid/rank1    -"]
