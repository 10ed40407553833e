"""The joint amid shoulders and hips, worked out by hand, and a network that learns it."""

import pytest
import torch
from small_network import make_targets
from tiny_posedet import posedet_config

from fastpose_mtn.build import build_network
from fastpose_mtn.skeletons import COCO17, POSETRACK15, SKELETONS, Skeleton
from fastpose_mtn.structures import TASKS, Batch, PersonTargets
from fastpose_mtn.systems.posedet.abdomen import corners_of, with_abdomen


def test_it_is_the_mean_of_the_labelled_corners_where_three_are():
    keypoints = torch.zeros(4, 17, 3)
    corners = list(corners_of(COCO17))
    assert [COCO17.joints[i] for i in corners] == ["left_shoulder", "right_shoulder", "left_hip", "right_hip"]
    places = torch.tensor([[10.0, 10, 2], [20, 10, 2], [12, 40, 2], [22, 44, 1]])
    keypoints[0, corners] = places
    keypoints[1, corners] = places * torch.tensor([[1], [1], [0], [1]])
    keypoints[2, corners] = places * torch.tensor([[1], [1], [0], [0]])
    target = PersonTargets(
        boxes=torch.tensor([[0.0, 0, 50, 60]] * 4),
        keypoints=keypoints,
        identities=torch.arange(4),
        ignore=torch.tensor([False, False, False, True]),
    )
    given = with_abdomen(target, corners)
    assert given.keypoints.shape == (4, 18, 3)
    assert torch.equal(given.keypoints[:, :17], keypoints)
    assert given.keypoints[0, 17].tolist() == [16, 26, 2]
    assert given.keypoints[1, 17].tolist() == pytest.approx([52 / 3, 64 / 3, 1])
    assert given.keypoints[2:, 17].tolist() == [[0, 0, 0]] * 2
    assert given.ignore is target.ignore


def test_a_network_learns_it_and_reports_the_others():
    torch.manual_seed(0)
    model = build_network(
        posedet_config(
            "MODEL.POSEDET.ABDOMEN",
            "True",
            "MODEL.POSEDET.SCORE_THRESH",
            "0.0",
            "MODEL.ROI_REID_HEAD.NUM_IDENTITIES",
            "5",
        )
    )
    assert model.head.num_joints == 16
    assert model.skeleton == POSETRACK15
    image = torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8)
    targets = make_targets([10, 10, 50, 90], [60, 20, 100, 90])
    targets.keypoints[:, 15:] = 0
    model.losses(Batch([image], [targets], [TASKS]))["loss_coarse"].backward()
    assert model.head.coarse.weight.grad[-2:].abs().max() > 0  # of the abdomen
    (found,) = model.eval()([image])
    assert len(found)
    assert found.keypoints.shape[1:] == (15, 3)


def test_a_skeleton_without_hips_has_no_abdomen(monkeypatch):
    bust = Skeleton(
        name="BUST",
        joints=("nose", "left_shoulder", "right_shoulder"),
        limbs=(),
        sigmas=(0.1,) * 3,
        source="none",
    )
    monkeypatch.setitem(SKELETONS, "BUST", bust)
    with pytest.raises(
        ValueError, match=r"ABDOMEN True: .* skeleton BUST has no left_hip, right_hip; set it False"
    ):
        build_network(posedet_config("MODEL.POSEDET.ABDOMEN", "True", "MODEL.SKELETON", "BUST"))
