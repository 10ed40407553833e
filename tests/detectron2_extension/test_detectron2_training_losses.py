import pytest
import torch
from detectron2_helpers import ALL, BATCH, SIZES, people, random_image

pytest.importorskip("detectron2", reason="Detectron2 is not installed")

from detectron2.structures import Instances
from detectron2.utils.events import EventStorage

from fastpose_mtn.detectron2.targets import to_instances, to_targets


def both_losses(ours, theirs, tasks, batch=BATCH, sizes=SIZES):
    images = [random_image(h, w, seed=h + w) for h, w in sizes]
    ours.train()
    theirs.train()
    torch.manual_seed(5)
    mine = ours(images, batch, tasks)
    inputs = [
        {"image": image, "instances": to_instances(target, size, task)}
        for image, target, size, task in zip(images, batch, sizes, tasks, strict=True)
    ]
    torch.manual_seed(5)
    with EventStorage():
        other = theirs(inputs)
    return mine, other


@pytest.mark.parametrize(
    "tasks",
    [
        [ALL] * 3,
        [frozenset({"keypoints"}), frozenset({"boxes"}), frozenset({"identities"})],
        [frozenset({"identities"}), ALL, frozenset({"boxes", "keypoints"})],
        [frozenset()] * 3,
    ],
)
def test_losses_and_gradients_are_the_default_hosts(small, tasks):
    # the default host's RoIAlign on a CPU is its own where samples are counted
    ours, theirs, _ = small(confident=False)
    mine, other = both_losses(ours, theirs, tasks)
    assert set(mine) == set(other)
    for name, loss in mine.items():
        assert float(other[name]) == pytest.approx(float(loss), rel=1e-4, abs=1e-6), name
    sum(mine.values()).backward()
    sum(other.values()).backward()
    gradients = dict(ours.named_parameters())
    for name, parameter in theirs.named_parameters():
        assert parameter.grad is not None, name  # or distributed training would wait for it
        expected = gradients[name].grad
        # rounding moves features across ReLU's corners, which batch statistics spread
        assert (parameter.grad - expected).norm() <= 0.02 * expected.norm() + 1e-7, name


def test_an_absent_task_has_a_gradient_of_exactly_zero(small):
    ours, theirs, _ = small(confident=False)
    only_boxes, no_boxes = frozenset({"boxes"}), frozenset({"keypoints", "identities"})
    _, losses = both_losses(ours, theirs, [only_boxes] * 3)
    (losses["loss_keypoint"] + losses["loss_visibility"] + losses["loss_reid"]).backward()
    assert all(p.grad is None or not p.grad.any() for p in theirs.parameters())
    theirs.zero_grad()
    _, losses = both_losses(ours, theirs, [no_boxes] * 3)
    boxes = [losses[n] for n in ("loss_rpn_cls", "loss_rpn_loc", "loss_cls", "loss_box_reg")]
    assert all(float(loss) == 0 for loss in boxes)
    sum(boxes).backward()
    assert all(p.grad is None or not p.grad.any() for p in theirs.parameters())


def test_ignored_people_do_not_change_the_losses(small):
    """Where anchors and proposals that touch an ignored person are left out, its box's size does not matter."""
    _, theirs, _ = small(confident=False)
    instances = to_instances(BATCH[0], SIZES[0], ALL)
    anchors = theirs.proposal_generator.anchor_generator(
        [torch.zeros(1, 16, 96 >> i, 128 >> i) for i in range(2, 7)]
    )
    theirs.proposal_generator.batch_size_per_image = 100_000
    with EventStorage():
        (label,), (matched,) = theirs.proposal_generator.label_and_sample_anchors(anchors, [instances])
    valid = BATCH[0].boxes[:2]
    assert (label == 1).any()
    assert all((valid == box).all(dim=1).any() for box in matched[label == 1])
    boxes = torch.cat([a.tensor for a in anchors])
    inside = (boxes[:, :2] >= torch.tensor([20.0, 20.0])).all(1) & (
        boxes[:, 2:] <= torch.tensor([100.0, 70.0])
    ).all(1)
    assert not (label[inside] == 0).any()


def test_detectron2s_own_labels_train_what_they_have(small):
    """Instances of Detectron2's mapper know neither tasks nor identities."""
    _, theirs, _ = small(confident=False)
    instances = to_instances(BATCH[0], SIZES[0])
    for name in ("gt_identities", "gt_ignore"):
        instances.remove(name)
    theirs.train()
    with EventStorage():
        losses = theirs([{"image": random_image(*SIZES[0]), "instances": instances}])
    assert losses["loss_keypoint"] > 0
    assert losses["loss_cls"] > 0
    assert losses["loss_reid"] == 0


def test_labels_survive_the_way_there_and_back():
    again = to_targets(to_instances(BATCH[0], SIZES[0], ALL).to("cpu"), 15)
    for name in ("boxes", "keypoints", "identities", "ignore"):
        torch.testing.assert_close(getattr(again, name), getattr(BATCH[0], name))
    with pytest.raises(ValueError, match="gt_keypoints have 15 joints, but .*NUM_KEYPOINTS is 17"):
        to_targets(to_instances(BATCH[0], SIZES[0]), 17)
    assert to_instances(BATCH[0], SIZES[0], ALL)[torch.tensor([True, False, True])].gt_tasks.count == 2
    assert isinstance(to_instances(people(), (4, 4), ALL), Instances)


def test_no_label_is_looked_at_behind_the_cpu():
    """On a GPU each look would wait for it; the device "meta" has no values to look at."""
    away = to_targets(to_instances(BATCH[0], SIZES[0], ALL).to("meta"), 15)
    assert away.boxes.device.type == away.ignore.device.type == "meta"
    assert len(away) == len(BATCH[0])
    wrong = to_instances(BATCH[0], SIZES[0], ALL)
    wrong.gt_boxes.tensor = wrong.gt_boxes.tensor[:, [0, 1, 0, 3]]
    with pytest.raises(ValueError, match="expected a width and a height above 0"):
        to_targets(wrong, 15)
