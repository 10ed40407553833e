"""What crosses between rooms: conversion, selection, and a clear error for each wrong field."""

import numpy as np
import pytest
import torch

from fastpose_mtn.structures import TASKS, Batch, PersonDetections, PersonTargets, TrackedPersons, has_area


def detections(n=2, **changes):
    fields = {
        "boxes": np.tile(np.array([0, 0, 10, 20], np.float32), (n, 1)),
        "scores": np.linspace(0.9, 0.5, n, dtype=np.float32),
        "keypoints": np.full((n, 15, 3), 0.5, np.float32),
        "embeddings": np.eye(n, 128, dtype=np.float32),
    }
    return PersonDetections(**{**fields, **changes})


def targets(n=2, **changes):
    fields = {
        "boxes": torch.tensor([[0.0, 0, 10, 20]]).repeat(n, 1),
        "keypoints": torch.full((n, 15, 3), 2.0),
        "identities": torch.arange(n),
        "ignore": torch.zeros(n, dtype=torch.bool),
    }
    return PersonTargets(**{**fields, **changes})


def test_people_are_selected_in_every_field():
    chosen = detections(3)[np.array([2, 0])]
    assert chosen.scores.tolist() == pytest.approx([0.5, 0.9])
    assert chosen.embeddings.argmax(axis=1).tolist() == [2, 0]
    assert len(targets(3)[torch.tensor([True, False, True])]) == 2


def test_a_single_person_is_asked_for_by_a_slice():
    with pytest.raises(TypeError, match="takes a slice, mask or index array, got the integer 1"):
        detections()[1]


@pytest.mark.parametrize("index", [np.array([[0, 1]]), np.array(1), torch.tensor([[True], [False]])])
def test_an_index_has_one_dimension(index):
    with pytest.raises(TypeError, match=f"takes an index of one dimension, got {index.ndim}"):
        detections()[index]


def test_a_tracked_person_is_selected_once():
    people = TrackedPersons(detections(), np.array([4, 7]))
    assert people[np.array([1, 0])].track_ids.tolist() == [7, 4]
    with pytest.raises(ValueError, match="expected unique ids >= 0 within a frame, got \\[7, 7\\]"):
        people[np.array([1, 1])]


def test_numpy_and_torch_and_back():
    there = detections().to("cpu")
    assert isinstance(there.boxes, torch.Tensor)
    assert isinstance(there.numpy().keypoints, np.ndarray)
    tracked = TrackedPersons(there, torch.tensor([4, 7])).numpy()
    assert isinstance(tracked.boxes, np.ndarray)
    assert tracked[np.array([False, True])].track_ids.tolist() == [7]


@pytest.mark.parametrize("kind", [np.array, torch.tensor])
def test_an_ignored_box_may_be_without_area(kind):
    boxes = kind([[0, 0, 9, 9], [4, 1, 4, 9]], dtype=np.float32 if kind is np.array else torch.float32)
    assert has_area(boxes).tolist() == [True, False]
    ignored = {"boxes": torch.as_tensor(boxes), "ignore": torch.tensor([False, True])}
    assert len(targets(**ignored)) == 2


def test_nobody():
    assert len(PersonDetections.empty(15, 128)) == len(PersonTargets.empty(15)) == 0
    assert PersonDetections.empty(15).embeddings is None
    assert PersonDetections.empty(17, 64).embeddings.shape == (0, 64)


