"""An image with its labels, before and after it is made ready for the network."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from fastpose_mtn.data.posetrack.people import PoseTrackPeople
from fastpose_mtn.data.posetrack.sequence import PoseTrackFrame
from fastpose_mtn.structures import TASKS, PersonTargets

DrawnLabels = tuple[PoseTrackFrame, PoseTrackPeople]


def parse_tasks(text: str) -> frozenset[str]:
    """``"boxes+keypoints"``: what images train.

    Raises:
        ValueError: there is none, or one is unknown.
    """
    tasks = frozenset(text.replace("+", " ").split())
    if not tasks or tasks - TASKS:
        raise ValueError(f"tasks are {sorted(tasks)}, expected some of {sorted(TASKS)}")
    return tasks


@dataclass(frozen=True, eq=False)
class LabelledImage:
    """What a dataset gives and an augmentation changes; everything is NumPy.

    Attributes:
        image: (H, W, 3) uint8 RGB.
        targets: the labelled people, NumPy, in the image's pixels; in the dataset's own skeleton until
            ``transforms/joints.py`` converts them, then in the network's.
        tasks: which of ``TASKS`` the dataset has labels for.
        image_id: unique within the dataset.
        file_name: for messages and results.
        posetrack: PoseTrack's labels of a drawn test image, which are in no file; None elsewhere.
        focus: number of the person whom a sample is about, where it is about one; None: all, or anyone.
        draw: the how manieth image of a training it is, from 0; of what is changed as it goes on.
    """

    image: np.ndarray
    targets: PersonTargets
    tasks: frozenset[str]
    image_id: int
    file_name: str
    posetrack: DrawnLabels | None = None
    focus: int | None = None
    draw: int = 0

    def ready(self) -> TrainingSample:
        """The same image as the network takes it."""
        return TrainingSample(
            # Channels last in memory, as the network takes its batch: turning it round would copy it twice.
            image=torch.from_numpy(np.ascontiguousarray(self.image)).permute(2, 0, 1),
            targets=self.targets.to("cpu"),
            tasks=self.tasks,
            image_id=self.image_id,
            file_name=self.file_name,
        )


@dataclass(frozen=True, eq=False)
class TrainingSample:
    """One image of a training batch; everything is torch.

    Attributes:
        image: (3, H, W) uint8 RGB.
        targets: the labelled people, torch, in the image's pixels.
        tasks: the tasks this image trains; the others get exactly no gradient from it.
        image_id: unique within the dataset.
        file_name: for messages and results.
        left_out: what is wrong with the images in whose place this one stands, usually nothing.
        domain: whose way of labelling it is, see ``PoseDataset``; "": nobody says.
    """

    image: torch.Tensor
    targets: PersonTargets
    tasks: frozenset[str] = TASKS
    image_id: int = 0
    file_name: str = ""
    left_out: tuple[str, ...] = ()
    domain: str = ""
