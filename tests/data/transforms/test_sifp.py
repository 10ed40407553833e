from dataclasses import replace

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from labelled_images import LEFT_WRIST, labelled

from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.transforms.augment import augment, build_augmentations
from fastpose_mtn.data.transforms.sifp import SIFP, resized_window

PAPER = SIFP(short_side=600, max_side=1000)
SMALL = SIFP(short_side=60, max_side=100, valid_range=(4.0, 56.0))


def blank(width, height):
    """An image that takes no memory."""
    return np.broadcast_to(np.uint8(0), (height, width, 3))


def scales(boxes):
    return np.sqrt((boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1]))


def valid_at(sifp, image):
    """For each factor, which people (by identity) train."""
    levels = [sifp.level(image, factor) for factor in sifp.factors]
    return [set(level.targets.identities[~level.targets.ignore].tolist()) for level in levels]


def test_the_base_image_has_the_size_of_testing():
    assert PAPER.base_size_wh((1280, 720)) == (1000, 562)  # the longer side bounds it
    assert PAPER.base_size_wh((640, 480)) == (800, 600)
    assert SIFP(short_side=0, max_side=0).base_size_wh((123, 45)) == (123, 45)
    fixed = SIFP(short_side=600, max_side=1000, size_hw=(600, 1000))
    assert fixed.base_size_wh((480, 640)) == (450, 600)  # all of a portrait fits on the canvas
    assert fixed.canvas_wh((480, 640)) == (1000, 600)


def test_validity_is_measured_after_resizing():
    # Squares of 12, 22, 300 and 400 pixels in an image that is its own base image.
    boxes = [[0, 0, 12, 12], [50, 50, 72, 72], [100, 100, 400, 400], [500, 100, 900, 500], [0, 300, 100, 400]]
    image = labelled(blank(1000, 600), boxes, ignore=[False, False, False, False, True])
    # x2: 24, 44, (600), (800); x1.5: 18, 33, 450, 600 is out; x1: (12), 22, 300, 400; x0.75: (9), 16.5, 225, 300
    assert valid_at(PAPER, image) == [{0, 1}, {0, 1, 2}, {1, 2, 3}, {1, 2, 3}]
    level = PAPER.level(image, 1.5)
    assert level.size_wh == (1500, 900)
    assert level.targets.boxes[2].tolist() == [150, 150, 600, 600]
    # The valid ones lie within one window of 1000x600, which has 600 - 450 rows of freedom at most.
    (crop,) = level.crops()
    assert (crop.lowest_xy, crop.highest_xy) == ((0, 0), (0, 0))


def test_the_ends_of_the_range_are_valid():
    image = labelled(
        blank(1000, 600), [[0, 0, 16, 16], [0, 0, 15.99, 16], [100, 20, 660, 580], [100, 20, 660.1, 580]]
    )
    assert valid_at(SIFP(short_side=600, max_side=1000, factors=(1.0,)), image) == [{0, 2}]


def test_a_person_larger_than_a_crop_trains_where_the_whole_image_is_seen():
    image = labelled(
        blank(1000, 600), [[100, 100, 200, 450]]
    )  # 200x700 at factor 2: s is 374, a crop has 600 rows
    assert valid_at(PAPER, image) == [set(), {0}, {0}, {0}]


def test_a_larger_level_is_cut_and_the_cut_person_is_judged_as_cut():
    sifp = SIFP(short_side=0, max_side=0, factors=(2.0,), valid_range=(16.0, 560.0))
    image = labelled(blank(100, 50), [[0, 0, 20, 40], [42, 0, 62, 40], [96, 0, 100, 40], [60, 10, 70, 18]])
    level = sifp.level(
        image, 2.0
    )  # boxes 40x80, 40x80, 8x80 (s = 25.3) and 20x16 (s = 17.9), crops of 100x50
    assert level.targets.ignore.tolist() == [True, True, True, False]  # the others do not fit
    out = sifp.cut(image, level, (35, 0), (0.0, 0.0))
    assert out.image.shape == (50, 100, 3)
    assert out.targets.identities.tolist() == [0, 1, 3]
    assert out.targets.boxes.tolist() == [[0, 0, 5, 50], [49, 0, 89, 50], [85, 20, 100, 36]]
    assert out.targets.ignore.tolist() == [True, True, True]  # of person 3 15x16 are left: s = 15.5
    kept = sifp.cut(image, level, (36, 0), (0.0, 0.0))
    assert kept.targets.ignore.tolist() == [True, True, False]  # 16x16


