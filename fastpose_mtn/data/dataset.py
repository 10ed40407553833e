"""What a dataset promises: labelled images, and whatever else can be measured on them."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np

from fastpose_mtn.data.json_fields import JsonObject
from fastpose_mtn.data.posetrack.sequence import PoseTrackSequence
from fastpose_mtn.data.sample import LabelledImage
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonTargets

if TYPE_CHECKING:  # it imports this module
    from fastpose_mtn.data.coco.ground_truth import CocoLabels

FRAME_RATE = 30.0  # frames a second of PoseTrack's sequences, whose files do not say


@dataclass(frozen=True, eq=False)
class LabelledSequence:
    """F frames of one scene or video.

    Attributes:
        name: unique within the dataset.
        images: (F,) PoseTrack18's records of the frames, in order.
        indices: (F,) of each frame the image of the dataset, -1 where it is none of them: not labelled.
        times_s: (F,) in seconds of video. Of a drawn dataset with a stride, frames are so much further apart.
        truth: the labels; None where they come with the images, see ``LabelledImage.posetrack``.
    """

    name: str
    images: tuple[JsonObject, ...]
    indices: tuple[int, ...]
    times_s: tuple[float, ...]
    truth: PoseTrackSequence | None


@dataclass(frozen=True, eq=False)
class PersonSearchQuery:
    """One person to find, and where to look.

    Attributes:
        image_id: the image that shows the person; never one of the matches.
        box: (4,) xyxy, pixels: the person there.
        gallery: the images to search.
        matches: for each gallery image that shows the person, the person's box there, (4,) xyxy.
        identity: the person's number among the labels; -1 where a protocol does not give it.
    """

    image_id: str
    box: np.ndarray
    gallery: Sequence[str]
    matches: Mapping[str, np.ndarray]
    identity: int = -1


class PoseDataset(Protocol):
    """Labelled images by index.

    Whoever derives from it has to say what has no default here.

    Attributes:
        name: as in ``DATASETS``.
        skeleton: of its people, the dataset's own: ``data/transforms/joints.py`` converts to the network's.
        tasks: what its images train.
    """

    name: str
    skeleton: Skeleton
    tasks: frozenset[str]

    @property
    def domain(self) -> str:
        """Whose way of labelling it is: datasets of one domain are labelled alike."""
        return self.name.partition("?")[0]

    @property
    @abstractmethod
    def num_identities(self) -> int:
        """Identities are -1 or lie in [0, num_identities)."""
        ...

    @property
    def group_sizes(self) -> np.ndarray:
        """(G,) images in each group of consecutive indices that are cheap to read together."""
        return np.ones(len(self), np.int64)

    @abstractmethod
    def __len__(self) -> int:
        """How many images there are."""
        ...

    @abstractmethod
    def __getitem__(self, index: int) -> LabelledImage:
        """An image with its people.

        Raises:
            ValueError, OSError: it cannot be read; the text names the file.
        """
        ...

    @abstractmethod
    def image_size_wh(self, index: int) -> tuple[int, int]:
        """Of an image that is not read for it; (1, 1) where nobody knows."""
        ...

    def image_id(self, index: int) -> int:
        """Of an image: unique within the dataset."""
        return index

    def image_file(self, index: int) -> Path | None:
        """Where an image lies; None: it is drawn when it is asked for."""
        return None

    def targets(self, index: int) -> PersonTargets:
        """The labelled people of an image, NumPy, in ``skeleton``; of an image in a file without reading it."""
        return self[index].targets

    def annotations_file(self, skeleton: Skeleton) -> Path | None:
        """The one COCO file of the labels, which gives the official numbers of people found in ``skeleton``.

        They are compared with it as it is, in the dataset's own skeleton. None: there is no such file, or it has
        joints that ``skeleton`` lacks, or that no sigmas are known of.
        """
        return None

    def coco_labels(self) -> CocoLabels:
        """The labels of ``annotations_file``, whose images go by ``image_id``.

        Raises:
            InputError: the dataset is none of one COCO file.
        """
        raise InputError(f"dataset {self.name}: its labels are not one COCO file")

    @property
    def has_sequences(self) -> bool:
        """Whether ``sequences`` gives any; reads no file."""
        return False

    def sequences(
        self, *, warn: Callable[[str], None], frame_rate: float = FRAME_RATE
    ) -> list[LabelledSequence]:
        """The labelled sequences that the images belong to; none where they belong to none.

        Args:
            warn: takes one line of text for each oddity of a file.
            frame_rate: of sequences in files, a second; drawn ones know theirs.

        Raises:
            InputError: a file holds something else than one sequence; names the file.
        """
        return []

    def queries(self, gallery_size: int | None) -> list[PersonSearchQuery] | None:
        """The people of the dataset's own search protocol; None: it has none.

        Images go by the name of their file, or by their number where they are in none.

        Args:
            gallery_size: images a query, where the protocol leaves a choice; None: all others.

        Raises:
            ValueError: a file of the protocol cannot be used.
        """
        return None
