#!/usr/bin/env python
"""Ways to leave out people found twice, on the same people of crowded drawn scenes.

    OMP_NUM_THREADS=1 python benchmarks/pose_nms.py [--weights drawn] [--scenes 40] [--fit-scenes 40] [--frames 6]

A network finds people with a low threshold (0.1) and hardly suppresses any (box NMS at 0.8). From these the arms choose:
box NMS, OKS-NMS, our NMS by joints, AlphaPose's parametric pose NMS as released (in pixels), and as published, with the
parameters that it begins with and with those fitted on other scenes; the pose ones after a box NMS at 0.6 or without.

AP is COCO's of the joints. Duplicates are people found beside another one who shows the same labelled person (OKS 0.5 or
more), lost is who of the labelled had been found and is not any more; both per 100 labelled people. Intervals are of 95 %,
of the difference to the best box NMS, by bootstrap over scenes.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from experiment_figures import Record, SeenImage, image_records, paired_difference, statistic
from torchvision.ops import nms
from tqdm import tqdm

from fastpose_mtn.build import build_estimator
from fastpose_mtn.checkpoints.loading import inference_config
from fastpose_mtn.data.synthetic import SceneConfig, SyntheticScene
from fastpose_mtn.errors import exit_on_error
from fastpose_mtn.evaluation.coco.repeated import LabelledPeople
from fastpose_mtn.evaluation.pose_nms_search import search_parameters
from fastpose_mtn.ops.oks import AREA_PER_BOX, object_keypoint_similarity
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.ops.pose_similarity import PoseParameters
from fastpose_mtn.protocols import PoseEstimator
from fastpose_mtn.skeletons import POSETRACK15, Skeleton
from fastpose_mtn.structures import PersonDetections

FIT, TEST = 700_000, 800_000  # first seeds
BOXES = (0.3, 0.4, 0.5, 0.6)
SAME = 0.5  # OKS with the labelled person whom somebody shows
RAW = [
    "TEST.POSE_NMS.ENABLED", "False", "MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.1",
    "MODEL.ROI_HEADS.NMS_THRESH_TEST", "0.8", "MODEL.DEVICE", "cpu",
]  # fmt: skip

Suppress = Callable[[PersonDetections], PersonDetections]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--weights", default="drawn", metavar="FILE|drawn")
    parser.add_argument("--scenes", type=int, default=40, metavar="N", help="to test on")
    parser.add_argument("--fit-scenes", type=int, default=40, metavar="N", help="to fit parameters on")
    parser.add_argument(
        "--frames", type=int, default=6, metavar="N", help="of each, a third of a second apart"
    )
    options = parser.parse_args()
    with exit_on_error():
        cfg = inference_config(options.weights)
        cfg.merge_from_list(RAW)
        estimator = build_estimator(cfg)
        fit = find(estimator, range(FIT, FIT + options.fit_scenes), options.frames)
        test = find(estimator, range(TEST, TEST + options.scenes), options.frames)
    fitted = {}
    for name, first in (("box NMS 0.6", partial(box_nms, threshold=0.6)), ("none", lambda people: people)):
        *_, last = search_parameters([replace(i, found=first(i.found)) for i in fit], POSETRACK15)
        fitted[name] = last.parameters
        print(f"fitted after {name}: {last.parameters}, AP {100 * last.ap:.2f} on the scenes of the fit")
    labelled = sum(len(i.targets) for i in test)
    print(
        f"\n{options.scenes} scenes, {len(test)} frames, {labelled} people, {sum(len(i.found) for i in test)} found\n"
    )
    compare(test, arms(POSETRACK15, fitted), options.frames)


def find(estimator: PoseEstimator, seeds: Sequence[int], frames: int) -> list[LabelledPeople]:
    """Labelled frames of crowds of 8 to 12 people, and everybody found in them."""
    images = []
    for seed in tqdm(seeds, unit="scene", disable=None):
        config = SceneConfig(frame_count=10 * frames, people=8 + seed % 5, occlusion=0.5)
        scene = SyntheticScene(seed, config)
        drawn = [scene.frame(index) for index in range(5, 10 * frames, 10)]
        for frame, found in zip(drawn, estimator.estimate([f.image for f in drawn]), strict=True):
            keypoints = estimator.skeleton.convert(found.keypoints, POSETRACK15)
            people = replace(found, keypoints=keypoints, embeddings=None)
            images.append(LabelledPeople(people, frame.targets.numpy(), None, frame.image.shape[:2]))
    return images


def box_nms(people: PersonDetections, threshold: float) -> PersonDetections:
    """Greedy NMS by the overlap of boxes."""
    kept = nms(torch.from_numpy(people.boxes), torch.from_numpy(people.scores), threshold)
    return people[np.sort(kept.numpy())]


def arms(skeleton: Skeleton, fitted: dict[str, PoseParameters]) -> dict[str, Suppress]:
    """What is compared, by name."""
    made: dict[str, Suppress] = {"nothing left out": lambda people: people}
    made |= {f"box NMS {t}": partial(box_nms, threshold=t) for t in BOXES}
    for first, parameters in fitted.items():
        by_pose = {
            "OKS-NMS 0.9": PoseNMS(skeleton, kind="oks"),
            "by joints (ours)": PoseNMS(skeleton),
            "parametric, released": PoseNMS(skeleton, kind="released"),
            "parametric, released, frames x2": enlarged(PoseNMS(skeleton, kind="released"), 2),
            "parametric, released, frames x4": enlarged(PoseNMS(skeleton, kind="released"), 4),
            "parametric, not fitted": PoseNMS(skeleton, kind="parametric"),
            "parametric, fitted": PoseNMS(skeleton, kind="parametric", parameters=parameters),
            "parametric, fitted, without merging": PoseNMS(
                skeleton, kind="parametric", parameters=parameters, merge=False
            ),
            "parametric, fitted, frames x4": enlarged(
                PoseNMS(skeleton, kind="parametric", parameters=parameters), 4
            ),
        }
        before = "" if first == "none" else f"{first}, then "
        for name, suppress in by_pose.items():
            made[f"{before}{name}"] = (
                suppress if first == "none" else partial(in_turn, partial(box_nms, threshold=0.6), suppress)
            )
    return made


def in_turn(first: Suppress, second: Suppress, people: PersonDetections) -> PersonDetections:
    return second(first(people))


def enlarged(suppress: Suppress, factor: int) -> Suppress:
    """The same in frames of so many times the pixels along each side."""
    grow = np.float32([factor, factor, 1])

    def suppress_enlarged(people: PersonDetections) -> PersonDetections:
        found = suppress(replace(people, boxes=people.boxes * factor, keypoints=people.keypoints * grow))
        return replace(found, boxes=found.boxes / factor, keypoints=found.keypoints / grow)

    return suppress_enlarged


def compare(images: Sequence[LabelledPeople], suppressions: dict[str, Suppress], frames: int) -> None:
    """Prints a line an arm."""
    people = sum(int(real(image).sum()) for image in images)
    before = [set(shown(image, image.found).tolist()) - {-1} for image in images]
    records: dict[str, list[Record]] = {}
    counts = {}
    for name, suppress in tqdm(suppressions.items(), unit="arm", disable=None):
        left = [replace(image, found=suppress(image.found)) for image in images]
        who = [shown(image, image.found) for image in left]
        known = [own[own >= 0] for own in who]
        duplicates = sum(len(own) - len(set(own.tolist())) for own in known)
        lost = sum(len(had - set(own.tolist())) for had, own in zip(before, known, strict=True))
        seen = [SeenImage(n // frames, i.size_hw, i.targets, i.found) for n, i in enumerate(left)]
        records[name] = image_records(seen, POSETRACK15)
        counts[name] = 100 * duplicates / people, 100 * lost / people, sum(len(image.found) for image in left)
    plain = np.ones(len(images))
    ap = {name: 100 * statistic("keypoint/AP", own)(plain) for name, own in records.items()}
    best = max((f"box NMS {t}" for t in BOXES), key=ap.__getitem__)
    print(f"| {'':<58} | AP | to {best} | duplicates | lost | people |\n|---|---|---|---|---|---|")
    for name in suppressions:
        duplicates, lost, left_in = counts[name]
        difference = "" if name == best else in_per_cent(records[name], records[best])
        print(f"| {name:<58} | {ap[name]:.2f} | {difference} | {duplicates:.1f} | {lost:.2f} | {left_in} |")


def in_per_cent(ours: Sequence[Record], theirs: Sequence[Record]) -> str:
    """How much the AP of one arm is above another's, and its interval."""
    above = paired_difference([ours], [theirs], "keypoint/AP")
    return f"{100 * above.mean:+.2f} ({100 * above.low:+.2f} to {100 * above.high:+.2f})"


def real(image: LabelledPeople) -> np.ndarray:
    """(N,) bool: the labelled people who count."""
    return ~image.targets.ignore & (image.targets.keypoints[..., 2] > 0).any(axis=1)


def shown(image: LabelledPeople, found: PersonDetections) -> np.ndarray:
    """(M,) the number of the labelled person whom each shows, -1: none."""
    numbers = np.flatnonzero(real(image))
    if not len(numbers) or not len(found):
        return np.full(len(found), -1)
    boxes = image.targets.boxes[numbers]
    similarity = object_keypoint_similarity(
        torch.from_numpy(found.keypoints),
        torch.from_numpy(image.targets.keypoints[numbers]),
        torch.from_numpy(AREA_PER_BOX * (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)),
        POSETRACK15.sigmas,
    ).numpy()
    return np.where(similarity.max(axis=1) >= SAME, numbers[similarity.argmax(axis=1)], -1)


if __name__ == "__main__":
    main()
