"""Tracking with hindsight: exchanged ids put right, gaps joined and filled, stray detections pruned, bad input named."""

import numpy as np
import pytest

from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.tracking.detections_file import SavedFrame
from fastpose_mtn.tracking.offline import mend_tracks
from fastpose_mtn.tracking.offline_parameters import OfflineParameters
from fastpose_mtn.tracking.parameters import TrackerParameters

LOOKS = np.eye(8, dtype=np.float32)


def tracked(people, *, visible=1.0):
    """Each person's (track id, x, look or None): a box 40 wide and 100 high."""
    x = np.array([x for _, x, _ in people], np.float32)
    boxes = np.stack([x, np.full_like(x, 50), x + 40, np.full_like(x, 150)], 1).reshape(-1, 4)
    joints = np.zeros((len(people), 15, 3), np.float32)
    joints[..., :2] = boxes[:, None, :2] + 10
    joints[..., 2] = visible
    looks = np.array([np.zeros(8) if look is None else LOOKS[look] for *_, look in people], np.float32)
    detections = PersonDetections(boxes, np.full(len(people), 0.9, np.float32), joints, looks.reshape(-1, 8))
    return TrackedPersons(detections, np.array([track for track, *_ in people], np.int64))


def video(*frames, seconds=0.1, cut_at=None):
    return [
        (SavedFrame(i, i * seconds, (240, 640), people.detections, scene_cut=i == cut_at), people)
        for i, people in enumerate(map(tracked, frames))
    ]


def mended(frames, parameters=None, **kwargs):
    """(id, x) of each frame's people, from left to right, with an asterisk for who is interpolated."""
    out = []
    parameters = parameters or OfflineParameters(interpolate_seconds=0.0)
    for _, people in mend_tracks(frames, POSETRACK15, parameters, **kwargs):
        marks = people.interpolated if people.interpolated is not None else np.zeros(len(people), bool)
        rows = zip(people.track_ids.tolist(), people.boxes[:, 0].tolist(), marks.tolist(), strict=True)
        out.append(sorted(((f"{i}*" if mark else i), round(x)) for i, x, mark in rows))
    return out


def crossing(exchanged):
    """Two people walk through each other, in the middle of which one hides the other; the tracker's ids behind it."""
    frames = []
    for i in range(21):
        left, right = 100 + 10 * i, 300 - 10 * i
        behind = exchanged and i > 10
        people = [(1 if behind else 0, left, 0), (0 if behind else 1, right, 1)]
        frames.append(people[:1] if i in (9, 10, 11) else people)
    return frames


def test_exchanged_ids_are_put_right():
    expected = mended(video(*crossing(exchanged=False)))
    assert mended(video(*crossing(exchanged=True))) == expected
    assert expected[0] == [(0, 100), (1, 300)]
    assert expected[20] == [(0, 300), (1, 100)]


def test_ids_count_from_zero_in_order_of_appearance():
    frames = [[(7, 300, 0)], [(7, 303, 0), (4, 20, 1)], [(7, 306, 0), (4, 20, 1)]]
    assert mended(video(*frames))[2] == [(0, 306), (1, 20)]


@pytest.mark.parametrize(("look", "ids"), [(0, {0}), (1, {0, 2})])
def test_a_long_gap_is_joined_by_appearance(look, ids):
    """3 s, which is more than the tracker waits for."""
    frames = [[(0, 100, 0)]] * 10 + [[]] * 30 + [[(1, 150, look)]] * 10
    beside = [[*people, (5, 500, 1 - look)] for people in frames]  # who tells how different people are
    assert {i for people in mended(video(*beside)) for i, x in people if x < 400} == ids


def test_nobody_is_found_again_beyond_reach_or_after_too_long():
    frames = [[(0, 100, 0)]] * 5 + [[]] * 2 + [[(1, 560, 0)]] * 5  # 4.6 heights in 0.3 s
    assert mended(video(*frames))[-1] == [(1, 560)]
    frames = [[(0, 100, 0)]] * 5 + [[]] * 60 + [[(1, 100, 0)]] * 5
    assert mended(video(*frames))[-1] == [(1, 100)]
    assert mended(video(*frames), OfflineParameters(max_gap_seconds=7.0))[-1] == [(0, 100)]


def test_people_at_once_are_never_one():
    frames = [[(0, 100, 0), (1, 104, 0)]] * 6
    assert all(len({i for i, _ in people}) == 2 for people in mended(video(*frames)))


def test_a_track_of_one_detection_is_pruned():
    frames = [[(0, 100, 0)]] * 4
    frames[2] = [(0, 100, 0), (9, 400, 1)]
    assert mended(video(*frames)) == [[(0, 100)]] * 4
    kept = mended(video(*frames), OfflineParameters(min_detections=1))
    assert kept[2] == [(0, 100), (1, 400)]
    # nobody can be seen twice in a video of one frame
    assert mended(video([(3, 100, 0), (4, 400, 1)])) == [[(0, 100), (1, 400)]]


