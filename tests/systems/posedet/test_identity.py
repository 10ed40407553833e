"""The identity branch reads the extractor's finest map at people's joints."""

import pytest
import torch
from small_network import make_targets
from tiny_posedet import posedet_config

from fastpose_mtn.build import build_network
from fastpose_mtn.structures import Batch


def network(*options):
    torch.manual_seed(0)
    return build_network(
        posedet_config(
            "MODEL.ROI_REID_HEAD.NUM_IDENTITIES", "5", "MODEL.POSEDET.IDENTITY_WIDTH", "24", *options
        )
    )


@pytest.mark.parametrize(("neck", "stride"), [("fpn", 8), ("hrfpn", 4)])
def test_a_vector_is_made_of_the_finest_features_at_the_joints_each_with_weights_of_its_own(neck, stride):
    model = network("MODEL.POSEDET.NECK", neck, "MODEL.POSEDET.NORM", "GN").eval()
    branch = model.head.identity
    with torch.no_grad():
        pyramid = model.backbone(torch.randn(2, 3, 64, 96))
        finest = branch.conv(pyramid.finest)
        assert finest.shape == (2, 16, 64 // stride, 96 // stride)
        y, x = torch.randint(64 // stride, (3, 15)), torch.randint(96 // stride, (3, 15))
        image = torch.tensor([1, 0, 1])
        poses = torch.stack((x, y), dim=-1) * float(stride) + 0.5  # of a cell
        read = finest[image[:, None], :, y, x]  # (N, K, C)
        summed = torch.einsum("nkc,wck->nw", read, branch.joint_embedding[:, :, 0])
        wanted = torch.nn.functional.normalize(branch.reid.embedding(summed.relu()), dim=1)
        candidates = model.head(pyramid)
        torch.testing.assert_close(model.head.describe(candidates, image, poses), wanted, rtol=0, atol=1e-5)
        assert branch(finest, image[:0], poses[:0]).shape == (0, 8)


def test_identities_change_the_extractor_and_their_branch_and_no_pose():
    model = network("MODEL.POSEDET.OKS_REFINE_LOW", "0.0")
    generator = torch.Generator().manual_seed(0)
    image = torch.randint(0, 256, (3, 96, 128), dtype=torch.uint8, generator=generator)
    batch = Batch([image], [make_targets([10, 10, 50, 90], [60, 20, 100, 90])], [frozenset({"identities"})])
    model.losses(batch)["loss_reid"].backward()
    changed = {name for name, p in model.named_parameters() if p.grad is not None and p.grad.abs().max() > 0}
    assert {name for name in changed if name.startswith("head.")} == {
        name for name, _ in model.named_parameters() if name.startswith("head.identity.")
    }
    assert any(name.startswith("backbone.bottom_up.") for name in changed)
    assert not any(name.startswith("backbone.fpn_") for name in changed)


@pytest.mark.parametrize(("key", "value"), [("WIDTH", "0"), ("DROPOUT", "1.0"), ("DROPOUT", "-0.1")])
def test_values_that_cannot_be(key, value):
    with pytest.raises(
        ValueError, match=rf"MODEL.POSEDET.IDENTITY_{key}: expected a number from .* got {value}"
    ):
        network(f"MODEL.POSEDET.IDENTITY_{key}", value)