def test_a_smaller_level_is_padded():
    image = labelled(np.full((60, 100, 3), 200, np.uint8), [[0, 0, 40, 60]])
    level = SMALL.level(image, 0.75)
    assert (level.size_wh, level.window_wh) == ((75, 45), (75, 45))
    out = SMALL.cut(image, level, (0, 0), (1.0, 0.0))
    assert out.image.shape == (60, 100, 3)
    assert out.image[0, 24].tolist() == out.image[45, 99].tolist() == list(SMALL.fill_rgb)
    assert out.image[44, 25].tolist() == [200, 200, 200]
    assert out.targets.boxes.tolist() == [[25, 0, 55, 45]]


def test_labels_stay_on_their_pixels():
    y, x = np.indices((60, 100)) + 0.5
    spot = 255 * np.exp(-((x - 51) ** 2 + (y - 31) ** 2) / 18)
    image = np.repeat(spot[..., None], 3, axis=2).round().astype(np.uint8)
    keypoints = np.zeros((1, 15, 3), np.float32)
    keypoints[0, LEFT_WRIST] = 51, 31, 2
    person = labelled(image, [[40, 20, 60, 42]], keypoints)
    sifp = replace(SMALL, fill_rgb=(0, 0, 0))
    for factor in sifp.factors:
        level = sifp.level(person, factor)
        (crop,) = level.crops()
        for corner in (crop.lowest_xy, crop.highest_xy):
            out = sifp.cut(person, level, corner, (0.5, 0.5))
            bright = out.image[..., 0].astype(float)
            y, x = np.indices(bright.shape) + 0.5
            centre = [(bright * x).sum() / bright.sum(), (bright * y).sum() / bright.sum()]
            np.testing.assert_allclose(out.targets.keypoints[0, LEFT_WRIST, :2], centre, atol=0.06)


