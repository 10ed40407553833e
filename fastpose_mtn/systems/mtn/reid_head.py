"""The identity (Re-ID) head: a 128-d embedding of each person (paper, sections 3.1 and 3.4)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.layers import add_convs, xavier_init


class MTNReIDHead(nn.Module):
    """The paper's identity head: 3x3 convolutions, one fully connected layer to the embedding, a training classifier.

    Args:
        in_channels: of the pyramid.
        resolution: of the RoI's features, 14 in the paper.
        conv_dims: channels of the convolutions (4 or 2 times 256 in the paper).
        conv_dilations: of each of them; empty: 1, as in the paper. Of two people in one box the head must
            see all to tell whose box it is.
        norm: their normalisation.
        embedding_dim: 128 in the paper.
        num_identities: N of the training data; 0: no classifier, the head cannot train.
        normalize: embeddings of length 1, and logits that are cosines times ``scale``.
        scale: of cosine logits. A softmax over N cosines in [-1, 1] could not become certain.
        loss_weight: of the cross-entropy.
        batch_size_per_image: positive proposals trained, an image (128 in the paper).
    """

    def __init__(
        self,
        *,
        in_channels: int,
        resolution: int = 14,
        conv_dims: Sequence[int] = (256,) * 4,
        conv_dilations: Sequence[int] = (),
        norm: str = "",
        embedding_dim: int = 128,
        num_identities: int = 0,
        normalize: bool = True,
        scale: float = 16.0,
        loss_weight: float = 1.0,
        batch_size_per_image: int = 128,
    ) -> None:
        super().__init__()
        self.convs, channels = add_convs(
            self,
            "conv",
            in_channels,
            conv_dims,
            dilations=conv_dilations,
            norm=norm,
            section="MODEL.ROI_REID_HEAD",
        )
        self.embedding = nn.Linear(channels * resolution**2, embedding_dim)
        xavier_init(self.embedding)
        self.resolution_hw = (resolution, resolution)
        self.embedding_dim, self.num_identities = embedding_dim, num_identities
        self.normalize, self.scale = normalize, scale
        self.loss_weight, self.batch_size_per_image = loss_weight, batch_size_per_image
        self.classifier: nn.Linear | None = None
        if num_identities > 0:
            self.classifier = nn.Linear(embedding_dim, num_identities, bias=not normalize)
            nn.init.normal_(self.classifier.weight, std=0.01)
            if self.classifier.bias is not None:
                nn.init.zeros_(self.classifier.bias)

    @classmethod
    def from_config(cls, cfg: CfgNode, in_channels: int, *, of_vectors: bool = False) -> MTNReIDHead:
        """The head that ``MODEL.ROI_REID_HEAD`` describes; ``of_vectors``: of (R, C) features, without convolutions."""
        c = cfg.MODEL.ROI_REID_HEAD
        return cls(
            in_channels=in_channels,
            resolution=1 if of_vectors else c.POOLER_RESOLUTION,
            conv_dims=() if of_vectors else c.CONV_DIMS,
            conv_dilations=() if of_vectors else c.CONV_DILATIONS,
            norm=c.NORM,
            embedding_dim=c.EMBEDDING_DIM,
            num_identities=c.NUM_IDENTITIES,
            normalize=c.NORMALIZE,
            scale=c.SCALE,
            loss_weight=c.LOSS_WEIGHT,
            batch_size_per_image=c.BATCH_SIZE_PER_IMAGE,
        )

    def forward(self, x: Tensor) -> Tensor:
        """Computes embeddings (R, embedding_dim) float32 from features (R, C, 14, 14)."""
        for name in self.convs:
            x = getattr(self, name)(x)
        embeddings = self.embedding(x.flatten(1)).float()
        return F.normalize(embeddings, dim=1) if self.normalize else embeddings

    def losses(self, embeddings: Tensor, identities: Tensor) -> dict[str, Tensor]:
        """Computes softmax cross-entropy over the training data's identities.

        Args:
            embeddings: (R, embedding_dim).
            identities: (R,) int64 in [0, num_identities).

        Raises:
            ValueError: the head was built without identities, or with too few.
        """
        known = self.num_identities
        if self.classifier is None or int(identities.max()) >= known:
            raise ValueError(
                f"MODEL.ROI_REID_HEAD.NUM_IDENTITIES is {known}, but a training image has identity "
                f"{int(identities.max())}; set it to the number of identities in the training data"
            )
        if self.normalize:
            # outside autocast: a cosine in bfloat16 has two digits
            with torch.autocast(embeddings.device.type, enabled=False):
                weight = F.normalize(self.classifier.weight.float(), dim=1)
                logits = self.scale * F.linear(embeddings.float(), weight)
        else:
            logits = self.classifier(embeddings).float()
        return {"loss_reid": self.loss_weight * F.cross_entropy(logits, identities)}

    def no_losses(self) -> dict[str, Tensor]:
        """The loss of a step without an identity to train."""
        return {"loss_reid": self.embedding.weight.new_zeros(())}
