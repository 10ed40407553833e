"""AP and AR of whole bodies by part, as COCO-WholeBody's and Halpe's own evaluation APIs compute them.

Both (xtcocotools, halpecocotools) are COCO's evaluation on some of the joints, with the skeleton's sigmas:

* a person without a labelled joint of a part is ignored in it, and so are crowds; the area is the annotation's;
* every joint with v above 0 is labelled, whatever ``face_valid`` and the like say;
* COCO-WholeBody: hands one by one. A detection has its area from the extent of its 17 body joints, may have scores for
  its parts (``foot_score`` and the like, else ``score``), and is no detection of a part whose confidences are all 0;
* Halpe: both hands are one part, and the area is that of the extent of all joints.
* In either, results with boxes have their areas from these.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fastpose_mtn.data.coco.ground_truth import CocoLabels, read_coco_labels
from fastpose_mtn.data.coco.wholebody import HALPE, PART_FIELDS, WHOLEBODY
from fastpose_mtn.data.json_fields import JsonObject, expect_list, expect_object, load_json
from fastpose_mtn.data.problems import Problems
from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.coco.average_precision import evaluate_keypoints
from fastpose_mtn.evaluation.coco.files import read_coco_results
from fastpose_mtn.skeletons import COCO17, COCO_WHOLEBODY133, HALPE26, HALPE68, HALPE136, Skeleton

_RESULTS = {len(s): s for s in (HALPE26, HALPE68, HALPE136, COCO_WHOLEBODY133)}


def evaluate_wholebody_files(
    gt_json: str | Path, results: str | Path | Sequence[JsonObject]
) -> dict[str, float]:
    """``evaluate_parts`` of files in COCO-WholeBody's or Halpe's formats.

    Args:
        gt_json: annotations; with ``foot_kpts`` and the like they are COCO-WholeBody's, else Halpe's 136 joints.
        results: a results file or its records: COCO-WholeBody's, with ``foot_kpts`` and the like or all 133 joints in
            ``keypoints``, or Halpe's 136, 68 or 26 joints. The labels are taken by name, so that 26 joints are
            measured against 136.

    Raises:
        ValueError: a file cannot be read or does not have the format; names file, record and field.
    """
    path, problems = Path(gt_json), Problems()
    content = expect_object(load_json(path), str(path))
    annotations = expect_list(content.get("annotations"), f"{path}: annotations")
    fields = {field for annotation in annotations if isinstance(annotation, dict) for field in annotation}
    separate = "foot_kpts" in fields
    labels = read_coco_labels(path, WHOLEBODY if separate else HALPE, problems)
    name = str(results) if isinstance(results, (str, Path)) else "results"
    records = expect_list(
        load_json(Path(results)) if isinstance(results, (str, Path)) else list(results), name
    )
    joined = [_joined(record, f"{name}[{number}]") for number, record in enumerate(records)]
    skeleton = _skeleton_of(joined, name) or (COCO_WHOLEBODY133 if separate else HALPE136)
    return evaluate_parts(
        labels,
        COCO_WHOLEBODY133 if separate else HALPE136,
        read_coco_results(joined, skeleton, labels, name=name),
        skeleton,
    )


def _joined(record: object, place: str) -> JsonObject:
    """A result whose joints are all in ``keypoints``."""
    fields = dict(expect_object(record, place))
    if not any(field in fields for field, _ in PART_FIELDS):
        return fields
    values = list(_part(fields, "keypoints", len(COCO17), place))
    for field, count in PART_FIELDS:
        values += _part(fields, field, count, place)
    return {**fields, "keypoints": values}


def _part(fields: JsonObject, field: str, count: int, place: str) -> list[Any]:
    values = fields.get(field)
    if not isinstance(values, list) or len(values) != 3 * count:
        got = f"{len(values)} of them" if isinstance(values, list) else type(values).__name__
        raise InputError(
            f"{place}: {field}: expected {3 * count} numbers (3 for each of {count} joints), got {got}"
        )
    return values


def _skeleton_of(records: Sequence[JsonObject], name: str) -> Skeleton | None:
    """The skeleton of results, by how many joints they have; None without any result."""
    if not records:
        return None
    values = records[0].get("keypoints")
    count = len(values) if isinstance(values, list) else 0
    if count % 3 or count // 3 not in _RESULTS:
        known = ", ".join(f"{3 * joints} ({s.name})" for joints, s in sorted(_RESULTS.items()))
        raise InputError(f"{name}[0]: keypoints: expected a list of {known} numbers, got {count}")
    return _RESULTS[count // 3]


def joints_of_parts(skeleton: Skeleton) -> dict[str, tuple[int, ...]]:
    """The joints of each part that is evaluated, and ``wholebody``, all of them; {} of a mere body."""
    parts = {part: joints for part, joints in skeleton.parts.items() if joints}
    if len(parts) < 2:
        return {}
    hands = parts.pop("hands", ())
    if skeleton.name == "COCO_WHOLEBODY133":
        parts["lefthand"] = tuple(i for i in hands if skeleton.side(skeleton.joints[i]) == "left")
        parts["righthand"] = tuple(i for i in hands if skeleton.side(skeleton.joints[i]) == "right")
    elif hands:
        parts["hand"] = hands
    return {**parts, "wholebody": tuple(range(len(skeleton)))}


def evaluate_parts(
    labels: CocoLabels, labelled: Skeleton, records: Sequence[JsonObject], skeleton: Skeleton
) -> dict[str, float]:
    """``body/AP``, ``foot/AP50``, ``face/AR`` ... ``wholebody/AR_large``; NaN where nobody has a labelled joint.

    Args:
        labels: are not changed.
        labelled: the joints of the labels, with the sigmas that count.
        records: results as ``read_coco_results`` gives them; not changed.
        skeleton: of the results. What the labels lack of it is unlabelled.

    Returns:
        {} of a skeleton without feet, face and hands.
    """
    flat = [label["keypoints"] for label in labels.dataset["annotations"]]
    truth = labelled.convert(np.array(flat, np.float64).reshape(-1, len(labelled), 3), skeleton)
    found = np.array([r["keypoints"] for r in records], np.float64).reshape(-1, len(skeleton), 3)
    own = skeleton.sigmas
    sigmas = [
        labelled.sigmas[labelled.index(j)] if labelled.has(j) else own[i]
        for i, j in enumerate(skeleton.joints)
    ]
    official = skeleton.name == "COCO_WHOLEBODY133"
    extents = _extents(found[:, : len(COCO17)] if official else found)
    metrics: dict[str, float] = {}
    for part, joints in joints_of_parts(skeleton).items():
        index = list(joints)
        people = [
            {
                **label,
                "keypoints": rows[index].ravel().tolist(),
                "num_keypoints": int((rows[index, 2] > 0).sum()),
            }
            for label, rows in zip(labels.dataset["annotations"], truth, strict=True)
        ]
        results = [
            {
                **record,
                "bbox": record.get("bbox", extent),
                "keypoints": rows[index].ravel().tolist(),
                # The body's own score is the person's.
                "score": record.get(
                    f"{part}_score" if official and part != "body" else "score", record["score"]
                ),
            }
            for record, rows, extent in zip(records, found, extents, strict=True)
            if not official or (rows[index, 2] > 0).any()
        ]
        figures = evaluate_keypoints(
            {**labels.dataset, "annotations": people}, results, [sigmas[i] for i in index]
        )
        metrics |= {f"{part}/{name.partition('/')[2]}": value for name, value in figures.items()}
    return metrics


def _extents(joints: np.ndarray) -> list[list[float]]:
    """x, y, width, height around the joints (N, K, 3) of each person, those at 0, 0 among them as in COCO's API."""
    if not len(joints):
        return []
    low, high = joints[..., :2].min(axis=1), joints[..., :2].max(axis=1)
    extents: list[list[float]] = np.concatenate([low, high - low], axis=1).tolist()
    return extents
