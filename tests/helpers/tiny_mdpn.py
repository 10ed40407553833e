"""An MDPN so small that a step takes a fraction of a second, and crops of several domains to show it."""

import torch

from fastpose_mtn.config import CfgNode, get_cfg
from fastpose_mtn.structures import Batch, PersonTargets

SMALL = [
    "MODEL.TIMM.NAME", "resnet18", "MODEL.TIMM.PRETRAINED", "False", "MODEL.TIMM.ARGS", CfgNode({"channels": [4, 4, 8, 8]}),
    "MODEL.WEIGHTS", "", "MODEL.DEVICE", "cpu", "MODEL.TOPDOWN.INPUT_SIZE", "[64, 32]", "MODEL.TOPDOWN.UPSAMPLER_DIM", "8",
    "MODEL.TOPDOWN.DETECTOR.WEIGHTS", "",
]  # fmt: skip


def mdpn_config(*options, file="MDPN-152"):
    """A configuration file's, small."""
    cfg = get_cfg()
    cfg.merge_from_file(file)
    cfg.merge_from_list([*SMALL, *options])
    return cfg


def crops(*domains, joints=21, seed=0):
    """A batch of noise, one person of all joints in each crop, of these domains."""
    generator = torch.Generator().manual_seed(seed)
    keypoints = torch.rand(len(domains), 1, joints, 3, generator=generator) * torch.tensor([32.0, 64.0, 0.0])
    keypoints[..., 2] = 2
    targets = [
        PersonTargets(
            boxes=torch.tensor([[0.0, 0.0, 32.0, 64.0]]),
            keypoints=own,
            identities=torch.tensor([-1]),
            ignore=torch.tensor([False]),
        )
        for own in keypoints
    ]
    images = [torch.randint(0, 256, (3, 64, 32), dtype=torch.uint8, generator=generator) for _ in domains]
    return Batch(images, targets, [frozenset({"keypoints"})] * len(domains), domains=domains)


def part_of(batch, domain):
    """The samples of one domain."""
    rows = [row for row, own in enumerate(batch.domains) if own == domain]
    return Batch(*([part[row] for row in rows] for part in (batch.images, batch.targets, batch.tasks)),
                 domains=[domain] * len(rows))  # fmt: skip
