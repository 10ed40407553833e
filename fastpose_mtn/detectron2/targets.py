"""Labelled people as Detectron2's ``Instances``, and back.

Fields beside Detectron2's ``gt_boxes``, ``gt_classes`` and ``gt_keypoints``: ``gt_identities`` (N,) int64, -1
unknown; ``gt_ignore`` (N,) bool; ``gt_tasks``, what the image trains. All three may be absent.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from detectron2.structures import Boxes, Instances, Keypoints

from fastpose_mtn.structures import PersonTargets


@dataclass(frozen=True)
class ImageTasks:
    """What an image trains, as a field of its ``Instances``, which may hold nobody.

    Attributes:
        tasks: some of "boxes", "keypoints", "identities".
        count: people in the image: a field must have their number.
    """

    tasks: frozenset[str]
    count: int

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, item: slice | torch.Tensor | list[int]) -> ImageTasks:
        return ImageTasks(self.tasks, len(torch.arange(self.count)[torch.as_tensor(item).cpu()]))

    def to(self, *args: object, **kwargs: object) -> ImageTasks:
        """The object itself: it holds no tensor to move to a device."""
        return self


def to_instances(
    targets: PersonTargets, image_size_hw: tuple[int, int], tasks: frozenset[str] | None = None
) -> Instances:
    """The labelled people of an image as Detectron2's ``Instances``.

    Args:
        targets: torch tensors.
        image_size_hw: of the image that they are in.
        tasks: None: whatever there are labels for.
    """
    instances = Instances(image_size_hw)
    instances.gt_boxes = Boxes(targets.boxes)
    instances.gt_classes = torch.zeros(len(targets), dtype=torch.int64, device=targets.boxes.device)
    instances.gt_keypoints = Keypoints(targets.keypoints)
    instances.gt_identities = targets.identities
    instances.gt_ignore = targets.ignore
    if tasks is not None:
        instances.gt_tasks = ImageTasks(tasks, len(targets))
    return instances


def to_targets(instances: Instances, num_keypoints: int) -> PersonTargets:
    """The labelled people of Detectron2's ``Instances``, the inverse of ``to_instances``.

    Args:
        instances: with ``gt_boxes``; ``gt_keypoints``, ``gt_identities`` and ``gt_ignore`` may be absent.
        num_keypoints: K of the network; without ``gt_keypoints`` all joints are unlabelled.

    Raises:
        ValueError: the instances have another number of joints, or, on a CPU, values that are no labels.
    """
    boxes = instances.gt_boxes.tensor.float()
    count, device = len(boxes), boxes.device
    keypoints = boxes.new_zeros(count, num_keypoints, 3)
    if instances.has("gt_keypoints"):
        keypoints = instances.gt_keypoints.tensor.float()
        if keypoints.shape[1] != num_keypoints:
            raise ValueError(
                f"gt_keypoints have {keypoints.shape[1]} joints, but MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS is "
                f"{num_keypoints}; set MODEL.SKELETON and it to the dataset's"
            )
    identities = torch.full((count,), -1, dtype=torch.int64, device=device)
    ignore = torch.zeros(count, dtype=torch.bool, device=device)
    # On the way to a GPU nobody asks us; there a check would wait for it twice in every step and image.
    make = PersonTargets if device.type == "cpu" else PersonTargets.unchecked
    return make(
        boxes=boxes,
        keypoints=keypoints,
        identities=instances.gt_identities if instances.has("gt_identities") else identities,
        ignore=instances.gt_ignore if instances.has("gt_ignore") else ignore,
    )


def tasks_of(instances: Instances) -> frozenset[str]:
    """What the image trains: as it says, or whatever it has labels for."""
    if instances.has("gt_tasks"):
        return instances.gt_tasks.tasks
    fields = {"boxes": "gt_boxes", "keypoints": "gt_keypoints", "identities": "gt_identities"}
    return frozenset(task for task, field in fields.items() if instances.has(field))
