"""Identity vectors of people in crops, by pose-guided attention (AlphaPose, Fang et al., PAMI 2022, sections 4.1 and 4.3)."""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn
from torch.nn import functional as F

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.layers import ConvNorm, msra_init
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.systems.mtn.reid_head import MTNReIDHead

# where features are taken, and a cell's side there in cells of the heatmaps
FEATURES = {"shuffle": 4, "c5": 8}


class PoseGuidedAttention(nn.Module):
    """Features weighted by where the joints are (equation 20): m_wid = m_id * m_A + m_id.

    It begins at m_A = 0, where features stay as they are.

    Args:
        joints: whose heatmaps guide.
        channels: of the features.
        pool: cells of a heatmap to a cell of the features, along each axis.
    """

    def __init__(self, joints: int, channels: int, *, pool: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(joints, channels, 3, padding=1)
        nn.init.zeros_(self.conv.weight)
        assert self.conv.bias is not None
        nn.init.zeros_(self.conv.bias)
        self._pool = pool

    def forward(self, features: Tensor, heights: Tensor) -> Tensor:
        """(N, C, h, w) of the same, and heatmaps (N, K, pool * h, pool * w) in [0, 1]."""
        weights = self.conv(F.avg_pool2d(heights, self._pool))
        return features * weights + features


class IdentityBranch(nn.Module):
    """Features to identity vectors: a convolution, attention, the mean over the crop, a fully connected layer.

    The paper does not say where it leaves the backbone: here at stride 32, or, pixels shuffled, at 16.

    Args:
        in_channels: of the backbone's features of stride 32; for ``shuffle`` a multiple of 4.
        skeleton: of the heatmaps; those of the body and the feet guide, as a cell shows no finger.
        head: from (N, channels) to vectors, with the identities' classifier.
        features: a key of ``FEATURES``.
        attends: whether the pose guides.
        channels: of the convolution.
        backbone: of its own, from preprocessed crops to features; None: the pose network's features are read.
    """

    def __init__(
        self,
        in_channels: int,
        skeleton: Skeleton,
        head: MTNReIDHead,
        *,
        features: str = "shuffle",
        attends: bool = True,
        channels: int = 256,
        backbone: nn.Module | None = None,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        shuffles = features == "shuffle"
        self.shuffle = nn.PixelShuffle(2) if shuffles else nn.Identity()
        # BN in any case: SyncBN would wait for processes that have nobody to describe
        self.conv = ConvNorm(in_channels // 4 if shuffles else in_channels, channels, 3, norm="BN", relu=True)
        msra_init(self.conv)
        self._joints = (*skeleton.parts["body"], *skeleton.parts["foot"])
        self.attention: PoseGuidedAttention | None = None
        if attends:
            self.attention = PoseGuidedAttention(len(self._joints), channels, pool=FEATURES[features])
        self.head = head

    @property
    def embedding_dim(self) -> int:
        """Numbers of an identity vector."""
        return self.head.embedding_dim

    def forward(self, pixels: Tensor, features: Tensor, heights: Tensor) -> Tensor:
        """Vectors (N, embedding_dim) float32.

        Args:
            pixels: (N, 3, H, W) preprocessed crops.
            features: (N, C, H/32, W/32), the pose network's.
            heights: (N, K, H/4, W/4) heatmaps in [0, 1]. No gradient goes back through them: poses are not bent
                to tell people apart.
        """
        own = features if self.backbone is None else self.backbone(pixels)
        described = self.conv(self.shuffle(own))
        if self.attention is not None:
            described = self.attention(described, heights.detach()[:, list(self._joints)])
        return self.head(described.mean(dim=(2, 3)))

    def losses(
        self, pixels: Tensor, features: Tensor, heights: Tensor, identities: Tensor
    ) -> dict[str, Tensor]:
        """``loss_reid`` of the people whose ``identities`` (N,) int64 are known; the others have -1 and are not looked at.

        Raises:
            ValueError: there are more identities than the classifier knows.
        """
        known = identities >= 0
        if not bool(known.any()):
            return self.head.no_losses()
        vectors = self(pixels[known], features[known], heights[known])
        return self.head.losses(vectors, identities[known])


def build_identity_branch(
    cfg: CfgNode, skeleton: Skeleton, in_channels: int, build_backbone: Callable[[], nn.Module]
) -> IdentityBranch | None:
    """The branch that ``MODEL.TOPDOWN.REID`` and ``MODEL.ROI_REID_HEAD`` describe; None: ``MODEL.REID_ON`` is False.

    Args:
        cfg: the configuration.
        skeleton: of the network.
        in_channels: of the backbone's features of stride 32.
        build_backbone: makes one like the pose network's.

    Raises:
        ValueError: there are no such features, or the backbone's cannot be shuffled.
    """
    if not cfg.MODEL.REID_ON:
        return None
    c = cfg.MODEL.TOPDOWN.REID
    if c.IN_FEATURES not in FEATURES:
        raise ValueError(
            f"MODEL.TOPDOWN.REID.IN_FEATURES: expected {' or '.join(FEATURES)}, got {c.IN_FEATURES!r}"
        )
    return IdentityBranch(
        in_channels,
        skeleton,
        MTNReIDHead.from_config(cfg, c.DIM, of_vectors=True),
        features=c.IN_FEATURES,
        attends=c.PGA,
        channels=c.DIM,
        backbone=None if c.SHARED else build_backbone(),
    )
