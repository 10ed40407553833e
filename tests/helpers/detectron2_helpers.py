"""What the tests of the Detectron2 extension share; needs no Detectron2."""

import numpy as np
import torch

from fastpose_mtn.structures import PersonTargets

ALL = frozenset({"boxes", "keypoints", "identities"})
SIZES = [(96, 128), (80, 128), (96, 96)]


def people(*boxes, ignore=None, identities=None, joints=15):
    generator = torch.Generator().manual_seed(len(boxes))
    boxes = torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4)
    share = torch.rand(len(boxes), joints, 2, generator=generator)
    xy = boxes[:, None, :2] + share * (boxes[:, 2:] - boxes[:, :2])[:, None]
    v = (torch.arange(joints) % 3).float().expand(len(boxes), joints)[..., None]
    return PersonTargets(
        boxes=boxes,
        keypoints=torch.cat((xy, v), dim=-1),
        identities=torch.tensor(identities or list(range(len(boxes))), dtype=torch.int64),
        ignore=torch.tensor(ignore or [False] * len(boxes), dtype=torch.bool),
    )


BATCH = [
    people([10, 5, 50, 80], [60, 10, 110, 90], [20, 20, 100, 70], ignore=[False, False, True]),
    people([5, 5, 40, 70], identities=[-1]),
    people(),
]


SMALL = [
    "MODEL.DEVICE", "cpu", "MODEL.TIMM.NAME", "resnet18", "MODEL.BACKBONE.FREEZE_AT", "0", "MODEL.BACKBONE.NORM", "BN",
    "MODEL.FPN.OUT_CHANNELS", "16", "MODEL.RPN.BATCH_SIZE_PER_IMAGE", "32",
    "MODEL.RPN.PRE_NMS_TOPK_TRAIN", "60", "MODEL.RPN.POST_NMS_TOPK_TRAIN", "40",
    "MODEL.RPN.PRE_NMS_TOPK_TEST", "60", "MODEL.RPN.POST_NMS_TOPK_TEST", "30",
    "MODEL.ROI_HEADS.BATCH_SIZE_PER_IMAGE", "16", "MODEL.ROI_BOX_HEAD.FC_DIM", "16",
    "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "(8,)", "MODEL.ROI_KEYPOINT_HEAD.DECONV_DIM", "8",
    "MODEL.ROI_REID_HEAD.CONV_DIMS", "(8,)", "MODEL.ROI_REID_HEAD.EMBEDDING_DIM", "16",
    "MODEL.ROI_REID_HEAD.NUM_IDENTITIES", "5",
    "MODEL.ANCHOR_GENERATOR.SIZES", "[[16], [24], [32], [48], [64]]",
    "TEST.DETECTIONS_PER_IMAGE", "8", "INPUT.MIN_SIZE_TEST", "0",
]  # fmt: skip


@torch.no_grad()
def spread(model):
    """Random weights whose scores and boxes differ clearly, so that rounding cannot reorder them."""
    for name, parameter in model.named_parameters():
        if ".rpn_head." in name or ".box_predictor." in name:
            parameter.normal_(std=0.1)
        elif ".deconv2." in name or ".score_lowres." in name:
            parameter.normal_(std=0.03)
    model.roi_heads.box_predictor.cls_score.bias.copy_(torch.tensor([1.0, 0.0]))


def random_image(height, width, seed=0):
    """(3, H, W) uint8 with structure of several sizes."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.zeros(3, height, width)
    for cells in (4, 16, 64):
        noise = torch.rand(1, 3, cells, cells, generator=generator)
        image += torch.nn.functional.interpolate(noise, (height, width), mode="bilinear")[0]
    return (image / 3 * 255).to(torch.uint8)


# the four networks as configured, thinned where only time is at stake
THIN = [
    "MODEL.DEVICE", "cpu", "MODEL.ROI_KEYPOINT_HEAD.CONV_DIMS", "(16,)", "MODEL.ROI_REID_HEAD.CONV_DIMS", "(16,)",
    "MODEL.ROI_KEYPOINT_HEAD.DECONV_DIM", "16", "MODEL.ROI_BOX_HEAD.FC_DIM", "32", "MODEL.FPN.OUT_CHANNELS", "32",
    "MODEL.RPN.POST_NMS_TOPK_TEST", "100", "TEST.DETECTIONS_PER_IMAGE", "10", "INPUT.MIN_SIZE_TEST", "0",
]  # fmt: skip


def assert_same_people(ours, theirs, images):
    found = ours.eval()(images)
    with torch.no_grad():
        instances = theirs.eval().inference([{"image": image} for image in images], do_postprocess=False)
    assert sum(map(len, found)) > len(images)
    for mine, one in zip(found, instances, strict=True):
        assert len(one) == len(mine)
        np.testing.assert_allclose(one.pred_boxes.tensor, mine.boxes, atol=0.01)
        np.testing.assert_allclose(one.scores, mine.scores, atol=1e-4)
        # random weights' heatmaps have peaks so alike that rounding, other on every CPU, may choose between them
        moved = np.abs(one.pred_keypoints[..., :2].numpy() - mine.keypoints[..., :2]) > 0.01
        assert moved.mean() < 0.001
        np.testing.assert_allclose(one.pred_keypoints[..., 2], mine.keypoints[..., 2], atol=1e-4)
        if mine.embeddings is not None:
            np.testing.assert_allclose(one.pred_embeddings, mine.embeddings, atol=1e-4)
        assert one.pred_classes.tolist() == [0] * len(one)