@pytest.mark.parametrize(
    ("make", "changes", "expected"),
    [
        (detections, {"boxes": np.zeros((2, 5), np.float32)}, r"PersonDetections\.boxes: expected shape \(\*, 4\)"),
        (detections, {"boxes": np.zeros((2, 4))}, r"expected dtype \(\*, 4\) float32, got \(2, 4\) float64"),
        (detections, {"boxes": [[0, 0, 1, 1]]}, "expected a NumPy array or torch tensor"),
        (detections, {"boxes": np.array([[0, 0, 1, 1], [5, 0, 4, 1]], np.float32)}, "for person 1"),
        (detections, {"scores": np.array([0.5, 1.5], np.float32)}, r"scores: expected values in \[0, 1\]"),
        (detections, {"scores": np.zeros(3, np.float32)}, r"scores: expected shape \(2\) float32, got \(3,\)"),
        (detections, {"keypoints": np.full((2, 15, 3), np.nan, np.float32)}, "NaN or infinity for people"),
        (detections, {"keypoints": np.full((2, 15, 3), 2, np.float32)}, r"keypoints\[\.\.\., 2\]"),
        (detections, {"embeddings": np.zeros((1, 128), np.float32)}, "embeddings: expected shape"),
        (targets, {"boxes": torch.tensor([[0.0, 0, 9, 9], [4, 1, 4, 9]])},
         r"PersonTargets\.boxes: expected a width and a height above 0, got \[4\.0, 1\.0, 4\.0, 9\.0\] for person 1"),
        (targets, {"boxes": torch.tensor([[0.0, 7, 9, 7], [4, 1, 5, 9]])}, "above 0, got .* for person 0; .* set ignore"),
        (targets, {"keypoints": torch.full((2, 15, 3), 3.0)}, "visibility"),
        (targets, {"identities": torch.zeros(2)}, "identities: expected dtype"),
        (targets, {"ignore": torch.zeros(2)}, "ignore: expected dtype"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_named(make, changes, expected):
    with pytest.raises(ValueError, match=expected):
        make(**changes)


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (np.array([1, 1]), "expected unique ids"),
        (np.array([-1, 1]), "ids >= 0"),
        (np.array([1]), "track_ids: expected shape"),
        (np.array([1.0, 2.0], np.float32), "track_ids: expected dtype"),
    ],
)
def test_wrong_ids(ids, expected):
    with pytest.raises(ValueError, match=expected):
        TrackedPersons(detections(), ids)


def test_marks_of_interpolated_people():
    people = TrackedPersons(detections(), np.array([4, 7]), np.array([False, True]))
    assert people[np.array([False, True])].interpolated.tolist() == [True]
    assert TrackedPersons(detections(), np.array([4, 7])).interpolated is None
    with pytest.raises(ValueError, match="interpolated: expected shape"):
        TrackedPersons(detections(), np.array([4, 7]), np.array([True]))


def test_tracked_people_need_detections():
    with pytest.raises(ValueError, match="expected PersonDetections, got PersonTargets"):
        TrackedPersons(targets(), np.array([0, 1]))


def test_best_first_keeps_everyones_fields_together():
    people = PersonDetections(
        boxes=np.arange(12, dtype=np.float32).reshape(3, 4),
        scores=np.array([0.2, 0.9, 0.2], np.float32),
        keypoints=np.zeros((3, 1, 3), np.float32),
        embeddings=np.array([[0.0], [1.0], [2.0]], np.float32),
    ).best_first()
    assert people.scores.tolist() == pytest.approx([0.9, 0.2, 0.2])
    assert people.embeddings.ravel().tolist() == [1, 0, 2]
    assert people.boxes[:, 0].tolist() == [4, 0, 8]


def batch(count):
    images = [torch.full((3, 2, 2), i, dtype=torch.uint8) for i in range(count)]
    return Batch(images, [targets(i) for i in range(count)], [TASKS] * count, left_out=("a.jpg: gone",))


@pytest.mark.parametrize(
    ("images", "parts", "lengths"), [(4, 2, [2, 2]), (4, 3, [1, 1, 2]), (2, 9, [1, 1]), (0, 2, [0])]
)
def test_a_batch_is_split_into_parts_that_keep_each_image_with_its_people(images, parts, lengths):
    split = batch(images).split(parts)
    assert [len(part) for part in split] == lengths
    pairs = [
        (int(i[0, 0, 0]), len(t)) for part in split for i, t in zip(part.images, part.targets, strict=True)
    ]
    assert pairs == [(i, i) for i in range(images)]
    assert [part.left_out for part in split] == [("a.jpg: gone",)] + [()] * (len(lengths) - 1)


def test_a_batch_moves_as_a_whole():
    moved = batch(2).to("meta")
    assert {image.device.type for image in moved.images} == {"meta"}
    assert moved.targets[1].boxes.device.type == "meta"
    assert moved.left_out == ("a.jpg: gone",)


def test_a_batch_of_unequal_lists_or_unknown_tasks():
    whole = batch(2)
    with pytest.raises(
        ValueError, match="Batch: expected as many images as targets and tasks, got 2, 1 and 2"
    ):
        Batch(whole.images, whole.targets[:1], whole.tasks)
    with pytest.raises(ValueError, match=r"Batch\.domains: expected one for each of 2 images, got 1"):
        Batch(whole.images, whole.targets, whole.tasks, domains=["coco"])
    with pytest.raises(
        ValueError, match=r"Batch.tasks: image 1 has unknown tasks \['masks'\]; known: boxes, id"
    ):
        Batch(whole.images, whole.targets, [TASKS, frozenset({"masks"})])
