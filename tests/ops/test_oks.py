import math

import pytest
import torch

from fastpose_mtn.ops.oks import object_keypoint_similarity


def test_by_hand():
    truth = torch.tensor([[[0.0, 0.0, 2.0], [10.0, 0.0, 1.0], [5.0, 5.0, 0.0]]])
    predicted = torch.tensor([[[0.0, 0.0], [10.0, 3.0], [99.0, 99.0]]])
    # exp(-9 / (2 * (2 * 0.1)^2 * 100)) for the second joint, 1 for the first, the third is not labelled
    expected = (1 + math.exp(-9 / 8)) / 2
    similarity = object_keypoint_similarity(predicted, truth, torch.tensor([100.0]), [0.1, 0.1, 0.1])
    assert similarity.item() == pytest.approx(expected, rel=1e-5)


def test_person_without_labelled_joints_is_like_nobody():
    similarity = object_keypoint_similarity(
        torch.zeros(2, 1, 2), torch.zeros(1, 1, 3), torch.tensor([100.0]), [0.1]
    )
    assert similarity.tolist() == [[0.0], [0.0]]


def test_equals_pycocotools():
    coco = pytest.importorskip("pycocotools.cocoeval")
    from fastpose_mtn.skeletons import COCO17

    torch.manual_seed(0)
    truth = torch.cat((torch.rand(3, 17, 2) * 100, torch.randint(0, 3, (3, 17, 1)).float()), dim=-1)
    truth[:, 0, 2] = 2
    predicted = truth[:2, :, :2] + torch.randn(2, 17, 2) * 5
    areas = torch.tensor([2000.0, 5000.0, 800.0])
    evaluator = coco.COCOeval(iouType="keypoints")
    evaluator.params.kpt_oks_sigmas = torch.tensor(COCO17.sigmas).numpy()
    evaluator._gts[1, 1] = [
        {"keypoints": k.flatten().tolist(), "bbox": [0, 0, 1, 1], "area": a.item()}
        for k, a in zip(truth, areas, strict=True)
    ]
    evaluator._dts[1, 1] = [
        {"keypoints": torch.cat((k, torch.ones(17, 1)), 1).flatten().tolist(), "score": 1 - i / 10}
        for i, k in enumerate(predicted)
    ]
    evaluator.params.catIds = [1]
    expected = torch.as_tensor(evaluator.computeOks(1, 1), dtype=torch.float32)
    found = object_keypoint_similarity(predicted, truth, areas, COCO17.sigmas)
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
