"""What experiments measure: a record of each image, figures of weighted images, and their differences' intervals.

A figure is a function of the images' weights, so that an image which a bootstrap draws twice has a weight of 2. With
weights of 1 ``keypoint/AP`` is pycocotools' own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from experiment_search import SEARCH_FIGURES, search_records
from experiment_tracking import TRACKING_FIGURES

from fastpose_mtn.data.sample import DrawnLabels
from fastpose_mtn.evaluation.coco.average_precision import CocoEvaluator
from fastpose_mtn.evaluation.coco.crowdpose import CROWD_BOUNDS_API
from fastpose_mtn.ops.oks import AREA_PER_BOX
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections, PersonTargets

Record = dict[str, Any]  # of an image; JSON can hold it
Statistic = Callable[[np.ndarray], float]  # of the images' weights

THRESHOLDS = np.linspace(0.5, 0.95, 10)  # of OKS, as COCO's
RECALLS = np.linspace(0.0, 1.0, 101)
HARDEST = 8  # joints of a person: as many as MSPN's OHKM trains
RESAMPLES = 1000


@dataclass(frozen=True, eq=False)
class SeenImage:
    """A test image's labels and whom a network finds in it.

    Attributes:
        scene: number of the scene that the image is of; images of one are not independent.
        size_hw: pixels.
        targets: the labels.
        found: the people; in the order of the labels that are not ignored, where ``scales`` are given.
        scales: (P,) of each of these, pixels of the network's crop in one of the image; None: people were not given.
        posetrack: PoseTrack's labels, where people are to be tracked.
    """

    scene: int
    size_hw: tuple[int, int]
    targets: PersonTargets
    found: PersonDetections
    scales: np.ndarray | None = None
    posetrack: DrawnLabels | None = None


def image_records(images: Sequence[SeenImage], skeleton: Skeleton) -> list[Record]:
    """What figures need of each image.

    ``scene``, ``crowding``; of COCO's keypoint evaluation ``people`` to find, and of each detection its ``scores``,
    whether it is ``right`` and whether it is ``ignored``, a bit for each of the thresholds; and where people were given,
    of each of their labelled joints in ``joints``: v, error in the crop's pixels, OKS, confidence; and where these were
    described, ``search``, see ``experiment_search``.
    """
    evaluator = CocoEvaluator(skeleton)
    for number, image in enumerate(images, 1):
        evaluator.add(number, image.size_hw, image.targets, image.found)
    matches = evaluator.keypoint_matches().evalImgs[: len(images)]  # of all sizes
    described = all(image.scales is not None and image.found.embeddings is not None for image in images)
    searches = search_records(images) if described else [None] * len(images)
    return [
        {
            "scene": image.scene,
            "crowding": crowding(image.targets),
            **_matched(match),
            **({} if image.scales is None else {"joints": _joints(image, skeleton)}),
            **({} if search is None else {"search": search}),
        }
        for image, match, search in zip(images, matches, searches, strict=True)
    ]


def _matched(match: Record | None) -> Record:
    if match is None:  # nobody is labelled, nobody was found
        return {"people": 0, "scores": [], "right": [], "ignored": []}
    bits = 1 << np.arange(len(THRESHOLDS))
    ignored = np.asarray(match["dtIgnore"], bool)
    right = (np.asarray(match["dtMatches"]) > 0) & ~ignored
    return {
        "people": int((np.asarray(match["gtIgnore"]) == 0).sum()),
        "scores": [round(float(score), 7) for score in match["dtScores"]],
        "right": (bits @ right).tolist(),
        "ignored": (bits @ ignored).tolist(),
    }


def _joints(image: SeenImage, skeleton: Skeleton) -> list[list[list[float]]]:
    assert image.scales is not None
    people = image.targets[~image.targets.ignore]
    area = AREA_PER_BOX * (people.boxes[:, 2:] - people.boxes[:, :2]).prod(axis=1, dtype=np.float64)
    away = np.linalg.norm(image.found.keypoints[..., :2] - people.keypoints[..., :2], axis=-1)
    spread = 2 * np.asarray(skeleton.sigmas) * np.sqrt(2 * area[:, None] + np.finfo(float).eps)
    rows = np.stack(
        (
            people.keypoints[..., 2],
            away * image.scales[:, None],
            np.exp(-((away / spread) ** 2)),
            image.found.keypoints[..., 2],
        ),
        axis=-1,
    )
    return [own[own[:, 0] > 0].astype(float).round(5).tolist() for own in rows]


def crowding(targets: PersonTargets) -> float:
    """CrowdPose's crowd index: in a person's box other people's joints to own ones, the mean over people (Li et al. 2019)."""
    people = targets[~targets.ignore]
    labelled = people.keypoints[..., 2] > 0
    xy = people.keypoints[None, ..., :2]
    low, high = people.boxes[:, None, None, :2], people.boxes[:, None, None, 2:]
    inside = ((xy >= low) & (xy <= high)).all(axis=-1) & labelled[None]
    counts = inside.sum(axis=-1)  # (boxes, people)
    own = labelled.sum(axis=1)
    others = counts.sum(axis=1) - counts.diagonal()
    return round(float((others[own > 0] / own[own > 0]).mean()), 5) if (own > 0).any() else 0.0


