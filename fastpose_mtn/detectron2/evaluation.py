"""Evaluators with Detectron2's interface around our measures; each works distributed."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from detectron2.evaluation import DatasetEvaluator, DatasetEvaluators
from detectron2.modeling import GeneralizedRCNN
from detectron2.utils import comm

from fastpose_mtn.data.dataset import FRAME_RATE, PoseDataset
from fastpose_mtn.detectron2.instances import describe_boxes, to_detections
from fastpose_mtn.evaluation.measures.choice import PoseMeasure, dataset_measures
from fastpose_mtn.evaluation.measures.measure import EvaluatedImage, Measure
from fastpose_mtn.evaluation.measures.search import GALLERY_SIZE, SearchMeasure
from fastpose_mtn.evaluation.measures.tracking import TrackingMeasure
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.protocols import Tracker
from fastpose_mtn.skeletons import Skeleton


class MeasureEvaluator(DatasetEvaluator):
    """Collects one entry an image and brings all processes' together in the first one.

    The inputs are those of ``FastPoseMapper`` at test time.

    Args:
        measure: what is measured.
        model: describes given boxes, where the measure asks for it; in evaluation mode.
        pose_nms: leaves people found twice out, as the estimators do; None: they are measured too.
    """

    def __init__(
        self, measure: Measure, model: GeneralizedRCNN | None = None, *, pose_nms: PoseNMS | None = None
    ) -> None:
        self._measure, self._model = measure, getattr(model, "module", model)
        self._pose_nms = pose_nms
        self._entries: list[Any] = []

    def reset(self) -> None:
        """Forgets everything that was processed."""
        self._measure.reset()
        self._entries = []

    def process(self, inputs: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]]) -> None:
        """Adds one entry for each image: the network's people, best first, against the image's labels."""
        for record, output in zip(inputs, outputs, strict=True):
            found = to_detections(output["instances"]).best_first()
            found = found if self._pose_nms is None else self._pose_nms(found)
            self._entries.append(self._measure.entry(self._image(record), found))

    def _image(self, record: dict[str, Any]) -> EvaluatedImage:
        size = record["height"], record["width"]
        describe = functools.partial(describe_boxes, self._model, record["image"], size)
        return EvaluatedImage(
            index=record.get("index", record["image_id"]),
            image_id=record["image_id"],
            size_hw=size,
            targets=record["targets"],
            posetrack=record.get("posetrack"),
            describe=None if self._model is None else describe,
        )

    def evaluate(self) -> dict[str, dict[str, float]] | None:
        """``{"box": {"AP": ...}, ...}`` in the first process, None in the others."""
        entries = self._entries
        if comm.get_world_size() > 1:
            comm.synchronize()
            shares = comm.gather(entries, dst=0)
            if not comm.is_main_process():
                return None
            entries = list(itertools.chain.from_iterable(shares))
        return nested(self._measure.evaluate(entries))


class PoseEvaluator(MeasureEvaluator):
    """Box and keypoint AP, the same numbers as under Lightning: COCO's own where the labels are COCO's."""

    def __init__(self, dataset: PoseDataset, skeleton: Skeleton, *, pose_nms: PoseNMS | None = None) -> None:
        super().__init__(PoseMeasure(dataset, skeleton), pose_nms=pose_nms)


class PoseTrackEvaluator(MeasureEvaluator):
    """PoseTrack's AP and MOT: ``{"posetrack": {"AP": ..., "MOTA": ...}}``; see ``TrackingMeasure``.

    Args:
        dataset: whose annotations are PoseTrack18's JSON files, one a sequence, or drawn scenes.
        skeleton: the network's.
        new_tracker: makes a tracker without tracks.
        frame_rate: of sequences in files, a second.
        output: folder for the tracked people as PoseTrack18's JSON; None: they are not kept.
        pose_nms: see ``MeasureEvaluator``.

    Raises:
        ValueError: the dataset is not of this kind.
    """

    def __init__(
        self,
        dataset: PoseDataset,
        skeleton: Skeleton,
        new_tracker: Callable[[], Tracker],
        *,
        frame_rate: float = FRAME_RATE,
        output: Path | None = None,
        pose_nms: PoseNMS | None = None,
    ) -> None:
        measure = TrackingMeasure(dataset, skeleton, new_tracker, frame_rate=frame_rate, output=output)
        super().__init__(measure, pose_nms=pose_nms)


class ReIDEvaluator(MeasureEvaluator):
    """Person search: mAP and top-k of finding each labelled person in the other images; see ``SearchMeasure``.

    Args:
        model: describes the labelled boxes that are searched for; in evaluation mode.
        gallery_size: images that are searched; None: all others.
        pose_nms: see ``MeasureEvaluator``.

    Raises:
        ValueError: the dataset's people have no identities.
    """

    def __init__(
        self,
        dataset: PoseDataset,
        model: GeneralizedRCNN,
        gallery_size: int | None = GALLERY_SIZE,
        *,
        pose_nms: PoseNMS | None = None,
    ) -> None:
        super().__init__(SearchMeasure(dataset, gallery_size), model, pose_nms=pose_nms)


class FastPoseEvaluators(DatasetEvaluators):
    """All that apply to a dataset, as under Lightning; see ``fastpose_mtn.evaluation.measures``.

    Args:
        dataset: decides.
        skeleton: the network's.
        new_tracker: makes a tracker without tracks.
        pose_nms: see ``MeasureEvaluator``.
    """

    def __init__(
        self,
        dataset: PoseDataset,
        skeleton: Skeleton,
        new_tracker: Callable[[], Tracker],
        *,
        pose_nms: PoseNMS | None = None,
    ) -> None:
        measures = dataset_measures(dataset, skeleton, new_tracker=new_tracker, describes=False)
        super().__init__([MeasureEvaluator(measure, pose_nms=pose_nms) for measure in measures])
        self._dataset, self._pose_nms = dataset, pose_nms

    def search_with(self, model: GeneralizedRCNN) -> None:
        """Adds person search, where the dataset's people have identities, with a model that describes them."""
        if "identities" in self._dataset.tasks:
            self._evaluators.append(ReIDEvaluator(self._dataset, model, pose_nms=self._pose_nms))


def nested(metrics: dict[str, float]) -> dict[str, dict[str, float]]:
    """``{"box/AP": 1}`` as Detectron2's evaluators give it: ``{"box": {"AP": 1}}``."""
    out: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        task, _, measure = name.partition("/")
        out.setdefault(task, {})[measure] = value
    return out
