"""What the errors of a tracked sequence are: every labelled and every predicted joint gets one verdict.

MOT counts a joint as matched, missed or false, and a matched one as switched where the predicted
identity changed. Missed and false hide different failures, which are told apart here: where a person
was found but a joint of it lies too far off, MOT counts a missed and a false joint for what is a single
*shifted* one. So, joint by joint,

    labelled = found + shifted + missed        MOT's misses = shifted + missed

a switched joint is one of the found, and a false one is a predicted joint that is nobody's, not even
misplaced. These are the joints themselves: what poseval charges for frames in which nobody is labelled,
or nobody predicted, stands in its own figures only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastpose_mtn.data.posetrack.sequence import NUM_JOINTS, PoseTrackSequence
from fastpose_mtn.evaluation.posetrack.events import EventKind
from fastpose_mtn.evaluation.posetrack.protocol import POSEVAL_ORDER
from fastpose_mtn.evaluation.posetrack.results import SequenceResult

_KINDS = ("found", "shifted", "missed", "false", "switched")


@dataclass(frozen=True, eq=False)
class SequenceEvents:
    """The verdicts on one sequence with P labelled and Q predicted people, joints in POSETRACK15's order.

    Attributes:
        name: of the sequence.
        ground_truth: the labelled people.
        prediction: the predicted people, in the same frames.
        partner: (P,) int64, the predicted person (a row of ``prediction``) that each labelled one was found
            as, -1 for none.
        match: (P, 15) int64, the predicted person whose joint MOT matched with this one; -1 for none.
        found, shifted, missed, switched: (P, 15) bool, of the labelled joints.
        false: (Q, 15) bool, of the predicted joints.
        predicted: (Q, 15) bool, predicted joints that MOT counts.
    """

    name: str
    ground_truth: PoseTrackSequence
    prediction: PoseTrackSequence
    partner: np.ndarray
    match: np.ndarray
    found: np.ndarray
    shifted: np.ndarray
    missed: np.ndarray
    switched: np.ndarray
    false: np.ndarray
    predicted: np.ndarray

    @classmethod
    def from_result(cls, result: SequenceResult) -> SequenceEvents:
        """The verdicts in a result's list of events.

        Raises:
            ValueError: tracking was not evaluated.
        """
        events = result.joint_events
        if events is None:
            raise ValueError(
                f"sequence {result.name}: tracking was not evaluated; evaluate with tracking=True"
            )
        joint = POSEVAL_ORDER[events.joint]
        labelled, predicted = len(result.gt.frame_index), len(result.predictions.frame_index)
        matched = (events.kind == EventKind.MATCH) | (events.kind == EventKind.SWITCH)
        missed = events.kind == EventKind.MISS
        false = events.kind == EventKind.FALSE_POSITIVE

        def of_labels(mask: np.ndarray) -> np.ndarray:
            out = np.zeros((labelled, NUM_JOINTS), bool)
            out[events.gt[mask], joint[mask]] = True
            return out

        def of_predictions(mask: np.ndarray) -> np.ndarray:
            out = np.zeros((predicted, NUM_JOINTS), bool)
            out[events.prediction[mask], joint[mask]] = True
            return out

        match = np.full((labelled, NUM_JOINTS), -1, np.int64)
        match[events.gt[matched], joint[matched]] = events.prediction[matched]
        return cls(
            name=result.name,
            ground_truth=result.gt,
            prediction=result.predictions,
            partner=result.prediction_of_gt,
            match=match,
            found=of_labels(matched),
            shifted=of_labels(missed & events.shifted),
            missed=of_labels(missed & ~events.shifted),
            switched=of_labels(events.kind == EventKind.SWITCH),
            false=of_predictions(false & ~events.shifted),
            predicted=of_predictions(matched | false),
        )

    @property
    def counted(self) -> np.ndarray:
        """(P, 15) bool, labelled joints that MOT counts."""
        return self.found | self.shifted | self.missed

    def by_joint(self) -> JointErrors:
        """Counts of each joint over the sequence."""
        return JointErrors(*(getattr(self, kind).sum(axis=0) for kind in _KINDS))

    def by_frame(self) -> JointErrors:
        """Counts of each frame over the joints, (F,)."""
        frames = len(self.ground_truth)

        def count(kind: str) -> np.ndarray:
            owner = self.prediction if kind == "false" else self.ground_truth
            return np.bincount(owner.frame_index, getattr(self, kind).sum(axis=1), frames).astype(np.int64)

        return JointErrors(*(count(kind) for kind in _KINDS))


@dataclass(frozen=True, eq=False)
class JointErrors:
    """How many joints had which verdict, by joint (15,) or by frame (F,); int64.

    Attributes:
        found: matched, switched ones among them.
        shifted: the person was found, the joint lies too far off.
        missed: nothing was found there.
        false: found where nothing is.
        switched: found, under another identity than before.
    """

    found: np.ndarray
    shifted: np.ndarray
    missed: np.ndarray
    false: np.ndarray
    switched: np.ndarray

    @property
    def labelled(self) -> np.ndarray:
        """Labelled joints, found or not."""
        return self.found + self.shifted + self.missed

    @property
    def errors(self) -> np.ndarray:
        """Verdicts other than found in place under the same identity."""
        return self.shifted + self.missed + self.false + self.switched

    def __add__(self, other: JointErrors) -> JointErrors:
        return JointErrors(*(getattr(self, kind) + getattr(other, kind) for kind in _KINDS))

    def take(self, index: object) -> JointErrors:
        """The counts at a position, or in another order."""
        return JointErrors(*(getattr(self, kind)[index] for kind in _KINDS))

    @classmethod
    def none(cls) -> JointErrors:
        """No joints of any kind."""
        return cls(*(np.zeros(NUM_JOINTS, np.int64) for _ in _KINDS))


@dataclass(frozen=True)
class TrackSpan:
    """A stretch of frames in which a labelled person was found as one predicted identity, or not at all.

    Attributes:
        first, last: frames, both inclusive.
        found_as: the predicted track id, None where the person was missed.
        switched: whether the identity is not the one before.
    """

    first: int
    last: int
    found_as: int | None
    switched: bool = False


@dataclass(frozen=True)
class Track:
    """One labelled identity, or one predicted identity that was never anybody's.

    Attributes:
        track_id: of the labels, or of the predictions.
        labelled: false for a predicted identity that belongs to nobody.
        spans: in the order of time; frames in between do not show the person.
        joint_switches: frames in which MOT saw joints switch, and how many.
    """

    track_id: int
    labelled: bool
    spans: tuple[TrackSpan, ...]
    joint_switches: tuple[tuple[int, int], ...] = ()


def tracks_of(events: SequenceEvents) -> tuple[Track, ...]:
    """The identities of the counted frames: the labelled by their first frame, then those of nobody."""
    labels, prediction = events.ground_truth, events.prediction
    counted, present = events.counted.any(axis=1), events.predicted.any(axis=1)
    # A frame without labels is no gap: a stretch goes on over frames that nothing is known of.
    known = np.unique(np.concatenate([labels.frame_index[counted], prediction.frame_index[present]]))
    tracks = []
    for track_id in _by_first_appearance(labels.track_ids[counted]):
        rows = np.flatnonzero(counted & (labels.track_ids == track_id))
        partner = events.partner[rows]
        found_as = [int(prediction.track_ids[p]) if p >= 0 else None for p in partner.tolist()]
        switches = [(int(labels.frame_index[row]), int(events.switched[row].sum())) for row in rows]
        tracks.append(Track(
            int(track_id), True, _spans(labels.frame_index[rows], found_as, known),
            tuple((frame, count) for frame, count in switches if count),
        ))  # fmt: skip
    somebodys = set(prediction.track_ids[events.partner[events.partner >= 0]].tolist())
    for track_id in _by_first_appearance(prediction.track_ids[present]):
        if int(track_id) not in somebodys:
            frames = prediction.frame_index[present & (prediction.track_ids == track_id)]
            spans = _spans(frames, [int(track_id)] * len(frames), known)
            tracks.append(Track(int(track_id), False, spans))
    return tuple(tracks)


def _spans(frames: np.ndarray, found_as: list[int | None], known: np.ndarray) -> tuple[TrackSpan, ...]:
    """Stretches of the same identity in neighbouring known frames."""
    spans: list[TrackSpan] = []
    before: int | None = None
    places = np.searchsorted(known, frames).tolist()
    for i, (frame, identity) in enumerate(zip(frames.tolist(), found_as, strict=True)):
        if spans and spans[-1].found_as == identity and places[i] - places[i - 1] <= 1:
            spans[-1] = TrackSpan(spans[-1].first, frame, identity, spans[-1].switched)
        else:
            switched = identity is not None and before is not None and identity != before
            spans.append(TrackSpan(frame, frame, identity, switched))
        before = identity if identity is not None else before
    return tuple(spans)


def _by_first_appearance(track_ids: np.ndarray) -> np.ndarray:
    ids, first = np.unique(track_ids, return_index=True)
    return ids[np.argsort(first)]


def identity_colours(events: SequenceEvents) -> dict[int, int]:
    """Predicted identities, by first appearance, to the numbers of their colours."""
    return {
        int(track_id): number
        for number, track_id in enumerate(_by_first_appearance(events.prediction.track_ids))
    }


def worst_frames(
    events: list[SequenceEvents], count: int, per_sequence: int = 2, apart: int = 10
) -> list[tuple[SequenceEvents, int, JointErrors]]:
    """The frames with most errors, worst first.

    Args:
        events: the sequences.
        count: at most so many frames.
        per_sequence: at most so many of one sequence, so that one bad sequence does not fill the list.
        apart: frames of one sequence differ by at least so much; neighbours look alike.

    Returns:
        Sequence, frame, and that frame's counts, () shaped.
    """
    candidates = []
    for number, sequence in enumerate(events):
        errors = sequence.by_frame()
        candidates += [(-int(e), number, f, errors) for f, e in enumerate(errors.errors) if e > 0]
    chosen: list[tuple[SequenceEvents, int, JointErrors]] = []
    used: dict[int, list[int]] = {}
    for _, number, frame, errors in sorted(candidates, key=lambda c: c[:3]):
        here = used.setdefault(number, [])
        if len(here) < per_sequence and all(abs(frame - other) >= apart for other in here):
            here.append(frame)
            chosen.append((events[number], frame, errors.take(frame)))
        if len(chosen) == count:
            break
    return chosen
