#!/usr/bin/env python
"""How well networks find people on photographs with COCO's labels, and how long they take for one.

    python benchmarks/photographs.py ANNOTATIONS.json IMAGES [--networks people bf16 demo.xml ...] [--results NAME=FILE]
    python benchmarks/photographs.py ANNOTATIONS.json IMAGES --networks people alphapose-s --boxes truth

For each network: COCO's AP of keypoints and of boxes; precision and recall of the people whose score is above
the tracker's ``TRACKER.BIRTH_SCORE``; how well a joint's confidence tells visible joints from hidden ones (v = 2
against 1, ROC area, of people found with an OKS of 0.5); how many of the first network's people it finds too, each
network at its own ``TRACKER.MIN_SCORE``, with an overlap of 0.5; how many of those above the first one's
``TRACKER.BIRTH_SCORE`` are found again with an overlap of 0.95, and how far their joints are moved at the size that the network sees; milliseconds a
photograph. ``--networks`` takes weights, exported files and precisions (of ``people``); ``--results`` measures a
COCO results file that another program wrote. Boxes are measured on the photographs whose people are all
labelled, where the file says so (``person_boxes_complete``). ``--boxes`` gives all networks the same boxes, the
labels' or those that some weights find, and compares how they locate joints in them.
"""

from __future__ import annotations

import argparse
import math
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastpose_mtn.build import PRECISIONS, build_pose_tracking
from fastpose_mtn.data.coco.ground_truth import CocoLabels
from fastpose_mtn.data.image_file import read_image
from fastpose_mtn.deploy.agreement import agreement
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.estimators.frames import test_size
from fastpose_mtn.evaluation.coco.average_precision import (
    detections_to_coco_results,
    evaluate_boxes,
    evaluate_keypoints,
)
from fastpose_mtn.evaluation.coco.files import read_coco_ground_truth, read_coco_results
from fastpose_mtn.evaluation.drawn_metrics import roc_auc
from fastpose_mtn.ops.assignment import linear_sum_assignment
from fastpose_mtn.ops.boxes import pairwise_ioa, pairwise_iou
from fastpose_mtn.ops.oks import object_keypoint_similarity
from fastpose_mtn.skeletons import COCO17
from fastpose_mtn.structures import PersonDetections

COLUMNS = (
    "kp AP",
    "kp AP50",
    "box AP",
    "box AP50",
    "precision",
    "recall",
    "visible",
    "shared",
    "found",
    "moved px",
    "ms",
)

# by a photograph's id: boxes (N, 4) xyxy and scores (N,), float32
Boxes = dict[Any, tuple[np.ndarray, np.ndarray]]


@dataclass
class Row:
    """What one network does on all photographs."""

    name: str
    results: list[dict[str, Any]] = field(default_factory=list)
    people: list[PersonDetections] = field(default_factory=list)  # at the size that the network sees
    birth_score: float = 0.5
    min_score: float = 0.0
    milliseconds: float = math.nan


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("annotations", type=Path, metavar="ANNOTATIONS.json")
    parser.add_argument("images", type=Path, metavar="IMAGES")
    parser.add_argument("--networks", nargs="*", default=["people"], metavar="WEIGHTS|PRECISION|FILE")
    parser.add_argument("--results", nargs="*", default=[], metavar="NAME=FILE")
    parser.add_argument("--boxes", metavar="truth|WEIGHTS", help="that all look at (default: their own)")
    parser.add_argument("--image-size", nargs=2, type=int, metavar=("SHORT", "LONG"))
    options = parser.parse_args()
    with exit_on_error():
        labels = read_coco_ground_truth(options.annotations, COCO17)
        truth = labels.dataset
        given = None if options.boxes is None else boxes_of(options.boxes, truth, options.images)
        rows = [run(name, truth, options.images, options.image_size, given) for name in options.networks]
        rows += [read(entry, labels) for entry in options.results]
        print(f"{'':<24}" + "".join(f"{column:>11}" for column in COLUMNS))
        for row in rows:
            values = measure(row, rows[0], truth)
            cells = ("-" if math.isnan(value) else f"{value:.3f}" for value in values[:-2])
            tail = ("-" if math.isnan(value) else f"{value:.2f}" for value in values[-2:])
            print(f"{row.name:<24}" + "".join(f"{cell:>11}" for cell in (*cells, *tail)))


