"""One set of joints from the maps of several heads (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.systems.topdown.codecs import DecodedJoints

_METHODS = {"A": "coco+mpii", "voting": "B"}
_HEAD, _NOSE, _SHOULDERS = ("head_bottom", "head_top"), "nose", ("left_shoulder", "right_shoulder")


class BranchCombination(nn.Module):
    """Takes each joint from the heads that a method names, and what no head has from its neighbours.

    Args:
        method: see ``MODEL.MDPN.BRANCH``.
        heads: the joints of each head.
        skeleton: what comes out.
        weights: of each head's maps in the mean of ``B``.
        shares: how far head_bottom and head_top lie on the way from the shoulders' middle to the nose.

    Attributes:
        names: of the heads whose maps are needed.

    Raises:
        ValueError: there is no such head, none has a weight, or a joint can be had from nowhere.
    """

    def __init__(
        self,
        method: str,
        heads: Mapping[str, Skeleton],
        skeleton: Skeleton,
        *,
        weights: Mapping[str, float],
        shares: Sequence[float] = (0.5, 2.0),
    ) -> None:
        super().__init__()
        if len(shares) != 2 or shares[0] == shares[1]:
            raise ValueError(
                f"MODEL.MDPN.HEAD_INTERPOLATION: expected two different shares, got {list(shares)}"
            )
        known = _METHODS.get(method, method)
        asked = list(heads) if known == "B" else known.split("+")
        unknown = [name for name in asked if name not in heads]
        if unknown:
            raise ValueError(
                f"MODEL.MDPN.BRANCH {method!r}: no head {', '.join(map(repr, unknown))}; MODEL.MDPN.DOMAINS has "
                f"{', '.join(heads)}"
            )
        votes = {name: weights[name] if known == "B" else 1.0 for name in asked}
        if not any(votes.values()):
            raise ValueError("MODEL.MDPN.VOTE_WEIGHTS: expected a number above 0 among them, got none")
        sources = [
            [name for name in asked if heads[name].has(joint) and votes[name] > 0]
            for joint in skeleton.joints
        ]
        if known != "B":
            sources = [own[:1] for own in sources]
        self.names = tuple(name for name in asked if any(name in own for own in sources))
        self._skeleton, self._shares = skeleton, (float(shares[0]), float(shares[1]))
        self.estimated = tuple(joint for joint, own in zip(skeleton.joints, sources, strict=True) if not own)
        self._check(method)
        first = dict(zip(self.names, _ends([len(heads[name]) for name in self.names]), strict=True))
        depth = max(len(own) for own in sources)
        index, share = torch.zeros(depth, len(skeleton), dtype=torch.int64), torch.zeros(depth, len(skeleton))
        for column, (joint, own) in enumerate(zip(skeleton.joints, sources, strict=True)):
            total = sum(votes[name] for name in own)
            for row, name in enumerate(own):
                index[row, column] = first[name] + heads[name].index(joint)
                share[row, column] = votes[name] / total
        self.index: Tensor
        self.share: Tensor
        self.register_buffer("index", index, persistent=False)
        self.register_buffer("share", share, persistent=False)
        self._selects = bool((share == 1).all())  # nothing is averaged or missing

    def _check(self, method: str) -> None:
        """Raises a ValueError where a joint has neither a head nor neighbours that have one."""
        has = {joint for joint in self._skeleton.joints if joint not in self.estimated}
        head_known = {_NOSE, *_SHOULDERS} <= has
        nose_known = set(_HEAD) <= has
        for joint in self.estimated:
            if not ((joint in _HEAD and head_known) or (joint == _NOSE and nose_known)):
                raise ValueError(
                    f"MODEL.MDPN.BRANCH {method}: none of its heads has {joint} of MODEL.SKELETON {self._skeleton.name}; "
                    f"name a head that has it as well, such as in coco+posetrack, or another MODEL.SKELETON"
                )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Maps (N, K, h, w) of the skeleton's joints, of those of the heads ``names``; 0 of joints that no head has."""
        stacked = torch.cat(list(maps), dim=1)
        if self._selects:
            return stacked[:, self.index[0]]
        share = self.share.to(stacked.dtype)[..., None, None]
        return sum(
            (stacked[:, rows] * own for rows, own in zip(self.index[1:], share[1:], strict=True)),
            start=stacked[:, self.index[0]] * share[0],
        )

    def estimate_missing(self, joints: DecodedJoints) -> DecodedJoints:
        """The joints with those that no head has, each as sure as the least sure that it is taken from.

        With the shoulders' middle m, the nose n and shares a, b: head_bottom is m + a (n - m), head_top m + b (n - m);
        and so the nose lies (1 - a) / (b - a) of the way from head_bottom to head_top.
        """
        if not self.estimated:
            return joints
        positions, confidences = joints.positions.clone(), joints.confidences.clone()
        low, high = self._shares
        for joint in self.estimated:
            if joint == _NOSE:
                begin, end = ([self._skeleton.index(name)] for name in _HEAD)
                share = (1 - low) / (high - low)
            else:
                begin, end = (
                    [self._skeleton.index(name) for name in _SHOULDERS],
                    [self._skeleton.index(_NOSE)],
                )
                share = low if joint == _HEAD[0] else high
            start = positions[:, begin].mean(dim=1)
            place = self._skeleton.index(joint)
            positions[:, place] = start + share * (positions[:, end[0]] - start)
            confidences[:, place] = confidences[:, [*begin, *end]].amin(dim=1)
        return DecodedJoints(positions, confidences, None)


def _ends(counts: Sequence[int]) -> list[int]:
    """Where each of several stacks of maps begins."""
    return [sum(counts[:index]) for index in range(len(counts))]
