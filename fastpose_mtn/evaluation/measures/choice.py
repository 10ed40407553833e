"""Chooses the measures that apply to a dataset, by what its labels have; the same in both engines.

* ``box/...`` and ``keypoint/...``, COCO's: always.
* ``posetrack/...``: where the images are sequences of labelled people, see ``PoseDataset.sequences``.
* ``search/...``: where people's identities recur, and the network has identity vectors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

from fastpose_mtn.data.dataset import PoseDataset
from fastpose_mtn.data.transforms.joints import tasks_in
from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.coco.average_precision import (
    CocoEvaluator,
    detections_to_coco_results,
    evaluate_coco_labels,
)
from fastpose_mtn.evaluation.coco.files import read_coco_results
from fastpose_mtn.evaluation.coco.wholebody import evaluate_parts, joints_of_parts
from fastpose_mtn.evaluation.measures.measure import EvaluatedImage, Measure
from fastpose_mtn.evaluation.measures.search import SearchMeasure
from fastpose_mtn.evaluation.measures.tracking import TrackingMeasure
from fastpose_mtn.protocols import Tracker
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections, PersonTargets

_LOG = logging.getLogger("fastpose_mtn")


def dataset_measures(
    dataset: PoseDataset, skeleton: Skeleton, *, new_tracker: Callable[[], Tracker], describes: bool
) -> list[Measure]:
    """All measures that apply to a dataset.

    Args:
        dataset: says by its labels what can be measured.
        skeleton: the network's.
        new_tracker: makes a tracker without tracks.
        describes: whether the network has identity vectors.
    """
    measures: list[Measure] = [PoseMeasure(dataset, skeleton)]
    if "keypoints" in tasks_in(dataset, skeleton) and dataset.has_sequences:
        try:
            measures.append(TrackingMeasure(dataset, skeleton, new_tracker))
        except InputError as error:  # labels that train well and cannot be compared: without head boxes, say
            _LOG.warning("dataset %s: not evaluated by PoseTrack: %s", dataset.name, error)
    if describes and "identities" in dataset.tasks:
        measures.append(SearchMeasure(dataset))
    return measures


# image id, size, labels, people found
PoseEntry = tuple[int, tuple[int, int], PersonTargets, PersonDetections]


class PoseMeasure:
    """COCO's box and keypoint AP and AR.

    Where the network has all joints of a COCO-style file it is measured against as it is, areas included,
    which gives the official numbers. Otherwise areas are a share of the box, see ``CocoEvaluator``.

    Args:
        dataset: of labelled people.
        skeleton: the network's.
    """

    def __init__(self, dataset: PoseDataset, skeleton: Skeleton) -> None:
        self._dataset, self._skeleton, self._own = dataset, skeleton, dataset.skeleton
        self._official = dataset.annotations_file(skeleton) is not None

    def reset(self) -> None:
        """There is nothing to forget."""

    def entry(self, image: EvaluatedImage, found: PersonDetections) -> PoseEntry:
        """The labels, and the people without their embeddings."""
        return image.image_id, image.size_hw, image.targets, replace(found, embeddings=None)

    def evaluate(self, entries: Sequence[PoseEntry]) -> dict[str, float]:
        """``box/AP``, ``keypoint/AP`` and so on, see ``CocoEvaluator.evaluate``; whole bodies by part too."""
        if self._official:
            results = [
                record
                for image_id, _, _, found in entries
                for record in detections_to_coco_results(
                    image_id, replace(found, keypoints=self._skeleton.convert(found.keypoints, self._own))
                )
            ]
            labels = self._dataset.coco_labels()
            figures = evaluate_coco_labels(labels, results, self._own)
            if not joints_of_parts(self._own):
                return figures
            people = read_coco_results(results, self._own, labels)
            return figures | evaluate_parts(labels, self._own, people, self._own)
        evaluator = CocoEvaluator(self._skeleton)
        for entry in entries:
            evaluator.add(*entry)
        return evaluator.evaluate()
