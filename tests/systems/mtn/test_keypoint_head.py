import math

import pytest
import torch

from fastpose_mtn.systems.mtn.keypoint_head import (
    KeypointPrediction,
    KRCNNConvDeconvUpsampleHead,
    MTNKeypointHead,
    build_keypoint_head,
)

BOX = torch.tensor([[0.0, 0.0, 64.0, 88.0]])


def build(visibility_loss_weight=0.0, **arguments):
    return MTNKeypointHead(
        in_channels=4, sigmas=(0.1,) * 3, conv_dims=(8, 8), deconv_dim=6,
        visibility_loss_weight=visibility_loss_weight, **arguments,
    )  # fmt: skip


def joints(*rows):
    return torch.tensor([rows], dtype=torch.float32)


def test_shapes_of_the_papers_head():
    prediction = build(visibility_loss_weight=0.5)(torch.randn(2, 4, 22, 16))
    assert prediction.heatmaps.shape == (2, 3, 88, 64)
    assert prediction.visibility.shape == (2, 3)
    assert build()(torch.randn(2, 4, 22, 16)).visibility is None


def test_region_is_padded_never_cut():
    wide = torch.tensor([[0.0, 0.0, 160.0, 20.0]])
    assert build().regions(wide).tolist() == [[0, -100, 160, 120]]
    assert KRCNNConvDeconvUpsampleHead(in_channels=4, sigmas=(0.1,) * 3, conv_dims=(8,)).regions(wide) is wide


def test_baseline_is_mask_rcnns():
    head = KRCNNConvDeconvUpsampleHead(in_channels=4, sigmas=(0.1,) * 3, conv_dims=(8, 8))
    assert head(torch.randn(2, 4, 14, 14)).heatmaps.shape == (2, 3, 56, 56)
    assert {n.split(".")[0] for n in head.state_dict()} == {"conv_fcn1", "conv_fcn2", "score_lowres"}


def test_losses_by_hand():
    """Uniform heatmaps cost log(88 * 64) a joint; visibility logits of 0 cost log 2."""
    head = build(visibility_loss_weight=0.5, loss_weight=3.0)
    prediction = KeypointPrediction(torch.zeros(1, 3, 88, 64), torch.zeros(1, 3))
    losses = head.losses(prediction, BOX, joints([10, 10, 2], [20, 20, 1], [30, 30, 0]), num_images=1)
    assert losses["loss_keypoint"].item() == pytest.approx(3 * math.log(88 * 64), rel=1e-5)
    assert losses["loss_visibility"].item() == pytest.approx(0.5 * math.log(2))


def test_visibility_tells_visible_from_hidden():
    head = build(visibility_loss_weight=1.0)
    visibility = torch.tensor([[3.0, -3.0, 9.0]])
    losses = head.losses(
        KeypointPrediction(torch.zeros(1, 3, 88, 64), visibility),
        BOX,
        joints([10, 10, 2], [20, 20, 1], [30, 30, 0]),
        num_images=1,
    )
    assert losses["loss_visibility"].item() == pytest.approx(math.log(1 + math.exp(-3)))


def test_only_labelled_joints_inside_the_region_train():
    head = build(visibility_loss_weight=0.5)
    heatmaps = torch.zeros(1, 3, 88, 64, requires_grad=True)
    visibility = torch.zeros(1, 3, requires_grad=True)
    # the second is unlabelled, the third outside
    losses = head.losses(
        KeypointPrediction(heatmaps, visibility), BOX, joints([10, 10, 2], [20, 20, 0], [300, 30, 2]), 1
    )
    sum(losses.values()).backward()
    assert heatmaps.grad.abs().sum(dim=(2, 3)).gt(0).tolist() == [[True, False, False]]
    assert visibility.grad.abs().gt(0).tolist() == [[True, False, False]]


def test_joint_in_the_padding_trains():
    """A raised arm lies outside the detector's box but inside the padded region."""
    head = build()
    box = torch.tensor([[20.0, 0.0, 40.0, 88.0]])
    heatmaps = torch.zeros(1, 3, 88, 64, requires_grad=True)
    losses = head.losses(KeypointPrediction(heatmaps, None), box, joints([2, 44, 2], [0, 0, 0], [0, 0, 0]), 1)
    losses["loss_keypoint"].backward()
    # the region is [-2, 0, 62, 88]: x = 2 is column 4
    assert heatmaps.grad[0, 0].argmin().item() == 44 * 64 + 4


