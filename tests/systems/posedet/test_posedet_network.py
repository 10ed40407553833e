"""The network's losses, and which cells of its maps become people."""

import pytest
import torch
from small_network import make_targets
from tiny_posedet_network import CHOSEN, batch, image, network

from fastpose_mtn.config import get_cfg
from fastpose_mtn.ops.pose_embedding import embed_poses
from fastpose_mtn.skeletons import SKELETONS, Skeleton
from fastpose_mtn.structures import TASKS, Batch, PersonTargets
from fastpose_mtn.system_protocols import TrainableNetwork
from fastpose_mtn.systems.posedet.grid import cell_poses

BRANCHES = {
    "loss_cls",
    "loss_box_reg",
    "loss_coarse",
    "loss_fine",
    "loss_heatmap",
    "loss_visibility",
    "loss_reid",
}


@pytest.mark.parametrize(
    "options",
    [
        (),
        ("MODEL.POSEDET.EMBEDDING", "grid3x3", "MODEL.POSEDET.HEATMAP_LOSS", "l2"),
        ("MODEL.POSEDET.BOX", "regressed", "MODEL.POSEDET.BOX_LOSS", "giou"),
        ("MODEL.POSEDET.EMBEDDING", "centre", "MODEL.POSEDET.POS_NUM", "3"),
        CHOSEN,
    ],
)
def test_losses_train_every_part(options):
    model = network(*options)
    assert isinstance(model, TrainableNetwork)
    losses = model.losses(batch())
    assert set(losses) == BRANCHES == set(model.loss_tasks)
    sum(losses.values()).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert still == []


@pytest.mark.parametrize(
    ("options", "absent", "layers"),
    [
        (("MODEL.POSEDET.REFINE", "False"), "loss_fine", "head.fine"),
        (("MODEL.POSEDET.HEATMAP_WEIGHT", "0.0"), "loss_heatmap", "head.heatmap"),
        (("MODEL.POSEDET.BOX", "extent"), "loss_box_reg", "head.box"),
        (("MODEL.REID_ON", "False"), "loss_reid", "head.identity"),
    ],
)
def test_branches_may_be_absent(options, absent, layers):
    model = network(*options)
    assert set(model.losses(batch())) == BRANCHES - {absent}
    assert not [name for name, _ in model.named_parameters() if name.startswith(layers)]


@pytest.mark.parametrize("task", sorted(TASKS))
def test_a_task_that_no_image_trains_has_gradients_of_exactly_zero(task):
    model = network()
    losses = model.losses(batch(TASKS - {task}))
    own = [loss for name, loss in losses.items() if model.loss_tasks[name] == task]
    assert own
    assert all(loss.item() == 0 for loss in own)
    sum(own).backward()
    assert all(p.grad.abs().max() == 0 for p in model.parameters())


@pytest.mark.parametrize("task", sorted(TASKS))
def test_an_image_without_the_task_gets_a_gradient_of_exactly_zero_beside_one_with_it(task):
    model, both = network("MODEL.POSEDET.HEATMAP_LOSS", "l2"), batch()
    with torch.no_grad():
        pyramid = model.backbone(model.preprocess(both.images)[0])
    maps = [level.requires_grad_() for level in (*pyramid.levels, pyramid.finest)]
    candidates = model.head(pyramid._replace(levels=maps[:-1], finest=maps[-1]), heatmaps=True)
    losses = model._criterion(model.head, candidates, both.targets, [TASKS, TASKS - {task}])
    sum(loss for name, loss in losses.items() if model.loss_tasks[name] == task).backward()
    reached = [m.grad for m in maps if m.grad is not None]
    assert any(gradient[0].abs().max() > 0 for gradient in reached)
    assert all(gradient[1].abs().max() == 0 for gradient in reached)


def test_an_image_without_the_task_leaves_the_others_losses_as_they_are():
    """A second image that trains identities alone changes no loss of joints but for the number that they are divided by."""
    model = network("MODEL.BACKBONE.NORM", "FrozenBN", "MODEL.FPN.NORM", "GN")
    both = batch()
    one = Batch(both.images[:1], both.targets[:1], [TASKS])
    mixed = Batch(both.images[:1] * 2, both.targets[:1] * 2, [TASKS, frozenset({"identities"})])
    alone, together = model.losses(one), model.losses(mixed)
    torch.testing.assert_close(
        alone["loss_coarse"] * 2, together["loss_coarse"] * 3
    )  # two places, then one image more


