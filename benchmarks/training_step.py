"""One step of training of torchvision's network or of ours, on the same images with the same people and proposals."""

from __future__ import annotations

import argparse
import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from peers import crowd

from fastpose_mtn.config import CfgNode, get_cfg
from fastpose_mtn.structures import PersonTargets

CONFIGS = Path(__file__).parent.parent / "configs"
PROPOSALS, AROUND_EACH = 600, 4
IDENTITIES = 1000


class Examples:
    """A batch's images, people and proposals, the same for every network.

    Attributes:
        images: each (3, H, W) uint8.
        boxes: of each image's people, (N, 4).
        keypoints: of 17 joints, (N, 17, 3), all visible and in the box.
        proposals: of each image, (P, 4).
    """

    def __init__(self, options: argparse.Namespace) -> None:
        height, width = options.size
        rng = np.random.default_rng(0)

        def tensor(array: np.ndarray) -> torch.Tensor:
            return torch.from_numpy(array).to(options.device)

        self.images, self.boxes, self.keypoints, self.proposals = [], [], [], []
        for number in range(options.batch):
            self.images.append(tensor(rng.integers(0, 256, (3, height, width), dtype=np.uint8)))
            boxes = crowd(options.people, options.size, seed=number)
            sides = boxes[:, 2:] - boxes[:, :2]
            joints = np.full((len(boxes), 17, 3), 2.0, np.float32)
            joints[..., :2] = (
                boxes[:, None, :2] + rng.uniform(0.05, 0.95, (len(boxes), 17, 2)) * sides[:, None]
            )
            # off by at most 8 % of a side: their overlap with the person is above 0.7
            shift = rng.uniform(-0.08, 0.08, (AROUND_EACH, len(boxes), 2)) * sides
            near = (boxes + np.tile(shift, 2)).reshape(-1, 4).clip(0, [width, height] * 2)
            far = crowd(PROPOSALS - len(near), options.size, seed=1000 + number)
            self.boxes.append(tensor(boxes))
            self.keypoints.append(tensor(joints))
            self.proposals.append(tensor(np.concatenate([near, far]).astype(np.float32)))


def torchvision_losses(options: argparse.Namespace, channels_last: bool) -> tuple[torch.nn.Module, Callable]:
    """torchvision's network as its users fine-tune it, and what gives its losses on the examples."""
    from torchvision.models.detection import KeypointRCNN
    from torchvision.models.detection.backbone_utils import resnet_fpn_backbone
    from torchvision.ops.misc import FrozenBatchNorm2d

    backbone = resnet_fpn_backbone(
        backbone_name="resnet50", weights=None, norm_layer=FrozenBatchNorm2d, trainable_layers=3
    )
    sizes: Any = {"min_size": min(options.size), "max_size": max(options.size)}
    model = KeypointRCNN(backbone, num_classes=2, **sizes).train().to(options.device)
    if channels_last:
        model = model.to(memory_format=torch.channels_last)
        heads: Any = model.roi_heads
        for part in (heads.keypoint_head, heads.keypoint_predictor):  # their loss cannot take it
            part.to(memory_format=torch.contiguous_format)
    examples = Examples(options)
    propose = model.rpn.forward

    def given(*arguments: object) -> tuple[list[torch.Tensor], dict]:
        return list(examples.proposals), propose(*arguments)[1]

    model.rpn.forward = given  # type: ignore[assignment,method-assign]
    targets = [
        {"boxes": boxes, "labels": torch.ones_like(boxes[:, 0], dtype=torch.int64), "keypoints": keypoints}
        for boxes, keypoints in zip(examples.boxes, examples.keypoints, strict=True)
    ]
    return model, lambda: model([image.float() / 255 for image in examples.images], targets)


def our_config(options: argparse.Namespace) -> CfgNode:
    cfg = get_cfg()
    cfg.merge_from_file(str(CONFIGS / f"{options.network}.yaml"))
    cfg.merge_from_list(
        ["MODEL.TIMM.PRETRAINED", False, "MODEL.ROI_REID_HEAD.NUM_IDENTITIES", IDENTITIES, "MODEL.DEVICE", options.device]
    )  # fmt: skip
    return cfg


def our_network(cfg: CfgNode, options: argparse.Namespace) -> torch.nn.Module:
    """Ours as ``train_net.py`` trains it."""
    from fastpose_mtn.runtime.memory import keep_freed_memory
    from fastpose_mtn.systems.mtn.network import build_model

    if options.device == "cpu":
        keep_freed_memory()
    return build_model(cfg).train().to(options.device)


def our_losses(options: argparse.Namespace) -> tuple[torch.nn.Module, Callable]:
    """Ours, and what gives its losses on the examples."""
    from fastpose_mtn.modeling.rpn import Proposals

    model = our_network(our_config(options), options)
    examples = Examples(options)
    generator: Any = model.proposal_generator
    propose = generator.forward

    def given(*arguments: object) -> tuple[list[Proposals], dict]:
        return [Proposals(boxes, torch.zeros_like(boxes[:, 0])) for boxes in examples.proposals], propose(
            *arguments
        )[1]

    generator.forward = given
    joints: Any = model.num_keypoints
    targets = [
        PersonTargets(
            boxes=boxes,
            keypoints=keypoints[:, :joints].contiguous(),
            identities=torch.arange(len(boxes), device=boxes.device),
            ignore=torch.zeros(len(boxes), dtype=torch.bool, device=boxes.device),
        )
        for boxes, keypoints in zip(examples.boxes, examples.keypoints, strict=True)
    ]
    return model, lambda: model(examples.images, targets)


def training_step(model: torch.nn.Module, precision: str, device: str) -> Callable[[Callable], None]:
    """What makes a step of the losses that it is given."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-6, momentum=0.9, weight_decay=1e-4)
    half = precision == "bf16"

    def step(losses: Callable) -> None:
        optimizer.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16) if half else contextlib.nullcontext():
            total = sum(losses().values())
        total.backward()
        optimizer.step()
        if device == "cuda":
            torch.cuda.synchronize()

    return step
