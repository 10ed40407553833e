"""Our baseline with torchvision's weights finds what torchvision's own network finds."""

import numpy as np
import pytest
import torch
from torchvision.models.detection import keypointrcnn_resnet50_fpn
from torchvision.models.detection.transform import GeneralizedRCNNTransform

from fastpose_mtn.checkpoints.loading import inference_config, load_weights
from fastpose_mtn.systems.mtn.network import build_model

NAME = "torchvision://keypointrcnn_resnet50_fpn"
PROPOSALS, PEOPLE = 300, 12  # instead of 1000 and 100, for speed


class _AsItIs(GeneralizedRCNNTransform):
    """torchvision's preprocessing without its resize, so that both networks see the same pixels."""

    def resize(self, image, target=None):
        return image, target


@pytest.fixture(scope="module")
def theirs():
    torch.manual_seed(3)
    model = keypointrcnn_resnet50_fpn(
        weights=None, weights_backbone=None, rpn_post_nms_top_n_test=PROPOSALS, box_detections_per_img=PEOPLE
    ).eval()
    with torch.no_grad():
        for module in model.modules():
            if hasattr(module, "running_var"):
                module.running_mean.normal_(0, 0.05)
                module.running_var.uniform_(0.8, 1.5)
        # scores and boxes that differ, so that suppression and thresholds have something to decide
        model.rpn.head.cls_logits.weight.normal_(0, 0.02)  # torchvision ranks sigmoids: not 1.0 twice
        model.rpn.head.bbox_pred.weight.normal_(0, 0.02)
        model.roi_heads.box_predictor.cls_score.weight.normal_(0, 0.1)
        model.roi_heads.box_predictor.bbox_pred.weight.normal_(0, 0.01)
    model.transform = _AsItIs(800, 1333, [0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
    return model


@pytest.fixture(scope="module")
def ours(theirs, tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "keypointrcnn.pth"
    torch.save(theirs.state_dict(), path)
    cfg = inference_config(NAME)
    cfg.merge_from_list(["MODEL.RPN.POST_NMS_TOPK_TEST", PROPOSALS, "TEST.DETECTIONS_PER_IMAGE", PEOPLE])
    model = build_model(cfg)
    report = load_weights(model, path)
    assert not report.missing
    assert not report.unexpected
    return model.eval()


@pytest.mark.parametrize(
    "size_hw", [(128, 192), (200, 333)]
)  # the second: P6 has not stride 64 in torchvision
def test_same_people_as_torchvision(theirs, ours, size_hw):
    rng = np.random.default_rng(1)
    small = rng.integers(0, 256, (3, size_hw[0] // 8, size_hw[1] // 8), dtype=np.uint8)
    image = torch.from_numpy(small).repeat_interleave(8, 1).repeat_interleave(8, 2)
    with torch.no_grad():
        expected = theirs([image.float() / 255])[0]
        found = ours([image])[0]
    expected = {name: value.numpy() for name, value in expected.items()}
    assert len(found) == len(expected["boxes"]) > 5
    assert np.ptp(expected["scores"]) > 0.01
    np.testing.assert_allclose(found.boxes, expected["boxes"], atol=0.01)
    np.testing.assert_allclose(found.scores, expected["scores"], atol=1e-4)
    distance = np.abs(found.keypoints[..., :2] - expected["keypoints"][..., :2]).max(axis=-1)
    assert np.mean(distance < 0.01) > 0.99  # a near tie between two pixels may go either way
    assert found.keypoints[..., 2].min() >= 0
    assert found.keypoints[..., 2].max() <= 1