def boxes_of(name: str, truth: dict[str, Any], folder: Path) -> Boxes:
    """Each photograph's boxes: the labels', of people who are no crowd, or those that weights find."""
    if name != "truth":
        find = build_pose_tracking(weights=name, precision="fp32").estimator.estimate
        found = {image["id"]: find([read_image(folder / image["file_name"])])[0] for image in truth["images"]}
        return {key: (people.boxes, people.scores) for key, people in found.items()}
    own: dict[Any, list[dict[str, Any]]] = {image["id"]: [] for image in truth["images"]}
    for label in truth["annotations"]:
        if not label.get("iscrowd") and min(label["bbox"][2:]) > 0:
            own[label["image_id"]].append(label)
    return {
        key: (_xyxy(labels).numpy().astype(np.float32), np.ones(len(labels), np.float32))
        for key, labels in own.items()
    }


def run(
    name: str, truth: dict[str, Any], folder: Path, image_size: list[int] | None, given: Boxes | None
) -> Row:
    """A network's people on all photographs, one at a time, as a user would have them found."""
    weights, precision = ("people", name) if name in PRECISIONS else (name, "auto")
    sizes = zip(("INPUT.MIN_SIZE_TEST", "INPUT.MAX_SIZE_TEST"), map(str, image_size or ()), strict=False)
    tracking = build_pose_tracking(
        weights=weights, precision=precision, options=[text for pair in sizes for text in pair]
    )
    estimator, limits = tracking.estimator, tracking.cfg.INPUT
    scores = tracking.cfg.TRACKER
    row = Row(Path(name).name, birth_score=float(scores.BIRTH_SCORE), min_score=float(scores.MIN_SCORE))
    spent = []
    for record in truth["images"]:
        image = read_image(folder / record["file_name"])
        began = time.perf_counter()
        if given is None:
            (found,) = estimator.estimate([image])
        else:
            found = estimator.estimate_given(image, *given[record["id"]])
        spent.append(time.perf_counter() - began)
        joints = estimator.skeleton.convert(found.keypoints, COCO17)
        as_coco = PersonDetections(boxes=found.boxes, scores=found.scores, keypoints=joints, embeddings=None)
        row.results += detections_to_coco_results(record["id"], as_coco)
        height, width = test_size(*image.shape[:2], limits.MIN_SIZE_TEST, limits.MAX_SIZE_TEST)
        factor = np.float32(math.sqrt(height * width / (image.shape[0] * image.shape[1])))
        row.people.append(
            PersonDetections(
                boxes=found.boxes * factor,
                scores=found.scores,
                keypoints=joints * np.array([factor, factor, 1], np.float32),
                embeddings=None,
            )
        )
    row.milliseconds = 1000 * float(np.median(spent))
    return row


def read(entry: str, labels: CocoLabels) -> Row:
    """Another program's results."""
    name, _, file = entry.partition("=")
    if not file:
        raise InputError(f"--results {entry}: expected NAME=FILE")
    return Row(name, read_coco_results(file, COCO17, labels))


