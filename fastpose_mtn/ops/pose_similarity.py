"""How alike two poses of one frame are, and what one person found several times looks like together.

The parametric similarity is AlphaPose's (Fang et al., PAMI 2022, section 3.4). Its equation 16 as printed is the wrong way
round: equation 19 is a similarity, so a pose is left out where it is *at least* the threshold, as its code has it.

All functions take NumPy arrays, change none of them and keep no state.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from fastpose_mtn.ops.oks import AREA_PER_BOX

_SEEN = 0.2  # confidence above which a joint counts for OKS
_TINY = 1e-9
_MERGE_REACH = 15.0  # pixels, at most, within which a joint is merged with the reference's
_RELEASED_REACH = 7.0  # pixels, at most, within which two joints are one to the released code
_RELEASED_JOINTS = 5  # of them are one person


class PoseParameters(NamedTuple):
    """The parameters of the parametric similarity (equations 17 to 19).

    Attributes:
        sigma1: of the confidences' hyperbolic tangent.
        sigma2: of the distances; square roots of boxes' areas, squared, or of the released variant pixels.
        weight: lambda, of the distances' term.
        threshold: eta, at and above which two poses are one person's.
    """

    sigma1: float = 1.0
    sigma2: float = 0.01
    weight: float = 1.7
    threshold: float = 1.2


RELEASED = PoseParameters(sigma1=1.0, sigma2=2.65, weight=1.7, threshold=22.48)
RELEASED_WHOLE = PoseParameters(sigma1=1.0, sigma2=8.0, weight=1.65, threshold=3.6)
_RELEASED_WHOLE_JOINTS = 3.0
# of whole bodies, to the released code: parts, their weights in both terms, and a factor on sigma2
_RELEASED_PARTS = (
    (("body", "foot"), 1.0, 1.0, 1.0),
    (("face",), 1.0, 1.0, 1.9),
    (("hands",), 0.1, 1.5, 0.55),
)


def parametric_similarity(
    boxes_xyxy: np.ndarray, keypoints: np.ndarray, weights: np.ndarray, parameters: PoseParameters
) -> np.ndarray:
    """(N, N): row i compares everybody with person i, whose box gives the measure (equation 19).

    Distances are in units of the person, sqrt(wh) of the box, and joints are averaged, so that nothing depends on the
    size of people or on the number of joints. In the paper's pixels it would.

    Args:
        boxes_xyxy: (N, 4).
        keypoints: (N, K, 3) x, y and confidence.
        weights: (K,) of the joints, summing to 1.
        parameters: see there.
    """
    near, distance = pose_offsets(boxes_xyxy, keypoints)
    by_score = confidence_term(near, keypoints[..., 2], weights, parameters.sigma1)
    return by_score + parameters.weight * distance_term(distance, weights, parameters.sigma2)


def pose_offsets(boxes_xyxy: np.ndarray, keypoints: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What the parametric similarity knows of everybody's joints j beside person i's, whatever the parameters.

    Args:
        boxes_xyxy: (N, 4).
        keypoints: (N, K, 3) x, y and confidence.

    Returns:
        (N, N, K) bool: within a box a tenth of person i's (equation 17); (N, N, K) squared distances, square roots of the
        area of i's box being 1.
    """
    size = np.maximum(boxes_xyxy[:, 2:] - boxes_xyxy[:, :2], _TINY)
    offset = keypoints[:, None, :, :2] - keypoints[None, :, :, :2]
    near: np.ndarray = (np.abs(offset) <= size[:, None, None] / 20).all(axis=-1)
    return near, (offset**2).sum(axis=-1) / size.prod(axis=1)[:, None, None]


def confidence_term(
    near: np.ndarray, confidences: np.ndarray, weights: np.ndarray, sigma1: float
) -> np.ndarray:
    """(N, N): equation 17, of ``pose_offsets``' windows and confidences (N, K), as a mean by weights (K,)."""
    sure = np.tanh(confidences / sigma1)
    term: np.ndarray = (near * (sure[:, None] * sure[None])) @ weights
    return term


def distance_term(distance: np.ndarray, weights: np.ndarray, sigma2: float) -> np.ndarray:
    """(N, N): equation 18, of ``pose_offsets``' squared distances, as a mean by weights (K,)."""
    term: np.ndarray = np.exp(-distance / sigma2) @ weights
    return term


