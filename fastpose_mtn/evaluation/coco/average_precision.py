"""COCO's box and keypoint AP and AR, for any skeleton, computed by pycocotools itself.

Conventions, where ours and COCO's differ:

* **Joints.** Ours are continuous (pixel i's centre is i + 0.5), COCO's are pixel indices. Joints
  leave here with 0.5 taken off, labels and detections alike. Object keypoint similarity (OKS) sees
  only their differences, so the shift matters in one place: a detection near an ignored person,
  which pycocotools compares with that person's box. An unlabelled joint is written as 0, 0, 0.
* **Area.** OKS and the size ranges (small below 32^2 px, medium below 96^2, large above) use an
  area of the person. COCO's is that of the segmentation mask; a ``PersonTargets`` has a box only,
  so the area is ``AREA_PER_BOX`` times the box's, unless the caller knows better and gives it.
* **Area of a detection**, which decides whether a false positive lies outside a size range: its
  box for box AP; for keypoint AP the extent of its joints, as in COCO's official keypoint results,
  which hold no boxes.
* **Nothing to measure.** Where no labelled person is left pycocotools says -1; here it is NaN.
* All numbers are fractions in [0, 1], as pycocotools gives them.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fastpose_mtn.data.coco.ground_truth import PERSON_CATEGORY_ID, CocoLabels
from fastpose_mtn.data.json_fields import JsonObject
from fastpose_mtn.evaluation.coco.files import read_coco_ground_truth, read_coco_results
from fastpose_mtn.ops.oks import AREA_PER_BOX
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections, PersonTargets

# pycocotools' stats, in its order, under the names that we give them.
_STAT_NAMES = {
    "bbox": ("AP", "AP50", "AP75", "AP_small", "AP_medium", "AP_large",
             "AR_1", "AR_10", "AR_100", "AR_small", "AR_medium", "AR_large"),
    "keypoints": ("AP", "AP50", "AP75", "AP_medium", "AP_large",
                  "AR", "AR50", "AR75", "AR_medium", "AR_large"),
}  # fmt: skip
_PREFIX = {"bbox": "box", "keypoints": "keypoint"}


class CocoEvaluator:
    """Collects labelled people and detections, image by image, and gives COCO's numbers.

    Args:
        skeleton: the joints of both, with their OKS sigmas; None to measure boxes only.
        area_per_box: area of a person as a share of the box's area, where ``add`` is given none.
    """

    def __init__(self, skeleton: Skeleton | None, area_per_box: float = AREA_PER_BOX) -> None:
        if area_per_box <= 0:
            raise ValueError(f"area_per_box: expected a positive share of the box, got {area_per_box}")
        self.skeleton = skeleton
        self.area_per_box = area_per_box
        self._images: dict[int | str, tuple[JsonObject, list[dict], list[dict]]] = {}

    def __len__(self) -> int:
        """How many images were added."""
        return len(self._images)

    def add(
        self,
        image_id: int | str,
        image_size_hw: tuple[int, int],
        targets: PersonTargets,
        detections: PersonDetections,
        areas: ArrayLike | None = None,
    ) -> None:
        """Adds one image; NumPy arrays and torch tensors (on any device) alike.

        Args:
            image_id: each image's own; the order of the ids settles ties between equal scores.
            image_size_hw: height and width, pixels.
            targets: the labelled people. An ``ignore`` person is COCO's ``iscrowd``: neither found
                nor missed, and a detection on it is neither right nor wrong. A person without a
                labelled joint counts for boxes only.
            detections: the people found.
            areas: (N,) area of each labelled person, px^2, where the labels have it (COCO does).

        Raises:
            ValueError: the image was added before, or joints or areas do not fit.
        """
        if image_id in self._images:
            raise ValueError(f"image {image_id!r} was added twice; every image counts once")
        targets, detections = targets.numpy(), detections.numpy()
        self._check_joints(image_id, "targets", targets.keypoints)
        self._check_joints(image_id, "detections", detections.keypoints)
        size = np.diff(targets.boxes.astype(np.float64).reshape(-1, 2, 2), axis=1)[:, 0]
        area = self.area_per_box * size.prod(axis=1) if areas is None else np.asarray(areas, np.float64)
        if area.shape != (len(targets),):
            raise ValueError(f"image {image_id!r}: areas: expected shape ({len(targets)},), got {area.shape}")
        labels = [
            {
                "category_id": PERSON_CATEGORY_ID,
                "bbox": _xywh(box),
                "area": float(area[i]),
                "iscrowd": int(targets.ignore[i]),
                "keypoints": _to_coco_joints(joints, labelled=joints[:, 2] > 0),
                "num_keypoints": int((joints[:, 2] > 0).sum()),
            }
            for i, (box, joints) in enumerate(zip(targets.boxes, targets.keypoints, strict=True))
        ]
        height, width = (int(side) for side in image_size_hw)
        image = {"height": height, "width": width}
        self._images[image_id] = (image, labels, detections_to_coco_results(image_id, detections))

    def merge(self, others: Iterable[CocoEvaluator]) -> None:
        """Takes over the images of other evaluators, as of the other processes of a training.

        An image that is here already is skipped: samplers repeat images to give each process as many.
        """
        for other in others:
            if other.skeleton != self.skeleton:
                raise ValueError("only evaluators of the same skeleton can be merged")
            for image_id, content in other._images.items():
                self._images.setdefault(image_id, content)

    def evaluate(self) -> dict[str, float]:
        """All metrics by name, in [0, 1]; NaN where there is no labelled person to find.

        ``box/AP``, ``box/AP50``, ``box/AP_small``, ``box/AR_100``, ... and, with a skeleton, ``keypoint/AP``,
        ``keypoint/AP50``, ``keypoint/AP_medium``, ``keypoint/AR``, ...
        """
        dataset, results = self._records()
        metrics = evaluate_boxes(dataset, _without(results, "keypoints"))
        if self.skeleton is not None:
            metrics |= evaluate_keypoints(dataset, _without(results, "bbox"), self.skeleton.sigmas)
        return metrics

    def keypoint_matches(self) -> COCOeval:
        """COCO's evaluation of the joints: whom each image's people were matched with.

        Raises:
            ValueError: boxes alone are measured.
        """
        if self.skeleton is None:
            raise ValueError("this evaluator measures boxes only; give it a skeleton")
        dataset, results = self._records()
        return run_coco_eval(dataset, _without(results, "bbox"), "keypoints", self.skeleton.sigmas)

    def _records(self) -> tuple[JsonObject, list[JsonObject]]:
        """The labels as a COCO dataset, whose images count from 1 in the order of their ids, and the results."""
        # pycocotools wants ids of one type, and none that is 0: it takes that for "no match".
        ids = {
            image_id: number
            for number, image_id in enumerate(sorted(self._images, key=lambda i: (isinstance(i, str), i)), 1)
        }
        dataset: dict[str, list[dict]] = {
            "images": [], "annotations": [], "categories": [{"id": PERSON_CATEGORY_ID, "name": "person"}]
        }  # fmt: skip
        results: list[dict] = []
        for image_id, number in ids.items():
            image, labels, detections = self._images[image_id]
            dataset["images"].append({**image, "id": number})
            for label in labels:
                next_id = len(dataset["annotations"]) + 1
                dataset["annotations"].append({**label, "id": next_id, "image_id": number})
            results.extend({**detection, "image_id": number} for detection in detections)
        return dataset, results

    def _check_joints(self, image_id: int | str, name: str, keypoints: np.ndarray) -> None:
        if self.skeleton is not None and keypoints.shape[1] != len(self.skeleton):
            raise ValueError(
                f"image {image_id!r}: {name}.keypoints: expected {len(self.skeleton)} joints of skeleton "
                f"{self.skeleton.name}, got {keypoints.shape[1]}; convert them with Skeleton.convert"
            )


def evaluate_coco_files(
    gt_json: str | Path, results: str | Path | Sequence[JsonObject], skeleton: Skeleton
) -> dict[str, float]:
    """The numbers of ``CocoEvaluator.evaluate`` for files in COCO's own formats, read as they are.

    Box AP is there when the results have boxes, keypoint AP when results and labels have joints.
    Results with both in one record are measured as pycocotools does: with the box's area in either.

    Args:
        gt_json: COCO annotations, read as they train: see ``data/labels`` for whose categories count.
        results: a COCO results file, or its records.
        skeleton: the joints of both, with their sigmas.

    Raises:
        ValueError: a file cannot be read or does not have the format; names file, record and field.
    """
    labels = read_coco_ground_truth(gt_json, skeleton)
    return evaluate_coco_labels(labels, results, skeleton)


def evaluate_coco_labels(
    labels: CocoLabels, results: str | Path | Sequence[JsonObject], skeleton: Skeleton
) -> dict[str, float]:
    """``evaluate_coco_files`` of labels that are read."""
    dataset = labels.dataset
    records = read_coco_results(results, skeleton, labels)
    metrics: dict[str, float] = {}
    if not records or "bbox" in records[0]:
        metrics |= evaluate_boxes(dataset, records)
    has_joints = all("keypoints" in label for label in dataset["annotations"])
    if has_joints and (not records or "keypoints" in records[0]):
        metrics |= evaluate_keypoints(dataset, records, skeleton.sigmas)
    return metrics


def evaluate_boxes(dataset: JsonObject, results: list[dict]) -> dict[str, float]:
    """``box/...`` of a COCO dataset and COCO results; neither is changed."""
    return _named_stats(run_coco_eval(dataset, results, "bbox"))


def evaluate_keypoints(dataset: JsonObject, results: list[dict], sigmas: Sequence[float]) -> dict[str, float]:
    """``keypoint/...`` of a COCO dataset and COCO results; neither is changed."""
    return _named_stats(run_coco_eval(dataset, results, "keypoints", sigmas))


def run_coco_eval(
    dataset: JsonObject,
    results: list[dict],
    iou_type: str,
    sigmas: Sequence[float] | None = None,
    image_ids: Sequence[int] | None = None,
) -> COCOeval:
    """Runs pycocotools' evaluation quietly; arguments are not changed, and no results are no error."""
    with contextlib.redirect_stdout(io.StringIO()):
        ground_truth = COCO()
        ground_truth.dataset = {**dataset, "annotations": [dict(a) for a in dataset["annotations"]]}
        ground_truth.createIndex()
        if results:
            found = ground_truth.loadRes([dict(record) for record in results])
        else:  # loadRes looks at the first record to learn what kind of results they are
            found = COCO()
            found.dataset = {**dataset, "annotations": []}
            found.createIndex()
        evaluation = COCOeval(ground_truth, found, iou_type)
        if image_ids is not None:
            evaluation.params.imgIds = list(image_ids)
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.asarray(sigmas, np.float64)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def detections_to_coco_results(image_id: int | str, detections: PersonDetections) -> list[JsonObject]:
    """COCO result records of one image's people; joints as pixel indices (0.5 taken off)."""
    detections = detections.numpy()
    records = []
    for box, score, joints in zip(detections.boxes, detections.scores, detections.keypoints, strict=True):
        record = {
            "image_id": image_id,
            "category_id": PERSON_CATEGORY_ID,
            "bbox": _xywh(box),
            "score": float(score),
        }
        if len(joints):
            record["keypoints"] = _to_coco_joints(joints, labelled=np.ones(len(joints), bool))
        records.append(record)
    return records


def _to_coco_joints(joints: np.ndarray, labelled: np.ndarray) -> list[float]:
    """(K, 3) joints as COCO's flat list, x and y as pixel indices, unlabelled ones all zero."""
    flat = joints.astype(np.float64)
    flat[:, :2] -= 0.5
    flat[~labelled] = 0.0
    return flat.ravel().tolist()


def _xywh(box_xyxy: np.ndarray) -> list[float]:
    x1, y1, x2, y2 = box_xyxy.astype(np.float64).tolist()
    return [x1, y1, x2 - x1, y2 - y1]


def _without(records: list[dict], field: str) -> list[dict]:
    return [{name: value for name, value in record.items() if name != field} for record in records]


def _named_stats(evaluation: COCOeval) -> dict[str, float]:
    kind = evaluation.params.iouType
    return {
        f"{_PREFIX[kind]}/{name}": float("nan") if value < 0 else float(value)
        for name, value in zip(_STAT_NAMES[kind], evaluation.stats, strict=True)
    }