@pytest.mark.parametrize("factor", [0.4, 1.0, 1.25, 2.0])
def test_a_window_is_a_part_of_the_resized_image(factor):
    noise = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    image = cv2.GaussianBlur(cv2.resize(noise, (90, 60), interpolation=cv2.INTER_CUBIC), (0, 0), 2)
    size = (round(90 * factor), round(60 * factor))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    whole = cv2.resize(image, size, interpolation=how)
    window = (size[0] // 4, 5, size[0], size[1] - 3)
    part = resized_window(image, size, window)
    wanted = whole[window[1] : window[3], window[0] : window[2]]
    assert np.abs(part.astype(int) - wanted).max() <= 2  # OpenCV rounds differently in the two


def test_every_level_with_somebody_valid_is_drawn_and_the_others_are_not():
    image = labelled(blank(100, 60), [[10, 10, 14, 13]])  # s is 3.5: valid at 2 and 1.5 only
    rng = np.random.default_rng(0)
    widths = {round(float(SMALL(image, rng).targets.boxes[0, 2:].sum()), 6) > 0 for _ in range(5)}
    assert widths == {True}
    sizes = {round(float(np.diff(SMALL(image, rng).targets.boxes[0, ::2])[0]), 3) for _ in range(40)}
    assert sizes == {8.0, 6.0}
    outside = labelled(blank(100, 60), [[10, 10, 11, 11]])
    out = [SMALL(outside, rng) for _ in range(10)]
    assert all(o.targets.ignore.all() for o in out)
    assert {o.image.shape for o in out} == {(60, 100, 3)}
    assert SMALL(labelled(blank(100, 60), []), rng).image.shape == (60, 100, 3)


@st.composite
def labelled_images(draw, sides):
    width, height = draw(st.integers(*sides)), draw(st.integers(*sides))
    share, shape = st.integers(1, 1000), st.integers(-30, 30)
    boxes = []
    for size, aspect, left, top in draw(
        st.lists(st.tuples(share, shape, share, share), min_size=1, max_size=8)
    ):
        scale = min(width, height) * size / 1000  # people of every size, up to 8 times as long as wide
        w, h = min(scale * 2 ** (aspect / 20), width), min(scale / 2 ** (aspect / 20), height)
        x, y = left / 1000 * (width - w), top / 1000 * (height - h)
        boxes.append([x, y, x + w, y + h])
    return labelled(blank(width, height), np.clip(boxes, 0, [width, height] * 2))


@settings(max_examples=40, deadline=None)
@given(labelled_images((300, 2000)), st.sampled_from([PAPER, SIFP(600, 1000, size_hw=(600, 1000))]))
def test_every_person_is_valid_at_some_level_or_out_of_range_at_all(image, sifp):
    levels = valid_at(sifp, image)
    base = np.divide(sifp.base_size_wh(image.image.shape[1::-1]), image.image.shape[1::-1])
    at_base = scales(image.targets.boxes * np.tile(base, 2))
    for person, scale in enumerate(at_base):
        # The levels' ranges overlap: together they reach from 16 / 2 to 560 / 0.75 pixels in the base image.
        if 8.1 < scale < 746:
            assert any(person in valid for valid in levels), scale
        elif not 7.9 < scale < 747:
            assert not any(person in valid for valid in levels), scale


@settings(max_examples=30, deadline=None)
@given(
    labelled_images((40, 200)),
    st.sampled_from([SMALL, SIFP(60, 100, valid_range=(4, 56), size_hw=(64, 96))]),
)
def test_no_valid_person_is_lost_by_cutting_and_sizes_are_constant(image, sifp):
    canvas = sifp.canvas_wh(image.image.shape[1::-1])
    for factor in sifp.factors:
        level = sifp.level(image, factor)
        whole = {
            i: b
            for i, b, g in zip(
                level.targets.identities.tolist(), level.targets.boxes, level.targets.ignore, strict=True
            )
            if not g
        }
        found = set()
        for crop in level.crops():
            for corner in (crop.lowest_xy, crop.highest_xy):
                out = sifp.cut(image, level, corner, (0.3, 0.8))
                assert out.image.shape == (canvas[1], canvas[0], 3)
                held = out.targets[~out.targets.ignore]
                assert set(held.identities.tolist()) <= set(whole)
                assert (held.boxes >= 0).all()
                assert (held.boxes <= [*canvas, *canvas]).all()
                sides = {i: b[2:] - b[:2] for i, b in zip(held.identities.tolist(), held.boxes, strict=True)}
            found |= {
                i for i, side in sides.items() if np.allclose(side, whole[i][2:] - whole[i][:2], atol=1e-3)
            }
        assert found == set(whole)
    rng = np.random.default_rng(1)
    assert sifp(image, rng).image.shape == (canvas[1], canvas[0], 3)


def test_a_configuration_puts_it_at_the_head_of_the_augmentations():
    cfg = get_cfg()
    cfg.merge_from_list(
        ["INPUT.SIFP.ENABLED", "True", "INPUT.SIFP.SCALES", "[3, 1]", "INPUT.SIFP.VALID_RANGE", "[8, 80]"]
    )
    chain = build_augmentations(cfg)
    assert chain[0] == SIFP(600, 1000, factors=(3.0, 1.0), valid_range=(8.0, 80.0), fill_rgb=(124, 116, 104))
    image = labelled(np.zeros((30, 40, 3), np.uint8), [[5, 5, 20, 25]])
    a, b = (augment(image, chain, np.random.default_rng(3)) for _ in range(2))
    assert np.array_equal(a.image, b.image)
    assert np.array_equal(a.targets.boxes, b.targets.boxes)


@pytest.mark.parametrize(
    ("key", "value", "text"),
    [
        (
            "INPUT.MIN_SIZE_TRAIN",
            (480, 600),
            r"INPUT.MIN_SIZE_TRAIN is \(480, 600\): INPUT.SIFP needs one base size",
        ),
        ("INPUT.AUG.SCALE", [0.5, 2.0], r"INPUT.AUG.SCALE is \(0.5, 2.0\): INPUT.SIFP has scales of its own"),
        ("INPUT.SIFP.SCALES", [2.0, 0.0], "INPUT.SIFP.SCALES: expected factors above 0"),
        ("INPUT.SIFP.SCALES", [], "INPUT.SIFP.SCALES: expected factors above 0"),
        ("INPUT.SIFP.VALID_RANGE", [560.0, 16.0], "INPUT.SIFP.VALID_RANGE: expected least and greatest"),
        ("INPUT.SIFP.VALID_RANGE", [16.0], "INPUT.SIFP.VALID_RANGE: expected least and greatest"),
    ],
)
def test_settings_that_mean_nothing(key, value, text):
    cfg = get_cfg()
    cfg.merge_from_list(["INPUT.SIFP.ENABLED", True, key, value])
    with pytest.raises(ValueError, match=text):
        build_augmentations(cfg)
