"""PoseDet for one image as a graph that runtimes can hold: candidates are suppressed outside it."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from fastpose_mtn.estimators.portable import PortableNetwork, RoundedLayers
from fastpose_mtn.estimators.runtimes import INPUT, MIN_SCORE, OUTPUTS
from fastpose_mtn.runtime.inference import folded
from fastpose_mtn.runtime.portable_layers import normalise_by_channels
from fastpose_mtn.systems.posedet.network import PoseDet

_COARSE = "backbone|head/(init|refine|cls)_convs"
# The head is little work. What tells from its branches where people are, and how sure, keeps its digits, and so do their
# normalisations and a Float32Layer, which precedes a normalisation that rounding would change.
_ROUNDED = f"^/(?!.*/(layer|norm)/)({_COARSE})/"
ROUNDED = RoundedLayers(
    onnx=_ROUNDED,
    openvino=_ROUNDED,
    exact_types=(),
    rounds_early=False,
    coarse=_COARSE,
)
_NOBODY = -1.0  # a score below every real one


class PortablePoseDet(PortableNetwork):
    """A network that gives the candidates of one image of any size; ``PoseDetSystem.build_exported`` makes people of them.

    Args:
        network: is copied; normalisation is folded into the copy's convolutions.
        min_score: take a score too, below which candidates are left out.
    """

    coarse_layers = _COARSE

    def __init__(self, network: PoseDet, *, min_score: bool = False) -> None:
        super().__init__()
        self.network = folded(network, torch.bfloat16)  # the coarsest that runtimes use
        normalise_by_channels(self.network)
        self.inputs = (INPUT, MIN_SCORE) if min_score else (INPUT,)  # of ``forward``, in order

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of what ``forward`` returns."""
        return OUTPUTS if self.network.head.identity is not None else OUTPUTS[:3]

    def forward(self, image: Tensor, *others: Tensor) -> tuple[Tensor, ...]:
        """The candidates (N, ...) of an image (H, W, 3) uint8 RGB, in any order; ``others``: () float32, the least score."""
        selection, head = self.network.selection, self.network.head
        candidates = self.network.trunk(self.batch_of(image, self.network))
        size = torch.stack([torch.as_tensor(image.shape[axis]) for axis in (0, 1)]).float()
        score = selection.scores(candidates, size[None])[0]
        # a small image has fewer cells than are looked at; a graph takes as many of every image
        best, cell = F.pad(score, [0, selection.nms_topk], value=_NOBODY).topk(selection.nms_topk)
        # scores that are corrected may still rise
        likely = self._likely(best, others if head.correction is None else ())
        # runtimes stumble over tensors of nobody: where nobody is, the first cell is described, and left out
        chosen = torch.nonzero(likely)[:, 0]
        rows = torch.cat((chosen, torch.zeros_like(cell[:1])))
        cell = torch.minimum(cell[rows], torch.as_tensor(score.shape[0]) - 1)
        sizes = size.expand(cell.shape[0], 2)
        people = selection.describe(head, candidates, torch.zeros_like(cell), cell, sizes)
        found = [value for value in people if value is not None]
        # of poses the candidates' alone: to look at every cell's would take 2 % of the time
        finite = torch.isfinite(candidates.logits).all() & torch.isfinite(candidates.coarse[0][cell]).all()
        count = torch.as_tensor(chosen.shape[0])
        if head.correction is not None:
            kept = torch.nonzero(self._likely(found[1][:count], others))[:, 0]
            count = torch.as_tensor(kept.shape[0])
            kept = torch.cat((kept, torch.zeros_like(cell[:1])))
            found = [value[kept] for value in found]
        return self.told(found, count, finite)

    def _likely(self, scores: Tensor, others: Sequence[Tensor]) -> Tensor:
        likely = scores >= self.network.selection.score_thresh
        for least in others:
            likely = likely & (scores >= least)
        return likely
