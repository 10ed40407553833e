import math

import pytest
import torch

from fastpose_mtn.systems.mtn.reid_head import MTNReIDHead


def build(**arguments):
    return MTNReIDHead(in_channels=4, resolution=5, conv_dims=(6, 6), embedding_dim=8, **arguments)


def test_embeddings_have_length_one():
    embeddings = build()(torch.randn(3, 4, 5, 5))
    torch.testing.assert_close(embeddings.norm(dim=1), torch.ones(3))


def test_embeddings_as_they_are():
    torch.manual_seed(0)
    assert not torch.allclose(build(normalize=False)(torch.randn(3, 4, 5, 5)).norm(dim=1), torch.ones(3))


def test_dilations_reach_the_whole_region():
    """One convolution of the middle position: 3x3 of the 5x5 positions, or those two steps away."""

    def rows_seen(dilations):
        head = MTNReIDHead(in_channels=1, resolution=5, conv_dims=(1,), conv_dilations=dilations)
        torch.nn.init.ones_(head.conv1.weight)
        x = torch.ones(1, 1, 5, 5, requires_grad=True)
        head.conv1(x)[0, 0, 2, 2].backward()
        return torch.nonzero(x.grad[0, 0].sum(dim=1)).flatten().tolist()

    assert rows_seen(()) == [1, 2, 3]
    assert rows_seen((2,)) == [0, 2, 4]
    with pytest.raises(ValueError, match=r"ROI_REID_HEAD\.CONV_DILATIONS: expected one for each of the 1"):
        rows_seen((1, 2))


def test_loss_by_hand():
    """Cosines of 1 and 0 times the scale."""
    head = build(num_identities=2, scale=3.0, loss_weight=2.0)
    with torch.no_grad():
        head.classifier.weight.copy_(
            5 * torch.eye(2, 8)
        )  # rows are normalised, so their length does not count
    loss = head.losses(torch.eye(2, 8), torch.tensor([0, 1]))["loss_reid"]
    assert loss.item() == pytest.approx(2 * math.log(1 + math.exp(-3)))


def test_plain_classifier_has_a_bias():
    head = build(num_identities=2, normalize=False)
    assert head.classifier.bias is not None
    assert head.losses(torch.zeros(1, 8), torch.tensor([0]))["loss_reid"].item() == pytest.approx(math.log(2))


def test_no_classifier_without_identities():
    assert not [n for n in build().state_dict() if "classifier" in n]


@pytest.mark.parametrize("count", [0, 3])
def test_too_few_identities(count):
    text = f"NUM_IDENTITIES is {count}, but a training image has identity 3"
    with pytest.raises(ValueError, match=text):
        build(num_identities=count).losses(torch.zeros(1, 8), torch.tensor([3]))
