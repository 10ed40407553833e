import pytest
import torch

from fastpose_mtn.modeling.pooler import RoIPooler
from fastpose_mtn.modeling.rpn import Proposals
from fastpose_mtn.structures import PersonTargets
from fastpose_mtn.systems.mtn.person_branches import first_per_image
from fastpose_mtn.systems.mtn.roi_heads import MTNROIHeads

SIZES = [(64, 96), (64, 96)]
ALL = frozenset({"boxes", "keypoints", "identities"})
LOSSES = {
    "boxes": ("loss_cls", "loss_box_reg"),
    "keypoints": ("loss_keypoint", "loss_visibility"),
    "identities": ("loss_reid",),
}


@pytest.fixture
def heads(cfg):
    torch.manual_seed(0)
    return MTNROIHeads.from_config(cfg, 8)


def features(batch=2):
    torch.manual_seed(1)
    return {f"p{i}": torch.randn(batch, 8, 256 >> i, 256 >> i, requires_grad=True) for i in range(2, 6)}


def boxes(*xyxy):
    return torch.tensor(xyxy, dtype=torch.float32).reshape(-1, 4)


def proposals(*xyxy):
    return Proposals(boxes(*xyxy), torch.zeros(len(xyxy)))


PERSON, OTHER, NOWHERE = [10, 5, 40, 60], [50, 10, 90, 60], [60, 0, 64, 4]


def test_sampling(heads, people):
    targets = [people(PERSON, OTHER), people(PERSON)]
    samples = heads.sample([boxes(NOWHERE, [11, 6, 41, 61]), boxes(NOWHERE)], targets)
    assert samples.image.tolist() == sorted(samples.image.tolist())
    # the labelled boxes are proposals too; people are numbered through the batch
    first = {
        (tuple(b), p, i)
        for b, p, pos, i in zip(
            samples.boxes_xyxy.tolist(), samples.person.tolist(), samples.positive.tolist(), samples.image.tolist(),
            strict=True,
        )
        if pos
    }  # fmt: skip
    assert (tuple(map(float, PERSON)), 0, 0) in first
    assert ((11.0, 6.0, 41.0, 61.0), 0, 0) in first
    assert (tuple(map(float, OTHER)), 1, 0) in first
    assert (tuple(map(float, PERSON)), 2, 1) in first
    assert len(first) == 4
    assert (~samples.positive).sum() == 2


def test_ignored_people_are_not_proposed(heads, people):
    samples = heads.sample([boxes(PERSON, NOWHERE)], [people(PERSON, OTHER, ignore=[True, False])])
    assert samples.boxes_xyxy[samples.positive].tolist() == [list(map(float, OTHER))]
    assert samples.boxes_xyxy[~samples.positive].tolist() == [list(map(float, NOWHERE))]


@pytest.mark.parametrize("lacking", sorted(ALL))
def test_image_without_a_task_gives_it_exactly_no_gradient(heads, people, lacking):
    maps = features()
    targets = [people(PERSON, OTHER), people(PERSON, OTHER, seed=1)]
    props = [proposals(NOWHERE, PERSON)] * 2
    losses = heads.losses(maps, props, targets, [ALL, ALL - {lacking}])
    for task, names in LOSSES.items():
        grads = torch.autograd.grad(
            sum(losses[n] for n in names), list(maps.values()), retain_graph=True, allow_unused=True
        )
        by_image = sum(g.abs().sum(dim=(1, 2, 3)) for g in grads if g is not None)
        assert by_image[0] > 0
        assert (by_image[1] == 0) == (task == lacking)


def test_batch_without_a_task_has_the_same_losses_of_zero(heads, people):
    losses = heads.losses(features(), [proposals(NOWHERE)] * 2, [people(PERSON)] * 2, [frozenset()] * 2)
    assert losses == {name: 0 for names in LOSSES.values() for name in names}


def test_loss_of_a_task_does_not_depend_on_images_without_it(heads, people):
    """One image alone and beside another that trains nothing: the same losses."""
    maps = features()
    props, target = proposals(PERSON, OTHER), people(PERSON, OTHER)
    alone = heads.losses({k: v[:1] for k, v in maps.items()}, [props], [target], [ALL])
    beside = heads.losses(maps, [props, props], [target, people(PERSON)], [ALL, frozenset()])
    for name, value in alone.items():
        assert beside[name].item() == pytest.approx(value.item(), rel=1e-5), name


