"""PoseDet: one pass that finds people, their joints and their identities; hardly anything is computed a person."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.image_network import PeopleNetwork
from fastpose_mtn.modeling.layers import involve
from fastpose_mtn.modeling.layout import channels_last
from fastpose_mtn.skeletons import Skeleton, get_skeleton
from fastpose_mtn.structures import Batch, PersonDetections
from fastpose_mtn.systems.posedet.abdomen import corners_of, with_abdomen
from fastpose_mtn.systems.posedet.criterion import Criterion, LossSettings
from fastpose_mtn.systems.posedet.head import EXACT_LAYERS, Candidates, PoseDetHead
from fastpose_mtn.systems.posedet.neck import HRFPN, FPN3To6, build_neck
from fastpose_mtn.systems.posedet.selection import Selection, Suppression, joint_constants
from fastpose_mtn.systems.posedet.start import ColdStart
from fastpose_mtn.systems.posedet.targets import Rules


class PoseDet(PeopleNetwork):
    """The one-stage network (Tian et al., arXiv 2107.10466), with boxes, visibility and identities, which are ours.

    Args:
        backbone: images to pyramid levels, finest first.
        head: levels to candidates.
        criterion: what candidates should be, and by how much they are not.
        selection: which candidates are people.
        suppression: which of them are one person.
        skeleton: what the joints are.
        abdomen: joints amid which the network's last one lies, which labels and the skeleton do not have; (): it has none.
        pixel_mean, pixel_std: of the three channels, on 0..255, in the order of ``input_format``.
        input_format: order of the channels that the weights expect; images are always given as RGB.

    Attributes:
        loss_tasks: see ``system_protocols.TrainableNetwork``; those of absent branches never come.
    """

    loss_tasks: Mapping[str, str] = {
        "loss_cls": "boxes",
        "loss_box_reg": "boxes",
        "loss_coarse": "keypoints",
        "loss_fine": "keypoints",
        "loss_heatmap": "keypoints",
        "loss_visibility": "keypoints",
        "loss_reid": "identities",
    }

    def __init__(
        self,
        *,
        backbone: FPN3To6 | HRFPN,
        head: PoseDetHead,
        criterion: Criterion,
        selection: Selection,
        suppression: Suppression,
        skeleton: Skeleton,
        abdomen: Sequence[int] = (),
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        input_format: str = "RGB",
    ) -> None:
        super().__init__(
            skeleton=skeleton, pixel_mean=pixel_mean, pixel_std=pixel_std, input_format=input_format
        )
        self.backbone, self.head = backbone, head
        self.selection, self.suppression = selection, suppression
        self._criterion, self._abdomen = criterion, tuple(abdomen)
        self.exact_layers = [f"head.{name}" for name in EXACT_LAYERS if getattr(head, name) is not None]
        # a group normalisation of a single cell has nothing to normalise over
        self.least_side = 2 * max(head.strides)

    @property
    def embedding_dim(self) -> int | None:
        """Numbers of an identity vector; None: there is no identity branch."""
        return None if self.head.identity is None else self.head.identity.reid.embedding_dim

    def _people_of(self, batch: Tensor, sizes_hw: Sequence[tuple[int, int]]) -> list[PersonDetections]:
        return self.find_people(self.trunk(batch), sizes_hw)

    def trunk(self, batch: Tensor) -> Candidates:
        """What is computed everywhere: the same steps for every batch (B, 3, H, W) of a shape."""
        return self.head(self.backbone(batch))

    def find_people(
        self, candidates: Candidates, sizes_hw: Sequence[tuple[int, int]], min_score: float = 0.0
    ) -> list[PersonDetections]:
        """Each image's people among the candidates that ``trunk`` gives, best first, NumPy.

        Whoever would score below ``min_score`` may be left out.
        """
        chosen = self.selection(self.head, candidates, sizes_hw, min_score)
        return [self.suppression(people) for people in chosen]

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted losses by the names of ``loss_tasks``; see ``system_protocols.TrainableNetwork``.

        Raises:
            ValueError: the targets have another skeleton than the network.
            InputError: classification still has no positive example.
            FloatingPointError: coarse poses are not finite: training has diverged.
        """
        self._check(batch)
        pixels, _ = self.preprocess(batch.images)
        targets = [target.to(self.device) for target in batch.targets]
        if self._abdomen:
            targets = [with_abdomen(target, self._abdomen) for target in targets]
        candidates = self.head(self.backbone(pixels), heatmaps=True)
        self._check_finite(candidates)
        return involve(self._criterion(self.head, candidates, targets, batch.tasks), self.parameters())

    def _check_finite(self, candidates: Candidates) -> None:
        if not bool(torch.isfinite(candidates.coarse).all() & torch.isfinite(candidates.logits).all()):
            raise FloatingPointError("PoseDet: coarse poses or scores are not finite")


def build_posedet(cfg: CfgNode) -> PoseDet:
    """Builds the network that a configuration describes, with initial weights, in channels-last memory.

    Raises:
        ValueError: the configuration contradicts itself or names something unknown.
    """
    skeleton, c = get_skeleton(cfg.MODEL.SKELETON), cfg.MODEL.POSEDET
    sigmas = joint_constants(cfg)
    abdomen = corners_of(skeleton) if c.ABDOMEN else ()
    # the abdomen's constant of OKS is the mean of theirs
    learned = (*sigmas, sum(sigmas[joint] for joint in abdomen) / len(abdomen)) if abdomen else sigmas
    backbone = build_neck(cfg)
    head = PoseDetHead.from_config(cfg, backbone, num_joints=len(learned))
    network = PoseDet(
        backbone=backbone,
        head=head,
        criterion=Criterion(
            rules=Rules.from_config(cfg, learned),
            settings=LossSettings.from_config(cfg),
            start=ColdStart(c.COLD_STEPS),
        ),
        selection=Selection.from_config(cfg),
        suppression=Suppression.from_config(cfg, sigmas),
        skeleton=skeleton,
        abdomen=abdomen,
        pixel_mean=cfg.MODEL.PIXEL_MEAN,
        pixel_std=cfg.MODEL.PIXEL_STD,
        input_format=cfg.INPUT.FORMAT,
    )
    return channels_last(network)