def test_fixed_normaliser():
    head = build(loss_normalizer=10.0)
    prediction = KeypointPrediction(torch.zeros(1, 3, 88, 64), None)
    loss = head.losses(prediction, BOX, joints([10, 10, 2], [20, 20, 1], [30, 30, 2]), num_images=2)
    assert loss["loss_keypoint"].item() == pytest.approx(3 * math.log(88 * 64) / 20, rel=1e-5)


def test_visibility_is_read_where_the_joint_is_and_does_not_move_it():
    torch.manual_seed(0)
    head = build(visibility_loss_weight=0.5)
    with torch.no_grad():
        head.deconv2.weight.normal_(0, 0.5)
    features = torch.randn(1, 4, 22, 16)
    head(features).visibility.sum().backward()
    by_map = head.deconv2.weight.grad.abs().sum(dim=(0, 2, 3))
    assert by_map[:3].sum() == 0  # the heatmaps
    assert (by_map[3:] > 0).all()


def test_confidence_is_the_probability_of_being_visible():
    head = build(visibility_loss_weight=0.5)
    heatmaps = torch.randn(1, 3, 88, 64)
    prediction = KeypointPrediction(heatmaps, torch.tensor([[0.0, 2.0, -2.0]]))
    small, _ = head.decode(prediction, BOX, torch.ones(1))
    large, _ = head.decode(prediction, BOX * 10, torch.ones(1))
    assert small[0, :, 2].tolist() == pytest.approx([0.5, 1 / (1 + math.exp(-2)), 1 / (1 + math.exp(2))])
    assert torch.equal(small[..., 2], large[..., 2])


def test_confidence_without_the_branch_is_the_expected_similarity():
    heatmaps = torch.zeros(1, 3, 88, 64)
    heatmaps[0, 0, 40, 30] = 30
    keypoints, _ = build().decode(KeypointPrediction(heatmaps, None), BOX, torch.ones(1))
    assert keypoints[0, 0, 2] > 0.99
    assert keypoints[0, 1, 2] < 0.5


def test_a_person_whose_joints_are_guesses_scores_lower():
    """The score is the box's times the joints' mean expected similarity; Mask R-CNN's is the box's."""
    heatmaps = torch.zeros(2, 3, 88, 64)
    heatmaps[0, :, 40, 30] = 30
    prediction, scores = KeypointPrediction(heatmaps, None), torch.tensor([0.8, 0.8])
    keypoints, ranked = build().decode(prediction, BOX.expand(2, 4), scores)
    assert ranked[0].item() == pytest.approx(0.8, abs=1e-3)
    torch.testing.assert_close(ranked, 0.8 * keypoints[..., 2].mean(dim=1))
    assert ranked[1] < 0.4
    assert torch.equal(build(decoder="resize").decode(prediction, BOX.expand(2, 4), scores)[1], scores)


def test_a_step_without_joints_has_the_same_losses_of_zero():
    assert build(visibility_loss_weight=0.5).no_losses() == {"loss_keypoint": 0, "loss_visibility": 0}
    assert build().no_losses() == {"loss_keypoint": 0}


def test_unknown_names(cfg):
    cfg.MODEL.ROI_KEYPOINT_HEAD.NAME = "Nonesuch"
    with pytest.raises(ValueError, match="unknown head 'Nonesuch'; known: MTNKeypointHead, KRCNN"):
        build_keypoint_head(cfg, 8)
    with pytest.raises(ValueError, match="DECODER: expected one of subpixel, resize, got 'argmax'"):
        build(decoder="argmax")


def test_dilated_convolutions_see_the_whole_region():
    def reach(dilations):
        head = MTNKeypointHead(
            in_channels=2, sigmas=(0.1,), conv_dims=(4,) * 4, conv_dilations=dilations, deconv_dim=4
        )
        for parameter in head.parameters():
            torch.nn.init.ones_(parameter) if parameter.dim() > 1 else torch.nn.init.zeros_(parameter)
        x = torch.ones(1, 2, 22, 16, requires_grad=True)
        head(x).heatmaps[0, 0, -1, 32].backward()
        return int((x.grad[0, 0].sum(dim=1) > 0).sum())

    assert reach(()) < 10, "rows of 22 that the lowest heatmap row depends on"
    assert reach((1, 2, 4, 8)) > 14
    with pytest.raises(ValueError, match="CONV_DILATIONS: expected one for each of the 4 CONV_DIMS, got 2"):
        reach((1, 2))
