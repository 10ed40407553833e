"""Windows centred on a person, worked out by hand."""

import dataclasses
from collections import Counter

import numpy as np
from labelled_images import labelled

from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.transforms.augment import RandomScaleCrop, build_augmentations
from fastpose_mtn.data.transforms.person_window import choose_person, window_around


def crowd(*joints, ignore=None):
    """People with so many labelled joints, 40 pixels apart, in an image of 400x60; each box's middle pixel is white."""
    count = len(joints)
    boxes = [[40 * i + 11, 21, 40 * i + 20, 30] for i in range(count)]
    keypoints = np.zeros((count, 15, 3), np.float32)
    for person, number in enumerate(joints):
        keypoints[person, :number] = [40 * person + 15.5, 25.5, 2]
    pixels = np.zeros((60, 400, 3), np.uint8)
    pixels[25, 15 : 40 * count : 40] = 255
    return labelled(pixels, boxes, keypoints, ignore)


def test_whoever_is_of_the_half_with_the_most_joints_is_as_likely():
    rng = np.random.default_rng(0)
    image = crowd(3, 9, 5, 15, 7, ignore=[False, False, False, True, False])
    chosen = Counter(choose_person(image.targets, rng) for _ in range(600))
    assert set(chosen) == {1, 4}
    assert 240 < chosen[1] < 360
    ties = {choose_person(crowd(4, 4, 4, 2).targets, rng) for _ in range(60)}
    assert ties == {0, 1, 2}
    assert {choose_person(crowd(0, 0).targets, rng) for _ in range(60)} == {0, 1}
    assert choose_person(crowd(5, ignore=[True]).targets, rng) is None


def test_the_window_of_a_point():
    assert window_around(np.array([50.0, 30.0]), (100, 60), (20, 10)) == ((40, 25, 60, 35), (0.0, 0.0))
    # 7 columns to the left of the image and 50 to the right; as many rows above as below
    assert window_around(np.array([43.0, 30.0]), (100, 60), (100, 80)) == ((0, 0, 93, 60), (1.0, 0.5))
    assert window_around(np.array([60.0, 30.0]), (100, 60), (200, 60)) == ((0, 0, 100, 60), (0.4, 0.0))
    # nobody stands outside, but a box may reach out: a pixel is left
    assert window_around(np.array([130.0, -9.0]), (100, 60), (8, 8)) == ((99, 0, 100, 1), (0.0, 1.0))


def test_a_crop_has_the_person_in_its_middle_and_the_labels_follow():
    crop = RandomScaleCrop((0,), 1000, size_hw=(32, 48), around_person=True)
    out = crop(crowd(15), np.random.default_rng(0))
    assert out.image.shape == (32, 48, 3)
    white = np.argwhere(out.image[..., 0] == 255)
    # its middle is x 24, y 16; the first 8 columns are padding
    assert white.tolist() == [[15, 23]]
    assert out.targets.keypoints[0, 0].tolist() == [23.5, 15.5, 2]
    assert out.targets.boxes.tolist() == [[19, 11, 28, 20]]
    assert out.image[0, 8].tolist() == [0, 0, 0]
    assert out.image[0, 7].tolist() == [124, 116, 104]


def test_windows_are_around_people_whatever_the_scale():
    crop = RandomScaleCrop((30,), 1000, scale_range=(0.5, 3.0), size_hw=(32, 48), around_person=True)
    image, rng = crowd(1, 15, 15), np.random.default_rng(0)
    for _ in range(40):
        out = crop(image, rng)
        middle = out.targets.keypoints[:, 14, :2][out.targets.keypoints[:, 14, 2] > 0]
        assert (np.abs(middle - [24, 16]) < 2.5).all(axis=1).any()


def test_without_people_it_is_anywhere():
    image = dataclasses.replace(crowd(1), targets=labelled(np.zeros((60, 400, 3), np.uint8), []).targets)
    cfg = get_cfg()
    cfg.merge_from_list(
        ["INPUT.AUG.SIZE", "[32, 48]", "INPUT.AUG.AROUND_PERSON", "True", "INPUT.MIN_SIZE_TRAIN", "(0,)"]
    )
    crop = build_augmentations(cfg)[0]
    places = {
        tuple(np.argwhere(crop(image, np.random.default_rng(i)).image[..., 0] > 250).ravel())
        for i in range(60)
    }
    assert len(places) > 2
