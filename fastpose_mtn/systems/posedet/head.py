"""PoseDet's head: at every cell a coarse pose and a score, and for chosen cells the refined person (section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.layers import ConvNorm
from fastpose_mtn.ops.pose_embedding import Samples, embed_poses, embed_samples, sample_at
from fastpose_mtn.systems.posedet.convs import CONVS, branch_conv
from fastpose_mtn.systems.posedet.grid import Grid, build_grid, cell_poses
from fastpose_mtn.systems.posedet.identity import PoseIdentity
from fastpose_mtn.systems.posedet.neck import HRFPN, FPN3To6, Pyramid

_PRIOR_LOGIT = -4.59512  # -log(99): a score of 0.01 everywhere, to begin with
# layers that say where people are, and how sure: whatever the rest computes in, they compute in float32
EXACT_LAYERS = ("coarse", "fine", "visibility", "box", "score", "correction")
EMBEDDINGS = {
    "joints": (),
    "centre": ((0, 0),),
    "grid3x3": tuple((dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)),
}


class Candidates(NamedTuple):
    """What the head gives for all P cells of each of B images.

    Attributes:
        coarse: (B, P, K, 2) float32, dy and dx of each joint from its cell, in cells.
        logits: (B, P) float32, of the score; where embeddings correct it, before that.
        refining: (B, P, C) features that refinements are read from.
        classifying: (B, P, C) features that the correction of chosen cells' scores is read from; None: there is none.
        peaks: (B, P) bool: no neighbouring cell of the level has a higher score.
        heatmaps: of each level (B, K, h, w) logits; None: not asked for.
        finest: (B, C', h, w) features that identities are read from; None: there is no identity branch.
        grid: the cells.
    """

    coarse: Tensor
    logits: Tensor
    refining: Tensor
    classifying: Tensor | None
    peaks: Tensor
    heatmaps: list[Tensor] | None
    finest: Tensor | None
    grid: Grid


class Chosen(NamedTuple):
    """N cells of all images', and what is read for their embeddings.

    Attributes:
        image: (N,) int64, the number of each one's image.
        cell: (N,) int64, its number in the grid.
        grid: the cells.
        coarse: (N, K, 2) float32, dy and dx of each joint from its cell, in cells.
        samples: of features of all images' cells, a row a cell.
    """

    image: Tensor
    cell: Tensor
    grid: Grid
    coarse: Tensor
    samples: Samples


class Refined(NamedTuple):
    """What the head gives for N chosen cells.

    Attributes:
        poses: (N, K, 2) x and y, pixels.
        visibility: (N, K) logits.
        boxes: (N, 4) xyxy, pixels.
    """

    poses: Tensor
    visibility: Tensor
    boxes: Tensor


class PoseDetHead(nn.Module):
    """One head for all levels.

    Args:
        channels: of the levels, and of all the head's layers.
        num_joints: K.
        strides: of the levels, pixels.
        box_margins: shares of its width and height by which a pose's extent grows to the left, top, right and bottom.
        norm: of the convolutions.
        conv: full or separable, see ``MODEL.POSEDET.CONV``.
        init_convs, refine_convs, cls_convs, heatmap_convs: of each branch; without convolutions of heatmaps there are none.
        embedding: a name in ``EMBEDDINGS``: what embeddings are read at.
        classify: everywhere or chosen, see ``MODEL.POSEDET.CLASSIFY``.
        gradient_share: of the embeddings' gradients that reaches the coarse poses.
        refines: poses are refined.
        regresses_boxes: there is a branch that says by how much each pose's box differs from its extent and margins.
        visibility_detached: the visibility branch changes nothing but itself.
        candidate_offset: strides by which cells lie right of and below their index, see ``Grid``.
        identity: from poses to identity vectors; None: there is no such branch.

    Raises:
        ValueError: there is no such embedding, convolution or classification, or cells would lie beyond the next ones.
    """

    def __init__(
        self,
        *,
        channels: int,
        num_joints: int,
        strides: Sequence[int],
        box_margins: Sequence[float],
        norm: str = "GN",
        conv: str = "full",
        init_convs: int = 3,
        refine_convs: int = 2,
        cls_convs: int = 2,
        heatmap_convs: int = 1,
        embedding: str = "joints",
        classify: str = "everywhere",
        gradient_share: float = 0.1,
        refines: bool = True,
        regresses_boxes: bool = False,
        visibility_detached: bool = False,
        candidate_offset: float = 0.0,
        identity: PoseIdentity | None = None,
    ) -> None:
        super().__init__()
        if not 0 <= candidate_offset < 1:
            raise ValueError(
                f"MODEL.POSEDET.CANDIDATE_OFFSET: expected strides from 0 to below 1, got {candidate_offset}"
            )
        for key, value, known in (
            ("EMBEDDING", embedding, tuple(EMBEDDINGS)),
            ("CONV", conv, CONVS),
            ("CLASSIFY", classify, ("everywhere", "chosen")),
        ):
            if value not in known:
                raise ValueError(f"MODEL.POSEDET.{key}: expected one of {', '.join(known)}, got {value!r}")
        self.num_joints, self.strides = num_joints, tuple(strides)
        self._gradient_share, self._visibility_detached = gradient_share, visibility_detached
        self._box_margins, self._candidate_offset = tuple(box_margins), candidate_offset
        self._fixed = EMBEDDINGS[embedding]
        points = len(self._fixed) or num_joints

        def branch(count: int) -> nn.Sequential:
            return nn.Sequential(
                *(branch_conv(channels, channels, conv=conv, norm=norm) for _ in range(count))
            )

        self.init_convs = branch(init_convs)
        self.refine_convs = branch(refine_convs)
        self.cls_convs = branch(cls_convs)
        self.heatmap_convs = branch(heatmap_convs) if heatmap_convs else None
        self.coarse = nn.Conv2d(channels, 2 * num_joints, 1)
        self.fine = nn.Linear(channels, 2 * num_joints) if refines else None
        self.visibility = nn.Linear(channels, num_joints)
        self.box = nn.Linear(channels, 4) if regresses_boxes else None
        self.score = nn.Conv2d(channels, 1, 1)
        self.correction = nn.Linear(channels, 1) if classify == "chosen" else None
        self.heatmap = nn.Conv2d(channels, num_joints, 1) if heatmap_convs else None
        self.refine_embedding = nn.Parameter(torch.empty(channels, channels, 1, points))
        self.cls_embedding = nn.Parameter(torch.empty(channels, channels, 1, points))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)) and not (
                isinstance(module, ConvNorm) and conv == "separable"
            ):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for weight in (self.refine_embedding, self.cls_embedding):
            nn.init.normal_(weight, std=0.01)
        for layer in (self.score, self.heatmap):
            if layer is not None:
                assert layer.bias is not None
                nn.init.constant_(layer.bias, _PRIOR_LOGIT)
        self.identity = identity

    @classmethod
    def from_config(cls, cfg: CfgNode, neck: FPN3To6 | HRFPN, *, num_joints: int) -> PoseDetHead:
        """The head of a neck that ``MODEL.POSEDET`` describes, with an identity branch where ``MODEL.REID_ON``.

        Raises:
            ValueError: a value cannot be.
        """
        c = cfg.MODEL.POSEDET
        if c.BOX not in ("extent", "regressed"):
            raise ValueError(f"MODEL.POSEDET.BOX: expected extent or regressed, got {c.BOX!r}")
        if len(c.BOX_MARGINS) != 4:
            raise ValueError(f"MODEL.POSEDET.BOX_MARGINS: expected four shares, got {list(c.BOX_MARGINS)}")
        identity = None
        if cfg.MODEL.REID_ON:
            identity = PoseIdentity.from_config(
                cfg,
                in_channels=neck.finest_channels,
                stride=neck.finest_stride,
                channels=neck.out_channels,
                num_joints=num_joints,
            )
        return cls(
            channels=neck.out_channels,
            num_joints=num_joints,
            strides=neck.out_strides,
            norm=c.NORM,
            conv=c.CONV,
            init_convs=c.INIT_CONVS,
            refine_convs=c.REFINE_CONVS,
            cls_convs=c.CLS_CONVS,
            heatmap_convs=c.HEATMAP_CONVS if c.HEATMAP_WEIGHT > 0 else 0,
            embedding=c.EMBEDDING,
            classify=c.CLASSIFY,
            gradient_share=c.GRADIENT_SHARE,
            refines=c.REFINE,
            regresses_boxes=c.BOX == "regressed",
            box_margins=c.BOX_MARGINS,
            visibility_detached=c.VISIBILITY_DETACHED,
            candidate_offset=c.CANDIDATE_OFFSET,
            identity=identity,
        )

    def forward(self, pyramid: Pyramid, *, heatmaps: bool = False) -> Candidates:
        """What is computed at every cell of a pyramid's levels."""
        levels = pyramid.levels
        coarse, logits, refining, classifying, peaks, maps = [], [], [], [], [], []
        for level in levels:
            offsets = _exactly(self.coarse, self.init_convs(level))
            features = self.cls_convs(level)
            if self.correction is None:
                features = torch.relu(embed_poses(features, self._points(offsets), self.cls_embedding))
            score = _exactly(self.score, features)
            coarse.append(_rows(offsets))
            logits.append(_rows(score))
            refining.append(_rows(self.refine_convs(level)))
            if self.correction is not None:
                classifying.append(_rows(features))
            peaks.append(_rows(score.detach() >= F.max_pool2d(score.detach(), 3, 1, 1)))
            if heatmaps and self.heatmap is not None and self.heatmap_convs is not None:
                maps.append(_exactly(self.heatmap, self.heatmap_convs(level)))
        return Candidates(
            coarse=torch.cat(coarse, dim=1).unflatten(2, (self.num_joints, 2)),
            logits=torch.cat(logits, dim=1).squeeze(2),
            refining=torch.cat(refining, dim=1),
            classifying=torch.cat(classifying, dim=1) if classifying else None,
            peaks=torch.cat(peaks, dim=1).squeeze(2),
            heatmaps=maps or None,
            finest=None if self.identity is None else self.identity.conv(pyramid.finest),
            grid=build_grid(levels, self.strides, self._candidate_offset),
        )

    def choose(self, candidates: Candidates, image: Tensor, cell: Tensor) -> Chosen:
        """Cells (N,) of images (N,), by their numbers, whose people are wanted."""
        grid, coarse = candidates.grid.at(cell), candidates.coarse[image, cell]
        first = image * candidates.refining.shape[1] + grid.first
        samples = sample_at(first, grid.sizes_hw, grid.yx[:, None] + self._points_at(coarse))
        return Chosen(image, cell, grid, coarse, samples)

    def refine(self, candidates: Candidates, chosen: Chosen) -> Refined:
        """The people at chosen cells alone: the same numbers as computing them everywhere."""
        offsets, grid = chosen.coarse, chosen.grid
        embedding = _embed(candidates.refining, chosen, self.refine_embedding)
        if self.fine is not None:
            # the refinement learns what is left, and the coarse pose nothing of it
            offsets = offsets.detach() + _exactly(self.fine, embedding).unflatten(1, (self.num_joints, 2))
        seen = embedding.detach() if self._visibility_detached else embedding
        poses = cell_poses(offsets, grid)
        return Refined(
            poses, _exactly(self.visibility, seen), self._boxes(poses.detach(), grid.strides, embedding)
        )

    def _boxes(self, poses: Tensor, strides: Tensor, embedding: Tensor) -> Tensor:
        """(N, 4) of poses (N, K, 2): their extents, which grow by margins, constant or regressed.

        Margins are shares of the extents' sides, of which none counts less than its cell's: one joint has no extent.
        """
        low, high = poses.amin(dim=1), poses.amax(dim=1)
        margins = torch.tensor(self._box_margins, dtype=low.dtype, device=low.device)
        if self.box is not None:
            margins = margins + _exactly(self.box, embedding)
        size = torch.maximum(high - low, strides[:, None])
        return torch.cat((low - margins[..., :2] * size, high + margins[..., 2:] * size), dim=1)

    def classify(self, candidates: Candidates, chosen: Chosen) -> Tensor:
        """The score's logits (N,) float32 of chosen cells."""
        logits = candidates.logits[chosen.image, chosen.cell]
        if self.correction is None or candidates.classifying is None:
            return logits
        embedding = _embed(candidates.classifying, chosen, self.cls_embedding)
        # the correction learns what is left, and the score of all cells nothing of it
        return logits.detach() + _exactly(self.correction, embedding).squeeze(1)

    def describe(self, candidates: Candidates, image: Tensor, poses: Tensor) -> Tensor | None:
        """Identity vectors (N, E) float32 of people with these poses (N, K, 2); None: there is no identity branch."""
        if self.identity is None or candidates.finest is None:
            return None
        return self.identity(candidates.finest, image, poses)

    def _points(self, offsets: Tensor) -> Tensor:
        """What embeddings are read at: (B, 2T, h, w) from the coarse offsets (B, 2K, h, w)."""
        if not self._fixed:
            return _pass_gradient(offsets, self._gradient_share)
        fixed = torch.tensor(self._fixed, dtype=offsets.dtype, device=offsets.device).flatten()
        return fixed[:, None, None] + torch.zeros_like(offsets[:, :1])

    def _points_at(self, offsets: Tensor) -> Tensor:
        """The same of N cells: (N, T, 2) of (N, K, 2)."""
        if not self._fixed:
            return _pass_gradient(offsets, self._gradient_share)
        fixed = torch.tensor(self._fixed, dtype=offsets.dtype, device=offsets.device)
        return fixed + torch.zeros_like(offsets[:, :1])


def _embed(features: Tensor, chosen: Chosen, weight: Tensor) -> Tensor:
    """Embeddings (N, C) float32 of chosen cells, of features (B, P, C) of all."""
    return torch.relu(embed_samples(features.flatten(0, 1), chosen.samples, weight)).float()


def _pass_gradient(x: Tensor, share: float) -> Tensor:
    """The same values, through which a share of the gradient passes."""
    fixed = x.detach()
    return fixed + share * (x - fixed) if x.requires_grad else x


def _exactly(layer: nn.Module, x: Tensor) -> Tensor:
    """A layer computed in float32: a joint's place in bfloat16 would have two or three digits."""
    with torch.autocast(x.device.type, enabled=False):
        out: Tensor = layer(x.float())
    return out


def _rows(maps: Tensor) -> Tensor:
    """(B, h w, C) of maps (B, C, h, w)."""
    return maps.flatten(2).transpose(1, 2)
