from dataclasses import replace

import cv2
import numpy as np
import pytest

from fastpose_mtn.data.sample import TASKS, LabelledImage
from fastpose_mtn.data.transforms.augment import RandomScaleCrop
from fastpose_mtn.data.transforms.rotation import RandomRotation, Rotation
from fastpose_mtn.data.transforms.sifp import SIFP
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonTargets

NOSE, WRIST = POSETRACK15.index("nose"), POSETRACK15.index("left_wrist")
GREY = (124, 116, 104)


def labelled(size_hw, boxes, joints=(), ignore=None):
    """Joints: (person, joint, x, y, v); the pixel below each visible one is white."""
    image = np.zeros((*size_hw, 3), np.uint8)
    keypoints = np.zeros((len(boxes), 15, 3), np.float32)
    for person, joint, x, y, v in joints:
        keypoints[person, joint] = x, y, v
        image[int(y), int(x)] = 255
    targets = PersonTargets(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        keypoints=keypoints,
        identities=np.arange(len(boxes)),
        ignore=np.zeros(len(boxes), bool) if ignore is None else np.array(ignore),
    )
    return LabelledImage(image, targets, TASKS, image_id=7, file_name="a.jpg")


def rotate(image, degrees, fill_rgb):
    """The whole image turned, at its own size."""
    height, width = image.image.shape[:2]
    turn = Rotation(degrees, (width, height), fill_rgb)
    pixels = turn.window(image.image, (0, 0, width, height), (width, height))
    return replace(image, image=pixels, targets=turn.targets(image.targets))


def test_a_quarter_turn_by_hand():
    """Counter-clockwise about (30, 20): (x, y) comes to (30 + y - 20, 20 - x + 30)."""
    image = labelled((40, 60), [[20, 5, 40, 35], [22, 10, 26, 20]], [(0, NOSE, 34.5, 12.5, 2)], [False, True])
    turned = rotate(image, 90, GREY)
    np.testing.assert_allclose(turned.targets.boxes, [[15, 10, 45, 30], [20, 24, 30, 28]], atol=1e-4)
    np.testing.assert_allclose(turned.targets.keypoints[0, NOSE], [22.5, 15.5, 2], atol=1e-4)
    assert turned.image[15, 22].tolist() == [255, 255, 255]
    assert turned.image[0, 0].tolist() == list(GREY)  # a corner that came in
    assert turned.targets.keypoints[0, WRIST].tolist() == [0, 0, 0]
    assert image.image[12, 34, 0] == 255  # the argument is as it was


@pytest.mark.parametrize("degrees", [-70, -20, 10, 45])
def test_a_joint_stays_on_its_pixel(degrees):
    image = labelled((81, 101), [[10, 10, 90, 70]], [(0, NOSE, 35.5, 40.5, 2)])
    turned = rotate(image, degrees, (0, 0, 0))
    weights = turned.image[..., 0].astype(float)
    rows, columns = np.mgrid[:81, :101] + 0.5
    spot = (columns * weights).sum() / weights.sum(), (rows * weights).sum() / weights.sum()
    np.testing.assert_allclose(turned.targets.keypoints[0, NOSE, :2], spot, atol=0.1)


def test_boxes_do_not_grow_with_every_turn():
    """A box of 40 x 20 turned by 45 degrees is as wide and as high as the ellipse in it; an ignored one keeps its corners."""
    image = labelled((200, 200), [[80, 90, 120, 110]] * 2, ignore=[False, True])
    person, ignored = rotate(image, 45, GREY).targets.boxes
    side = 2 * np.sqrt((20**2 + 10**2) / 2)
    np.testing.assert_allclose(person[2:] - person[:2], [side, side], rtol=1e-5)
    np.testing.assert_allclose(ignored[2:] - ignored[:2], [60 / np.sqrt(2)] * 2, rtol=1e-5)
    cornered = labelled((200, 200), [[80, 90, 120, 110]], [(0, NOSE, 120, 90, 1)])
    box = rotate(cornered, 45, GREY).targets.boxes[0]
    np.testing.assert_allclose(
        box[1], 100 - (20 + 10) / np.sqrt(2), rtol=1e-5
    )  # the joint in the corner is inside


