"""The network's losses and the people that it finds."""

import numpy as np
import pytest
import torch
from small_network import make_targets
from tiny_posedet import posedet_config

from fastpose_mtn.build import build_estimator, build_network
from fastpose_mtn.ops.pose_embedding import embed_poses
from fastpose_mtn.ops.pose_nms import oks_nms
from fastpose_mtn.protocols import GivenPersonEstimator, PersonDescriber
from fastpose_mtn.skeletons import SKELETONS, Skeleton
from fastpose_mtn.structures import TASKS, Batch, PersonTargets
from fastpose_mtn.system_protocols import TrainableNetwork
from fastpose_mtn.systems.posedet.grid import cell_poses

EASY = ["MODEL.POSEDET.OKS_REFINE_LOW", "0.0"]  # so that untrained poses are refined
CHOSEN = ("MODEL.POSEDET.CLASSIFY", "chosen", "MODEL.POSEDET.CONV", "separable")
BRANCHES = {
    "loss_cls",
    "loss_box_reg",
    "loss_coarse",
    "loss_fine",
    "loss_heatmap",
    "loss_visibility",
    "loss_reid",
}


def image(height=96, width=128, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)


def network(*options):
    torch.manual_seed(0)
    return build_network(posedet_config("MODEL.ROI_REID_HEAD.NUM_IDENTITIES", "5", *EASY, *options))


def batch(tasks=TASKS):
    targets = [make_targets([10, 10, 50, 90], [60, 20, 100, 90]), make_targets([20, 5, 60, 70])]
    return Batch([image(), image(80, 100, 1)], targets, [tasks] * 2)


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
        chosen = model.head.refine(
            candidates,
            torch.tensor([0, 1, 1, 0]),
            torch.tensor([0, 3, 190, len(candidates.grid.strides) - 1]),
        )
        wanted = []
        for level in pyramid.levels:
            offsets = model.head.coarse(model.head.init_convs(level))
            everywhere = torch.relu(
                embed_poses(model.head.refine_convs(level), offsets, model.head.refine_embedding)
            )
            fine = offsets.flatten(2).transpose(1, 2) + model.head.fine(everywhere.flatten(2).transpose(1, 2))
            wanted.append(fine)
        dense = cell_poses(torch.cat(wanted, dim=1).unflatten(2, (15, 2)), candidates.grid)
    expected = dense[[0, 1, 1, 0], [0, 3, 190, len(candidates.grid.strides) - 1]]
    torch.testing.assert_close(chosen.poses, expected, rtol=0, atol=1e-3)


def test_embeddings_of_chosen_cells_correct_their_scores():
    model = network(*CHOSEN).eval()
    image_of, cell = torch.tensor([0, 0, 0]), torch.tensor([0, 17, 203])
    with torch.no_grad():
        pyramid = model.backbone(model.preprocess([image()])[0])
        candidates = model.head(pyramid)
        logits = model.head.classify(candidates, image_of, cell)
        everywhere = [
            embed_poses(model.head.cls_convs(level), model.head.coarse(model.head.init_convs(level)), weight)
            for level in pyramid.levels
            for weight in [model.head.cls_embedding]
        ]
        dense = torch.cat([maps.flatten(2).transpose(1, 2) for maps in everywhere], dim=1)[0, cell].relu()
        corrected = candidates.logits[0, cell] + model.head.correction(dense)[:, 0]
        torch.testing.assert_close(logits, corrected, rtol=0, atol=1e-5)


def test_a_correction_decides_who_is_reported():
    """A cell that scores 0.12 at first may come to 0.5, and one that scores 0.5 to 0.12; a least score is of the last."""
    model = network(*CHOSEN, "MODEL.POSEDET.REFINE", "False").eval()
    target = make_targets([5, 5, 40, 60], [70, 10, 110, 90], [20, 70, 60, 118], [90, 60, 139, 117])
    for change, expected in ((2.0, [0.7311, 0.5]), (-2.0, [0.2689, 0.1192])):
        torch.nn.init.zeros_(model.head.correction.weight)
        torch.nn.init.constant_(model.head.correction.bias, change)
        with torch.no_grad():
            candidates = exact_candidates(
                model, target, (118, 139), [-1.0, -9.0, -2.0, -9.0] if change > 0 else [1.0, -9.0, 0.0, -9.0]
            )
            (found,) = model.find_people(candidates, [(118, 139)])
            (sure,) = model.find_people(candidates, [(118, 139)], min_score=expected[0] - 0.01)
        assert found.scores.tolist() == pytest.approx(expected, abs=1e-4)
        assert sure.scores.tolist() == pytest.approx(expected[:1], abs=1e-4)


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


