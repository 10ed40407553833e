"""Which numbers apply to a dataset, which is the dataset's to say; the same in both engines.

* ``box/...`` and ``keypoint/...``, COCO's: always.
* ``posetrack/...``: where the images are sequences of labelled people, see ``PoseDataset.sequences``.
* ``search/...``: where people's identities recur, and the network has identity vectors.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fastpose_mtn.data.dataset import PoseDataset
from fastpose_mtn.data.transforms.joints import tasks_in
from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.coco.average_precision import (
    CocoEvaluator,
    detections_to_coco_results,
    evaluate_coco_files,
)
from fastpose_mtn.evaluation.measures.measure import EvaluatedImage, Measure
from fastpose_mtn.evaluation.measures.search import SearchMeasure
from fastpose_mtn.evaluation.measures.tracking import TrackingMeasure
from fastpose_mtn.protocols import Tracker
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections

_LOG = logging.getLogger("fastpose_mtn")


def dataset_measures(
    dataset: PoseDataset, skeleton: Skeleton, *, new_tracker: Callable[[], Tracker], describes: bool
) -> list[Measure]:
    """All that apply to a dataset.

    Args:
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


class PoseMeasure:
    """Box and keypoint AP and AR.

    Where the network has all joints of a COCO-style file it is measured against as it is, areas included,
    which gives the official numbers. Otherwise areas are a share of the box, see ``CocoEvaluator``.
    """

    def __init__(self, dataset: PoseDataset, skeleton: Skeleton) -> None:
        self._skeleton, self._own = skeleton, dataset.skeleton
        self._official = dataset.annotations_file(skeleton)

    def reset(self) -> None:
        """There is nothing to forget."""

    def entry(self, image: EvaluatedImage, found: PersonDetections) -> Any:
        if self._official is not None:
            keypoints = self._skeleton.convert(found.keypoints, self._own)
            return detections_to_coco_results(image.image_id, replace(found, keypoints=keypoints))
        return image.image_id, image.size_hw, image.targets, replace(found, embeddings=None)

    def evaluate(self, entries: Sequence[Any]) -> dict[str, float]:
        if self._official is not None:
            results = list(itertools.chain.from_iterable(entries))
            return evaluate_coco_files(self._official, results, self._own)
        evaluator = CocoEvaluator(self._skeleton)
        for entry in entries:
            evaluator.add(*entry)
        return evaluator.evaluate()