def measure(row: Row, first: Row, truth: dict[str, Any]) -> list[float]:
    """The numbers of ``COLUMNS``."""
    complete = {image["id"] for image in truth["images"] if image.get("person_boxes_complete", True)}
    boxed = {
        **truth,
        "images": [image for image in truth["images"] if image["id"] in complete],
        "annotations": [label for label in truth["annotations"] if label["image_id"] in complete],
    }
    plain = [
        {k: v for k, v in r.items() if k != "keypoints"} for r in row.results if r["image_id"] in complete
    ]
    joints = [{k: v for k, v in r.items() if k != "bbox"} for r in row.results if "keypoints" in r]
    keypoint, box = evaluate_keypoints(truth, joints, COCO17.sigmas), evaluate_boxes(boxed, plain)
    sure = [r for r in row.results if r["score"] > row.birth_score and r["image_id"] in complete]
    precision, recall = precision_recall(sure, boxed)
    shared = math.nan if row is first else shared_people(row, first)
    found, moved = math.nan, math.nan
    if row is not first and row.people and first.people:
        same = agreement(first.people, row.people, min_score=first.birth_score)
        found, moved = same.found, same.joint_distance
    return [
        keypoint["keypoint/AP"], keypoint["keypoint/AP50"], box["box/AP"], box["box/AP50"], precision, recall,
        visibility_auc(row.results, truth), shared, found, moved, row.milliseconds,
    ]  # fmt: skip


def shared_people(row: Row, first: Row) -> float:
    """The share of the first network's people whom another finds, of pairs with an overlap of 0.5."""
    own, wanted = ([r for r in one.results if r["score"] >= one.min_score] for one in (row, first))
    shared = 0
    for image in {r["image_id"] for r in wanted}:
        boxes = [_xyxy([r for r in people if r["image_id"] == image]) for people in (wanted, own)]
        overlaps = (pairwise_iou(*boxes) >= 0.5).numpy()
        shared += int(overlaps[linear_sum_assignment(overlaps, maximize=True)].sum())
    return shared / max(1, len(wanted))


def precision_recall(results: list[dict[str, Any]], truth: dict[str, Any]) -> tuple[float, float]:
    """Of boxes, at an overlap of 0.5, best score first; people in ignored boxes count neither way."""
    right = wrong = people = 0
    for image in truth["images"]:
        labels = [label for label in truth["annotations"] if label["image_id"] == image["id"]]
        own = sorted((r for r in results if r["image_id"] == image["id"]), key=lambda r: -r["score"])
        overlap = pairwise_iou(_xyxy(own), _xyxy(labels)).numpy()
        inside = pairwise_ioa(_xyxy(labels), _xyxy(own)).numpy().T
        crowd = np.array([bool(label["iscrowd"]) for label in labels], bool)
        people += int((~crowd).sum())
        free = ~crowd
        for row in range(len(own)):
            candidates = np.where(free, overlap[row], 0.0)
            if len(candidates) and candidates.max() >= 0.5:
                free[int(candidates.argmax())] = False
                right += 1
            elif not (crowd & (inside[row] > 0.5)).any():
                wrong += 1
    return right / max(1, right + wrong), right / max(1, people)


def visibility_auc(results: list[dict[str, Any]], truth: dict[str, Any]) -> float:
    """ROC area of joint confidences, visible against hidden, of the labelled people who are found."""
    visible: list[float] = []
    hidden: list[float] = []
    for label in truth["annotations"]:
        joints = np.array(label.get("keypoints", []), float).reshape(-1, 3)
        own = [r for r in results if r["image_id"] == label["image_id"] and "keypoints" in r]
        if not (joints[:, 2] > 0).any() or not own:
            continue
        found = np.array([r["keypoints"] for r in own], float).reshape(len(own), -1, 3)
        similarity = object_keypoint_similarity(
            torch.from_numpy(found),
            torch.from_numpy(joints[None]),
            torch.tensor([label["area"]]),
            COCO17.sigmas,
        )[:, 0]
        best = int(similarity.argmax())
        if similarity[best] >= 0.5:
            visible += found[best, joints[:, 2] == 2, 2].tolist()
            hidden += found[best, joints[:, 2] == 1, 2].tolist()
    return roc_auc(np.array(visible), np.array(hidden)) if visible and hidden else math.nan


def _xyxy(records: list[dict[str, Any]]) -> torch.Tensor:
    boxes = np.array([r["bbox"] for r in records], float).reshape(-1, 4)
    return torch.from_numpy(np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1))


if __name__ == "__main__":
    main()
