"""The keypoint head dropped into a configuration of Detectron2's own: another backbone, StandardROIHeads."""

import pytest
import torch
from detectron2_helpers import BATCH, SIZES, random_image

pytest.importorskip("detectron2", reason="Detectron2 is not installed")

from detectron2 import model_zoo
from detectron2.config import get_cfg
from detectron2.layers import ShapeSpec
from detectron2.modeling import build_model
from detectron2.modeling.roi_heads.keypoint_head import build_keypoint_head
from detectron2.utils.events import EventStorage

from fastpose_mtn.detectron2 import add_fastpose_config
from fastpose_mtn.detectron2.targets import to_instances


def configured(*options):
    cfg = get_cfg()
    add_fastpose_config(cfg)
    cfg.merge_from_file(model_zoo.get_config_file("COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.yaml"))
    cfg.MODEL.ROI_KEYPOINT_HEAD.NAME = "MTNKeypointHead"
    cfg.merge_from_list(
        ["MODEL.DEVICE", "cpu", "MODEL.WEIGHTS", "", "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "(8,)", *options]
    )
    return cfg


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("MODEL.ROI_KEYPOINT_HEAD.POOLER_TYPE", "", "MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION", "[22, 16]"),
    ],
)
def test_it_trains_and_finds_joints(options):
    cfg = configured(
        "MODEL.RESNETS.DEPTH", "18", "MODEL.RESNETS.RES2_OUT_CHANNELS", "64", "MODEL.FPN.OUT_CHANNELS", "16",
        "MODEL.ROI_BOX_HEAD.FC_DIM", "8", "MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS", "15",
        "MODEL.SKELETON", "POSETRACK15",
        "MODEL.RPN.POST_NMS_TOPK_TRAIN", "30", "MODEL.RPN.POST_NMS_TOPK_TEST", "30",
        "MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.0", "TEST.DETECTIONS_PER_IMAGE", "3",
        "MODEL.ROI_KEYPOINT_HEAD.HEATMAPS", "True", *options,
    )  # fmt: skip
    model = build_model(cfg).train()
    images = [random_image(*size) for size in SIZES]
    with EventStorage():
        losses = model(
            [
                {"image": image, "instances": to_instances(target, size)}
                for image, target, size in zip(images, BATCH, SIZES, strict=True)
            ]
        )
    assert set(losses) == {
        "loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg", "loss_keypoint", "loss_visibility",
    }  # fmt: skip
    sum(losses.values()).backward()
    assert model.roi_heads.keypoint_head.deconv1.weight.grad.abs().sum() > 0
    with torch.no_grad():
        found = model.eval()([{"image": images[0], "height": 192, "width": 256}])[0]["instances"]
    assert len(found) > 0
    assert found.pred_keypoints.shape == (len(found), 15, 3)
    assert found.pred_keypoints[..., 0].max() > 128  # in the pixels asked for
    assert found.pred_keypoint_heatmaps.shape[:2] == (len(found), 15)


def test_detectron2s_pooler_is_square():
    cfg = configured("MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION", "[22, 16]")
    with pytest.raises(ValueError, match='set MODEL.ROI_KEYPOINT_HEAD.POOLER_TYPE ""'):
        build_keypoint_head(cfg, ShapeSpec(channels=16))


def test_nobody_to_train():
    cfg = configured("MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS", "15", "MODEL.SKELETON", "POSETRACK15")
    head = build_keypoint_head(cfg, ShapeSpec(channels=16)).train()
    instances = to_instances(BATCH[2], SIZES[2])
    instances.proposal_boxes = instances.gt_boxes
    losses = head(torch.zeros(0, 16, 14, 14), [instances])
    sum(losses.values()).backward()
    assert head.deconv1.weight.grad.abs().sum() == 0
