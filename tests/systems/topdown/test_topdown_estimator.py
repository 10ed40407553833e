"""A detector's boxes to people: crops of several frames together, joints in the frames' pixels."""

import cv2
import numpy as np
import pytest
import torch
from tiny_topdown import FixedDetector, people, topdown_config
from torch import nn

from fastpose_mtn.build import build_estimator, build_network
from fastpose_mtn.ops.crop_coordinates import crop_coordinates
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.skeletons import PERSON19
from fastpose_mtn.systems.topdown.estimator import TopDownEstimator
from fastpose_mtn.systems.topdown.locator import NetworkLocator

FRAME = np.random.default_rng(0).integers(0, 256, (120, 160, 3), dtype=np.uint8)
BOXES = ([20, 10, 60, 100], [70, 20, 120, 110], [-20, 50, 30, 160])


@pytest.fixture
def network():
    torch.manual_seed(0)
    made = build_network(topdown_config())
    nn.init.normal_(made.upsampler.output.weight, std=0.5)
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)
            module.running_var.uniform_(0.5, 2.0)
    return made


def estimator(network, detector=None, *, flip_test=False, precision="fp32", **given):
    locator = NetworkLocator(network, flip_test=flip_test, device="cpu", precision=precision)
    return TopDownEstimator(locator, detector, **given)


def test_joints_are_those_of_the_network_in_the_frames_pixels(network):
    found = estimator(network, padding=1.0).estimate_given(FRAME, np.array([[48, 8, 80, 72]]), np.ones(1))
    crop = torch.from_numpy(FRAME[8:72, 48:80]).permute(2, 0, 1)[
        None
    ]  # 64x32: the crop is the frame's pixels
    with torch.no_grad():
        joints = network.eval().decode(network(crop), torch.tensor([[8.0, 16.0]]))
    expected = joints.positions[0].numpy() * 4 + (48, 8)
    assert found.keypoints[0, :, :2] == pytest.approx(expected, abs=0.01)
    assert found.keypoints[0, :, 2] == pytest.approx(joints.confidences[0].numpy(), abs=1e-4)
    assert found.boxes.tolist() == [[48, 8, 80, 72]]


def test_frames_together_are_frames_one_by_one(network):
    detector = FixedDetector(people(*BOXES, scores=[0.9, 0.8, 0.7]))
    frames = [FRAME, np.ascontiguousarray(FRAME[::-1]), FRAME[:90]]
    together = estimator(network, detector, score="box", pose_batch=4).estimate(frames)
    assert detector.seen == [3]
    one = estimator(network, detector, score="box", pose_batch=1)
    for found, frame in zip(together, frames, strict=True):
        (alone,) = one.estimate([frame])
        assert found.keypoints == pytest.approx(alone.keypoints, abs=1e-3)
        assert found.scores.tolist() == alone.scores.tolist()


def test_a_mirrored_frame_gives_mirrored_joints_with_the_flip_test(network):
    for loss in ("cross_entropy", "integral"):
        other = build_network(topdown_config("MODEL.TOPDOWN.LOSS", loss))
        other.load_state_dict(network.state_dict())
        tested = estimator(other, flip_test=True)
        boxes = np.array([[20, 10, 60, 100]], np.float32)
        plain = tested.estimate_given(FRAME, boxes, np.ones(1))
        mirrored = tested.estimate_given(
            np.ascontiguousarray(FRAME[:, ::-1]), 160 - boxes[:, [2, 1, 0, 3]] * [1, -1, 1, -1] - [0, 160, 0, 160],
            np.ones(1),
        )  # fmt: skip
        expected = plain.keypoints[:, list(PERSON19.flip_permutation)]
        expected[..., 0] = 160 - expected[..., 0]
        assert mirrored.keypoints == pytest.approx(expected, abs=1e-3)


