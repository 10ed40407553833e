"""The protocol of measures, by which both engines evaluate a network on a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import numpy as np

from fastpose_mtn.data.sample import DrawnLabels
from fastpose_mtn.structures import PersonDetections, PersonTargets


@dataclass(frozen=True, eq=False)
class EvaluatedImage:
    """One image of a test dataset, without its pixels.

    Attributes:
        index: in the dataset.
        image_id: in the dataset's file.
        size_hw: pixels.
        targets: the labelled people, NumPy, in the image's pixels.
        posetrack: see ``LabelledImage.posetrack``.
        describe: gives identity vectors (N, E) of boxes (N, 4) xyxy in the image's pixels; None where the
            network has none to give.
    """

    index: int
    image_id: int
    size_hw: tuple[int, int]
    targets: PersonTargets
    posetrack: DrawnLabels | None = None
    describe: Callable[[np.ndarray], np.ndarray] | None = None


Entry = TypeVar("Entry")


class Measure(Protocol[Entry]):
    """Metrics of one kind: each process makes an entry of each of its images, one evaluates those of all."""

    def entry(self, image: EvaluatedImage, found: PersonDetections) -> Entry:
        """What is kept of an image; can be pickled.

        Args:
            image: images come in the dataset's order, a process's share of them without a gap.
            found: the people found in it, NumPy.
        """
        ...

    def reset(self) -> None:
        """Forgets the images; a new measure has none."""
        ...

    def evaluate(self, entries: Sequence[Entry]) -> dict[str, float]:
        """Metrics by ``KIND/NAME``; NaN where there was nothing to measure, {} where nothing applies.

        Args:
            entries: of all images, in the dataset's order.
        """
        ...