def test_a_full_circle_changes_nothing():
    image = labelled((41, 61), [[20, 5, 40, 35]], [(0, NOSE, 34.5, 12.5, 2)])
    for degrees in (0, 360):
        turned = rotate(image, degrees, GREY)
        assert np.array_equal(turned.image, image.image)
        np.testing.assert_allclose(turned.targets.boxes, image.targets.boxes, atol=1e-4)
        np.testing.assert_allclose(turned.targets.keypoints, image.targets.keypoints, atol=1e-4)


def test_who_leaves_the_image_is_dropped_or_ignored():
    image = labelled(
        (40, 100),
        [[0, 0, 8, 8], [30, 10, 50, 30], [0, 12, 48, 28]],
        [(0, NOSE, 2, 2, 2), (2, WRIST, 3, 20, 2)],
    )
    turned = rotate(image, 90, GREY).targets
    assert turned.identities.tolist() == [1, 2]
    assert turned.ignore.tolist() == [False, False]
    assert (turned.boxes[1] >= 0).all()
    assert turned.keypoints[1, WRIST, 2] == 0  # turned out of the image


def test_images_turn_some_of_the_time():
    rotation = RandomRotation(degrees=30, probability=0.5)
    turns = [rotation.draw((60, 40), np.random.default_rng(seed)) for seed in range(200)]
    angles = [turn.degrees for turn in turns if turn is not None]
    assert 70 < len(angles) < 130
    assert -30 <= min(angles) < -20
    assert 20 < max(angles) <= 30
    with pytest.raises(ValueError, match=r"INPUT.AUG.ROTATION: expected 0 to 180 degrees, got -5"):
        RandomRotation(degrees=-5)


def smooth_image():
    noise = np.random.default_rng(0).integers(0, 255, (11, 16, 3), dtype=np.uint8)
    pixels = cv2.resize(noise, (160, 110), interpolation=cv2.INTER_CUBIC)
    image = labelled((110, 160), [[20, 20, 60, 90], [80, 30, 140, 100]], [(0, NOSE, 40.5, 30.5, 2)])
    return replace(image, image=pixels)


@pytest.mark.parametrize("factor", [0.3, 0.75, 1.0, 1.7])
@pytest.mark.parametrize("kind", [RandomScaleCrop, SIFP])
def test_turning_while_resizing_is_turning_and_then_resizing(kind, factor):
    """The same labels, and the same picture but for the interpolation, of which there is one less."""
    if kind is SIFP:
        resize = SIFP(
            short_side=110, max_side=160, factors=(factor,), valid_range=(0.0, 560.0), fill_rgb=GREY
        )
    else:
        resize = RandomScaleCrop((110,), 160, scale_range=(factor, factor), size_hw=(96, 128), fill_rgb=GREY)
    image, rotation = smooth_image(), RandomRotation(degrees=40, probability=1.0, fill_rgb=GREY)
    for seed in range(5):
        once = replace(resize, rotation=rotation)(image, np.random.default_rng(seed))
        rng = np.random.default_rng(seed)
        turn = rotation.draw((160, 110), rng)
        twice = resize(rotate(image, turn.degrees, GREY), rng)
        np.testing.assert_allclose(once.targets.boxes, twice.targets.boxes)
        np.testing.assert_allclose(once.targets.keypoints, twice.targets.keypoints)
        assert once.image.shape == twice.image.shape
        apart = np.abs(once.image.astype(int) - twice.image)
        assert apart.mean() < 1.5
        assert (apart > 20).mean() < 0.02  # the edge of the turned image
