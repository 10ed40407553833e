import numpy as np
import pytest

from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.augment import (
    RandomBlur,
    RandomColor,
    RandomScaleCrop,
    augment,
    build_augmentations,
    clip_targets,
    crop_resize_pad,
    flip_horizontally,
)
from fastpose_mtn.data.sample import TASKS, LabelledImage
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonTargets

LEFT_WRIST, RIGHT_WRIST = POSETRACK15.index("left_wrist"), POSETRACK15.index("right_wrist")
GREY = (124, 116, 104)


def labelled(image, boxes, keypoints=None, ignore=None):
    n = len(boxes)
    targets = PersonTargets(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        keypoints=np.zeros((n, 15, 3), np.float32) if keypoints is None else keypoints,
        identities=np.arange(n),
        ignore=np.zeros(n, bool) if ignore is None else np.array(ignore),
    )
    return LabelledImage(image, targets, TASKS, image_id=7, file_name="a.jpg")


@pytest.fixture
def person():
    """A 40x30 image with one bright pixel at the left wrist; the right wrist is hidden."""
    image = np.zeros((30, 40, 3), np.uint8)
    image[12, 9] = 255
    keypoints = np.zeros((1, 15, 3), np.float32)
    keypoints[0, LEFT_WRIST] = 9.5, 12.5, 2
    keypoints[0, RIGHT_WRIST] = 20.5, 13.5, 1
    return labelled(image, [[5, 4, 25, 28]], keypoints)


def test_a_mirrored_person_keeps_visibility_and_swaps_sides(person):
    flipped = flip_horizontally(person, POSETRACK15)
    assert flipped.targets.boxes.tolist() == [[15, 4, 35, 28]]
    assert flipped.targets.keypoints[0, RIGHT_WRIST].tolist() == [30.5, 12.5, 2]
    assert flipped.targets.keypoints[0, LEFT_WRIST].tolist() == [19.5, 13.5, 1]
    assert flipped.image[12, 30].tolist() == [255, 255, 255]  # the pixel whose centre is (30.5, 12.5)
    assert flipped.targets.keypoints[0, 0].tolist() == [0, 0, 0]  # unlabelled stays unlabelled at (0, 0)


def test_mirroring_twice_gives_the_original(person):
    twice = flip_horizontally(flip_horizontally(person, POSETRACK15), POSETRACK15)
    assert np.array_equal(twice.image, person.image)
    assert np.array_equal(twice.targets.boxes, person.targets.boxes)
    assert np.array_equal(twice.targets.keypoints, person.targets.keypoints)


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


def test_every_result_has_the_wanted_size():
    image = labelled(np.zeros((90, 160, 3), np.uint8), [[10, 10, 60, 80]])
    crop = RandomScaleCrop(short_sides=(90,), max_side=160, scale_range=(0.3, 3.0), size_hw=(96, 128))
    rng = np.random.default_rng(0)
    sizes, widths = set(), []
    for _ in range(50):
        out = crop(image, rng)
        sizes.add(out.image.shape)
        widths += [float(b[2] - b[0]) for b in out.targets.boxes]
        assert (out.targets.boxes >= 0).all()
        assert (out.targets.boxes <= [128, 96, 128, 96]).all()
    assert sizes == {(96, 128, 3)}
    assert min(widths) < 30
    assert max(widths) > 100  # small and large people both come out


def test_the_longer_side_bounds_the_scale():
    image = labelled(np.zeros((100, 400, 3), np.uint8), [])
    crop = RandomScaleCrop(short_sides=(200,), max_side=600)
    assert crop(image, np.random.default_rng(0)).image.shape == (150, 600, 3)  # 1.5, not 2


def test_colour_keeps_labels_and_grey_has_no_colour(person):
    image = labelled(np.random.default_rng(0).integers(0, 255, (20, 20, 3), dtype=np.uint8), [[1, 1, 9, 9]])
    before = image.image.copy()
    grey = RandomColor(strength=0.3, gray_probability=1.0)(image, np.random.default_rng(1)).image
    assert np.ptp(grey.astype(int), axis=2).max() <= 1
    same = RandomColor(strength=0.0)(image, np.random.default_rng(1))
    assert np.array_equal(same.image, before)
    assert same.targets is image.targets
    assert np.array_equal(image.image, before)  # the argument is not changed


def test_blur_spreads_a_spot_without_moving_it(person):
    out = RandomBlur(probability=1.0)(person, np.random.default_rng(3)).image[..., 0].astype(float)
    assert out[12, 9] < 255
    assert out[12, 8] == out[12, 10] > 0
    assert RandomBlur(probability=0.0)(person, np.random.default_rng(3)) is person


def test_the_same_generator_gives_the_same_image(person):
    cfg = get_cfg()
    cfg.INPUT.AUG.SIZE, cfg.INPUT.AUG.SCALE = [64, 64], [0.5, 2.0]
    cfg.INPUT.MIN_SIZE_TRAIN, cfg.INPUT.AUG.COLOR, cfg.INPUT.AUG.BLUR = (40,), 0.3, 0.5
    chain = build_augmentations(cfg)
    assert len(chain) == 4
    a, b, c = (augment(person, chain, np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(a.image, b.image)
    assert np.array_equal(a.targets.boxes, b.targets.boxes)
    assert not np.array_equal(a.image, c.image)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("INPUT.RANDOM_FLIP", "vertical", "INPUT.RANDOM_FLIP: expected horizontal or none, got 'vertical'"),
        ("INPUT.MIN_SIZE_TRAIN_SAMPLING", "all", "expected choice or range, got 'all'"),
        ("INPUT.AUG.SCALE", [2.0, 1.0], "expected 0 < least <= greatest"),
    ],
)
def test_settings_that_mean_nothing(key, value, text):
    cfg = get_cfg()
    cfg.merge_from_list([key, value])
    with pytest.raises(ValueError, match=text):
        build_augmentations(cfg)
