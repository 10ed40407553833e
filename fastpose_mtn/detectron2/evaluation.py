"""Evaluators with Detectron2's interface around our evaluations; each works distributed."""

from __future__ import annotations

import itertools
import json
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from detectron2.evaluation import DatasetEvaluator
from detectron2.structures import Boxes, Instances
from detectron2.utils import comm

from fastpose_mtn.cli import InputError
from fastpose_mtn.data.coco_json import CocoJsonDataset, annotation_files
from fastpose_mtn.data.loader import PoseDataset
from fastpose_mtn.data.posetrack import annotation_record, posetrack18_annotation_id, posetrack18_text
from fastpose_mtn.detectron2.instances import to_detections
from fastpose_mtn.evaluation.coco import CocoEvaluator, detections_to_coco_results, evaluate_coco_files
from fastpose_mtn.evaluation.posetrack_evaluation import evaluate_posetrack
from fastpose_mtn.evaluation.reid import PersonSearchGallery, evaluate_person_search
from fastpose_mtn.evaluation.reid_protocols import queries_from_targets
from fastpose_mtn.protocols import Tracker
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections


class _Evaluator(DatasetEvaluator):
    """Collects one entry an image and brings all processes' together in the first one.

    The inputs are those of ``FastPoseMapper`` at test time.
    """

    def __init__(self) -> None:
        self._entries: list[Any] = []

    def reset(self) -> None:
        self._entries = []

    def process(self, inputs: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]]) -> None:
        for record, output in zip(inputs, outputs, strict=True):
            self._entries.append(self._entry(record, to_detections(output["instances"])))

    def _entry(self, record: dict[str, Any], found: PersonDetections) -> Any:
        raise NotImplementedError

    def _gathered(self) -> list[Any] | None:
        """All entries, in the first process; None in the others."""
        if comm.get_world_size() == 1:
            return self._entries
        comm.synchronize()
        shares = comm.gather(self._entries, dst=0)
        return list(itertools.chain.from_iterable(shares)) if comm.is_main_process() else None


class PoseEvaluator(_Evaluator):
    """Box and keypoint AP, the numbers of the default engine: COCO's own where the labels are COCO's."""

    def __init__(self, dataset: PoseDataset, skeleton: Skeleton) -> None:
        super().__init__()
        self.dataset, self.skeleton = dataset, skeleton

    def _entry(self, record: dict[str, Any], found: PersonDetections) -> Any:
        return record["image_id"], (record["height"], record["width"]), record["targets"], found

    def evaluate(self) -> dict[str, dict[str, float]] | None:
        """``{"box": {"AP": ...}, "keypoint": {"AP": ...}}`` in [0, 1]."""
        entries = self._gathered()
        if entries is None:
            return None
        if isinstance(self.dataset, CocoJsonDataset) and self.dataset.is_official(self.skeleton):
            results = [
                r for image_id, _, _, found in entries for r in detections_to_coco_results(image_id, found)
            ]
            return nested(evaluate_coco_files(self.dataset.annotations, results, self.skeleton))
        evaluator = CocoEvaluator(self.skeleton)
        for entry in entries:
            evaluator.add(*entry)
        return nested(evaluator.evaluate())


