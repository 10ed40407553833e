"""Distances between labelled and predicted joints, and whose prediction each predicted person is.

poseval's habits here, and what they mean for the numbers:

* A distance is in head sizes of the labelled person, so one pixel weighs more on small people. A head
  box without extent makes all distances infinite: that person cannot be found.
* For AP a predicted person belongs to the one labelled person of whom it has the largest share of joints
  right; of several predictions that choose the same person only the best keeps them. Equal shares go to
  whoever stands first in the file. The share does not count what the prediction has beyond the labelled
  joints, and the loser's joints are false positives, even where they are right.
* The choice is greedy: a prediction that loses its person does not try its second best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fastpose_mtn.evaluation.posetrack.people import EvaluatedPeople, EvaluatedSequence
from fastpose_mtn.evaluation.posetrack.protocol import DISTANCE_THRESHOLD, NUM_JOINTS

_PAIRS_AT_ONCE = 1 << 15  # bounds the memory of the distances: 4 MB a buffer


@dataclass(frozen=True, eq=False)
class JointPairs:
    """Labelled and predicted joints of one kind and frame that are nearer than one head size.

    Ordered by joint, frame, prediction, labelled person.

    Attributes:
        joint: (M,) int64.
        gt: (M,) int64, rows of the evaluated labelled people.
        prediction: (M,) int64, rows of the evaluated predicted people.
        distance: (M,) float64, head sizes, below 1.
    """

    joint: np.ndarray
    gt: np.ndarray
    prediction: np.ndarray
    distance: np.ndarray


@dataclass(frozen=True, eq=False)
class PoseMatches:
    """The assignment of predicted to labelled people.

    Attributes:
        prediction_of_gt: (G,) int64 row of the predicted person, -1 where nobody is.
        right_joints: (P, 15) bool, the joints of the predicted people that are right for AP.
        pairs: the near joints of all pairs of people, matched or not.
    """

    prediction_of_gt: np.ndarray
    right_joints: np.ndarray
    pairs: JointPairs


def match_people(people: EvaluatedSequence) -> PoseMatches:
    """Compares every labelled with every predicted person of the same frame."""
    gt, predictions = people.gt, people.predictions
    pair_gt, pair_prediction = _pairs_of_frames(gt, predictions)
    right = np.zeros((len(pair_gt), NUM_JOINTS), bool)
    near: list[tuple[np.ndarray, ...]] = []
    for start in range(0, len(pair_gt), _PAIRS_AT_ONCE):
        chunk = slice(start, start + _PAIRS_AT_ONCE)
        distance = joint_distances(gt, predictions, pair_gt[chunk], pair_prediction[chunk])
        right[chunk] = distance <= DISTANCE_THRESHOLD
        pair, joint = np.nonzero(distance < 1.0)
        near.append((joint, pair_gt[chunk][pair], pair_prediction[chunk][pair], distance[pair, joint]))
    chosen = _choose(right, gt, pair_gt, pair_prediction)
    prediction_of_gt = np.full(len(gt), -1, np.int64)
    prediction_of_gt[pair_gt[chosen]] = pair_prediction[chosen]
    right_joints = np.zeros((len(predictions), NUM_JOINTS), bool)
    right_joints[pair_prediction[chosen]] = right[chosen]
    return PoseMatches(prediction_of_gt, right_joints, _by_joint(near))


def joint_distances(
    gt: EvaluatedPeople, predictions: EvaluatedPeople, gt_rows: np.ndarray, prediction_rows: np.ndarray
) -> np.ndarray:
    """(N, 15) distances in head sizes of N pairs; infinite where one of them lacks the joint."""
    x, y = np.moveaxis(predictions.points[prediction_rows] - gt.points[gt_rows], 2, 0)
    both = predictions.has_joint[prediction_rows] & gt.has_joint[gt_rows]
    with np.errstate(divide="ignore", invalid="ignore"):
        distance = np.sqrt(x**2 + y**2) / gt.head_sizes[gt_rows][:, None]
    return np.where(both & ~np.isnan(distance), distance, np.inf)


def _pairs_of_frames(gt: EvaluatedPeople, predictions: EvaluatedPeople) -> tuple[np.ndarray, np.ndarray]:
    """Rows of every labelled and predicted person of the same frame, by frame, prediction, labelled person."""
    partners = gt.per_frame[predictions.frame]
    pair_prediction = np.repeat(np.arange(len(predictions)), partners)
    first_pair = np.cumsum(partners) - partners
    pair_gt = np.arange(len(pair_prediction)) - np.repeat(first_pair - gt.first[predictions.frame], partners)
    return pair_gt, pair_prediction


def _choose(
    right: np.ndarray, gt: EvaluatedPeople, pair_gt: np.ndarray, pair_prediction: np.ndarray
) -> np.ndarray:
    """The pairs of people that belong together."""
    labelled = gt.has_joint.sum(axis=1)[pair_gt]
    share = right.sum(axis=1) / np.maximum(labelled, 1)
    best_of_prediction = _first_largest(share, pair_prediction)
    best_of_gt = best_of_prediction[_first_largest(share[best_of_prediction], pair_gt[best_of_prediction])]
    return best_of_gt[share[best_of_gt] > 0]


def _first_largest(values: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The position of each group's largest value, the first of equal ones."""
    order = np.lexsort((np.arange(len(values)), -values, groups))
    return order[np.unique(groups[order], return_index=True)[1]]


def _by_joint(near: list[tuple[np.ndarray, ...]]) -> JointPairs:
    if not near:
        empty = np.zeros(0, np.int64)
        return JointPairs(empty, empty, empty, np.zeros(0))
    joint, gt, prediction, distance = (np.concatenate(column) for column in zip(*near, strict=True))
    order = np.argsort(joint, kind="stable")
    return JointPairs(joint[order], gt[order], prediction[order], distance[order])
