"""How alike the embeddings of saved detections are, of one person and of different people.

The people of a result are found again among the saved detections by their boxes, which a tracker does not change,
and are told apart by the labelled people that they were found as.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.posetrack.evaluation import frame_key
from fastpose_mtn.evaluation.report.events import SequenceEvents
from fastpose_mtn.ops.overlap import iou_matrix
from fastpose_mtn.tracking.alphapose_file import is_alphapose_file
from fastpose_mtn.tracking.detections_file import ENDING, SavedDetections, SavedFrame, load
from fastpose_mtn.tracking.parameters import DEFAULT_PARAMETERS
from fastpose_mtn.tracking.similarity import appearance_similarity, embedding_distances, has_valid_embedding

BINS = 200  # of the histograms, over similarities 0 to 1
# overlap of a box with itself, rounded to thousandths of pixels: 0.99 and more of boxes of a pixel
_SAME_BOX = 0.98
_LEAST_FOUND = 0.5  # share of a result's people that its own detections have at least
_MOST_PEOPLE = 600  # of a sequence, evenly over its frames: 180,000 pairs


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The embeddings of a result's people.

    Attributes:
        vectors: (Q, D) float32, one a row of ``SequenceEvents.prediction``.
        valid: (Q,) bool, those that the tracker compares: found again, and enough of the body is visible.
    """

    vectors: np.ndarray
    valid: np.ndarray

    def similarity(self, a: int, b: int) -> float:
        """The appearance similarity of two rows; NaN where one of them is not valid."""
        if not (self.valid[a] and self.valid[b]):
            return float("nan")
        return float(_similarities(self.vectors[[a]], self.vectors[[b]])[0, 0])


@dataclass(frozen=True, eq=False)
class SimilarityHistogram:
    """Pairs of embeddings by their appearance similarity, (BINS,) int64 over [0, 1].

    Attributes:
        same: of one labelled person in two frames.
        different: of two labelled people, in one frame or two.
    """

    same: np.ndarray
    different: np.ndarray

    def __add__(self, other: SimilarityHistogram) -> SimilarityHistogram:
        return SimilarityHistogram(self.same + other.same, self.different + other.different)

    @classmethod
    def none(cls) -> SimilarityHistogram:
        """No pairs."""
        return cls(np.zeros(BINS, np.int64), np.zeros(BINS, np.int64))

    @property
    def rank_probability(self) -> float:
        """The probability that two embeddings of one person are more alike than two of different people.

        The area under the ROC curve; equals count one half. NaN where there are no pairs of one kind.
        """
        pairs = float(self.same.sum()) * float(self.different.sum())
        if not pairs:
            return float("nan")
        below = np.cumsum(self.different) - self.different
        return float((self.same * (below + 0.5 * self.different)).sum() / pairs)


@dataclass(frozen=True)
class DetectionFiles:
    """Saved detections of a report's sequences.

    Attributes:
        files: by the sequences' names.
        required: whether each sequence has to have its file, which has to fit; else a report does without.
    """

    files: Mapping[str, Path]
    required: bool

    @classmethod
    def found(cls, files: Sequence[Path], *, required: bool) -> DetectionFiles:
        """Files that are called ``NAME.detections.npz``; AlphaPose's results, which have no embeddings, are passed over.

        Raises:
            InputError: the files are required, and all are AlphaPose's.
        """
        own = {file.name.removesuffix(ENDING): file for file in files if not is_alphapose_file(file)}
        if required and files and not own:
            raise InputError(
                f"--detections: expected NAME{ENDING}, whose embeddings a report compares, got {files[0]}: AlphaPose's "
                "results have none; leave --detections out"
            )
        return cls(own, required)


@dataclass(frozen=True, eq=False)
class Similarities:
    """The embeddings of sequences' people by the sequences' names, or why there are none."""

    embeddings: Mapping[str, Embeddings] = field(default_factory=dict)
    lacking: str = ""


def read_similarities(events: Sequence[SequenceEvents], detections: DetectionFiles) -> Similarities:
    """Reads the embeddings of the sequences' people.

    Raises:
        InputError: the files are required, and one is missing or is not the sequence's.
    """
    files, out = detections.files, {}
    for e in events:
        if e.name in files:
            try:
                out[e.name] = match_embeddings(e, load(files[e.name]), str(files[e.name]))
            except InputError as error:
                if detections.required:
                    raise
                return Similarities(lacking=f"There are none, because of {error}.")
        elif detections.required:
            raise InputError(
                f"--detections: expected {e.name}{ENDING}, the saved detections of sequence {e.name}, got "
                f"{', '.join(sorted(f.name for f in files.values())[:3])}; each sequence needs its own"
            )
    if out:
        return Similarities(out)
    return Similarities(
        lacking="There are none without the saved detections of the results (track_video.py --save-detections): "
        "put them beside the results, or give their folder with --detections."
    )