def exact_candidates(model, target, sizes_hw, scores):
    """Candidates whose coarse poses are exactly the people's, at the cells that are nearest to them."""
    candidates = model.trunk(model.preprocess([torch.zeros(3, *sizes_hw, dtype=torch.uint8)])[0])
    grid, logits = candidates.grid, torch.full_like(candidates.logits, -9)
    coarse = candidates.coarse.clone()
    for person, (keypoints, level) in enumerate(zip(target.keypoints, (8, 16, 32, 64), strict=True)):
        cells = torch.nonzero(grid.strides == level)[:, 0]
        at = keypoints[:, :2].mean(dim=0)
        cell = cells[(grid.xy[cells] - at).square().sum(dim=1).argmin()]
        logits[0, cell] = scores[person]
        index = (keypoints[:, :2] - 0.5) / level
        coarse[0, cell] = index.flip(-1) - grid.yx[cell]
    return candidates._replace(coarse=coarse, logits=logits)


def test_offsets_that_are_exact_give_the_persons_joints_at_every_level():
    model = network("MODEL.POSEDET.REFINE", "False", "MODEL.POSEDET.BOX", "extent").eval()
    target = make_targets([5, 5, 40, 60], [70, 10, 110, 90], [20, 70, 60, 118], [90, 60, 139, 117])
    with torch.no_grad():
        candidates = exact_candidates(model, target, (118, 139), [3.0, 4.0, 2.0, 1.0])
        (found,) = model.find_people(candidates, [(118, 139)])
    assert len(found) == 4
    for person, wanted in zip([1, 0, 2, 3], range(4), strict=True):
        np.testing.assert_allclose(
            found.keypoints[wanted, :, :2], target.keypoints[person, :, :2].numpy(), atol=1e-3
        )
    assert (np.diff(found.scores) < 0).all()
    # boxes hold their joints and end at the image's borders
    assert (found.boxes[:, None, :2] <= found.keypoints[..., :2] + 1e-3).all()
    assert found.boxes.max() <= 139
    assert found.boxes[:, 3].max() <= 118


def test_candidates_offset_moves_everybody_alike_and_reads_the_same_features():
    here, moved = (
        network("MODEL.POSEDET.CANDIDATE_OFFSET", offset, "MODEL.POSEDET.SCORE_THRESH", "0.0").eval()
        for offset in ("0.0", "0.25")
    )
    pixels = here.preprocess([image()])[0]
    with torch.no_grad():
        one, other = here.trunk(pixels), moved.trunk(pixels)
        assert torch.equal(one.logits, other.logits)
        cells = torch.arange(len(one.grid.strides))
        poses, shifted = (
            model.head.refine(found, torch.zeros_like(cells), cells).poses
            for model, found in ((here, one), (moved, other))
        )
        torch.testing.assert_close(shifted, poses + 0.25 * one.grid.strides[:, None, None])
        finest = here.backbone.finest_stride
        vectors = here.head.describe(one, cells[:5] * 0, poses[:5])
        assert vectors is not None
        again = moved.head.describe(other, cells[:5] * 0, poses[:5] + 0.25 * finest)
    torch.testing.assert_close(again, vectors)


def test_a_person_found_twice_is_reported_once_and_in_order_of_scores():
    model = network("MODEL.POSEDET.REFINE", "False").eval()
    target = make_targets(*[[20, 20, 60, 90]] * 4)
    target.keypoints[:] = target.keypoints[:1].clone()
    with torch.no_grad():
        (found,) = model.find_people(
            exact_candidates(model, target, (118, 139), [1.0, 2.0, 3.0, 0.0]), [(118, 139)]
        )
        (few,) = model.find_people(
            exact_candidates(model, target, (118, 139), [1.0, 2.0, 3.0, 0.0]), [(118, 139)], min_score=0.97
        )
    assert len(found) == 1
    assert found.scores[0] == pytest.approx(1 / (1 + np.exp(-3)))
    assert len(few) == 0


def test_the_estimator_finds_what_the_network_finds_in_frames_of_any_size():
    cfg = posedet_config(
        "MODEL.POSEDET.SCORE_THRESH", "0.0", "MODEL.POSEDET.NMS_TOPK", "60", "TEST.POSE_NMS.ENABLED", "False"
    )
    torch.manual_seed(0)
    model = build_network(cfg).eval()
    estimator = build_estimator(cfg, model, device="cpu", precision="fp32")
    frames = [image(seed=1), image(40, 33, 2), image(1, 1, 3)]
    found = estimator.estimate([frame.permute(1, 2, 0).numpy() for frame in frames])
    for frame, people in zip(frames, found, strict=True):
        (wanted,) = model([frame])
        assert people.embeddings.shape == (len(people), 8)
        flat = (wanted.boxes[:, 2:] > wanted.boxes[:, :2]).all(
            axis=1
        )  # the adapter leaves out boxes without area
        np.testing.assert_allclose(people.keypoints, wanted.keypoints[flat], atol=1e-3)
        np.testing.assert_allclose(people.scores, wanted.scores[flat], atol=1e-5)
    assert len(found[0])
    (high,) = estimator.estimate(
        [frames[0].permute(1, 2, 0).numpy()], min_score=float(np.median(found[0].scores))
    )
    assert 0 < len(high) < len(found[0])
    np.testing.assert_allclose(high.scores, found[0].scores[: len(high)], atol=1e-6)


