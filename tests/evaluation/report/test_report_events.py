"""What the errors are, on a sequence whose every joint is known."""

import numpy as np
import pytest

from fastpose_mtn.data.posetrack.sequence import PoseTrackFrame, PoseTrackSequence
from fastpose_mtn.evaluation.posetrack.evaluation import evaluate_posetrack, evaluate_sequence
from fastpose_mtn.evaluation.report.events import (
    JointErrors,
    SequenceEvents,
    Track,
    TrackSpan,
    tracks_of,
    worst_frames,
)
from fastpose_mtn.skeletons import POSETRACK15

WRIST = POSETRACK15.index("left_wrist")
# A head box of 25 x 25 px: heads of 0.6 * 35.36 = 21.2 px, so a joint is found within 10.6 px.
BODY = np.stack([np.arange(15) % 4 * 30.0, np.arange(15) // 4 * 40.0], axis=1)


def sequence(people, frames=6, name="walk"):
    """People as (frame, track id, x of the body, {joint: offset in x})."""
    people = sorted(people, key=lambda p: p[0])
    n = len(people)
    keypoints = np.array([BODY + np.array([x, 100.0]) for _, _, x, *_ in people]).reshape(n, 15, 2)
    for row, (*_, moved) in enumerate(people):
        for joint, offset in moved.items():
            keypoints[row, joint, 0] += offset
    x = np.array([p[2] for p in people], float)
    return PoseTrackSequence(
        name=name,
        frames=tuple(PoseTrackFrame(f"images/{name}/{i:06d}.jpg", size_hw=(480, 640)) for i in range(frames)),
        frame_index=np.array([p[0] for p in people], np.int64),
        track_ids=np.array([p[1] for p in people], np.int64),
        keypoints=keypoints,
        has_joint=np.ones((n, 15), bool),
        visibility=np.ones((n, 15)),
        joint_scores=np.full((n, 15), 0.9),
        head_boxes_xyxy=np.stack([x, x, x + 25, x + 25], axis=1).reshape(n, 4),
        boxes_xyxy=np.stack([x, np.full(n, 90.0), x + 100, np.full(n, 250.0)], axis=1).reshape(n, 4),
        scores=np.full(n, 0.9),
        has_points=np.ones(n, bool),
    )


LABELS = sequence([(f, person, 200.0 * person, {}) for f in range(6) for person in (1, 2)])
# Person 1 is found as 7 and from frame 3 on as 9, its wrist 40 px off in frame 1. Person 2 is found as 8, but
# missed in frame 2. 50 is nobody, in frames 0 and 1. Frame 5, the last labelled one, is no part of MOT.
PREDICTION = sequence(
    [(f, 7 if f < 3 else 9, 203.0, {WRIST: 40.0} if f == 1 else {}) for f in range(6)]
    + [(f, 8, 398.0, {}) for f in range(6) if f != 2]
    + [(f, 50, 0.0, {}) for f in (0, 1)]
)


@pytest.fixture(scope="module")
def result():
    return evaluate_sequence(LABELS, PREDICTION)


@pytest.fixture(scope="module")
def events(result):
    return SequenceEvents.from_result(result)


def test_every_joint_gets_its_verdict(events):
    errors = events.by_joint()
    others = np.arange(15) != WRIST
    # Of 2 people in 5 frames: person 2 is missed once, the wrist is shifted once.
    assert errors.labelled.tolist() == [10] * 15
    assert (errors.found[WRIST], errors.shifted[WRIST], errors.missed[WRIST]) == (8, 1, 1)
    assert errors.found[others].tolist() == [9] * 14
    assert errors.shifted[others].tolist() == [0] * 14
    assert errors.missed.tolist() == [1] * 15
    assert errors.false.tolist() == [2] * 15
    assert errors.switched.tolist() == [1] * 15
    assert errors.errors.sum() == 1 + 15 + 30 + 15


def test_verdicts_add_up_to_mots_counts(result, events):
    metrics, errors = result.metrics.to_json(), events.by_joint()
    assert errors.labelled.sum() == metrics["num_objects"]
    assert errors.found.sum() == metrics["num_detections"]
    assert (errors.shifted + errors.missed).sum() == metrics["num_misses"]
    assert (errors.shifted + errors.false).sum() == metrics["num_false_positives"]
    assert errors.switched.sum() == metrics["num_switches"]


def test_errors_of_each_frame(events):
    errors = events.by_frame()
    assert errors.missed.tolist() == [0, 0, 15, 0, 0, 0]
    assert errors.shifted.tolist() == [0, 1, 0, 0, 0, 0]
    assert errors.false.tolist() == [15, 15, 0, 0, 0, 0]
    assert errors.switched.tolist() == [0, 0, 0, 15, 0, 0]
    assert errors.labelled.tolist() == [30, 30, 30, 30, 30, 0]


def test_counts_add_up():
    total = sum((JointErrors.none(), JointErrors(*(np.full(15, i) for i in range(5)))), JointErrors.none())
    assert (total.found[0], total.switched[0], total.labelled[0]) == (0, 4, 3)
    assert total.take(np.array([2, 3])).missed.tolist() == [2, 2]


def test_tracks(events):
    assert tracks_of(events) == (
        Track(1, True, (TrackSpan(0, 2, 7), TrackSpan(3, 4, 9, switched=True)), ((3, 15),)),
        Track(2, True, (TrackSpan(0, 1, 8), TrackSpan(2, 2, None), TrackSpan(3, 4, 8))),
        Track(50, False, (TrackSpan(0, 1, 50),)),
    )


def test_a_person_who_leaves_and_one_found_again_as_another():
    labels = sequence([(f, 1, 200.0, {}) for f in (0, 1, 4, 5)] + [(f, 2, 400.0, {}) for f in range(6)])
    prediction = sequence([(f, 7 if f < 2 else 9, 200.0, {}) for f in (0, 1, 4, 5)])
    first, second = tracks_of(SequenceEvents.from_result(evaluate_sequence(labels, prediction)))
    assert first.spans == (TrackSpan(0, 1, 7), TrackSpan(4, 4, 9, switched=True))
    assert second.spans == (TrackSpan(0, 4, None),)


def test_the_worst_frames_come_first_and_are_not_neighbours(events):
    def frames(count, **options):
        return [frame for _, frame, _ in worst_frames([events], count, **options)]

    # 16 errors in frame 1, 15 in 0, 2 and 3, none in 4.
    assert frames(9, per_sequence=9, apart=1) == [1, 0, 2, 3]
    assert frames(9, per_sequence=9, apart=2) == [1, 3]
    assert frames(9, per_sequence=2, apart=1) == [1, 0]
    assert frames(1) == [1]
    [(_, _, counts)] = worst_frames([events], 1)
    assert (counts.missed, counts.shifted, counts.false, counts.switched) == (0, 1, 15, 0)


def test_a_prediction_of_nobody():
    nobody = sequence([], frames=0)
    events = SequenceEvents.from_result(evaluate_sequence(LABELS, nobody))
    assert events.by_joint().missed.tolist() == [10] * 15
    assert events.by_joint().false.sum() == 0
    assert tracks_of(events)[0].spans == (TrackSpan(0, 4, None),)


def test_without_tracking_there_are_no_events():
    result = evaluate_posetrack([LABELS], [PREDICTION], tracking=False)
    with pytest.raises(
        ValueError, match="sequence walk: tracking was not evaluated; evaluate with tracking=True"
    ):
        SequenceEvents.from_result(result.sequences[0])