def test_unknown_identities_and_unlabelled_joints_do_not_train(heads, people):
    target = people(PERSON, identities=[-1])
    keypoints = target.keypoints.clone()
    keypoints[..., 2] = 0
    unlabelled = PersonTargets(
        boxes=target.boxes, keypoints=keypoints, identities=target.identities, ignore=target.ignore
    )
    losses = heads.losses(features(1), [proposals(NOWHERE)], [unlabelled], [ALL])
    assert (
        losses["loss_reid"].item() == losses["loss_keypoint"].item() == losses["loss_visibility"].item() == 0
    )
    assert losses["loss_cls"].item() > 0


def test_ignored_people_train_no_head(heads, people):
    maps = features(1)
    target = people(PERSON, OTHER, ignore=[True, True])
    losses = heads.losses(maps, [proposals(PERSON, OTHER, [12, 8, 38, 50])], [target], [ALL])
    assert sum(losses.values()).item() == 0


def test_nobody(heads):
    empty = PersonTargets.empty(15)
    losses = heads.losses(features(1), [proposals(NOWHERE)], [empty], [ALL])
    assert losses["loss_cls"].item() > 0
    assert losses["loss_reid"].item() == losses["loss_keypoint"].item() == losses["loss_box_reg"].item() == 0
    sum(losses.values()).backward()


def test_no_proposals_at_all(heads):
    losses = heads.losses(features(1), [proposals()], [PersonTargets.empty(15)], [ALL])
    assert sum(losses.values()).item() == 0
    people = heads.eval().inference(features(), [proposals()] * 2, SIZES)
    assert people.counts == [0, 0]
    assert people.keypoints.shape == (0, 15, 3)
    assert people.embeddings.shape == (0, 16)


def test_first_rows_of_each_image():
    rows, image = torch.tensor([4, 5, 6, 9, 11, 12]), torch.tensor([0, 0, 0, 2, 2, 3])
    assert first_per_image(rows, image, 2).tolist() == [4, 5, 9, 11, 12]
    assert first_per_image(rows[:0], image[:0], 2).tolist() == []


def test_limit_of_trained_proposals(heads, people):
    """With a limit of one a person of each image trains joints."""
    heads.keypoint_head.batch_size_per_image = 1
    seen = []
    heads.keypoint_head.register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    heads.losses(features(), [proposals(PERSON, OTHER)] * 2, [people(PERSON, OTHER)] * 2, [ALL] * 2)
    assert seen == [2]


def test_heads_see_reported_boxes_only(heads):
    seen = []
    heads.keypoint_head.register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    heads.eval()
    people = heads.inference(features(), [proposals(PERSON, OTHER, PERSON, NOWHERE)] * 2, SIZES)
    assert seen == [sum(people.counts)]
    assert people.counts == [3, 3]  # the duplicate is suppressed


def test_boxes_below_a_score_are_not_described(heads):
    """They have suppressed the duplicate until then; at a score that nobody has nobody is left, as where nobody is."""
    heads.eval()
    given = features(), [proposals(PERSON, OTHER, PERSON, NOWHERE)] * 2, SIZES
    seen = []
    heads.keypoint_head.register_forward_hook(lambda _, args, __: seen.append(len(args[0])))
    boxes = []
    describe = heads.describe
    heads.describe = lambda *args: boxes.append(args[2]) or describe(*args)
    everyone = heads.inference(*given)
    (score,) = boxes
    least = float(score.detach().median())
    some = heads.inference(*given, least)
    above = score >= least
    assert seen == [6, int(above.sum())]
    assert 0 < seen[1] < 6
    assert some.counts == [int(one.sum()) for one in above.split(3)]
    for name in ("boxes_xyxy", "scores", "keypoints", "embeddings"):
        torch.testing.assert_close(getattr(some, name), getattr(everyone, name)[above])
    nobody = heads.inference(*given, 1.0)
    assert nobody.counts == [0, 0]
    assert nobody.embeddings.shape == (0, 16)


def test_given_boxes_are_described_in_order(heads):
    heads.eval()
    boxes = torch.tensor([PERSON, OTHER], dtype=torch.float32)
    both = heads.describe(features(1), boxes, torch.ones(2), [2])
    swapped = heads.describe(features(1), boxes.flip(0), torch.ones(2), [2])
    torch.testing.assert_close(both.keypoints, swapped.keypoints.flip(0))
    torch.testing.assert_close(both.embeddings, swapped.embeddings.flip(0))


def test_unknown_pooler():
    with pytest.raises(ValueError, match="expected ROIAlign or ROIAlignV2, got 'ROIPool'"):
        RoIPooler(output_size_hw=(7, 7), min_level=2, max_level=5, pooler_type="ROIPool")
