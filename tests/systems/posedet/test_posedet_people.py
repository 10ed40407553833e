"""The people that the network and its estimator find."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from small_network import make_targets
from tiny_posedet import posedet_config
from tiny_posedet_network import CHOSEN, exact_candidates, image, network

from fastpose_mtn.build import build_estimator, build_network
from fastpose_mtn.errors import InputError
from fastpose_mtn.ops.pose_nms import oks_nms
from fastpose_mtn.protocols import GivenPersonEstimator, PersonDescriber


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


@pytest.mark.parametrize("options", [(), CHOSEN])
@pytest.mark.parametrize("part", ["score", "coarse", "fine", "visibility"])
def test_numbers_that_are_none_are_not_taken_for_nobody(part, options):
    """As half precision gives them, of weights that are too large for it."""
    model = network(*options, "MODEL.POSEDET.SCORE_THRESH", "0.0").eval()
    torch.nn.init.constant_(getattr(model.head, part).bias, float("nan"))
    with pytest.raises(
        InputError, match="PoseDet: expected finite scores and poses, got NaN .* try --precision fp32"
    ):
        model([image()])


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


@pytest.mark.parametrize("best", range(4))
def test_offsets_that_are_exact_give_the_persons_joints_in_the_frame_after_resizing_and_mirroring(
    best, monkeypatch
):
    """The frame is bright on its left; of the four views, two sizes and their mirror images, one is the surest."""
    options = (
        "TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "[90, 157]", "TEST.AUG.MAX_SIZE", "400", "TEST.POSE_NMS.ENABLED",
        "False", "MODEL.POSEDET.REFINE", "False", "MODEL.POSEDET.BOX", "extent",
    )  # fmt: skip
    cfg = posedet_config(*options)
    estimator = build_estimator(cfg, build_network(cfg).eval(), device="cpu", precision="fp32")
    model, height, width = estimator._model, 118, 139
    target = make_targets([5, 5, 40, 60], [70, 10, 110, 90], [20, 70, 60, 118], [90, 60, 139, 117])
    frame = np.zeros((height, width, 3), np.uint8)
    frame[:, : width // 2] = 255
    preprocess, seen = model.preprocess, []

    def look(images):
        """Leaves the candidates that are exactly right of this view for the network to find."""
        (view,) = images
        _, h, w = view.shape
        is_mirrored = bool(view[..., 0].float().mean() < view[..., -1].float().mean())
        keypoints = target.keypoints * torch.tensor([w / width, h / height, 1.0])
        if is_mirrored:
            keypoints = keypoints[:, list(model.skeleton.flip_permutation)]
            keypoints[..., 0] = w - keypoints[..., 0]
        sure = 2.0 if len(seen) == best else 0.0
        seen.append((h, w, is_mirrored))
        there = SimpleNamespace(trunk=model.trunk, preprocess=preprocess)
        given = exact_candidates(
            there,
            SimpleNamespace(keypoints=keypoints),
            (h, w),
            [3.0 + sure, 4.0 + sure, 2.0 + sure, 1.0 + sure],
        )
        monkeypatch.setattr(estimator, "_trunk", lambda batch: given)
        return preprocess(images)

    monkeypatch.setattr(model, "preprocess", look)
    (found,) = estimator.estimate([frame])
    assert seen == [(90, 106, False), (90, 106, True), (157, 185, False), (157, 185, True)]
    assert found.scores.tolist() == pytest.approx(
        [1 / (1 + np.exp(-logit)) for logit in (6, 5, 4, 3)], abs=1e-6
    )
    np.testing.assert_allclose(
        found.keypoints[..., :2], target.keypoints[[1, 0, 2, 3], :, :2].numpy(), atol=1e-3
    )
    assert (found.boxes[:, :2] <= found.boxes[:, 2:]).all()


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
            model.head.refine(found, model.head.choose(found, torch.zeros_like(cells), cells)).poses
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