def statistic(figure: str, records: Sequence[Record]) -> Statistic:
    """A figure of these images by their weights; NaN where there is nothing to measure.

    Raises:
        ValueError: there is no such figure, or the records lack what it needs.
    """
    if figure not in FIGURES:
        raise ValueError(f"figures: expected some of {', '.join(FIGURES)}, got {figure!r}")
    if figure in TRACKING_FIGURES and not any("sequence" in record for record in records):
        raise ValueError(f"{figure} needs sequences whose people are tracked")
    if figure.startswith("joints/") and any("joints" not in record for record in records):
        raise ValueError(
            f"{figure} needs people in given boxes: set TEST.DETECTOR truth, of a top-down network"
        )
    if figure in SEARCH_FIGURES and any("search" not in record for record in records):
        raise ValueError(
            f"{figure} needs people in given boxes who are described: set TEST.DETECTOR truth and MODEL.REID_ON True"
        )
    return FIGURES[figure](records)


def _average_precision(
    records: Sequence[Record], thresholds: slice = slice(None), least_crowding: float = 0.0
) -> Statistic:
    """As pycocotools computes it: precision at the recalls, its envelope, the mean."""
    image = np.repeat(np.arange(len(records)), [len(record["scores"]) for record in records])
    score, right, ignored = (
        np.array([value for record in records for value in record[name]], kind)
        for name, kind in (("scores", np.float64), ("right", np.int64), ("ignored", np.int64))
    )
    people = np.array([record["people"] for record in records])
    counts = np.array([record["crowding"] >= least_crowding for record in records])
    order = np.argsort(-score, kind="stable")
    image, right, ignored = image[order], right[order], ignored[order]
    bits = np.arange(len(THRESHOLDS))[thresholds]
    rights = (right >> bits[:, None] & 1).astype(bool)
    wrongs = ~rights & ~(ignored >> bits[:, None] & 1).astype(bool)

    def value(weights: np.ndarray) -> float:
        weights = weights * counts
        total = weights @ people
        if total == 0:
            return float("nan")
        own = weights[image]
        found, false = (own * rights).cumsum(axis=1), (own * wrongs).cumsum(axis=1)
        precision = found / (found + false + np.spacing(1))
        precision = np.maximum.accumulate(precision[:, ::-1], axis=1)[:, ::-1]
        sums = 0.0
        for recall, reached in zip(found / total, precision, strict=True):
            place = np.searchsorted(recall, RECALLS, side="left")
            sums += reached[place[place < len(recall)]].sum()
        return sums / (len(bits) * len(RECALLS))

    return value


def _mean(records: Sequence[Record], of_person: Callable[[np.ndarray], float]) -> Statistic:
    """The mean over people of something of their joints (J, 4)."""
    values = [[of_person(np.array(own)) for own in record["joints"] if own] for record in records]
    sums, counts = np.array([sum(own) for own in values]), np.array([len(own) for own in values])

    def value(weights: np.ndarray) -> float:
        total = weights @ counts
        return float(weights @ sums / total) if total else float("nan")

    return value


def _joint_columns(records: Sequence[Record]) -> tuple[np.ndarray, np.ndarray]:
    """The image (J,) and the row (J, 4) of every joint."""
    image = [number for number, record in enumerate(records) for own in record["joints"] for _ in own]
    rows = [row for record in records for own in record["joints"] for row in own]
    return np.array(image, np.int64), np.array(rows, np.float64).reshape(-1, 4)


def _separation(records: Sequence[Record]) -> Statistic:
    """How well confidences tell visible joints from hidden ones: the area under the ROC curve."""
    image, rows = _joint_columns(records)
    _, level = np.unique(rows[:, 3], return_inverse=True)
    visible = rows[:, 0] == 2

    def value(weights: np.ndarray) -> float:
        own = weights[image]
        seen, hidden = (np.bincount(level, own * part) for part in (visible, ~visible))
        pairs = seen.sum() * hidden.sum()
        return float(seen @ (hidden.cumsum() - hidden / 2) / pairs) if pairs else float("nan")

    return value


