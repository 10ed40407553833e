import numpy as np
import pytest

from fastpose_mtn.data.crops.collage import HEIGHTS, pairs_together, people_apart, place


def test_every_crop_once_a_round_and_two_of_a_person_together():
    identities = np.repeat(np.arange(6), 4)
    collages = pairs_together(identities, collages=12, people=4, seed=0)
    for first in (0, 6):  # two rounds of 24 crops
        shown = np.concatenate(collages[first : first + 6])
        assert sorted(shown.tolist()) == list(range(24))
    for crops in collages:
        assert [n % 2 for n in np.bincount(identities[crops], minlength=6)] == [0] * 6
    assert not np.array_equal(np.concatenate(collages[:6]), np.concatenate(collages[6:]))
    again = pairs_together(identities, collages=12, people=4, seed=0)
    np.testing.assert_array_equal(again, collages)
    assert not np.array_equal(pairs_together(identities, collages=12, people=4, seed=1), collages)


def test_people_with_an_odd_number_of_crops_lose_none():
    identities = np.array([0, 0, 0, 1, 2, 2])
    (crops,) = pairs_together(identities, collages=1, people=6, seed=3)
    assert sorted(crops.tolist()) == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize("people", [1, 3, 50])
def test_nobody_is_twice_in_a_collage_to_search(people):
    identities = np.repeat(np.arange(7), [1, 2, 3, 4, 5, 6, 9])
    collages = people_apart(identities, people=people, seed=0)
    assert sorted(np.concatenate(collages).tolist()) == list(range(30))
    for crops in collages:
        assert len(crops) <= people
        assert len(set(identities[crops].tolist())) == len(crops)
    assert len(collages) <= {1: 30, 3: 12, 50: 9}[people]


def test_places_lie_inside_apart_and_keep_proportions():
    rng = np.random.default_rng(0)
    sizes = [(64, 128), (50, 200), (100, 80)] * 3
    rectangles = place(sizes, (640, 480), rng)
    sides = rectangles[:, 2:] - rectangles[:, :2]
    assert (rectangles[:, :2] >= 0).all()
    assert (rectangles[:, 2:] <= (640, 480)).all()
    assert (sides[:, 1] >= HEIGHTS[0]).all()
    assert (sides[:, 1] <= HEIGHTS[1]).all()
    np.testing.assert_allclose(sides[:, 0] / sides[:, 1], [w / h for w, h in sizes], atol=0.02)
    painted = np.zeros((480, 640), int)
    for x1, y1, x2, y2 in rectangles:
        painted[y1:y2, x1:x2] += 1
    assert painted.max() == 1
    heights = [place([(64, 128)], (640, 480), rng)[0] for _ in range(200)]
    heights = [y2 - y1 for _, y1, _, y2 in heights]
    assert min(heights) < 75
    assert max(heights) > 240


@pytest.mark.parametrize(
    ("size", "canvas"), [((20, 2000), (64, 64)), ((2000, 20), (64, 64)), ((1, 1), (64, 64))]
)
def test_a_picture_of_any_shape_fits(size, canvas):
    ((x1, y1, x2, y2),) = place([size], canvas, np.random.default_rng(0))
    assert 0 <= x1 < x2 <= 64
    assert 0 <= y1 < y2 <= 64


def test_who_finds_no_room_is_left_out():
    rectangles = place([(64, 64)] * 3, (64, 64), np.random.default_rng(0))
    assert (rectangles[0] != 0).any()
    assert rectangles[1:].tolist() == [[0, 0, 0, 0]] * 2
