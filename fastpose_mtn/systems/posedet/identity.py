"""PoseDet's identity branch, which is ours: a person is described by what the extractor sees at the joints.

It reads the finest map that the pyramid is made of, and not the pyramid: what tells people apart (colours, patterns) is what
the pyramid's levels, trained to tell people from everything else, no longer have.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.layers import ConvNorm, msra_init
from fastpose_mtn.ops.pose_embedding import embed_samples, sample_at
from fastpose_mtn.systems.mtn.reid_head import MTNReIDHead
from fastpose_mtn.systems.posedet.convs import branch_conv


class PoseIdentity(nn.Module):
    """One convolution everywhere, then for each person the pose embedding of section 3.1, and an identity head of it.

    Args:
        in_channels: of the map.
        stride: of the map, pixels.
        channels: of the convolution.
        num_joints: K.
        offset: strides by which the map's cells lie right of and below their index, see ``grid.Grid``.
        width: W, numbers that a person's joints are summed to.
        conv: the kind of the convolution, see ``MODEL.POSEDET.CONV``.
        norm: of the convolution.
        dropout: share of the embedding's numbers that a training step leaves out.
        reid: from embeddings (N, W) to identity vectors.
    """

    def __init__(
        self,
        *,
        in_channels: int,
        stride: int,
        channels: int,
        num_joints: int,
        offset: float = 0.0,
        width: int,
        conv: str,
        norm: str,
        dropout: float,
        reid: MTNReIDHead,
    ) -> None:
        super().__init__()
        self._stride, self._start = stride, offset * stride + 0.5
        self.conv = branch_conv(in_channels, channels, conv=conv, norm=norm)
        if isinstance(self.conv, ConvNorm):
            msra_init(self.conv)
        self.joint_embedding = nn.Parameter(torch.empty(width, channels, 1, num_joints))
        nn.init.normal_(self.joint_embedding, std=(2 / (channels * num_joints)) ** 0.5)
        self.dropout, self.reid = nn.Dropout(dropout), reid

    @classmethod
    def from_config(
        cls, cfg: CfgNode, *, in_channels: int, stride: int, channels: int, num_joints: int
    ) -> PoseIdentity:
        """The branch that ``MODEL.POSEDET`` and ``MODEL.ROI_REID_HEAD`` describe.

        Raises:
            ValueError: a value cannot be.
        """
        c = cfg.MODEL.POSEDET
        for key, least, most in (("IDENTITY_WIDTH", 1, float("inf")), ("IDENTITY_DROPOUT", 0, 0.99)):
            if not least <= c[key] <= most:
                raise ValueError(
                    f"MODEL.POSEDET.{key}: expected a number from {least} to {most}, got {c[key]}"
                )
        return cls(
            in_channels=in_channels,
            stride=stride,
            channels=channels,
            num_joints=num_joints,
            offset=c.CANDIDATE_OFFSET,
            width=c.IDENTITY_WIDTH,
            conv=c.CONV,
            norm=c.NORM,
            dropout=c.IDENTITY_DROPOUT,
            reid=MTNReIDHead.from_config(cfg, c.IDENTITY_WIDTH, of_vectors=True),
        )

    def forward(self, finest: Tensor, image: Tensor, poses: Tensor) -> Tensor:
        """Identity vectors (N, E) float32 of people.

        Args:
            finest: (B, C, h, w) of ``conv``.
            image: (N,) int64, the number of each one's image.
            poses: (N, K, 2) x and y, pixels; no gradient reaches them.
        """
        height, width = finest.shape[-2:]
        points = (poses.detach().flip(-1) - self._start) / self._stride
        table = finest.flatten(2).transpose(1, 2).flatten(0, 1)
        # as tensors, which an exported graph goes on computing with
        size = torch.stack([torch.as_tensor(side, device=finest.device) for side in (height, width)])
        sizes = size.expand(image.shape[0], 2)
        samples = sample_at(image * (height * width), sizes, points)
        embedding = embed_samples(table, samples, self.joint_embedding)
        vectors: Tensor = self.reid(self.dropout(torch.relu(embedding.float())))
        return vectors