def test_boxes_scores_and_vectors_are_the_detectors(network):
    vectors = np.float32([[1, 0], [0, 1], [0.6, 0.8]])
    detector = FixedDetector(people(*BOXES, scores=[0.3, 0.9, 0.05], embeddings=vectors), embedding_dim=2)
    tested = estimator(network, detector, score="box")
    (found,) = tested.estimate([FRAME])
    assert found.boxes.tolist() == [BOXES[1], BOXES[0]]  # best first, and the third is below the least score
    assert found.scores == pytest.approx([0.9, 0.3])
    assert found.embeddings.tolist() == vectors[[1, 0]].tolist()
    assert tested.embedding_dim == 2
    assert tested.describe(FRAME, found.boxes).shape == (2, 2)
    (best,) = tested.estimate([FRAME], 0.5)
    assert best.boxes.tolist() == [BOXES[1]]
    assert best.keypoints == pytest.approx(found.keypoints[:1], abs=1e-3)
    assert detector.min_scores == [0.1, 0.5]  # nobody below is of use to it either


def test_joints_weigh_in_the_scores(network):
    detector = FixedDetector(people(BOXES[0], scores=[0.8]))
    by = {
        score: estimator(network, detector, score=score).estimate([FRAME])[0]
        for score in ("oks", "product", "mean", "release")
    }
    confidences = by["product"].keypoints[0, :, 2]
    assert by["product"].scores[0] == pytest.approx(0.8 * confidences[confidences > 0.2].mean())
    assert 0 < by["oks"].scores[0] < 0.8
    assert by["mean"].scores[0] == pytest.approx(0.8 * confidences.mean())
    assert by["release"].scores[0] == pytest.approx(0.8 * (confidences.mean() + 0.5) / 1.5)
    with pytest.raises(
        ValueError,
        match=r"MODEL\.TOPDOWN\.SCORE: expected one of product, mean, release, oks, box, got 'sum'",
    ):
        estimator(network, detector, score="sum")


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"padding": 0.0}, r"PADDING: expected a factor above 0, got 0\.0"),
        ({"margins": [1.0, -1.0]}, r"MARGINS: expected two factors above 0, got \[1\.0, -1\.0\]"),
        ({"max_people": 0}, r"DETECTOR\.MAX: expected 1 person or more, got 0"),
        ({"min_box_score": 2.0}, r"DETECTOR\.SCORE_THRESH: expected 0 to 1, got 2\.0"),
        ({"pose_batch": 0}, "POSE_BATCH: expected 1 or more crops, got 0"),
    ],
)
def test_settings_that_would_find_nobody(network, given, text):
    with pytest.raises(ValueError, match=text):
        estimator(network, **given)


def test_who_is_found_twice_is_reported_once(network):
    detector = FixedDetector(people(BOXES[0], BOXES[0], BOXES[1], scores=[0.9, 0.8, 0.7]))
    (found,) = estimator(network, detector, score="box", pose_nms=PoseNMS(PERSON19)).estimate([FRAME])
    assert found.scores == pytest.approx([0.9, 0.7])


KINDS = {
    "nobody": [], "outside": [[500, 500, 600, 700]], "no area": [[5, 5, 5, 5]], "a pixel": [[7, 7, 8, 8]],
    "a line": [[0, 0, 160, 1]], "300": [[4, 4, 90, 110]] * 300,
}  # fmt: skip


@pytest.mark.parametrize(
    ("kind", "pose_batch"), [*((kind, 1) for kind in KINDS if kind != "300"), *((kind, 64) for kind in KINDS)]
)
def test_boxes_of_all_kinds(network, kind, pose_batch):
    boxes = KINDS[kind]
    tested = estimator(network, FixedDetector(people(*boxes)), max_people=300, pose_batch=pose_batch)
    (found,) = tested.estimate([FRAME])
    assert found.keypoints.shape == (len(boxes), 19, 3)
    assert np.isfinite(found.keypoints).all()
    given = tested.estimate_given(FRAME, np.array(boxes, np.float32).reshape(-1, 4), np.ones(len(boxes)))
    assert len(given) == len(boxes)


