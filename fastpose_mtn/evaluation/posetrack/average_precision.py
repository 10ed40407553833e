"""PoseTrack's average precision, by joint.

poseval's habits here, and what they mean for the numbers:

* Each predicted joint is ranked by its own score among all joints of its kind in all sequences; the
  person's score plays no part. All labelled frames count, the last of a sequence too.
* AP is the area under the precision made monotone from the right, over all changes of recall: VOC's,
  not sampled at 11 or 101 points.
* Precision and recall are those of all predictions, at no threshold: a detector that reports many
  doubtful people has a low precision and no lower AP.
* A joint that is never predicted has AP, precision and recall 0, labelled or not; one that is predicted
  and never labelled has neither AP nor recall, and drops out of their mean.
* Equal scores keep no defined order: NumPy's default sort decides, on the joints in the order of the
  files in their folder. Results with rounded scores therefore vary a little from machine to machine,
  in poseval too; on one machine both agree.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fastpose_mtn.evaluation.posetrack.matching import PoseMatches
from fastpose_mtn.evaluation.posetrack.people import EvaluatedSequence
from fastpose_mtn.evaluation.posetrack.protocol import NUM_JOINTS, with_total


@dataclass(frozen=True, eq=False)
class JointDetections:
    """The predicted joints of a sequence, as AP counts them.

    Attributes:
        present: (P, 15) bool.
        scores: (P, 15) float64.
        right: (P, 15) bool.
        num_labelled: (15,) int64.
    """

    present: np.ndarray
    scores: np.ndarray
    right: np.ndarray
    num_labelled: np.ndarray

    @classmethod
    def from_matches(cls, people: EvaluatedSequence, matches: PoseMatches) -> JointDetections:
        """The joints of the predicted people, and which are right."""
        return cls(
            present=people.predictions.has_joint,
            scores=people.predictions.joint_scores,
            right=matches.right_joints,
            num_labelled=people.gt.has_joint.sum(axis=0),
        )


def average_precision(sequences: Sequence[JointDetections]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """AP, precision and recall in percent, each (16,): the joints' and their mean."""
    figures = np.zeros((3, NUM_JOINTS))
    for joint in range(NUM_JOINTS):
        scores = [s.scores[s.present[:, joint], joint] for s in sequences]
        right = [s.right[s.present[:, joint], joint] for s in sequences]
        if sum(map(len, scores)):
            labelled = sum(int(s.num_labelled[joint]) for s in sequences)
            figures[:, joint] = _precision_recall(np.concatenate(scores), np.concatenate(right), labelled)
    ap, precision, recall = (with_total(100 * row) for row in figures)
    return ap, precision, recall


def _precision_recall(scores: np.ndarray, right: np.ndarray, num_labelled: int) -> tuple[float, float, float]:
    """AP, precision and recall of one joint, at least one of which was predicted."""
    ranked = right[np.argsort(scores)[::-1]]
    num_right = np.cumsum(ranked)
    precision = num_right / np.arange(1, len(ranked) + 1)
    if not num_labelled:
        return np.nan, float(precision[-1]), np.nan
    recall = num_right / num_labelled
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(recall, prepend=0.0)
    changed = steps != 0
    return float(np.sum(steps[changed] * envelope[changed])), float(precision[-1]), float(recall[-1])
