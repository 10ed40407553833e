from pathlib import Path

import numpy as np
import pytest
import torch
from detectron2_helpers import THIN, assert_same_people, random_image

pytest.importorskip("detectron2", reason="Detectron2 is not installed")

CONFIGS = Path(__file__).parents[2] / "configs"


@pytest.mark.parametrize(
    "name", ["FastPose-MobileNetV2", "FastPose-18", "FastPose-50", "FastPose-101", "FastPose-50-SNIP", "demo"]
)
def test_the_same_weights_find_the_same_people(small, name):
    thin = THIN if name != "demo" else ["MODEL.DEVICE", "cpu"]
    ours, theirs, _ = small(config_file=CONFIGS / f"{name}.yaml", base=thin)
    for sizes in ([(128, 160), (96, 130)], [(75, 210)]):
        assert_same_people(ours, theirs, [random_image(h, w, seed=h) for h, w in sizes])


@pytest.mark.parametrize("name", ["detectron2", "torchvision"])
def test_the_baselines_find_the_same_people(small, name):
    thin = ["MODEL.TIMM.NAME", "resnet18", "MODEL.WEIGHTS", "", *THIN]
    ours, theirs, _ = small(config_file=CONFIGS / f"keypoint_rcnn_R50_FPN_{name}.yaml", base=thin)
    images = [random_image(h, w, seed=h) for h, w in [(128, 160), (96, 130)]]
    found = ours.eval()(images)
    channels = [2, 1, 0] if name == "detectron2" else [0, 1, 2]  # the default host is always given RGB
    with torch.no_grad():
        instances = theirs.eval().inference([{"image": i[channels]} for i in images], do_postprocess=False)
    for mine, one in zip(found, instances, strict=True):
        assert len(one) == len(mine) > 0
        np.testing.assert_allclose(one.pred_boxes.tensor, mine.boxes, atol=0.01)
        np.testing.assert_allclose(one.pred_keypoints[..., :2], mine.keypoints[..., :2], atol=0.01)


def test_nobody_is_nobody(small):
    ours, theirs, _ = small("MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.999999")
    images = [random_image(64, 64)]
    assert len(ours.eval()(images)[0]) == 0
    one = theirs.eval()([{"image": images[0]}])[0]["instances"]
    assert one.pred_keypoints.shape == (0, 15, 3)
    assert one.pred_embeddings.shape == (0, 16)
