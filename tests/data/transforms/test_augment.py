import numpy as np
import pytest
from labelled_images import LEFT_WRIST, RIGHT_WRIST, labelled

from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.transforms.augment import (
    RandomBlur,
    RandomColor,
    RandomFlip,
    RandomScaleCrop,
    augment,
    build_augmentations,
    flip_horizontally,
)
from fastpose_mtn.skeletons import POSETRACK15, Skeleton


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


def test_a_size_of_zero_leaves_images_as_they_are():
    image = labelled(np.zeros((50, 130, 3), np.uint8), [])
    assert RandomScaleCrop(short_sides=(0,), max_side=60)(image, np.random.default_rng(0)).image.shape == (
        50,
        130,
        3,
    )
    cfg = get_cfg()
    cfg.merge_from_list(["INPUT.MIN_SIZE_TRAIN", "(0,)", "INPUT.SIFP.ENABLED", "True"])
    with pytest.raises(ValueError, match="INPUT.MIN_SIZE_TRAIN: .* 1 or more, got"):
        build_augmentations(cfg)


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


def test_a_skeleton_without_sides_cannot_be_mirrored():
    faceless = Skeleton(
        name="BACK", joints=("nape", "l_hip", "r_hip"), limbs=(), sigmas=(0.1,) * 3, source="a test"
    )
    with pytest.raises(ValueError, match="skeleton BACK has no flip pairs, .* set INPUT.RANDOM_FLIP none"):
        RandomFlip(faceless)


def test_occlusion_comes_after_the_sizes():
    cfg = get_cfg()
    cfg.INPUT.AUG.ROTATION, cfg.INPUT.AUG.OCCLUSION, cfg.INPUT.AUG.COLOR = 30.0, 0.2, 0.1
    names = [type(augmentation).__name__ for augmentation in build_augmentations(cfg)]
    assert names == ["RandomScaleCrop", "RandomFlip", "OcclusionPaste", "RandomColor"]


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        ("INPUT.RANDOM_FLIP", "vertical", "INPUT.RANDOM_FLIP: expected horizontal or none, got 'vertical'"),
        ("INPUT.MIN_SIZE_TRAIN_SAMPLING", "all", "expected choice or range, got 'all'"),
        ("INPUT.AUG.SCALE", [2.0, 1.0], "expected 0 < least <= greatest"),
        (
            "INPUT.AUG.SIZE",
            [0, 0],
            r"INPUT.AUG.SIZE: expected \[height, width\] in pixels, or \[\] to crop nothing",
        ),
        ("INPUT.AUG.SIZE", [320], r"INPUT.AUG.SIZE: .* got \[320\]"),
        ("INPUT.MIN_SIZE_TRAIN", (), "INPUT.MIN_SIZE_TRAIN: expected pixels of the shorter side"),
        (
            "INPUT.MIN_SIZE_TRAIN",
            (-1,),
            "INPUT.MIN_SIZE_TRAIN: expected pixels of the shorter side, .* 0 or more",
        ),
        (
            "INPUT.AUG.AROUND_PERSON",
            True,
            "AROUND_PERSON: expected windows of INPUT.AUG.SIZE without INPUT.SIFP",
        ),
        ("INPUT.MAX_SIZE_TRAIN", 0, "INPUT.MAX_SIZE_TRAIN: expected pixels of the longer side, got 0"),
        ("INPUT.AUG.ROTATION", -5.0, "INPUT.AUG.ROTATION: expected 0 to 180 degrees, got -5.0"),
        ("INPUT.AUG.OCCLUSION", 1.5, "INPUT.AUG.OCCLUSION: expected a probability, got 1.5"),
    ],
)
def test_settings_that_mean_nothing(key, value, text):
    cfg = get_cfg()
    cfg.merge_from_list([key, value])
    with pytest.raises(ValueError, match=text):
        build_augmentations(cfg)
