"""From boxes to crops and back."""

import numpy as np
import pytest

from fastpose_mtn.ops.crop_coordinates import crop_coordinates
from fastpose_mtn.ops.person_crops import (
    crop_matrix,
    crop_regions,
    crop_size,
    invert,
    transform_points,
    warp_person,
)

SIZE = (256, 192)
BOX = np.array([[100, 50, 160, 250]], np.float32)


def test_a_box_is_extended_to_the_inputs_proportions_and_padded():
    (region,) = crop_regions(BOX, SIZE, 1.25)
    assert region.tolist() == [36.25, 25, 223.75, 275]
    wide = crop_regions(np.array([[0, 0, 300, 100]], np.float32), SIZE, [1.0, 2.0])
    assert wide.tolist() == [[0, 50 - 400, 300, 50 + 400]]


def test_margins_come_before_the_proportions():
    (region,) = crop_regions(np.array([[0, 0, 100, 200]]), SIZE, 1.0, margins=(1.09, 1.135))
    assert region == pytest.approx([50 - 85.125, 100 - 113.5, 50 + 85.125, 100 + 113.5])


def test_crops_in_index_coordinates_are_the_release():
    """Index c of the frame is index W / 2 of the crop, at the scale W / w, as OpenCV's warp sees it."""
    (region,) = crop_regions(BOX, SIZE, 1.25, coordinates=crop_coordinates("megvii"))
    scale, centre, size = 192 / 187.5, np.array([130.0, 150.0]), np.array([192, 256])
    index = np.random.default_rng(0).uniform(0, 300, (20, 2))
    wanted = (index - centre) * scale + size / 2
    found = transform_points(index + 0.5, crop_matrix(region, SIZE)) - 0.5
    assert found == pytest.approx(wanted, abs=1e-4)
    assert transform_points(wanted + 0.5, invert(crop_matrix(region, SIZE))) == pytest.approx(
        index + 0.5, abs=1e-3
    )


@pytest.mark.parametrize("sides", [[], [64], [64, 32, 32], [0, 0], [-32, 32], [64, 33], [64.5, 32]])
def test_sides_that_no_crop_has(sides):
    with pytest.raises(
        ValueError, match=r"INPUT_SIZE: expected \[height, width\] in multiples of 32, got \["
    ):
        crop_size(sides)
    assert crop_size([64, 32.0]) == (64, 32)


def test_boxes_without_area_have_regions_with_one():
    regions = crop_regions(np.array([[5, 5, 5, 5], [1, 2, 1, 9]], np.float32), SIZE, 1.25)
    assert (regions[:, 2:] > regions[:, :2]).all()
    assert crop_regions(np.zeros((0, 4), np.float32), SIZE, 1.25).shape == (0, 4)


def test_the_matrix_without_and_with_a_turn():
    region = np.array([36.25, 25, 223.75, 275])
    assert crop_matrix(region, SIZE) == pytest.approx(np.array([[1.024, 0, -37.12], [0, 1.024, -25.6]]))
    turned = [[0.88681, 0.512, -96.085304], [-0.512, 0.88681, 61.538498]]
    assert crop_matrix(region, SIZE, degrees=30) == pytest.approx(np.array(turned), abs=1e-5)


@pytest.mark.parametrize("mirrored", [False, True])
def test_points_come_back_and_mirror_images_are_exact(mirrored):
    region, points = np.array([36.25, 25, 223.75, 275]), np.random.default_rng(0).uniform(0, 300, (20, 2))
    matrix = crop_matrix(region, SIZE, degrees=17, mirrored=mirrored)
    assert transform_points(transform_points(points, matrix), invert(matrix)) == pytest.approx(
        points, abs=1e-9
    )
    plain = transform_points(points, crop_matrix(region, SIZE, degrees=17))
    x, y = transform_points(points, matrix).T
    assert (192 - x if mirrored else x) == pytest.approx(plain[:, 0])
    assert y == pytest.approx(plain[:, 1])


def test_a_crop_of_the_frames_own_scale_is_its_pixels():
    image = np.random.default_rng(0).integers(0, 256, (90, 80, 3), dtype=np.uint8)
    crop = warp_person(image, crop_matrix(np.array([10, 20, 58, 84]), (64, 48)), (64, 48), (9, 9, 9))
    assert (crop == image[20:84, 10:58]).all()
    beside = warp_person(image, crop_matrix(np.array([60, 60, 108, 124]), (64, 48)), (64, 48), (1, 2, 3))
    assert (beside[:30, :20] == image[60:90, 60:80]).all()
    assert (beside[30:] == (1, 2, 3)).all()


def test_what_shrinks_is_averaged_and_stays_in_its_place():
    image = np.zeros((512, 384, 3), np.uint8)
    image[::2, ::2] = 255  # every fourth pixel: sampled without averaging, black or white
    whole = np.array([0, 0, 384, 512])
    crop = warp_person(image, crop_matrix(whole, (64, 48)), (64, 48), (0, 0, 0))
    assert crop[4:-4, 4:-4] == pytest.approx(np.full((56, 40, 3), 64), abs=3)
    dots = np.zeros((512, 384, 3), np.uint8)
    dots[3::8, 3::8] = 255  # one of 64 pixels, and one of the four that are sampled
    for averages, grey in ((True, 4), (False, 64)):
        crop = warp_person(dots, crop_matrix(whole, (64, 48)), (64, 48), (0, 0, 0), averages=averages)
        assert crop[4:-4, 4:-4] == pytest.approx(np.full((56, 40, 3), grey), abs=1)
    edge = np.zeros((512, 384, 3), np.uint8)
    edge[:, 200:] = 200
    row = warp_person(edge, crop_matrix(whole, (64, 48)), (64, 48), (0, 0, 0))[32, :, 0].astype(float)
    assert 48 - row.sum() / 200 == pytest.approx(25, abs=0.1)  # 200 / 8


def test_a_crop_beside_the_frame_is_its_filling():
    image = np.full((20, 20, 3), 255, np.uint8)
    for region in ([100, 100, 148, 164], [-900, -900, -500, -300]):
        crop = warp_person(image, crop_matrix(np.array(region), (64, 48)), (64, 48), (7, 8, 9))
        assert (crop == (7, 8, 9)).all()