def test_people_in_given_boxes_are_the_candidates_that_look_most_like_them():
    model = network("MODEL.POSEDET.REFINE", "False").eval()
    target = make_targets([5, 5, 40, 60], [70, 10, 110, 90], [20, 70, 60, 118], [90, 60, 139, 117])
    order = torch.tensor([2, 0, 3, 1])
    with torch.no_grad():
        candidates = exact_candidates(model, target, (118, 139), [3.0, 4.0, 2.0, 1.0])
        found = model.selection.locate(
            model.head, candidates, target.boxes[order], torch.tensor([1.0, 0.5, 1.0, 1.0]), (118, 139)
        )
    np.testing.assert_allclose(found.keypoints[..., :2], target.keypoints[order, :, :2].numpy(), atol=1e-3)
    assert found.scores.tolist() == pytest.approx([0.8808, 0.4763, 0.7311, 0.9820], abs=1e-4)
    assert found.boxes.tolist() == target.boxes[order].tolist()


def test_the_estimator_locates_and_describes_given_people():
    cfg = posedet_config()
    torch.manual_seed(0)
    estimator = build_estimator(cfg, build_network(cfg), device="cpu", precision="fp32")
    assert isinstance(estimator, PersonDescriber)
    assert isinstance(estimator, GivenPersonEstimator)
    frame = image().permute(1, 2, 0).numpy()
    boxes = np.array([[10.0, 5, 60, 90], [200, 200, 210, 210]], np.float32)
    people = estimator.estimate_given(frame, boxes, np.ones(2, np.float32))
    assert (people.boxes.tolist(), people.keypoints.shape) == (boxes.tolist(), (2, 15, 3))
    np.testing.assert_allclose(np.linalg.norm(estimator.describe(frame, boxes), axis=1), 1, atol=1e-5)
    assert estimator.describe(frame, boxes[:0]).shape == (0, 8)


def test_several_views_are_merged_by_poses():
    """Boxes of two people that overlap stay apart, as their poses differ; the mirror image's joints change sides."""
    cfg = posedet_config(
        "TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "[64, 96]", "MODEL.POSEDET.SCORE_THRESH", "0.0",
        "MODEL.POSEDET.NMS_TOPK", "20", "TEST.POSE_NMS.ENABLED", "False",
    )  # fmt: skip
    torch.manual_seed(0)
    estimator = build_estimator(cfg, build_network(cfg), device="cpu", precision="fp32")
    assert len(estimator.frames.views) == 4
    given = []
    object.__setattr__(estimator.frames, "merge", lambda people: given.append(people) or people[:3])
    (found,) = estimator.estimate([image().permute(1, 2, 0).numpy()])
    assert len(found) == 3
    assert len(given[0]) > 20  # of four views, at most 20 each
    cfg.merge_from_list(["MODEL.POSEDET.NMS_THRESH", "0.0"])
    estimator = build_estimator(cfg, build_network(cfg), device="cpu", precision="fp32")
    (kept,) = estimator.estimate([image().permute(1, 2, 0).numpy()])
    alone = oks_nms(kept.keypoints, kept.scores, np.array(estimator.skeleton.sigmas), threshold=0.0)
    assert len(alone) == len(kept) < 80


def test_targets_of_another_skeleton_and_numbers_that_are_none():
    model = network()
    with pytest.raises(
        ValueError, match="targets of image 0 have 17 joints, but the network's skeleton POSETRACK15 has 15"
    ):
        model.losses(Batch([image()], [PersonTargets.empty(17)], [TASKS]))
    model.head.coarse.weight.data[0] = torch.nan
    with pytest.raises(FloatingPointError, match="coarse poses or scores are not finite"):
        model.losses(batch())


def test_a_training_without_positive_examples_ends_and_says_what_to_do():
    model = network("MODEL.POSEDET.CLS_SEEDS", "False", "MODEL.POSEDET.COLD_STEPS", "3")
    one = batch()
    for _ in range(2):
        model.losses(one)
    with pytest.raises(
        ValueError, match=r"in 3 steps with people no candidate .* Set MODEL\.POSEDET\.CLS_SEEDS True"
    ):
        model.losses(one)
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
