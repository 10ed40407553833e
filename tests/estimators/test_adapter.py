"""Frames of any size through an estimator that finds coloured rectangles: it stands for any network."""

import numpy as np
import pytest
from rectangles import RectangleEstimator, scene

from fastpose_mtn import available_memory
from fastpose_mtn.config import get_cfg
from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators import adapter as adapter_module
from fastpose_mtn.estimators.adapter import FrameAdapter
from fastpose_mtn.estimators.views import View
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections

FRAME = scene((48, 64), red=(8, 8, 20, 40), green=(50, 4, 60, 44))
FIELDS = ("boxes", "scores", "keypoints", "embeddings")
BOXES = [[8, 8, 20, 40], [50, 4, 60, 44]]


class Network(RectangleEstimator):
    """Remembers the images that it was given; its people come worst first."""

    def __init__(self):
        super().__init__()
        self.images, self.located = [], []

    def find(self, images):
        self.images += images
        people = [PersonDetections(p.boxes, p.scores - 0.1 * np.arange(len(p), dtype=np.float32), p.keypoints, p.embeddings)
                  for p in self.estimate(images)]  # fmt: skip
        return [one[::-1] for one in people]

    def locate(self, image, boxes, scores):
        """Joints in the middle of the boxes, vectors that are the boxes."""
        self.images.append(image)
        self.located.append(boxes)
        middle = (boxes[:, :2] + boxes[:, 2:]) / 2
        keypoints = np.full((len(boxes), 15, 3), 0.5, np.float32)
        keypoints[..., :2] = middle[:, None]
        return PersonDetections(boxes, scores * 0.5, keypoints, boxes)


@pytest.mark.parametrize(
    "views", [(View(),), (View(96),), (View(96, 0, True),), (View(24), View(96), View(48, 0, True))]
)
def test_people_come_back_in_the_frames_pixels_best_first(views):
    network = Network()
    adapter = FrameAdapter(POSETRACK15, views=views)
    found, nobody = adapter.estimate([FRAME, scene((30, 20))], network.find)
    assert [image.shape[0] for image in network.images[::2]] == [view.min_size or 48 for view in views]
    np.testing.assert_allclose(found.boxes, BOXES, atol=2.1 if len(views) > 1 else 0.6)
    assert found.scores.tolist() == pytest.approx([0.95, 0.85])
    assert found.embeddings.argmax(axis=1).tolist() == [0, 1]
    assert len(nobody) == 0
    assert adapter.estimate([], network.find) == []


def test_a_mirrored_view_swaps_left_and_right():
    straight, mirrored = (
        FrameAdapter(POSETRACK15, views=(View(0, 0, flag),)).estimate([FRAME], Network().find)[0]
        for flag in (False, True)
    )
    np.testing.assert_array_equal(straight.boxes, mirrored.boxes)
    swapped = straight.keypoints[:, list(POSETRACK15.flip_permutation)]
    np.testing.assert_allclose(mirrored.keypoints, swapped, atol=1e-4)


@pytest.mark.parametrize("size", [0, 96])
def test_given_people_keep_their_order_and_their_boxes(size):
    network = Network()
    adapter = FrameAdapter(POSETRACK15, views=(View(size, 0, True), View(200)))
    outside = [-6.0, 10.0, 10.0, 30.0]
    given = np.array([BOXES[1], outside, BOXES[0]])  # float64, as callers may have them
    people = adapter.estimate_given(FRAME, given, [0.2, 0.8, 0.4], network.locate)
    np.testing.assert_array_equal(people.boxes, given)
    assert people.scores.tolist() == pytest.approx([0.1, 0.4, 0.2])
    np.testing.assert_allclose(people.keypoints[:, 0, :2], [[55, 24], [2, 20], [14, 24]], atol=1e-4)
    scale = (size or 48) / 48
    np.testing.assert_allclose(network.located[0], given * scale, rtol=1e-6)
    assert network.images[0].shape[0] == (size or 48)
    np.testing.assert_array_equal(network.images[0][0, :3], FRAME[0, :3])  # not mirrored
    np.testing.assert_allclose(adapter.describe(FRAME, given, network.locate), given * scale, rtol=1e-6)
    assert adapter.describe(FRAME, np.zeros((0, 4)), network.locate).shape == (0, 4)


def test_people_found_twice_are_reported_once():
    """In every view, and after views were merged; who is given is reported however many are like them."""
    network = Network()

    def find_twice(images):
        found = network.find(images)
        moved = [PersonDetections(p.boxes + 2, p.scores / 2, p.keypoints + 0, p.embeddings) for p in found]
        return [
            PersonDetections(*(np.concatenate([getattr(one, name), getattr(two, name)]) for name in FIELDS))
            for one, two in zip(found, moved, strict=True)
        ]

    for views in ((View(),), (View(), View(96))):
        plain = FrameAdapter(POSETRACK15, views, nms_thresh=0.9)
        suppressing = FrameAdapter(POSETRACK15, views, nms_thresh=0.9, pose_nms=PoseNMS(POSETRACK15))
        assert len(plain.estimate([FRAME], find_twice)[0]) >= 4
        assert suppressing.estimate([FRAME], find_twice)[0].scores.tolist() == pytest.approx([0.95, 0.85])
    assert len(suppressing.estimate_given(FRAME, np.array([BOXES[0]] * 2), np.ones(2), network.locate)) == 2


