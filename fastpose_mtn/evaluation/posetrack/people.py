"""The frames and people of a sequence that poseval compares, and what it removes beforehand.

poseval's habits here, and what they mean for the numbers:

* A frame counts if its ground truth lists somebody, whatever its ``is_labeled`` says. People predicted in
  a labelled but empty scene are therefore no false positives.
* People without a list of joints (PoseTrack17 only) are dropped after that choice of frames, so a frame
  may count in which nobody is left. People whose list is empty stay. They match nobody and change no
  number but one: they keep their frame from being empty (see ``posetrack.mot``).
* Where a frame has ignore regions, joints inside them are removed, one by one, labelled and predicted
  alike; then whoever has no joint left is removed. A region can so split a person, and an annotated joint
  just inside is neither a hit nor a miss. Regions are the ground truth's; a prediction's own do not count.
* A predicted joint without a score gets a score below all others, so AP takes it last, in file order.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from fastpose_mtn.data.labels.plausibility import are_shares, of_shares, refuse_other_orders
from fastpose_mtn.data.posetrack.sequence import NO_TRACK_ID, PoseTrackSequence, frame_place
from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.posetrack.protocol import FALLBACK_SCORE, HEAD_SIZE_OF_DIAGONAL, POSEVAL_ORDER
from fastpose_mtn.evaluation.posetrack.regions import inside_any

_HEAD_BOX = "bbox_head [x, y, width, height] (PoseTrack17: x1, y1, x2, y2)"
# diagonals of head and person: standing people have 0.15, those seen to the chest 0.6
_LIKELY_HEADS = (0.03, 1.2)


@dataclass(frozen=True, eq=False)
class EvaluatedPeople:
    """P people of the L frames that count, in the frames' order; joints in poseval's order.

    Attributes:
        frame: (P,) int64, 0 to L - 1.
        row: (P,) int64, the person's row in its sequence.
        track_ids: (P,) int64.
        points: (P, 15, 2) float64 pixels.
        has_joint: (P, 15) bool.
        joint_scores: (P, 15) float64, with the fallback where the file has none.
        head_sizes: (P,) float64 pixels, NaN without a head box.
        boxes_xyxy: (P, 4) float64 pixels, NaN where neither a box nor a joint is known.
        first: (L + 1,) int64; the people of frame i are ``first[i]`` to ``first[i + 1]``.
    """

    frame: np.ndarray
    row: np.ndarray
    track_ids: np.ndarray
    points: np.ndarray
    has_joint: np.ndarray
    joint_scores: np.ndarray
    head_sizes: np.ndarray
    boxes_xyxy: np.ndarray
    first: np.ndarray

    def __len__(self) -> int:
        return len(self.row)

    @property
    def per_frame(self) -> np.ndarray:
        """(L,) int64."""
        return np.diff(self.first)


@dataclass(frozen=True, eq=False)
class EvaluatedSequence:
    """What is compared: ``frames`` (L,) int64 are positions in the sequences' frames."""

    frames: np.ndarray
    gt: EvaluatedPeople
    predictions: EvaluatedPeople


def select_people(
    gt: PoseTrackSequence, predictions: PoseTrackSequence, *, tracking: bool, warn: Callable[[str], None]
) -> EvaluatedSequence:
    """Selects the frames and people that count.

    Args:
        gt: the labelled sequence.
        predictions: of as many frames.
        tracking: whether track ids are needed.
        warn: takes one line of text for each oddity that does not stop the evaluation.

    Raises:
        InputError: a polygon has one or two points, a head box or a track id is missing where one is
            needed, no labelled head box has an extent, or two predicted people of a frame share an id.
    """
    frames = np.flatnonzero(gt.people_per_frame > 0)
    regions = {int(f): gt.frames[f].ignore_regions for f in frames if gt.frames[f].ignore_regions}
    _check_regions(gt, regions)
    if tracking:
        _check_unique_ids(predictions, np.arange(len(predictions)), warn=None)
        _check_unique_ids(gt, frames[:-1], warn=warn)
    selected = EvaluatedSequence(
        frames=frames, gt=_people(gt, frames, regions), predictions=_people(predictions, frames, regions)
    )
    _check_needed_fields(gt, predictions, selected, tracking)
    _check_head_sizes(gt, selected.gt, warn)
    for sequence, people in ((gt, selected.gt), (predictions, selected.predictions)):
        points = people.points[people.has_joint]
        if are_shares(points):
            warn(f"{sequence.path or sequence.name}: keypoints: {of_shares(points)}")
    _warn_of_other_orders(predictions, warn)
    if len(frames) and not len(selected.gt):
        warn(
            f"{gt.path or gt.name}: all labelled people lie in ignore regions; with them taken out, each frame counts as a "
            "miss and a false positive of every joint, as in poseval"
        )
    if len(frames) and len(predictions) and not len(predictions.frame_index):
        warn(
            f"{predictions.path or predictions.name}: nobody is predicted in it; each frame counts as a miss and a false "
            "positive of every joint, as in poseval"
        )
    _warn_of_missing_scores(predictions, selected.predictions, warn)
    return selected


