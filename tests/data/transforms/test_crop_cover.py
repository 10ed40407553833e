import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpose_mtn.data.transforms.crop_cover import cover_with_crops, fits


def cover(boxes, image_wh, window_wh):
    return cover_with_crops(np.array(boxes, np.float32).reshape(-1, 4), image_wh, window_wh)


def test_one_crop_where_one_is_enough():
    (crop,) = cover([[10.5, 20, 40, 60], [90, 70, 99.2, 119]], (200, 240), (100, 120))
    assert crop.people == (0, 1)
    # Whole pixels 10 to 100 and 20 to 119 must be inside 100x120: left 0 to 10, top 0 to 20.
    assert (crop.lowest_xy, crop.highest_xy) == ((0, 0), (10, 20))


def test_two_crops_for_two_groups_and_the_shared_person_is_in_both():
    boxes = [[0, 0, 30, 50], [60, 0, 95, 50], [130, 0, 150, 50]]
    first, second = cover(boxes, (200, 100), (100, 100))
    assert (first.people, second.people) == ((0, 1), (1, 2))
    assert first.lowest_xy == first.highest_xy == (0, 0)  # no room for the first: it starts at the border
    assert (second.lowest_xy, second.highest_xy) == ((50, 0), (60, 0))


def test_a_window_stays_within_the_image():
    (crop,) = cover([[180, 90, 200, 100]], (200, 100), (100, 100))
    assert (crop.lowest_xy, crop.highest_xy) == ((100, 0), (100, 0))


def test_an_image_narrower_than_the_window():
    (crop,) = cover([[0, 150, 60, 180]], (60, 200), (60, 100))
    assert (crop.lowest_xy, crop.highest_xy) == ((0, 80), (0, 100))


def test_nobody_leaves_the_window_free():
    (crop,) = cover([], (200, 100), (120, 100))
    assert (crop.people, crop.lowest_xy, crop.highest_xy) == ((), (0, 0), (80, 0))


def test_a_choice_that_later_ones_make_needless_is_taken_back():
    # The window in the middle holds four of six and is taken first; then each end needs its own, and these
    # two hold the four as well.
    boxes = [
        [0, 0, 10, 10],
        [40, 0, 50, 10],
        [50, 0, 60, 10],
        [110, 0, 120, 10],
        [120, 0, 130, 10],
        [160, 0, 170, 10],
    ]
    assert [crop.people for crop in cover(boxes, (200, 10), (90, 10))] == [(0, 1, 2), (3, 4, 5)]


def test_a_box_that_no_window_holds():
    assert fits(np.array([[0.5, 0, 100.4, 9], [0.5, 0, 100, 9]], np.float32), (100, 10)).tolist() == [
        False,
        True,
    ]
    with pytest.raises(
        ValueError, match=r"person 1: box \[0.5, 0.0, 100.4, 9.0\] is not wholly in any window of 100x10"
    ):
        cover([[0, 0, 5, 5], [0.5, 0, 100.4, 9]], (200, 10), (100, 10))


@st.composite
def boxes_in_an_image(draw):
    share = st.integers(0, 1000)
    image = draw(st.tuples(st.integers(40, 400), st.integers(40, 400)))
    window = draw(st.tuples(st.integers(30, 200), st.integers(30, 200)))
    shares = (
        np.array(draw(st.lists(st.tuples(share, share, share, share), max_size=12))).reshape(-1, 4) / 1000
    )
    sides = 1 + shares[:, :2] * (np.minimum(image, window) - 1)
    start = shares[:, 2:] * (image - sides)
    boxes = np.hstack([start, start + sides]).clip(0, [*image, *image]).astype(np.float32)
    return boxes[fits(boxes, window)], image, window


@settings(max_examples=60, deadline=None)
@given(boxes_in_an_image())
def test_every_box_lies_wholly_in_a_crop_and_no_crop_is_needless(case):
    boxes, image, window = case
    crops = cover_with_crops(boxes, image, window)
    held = []
    for crop in crops:
        for corner in (crop.lowest_xy, crop.highest_xy):
            assert all(0 <= c <= max(i - w, 0) for c, i, w in zip(corner, image, window, strict=True))
            people = boxes[list(crop.people)]
            assert (people[:, :2] >= corner).all()
            assert (people[:, 2:] <= np.add(corner, window)).all()
        held.append(set(crop.people))
    assert set().union(*held) == set(range(len(boxes)))
    for i in range(len(held)):
        assert len(held) == 1 or set().union(*held[:i], *held[i + 1 :]) != set(range(len(boxes)))
