"""A top-down network so small that a step takes a fraction of a second, and people to show it."""

import numpy as np
import torch

from fastpose_mtn.config import get_cfg
from fastpose_mtn.structures import Batch, PersonDetections, PersonTargets

SMALL = [
    "MODEL.TIMM.NAME", "mobilenetv2_035", "MODEL.TIMM.PRETRAINED", "False", "MODEL.WEIGHTS", "", "MODEL.DEVICE", "cpu",
    "MODEL.TOPDOWN.INPUT_SIZE", "[64, 32]", "MODEL.TOPDOWN.UPSAMPLER_DIM", "16", "MODEL.TOPDOWN.CONV_DIM", "16",
    "MODEL.TOPDOWN.DETECTOR.WEIGHTS", "",
]  # fmt: skip


def topdown_config(*options):
    """``alphapose-s``, small."""
    cfg = get_cfg()
    cfg.merge_from_file("alphapose-s")
    cfg.merge_from_list([*SMALL, *options])
    return cfg


def people(*boxes, scores=None, embeddings=None):
    """Detections without joints."""
    return PersonDetections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.array(scores if scores is not None else [0.9] * len(boxes), np.float32),
        keypoints=np.zeros((len(boxes), 0, 3), np.float32),
        embeddings=embeddings,
    )


class FixedDetector:
    """Finds the same people in every frame."""

    def __init__(self, found, embedding_dim=None):
        self.found, self.embedding_dim, self.seen, self.min_scores = found, embedding_dim, [], []

    def estimate(self, frames, min_score=0.0):
        self.min_scores.append(min_score)
        self.seen.append(len(frames))
        return [self.found for _ in frames]

    def describe(self, frame, boxes_xyxy):
        return np.tile(np.float32([1, 0]), (len(boxes_xyxy), 1))


def crop_batch(count=2, v=2, joints=19, ignore=False, tasks=frozenset({"keypoints"}), size=(64, 32)):
    """Crops of one person each, with joints at random."""
    generator = torch.Generator().manual_seed(0)
    keypoints = torch.rand(count, 1, joints, 3, generator=generator) * torch.tensor([32.0, 64.0, 0.0])
    keypoints[..., 2] = v
    targets = [
        PersonTargets(
            boxes=torch.tensor([[0.0, 0.0, 32.0, 64.0]]),
            keypoints=keypoints[i],
            identities=torch.tensor([-1]),
            ignore=torch.tensor([ignore]),
        )
        for i in range(count)
    ]
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8, generator=generator) for _ in range(count)]
    return Batch(images, targets, [tasks] * count)