def pose_distance(first: np.ndarray, second: np.ndarray, parameters: PoseParameters) -> np.ndarray:
    """(N, M) in [0, 1]: how little poses of different boxes are alike, each in shares of its own box.

    Equation 19 is a similarity, and not of one scale: it is divided by those of both poses with themselves, and taken
    from 1 (equation 22 calls it a distance). Boxes are brought to a width of 3/4 of their height, as crops are.

    Args:
        first: (N, K, 3) x, y as shares of the person's box, and confidence.
        second: (M, K, 3).
        parameters: of the similarity; its threshold does not count.
    """
    x, y = (first[:, None, :, axis] - second[None, :, :, axis] for axis in (0, 1))
    near = (np.abs(x) <= 1 / 20) & (np.abs(y) <= 1 / 20)
    own, other = (np.tanh(poses[..., 2] / parameters.sigma1) for poses in (first, second))
    # a box of 3 by 4 has the size sqrt(12)
    distance = (x**2 * 9 + y**2 * 16) / 12
    terms = near * (own[:, None] * other[None]) + parameters.weight * np.exp(-distance / parameters.sigma2)
    alone = [(sure**2).mean(axis=1) + parameters.weight for sure in (own, other)]
    return np.clip(1.0 - terms.mean(axis=-1) / np.sqrt(alone[0][:, None] * alone[1]), 0.0, 1.0)


def released_similarity(
    boxes_xyxy: np.ndarray, keypoints: np.ndarray, parameters: PoseParameters = RELEASED
) -> tuple[np.ndarray, np.ndarray]:
    """The released code's similarity, in pixels, and its second criterion.

    Returns:
        (N, N) similarities, sums over joints, and (N, N) bool: five joints or more lie within a tenth of the longer side
        of person i's box, 7 pixels at most. Nearly all that it suppresses it suppresses by the second one.
    """
    distance, score = _released_terms(keypoints, parameters.sigma1)
    similarity = score.sum(axis=-1) + parameters.weight * np.exp(-distance / parameters.sigma2).sum(axis=-1)
    return similarity, _released_near(boxes_xyxy, distance, 0.1).sum(axis=-1) >= _RELEASED_JOINTS


def released_whole_similarity(
    boxes_xyxy: np.ndarray,
    keypoints: np.ndarray,
    parts: Mapping[str, Sequence[int]],
    floor: float,
    parameters: PoseParameters = RELEASED_WHOLE,
) -> tuple[np.ndarray, np.ndarray]:
    """The released code's similarity of whole bodies, those with faces and hands, and its second criterion.

    Two of its slips are kept, as they decide whom it keeps: joints count by their confidences where the other's is *below*
    the floor, and the number of joints in common is divided by that of people in the frame, so that of twelve people and
    more nobody is left out by it. Its parts are taken by name, not at HALPE136's places.

    Args:
        boxes_xyxy: (N, 4).
        keypoints: (N, K, 3) x, y and confidence.
        parts: joints of the body, the feet, the face and the hands.
        floor: confidence below which the other's joint counts as unsure.
        parameters: see there.

    Returns:
        (N, N) similarities, means over each part's joints; and (N, N) bool: a quarter of the joints in common, over N, is
        three or more, within 0.15 of the longer side of person i's box, 7 pixels at most.
    """
    distance, score = _released_terms(keypoints, parameters.sigma1)
    unsure = keypoints[None, :, :, 2] < floor
    similarity = np.zeros(distance.shape[:2])
    for names, by_score, by_distance, width in _RELEASED_PARTS:
        joints = [joint for name in names for joint in parts[name]]
        if not joints:
            continue
        near = np.exp(-distance[..., joints] / (width * parameters.sigma2)) * ~unsure[..., joints]
        similarity += by_score * (score * unsure)[..., joints].mean(axis=-1)
        similarity += by_distance * parameters.weight * near.mean(axis=-1)
    common = _released_near(boxes_xyxy, distance, 0.15).sum(axis=-1) / (4 * max(1, len(keypoints)))
    return similarity, common >= _RELEASED_WHOLE_JOINTS


def _released_terms(keypoints: np.ndarray, sigma1: float) -> tuple[np.ndarray, np.ndarray]:
    """Pixels (N, N, K) between joints of people i and j, and by how much those within one of them count by confidences."""
    offset = keypoints[:, None, :, :2] - keypoints[None, :, :, :2]
    distance = np.hypot(offset[..., 0], offset[..., 1])
    sure = np.tanh(keypoints[..., 2] / sigma1)
    return distance, (distance <= 1) * (sure[:, None] * sure[None])


def _released_near(boxes_xyxy: np.ndarray, distance: np.ndarray, share: float) -> np.ndarray:
    """(N, N, K) bool: within a share of the longer side of person i's box, and 7 pixels."""
    longer = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).max(axis=1)
    near: np.ndarray = distance <= np.minimum(share * longer, _RELEASED_REACH)[:, None, None]
    return near


