import numpy as np
import pytest
import torch

from fastpose_mtn.errors import InputError
from fastpose_mtn.modeling.freeze import train_only
from fastpose_mtn.structures import TASKS, Batch, PersonTargets
from fastpose_mtn.systems.mtn.network import build_model

NAMES = {
    "loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg", "loss_keypoint", "loss_visibility", "loss_reid",
}  # fmt: skip


def image(height=64, width=96, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (3, height, width), dtype=torch.uint8, generator=generator)


@pytest.fixture
def model(cfg):
    torch.manual_seed(0)
    return build_model(cfg)


def test_training_step_of_differently_sized_images(model, people):
    losses = model.train()(
        [image(64, 96), image(50, 70, 1)], [people([5, 5, 40, 60]), people([20, 2, 60, 45], [0, 0, 20, 40])]
    )
    assert set(losses) == NAMES
    assert all(v.ndim == 0 and torch.isfinite(v) for v in losses.values())
    sum(losses.values()).backward()
    without = [n for n, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert without == []


def test_empty_images_train_and_test(model):
    losses = model.train()([image()] * 2, [PersonTargets.empty(15)] * 2)
    sum(losses.values()).backward()
    assert losses["loss_keypoint"].item() == losses["loss_reid"].item() == 0
    model.roi_heads.box_predictor.score_thresh = 1.0
    found = model.eval()([image(), image(40, 30)])
    assert [len(f) for f in found] == [0, 0]
    assert found[0].keypoints.shape == (0, 15, 3)
    assert found[0].embeddings.shape == (0, 16)


def test_every_parameter_gets_a_zero_gradient_where_no_image_has_a_task(model, people):
    losses = model.train()([image()], [people([5, 5, 40, 60])], [frozenset()])
    total = sum(losses.values())
    assert total.item() == 0
    total.backward()
    for name, p in model.named_parameters():
        assert p.grad is not None, name
        assert p.grad.abs().sum() == 0, name


ALL, NONE = {"boxes", "keypoints", "identities"}, set()
LARGE, SMALL = [4.0, 4.0, 150.0, 150.0], [10.0, 10.0, 40.0, 60.0]  # read from P3 and from P2
MASK_RCNN = [
    "MODEL.ROI_KEYPOINT_HEAD.NAME",
    "KRCNNConvDeconvUpsampleHead",
    "MODEL.ROI_KEYPOINT_HEAD.POOLER_RESOLUTION",
    [14, 14],
]


@pytest.mark.parametrize(
    ("tasks", "boxes", "labels", "options"),
    [
        (ALL, [LARGE], {}, []),
        (ALL, [], {}, []),
        (ALL, [LARGE], {"ignore": [True]}, []),
        (ALL, [LARGE], {"joints": 0}, []),
        (ALL, [SMALL], {"identities": [-1]}, []),
        ({"boxes"}, [LARGE], {}, []),
        ({"boxes"}, [], {}, []),
        ({"keypoints"}, [LARGE], {}, []),
        ({"keypoints"}, [SMALL], {}, []),
        ({"keypoints"}, [], {}, []),
        ({"keypoints"}, [LARGE], {}, MASK_RCNN),
        ({"identities"}, [LARGE], {}, MASK_RCNN),
        ({"identities"}, [LARGE], {}, []),
        ({"boxes", "keypoints"}, [LARGE], {}, ["MODEL.ROI_REID_HEAD.NUM_IDENTITIES", 0]),
        (NONE, [LARGE], {}, []),
        ({"keypoints"}, [LARGE], {}, ["SOLVER.TRAINED_PARTS", ("backbone.fpn_output2",)]),
        ({"keypoints"}, [LARGE], {}, ["SOLVER.TRAINED_PARTS", ("roi_heads.reid_head", "backbone.fpn_lateral2")]),
    ],
)  # fmt: skip
def test_whatever_a_batch_trains_every_trained_parameter_has_a_gradient(
    cfg, people, tasks, boxes, labels, options
):
    """Or distributed training would wait for it. The region proposals read P3 to P6, so P2 is read for regions only."""
    cfg.merge_from_list(["MODEL.RPN.IN_FEATURES", ["p3", "p4", "p5", "p6"], "MODEL.ANCHOR_GENERATOR.SIZES", [[16], [32], [64], [96]], *options])  # fmt: skip
    torch.manual_seed(0)
    model = build_model(cfg).train()
    train_only(model, cfg.SOLVER.TRAINED_PARTS)
    target = people(*boxes, **{k: v for k, v in labels.items() if k != "joints"})
    if "joints" in labels:
        target.keypoints[..., 2] = 0
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    losses = model([image(160, 160)], [target], [frozenset(tasks)])
    for name, loss in losses.items():
        gradients = torch.autograd.grad(loss, list(trained.values()), retain_graph=True)
        assert all(g.isfinite().all() for g in gradients), name
    sum(losses.values()).backward()
    assert [name for name, p in trained.items() if p.grad is None] == []
    assert [name for name, p in model.named_parameters() if p.grad is not None and name not in trained] == []


@pytest.mark.parametrize(
    ("task", "losses"),
    [
        ("boxes", {"loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg"}),
        ("keypoints", {"loss_keypoint", "loss_visibility"}),
        ("identities", {"loss_reid"}),
    ],
)
def test_each_task_alone(model, people, task, losses):
    found = model.train()([image()], [people([5, 5, 40, 60])], [frozenset({task})])
    nonzero = {name for name, value in found.items() if value.item() != 0}
    assert nonzero <= losses
    assert nonzero - {"loss_rpn_loc", "loss_box_reg"} == losses - {"loss_rpn_loc", "loss_box_reg"}


def test_people_found_in_a_batch_are_those_found_alone(model):
    """Padding to a common size changes nothing within the image (the networks' borders see zeros)."""
    model.eval()
    a, b = image(64, 96), image(64, 64, 1)
    together, alone = model([a, b]), model([a])
    np.testing.assert_allclose(together[0].boxes, alone[0].boxes, atol=1e-3)
    np.testing.assert_allclose(together[0].keypoints, alone[0].keypoints, atol=1e-2)
    for found, (height, width) in zip(together, ((64, 96), (64, 64)), strict=True):
        assert len(found)
        assert found.boxes.min() >= 0
        assert (found.boxes[:, 2:] <= [width, height]).all()
        assert found.boxes.dtype == found.keypoints.dtype == found.embeddings.dtype == np.float32
        np.testing.assert_allclose(np.linalg.norm(found.embeddings, axis=1), 1, atol=1e-5)


def test_preprocessing_normalises_and_pads_to_multiples_of_32(model):
    batch, sizes = model.preprocess([torch.full((3, 33, 64), 255, dtype=torch.uint8), image(20, 65)])
    assert batch.shape == (2, 3, 64, 96)
    assert sizes == [(33, 64), (20, 65)]
    assert batch[0, 0, 0, 0].item() == pytest.approx((255 - 123.675) / 58.395)
    assert batch[0, :, 33:].abs().sum() == batch[0, :, :, 64:].abs().sum() == 0


def test_bgr_weights_see_channels_reversed(cfg):
    cfg.INPUT.FORMAT = "BGR"
    cfg.MODEL.PIXEL_MEAN, cfg.MODEL.PIXEL_STD = [1.0, 2.0, 3.0], [1.0, 1.0, 1.0]
    red = torch.zeros(3, 32, 32)
    red[0] = 10
    batch, _ = build_model(cfg).preprocess([red])
    assert batch[0, :, 0, 0].tolist() == [-1, -2, 7]


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_bfloat16_autocast(model, people, mode):
    with torch.autocast("cpu", torch.bfloat16):
        if mode == "train":
            losses = model.train()([image()], [people([5, 5, 40, 60])])
            assert {v.dtype for v in losses.values()} == {torch.float32}
            sum(losses.values()).backward()
            assert all(torch.isfinite(p.grad).all() for p in model.parameters() if p.grad is not None)
        else:
            assert model.eval()([image()])[0].boxes.dtype == np.float32


def test_heads_can_be_left_out(cfg, people):
    cfg.MODEL.KEYPOINT_ON = cfg.MODEL.REID_ON = False
    model = build_model(cfg)
    losses = model.train()([image()], [people([5, 5, 40, 60])])
    assert set(losses) == {"loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg"}
    found = model.eval()([image()])[0]
    assert found.embeddings is None
    assert found.keypoints.shape[1:] == (0, 3)


def test_a_step_learns(model, people):
    """The losses of one image fall when it is trained on."""
    torch.manual_seed(0)
    target = people([5, 5, 40, 60], [50, 10, 80, 60])
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    model.train()
    totals = []
    for _ in range(12):
        total = sum(model([image()], [target]).values())
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        totals.append(total.item())
    assert min(totals[-3:]) < 0.8 * totals[0]


def test_state_dict_is_named_as_detectron2s(model):
    roots = {".".join(name.split(".")[:2]) for name in model.state_dict()}
    assert roots == {
        "backbone.bottom_up", *(f"backbone.fpn_{kind}{i}" for kind in ("lateral", "output") for i in range(2, 6)),
        "proposal_generator.rpn_head", "roi_heads.box_head", "roi_heads.box_predictor",
        "roi_heads.keypoint_head", "roi_heads.reid_head",
    }  # fmt: skip


def test_a_step_does_not_validate_labels_again(model, people, monkeypatch):
    """They were when they were made; on a GPU each check would wait for it."""
    batch = Batch([image()], [people([5, 5, 40, 60], [0, 0, 0, 0], ignore=[False, True])], [TASKS])
    checks = []
    monkeypatch.setattr(PersonTargets, "__post_init__", lambda self: checks.append(self))
    losses = model.train().losses(batch.to("cpu"))
    assert set(losses) == NAMES
    assert checks == []


def test_a_person_outside_the_image_makes_no_anchor_positive(model, people):
    losses = model.train()([image()], [people([500, 500, 540, 560])])
    assert losses["loss_rpn_loc"].item() == losses["loss_box_reg"].item() == 0
    assert all(torch.isfinite(v) for v in losses.values())


@pytest.mark.parametrize("flat", [[5, 5, 5, 60], [5, 60, 40, 60]])
def test_a_person_without_area_is_refused_before_the_loss_is_infinite(model, people, flat):
    with pytest.raises(
        ValueError, match=r"boxes: expected a width and a height above 0, got .* for person 1"
    ):
        model.train()([image()], [people([5, 5, 40, 60], flat)])


def test_bad_input(model, cfg, people):
    with pytest.raises(ValueError, match="training needs targets"):
        model.train()([image()])
    with pytest.raises(ValueError, match="as many images as targets and tasks, got 2, 1 and 2"):
        model([image()] * 2, [people([5, 5, 40, 60])])
    with pytest.raises(ValueError, match=r"image 0 has unknown tasks \['masks'\]"):
        model([image()], [people([5, 5, 40, 60])], [frozenset({"masks"})])
    with pytest.raises(ValueError, match="targets of image 0 have 17 joints, but .* POSETRACK15 has 15"):
        model([image()], [people([5, 5, 40, 60], joints=17)])
    cfg.MODEL.SKELETON = "COCO17"
    with pytest.raises(ValueError, match="NUM_KEYPOINTS is 15, but MODEL.SKELETON COCO17 has 17 joints"):
        build_model(cfg)


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("RPN.IN_FEATURES", ["p9"], "RPN.IN_FEATURES: expected some of the backbone's levels p2, "),
        ("ROI_HEADS.IN_FEATURES", [], "ROI_HEADS.IN_FEATURES: expected some of the backbone's levels p2, "),
        ("RPN.IOU_THRESHOLDS", [0.7, 0.3], "RPN.IOU_THRESHOLDS: expected overlaps that rise"),
        (
            "ROI_HEADS.IOU_THRESHOLDS",
            [0.5, 0.6],
            "ROI_HEADS.IOU_LABELS: expected 0, -1 or 1 for each of the 3 ranges",
        ),
        (
            "ROI_HEADS.IOU_LABELS",
            [0, 2],
            "ROI_HEADS.IOU_LABELS: expected 0, -1 or 1 for each of the 2 ranges",
        ),
        ("RPN.CONV_DIMS", [], "RPN.CONV_DIMS: expected channels of 1 convolution or more"),
        ("RPN.CONV_DIMS", [0], "RPN.CONV_DIMS: expected channels of 1 convolution or more"),
    ],
)
def test_levels_overlaps_and_convolutions_that_cannot_be_meant_are_named(cfg, key, value, expected):
    cfg.merge_from_list([f"MODEL.{key}", value])
    with pytest.raises(InputError, match=f"MODEL.{expected}"):
        build_model(cfg)


@pytest.mark.parametrize("classes", [0, 2, 80])
def test_people_are_the_only_class(cfg, classes):
    """More classes trained the first of them only, and all were reported as people."""
    cfg.MODEL.ROI_HEADS.NUM_CLASSES = classes
    with pytest.raises(
        ValueError, match=f"NUM_CLASSES is {classes}, but MTNROIHeads finds people only: set it to 1"
    ):
        build_model(cfg)