def test_more_people_than_are_looked_at_are_told_of_once(network, caplog):
    detector = FixedDetector(people(*[BOXES[0]] * 5, scores=[0.5, 0.9, 0.6, 0.8, 0.05]))
    tested = estimator(network, detector, score="box", max_people=3)
    for _ in range(2):
        (found,) = tested.estimate([FRAME])
        assert found.scores == pytest.approx([0.9, 0.8, 0.6])
    (record,) = caplog.records
    assert record.getMessage().startswith("4 people in a frame: joints are located of the best 3 alone")
    caplog.clear()
    estimator(network, detector, max_people=4).estimate([FRAME])
    assert not caplog.records


@pytest.mark.parametrize(("kind", "last_pixel"), [("index", 1), ("megvii", 0)])
def test_crops_of_published_networks_are_opencvs(network, kind, last_pixel):
    """As AlphaPose, Simple Baselines, MSPN and mmpose cut them: a middle on (W / 2, H / 2), sampled, black beside the frame."""
    frame = np.random.default_rng(0).integers(0, 256, (500, 300, 3), dtype=np.uint8)
    box = [-40, 30, 200, 510]  # half of it stays, and it reaches over two sides
    tested = estimator(network, FixedDetector(people(box)), padding=1.25, coordinates=crop_coordinates(kind))
    crops, _ = tested.crops_of(frame)
    width, height = 240 - last_pixel, 480 - last_pixel
    scale = 32 / (1.25 * max(width, height / 2))  # to 32 by 64
    shift = np.array([16, 32]) - scale * (np.array([-40, 30]) + np.array([width, height]) / 2)
    wanted = cv2.warpAffine(frame, np.column_stack((np.diag([scale, scale]), shift)), (32, 64))
    assert (crops[0] == 0).all(axis=2).mean() == pytest.approx((wanted == 0).all(axis=2).mean())
    assert np.abs(crops[0].astype(int) - wanted).max() <= 1  # OpenCV counts in 32nds of a pixel


def test_no_frames_and_no_detector(network):
    assert estimator(network, FixedDetector(people())).estimate([]) == []
    with pytest.raises(ValueError, match=r"no detector: MODEL\.TOPDOWN\.DETECTOR\.WEIGHTS names nobody"):
        estimator(network).estimate([FRAME])
    with pytest.raises(ValueError, match="neither the network nor its detector has an identity head"):
        estimator(network).describe(FRAME, np.zeros((0, 4)))


def test_numbers_that_are_not_finite_are_named(network):
    nn.init.constant_(network.upsampler.output.bias, float("nan"))
    problem = r"the pose network: expected finite joints, got NaN .* for 3 of 3 people, the first in the box \[20\.0, 10\.0"
    with pytest.raises(ValueError, match=problem):
        estimator(network).estimate_given(FRAME, np.array(BOXES), np.ones(3))


def test_half_precision_finds_the_same_joints(network):
    boxes, scores = np.array(BOXES, np.float32), np.ones(3, np.float32)
    exact = estimator(network).estimate_given(FRAME, boxes, scores)
    half = estimator(network, precision="bf16").estimate_given(FRAME, boxes, scores)
    assert np.median(np.abs(half.keypoints[..., :2] - exact.keypoints[..., :2])) < 1.0


def test_a_detector_that_is_none():
    cfg = topdown_config("MODEL.TOPDOWN.DETECTOR.WEIGHTS", "nowhere.safetensors")
    with pytest.raises(ValueError, match=r"weights file not found: nowhere\.safetensors"):
        build_estimator(cfg, build_network(cfg), precision="fp32")
    with pytest.raises(TypeError, match="expected a TopDownNetwork, got Linear"):
        build_estimator(cfg, nn.Linear(1, 1))