def test_reaching_the_limit_of_people_is_said_once_with_its_key(caplog):
    adapter = FrameAdapter(POSETRACK15, max_people=2)
    adapter.estimate([scene(red=(8, 8, 20, 40))], Network().find)
    assert not caplog.messages
    for _ in range(3):
        adapter.estimate([FRAME, FRAME], Network().find)
    assert caplog.messages == [
        "an image has 2 people, as many as are reported: others may be left out; "
        "raise TEST.DETECTIONS_PER_IMAGE to find more"
    ]


@pytest.mark.parametrize(("factor", "told"), [(1.0, True), (0.01, False)])
def test_several_views_and_unlikely_people_at_the_limit(caplog, factor, told):
    """Merged views reach it where none does alone; boxes that are hardly people fill it without a word."""

    def find_one(images):
        people = Network().find(images)
        weak = [
            PersonDetections(p.boxes, p.scores * np.float32(factor), p.keypoints, p.embeddings)
            for p in people
        ]
        return [p[:1] if images[0].shape[0] == 48 else p[1:] for p in weak]

    adapter = FrameAdapter(POSETRACK15, views=(View(), View(96)), max_people=2)
    assert len(adapter.estimate([FRAME], find_one)[0]) == 2
    assert bool(caplog.messages) == told


def test_images_that_do_not_fit_into_memory_together_go_one_after_the_other(monkeypatch):
    """Two of 1000x2000 pixels at 100 bytes need 0.4 GB, one alone 0.2."""

    def free(count):
        for module in (adapter_module, available_memory):
            monkeypatch.setattr(module, "available_bytes", lambda: count)

    adapter = FrameAdapter(POSETRACK15, bytes_per_pixel=100)
    frames = [scene((1000, 2000), red=(8, 8, 200, 400))] * 2
    # the system is asked again after a second, and whenever its last answer was no
    cases = ((10**9, 0.0, [2]), (3 * 10**8, 0.9, [2]), (3 * 10**8, 1.1, [1, 1]), (10**9, 1.2, [2]))
    for count, now, batches in cases:
        free(count)
        monkeypatch.setattr(adapter_module.time, "monotonic", lambda now=now: now)
        network = Network()
        assert [len(people) for people in adapter.estimate(frames, network.find)] == [1, 1]
        assert network.batches == batches
    free(10**8)
    monkeypatch.setattr(adapter_module.time, "monotonic", lambda: 9.0)
    message = (
        r"the network's view of a frame, 2000x1000 pixels, needs 0\.2 GB of memory, and 0\.1 GB are free; "
        "make it smaller with --image-size"
    )
    with pytest.raises(InputError, match=message):
        adapter.estimate(frames, network.find)
    with pytest.raises(InputError, match=message):
        adapter.estimate_given(frames[0], np.array(BOXES), np.ones(2), network.locate)
    smaller = FrameAdapter(POSETRACK15, views=(View(100),), bytes_per_pixel=100)
    assert len(smaller.estimate(frames, network.find)) == 2


def test_bad_input_is_told():
    network = Network()
    adapter = FrameAdapter(POSETRACK15)
    with pytest.raises(
        ValueError, match=r"frame 1: expected an RGB image \(H, W, 3\) of uint8, got \(4, 4\) float64"
    ):
        adapter.estimate([FRAME, np.zeros((4, 4))], network.find)
    with pytest.raises(ValueError, match=r"frame 0: expected an RGB image"):
        adapter.describe(FRAME[..., 0], np.array(BOXES), network.locate)
    with pytest.raises(ValueError, match=r"boxes: expected x1 <= x2"):
        adapter.estimate_given(FRAME, np.array(BOXES)[:, ::-1], [0.5, 0.5], network.locate)
    with pytest.raises(ValueError, match=r"scores: expected shape \(2\) float32, got \(1,\)"):
        adapter.estimate_given(FRAME, np.array(BOXES), [0.5], network.locate)

    def without_vectors(image, boxes, scores):
        people = network.locate(image, boxes, scores)
        return PersonDetections(people.boxes, people.scores, people.keypoints)

    with pytest.raises(ValueError, match="no identity head: MODEL.REID_ON True"):
        adapter.describe(FRAME, np.array(BOXES), without_vectors)


def test_what_the_configuration_says():
    cfg = get_cfg()
    cfg.merge_from_list(["MODEL.ROI_HEADS.NMS_THRESH_TEST", "0.4", "TEST.DETECTIONS_PER_IMAGE", "7"])
    adapter = FrameAdapter.from_config(cfg)
    assert adapter.views == (View(600, 1000),)
    assert adapter.pose_nms == PoseNMS(POSETRACK15, reach=0.08, share=1 / 3)
    assert (adapter.nms_thresh, adapter.max_people, adapter.skeleton) == (0.4, 7, POSETRACK15)
