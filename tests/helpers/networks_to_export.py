"""Small untrained networks to export, and what reading them again needs."""

import numpy as np
import pytest
import torch

from fastpose_mtn.config import get_cfg
from fastpose_mtn.systems.mtn.network import build_model

SMALL = [
    "MODEL.TIMM.NAME", "resnet18", "MODEL.BACKBONE.NORM", "BN", "MODEL.FPN.OUT_CHANNELS", "8",
    "MODEL.ANCHOR_GENERATOR.SIZES", "[[16], [24], [32], [48], [64]]", "MODEL.RPN.PRE_NMS_TOPK_TEST", "50",
    "MODEL.RPN.POST_NMS_TOPK_TEST", "30", "MODEL.ROI_BOX_HEAD.FC_DIM", "16",
    "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "(8,)", "MODEL.ROI_KEYPOINT_HEAD.DECONV_DIM", "8",
    "MODEL.ROI_REID_HEAD.CONV_DIMS", "(8,)", "MODEL.ROI_REID_HEAD.EMBEDDING_DIM", "16",
    "TEST.DETECTIONS_PER_IMAGE", "5", "INPUT.MIN_SIZE_TEST", "0",
]  # fmt: skip
LIBRARIES = {"onnx": ("onnx", "onnxruntime"), "openvino": ("onnx", "openvino")}
ENDINGS = {"onnx": ".onnx", "openvino": ".xml"}


def needs(form):
    """Skips the test where a format's libraries are not installed."""
    for library in LIBRARIES[form]:
        pytest.importorskip(library, reason=f"{library} is not installed: pip install -e '.[export]'")


def image(height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def network(score_thresh=0.05, **changes):
    cfg = get_cfg()
    cfg.merge_from_list([*SMALL, "MODEL.ROI_HEADS.SCORE_THRESH_TEST", str(score_thresh)])
    cfg.merge_from_list([text for pair in changes.items() for text in pair])
    torch.manual_seed(0)
    model = build_model(cfg).eval()
    torch.nn.init.normal_(model.roi_heads.box_predictor.cls_score.weight, std=0.05)
    if model.roi_heads.keypoint_head is not None:  # flat heatmaps have many best places
        torch.nn.init.normal_(model.roi_heads.keypoint_head.deconv2.weight, std=0.5)
    return model, cfg
