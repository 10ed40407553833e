import numpy as np
import pytest
from labelled_images import LEFT_WRIST, labelled

from fastpose_mtn.data.transforms.augment import flip_horizontally
from fastpose_mtn.data.transforms.geometry import clip_targets, crop_resize_pad, scale_targets
from fastpose_mtn.data.transforms.rotation import Rotation
from fastpose_mtn.skeletons import POSETRACK15

GREY = (124, 116, 104)


def test_crop_resize_pad_by_hand(person):
    # Window (4, 2)-(24, 22), doubled to 40x40, on a 60x80 canvas: half of the 40 columns that are left
    # to the left, all of the 20 rows that are left above.
    out = crop_resize_pad(person, (4, 2, 24, 22), 2.0, (60, 80), GREY, (0.5, 1.0))
    assert out.image.shape == (60, 80, 3)
    assert out.image[0, 0].tolist() == list(GREY)
    # x: (5 - 4) * 2 + 20 = 22, (25 - 4) * 2 + 20 = 62 cut to 60; y: (4 - 2) * 2 + 20 = 24, 72 cut to 60.
    assert out.targets.boxes.tolist() == [[22, 24, 60, 60]]
    # Left wrist: ((9.5 - 4) * 2 + 20, (12.5 - 2) * 2 + 20); the pixel there is part of the bright spot.
    assert out.targets.keypoints[0, LEFT_WRIST].tolist() == [31, 41, 2]
    bright = np.argwhere(out.image[20:, 20:60, 0] > 90) + np.array([20, 20])
    assert (bright.mean(axis=0) + 0.5).tolist() == [41, 31]


def test_labels_follow_the_rounded_size(person):
    out = crop_resize_pad(person, (0, 0, 40, 30), 0.33, None, GREY, (0, 0))
    assert out.image.shape == (10, 13, 3)  # 9.9 and 13.2 rounded
    assert out.targets.boxes[0, 2] == pytest.approx(25 * 13 / 40)
    assert out.targets.boxes[0, 3] == pytest.approx(28 * 10 / 30)


def test_people_cut_off_are_dropped_or_ignored():
    boxes = [[0, 0, 10, 10], [0, 0, 100, 10], [50, 0, 60, 10], [48, 2, 53, 8]]
    keypoints = np.zeros((4, 15, 3), np.float32)
    keypoints[1, :2] = [[20, 5, 2], [50, 5, 2]]
    targets = labelled(
        np.zeros((20, 100, 3), np.uint8), boxes, keypoints, [False, False, False, True]
    ).targets
    out = clip_targets(targets, (0, 0, 50, 20))
    assert out.identities.tolist() == [0, 1, 3]  # person 2 lies outside
    assert out.boxes[1].tolist() == [0, 0, 50, 10]
    assert out.ignore.tolist() == [False, False, True]
    assert out.keypoints[1, 0].tolist() == [20, 5, 2]
    assert out.keypoints[1, 1].tolist() == [0, 0, 0]  # x = 50 is the first column outside
    assert clip_targets(targets, (0, 0, 20, 20)).ignore.tolist() == [False, True]  # a fifth of person 1


def test_a_box_too_thin_for_single_precision_is_ignored_and_not_an_error():
    """0.0001 pixels wide: between two neighbouring numbers where the image is mirrored or moved."""
    image = labelled(np.zeros((8, 1024, 3), np.uint8), [[0.5, 1, 0.50001, 7], [2, 1, 9, 7]])
    for targets in (
        flip_horizontally(image, POSETRACK15).targets,
        scale_targets(image.targets, np.ones(2, np.float32), np.array([800, 0], np.float32)),
        Rotation(90.0, (1024, 8)).targets(image.targets),
    ):
        thin = targets.boxes[:, 2] - targets.boxes[:, 0] < 1e-3
        assert targets.ignore[thin].all()