class PoseTrackEvaluator(_Evaluator):
    """PoseTrack's AP and MOT: each sequence's people are tracked in the order of its frames, then compared.

    Args:
        dataset: whose annotations are PoseTrack18's JSON files, one a sequence.
        skeleton: the network's.
        new_tracker: makes a tracker without tracks.
        frame_rate: of the sequences, a second.
        output: folder for the tracked people as PoseTrack18's JSON; None: they are not kept.

    Raises:
        ValueError: the dataset is not of this kind.
    """

    def __init__(
        self,
        dataset: PoseDataset,
        skeleton: Skeleton,
        new_tracker: Callable[[], Tracker],
        *,
        frame_rate: float = 30.0,
        output: Path | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(dataset, CocoJsonDataset):
            raise InputError(f"dataset {dataset.name}: PoseTrack's evaluation needs PoseTrack18's JSON files")
        self.dataset, self.skeleton, self.new_tracker = dataset, skeleton, new_tracker
        self.frame_rate, self.output = frame_rate, output

    def _entry(self, record: dict[str, Any], found: PersonDetections) -> Any:
        return record["file_name"], found

    def evaluate(self) -> dict[str, dict[str, float]] | None:
        """``{"posetrack": {"AP": ..., "MOTA": ..., "IDF1": ..., "HOTA": ...}}``, totals of ``metrics.json``."""
        entries = self._gathered()
        if entries is None:
            return None
        found = dict(entries)
        with tempfile.TemporaryDirectory() as temporary:
            folder = self.output or Path(temporary)
            folder.mkdir(parents=True, exist_ok=True)
            for path in annotation_files(self.dataset.annotations, self.dataset.name):
                (folder / path.name).write_text(self._track(path, found), encoding="utf-8")
            result = evaluate_posetrack(self.dataset.annotations, folder)
        metrics = result.metrics.to_json()
        return {"posetrack": {name.upper(): _total(metrics[name]) for name in ("ap", "mota", "idf1", "hota")}}

    def _track(self, path: Path, found: dict[str, PersonDetections]) -> str:
        """A sequence's tracked people in PoseTrack18's format, with the images as the labels have them."""
        tracker, annotations = self.new_tracker(), []
        images = json.loads(path.read_text(encoding="utf-8"))["images"]
        for number, image in enumerate(images):
            people = found.get(str(self.dataset.folder / image["file_name"]))
            if people is None:  # not labelled, so not looked at
                continue
            tracked = tracker.update(people, number / self.frame_rate)
            annotations += [
                annotation_record(
                    annotation_id=posetrack18_annotation_id(image["id"], person),
                    image_id=image["id"],
                    track_id=int(tracked.track_ids[person]),
                    box_xyxy=tracked.boxes[person],
                    keypoints=tracked.keypoints[person],
                    skeleton=self.skeleton,
                    score=float(tracked.scores[person]),
                )
                for person in range(len(tracked))
            ]
        return "".join(posetrack18_text(images, annotations))


class ReIDEvaluator(_Evaluator):
    """Person search: mAP and top-k of finding each labelled person in the other images.

    Args:
        model: describes the labelled boxes that are searched for; in evaluation mode.
        gallery_size: images that are searched; None: all others.

    Raises:
        ValueError: the dataset's people have no identities.
    """

    def __init__(self, dataset: PoseDataset, model: Any, gallery_size: int | None = 100) -> None:
        super().__init__()
        if "identities" not in dataset.tasks:
            raise InputError(f"dataset {dataset.name}: its people have no identities to search for")
        self.model, self.gallery_size = getattr(model, "module", model), gallery_size

    def process(self, inputs: Sequence[dict[str, Any]], outputs: Sequence[dict[str, Any]]) -> None:
        for record, output in zip(inputs, outputs, strict=True):
            found = to_detections(output["instances"])
            if found.embeddings is None:
                raise InputError("person search needs identity vectors: MODEL.REID_ON True")
            self._entries.append((str(record["image_id"]), record["targets"], found, self._describe(record)))

    @torch.no_grad()
    def _describe(self, record: dict[str, Any]) -> np.ndarray:
        """Identity vectors (N, E) of the labelled boxes."""
        height, width = record["image"].shape[1:]
        boxes = Boxes(torch.as_tensor(record["targets"].boxes).clone())
        boxes.scale(width / record["width"], height / record["height"])
        people = Instances((height, width))
        people.pred_boxes = boxes
        people.pred_classes = torch.zeros(len(boxes), dtype=torch.int64)
        described = self.model.inference([record], detected_instances=[people], do_postprocess=False)
        return described[0].pred_embeddings.float().cpu().numpy()

    def evaluate(self) -> dict[str, dict[str, float]] | None:
        """``{"search": {"mAP": ..., "top1": ...}}`` in [0, 1]."""
        entries = self._gathered()
        if entries is None:
            return None
        targets = {image_id: target for image_id, target, _, _ in entries}
        found = {image_id: people for image_id, _, people, _ in entries}
        queries = queries_from_targets(targets, self.gallery_size)
        vectors = []
        own = {image_id: described for image_id, _, _, described in entries}
        for query in queries:
            distance = np.abs(targets[query.image_id].boxes - query.box).sum(axis=1)
            vectors.append(own[query.image_id][int(distance.argmin())])
        dimension = next(iter(own.values())).shape[1] if own else 0
        result = evaluate_person_search(
            queries,
            np.array(vectors, np.float64).reshape(len(queries), dimension),
            PersonSearchGallery(found),
        )
        return nested(result.as_dict())


def nested(metrics: dict[str, float]) -> dict[str, dict[str, float]]:
    """``{"box/AP": 1}`` as Detectron2's evaluators give it: ``{"box": {"AP": 1}}``."""
    out: dict[str, dict[str, float]] = {}
    for name, value in metrics.items():
        task, _, measure = name.partition("/")
        out.setdefault(task, {})[measure] = value
    return out


def _total(by_joint: Any) -> float:
    value = by_joint["total"] if isinstance(by_joint, dict) else by_joint
    return float("nan") if value is None else float(value)
