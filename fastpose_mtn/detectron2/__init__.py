"""The Detectron2 extension: importing it puts FastPose's parts into Detectron2's registries.

    from detectron2.config import get_cfg
    from fastpose_mtn.detectron2 import add_fastpose_config

    cfg = get_cfg()
    add_fastpose_config(cfg)
    cfg.merge_from_file("configs/FastPose-50.yaml")

Raises:
    ImportError: Detectron2 is not installed or too old; the message has the link to its installation page.
"""

from fastpose_mtn.detectron2.installed import check_detectron2

check_detectron2()

from fastpose_mtn.detectron2.backbone import (  # noqa: E402
    TimmDC5Backbone,
    TimmFPNBackbone,
    build_timm_dc5_backbone,
    build_timm_fpn_backbone,
)
from fastpose_mtn.detectron2.checkpoint import FastPoseCheckpointer  # noqa: E402
from fastpose_mtn.detectron2.config import add_fastpose_config  # noqa: E402
from fastpose_mtn.detectron2.data import FastPoseMapper, register_dataset  # noqa: E402
from fastpose_mtn.detectron2.estimator import Detectron2Estimator  # noqa: E402
from fastpose_mtn.detectron2.evaluation import PoseEvaluator, PoseTrackEvaluator, ReIDEvaluator  # noqa: E402
from fastpose_mtn.detectron2.instances import to_detections  # noqa: E402
from fastpose_mtn.detectron2.keypoint_head import MTNKeypointHead  # noqa: E402
from fastpose_mtn.detectron2.roi_heads import MTNROIHeads  # noqa: E402
from fastpose_mtn.detectron2.rpn import MTNRPN, MTNAnchorGenerator  # noqa: E402
from fastpose_mtn.detectron2.targets import to_instances  # noqa: E402
from fastpose_mtn.detectron2.test_time_augmentation import FastPoseWithTTA  # noqa: E402
from fastpose_mtn.detectron2.tracker import OcclusionAwareTracker  # noqa: E402
from fastpose_mtn.detectron2.trainer import FastPoseTrainer  # noqa: E402

__all__ = [
    "MTNRPN",
    "Detectron2Estimator",
    "FastPoseCheckpointer",
    "FastPoseMapper",
    "FastPoseTrainer",
    "FastPoseWithTTA",
    "MTNAnchorGenerator",
    "MTNKeypointHead",
    "MTNROIHeads",
    "OcclusionAwareTracker",
    "PoseEvaluator",
    "PoseTrackEvaluator",
    "ReIDEvaluator",
    "TimmDC5Backbone",
    "TimmFPNBackbone",
    "add_fastpose_config",
    "build_timm_dc5_backbone",
    "build_timm_fpn_backbone",
    "register_dataset",
    "to_detections",
    "to_instances",
]