def test_a_short_gap_is_filled_and_marked():
    frames = [[(0, 100, 0)], [(0, 110, 0)], [], [], [(0, 140, 0)], [(0, 150, 0)]]
    assert mended(video(*frames), OfflineParameters())[1:5] == [
        [(0, 110)], [("0*", 120)], [("0*", 130)], [(0, 140)],
    ]  # fmt: skip
    assert mended(video(*frames), OfflineParameters(interpolate_seconds=0.2))[2] == []


def test_behind_a_scene_cut_appearance_alone_finds_people_again():
    """Both stand where the other stood; the third has no embedding and stays where they are."""
    before, behind = [(0, 100, 0), (1, 300, 1), (2, 500, None)], [(3, 100, 1), (4, 300, 0), (5, 500, None)]
    frames = video(*[before] * 5, *[behind] * 5, cut_at=5)
    assert mended(frames, OfflineParameters())[-1] == [(0, 300), (1, 100), (3, 500)]


def test_nothing_is_filled_across_a_scene_cut():
    frames = [[(0, 100, 0)], [(0, 100, 0)], [], [(0, 100, 0)], [(0, 100, 0)]]
    assert mended(video(*frames, cut_at=3), OfflineParameters())[2] == []
    assert mended(video(*frames), OfflineParameters())[2] == [("0*", 100)]


@pytest.mark.parametrize(
    ("frames", "strategy"),
    [(crossing(exchanged=True), "iou"), ([[(i, x, None) for i, x, _ in p] for p in crossing(True)], "reid")],
)
def test_without_embeddings_place_and_motion_tell(frames, strategy):
    """Zeros are none, and the strategy ``iou`` believes none; both walked straight on."""
    result = mended(video(*frames), tracking=TrackerParameters(strategy=strategy))
    assert (result[0], result[20]) == ([(0, 100), (1, 300)], [(0, 300), (1, 100)])


def test_people_without_embeddings_at_all():
    frames = video(*crossing(exchanged=True))
    bare = [
        (saved, TrackedPersons(PersonDetections(p.boxes, p.scores, p.keypoints), p.track_ids))
        for saved, p in frames
    ]
    result = list(mend_tracks(bare, POSETRACK15))
    assert all(people.embeddings is None for _, people in result)
    assert result[20][1].track_ids.tolist() == [0, 1]


def test_embeddings_of_another_length_are_named():
    frames = video(*[[(0, 100, 0)]] * 3)
    saved, people = frames[2]
    d = people.detections
    longer = PersonDetections(d.boxes, d.scores, d.keypoints, np.ones((1, 9), np.float32))
    frames[2] = saved, TrackedPersons(longer, people.track_ids)
    with pytest.raises(ValueError, match="walk: frame 2: embeddings: 9 values a person, but 8 in earlier"):
        mend_tracks(frames, POSETRACK15, source="walk")


def test_time_may_jump_or_stand_still():
    frames = video(*[[(0, 100, 0)]] * 4, [], *[[(1, 100, 0)]] * 4)
    times = [0, 0.1, 0.1, 0.2, 0.3, 3600, 3600.1, 3600.2, 3600.2]
    jumped = [
        (SavedFrame(i, t, (240, 640), p.detections), p) for i, (t, (_, p)) in enumerate(zip(times, frames, strict=True))
    ]  # fmt: skip
    assert mended(jumped, OfflineParameters()) == [[(0, 100)]] * 4 + [[]] + [[(1, 100)]] * 4


@pytest.mark.parametrize("count", [0, 3])
def test_nobody_in_a_video(count):
    assert mended(video(*[[]] * count)) == [[]] * count


def test_a_thousand_people():
    """They stand so close that each covers others, and are lost for a frame."""
    x = [15 * (i % 40) for i in range(1000)]
    row = np.repeat(np.arange(25), 40)
    frames = []
    for index in range(6):
        people = tracked([(i, x[i], i % 8) for i in range(1000)])
        boxes = people.boxes + np.float32([0, 60, 0, 60]) * row[:, None].astype(np.float32)
        d = people.detections
        seen = np.arange(1000) % 6 != index
        moved = PersonDetections(boxes, d.scores, d.keypoints, d.embeddings)[seen]
        frames.append(
            (SavedFrame(index, index / 10, (1700, 700), moved), TrackedPersons(moved, people.track_ids[seen]))
        )
    result = mend_tracks(frames, POSETRACK15)
    where = {}
    for _, people in result:
        for track, box in zip(people.track_ids.tolist(), people.boxes.tolist(), strict=True):
            where.setdefault(track, set()).add(tuple(box))
    assert len(where) == 1000
    assert all(len(places) == 1 for places in where.values())
