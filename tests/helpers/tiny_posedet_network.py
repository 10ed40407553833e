"""A small untrained PoseDet with an image, a batch, and candidates that are right to the pixel."""

import torch
from small_network import make_targets
from tiny_posedet import posedet_config

from fastpose_mtn.build import build_network
from fastpose_mtn.structures import TASKS, Batch

EASY = ["MODEL.POSEDET.OKS_REFINE_LOW", "0.0"]  # so that untrained poses are refined
CHOSEN = ("MODEL.POSEDET.CLASSIFY", "chosen", "MODEL.POSEDET.CONV", "separable")


def image(height=96, width=128, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)


def network(*options):
    torch.manual_seed(0)
    return build_network(posedet_config("MODEL.ROI_REID_HEAD.NUM_IDENTITIES", "5", *EASY, *options))


def batch(tasks=TASKS):
    targets = [make_targets([10, 10, 50, 90], [60, 20, 100, 90]), make_targets([20, 5, 60, 70])]
    return Batch([image(), image(80, 100, 1)], targets, [tasks] * 2)


def exact_candidates(model, target, sizes_hw, scores):
    """Candidates whose coarse poses are exactly the people's, at the cells that are nearest to them."""
    candidates = model.trunk(model.preprocess([torch.zeros(3, *sizes_hw, dtype=torch.uint8)])[0])
    grid, logits = candidates.grid, torch.full_like(candidates.logits, -9)
    coarse = candidates.coarse.clone()
    for person, (keypoints, level) in enumerate(zip(target.keypoints, (8, 16, 32, 64), strict=True)):
        cells = torch.nonzero(grid.strides == level)[:, 0]
        at = keypoints[:, :2].mean(dim=0)
        cell = cells[(grid.xy[cells] - at).square().sum(dim=1).argmin()]
        logits[0, cell] = scores[person]
        index = (keypoints[:, :2] - 0.5) / level
        coarse[0, cell] = index.flip(-1) - grid.yx[cell]
    return candidates._replace(coarse=coarse, logits=logits)