def _warn_of_other_orders(predictions: PoseTrackSequence, warn: Callable[[str], None]) -> None:
    """Says where the predicted boxes tell that joints are y, x, or boxes begin with their centre."""
    boxes, joints = predictions.boxes_xyxy, predictions.has_joint[..., None]
    with_joints = np.concatenate([predictions.keypoints, joints], axis=2)
    try:
        refuse_other_orders(
            np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1),
            with_joints,
            f"{predictions.path or predictions.name}: annotations",
        )
    except InputError as error:
        warn(str(error))


def _people(
    sequence: PoseTrackSequence, frames: np.ndarray, regions: dict[int, tuple[np.ndarray, ...]]
) -> EvaluatedPeople:
    position = np.full(len(sequence), -1, np.int64)
    position[frames[frames < len(sequence)]] = np.arange(len(frames))[frames < len(sequence)]
    counted = position[sequence.frame_index] >= 0 if len(sequence.frame_index) else np.zeros(0, bool)
    rows = np.flatnonzero(counted & sequence.has_points)
    has_joint = sequence.has_joint[rows]
    if regions:
        frame_of_row = sequence.frame_index[rows]
        ruled = np.isin(frame_of_row, list(regions))
        person, joint = np.nonzero(has_joint & ruled[:, None])
        polygons = [(polygon, frame) for frame, of_frame in regions.items() for polygon in of_frame]
        points = sequence.keypoints[rows[person], joint]
        has_joint[person, joint] = ~inside_any(points, frame_of_row[person], *zip(*polygons, strict=True))
        kept = ~ruled | has_joint.any(axis=1)
        rows, has_joint = rows[kept], has_joint[kept]
    scores = sequence.joint_scores[rows][:, POSEVAL_ORDER]
    frame = position[sequence.frame_index[rows]]
    x1, y1, x2, y2 = sequence.head_boxes_xyxy[rows].T
    return EvaluatedPeople(
        frame=frame,
        row=rows,
        track_ids=sequence.track_ids[rows],
        points=sequence.keypoints[rows][:, POSEVAL_ORDER],
        has_joint=has_joint[:, POSEVAL_ORDER],
        joint_scores=np.where(np.isnan(scores), FALLBACK_SCORE, scores),
        head_sizes=HEAD_SIZE_OF_DIAGONAL * np.sqrt((x2 - x1) ** 2 + (y2 - y1) ** 2),
        boxes_xyxy=_boxes(sequence, rows),
        first=np.searchsorted(frame, np.arange(len(frames) + 1)),
    )


def _boxes(sequence: PoseTrackSequence, rows: np.ndarray) -> np.ndarray:
    """The people's boxes; where a file has none, the joints' extent grown by 0.15 on each side.

    That is how PoseTrack's own converter makes boxes for PoseTrack17, which has none.
    """
    boxes = sequence.boxes_xyxy[rows].copy()
    lacking = np.flatnonzero(np.isnan(boxes).any(axis=1) & sequence.has_joint[rows].any(axis=1))
    if len(lacking):
        has_joint = sequence.has_joint[rows[lacking]][..., None]
        points = sequence.keypoints[rows[lacking]]
        low = np.where(has_joint, points, np.inf).min(axis=1)
        high = np.where(has_joint, points, -np.inf).max(axis=1)
        margin = 0.15 * (high - low)
        boxes[lacking] = np.concatenate([low - margin, high + margin], axis=1)
    return boxes


def _check_regions(gt: PoseTrackSequence, regions: dict[int, tuple[np.ndarray, ...]]) -> None:
    for frame, polygons in regions.items():
        for k, polygon in enumerate(polygons):
            if 0 < len(polygon) < 3:
                raise InputError(
                    f"{frame_place(gt, frame)}, ignore_regions[{k}]: expected a polygon of 3 points or more, "
                    f"got {len(polygon)}; complete it or take it out"
                )