def test_ignored_people_and_empty_images_train_nothing_but_the_background():
    model = network()
    targets = [make_targets([10, 10, 50, 90], ignore=[True]), PersonTargets.empty(15)]
    losses = model.losses(Batch([image(), image()], targets, [TASKS] * 2))
    for name, loss in losses.items():
        assert (loss.item() == 0) == (name not in ("loss_cls", "loss_heatmap")), name
        assert torch.isfinite(loss)
    sum(losses.values()).backward()


def test_refining_chosen_cells_is_refining_everywhere():
    model = network().eval()
    with torch.no_grad():
        pyramid = model.backbone(model.preprocess([image(), image(80, 100, 1)])[0])
        candidates = model.head(pyramid)
        cells = torch.tensor([0, 3, 190, len(candidates.grid.strides) - 1])
        chosen = model.head.choose(candidates, torch.tensor([0, 1, 1, 0]), cells)
        refined = model.head.refine(candidates, chosen)
        wanted = []
        for level in pyramid.levels:
            offsets = model.head.coarse(model.head.init_convs(level))
            everywhere = torch.relu(
                embed_poses(model.head.refine_convs(level), offsets, model.head.refine_embedding)
            )
            fine = offsets.flatten(2).transpose(1, 2) + model.head.fine(everywhere.flatten(2).transpose(1, 2))
            wanted.append(fine)
        dense = cell_poses(torch.cat(wanted, dim=1).unflatten(2, (15, 2)), candidates.grid)
    expected = dense[[0, 1, 1, 0], cells]
    torch.testing.assert_close(refined.poses, expected, rtol=0, atol=1e-3)


def test_embeddings_of_chosen_cells_correct_their_scores():
    model = network(*CHOSEN).eval()
    image_of, cell = torch.tensor([0, 0, 0]), torch.tensor([0, 17, 203])
    with torch.no_grad():
        pyramid = model.backbone(model.preprocess([image()])[0])
        candidates = model.head(pyramid)
        logits = model.head.classify(candidates, model.head.choose(candidates, image_of, cell))
        everywhere = [
            embed_poses(model.head.cls_convs(level), model.head.coarse(model.head.init_convs(level)), weight)
            for level in pyramid.levels
            for weight in [model.head.cls_embedding]
        ]
        dense = torch.cat([maps.flatten(2).transpose(1, 2) for maps in everywhere], dim=1)[0, cell].relu()
        corrected = candidates.logits[0, cell] + model.head.correction(dense)[:, 0]
        torch.testing.assert_close(logits, corrected, rtol=0, atol=1e-5)


def test_of_neighbouring_cells_the_best_is_a_candidate():
    with torch.no_grad():
        every = network().eval()
        candidates = every.trunk(every.preprocess([image()])[0])
        first = candidates.logits[0, : 16 * 16].reshape(16, 16)  # of stride 8, padded to 128 pixels
        best = torch.nn.functional.max_pool2d(first[None], 3, 1, 1)[0] == first
        scores = network("MODEL.POSEDET.PEAKS", "True").selection.scores(
            candidates, torch.tensor([[128.0, 128.0]])
        )
    assert 0 < best.sum() < 100
    assert torch.equal(scores[0, : 16 * 16].reshape(16, 16) > 0, best)


def test_a_tenth_of_the_embeddings_gradient_reaches_the_coarse_poses():
    gradients = []
    for share in ("0.1", "1.0"):
        model = network("MODEL.POSEDET.GRADIENT_SHARE", share)
        model.head(model.backbone(model.preprocess([image()])[0])).logits.square().sum().backward()
        gradients.append(model.head.coarse.weight.grad)
    assert gradients[1].abs().max() > 0
    torch.testing.assert_close(gradients[0], 0.1 * gradients[1], rtol=1e-3, atol=1e-9)


def test_targets_of_another_skeleton_and_numbers_that_are_none():
    model = network()
    with pytest.raises(
        ValueError, match="targets of image 0 have 17 joints, but the network's skeleton POSETRACK15 has 15"
    ):
        model.losses(Batch([image()], [PersonTargets.empty(17)], [TASKS]))
    model.head.coarse.weight.data[0] = torch.nan
    with pytest.raises(FloatingPointError, match="coarse poses or scores are not finite"):
        model.losses(batch())


