"""A network small enough that a step takes a fraction of a second."""

import torch

from fastpose_mtn.config import get_cfg
from fastpose_mtn.structures import PersonTargets


def small_config():
    cfg = get_cfg()
    cfg.merge_from_list(
        [
            "MODEL.TIMM.NAME",
            "resnet18",
            "MODEL.BACKBONE.NORM",
            "BN",
            "MODEL.BACKBONE.FREEZE_AT",
            "0",
            "MODEL.FPN.OUT_CHANNELS",
            "8",
            "MODEL.RPN.PRE_NMS_TOPK_TRAIN",
            "50",
            "MODEL.RPN.POST_NMS_TOPK_TRAIN",
            "40",
            "MODEL.RPN.PRE_NMS_TOPK_TEST",
            "50",
            "MODEL.RPN.POST_NMS_TOPK_TEST",
            "30",
            "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE",
            "16",
            "MODEL.ROI_BOX_HEAD.FC_DIM",
            "16",
            "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS",
            "(8,)",
            "MODEL.ROI_KEYPOINT_HEAD.DECONV_DIM",
            "8",
            "MODEL.ROI_REID_HEAD.CONV_DIMS",
            "(8,)",
            "MODEL.ROI_REID_HEAD.EMBEDDING_DIM",
            "16",
            "MODEL.ROI_REID_HEAD.NUM_IDENTITIES",
            "5",
            "TEST.DETECTIONS_PER_IMAGE",
            "5",
            "INPUT.MIN_SIZE_TEST",
            "0",
        ]
    )
    cfg.merge_from_list(["MODEL.ANCHOR_GENERATOR.SIZES", [[16], [24], [32], [48], [64]]])
    return cfg


def make_targets(*boxes, joints=15, identities=None, ignore=None, seed=0):
    """People with all joints inside their boxes, alternately visible and hidden."""
    count = len(boxes)
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    generator = torch.Generator().manual_seed(seed)
    share = torch.rand(count, joints, 2, generator=generator)
    xy = boxes[:, None, :2] + share * (boxes[:, 2:] - boxes[:, :2])[:, None]
    v = (torch.arange(joints) % 2 + 1).float().expand(count, joints)[..., None]
    return PersonTargets(
        boxes=boxes,
        keypoints=torch.cat((xy, v), dim=-1),
        identities=torch.tensor(identities if identities is not None else range(count), dtype=torch.int64),
        ignore=torch.tensor(ignore if ignore is not None else [False] * count, dtype=torch.bool),
    )
