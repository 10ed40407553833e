"""What holds of any video, of random people."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from tracked_people import ANNA, BERT, CARL, frame, make, person

from fastpose_mtn.ops.overlap import iou_matrix
from fastpose_mtn.tracking.parameters import STRATEGIES

coordinates = st.floats(0, 300, width=32)
shares = st.floats(0, 1, width=32)


@st.composite
def videos(draw):
    """Some frames of up to 6 people anywhere, looking like one of three, seen well or not."""
    one = st.builds(
        lambda x, y, height, look, seen, score: person(
            x, (ANNA, BERT, CARL)[look], seen=seen, score=score, y=y, height=height
        ),
        coordinates, coordinates, st.floats(0, 200, width=32), st.integers(0, 2), st.integers(0, 15), shares,
    )  # fmt: skip
    crowd = draw(st.lists(st.lists(one, max_size=6), min_size=1, max_size=8))
    steps = draw(st.lists(st.floats(0, 3), min_size=len(crowd), max_size=len(crowd)))
    times = np.cumsum(steps).tolist()
    return [(frame(*people), time_s) for people, time_s in zip(crowd, times, strict=True)]


@settings(max_examples=60, deadline=None)
@given(videos(), st.sampled_from(STRATEGIES))
def test_ids_are_unique_dense_and_repeatable(video, strategy):
    tracker, again = make(strategy), make(strategy)
    seen: set[int] = set()
    for people, time_s in video:
        found = tracker.update(people, time_s)
        assert found.track_ids.tolist() == again.update(people, time_s).track_ids.tolist()
        assert (found.scores >= tracker.parameters.min_score).all()
        seen |= set(found.track_ids.tolist())
        assert seen == set(range(len(seen)))  # 0, 1, 2, ... without a gap


@settings(max_examples=60, deadline=None)
@given(videos(), st.floats(0.05, 0.95))
def test_no_matched_pair_is_below_its_gate(video, gate):
    tracker = make("iou", min_similarity=gate, motion=False)
    last: dict[int, np.ndarray] = {}
    for people, time_s in video:
        found = tracker.update(people, time_s)
        for track_id, box in zip(found.track_ids.tolist(), found.boxes, strict=True):
            if track_id in last:
                assert iou_matrix(last[track_id][None], box[None])[0, 0] >= gate
            last[track_id] = box


@settings(max_examples=60, deadline=None)
@given(videos())
def test_clearly_seen_people_never_take_the_id_of_somebody_unlike_elsewhere(video):
    """Where boxes do not overlap and looks are at right angles, S is 0, and nothing may make up for it."""
    tracker = make(motion=False)
    last: dict[int, tuple[np.ndarray, np.ndarray]] = {}
    for people, time_s in video:
        clear = people[(people.keypoints[..., 2] > 0.2).sum(axis=1) > 10]
        found = tracker.update(clear, time_s)
        for track_id, box, look in zip(found.track_ids.tolist(), found.boxes, found.embeddings, strict=True):
            if track_id in last:
                place, looked = last[track_id]
                assert looked @ look > 0 or iou_matrix(place[None], box[None])[0, 0] > 0
            last[track_id] = box, look