def _check_unique_ids(
    sequence: PoseTrackSequence, frames: np.ndarray, warn: Callable[[str], None] | None
) -> None:
    """Ids are unique within a frame: poseval refuses other predictions, and lets other ground truth pass."""
    people = np.flatnonzero(np.isin(sequence.frame_index, frames) & (sequence.track_ids != NO_TRACK_ID))
    frame, track_id = sequence.frame_index[people], sequence.track_ids[people]
    order = np.lexsort((track_id, frame))
    twice = (np.diff(frame[order]) == 0) & (np.diff(track_id[order]) == 0)
    if not twice.any():
        return
    person = order[1:][twice][0]
    text = (
        f"{frame_place(sequence, int(frame[person]))}, track_id: expected an id of its own for each person, "
        f"got {int(track_id[person])} more than once"
    )
    if warn is None:
        raise InputError(f"{text}; give each person of a frame another id")
    warn(f"{text}; identity figures of this sequence depend on the order of the people")


def _check_needed_fields(
    gt: PoseTrackSequence, predictions: PoseTrackSequence, selected: EvaluatedSequence, tracking: bool
) -> None:
    """Head boxes and ids, where somebody is labelled and somebody predicted; elsewhere poseval needs none."""
    compared = (selected.gt.per_frame > 0) & (selected.predictions.per_frame > 0)
    for sequence, people, is_gt in ((gt, selected.gt, True), (predictions, selected.predictions, False)):
        needed = compared[people.frame] & people.has_joint.any(axis=1)
        for person in np.flatnonzero(needed & np.isnan(people.head_sizes))[:1] if is_gt else ():
            raise InputError(
                f"{sequence.place(people.row[person])}, {_HEAD_BOX}: expected a head box, which PCKh's scale is "
                "measured on, got none; add it to the ground truth"
            )
        for person in np.flatnonzero(needed & (people.track_ids == NO_TRACK_ID))[:1] if tracking else ():
            raise InputError(
                f"{sequence.place(people.row[person])}, track_id: expected the person's id, got none; add ids, "
                "or evaluate AP alone: --ap-only (in Python: tracking=False)"
            )


def _check_head_sizes(gt: PoseTrackSequence, people: EvaluatedPeople, warn: Callable[[str], None]) -> None:
    """Labels alone decide, so that what cannot be evaluated is told before anybody is predicted."""
    measured = people.has_joint.any(axis=1) & ~np.isnan(people.head_sizes)
    flat = np.flatnonzero(measured & (people.head_sizes <= 0))
    if len(flat):
        text = (
            f"{gt.place(people.row[flat[0]])}, {_HEAD_BOX}: expected a box with an extent, which PCKh's scale is "
            f"measured on, got one without for {len(flat)} of {int(measured.sum())} labelled people"
        )
        if len(flat) == measured.sum():
            raise InputError(f"{text}; nobody could be found: label the heads' boxes")
        warn(f"{text}; they count as never found, as in poseval: label their heads' boxes")
    corners = people.boxes_xyxy[measured]
    extents = np.hypot(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    known = (extents > 0) & (people.head_sizes[measured] > 0)
    if known.any():
        shares = people.head_sizes[measured][known] / HEAD_SIZE_OF_DIAGONAL / extents[known]
        share = float(np.median(shares))
        if not _LIKELY_HEADS[0] <= share <= _LIKELY_HEADS[1]:
            first = int(np.flatnonzero(measured)[known][0])
            warn(
                f"{gt.place(people.row[first])}, {_HEAD_BOX}: expected heads of {_LIKELY_HEADS[0]} to "
                f"{_LIKELY_HEADS[1]} of the people's boxes, got {share:.2g} in the middle (diagonals); AP and MOTA mean "
                "little then: are they in pixels, and in this order?"
            )


def _warn_of_missing_scores(
    predictions: PoseTrackSequence, people: EvaluatedPeople, warn: Callable[[str], None]
) -> None:
    scores = predictions.joint_scores[people.row][:, POSEVAL_ORDER]
    lacking = people.has_joint & np.isnan(scores)
    if lacking.any():
        first = int(np.flatnonzero(lacking.any(axis=1))[0])
        warn(
            f"{predictions.place(people.row[first])}, scores: expected a score for each joint, got none for "
            f"{int(lacking.sum())} joints of this sequence; each counts as {FALLBACK_SCORE:.0f}, as in poseval"
        )