def _rank_correlation(records: Sequence[Record]) -> Statistic:
    """Spearman's, of confidences and errors: the nearer to -1, the better confidences rank errors."""
    image, rows = _joint_columns(records)
    levels = [np.unique(rows[:, column], return_inverse=True)[1] for column in (3, 1)]

    def value(weights: np.ndarray) -> float:
        own = weights[image]
        ranks = []
        for level in levels:
            counts = np.bincount(level, own)
            ranks.append((counts.cumsum() - counts / 2)[level])
        covariance = np.cov(*ranks, aweights=own)
        return float(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))

    return value


def _oks_share(joints: np.ndarray) -> float:
    return float((joints[:, 2].mean() >= THRESHOLDS).mean())


def _hardest(joints: np.ndarray) -> float:
    return float(np.sort(joints[:, 2])[:HARDEST].mean())


FIGURES: dict[str, Callable[[Sequence[Record]], Statistic]] = {
    "keypoint/AP": _average_precision,
    "keypoint/AP50": partial(_average_precision, thresholds=slice(0, 1)),
    "keypoint/AP75": partial(_average_precision, thresholds=slice(5, 6)),
    # of images as crowded as CrowdPose's hard ones
    "keypoint/AP_hard": partial(_average_precision, least_crowding=CROWD_BOUNDS_API[1]),
    "joints/error": partial(_mean, of_person=lambda joints: float(joints[:, 1].mean())),  # pixels of the crop
    # of people with an OKS of t, the mean over the thresholds t
    "joints/share": partial(_mean, of_person=_oks_share),
    "joints/hardest": partial(_mean, of_person=_hardest),  # mean OKS of a person's HARDEST worst joints
    "joints/separation": _separation,
    "joints/rank": _rank_correlation,
    **TRACKING_FIGURES,
    **SEARCH_FIGURES,
}
LESS_IS_BETTER = ("joints/error", "joints/rank", "posetrack/switches")
NO_SHARES = ("joints/separation", *LESS_IS_BETTER)  # the others are shown in per cent


@dataclass(frozen=True)
class Difference:
    """Of an arm to the one that it is compared with.

    Attributes:
        mean: over the seeds.
        low, high: of the interval of 95 %.
        seeds: each one's difference.
    """

    mean: float
    low: float
    high: float
    seeds: tuple[float, ...]


def paired_difference(
    ours: Sequence[Sequence[Record]],
    theirs: Sequence[Sequence[Record]],
    figure: str,
    *,
    resamples: int = RESAMPLES,
) -> Difference:
    """How much a figure of one arm is above another's, by a bootstrap over scenes and seeds.

    Each time as many scenes and as many seeds are drawn as there are, the same for both arms; a scene's images stay
    together. Of few seeds the interval is somewhat narrow: drawn from three, their variance is two thirds of what it is.

    Args:
        ours: the records of each seed.
        theirs: of the same seeds, on the same images.
        figure: its name.
        resamples: how many times.

    Raises:
        ValueError: the arms were not tested on the same images.
    """
    scenes = [[record["scene"] for record in records] for records in (*ours, *theirs)]
    if len(ours) != len(theirs) or any(own != scenes[0] for own in scenes):
        raise ValueError("arms can be compared that were tested with the same seeds on the same images alone")
    _, scene = np.unique(scenes[0], return_inverse=True)
    rng = np.random.default_rng(0)
    count = int(scene.max()) + 1
    weights = [np.bincount(rng.integers(0, count, count), minlength=count)[scene] for _ in range(resamples)]
    seeds = rng.integers(0, len(ours), (resamples, len(ours)))
    whole, drawn = [], []
    for one, other in zip(ours, theirs, strict=True):
        first, second = statistic(figure, one), statistic(figure, other)
        plain = np.ones(len(scene))
        whole.append(first(plain) - second(plain))
        drawn.append([first(w) - second(w) for w in weights])
    means = np.array(drawn)[seeds, np.arange(resamples)[:, None]].mean(axis=1)
    known = means[~np.isnan(means)]  # a figure may be undefined of all scenes that are drawn
    low, high = np.percentile(known, [2.5, 97.5]) if len(known) else (np.nan, np.nan)
    return Difference(float(np.mean(whole)), float(low), float(high), tuple(whole))
