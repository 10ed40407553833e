"""The only data that crosses between the package's rooms.

Conventions, stated once: boxes are ``xyxy`` in absolute pixels of the image they belong to, in
continuous coordinates: pixel i covers [i, i + 1) and its centre is i + 0.5. Joints use the same
coordinates. Arrays of one object are either all NumPy or all torch; the network's targets are
torch, everything behind the network is NumPy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields, replace
from itertools import pairwise
from typing import Any, TypeVar

import numpy as np
import torch

from fastpose_mtn.array_checks import check_array, check_boxes, check_unit_interval

Array = Any  # np.ndarray or torch.Tensor
TASKS = frozenset({"boxes", "keypoints", "identities"})  # what an image can train
_Self = TypeVar("_Self", bound="_Arrays")


class _Arrays:
    """What the three structures share: checks, length, indexing, conversion."""

    def __len__(self) -> int:
        return len(self.boxes)  # type: ignore[attr-defined]

    def __getitem__(self: _Self, index: Array) -> _Self:
        """The people selected by a slice, a boolean mask or an index array."""
        if isinstance(index, (int, np.integer)):
            raise TypeError(
                f"{type(self).__name__} takes a slice, mask or index array, got the integer {index}"
            )
        if getattr(index, "ndim", 1) != 1:
            raise TypeError(f"{type(self).__name__} takes an index of one dimension, got {index.ndim}")
        return self._map(lambda value: value[index])

    def numpy(self: _Self) -> _Self:
        """The same people as NumPy arrays on the CPU."""
        return self._map(lambda v: v.detach().cpu().numpy() if isinstance(v, torch.Tensor) else v)

    def to(self: _Self, device: torch.device | str = "cpu") -> _Self:
        """The same people as torch tensors on ``device``."""
        return self._map(lambda v: _tensor(v).to(device, non_blocking=True))

    def _map(self: _Self, function: Callable[[Array], Array]) -> _Self:
        """Every array changed to the same values elsewhere, or to some of them: both were checked.

        Another check would be a sixth of a tracker's time for a frame, and a GPU would wait for it.
        """
        changed = {}
        for field in fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            if isinstance(value, _Arrays):
                changed[field.name] = value._map(function)
            elif value is not None:
                changed[field.name] = function(value)
        made = object.__new__(type(self))
        vars(made).update(vars(self), **changed)
        return made


def _tensor(value: Array) -> torch.Tensor:
    """The values as a tensor; memory that cannot be written to is copied, of which PyTorch would warn."""
    return torch.as_tensor(np.require(value, requirements="W") if isinstance(value, np.ndarray) else value)


def has_area(boxes_xyxy: Array) -> Array:
    """(N,) bool: which of (N, 4) boxes, an array or a tensor, have a width and a height above 0."""
    return (boxes_xyxy[:, 2] > boxes_xyxy[:, 0]) & (boxes_xyxy[:, 3] > boxes_xyxy[:, 1])


@dataclass(frozen=True, eq=False)
class PersonTargets(_Arrays):
    """The labelled people of one image.

    Attributes:
        boxes: (N, 4) float32, xyxy, pixels.
        keypoints: (N, K, 3) float32: x, y in pixels and v: 0 unlabelled, 1 labelled and hidden, 2 visible.
        identities: (N,) int64, -1 for a person whose identity is unknown.
        ignore: (N,) bool, true for a crowd, an out-of-range or an unlabelled person: neither a
            positive nor a negative example for any task.

    Raises:
        ValueError: a field has a wrong type, shape or dtype, is not finite, a box is inverted, one that is not
            ignored has no area, or a visibility is not 0, 1 or 2.
    """

    boxes: Array
    keypoints: Array
    identities: Array
    ignore: Array

    def __post_init__(self) -> None:
        check_boxes(self)
        n = len(self.boxes)
        check_array(self, "keypoints", "float32", (n, None, 3))
        check_array(self, "identities", "int64", (n,))
        check_array(self, "ignore", "bool", (n,))
        flat = ~(has_area(self.boxes) | self.ignore)
        if flat.any():
            first = int(np.flatnonzero(np.asarray(flat.tolist()))[0])
            raise ValueError(
                f"PersonTargets.boxes: expected a width and a height above 0, got "
                f"{[round(float(v), 3) for v in self.boxes[first]]} for person {first}; leave the person out, or "
                f"set ignore"
            )
        v = self.keypoints[..., 2]
        if not ((v == 0) | (v == 1) | (v == 2)).all():
            raise ValueError(
                "PersonTargets.keypoints: expected a visibility (last value of a joint) of 0, 1 or 2"
            )

    @classmethod
    def unchecked(cls, *, boxes: Array, keypoints: Array, identities: Array, ignore: Array) -> PersonTargets:
        """Of arrays on a GPU that were checked before they went there: a check would wait for it in every step."""
        made = object.__new__(cls)
        for name, value in (
            ("boxes", boxes), ("keypoints", keypoints), ("identities", identities), ("ignore", ignore),
        ):  # fmt: skip
            object.__setattr__(made, name, value)
        return made

    @classmethod
    def empty(cls, num_keypoints: int) -> PersonTargets:
        """No people, as torch tensors."""
        return cls(
            boxes=torch.zeros(0, 4),
            keypoints=torch.zeros(0, num_keypoints, 3),
            identities=torch.zeros(0, dtype=torch.int64),
            ignore=torch.zeros(0, dtype=torch.bool),
        )


@dataclass(frozen=True, eq=False)
class PersonDetections(_Arrays):
    """The people found in one frame.

    Attributes:
        boxes: (N, 4) float32, xyxy, pixels of the frame.
        scores: (N,) float32 in [0, 1]: how sure it is that here is a person whose joints are where they say.
        keypoints: (N, K, 3) float32: x, y in pixels and a confidence in [0, 1] that tells visible
            joints from hidden ones.
        embeddings: (N, D) float32 identity vectors (D is 128 in the paper), or None where the
            estimator has no identity head.

    Raises:
        ValueError: a field has a wrong type, shape or dtype, is not finite, or is out of range.
    """

    boxes: Array
    scores: Array
    keypoints: Array
    embeddings: Array | None = None

    def __post_init__(self) -> None:
        check_boxes(self)
        n = len(self.boxes)
        check_array(self, "scores", "float32", (n,))
        check_unit_interval(self, "scores", self.scores)
        check_array(self, "keypoints", "float32", (n, None, 3))
        if self.keypoints.shape[1]:
            check_unit_interval(self, "keypoints[..., 2]", self.keypoints[..., 2])
        if self.embeddings is not None:
            check_array(self, "embeddings", "float32", (n, None))

    @classmethod
    def empty(cls, num_keypoints: int, embedding_dim: int | None = None) -> PersonDetections:
        """A frame without people, as NumPy arrays."""
        return cls(
            boxes=np.zeros((0, 4), np.float32),
            scores=np.zeros(0, np.float32),
            keypoints=np.zeros((0, num_keypoints, 3), np.float32),
            embeddings=None if embedding_dim is None else np.zeros((0, embedding_dim), np.float32),
        )

    @classmethod
    def of_boxes(cls, boxes_xyxy: np.ndarray, scores: np.ndarray) -> PersonDetections:
        """People of whom boxes (N, 4) and scores (N,) are known alone, in memory that can be written to, as PyTorch wants."""
        return cls(
            boxes=np.require(boxes_xyxy, np.float32, "W"),
            scores=np.require(scores, np.float32, "W"),
            keypoints=np.zeros((len(boxes_xyxy), 0, 3), np.float32),
        )

    def best_first(self) -> PersonDetections:
        """The same people (NumPy), by falling score; those of equal scores keep their order."""
        return self[np.argsort(-self.scores, kind="stable")]


@dataclass(frozen=True, eq=False)
class TrackedPersons(_Arrays):
    """The people of one frame with their identities over time.

    Attributes:
        detections: the N people.
        track_ids: (N,) int64, unique within the frame, the same person having the same id in every frame.
        interpolated: (N,) bool, who was not found in this frame but placed between two others; None: nobody.

    Raises:
        ValueError: the ids do not fit the people, are negative or are not unique, or the marks do not fit them.
    """

    detections: PersonDetections
    track_ids: Array
    interpolated: Array | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.detections, PersonDetections):
            raise ValueError(
                f"TrackedPersons.detections: expected PersonDetections, got {type(self.detections).__name__}"
            )
        check_array(self, "track_ids", "int64", (len(self.detections),))
        if self.interpolated is not None:
            check_array(self, "interpolated", "bool", (len(self.detections),))
        ids: Sequence[int] = self.track_ids.tolist()
        if len(set(ids)) != len(ids) or min(ids, default=0) < 0:
            raise ValueError(f"TrackedPersons.track_ids: expected unique ids >= 0 within a frame, got {ids}")

    def __len__(self) -> int:
        return len(self.detections)

    def __getitem__(self, index: Array) -> TrackedPersons:
        """The people selected by a slice, a boolean mask or an index array, each once."""
        chosen = super().__getitem__(index)
        chosen.__post_init__()
        return chosen

    @property
    def boxes(self) -> Array:
        """(N, 4) float32 xyxy of the tracked people, pixels; ``detections.boxes``."""
        return self.detections.boxes

    @property
    def scores(self) -> Array:
        """(N,) float32 confidences of the tracked people, in [0, 1]; ``detections.scores``."""
        return self.detections.scores

    @property
    def keypoints(self) -> Array:
        """(N, K, 3) float32 x, y in pixels and a confidence of each joint; ``detections.keypoints``."""
        return self.detections.keypoints

    @property
    def embeddings(self) -> Array | None:
        """(N, E) float32 identity vectors, or None where the network gives none; ``detections.embeddings``."""
        return self.detections.embeddings


@dataclass(frozen=True, eq=False)
class Batch:
    """Labelled images that a network learns from together: a step's, or a part of them.

    Attributes:
        images: each (3, H, W) uint8 RGB: a whole image, or one person's crop where the system trains on crops.
        targets: each image's people, torch, in its pixels.
        tasks: which of ``TASKS`` each image trains; the others get exactly no gradient from it.
        left_out: what is wrong with the images in whose places others stand, usually nothing.
        domains: whose way of labelling each image has, see ``data.dataset.PoseDataset``; (): nobody says.

    Raises:
        ValueError: there are not as many of each, or a task is unknown.
    """

    images: Sequence[torch.Tensor]
    targets: Sequence[PersonTargets]
    tasks: Sequence[frozenset[str]]
    left_out: tuple[str, ...] = ()
    domains: Sequence[str] = ()

    def __post_init__(self) -> None:
        if not len(self.images) == len(self.targets) == len(self.tasks):
            raise ValueError(
                f"Batch: expected as many images as targets and tasks, "
                f"got {len(self.images)}, {len(self.targets)} and {len(self.tasks)}"
            )
        if self.domains and len(self.domains) != len(self.images):
            raise ValueError(
                f"Batch.domains: expected one for each of {len(self.images)} images, got {len(self.domains)}"
            )
        for index, tasks in enumerate(self.tasks):
            if tasks - TASKS:
                raise ValueError(
                    f"Batch.tasks: image {index} has unknown tasks {sorted(tasks - TASKS)}; "
                    f"known: {', '.join(sorted(TASKS))}"
                )

    def __len__(self) -> int:
        return len(self.images)

    def to(self, device: torch.device | str) -> Batch:
        """The same batch on ``device``; from pinned memory without waiting."""
        images = [image.to(device, non_blocking=True) for image in self.images]
        return replace(self, images=images, targets=[target.to(device) for target in self.targets])

    def pin_memory(self) -> Batch:
        """The same batch with its images where a GPU can fetch them; a data loader calls it."""
        return replace(self, images=[image.pin_memory() for image in self.images])

    def split(self, count: int) -> list[Batch]:
        """``count`` parts of as equal length as can be, in order; of fewer images one part each."""
        count = max(1, min(count, len(self)))
        ends = [len(self) * i // count for i in range(count + 1)]
        return [
            Batch(
                self.images[a:b],
                self.targets[a:b],
                self.tasks[a:b],
                left_out=() if a else self.left_out,
                domains=self.domains[a:b],
            )
            for a, b in pairwise(ends)
        ]
