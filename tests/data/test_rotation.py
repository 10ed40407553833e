import numpy as np
import pytest

from fastpose_mtn.data.rotation import RandomRotation, rotate
from fastpose_mtn.data.sample import TASKS, LabelledImage
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
    image = labelled((40, 60), [[20, 5, 40, 35]])
    turn = RandomRotation(degrees=30, probability=0.5)
    done = [turn(image, np.random.default_rng(seed)) is not image for seed in range(200)]
    assert 70 < sum(done) < 130
    a, b = (turn(image, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(a.targets.boxes, b.targets.boxes)
    with pytest.raises(ValueError, match=r"INPUT.AUG.ROTATION: expected 0 to 180 degrees, got -5"):
        RandomRotation(degrees=-5)
