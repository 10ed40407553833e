"""What keys take, where nothing else could be meant whatever other keys say.

A file or a command line that sets something else is told at once. What depends on other keys, or is asked of components
that can be built without a configuration, is checked by these components.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastpose_mtn.errors import InputError

# what lists that are empty by default are lists of
EXAMPLES: Mapping[str, Sequence[object]] = {
    **dict.fromkeys(("DATASETS.TRAIN", "DATASETS.TEST"), ("mpii_train",)),
    "DATASETS.TRAIN_WEIGHTS": (3.0, 1.0),
    "SOLVER.TRAINED_PARTS": ("backbone",),
    **dict.fromkeys(("MODEL.ROI_KEYPOINT_HEAD.CONV_DILATIONS", "MODEL.ROI_REID_HEAD.CONV_DILATIONS"), (1, 2)),
    "MODEL.TOPDOWN.ENSEMBLE": ["other.safetensors"],
    "MODEL.TOPDOWN.DETECTOR.OTHERS": ["people"],
    "MODEL.TOPDOWN.DETECTOR.SCORE_SCALES": [1.0],
    "MODEL.MDPN.VOTE_WEIGHTS": [1.0],
    "MODEL.MDPN.DOMAIN_WEIGHTS": [1.0],
}


@dataclass(frozen=True)
class Range:
    """The numbers that a key takes, or each number of its list.

    Attributes:
        least, most: within which they lie.
        above: ``least`` itself is none of them.
        length: how many a list has; 0: any number.
    """

    least: float = 0
    most: float = math.inf
    above: bool = False
    length: int = 0

    def has(self, number: object) -> bool:
        """Whether something is one of them."""
        if not isinstance(number, (int, float)):
            return False
        return (self.least < number if self.above else self.least <= number) and number <= self.most

    def check(self, key: str, value: object) -> None:
        """Refuses a key's number or list of numbers.

        Raises:
            InputError: one is outside, or there are more or fewer of them.
        """
        if isinstance(value, (list, tuple)):
            if not all(map(self.has, value)) or len(value) != (self.length or len(value)):
                many = f"{self.length} numbers" if self.length else "numbers"
                raise InputError(f"{key}: expected {many}, each {self}, got {list(value)}")
        elif not self.has(value):
            raise InputError(f"{key}: expected {'a number ' if self.above else ''}{self}, got {value}")

    def __str__(self) -> str:
        if self.above:
            return f"above {self.least}"
        return f"{self.least} or more" if self.most == math.inf else f"{self.least} to {self.most}"


RANGES: Mapping[str, Range] = {
    # thresholds and shares: of more than 1 nothing or everything is left
    **dict.fromkeys(
        (
            "MODEL.RPN.POSITIVE_FRACTION", "MODEL.RPN.NMS_THRESH", "MODEL.ROI_HEADS.POSITIVE_FRACTION",
            "MODEL.ROI_HEADS.SCORE_THRESH_TEST", "MODEL.ROI_HEADS.NMS_THRESH_TEST", "MODEL.ROI_HEADS.VOTE_THRESH_TEST",
            "MODEL.POSEDET.GRADIENT_SHARE", "MODEL.POSEDET.OKS_REFINE", "MODEL.POSEDET.OKS_REFINE_LOW",
            "MODEL.POSEDET.OKS_POSITIVE", "MODEL.POSEDET.OKS_NEGATIVE", "TEST.POSE_NMS.FLOOR",
        ),
        Range(0, 1),
    ),
    # losses, which train away from the labels below 0, rates, sizes and counts
    **dict.fromkeys(
        (
            "MODEL.RPN.LOSS_WEIGHT", "MODEL.RPN.BBOX_REG_LOSS_WEIGHT", "MODEL.RPN.SMOOTH_L1_BETA",
            "MODEL.ROI_BOX_HEAD.BBOX_REG_LOSS_WEIGHT", "MODEL.ROI_BOX_HEAD.SMOOTH_L1_BETA",
            "MODEL.ROI_KEYPOINT_HEAD.LOSS_WEIGHT", "MODEL.ROI_KEYPOINT_HEAD.VISIBILITY_LOSS_WEIGHT",
            "MODEL.ROI_REID_HEAD.LOSS_WEIGHT", "MODEL.TOPDOWN.LOSS_WEIGHT", "MODEL.TOPDOWN.VISIBILITY_LOSS_WEIGHT",
            "MODEL.TOPDOWN.PART_WEIGHTS.BODY", "MODEL.TOPDOWN.PART_WEIGHTS.FOOT", "MODEL.TOPDOWN.PART_WEIGHTS.FACE",
            "MODEL.TOPDOWN.PART_WEIGHTS.HANDS", "MODEL.TOPDOWN.ASG_AMPLITUDE_ABSOLUTE", "MODEL.MSPN.COARSE_WEIGHT",
            "MODEL.MDPN.INTERMEDIATE_WEIGHT", "TEST.POSE_NMS.LAMBDA", "INPUT.CROP.HALF_BODY_JOINTS", "SOLVER.BASE_LR",
            "SOLVER.BASE_LR_END", "SOLVER.MOMENTUM", "SOLVER.WEIGHT_DECAY", "SOLVER.WEIGHT_DECAY_NORM", "SOLVER.GAMMA",
            "SOLVER.WARMUP_FACTOR", "SOLVER.WARMUP_ITERS", "MODEL.ROI_BOX_HEAD.NUM_FC",
            "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO", "MODEL.ROI_KEYPOINT_HEAD.POOLER_SAMPLING_RATIO",
            "MODEL.ROI_REID_HEAD.POOLER_SAMPLING_RATIO", "MODEL.POSEDET.INIT_CONVS", "MODEL.POSEDET.REFINE_CONVS",
            "MODEL.POSEDET.CLS_CONVS", "MODEL.POSEDET.HEATMAP_CONVS", "MODEL.POSEDET.COLD_STEPS",
        ),
        Range(0),
    ),
    "MODEL.MDPN.OHKM_FROM_STEP": Range(-1),
    **dict.fromkeys(
        ("MODEL.TOPDOWN.ASG_AMPLITUDE", "TEST.POSE_NMS.ETA", "MODEL.ROI_REID_HEAD.SCALE"), Range(above=True)
    ),
    # channels and counts
    **dict.fromkeys(
        (
            "MODEL.FPN.OUT_CHANNELS", "MODEL.RPN.BATCH_SIZE_PER_IMAGE", "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE",
            "MODEL.ROI_BOX_HEAD.FC_DIM", "MODEL.ROI_KEYPOINT_HEAD.DECONV_DIM", "MODEL.ROI_KEYPOINT_HEAD.BATCH_SIZE_PER_IMAGE",
            "MODEL.ROI_REID_HEAD.EMBEDDING_DIM", "MODEL.ROI_REID_HEAD.BATCH_SIZE_PER_IMAGE", "MODEL.TOPDOWN.UPSAMPLER_DIM",
            "MODEL.TOPDOWN.CONV_DIM", "MODEL.TOPDOWN.REID.DIM", "MODEL.RPN.PRE_NMS_TOPK_TRAIN", "MODEL.RPN.PRE_NMS_TOPK_TEST",
            "MODEL.RPN.POST_NMS_TOPK_TRAIN", "MODEL.RPN.POST_NMS_TOPK_TEST", "MODEL.ROI_BOX_HEAD.POOLER_RESOLUTION",
            "MODEL.ROI_REID_HEAD.POOLER_RESOLUTION", "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "MODEL.ROI_REID_HEAD.CONV_DIMS",
            "MODEL.ROI_KEYPOINT_HEAD.CONV_DILATIONS", "MODEL.ROI_REID_HEAD.CONV_DILATIONS",
        ),
        Range(1),
    ),
    "MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION": Range(1, length=2),
    **dict.fromkeys(
        ("MODEL.RPN.BBOX_REG_WEIGHTS", "MODEL.ROI_BOX_HEAD.BBOX_REG_WEIGHTS"), Range(above=True, length=4)
    ),
}  # fmt: skip
