import numpy as np
import pytest

from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.tracking.detections_file import SavedFrame
from fastpose_mtn.tracking.offline_tracklets import People, cut_tracks
from fastpose_mtn.tracking.parameters import TrackerParameters


def people_of(*frames, cut_at=None, strategy="occlusion_aware", confidence=1.0):
    """Frames 0.1 s apart of {track: x}, boxes 40 wide and 100 high."""
    out = []
    for i, frame in enumerate(frames):
        boxes = np.array([[x, 0, x + 40, 100] for x in frame.values()], np.float32).reshape(-1, 4)
        joints = np.full((len(frame), 15, 3), confidence, np.float32)
        looks = np.eye(4, dtype=np.float32)[[track % 4 for track in frame]].reshape(-1, 4)
        found = PersonDetections(boxes, np.ones(len(frame), np.float32), joints, looks)
        saved = SavedFrame(i, i / 10, (240, 320), found, scene_cut=i == cut_at)
        out.append((saved, TrackedPersons(found, np.array(list(frame), np.int64))))
    return People.of(out, TrackerParameters(strategy=strategy), POSETRACK15)


def pieces(people, contested_cover=0.2):
    """(track, first frame, last frame) of each tracklet."""
    cut = cut_tracks(people, contested_cover)
    return [
        (int(people.track[a]), int(people.frame[a]), int(people.frame[b]))
        for a, b in zip(cut.first, cut.last, strict=True)
    ]


def test_a_track_alone_is_one_tracklet():
    people = people_of(*[{0: 10, 1: 200}] * 4)
    cut = cut_tracks(people, 0.2)
    assert pieces(people) == [(0, 0, 3), (1, 0, 3)]
    assert cut.following.tolist() == [-1, -1]
    assert cut.of_person.tolist() == [0, 1] * 4


def test_tracks_are_cut_where_somebody_was_lost_and_at_scene_cuts():
    assert pieces(people_of({0: 10}, {0: 10}, {}, {0: 10})) == [(0, 0, 1), (0, 3, 3)]
    people = people_of({0: 10}, {0: 10}, {0: 10}, cut_at=1)
    assert pieces(people) == [(0, 0, 0), (0, 1, 2)]
    assert cut_tracks(people, 0.2).following.tolist() == [1, -1]


def test_tracks_are_cut_around_covered_boxes_and_every_fifth_of_a_second_within():
    """A quarter of each is the other's in frames 2 to 5."""
    near, far = {0: 10, 1: 40}, {0: 10, 1: 200}
    people = people_of(far, far, near, near, near, near, far)
    assert people.cover.tolist() == [0, 0, 0, 0] + [0.25] * 8 + [0, 0]
    own = [piece for piece in pieces(people) if piece[0] == 0]
    assert own == [(0, 0, 1), (0, 2, 3), (0, 4, 5), (0, 6, 6)]
    assert len(pieces(people, contested_cover=0.3)) == 2


@pytest.mark.parametrize(
    ("strategy", "confidence", "weight"),
    [("occlusion_aware", 1.0, 1.0), ("occlusion_aware", 0.1, 0.2), ("reid", 0.1, 1.0), ("iou", 1.0, 0.0)],
)
def test_how_much_an_embedding_counts(strategy, confidence, weight):
    alone = people_of({0: 10}, strategy=strategy, confidence=confidence)
    assert alone.weight.tolist() == [pytest.approx(weight)]
    covered = people_of({0: 10, 1: 40}, strategy=strategy, confidence=confidence)
    assert covered.weight.tolist() == [pytest.approx(0.75 * weight)] * 2


def test_nobody():
    people = people_of({}, {})
    assert len(people) == len(cut_tracks(people, 0.2)) == 0
