"""Given people have poses to draw, and the top-down network's detector locates no joints of its own."""

import numpy as np
import peers
import people
import pytest
import speed
import torch
from networks_to_export import needs

SIZE = (96, 160)


def test_given_people_have_the_same_pose_each_in_its_own_box():
    boxes = torch.tensor([[10.0, 20.0, 30.0, 60.0], [0.0, 0.0, 40.0, 80.0]])
    found = peers.posed(boxes, 17)
    assert found.boxes.tolist() == boxes.tolist()
    assert (found.keypoints[..., 2] == 1).all()
    low, high = boxes[:, None, :2].numpy(), boxes[:, None, 2:].numpy()
    share = (found.keypoints[..., :2] - low) / (high - low)
    assert ((share >= 0) & (share <= 1)).all()
    assert share[0] == pytest.approx(share[1], abs=1e-5)
    assert len(np.unique(share[0].round(4), axis=0)) == 17


def test_the_top_down_networks_detector_locates_no_joints():
    peer = people.top_down(SIZE)
    peer.set_people(3)
    (found,) = peer.estimate([np.zeros((*SIZE, 3), np.uint8)])
    assert found.embeddings.shape == (3, 128)
    (boxes,) = peer.detector.estimate([np.zeros((*SIZE, 3), np.uint8)])
    assert not boxes.keypoints[..., 2].any()


@pytest.mark.parametrize("form", ["onnx", "openvino"])
def test_an_exported_network_describes_the_people_whom_it_is_given(form, tmp_path):
    needs(form)
    config = str(speed.CONFIGS / "demo.yaml")
    peer = peers.OursExported(config, form, False, tmp_path, SIZE, "cpu", True)
    peer.set_people(3)
    (found,) = peer.estimate([np.zeros((*SIZE, 3), np.uint8)])
    assert found.embeddings.shape == (3, 128)
    np.testing.assert_allclose(np.linalg.norm(found.embeddings, axis=1), 1, atol=1e-3)
