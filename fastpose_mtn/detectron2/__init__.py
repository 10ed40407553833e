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

from fastpose_mtn.detectron2.backbone import TimmFPNBackbone, build_timm_fpn_backbone  # noqa: E402
from fastpose_mtn.detectron2.config import add_fastpose_config  # noqa: E402
from fastpose_mtn.detectron2.keypoint_head import MTNKeypointHead  # noqa: E402
from fastpose_mtn.detectron2.roi_heads import MTNROIHeads  # noqa: E402
from fastpose_mtn.detectron2.rpn import MTNRPN, MTNAnchorGenerator  # noqa: E402

__all__ = [
    "MTNRPN",
    "MTNAnchorGenerator",
    "MTNKeypointHead",
    "MTNROIHeads",
    "TimmFPNBackbone",
    "add_fastpose_config",
    "build_timm_fpn_backbone",
]