def test_a_training_without_positive_examples_ends_and_says_what_to_do(caplog):
    assert get_cfg().MODEL.POSEDET.COLD_STEPS == 300
    caplog.set_level("INFO", "fastpose_mtn")
    model = network("MODEL.POSEDET.CLS_SEEDS", "False", "MODEL.POSEDET.COLD_STEPS", "3")
    one = batch()
    for _ in range(2):
        model.losses(one)
    with pytest.raises(
        ValueError, match=r"in 3 steps with people no candidate .* Set MODEL\.POSEDET\.CLS_SEEDS True"
    ):
        model.losses(one)
    # of three people, each with a cell of their own
    assert caplog.messages == [
        "cells a step that learn: coarse poses 3.0, refinement 3.0, a positive score 0.0"
    ]
    empty = Batch([image()], [PersonTargets.empty(15)], [TASKS])
    warm = network("MODEL.POSEDET.CLS_SEEDS", "False", "MODEL.POSEDET.COLD_STEPS", "3")
    for _ in range(7):
        warm.losses(empty)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("NECK", "pan", "NECK: expected one of fpn, hrfpn, got 'pan'"),
        ("EMBEDDING", "box", "EMBEDDING: expected one of joints, centre, grid3x3, got 'box'"),
        ("CONV", "3x3", "CONV: expected one of full, separable, got '3x3'"),
        ("CLASSIFY", "best", "CLASSIFY: expected one of everywhere, chosen, got 'best'"),
        ("CANDIDATE_OFFSET", "1.0", "CANDIDATE_OFFSET: expected strides from 0 to below 1, got 1.0"),
        ("BOX", "none", "BOX: expected extent or regressed, got 'none'"),
        ("HEATMAP_LOSS", "l1", "HEATMAP_LOSS: expected focal or l2, got 'l1'"),
        ("BOX_LOSS", "iou", "BOX_LOSS: expected distance or giou, got 'iou'"),
        ("NMS", "soft", "NMS: expected oks or iou, got 'soft'"),
        ("NMS_THRESH", "2.0", "NMS_THRESH: expected a similarity from 0 to 1, got 2.0"),
        ("NMS_TOPK", "0", "NMS_TOPK: expected 1 or more, got 0"),
        ("SCORE", "oks", "SCORE: expected cls or visible, got 'oks'"),
        ("SCORE_THRESH", "2.0", "SCORE_THRESH: expected 0 to 1, got 2.0"),
        ("COARSE_WEIGHT", "-1.0", "COARSE_WEIGHT: expected 0 or more, got -1.0"),
        ("BASE_SCALE", "0.0", "BASE_SCALE: expected a number above 0, got 0.0"),
        ("HEATMAP_SIGMA", "0.0", "HEATMAP_SIGMA: expected a number above 0, got 0.0"),
        ("BOX_MARGINS", "[0.1]", r"BOX_MARGINS: expected four shares, got \[0.1\]"),
    ],
)
def test_values_that_cannot_be(key, value, message):
    with pytest.raises(ValueError, match=f"MODEL.POSEDET.{message}"):
        network(f"MODEL.POSEDET.{key}", value)


@pytest.mark.parametrize("joints", [1, 136])
def test_any_number_of_joints(joints, monkeypatch):
    names = [f"joint{i}" for i in range(joints)]
    one = Skeleton(name="ANY", joints=tuple(names), limbs=(), sigmas=(0.1,) * joints, source="none")
    monkeypatch.setitem(SKELETONS, "ANY", one)
    model = network("MODEL.SKELETON", "ANY")
    targets = [make_targets([10, 10, 50, 90], [60, 20, 100, 90], joints=joints)]
    losses = model.losses(Batch([image()], targets, [TASKS]))
    assert all(torch.isfinite(loss) for loss in losses.values())
    object.__setattr__(model.selection, "score_thresh", 0.0)
    (found,) = model.eval()([image()])
    assert len(found)
    assert found.keypoints.shape[1:] == (joints, 3)
    whole = (found.keypoints[..., :2].min(axis=1) > 5).all(axis=1)  # not at the image's borders
    assert whole.any()
    assert (found.boxes[whole, 2:] > found.boxes[whole, :2]).all()


def test_five_hundred_people():
    boxes = [[i % 90, i % 60, i % 90 + 25, i % 60 + 35] for i in range(500)]
    model = network()
    losses = model.losses(Batch([image()], [make_targets(*boxes, identities=[-1] * 500)], [TASKS]))
    assert all(torch.isfinite(loss) for loss in losses.values())
