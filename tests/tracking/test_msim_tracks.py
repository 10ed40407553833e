"""Rows of tracks by hand: who begins, who is found, who is left."""

import numpy as np
import pytest

from fastpose_mtn.tracking.msim_tracks import TENTATIVE, TRACKED, MSIMTracks

BOXES = np.array([[0.0, 0.0, 10.0, 20.0], [50.0, 0.0, 60.0, 20.0]])


def begun() -> MSIMTracks:
    return MSIMTracks.begun(np.array([4, 7]), BOXES, np.zeros((2, 3, 3)), np.eye(2), 1.5)


def test_tracks_begin_where_people_are():
    tracks = begun()
    np.testing.assert_allclose(tracks.expected_boxes(), BOXES)
    assert tracks.states.tolist() == [TENTATIVE] * 2
    assert tracks.placed.all()
    assert tracks.last_seen_s.tolist() == [1.5, 1.5]


def test_rows_are_chosen_and_joined():
    tracks = begun()
    (one,) = tracks[np.array([False, True])].ids
    assert one == 7
    both = tracks[np.array([1])].with_others(tracks)
    assert both.ids.tolist() == [7, 4, 7]
    assert both.covariances.shape == (3, 8, 8)
    assert len(MSIMTracks.none().with_others(MSIMTracks.none())) == 0


def test_room_is_made_once():
    tracks = MSIMTracks.none().with_room(np.zeros((0, 3, 3)), np.zeros((0, 5)))
    assert (tracks.poses.shape[1], tracks.embeddings.shape[1]) == (0, 0)  # nobody says how many
    tracks = tracks.with_room(np.zeros((1, 3, 3)), np.zeros((1, 5)))
    assert (tracks.poses.shape, tracks.embeddings.shape) == ((0, 3, 3), (0, 5))
    assert tracks.with_room(np.zeros((1, 4, 3)), np.zeros((1, 6))).poses.shape == (0, 3, 3)


def test_who_is_found_follows():
    tracks = begun()
    moved = BOXES[1:] + np.array([2.0, 0.0, 2.0, 0.0])
    tracks.see(
        np.array([1]), moved, np.ones((1, 3, 3)), np.array([[1.0, 0.0]]), time_s=2.0, memory=0.5
    )  # fmt: skip
    assert tracks.states.tolist() == [TENTATIVE, TRACKED]
    assert tracks.last_seen_s.tolist() == [1.5, 2.0]
    assert tracks.embeddings[1] == pytest.approx([0.5**0.5, 0.5**0.5])  # half of either, of length 1
    assert tracks.poses[:, 0, 0].tolist() == [0.0, 1.0]
    assert 50.0 < tracks.expected_boxes()[1, 0] < 52.0


def test_who_is_not_seen_grows_no_more():
    tracks = begun()
    tracks.means[:, 7] = 3.0  # pixels of height a frame
    tracks.states[0] = TRACKED
    later = tracks.later(1 / 30)
    heights = later.expected_boxes()[:, 3] - later.expected_boxes()[:, 1]
    assert heights.tolist() == pytest.approx([23.0, 20.0])
    assert tracks.means[1, 7] == 3.0  # these stay as they were
