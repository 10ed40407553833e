import numpy as np
import pytest
import torch
from torchvision.ops import nms

from fastpose_mtn.ops.box_fusion import merge_boxes


def test_it_is_torchvisions_nms_of_all_boxes():
    rng = np.random.default_rng(0)
    boxes, scores = [], []
    for count in (30, 0, 50):
        corners = rng.uniform(0, 60, (count, 2)).astype(np.float32)
        boxes.append(
            np.concatenate([corners, corners + rng.uniform(20, 60, (count, 2)).astype(np.float32)], axis=1)
        )
        scores.append(rng.random(count).astype(np.float32))
    wanted = nms(torch.from_numpy(np.concatenate(boxes)), torch.from_numpy(np.concatenate(scores)), 0.6)
    assert 1 < len(wanted) < 80
    assert merge_boxes(boxes, scores).tolist() == wanted.tolist()


def test_by_hand():
    """Of two boxes whose overlap is 0.6 and a little more the better one stays, whoever found it; others stay."""
    one = np.array([[0, 0, 10, 10], [50, 0, 60, 10]], np.float32)
    other = np.array([[0, 0, 10, 6.1], [50, 0, 60, 5.9]], np.float32)
    scores = [np.array([0.5, 0.4], np.float32), np.array([0.9, 0.3], np.float32)]
    assert merge_boxes([one, other], scores).tolist() == [2, 1, 3]
    assert merge_boxes([one, other], scores, threshold=0.5).tolist() == [2, 1]


@pytest.mark.parametrize("boxes", [[], [np.zeros((0, 4), np.float32)] * 2])
def test_nobody(boxes):
    assert merge_boxes(boxes, [np.zeros(0, np.float32)] * len(boxes)).tolist() == []
