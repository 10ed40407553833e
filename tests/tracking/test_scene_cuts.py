"""Textured pictures are made of coarse noise, so that one scene has nothing in common with another."""

import cv2
import numpy as np
import pytest

from fastpose_mtn.tracking.scene_cuts import SceneCutDetector, grey_thumbnail

HEIGHT, WIDTH = 180, 320


def scene(seed, size_wh=(WIDTH + 200, HEIGHT)):
    noise = np.random.default_rng(seed).integers(0, 255, (9, 26, 3), np.uint8)
    return cv2.resize(noise, size_wh, interpolation=cv2.INTER_CUBIC)


def cuts(frames, correlation=0.6):
    detector = SceneCutDetector(correlation)
    return [i for i, frame in enumerate(frames) if detector(frame)]


def view(image, x=0):
    return image[:, x : x + WIDTH]


def test_another_scene_begins_where_it_begins():
    one, other = view(scene(1)), view(scene(2))
    assert cuts([one, one, other, other, one]) == [2, 4]
    assert cuts([one, other], correlation=0.0) == []


def test_a_camera_that_turns_is_no_cut():
    wide = scene(3)
    assert cuts([view(wide, x) for x in range(0, 200, 25)]) == []


@pytest.mark.parametrize("change", [lambda i: i // 3, lambda i: i // 2 + 120, lambda i: 255 - (255 - i) // 3])
def test_light_changes_are_no_cut(change):
    one = view(scene(4))
    changed = change(one.astype(np.int64)).astype(np.uint8)
    assert cuts([one, changed, one]) == []


def test_somebody_who_moves_before_a_plain_wall_is_no_cut():
    def wall(x):
        image = np.full((HEIGHT, WIDTH, 3), 200, np.uint8)
        image[40:, x : x + 60] = 30
        return image

    assert cuts([wall(0), wall(250), wall(100)]) == []


def test_black_frames_and_flashes_are_passed_over():
    one, other = view(scene(5)), view(scene(6))
    black, white = np.zeros_like(one), np.full_like(one, 255)
    assert cuts([black, one, black, one, white, white, one]) == []
    assert cuts([one, black, other]) == [2]


def test_another_size_of_the_same_scene_is_no_cut():
    wide = scene(7)
    frames = [view(wide), cv2.resize(view(wide), (128, 72)), cv2.resize(view(wide), (1280, 720))]
    assert cuts(frames) == []
    assert cuts([np.zeros((1, 1, 3), np.uint8), np.zeros((3, 9, 3), np.uint8)]) == []


def test_reset_begins_anew():
    detector = SceneCutDetector(0.6)
    assert not detector(view(scene(1)))
    detector.reset()
    assert not detector(view(scene(2)))


def test_a_thumbnail_is_the_luma_of_the_whole_frame():
    image = np.zeros((64, 128, 3), np.uint8)
    image[:, 64:] = 0, 255, 0
    thumbnail = grey_thumbnail(image)
    assert thumbnail.shape == (32, 32)
    np.testing.assert_allclose(thumbnail[:, :16], 0)
    np.testing.assert_allclose(thumbnail[:, 16:], 150)  # 0.587 * 255


def test_what_the_caller_knows_counts_before_the_frame():
    detector = SceneCutDetector(0.6)
    first, other = (np.random.default_rng(seed).integers(0, 256, (64, 64, 3), np.uint8) for seed in (0, 1))
    assert not detector.told(first, None)
    assert not detector.told(None, None)
    assert detector.told(first, True)
    assert not detector.told(other, False)
    assert detector.told(other, None)
