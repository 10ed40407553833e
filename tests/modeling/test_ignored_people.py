"""Whom SIFP ignores teaches nothing, whatever their labels are."""

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from fastpose_mtn.data.sample import TASKS, LabelledImage
from fastpose_mtn.data.transforms.sifp import SIFP
from fastpose_mtn.structures import PersonTargets

SIZE_WH = (128, 96)
# At these sizes only the first person is in range; the others are too small and too large.
SIFP_HERE = SIFP(short_side=96, max_side=128, factors=(1.0,), valid_range=(16.0, 60.0))
BOXES = np.array([[10, 10, 40, 70], [100, 5, 110, 17], [30, 4, 120, 90]], np.float32)
PIXELS = np.random.default_rng(0).integers(0, 255, (SIZE_WH[1], SIZE_WH[0], 3), dtype=np.uint8)


def gradients(network, rows, keypoints, identities):
    """Of every parameter, in one step on the people of ``rows``; the same draws each time."""
    targets = PersonTargets(
        boxes=BOXES[rows],
        keypoints=keypoints[rows],
        identities=identities[rows],
        ignore=np.zeros(len(rows), bool),
    )
    image = LabelledImage(PIXELS, targets, TASKS, image_id=1, file_name="a")
    sample = SIFP_HERE(image, np.random.default_rng(0)).ready()
    network.zero_grad(set_to_none=True)
    torch.manual_seed(7)
    losses = network([sample.image], [sample.targets], [sample.tasks])
    sum(losses.values()).backward()
    return losses, {name: p.grad for name, p in network.named_parameters() if p.requires_grad}


def some_labels(seed):
    rng = np.random.default_rng(seed)
    share = rng.random((3, 15, 2), np.float32)
    xy = BOXES[:, None, :2] + share * (BOXES[:, 2:] - BOXES[:, :2])[:, None]
    v = rng.integers(0, 3, (3, 15, 1)).astype(np.float32)
    return np.concatenate([xy, v], axis=2).astype(np.float32), rng.integers(0, 5, 3)


@settings(max_examples=5, deadline=None)
@given(seed=st.integers(0, 2**31), identity=st.sampled_from([-1, 0, 4, 10**6]))
def test_the_labels_of_ignored_people_change_no_gradient(fixed_network, seed, identity):
    keypoints, identities = some_labels(0)
    _, wanted = gradients(fixed_network, [0, 1, 2], keypoints, identities)
    assert all(g is not None for g in wanted.values())
    others, _ = some_labels(seed)
    keypoints, identities = keypoints.copy(), identities.copy()
    keypoints[1:], identities[1:] = (
        others[1:],
        identity,
    )  # one that the classifier does not have would be an error
    _, got = gradients(fixed_network, [0, 1, 2], keypoints, identities)
    for name, gradient in wanted.items():
        assert torch.equal(gradient, got[name]), name


def test_the_labels_of_valid_people_do(fixed_network):
    keypoints, identities = some_labels(0)
    _, before = gradients(fixed_network, [0, 1, 2], keypoints, identities)
    identities[0] = (identities[0] + 1) % 5
    _, after = gradients(fixed_network, [0, 1, 2], keypoints, identities)
    assert not torch.equal(
        before["roi_heads.reid_head.classifier.weight"], after["roi_heads.reid_head.classifier.weight"]
    )


def test_ignored_people_alone_are_positives_of_no_task(fixed_network):
    losses, grads = gradients(fixed_network, [1, 2], *some_labels(3))
    for name in ("loss_rpn_loc", "loss_box_reg", "loss_keypoint", "loss_visibility", "loss_reid"):
        assert losses[name].item() == 0, name
    for part in ("anchor_deltas", "bbox_pred", "keypoint_head", "reid_head"):
        parts = [g for name, g in grads.items() if part in name]
        assert parts, part
        assert all((g == 0).all() for g in parts), part
    # and they are no negatives either: without them there is more background to learn from
    without, _ = gradients(fixed_network, [], *some_labels(3))
    assert losses["loss_rpn_cls"].item() != without["loss_rpn_cls"].item()
