"""PoseTrack's numbers on a dataset's sequences: the network's people are tracked, then compared."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from fastpose_mtn.data.dataset import FRAME_RATE, LabelledSequence, PoseDataset
from fastpose_mtn.data.posetrack.file18 import PoseTrack18File
from fastpose_mtn.data.posetrack.people import PoseTrackPeople, sequence_of
from fastpose_mtn.data.posetrack.records import posetrack18_annotation_id
from fastpose_mtn.data.posetrack.sequence import PoseTrackFrame, PoseTrackSequence
from fastpose_mtn.data.sample import DrawnLabels
from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.measures.measure import EvaluatedImage
from fastpose_mtn.evaluation.posetrack.evaluation import evaluate_posetrack
from fastpose_mtn.evaluation.posetrack.people import select_people
from fastpose_mtn.evaluation.posetrack.results import PoseTrackMetrics, PoseTrackResult
from fastpose_mtn.protocols import Tracker, needs_frames
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections

_LOG = logging.getLogger("fastpose_mtn")
_MOST_WARNINGS = 3

# Names here, and in metrics.json.
_SHARES = {
    "AP": "ap", "MOTA": "mota", "MOTP": "motp", "IDF1": "idf1", "HOTA": "hota", "DetA": "deta", "AssA": "assa",
}  # fmt: skip
_COUNTS = ("num_switches", "num_fragmentations", "num_misses", "num_false_positives")

# index of the image, people found, drawn labels
TrackingEntry = tuple[int, PersonDetections, DrawnLabels | None]


class TrackingMeasure:
    """Tracks each sequence in the order of its frames and compares by PoseTrack's protocol.

    The tracker sees the labelled frames only, at their own times. ``posetrack/AP``, ``MOTA``, ``MOTP``,
    ``IDF1``, ``HOTA``, ``DetA``, ``AssA`` in [0, 1], the joints' means, and counts, the joints' sums:
    ``posetrack/num_switches``, ``num_fragmentations``, ``num_misses``, ``num_false_positives``.

    Args:
        dataset: of sequences, see ``PoseDataset.sequences``.
        skeleton: the network's; joints that it lacks are missed.
        new_tracker: makes a tracker without tracks.
        frame_rate: of sequences in files, a second.
        output: folder for the tracked people as PoseTrack18's JSON; None: they are not kept.

    Raises:
        InputError: the dataset is not of this kind, or its labels lack what the comparison needs; names
            file, frame and field.
    """

    def __init__(
        self,
        dataset: PoseDataset,
        skeleton: Skeleton,
        new_tracker: Callable[[], Tracker],
        *,
        frame_rate: float = FRAME_RATE,
        output: Path | None = None,
    ) -> None:
        self._dataset, self._skeleton, self._new_tracker = dataset, skeleton, new_tracker
        self._output = output
        self._notes: list[str] = []
        self._sequences = dataset.sequences(warn=self._notes.append, frame_rate=frame_rate)
        if not self._sequences:
            raise InputError(
                f"dataset {dataset.name}: PoseTrack's evaluation needs PoseTrack18's JSON files, one a "
                f"sequence (json://...&format=posetrack), or drawn scenes"
            )
        for sequence in self._sequences:
            if sequence.truth is not None:
                check_comparable(sequence.truth)

    def reset(self) -> None:
        """There is nothing to forget."""

    def entry(self, image: EvaluatedImage, found: PersonDetections) -> TrackingEntry:
        """The people, and the labels where they are drawn with the image."""
        return image.index, found, image.posetrack

    def evaluate(self, entries: Sequence[TrackingEntry]) -> dict[str, float]:
        """``posetrack/AP`` and so on, of all sequences together; see ``compare``."""
        return _numbers(self.compare(entries).metrics)

    def compare(self, entries: Sequence[TrackingEntry]) -> PoseTrackResult:
        """The figures of all sequences together and of each.

        Raises:
            InputError: an image of a sequence is missing.
        """
        found = {index: people for index, people, _ in entries}
        for sequence in self._sequences:
            absent = [index for index in sequence.indices if index >= 0 and index not in found]
            if absent:
                raise InputError(
                    f"dataset {self._dataset.name}: expected people of all images, got none of image {absent[0]} "
                    f"(sequence {sequence.name})"
                )
        labels = {index: records for index, _, records in entries if records is not None}
        notes = list(self._notes)
        truths = [self._truth(sequence, labels) for sequence in self._sequences]
        tracked = [
            self._tracked(sequence, truth.frames, found)
            for sequence, truth in zip(self._sequences, truths, strict=True)
        ]
        result = evaluate_posetrack(truths, tracked, warn=notes.append)
        for text in notes[:_MOST_WARNINGS]:
            _LOG.warning("dataset %s: %s", self._dataset.name, text)
        if len(notes) > _MOST_WARNINGS:
            _LOG.warning("dataset %s: %d more warnings", self._dataset.name, len(notes) - _MOST_WARNINGS)
        return result

    def _truth(self, sequence: LabelledSequence, labels: Mapping[int, DrawnLabels]) -> PoseTrackSequence:
        if sequence.truth is not None:
            return sequence.truth
        drawn = [labels[index] for index in sequence.indices]
        people = {number: own for number, (_, own) in enumerate(drawn)}
        return sequence_of(sequence.name, [frame for frame, _ in drawn], people)

    def _tracked(
        self,
        sequence: LabelledSequence,
        frames: Sequence[PoseTrackFrame],
        found: Mapping[int, PersonDetections],
    ) -> PoseTrackSequence:
        tracker = self._new_tracker()
        visual = needs_frames(tracker)
        people = {}
        for number, (index, time_s) in enumerate(zip(sequence.indices, sequence.times_s, strict=True)):
            if index < 0:  # what is not labelled is not looked at
                continue
            frame = self._dataset[index].image if visual else None  # read again: entries hold no pixels
            try:
                tracked = tracker.update(found[index], time_s, frame)
            except ValueError as error:
                raise InputError(f"sequence {sequence.name}: frame {number}: {error}") from error
            people[number] = PoseTrackPeople.predicted(tracked, self._skeleton)
        if self._output is not None:
            self._write(self._output / f"{sequence.name}.json", sequence.images, people)
        return sequence_of(sequence.name, frames, people)

    @staticmethod
    def _write(
        path: Path, images: Sequence[Mapping[str, Any]], people: Mapping[int, PoseTrackPeople]
    ) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        with PoseTrack18File(path) as file:
            for number, image in enumerate(images):
                first = posetrack18_annotation_id(image["id"], 0)
                file.add(image, people[number].records(image["id"], first) if number in people else ())


def check_comparable(truth: PoseTrackSequence) -> None:
    """Compares the labels with themselves: what they lack is told before the network runs.

    Raises:
        InputError: the comparison needs something that they lack; names file, frame and field.
    """
    same = replace(truth, track_ids=np.arange(len(truth.track_ids), dtype=np.int64))
    select_people(truth, same, tracking=True, warn=lambda text: None)


def _numbers(metrics: PoseTrackMetrics) -> dict[str, float]:
    shares = {name: metrics.total(figure) / 100.0 for name, figure in _SHARES.items()}
    counts = {name: metrics.total(name) for name in _COUNTS}
    return {f"posetrack/{name}": value for name, value in (shares | counts).items()}