def match_embeddings(events: SequenceEvents, saved: SavedDetections, file: str) -> Embeddings:
    """Finds a result's people among the saved detections that they were tracked from.

    Args:
        events: of the result.
        saved: of the same video.
        file: where they come from, for messages.

    Raises:
        InputError: there are no embeddings, frames of the result are not there, or most people are not.
    """
    prediction = events.prediction
    frames = {frame_key(frame.file_name or str(frame.number)): frame for frame in saved}
    dim = next((e.shape[1] for f in saved if (e := f.detections.embeddings) is not None and len(e)), 0)
    if not dim and any(len(frame.detections) for frame in saved):
        raise InputError(
            f"{file}: embeddings: expected those of a network with identities, which similarities are made of, got "
            "none; leave the detections out, or track with such weights (drawn, people)"
        )
    vectors, valid = np.zeros((len(prediction.frame_index), dim), np.float32), []
    present = np.zeros(len(vectors), bool)
    for number in np.unique(prediction.frame_index).tolist():
        name = prediction.frames[number].name
        frame = frames.get(frame_key(name))
        if frame is None:
            raise InputError(
                f"{file}: expected the frames of {prediction.path or events.name}, got none for {name or number}; are "
                "they of another video?"
            )
        rows = prediction.people_of(number)
        own, found = _same_boxes(prediction.boxes_xyxy[rows], frame)
        if frame.detections.embeddings is not None and len(own):
            vectors[rows.start + own] = frame.detections.embeddings[found]
            present[rows.start + own] = True
            says = frame.detections.embeddings[found].any(axis=1)  # zeros would be equal, whoever they are of
            valid += (rows.start + own[_is_valid(frame, saved)[found] & says]).tolist()
    if present.sum() < _LEAST_FOUND * len(present):
        raise InputError(
            f"{file}: expected the people of {prediction.path or events.name}, got boxes of {int(present.sum())} of "
            f"{len(present)}; are they of another video or another run?"
        )
    mask = np.zeros(len(vectors), bool)
    mask[valid] = True
    return Embeddings(vectors, mask)


def similarity_histogram(events: SequenceEvents, embeddings: Embeddings) -> SimilarityHistogram:
    """The pairs of a sequence's embeddings, of at most 600 people evenly over its frames."""
    person = np.full(len(embeddings.valid), -1, np.int64)
    labelled = np.flatnonzero(events.partner >= 0)
    # By number, not by id: any number may be an id, -1 too.
    person[events.partner[labelled]] = np.unique(
        events.ground_truth.track_ids[labelled], return_inverse=True
    )[1]
    rows = np.flatnonzero(embeddings.valid & (person >= 0))
    if len(rows) > _MOST_PEOPLE:
        rows = rows[np.linspace(0, len(rows) - 1, _MOST_PEOPLE).astype(np.int64)]
    a, b = np.triu_indices(len(rows), 1)
    values = _similarities(embeddings.vectors[rows], embeddings.vectors[rows])[a, b]
    same = person[rows][a] == person[rows][b]
    bins = np.minimum((values * BINS).astype(np.int64), BINS - 1)
    return SimilarityHistogram(*(np.bincount(bins[kind], minlength=BINS) for kind in (same, ~same)))


def _same_boxes(boxes_xyxy: np.ndarray, frame: SavedFrame) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the boxes that are a detection's, and of those detections."""
    if not len(boxes_xyxy) or not len(frame.detections):
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    overlap = np.nan_to_num(iou_matrix(boxes_xyxy, np.asarray(frame.detections.boxes)))
    best = overlap.argmax(axis=1)
    own = np.flatnonzero(overlap[np.arange(len(best)), best] >= _SAME_BOX)
    return own, best[own]


def _is_valid(frame: SavedFrame, saved: SavedDetections) -> np.ndarray:
    parameters = DEFAULT_PARAMETERS
    return has_valid_embedding(
        np.asarray(frame.detections.keypoints),
        parameters.joint_thresh,
        parameters.valid_joints,
        body_joints=saved.skeleton.parts["body"],
    )


def _similarities(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return appearance_similarity(embedding_distances(a, b), DEFAULT_PARAMETERS.max_distance)
