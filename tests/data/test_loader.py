import gc
import os
from collections import Counter
from itertools import islice

import numpy as np
import pytest
import torch

from fastpose_mtn.data.loader import (
    AugmentedImages,
    LoadFailure,
    TrainingBatches,
    build_training_loader,
    collate,
)
from fastpose_mtn.data.sample import TASKS, LabelledImage
from fastpose_mtn.data.transforms.augment import RandomColor
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonTargets


class Squares:
    """Images of one colour, the index; every image shows the persons 0 and -1."""

    domain = "squares"

    def __init__(self, name, count, group=1, bad=()):
        self.name, self.tasks, self.num_identities, self._count = name, TASKS, 3, count
        self.skeleton = POSETRACK15
        self.group_sizes = np.full(count // group, group)
        self._bad = bad

    def __len__(self):
        return self._count

    def image_size_wh(self, index):
        return (8, 4) if index % 2 else (4, 8)

    def __getitem__(self, index):
        if index in self._bad:
            raise ValueError(f"image {index}: cut short")
        targets = PersonTargets(
            boxes=np.array([[0, 0, 4, 4]] * 2, np.float32),
            keypoints=np.zeros((2, 15, 3), np.float32),
            identities=np.array([index % 3, -1]),
            ignore=np.zeros(2, bool),
        )
        return LabelledImage(np.full((8, 8, 3), index, np.uint8), targets, TASKS, index, str(index))


def batches(count, **options):
    sizes = options.pop("group_sizes", [1] * 10)
    return list(islice(TrainingBatches(np.array(sizes), **{"batch_size": 4, "seed": 1, **options}), count))


def indices(many):
    return [index for batch in many for index, _ in batch]


def test_an_epoch_shows_each_image_once():
    drawn = indices(batches(5))  # 20 draws from 10 images
    assert sorted(drawn[:10]) == list(range(10))
    assert sorted(drawn[10:]) == list(range(10))
    assert drawn[:10] != drawn[10:]


def test_draws_are_numbered_and_follow_from_the_seed():
    assert [number for batch in batches(3) for _, number in batch] == list(range(12))
    assert batches(5) == batches(5)
    assert indices(batches(5)) != indices(batches(5, seed=2))


def test_a_resumed_run_goes_on_where_it_was():
    assert batches(4, start_step=6) == batches(10)[6:]


def test_processes_share_each_batch():
    whole = batches(4)
    shares = [batches(4, rank=rank, world_size=2) for rank in (0, 1)]
    assert [a + b for a, b in zip(*shares, strict=True)] == whole


def test_images_of_a_scene_come_together_and_differ():
    drawn = indices(batches(9, group_sizes=[6, 6, 6], run_length=2, batch_size=2))  # one epoch: 9 visits
    pairs = [drawn[i : i + 2] for i in range(0, 18, 2)]
    assert all(a // 6 == b // 6 and a != b for a, b in pairs)
    assert Counter(a // 6 for a, _ in pairs) == {0: 3, 1: 3, 2: 3}


def test_landscape_and_portrait_do_not_mix():
    landscape = np.arange(10) % 3 == 0
    for batch in batches(20, landscape=landscape):
        assert len({bool(landscape[index]) for index, _ in batch}) == 1


def test_weights_share_the_images_among_datasets():
    """A large, a small and a scene dataset at 2 : 1 : 1, whatever their sizes and the images a visit draws."""
    options = {
        "group_sizes": [1] * 700 + [1] * 20 + [40] * 5,
        "dataset_of_group": np.repeat([0, 1, 2], [700, 20, 5]),
        "weights": (2.0, 1.0, 1.0),
        "run_length": 4,
    }
    drawn = np.array(indices(batches(1000, **options)))
    shares = np.histogram(drawn, [0, 700, 720, 920])[0] / len(drawn)
    np.testing.assert_allclose(shares, [0.5, 0.25, 0.25], atol=0.04)
    small = drawn[(drawn >= 700) & (drawn < 720)].tolist()
    assert all(sorted(small[i : i + 20]) == list(range(700, 720)) for i in range(0, len(small) - 20, 20))
    large = drawn[drawn < 700]
    assert len(set(large[:700].tolist())) == 700
    assert batches(4, start_step=6, **options) == batches(10, **options)[6:]


def test_without_weights_every_image_counts_the_same():
    options = {"group_sizes": [1] * 8, "dataset_of_group": np.array([0] * 6 + [1] * 2)}
    assert batches(6, **options) == batches(6, group_sizes=[1] * 8)
    assert sorted(indices(batches(2, **options))) == list(range(8))


@pytest.mark.parametrize(
    ("weights", "text"),
    [
        ((1.0,), "DATASETS.TRAIN_WEIGHTS has 1 numbers, expected one for each of the 2 datasets"),
        ((1.0, 0.0), r"DATASETS.TRAIN_WEIGHTS: expected numbers above 0, got \[1.0, 0.0\]"),
        ((1.0, float("nan")), "expected numbers above 0"),
    ],
)
def test_weights_that_mean_nothing(weights, text):
    with pytest.raises(ValueError, match=text):
        batches(1, weights=weights, dataset_of_group=np.array([0] * 5 + [1] * 5))


def test_batches_that_cannot_be():
    with pytest.raises(ValueError, match="SOLVER.IMS_PER_BATCH is 4, expected a positive multiple .* 3"):
        batches(1, world_size=3)
    with pytest.raises(ValueError, match="DATASETS.TRAIN has no images"):
        batches(1, group_sizes=[])


def test_identities_of_the_second_dataset_go_on_after_the_first():
    images = AugmentedImages([Squares("a", 4), Squares("b", 4)], [], seed=0, skeleton=POSETRACK15)
    assert images.num_identities == 6
    assert len(images) == 8
    assert images[1, 0].targets.identities.tolist() == [1, -1]
    assert images[4 + 2, 0].targets.identities.tolist() == [3 + 2, -1]
    assert images[6, 0].image.unique().tolist() == [2]


def test_workers_do_not_change_what_is_seen():
    def epoch(num_workers):
        images = AugmentedImages(
            [Squares("a", 12, group=4)], [RandomColor(strength=0.5)], seed=3, skeleton=POSETRACK15
        )
        order = TrainingBatches(images.group_sizes, batch_size=4, seed=3, run_length=2)
        loader = build_training_loader(images, order, num_workers=num_workers, pin_memory=False)
        return list(islice(loader, 4))

    alone, helped = epoch(0), epoch(2)
    assert [len(batch) for batch in alone] == [4] * 4
    for a, b in zip(alone, helped, strict=True):
        assert torch.equal(torch.stack(a.images), torch.stack(b.images))
        assert a.images[0].shape == (3, 8, 8)
        for mine, theirs in zip(a.targets, b.targets, strict=True):
            assert torch.equal(mine.identities, theirs.identities)


def test_the_same_image_changes_from_draw_to_draw():
    images = AugmentedImages([Squares("a", 200)], [RandomColor(strength=0.5)], seed=0, skeleton=POSETRACK15)
    assert not torch.equal(images[100, 1].image, images[100, 2].image)
    assert torch.equal(images[100, 1].image, images[100, 1].image)


def test_what_is_changed_as_training_goes_on_knows_the_draw():
    seen = []

    def remember(image, rng):
        seen.append(image.draw)
        return image

    images = AugmentedImages([Squares("a", 8)], [remember], seed=0, skeleton=POSETRACK15)
    order = TrainingBatches(images.group_sizes, batch_size=4, seed=0, start_step=3)
    for draw in next(iter(order)):
        images[draw]
    assert seen == [12, 13, 14, 15]


def test_an_unreadable_image_comes_back_as_a_message():
    images = AugmentedImages([Squares("mine", 4, bad=(2,))], [], seed=0, skeleton=POSETRACK15)
    assert images[2, 0] == LoadFailure("dataset mine: image 2: cut short")


@pytest.mark.parametrize("skip_bad", [False, True])
def test_a_batch_with_an_unreadable_image_is_its_message_or_says_what_was_left_out(skip_bad):
    bad = [Squares("mine", 4, bad=(2,))]
    images = AugmentedImages(bad, [], seed=0, skeleton=POSETRACK15, skip_bad=skip_bad)
    samples = [images[1, 0], images[2, 1]]
    batch = collate(samples)
    if skip_bad:
        assert (len(batch), batch.tasks) == (2, [TASKS, TASKS])
        assert batch.left_out == samples[1].left_out != ()
    else:
        assert batch == samples[1]


def test_an_unreadable_image_can_be_left_out():
    images = AugmentedImages(
        [Squares("mine", 4, bad=(1, 2)), Squares("other", 4)], [], seed=0, skeleton=POSETRACK15, skip_bad=True
    )
    samples = [images[2, number] for number in range(30)]
    assert {sample.image_id for sample in samples} == {0, 3}  # of the same dataset, so that its share stays
    assert all(sample.left_out[0] == "dataset mine: image 2: cut short" for sample in samples)
    assert {len(sample.left_out) for sample in samples} > {1}  # another one may be unreadable too
    assert images[2, 7].image_id == samples[7].image_id
    assert images[3, 0].left_out == ()
    none = AugmentedImages(
        [Squares("gone", 4, bad=range(4))], [], seed=0, skeleton=POSETRACK15, skip_bad=True
    )
    assert isinstance(none[0, 0], LoadFailure)


def test_groups_know_their_dataset():
    images = AugmentedImages([Squares("a", 4), Squares("b", 6, group=3)], [], seed=0, skeleton=POSETRACK15)
    assert images.dataset_of_group.tolist() == [0, 0, 0, 0, 1, 1]


class Collected(Squares):
    """Reading an image collects garbage."""

    def __getitem__(self, index):
        gc.collect()
        return super().__getitem__(index)


def test_a_worker_frees_nothing_that_its_parent_left(tmp_path):
    class Left:
        def __init__(self):
            self.itself = self

        def __del__(self):
            (tmp_path / str(os.getpid())).touch()

    images = AugmentedImages([Collected("a", 12, group=4)], [], seed=3, skeleton=POSETRACK15)
    order = TrainingBatches(images.group_sizes, batch_size=4, seed=3)
    gc.disable()
    try:
        Left()
        list(islice(build_training_loader(images, order, num_workers=1, pin_memory=False), 2))
    finally:
        gc.enable()
    gc.collect()
    assert [path.name for path in tmp_path.iterdir()] == [str(os.getpid())]
