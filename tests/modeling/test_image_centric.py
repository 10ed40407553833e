"""Image-centric training (paper, section 3.4): an image that lacks a task gives its heads no gradient, exactly none."""

import pytest
import torch

from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.data.loader import AugmentedImages
from fastpose_mtn.skeletons import POSETRACK15

LOSSES_OF_TASK = {
    "boxes": ("loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg"),
    "keypoints": ("loss_keypoint", "loss_visibility"),
    "identities": ("loss_reid",),
}
LOSSES = [(loss, task) for task, losses in LOSSES_OF_TASK.items() for loss in losses]
HEAD_OF_LOSS = {
    "loss_rpn_cls": "proposal_generator.rpn_head.objectness_logits",
    "loss_rpn_loc": "proposal_generator.rpn_head.anchor_deltas",
    "loss_cls": "roi_heads.box_predictor.cls_score",
    "loss_box_reg": "roi_heads.box_predictor.bbox_pred",
    "loss_keypoint": "roi_heads.keypoint_head",
    "loss_visibility": "roi_heads.keypoint_head",
    "loss_reid": "roi_heads.reid_head",
}


@pytest.fixture(scope="module")
def samples():
    """A drawn image of each of three datasets, each of which trains one task."""
    datasets = [
        build_dataset(f"synthetic://a?seeds={k}&frames=2&size=128x96&people=3&occlusion=0&tasks={task}", training=True)
        for k, task in enumerate(LOSSES_OF_TASK)
    ]  # fmt: skip
    images = AugmentedImages(datasets, [], seed=0, skeleton=POSETRACK15)
    return [images[2 * k, 0] for k in range(3)]


def losses_of(network, samples):
    """The losses, and the batch of images that the backbone saw."""
    seen = []

    def watch(_, batch):
        seen.append(batch[0].detach().requires_grad_())
        return (seen[0],)

    handle = network.backbone.register_forward_pre_hook(watch)
    losses = network([s.image for s in samples], [s.targets for s in samples], [s.tasks for s in samples])
    handle.remove()
    return losses, seen[0]


@pytest.mark.parametrize(("loss", "task"), LOSSES)
def test_a_heads_gradient_comes_from_the_images_of_its_task_alone(fixed_network, samples, loss, task):
    losses, batch = losses_of(fixed_network, samples)
    (gradient,) = torch.autograd.grad(losses[loss], batch)
    for sample, of_image in zip(samples, gradient, strict=True):
        assert (of_image.abs().sum() > 0) == (sample.tasks == {task})


@pytest.mark.parametrize(("loss", "task"), LOSSES)
def test_other_datasets_change_nothing_of_a_heads_gradient(fixed_network, samples, loss, task):
    """The gradient of a mixed batch is that of the task's images alone: labels of other tasks do not leak in.

    The samplers' draws come image by image: the boxes' image is the first, and all people of the others are drawn.
    """
    changed = [
        sample.targets if sample.tasks == {task} else type(sample.targets).empty(15) for sample in samples
    ]
    head = [p for name, p in fixed_network.named_parameters() if name.startswith(HEAD_OF_LOSS[loss])]
    found = []
    for targets in ([sample.targets for sample in samples], changed):
        torch.manual_seed(0)
        images = [sample.image for sample in samples]
        value = fixed_network(images, targets, [sample.tasks for sample in samples])[loss]
        gradients = torch.autograd.grad(value, head, allow_unused=True)
        found.append([g for g in gradients if g is not None])
    assert len(found[0]) == len(found[1]) > 0
    assert any(g.abs().sum() > 0 for g in found[0])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-7)


def test_without_a_dataset_of_its_task_a_head_stands_still(fixed_network, samples):
    """Two datasets, no identities in either: the identity head's gradient is there, for the processes' sum, and zero."""
    losses, _ = losses_of(fixed_network, samples[:2])
    head = [p for name, p in fixed_network.named_parameters() if name.startswith("roi_heads.reid_head")]
    gradients = torch.autograd.grad(sum(losses.values()), head)
    assert all(g.abs().sum() == 0 for g in gradients)