def alike_by_oks(
    boxes_xyxy: np.ndarray, keypoints: np.ndarray, sigmas: np.ndarray, threshold: float
) -> np.ndarray:
    """(N, N) bool: which two people of one frame have an object keypoint similarity, see ``oks_between``, of that or more.

    It is a mean, so that one joint at least must be so near; whose joints all lie further apart are not compared.

    Args:
        boxes_xyxy: (N, 4).
        keypoints: (N, K, 3).
        sigmas: (K,).
        threshold: above 0, at most 1.
    """
    area, seen = _areas(boxes_xyxy), keypoints[..., 2:] > _SEEN
    # pixels, of two people the sum's half
    reach = np.sqrt(-2 * np.log(threshold) * area) * 2 * sigmas.max() + 1e-3
    low = np.where(seen, keypoints[..., :2], np.inf).min(axis=1) - reach[:, None]
    high = np.where(seen, keypoints[..., :2], -np.inf).max(axis=1) + reach[:, None]
    near = (low[:, None] <= high[None]).all(axis=-1)
    one, other = np.nonzero(np.triu(near & near.T))
    similarity, _ = _oks(area[one], keypoints[one], area[other], keypoints[other], sigmas, _SEEN)
    alike = np.zeros(near.shape, bool)
    alike[one, other] = alike[other, one] = similarity >= threshold
    return alike


def oks_between(
    a_boxes_xyxy: np.ndarray,
    a_keypoints: np.ndarray,
    b_boxes_xyxy: np.ndarray,
    b_keypoints: np.ndarray,
    sigmas: np.ndarray,
    *,
    seen_above: float = _SEEN,
) -> tuple[np.ndarray, np.ndarray]:
    """Object keypoint similarities over the joints that both of two people have.

    The area is the mean of both people's, of which it is a share of the box, see ``oks.AREA_PER_BOX``.

    Args:
        a_boxes_xyxy: (A, 4).
        a_keypoints: (A, K, 3).
        b_boxes_xyxy: (B, 4).
        b_keypoints: (B, K, 3).
        sigmas: (K,).
        seen_above: confidence above which a joint counts.

    Returns:
        (A, B) similarities, 0 without a joint in common, and (A, B) how many there are in common.
    """
    return _oks(
        _areas(a_boxes_xyxy)[:, None],
        a_keypoints[:, None],
        _areas(b_boxes_xyxy),
        b_keypoints,
        sigmas,
        seen_above,
    )


def _areas(boxes_xyxy: np.ndarray) -> np.ndarray:
    areas: np.ndarray = AREA_PER_BOX * (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1)
    return areas


def _oks(
    a_area: np.ndarray,
    a_keypoints: np.ndarray,
    b_area: np.ndarray,
    b_keypoints: np.ndarray,
    sigmas: np.ndarray,
    seen_above: float,
) -> tuple[np.ndarray, np.ndarray]:
    """See ``oks_between``; of areas (...) and keypoints (..., K, 3) that are broadcast against each other."""
    mean = np.maximum((a_area + b_area) / 2, _TINY)
    x, y = (a_keypoints[..., axis] - b_keypoints[..., axis] for axis in (0, 1))
    scaled = (x**2 + y**2) / (2 * (2 * sigmas) ** 2 * mean[..., None])
    both = (a_keypoints[..., 2] > seen_above) & (b_keypoints[..., 2] > seen_above)
    common = both.sum(axis=-1)
    return (np.exp(-scaled) * both).sum(axis=-1) / np.maximum(common, 1), common


def clusters(same: np.ndarray) -> list[np.ndarray]:
    """People in groups: who comes first leads a group of all those later who are the same and in no group yet.

    Args:
        same: (N, N) bool, of people in order: row i says who is the same as i.

    Returns:
        Of each group the (n,) numbers, its leader's first.
    """
    free = np.ones(len(same), bool)
    found = []
    for person in range(len(same)):
        if free[person]:
            members = np.flatnonzero(free & same[person])
            free[members], free[person] = False, False
            found.append(np.concatenate(([person], members[members != person])))
    return found


def merge_poses(poses: np.ndarray, reach: float) -> np.ndarray:
    """One pose (K, 3) of several: each joint the mean, by confidence, of those near the first pose's.

    Args:
        poses: (n, K, 3); the first is the reference.
        reach: pixels; never more than 15 count.
    """
    offset = poses[..., :2] - poses[:1, :, :2]
    near = np.hypot(offset[..., 0], offset[..., 1]) <= min(reach, _MERGE_REACH)
    weight = near * poses[..., 2]
    total = weight.sum(axis=0)
    mean = np.einsum("nk,nkc->kc", weight, poses) / np.maximum(total, _TINY)[:, None]
    return np.where(total[:, None] > 0, mean, poses[0]).astype(poses.dtype)
