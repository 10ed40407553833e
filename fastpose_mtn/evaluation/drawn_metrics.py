"""Metrics on drawn videos: boxes, joints, identities across occlusion, and the joints' confidence.

Beside COCO's AP this measures the two things that tracking through occlusion rests on:

* **Rank-1 across gaps.** A gap is a person hidden or out of view (less than 15 % visible) for at least 5
  frames. The query is the last detection before the gap that shows the person clearly (at least half
  visible); the gallery is every detection of the first frame after it in which the person is clearly
  visible and detected. Rank-1 is the share of queries whose nearest identity vector, by Euclidean
  distance, is the right person's.
* **Joint confidence.** The area under the ROC curve (AUC) of a joint's confidence as a test for visible
  (v = 2) against hidden (v = 1) joints of detected people, and whether the confidence of visible joints
  depends on the person's height, which it should not.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from scipy.stats import rankdata

from fastpose_mtn.data.synthetic import SceneConfig, SyntheticFrame
from fastpose_mtn.evaluation.coco.average_precision import CocoEvaluator
from fastpose_mtn.ops.overlap import iou_matrix
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections

HIDDEN_SHARE = 0.15  # of the silhouette: less is hidden
CLEAR_SHARE = 0.5  # of the silhouette: at least this is clearly visible
MIN_GAP_FRAMES = 5
MIN_IOU = 0.5  # of a detection with the person that it shows
MIN_SCORE = 0.4  # weaker detections are no part of a gallery; the tracker looks at none either
HEIGHT_BINS = (0, 50, 100, 200, 10_000)  # pixels of the person's box


@dataclass
class SyntheticEvaluator:
    """Metrics of an estimator on drawn scenes, collected scene by scene.

    Attributes:
        coco: boxes and joints of every frame.
        distances: of each query to the right person's nearest detection, and to the nearest of another
            person, infinite where there is none.
    """

    coco: CocoEvaluator = field(default_factory=lambda: CocoEvaluator(POSETRACK15))
    distances: list[tuple[float, float]] = field(default_factory=list)
    _joints: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)
    _people: list[tuple[float, float]] = field(default_factory=list)

    def add_sequence(
        self,
        number: int,
        config: SceneConfig,
        frames: Sequence[SyntheticFrame],
        detections: Sequence[PersonDetections],
    ) -> None:
        """Adds one scene, all its frames in order.

        Args:
            number: of the scene, unique, from 0.
            config: of the scene.
            frames: the truth; images are not looked at.
            detections: the people found in each frame.
        """
        shares = np.zeros((len(frames), config.people), np.float32)
        shown: list[np.ndarray] = []
        for index, (frame, found) in enumerate(zip(frames, detections, strict=True)):
            targets = frame.targets.numpy()
            image_id = number * config.frame_count + index
            self.coco.add(image_id, config.size_wh[::-1], targets, found)
            shares[index, targets.identities] = frame.visible_share
            who = persons_shown(targets.boxes, found.boxes)
            shown.append(np.where(who >= 0, targets.identities[who], -1) if len(targets) else who)
            self._add_joints(frame, found, who)
        if all(found.embeddings is not None for found in detections):
            for person, before, after in occlusion_gaps(shares, shown):
                self._add_query(person, before, after, detections, shown)

    def _add_joints(self, frame: SyntheticFrame, found: PersonDetections, who: np.ndarray) -> None:
        targets = frame.targets.numpy()
        for person in np.unique(who[who >= 0]):
            if targets.ignore[person]:
                continue
            best = int(np.flatnonzero(who == person)[np.argmax(found.scores[who == person])])
            visibility, confidence = targets.keypoints[person, :, 2], found.keypoints[best, :, 2]
            self._joints.append((visibility, confidence))
            if (visibility == 2).any():
                box = targets.boxes[person]
                self._people.append((float(box[3] - box[1]), float(confidence[visibility == 2].mean())))

    def _add_query(
        self,
        person: int,
        before: int,
        after: int,
        detections: Sequence[PersonDetections],
        shown: Sequence[np.ndarray],
    ) -> None:
        mine = np.flatnonzero(shown[before] == person)
        query = int(mine[np.argmax(detections[before].scores[mine])])
        embeddings, gallery = detections[before].embeddings, detections[after].embeddings
        assert embeddings is not None
        assert gallery is not None
        distance = np.linalg.norm(gallery - embeddings[query], axis=1)
        right = shown[after] == person
        wrong = ~right & (detections[after].scores >= MIN_SCORE)
        self.distances.append((float(distance[right].min()), float(distance[wrong].min(initial=np.inf))))

    def evaluate(self) -> dict[str, float]:
        """All numbers, in [0, 1] but for the counts; NaN where there was nothing to measure."""
        right, wrong = np.array(self.distances, np.float64).reshape(-1, 2).T
        contested = np.isfinite(wrong)
        metrics = {
            **self.coco.evaluate(),
            "reid/rank1": _mean(right < wrong),
            "reid/rank1_contested": _mean((right < wrong)[contested]),
            "reid/queries": float(len(right)),
            "reid/queries_contested": float(contested.sum()),
        }
        visibility, confidence = (
            np.concatenate([part[i] for part in self._joints]) if self._joints else np.zeros(0)
            for i in (0, 1)
        )
        visible, hidden = confidence[visibility == 2], confidence[visibility == 1]
        metrics["joints/visibility_auc"] = roc_auc(visible, hidden)
        metrics["joints/confidence_visible"] = _mean(visible)
        metrics["joints/confidence_hidden"] = _mean(hidden)
        heights, means = np.array(self._people, np.float64).reshape(-1, 2).T
        metrics["joints/confidence_height_correlation"] = (
            float(np.corrcoef(np.log(heights), means)[0, 1])
            if len(heights) > 2 and heights.std() > 0 and means.std() > 0
            else float("nan")
        )
        for low, high in pairwise(HEIGHT_BINS):
            chosen = (heights >= low) & (heights < high)
            name = f"{low}_{high}" if high < HEIGHT_BINS[-1] else f"{low}_up"
            metrics[f"joints/confidence_visible_{name}px"] = _mean(means[chosen])
        return metrics


def persons_shown(boxes_xyxy: np.ndarray, detected_xyxy: np.ndarray) -> np.ndarray:
    """(M,) index of the person each of M detections shows: of the greatest IoU, -1 where below 0.5."""
    if not len(boxes_xyxy) or not len(detected_xyxy):
        return np.full(len(detected_xyxy), -1)
    iou = iou_matrix(detected_xyxy, boxes_xyxy)
    return np.where(iou.max(axis=1) >= MIN_IOU, iou.argmax(axis=1), -1)


def occlusion_gaps(shares: np.ndarray, shown: Sequence[np.ndarray]) -> Iterator[tuple[int, int, int]]:
    """(person, frame of the query, frame of the gallery) of every gap with a detection on either side.

    Args:
        shares: (frames, people) visible share of each person, 0 where out of view.
        shown: of each frame the person each detection shows, -1 for none.
    """
    for person in range(shares.shape[1]):
        detected = np.array([bool((who == person).any()) for who in shown], bool)
        usable = np.flatnonzero((shares[:, person] >= CLEAR_SHARE) & detected)
        for before, after in pairwise(usable):
            hidden = shares[before + 1 : after, person] < HIDDEN_SHARE
            if longest_run(hidden) >= MIN_GAP_FRAMES:
                yield person, int(before), int(after)


def longest_run(flags: np.ndarray) -> int:
    """The greatest number of consecutive true values."""
    edges = np.diff(np.concatenate([[0], flags.astype(np.int8), [0]]))
    lengths = np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)
    return int(lengths.max(initial=0))


def roc_auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """The chance that a positive's value is above a negative's, ties counting half; NaN without either."""
    if not len(positive) or not len(negative):
        return float("nan")
    ranks = rankdata(np.concatenate([positive, negative]))
    above = ranks[: len(positive)].sum() - len(positive) * (len(positive) + 1) / 2
    return float(above / (len(positive) * len(negative)))


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
