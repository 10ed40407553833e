"""``crops://FOLDER``: pictures of single people, drawn as collages, train and test identities."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from fastpose_mtn.data.address import read_address, size_wh, whole_number, whole_range
from fastpose_mtn.data.crops.collage import pairs_together, people_apart, place
from fastpose_mtn.data.crops.folder import read_background_folder, read_crop_folder
from fastpose_mtn.data.crops.search import SeenPerson, queries_across_cameras
from fastpose_mtn.data.dataset import PersonSearchQuery, PoseDataset
from fastpose_mtn.data.image_file import read_image
from fastpose_mtn.data.problems import Problems
from fastpose_mtn.data.sample import LabelledImage, parse_tasks
from fastpose_mtn.data.synthetic.backgrounds import paint_background
from fastpose_mtn.data.synthetic.scenery import PLACES
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import skeleton_of
from fastpose_mtn.structures import PersonTargets

CROPS_FORM = "crops://FOLDER[?size=WxH][&people=N][&images=M][&backgrounds=FOLDER][&split=A-B][&seed=S][&tasks=T+T][&domain=D]"
_SMALLEST_SIDE = 64  # pixels of a collage
_INSET = (0.06, 0.03)  # of a crop's width and height, on each side: a crop is cut out around its person
_PARSERS: dict[str, Callable[[str], Any]] = {
    "size": size_wh,
    "people": whole_number,
    "images": whole_number,
    "backgrounds": Path,
    "split": whole_range,
    "seed": whole_number,
    "tasks": parse_tasks,
    "domain": str,
}


@dataclass(frozen=True)
class CropsSpec:
    """What ``CROPS_FORM`` says; every part but the folder has a default.

    Attributes:
        folder: one folder a person in it, see ``crops.folder``.
        size: of a collage, width and height, pixels.
        people: crops in a collage.
        images: collages; 0: as many as show every crop once. In testing no more than that.
        backgrounds: a folder of photographs without people; None: painted places.
        split: positions of the first and last person, sorted by name, from 0 up; None: all.
        seed: of who stands where in front of what.
        tasks: what the collages train.
        domain: see ``PoseDataset``; "": the dataset's name.
    """

    folder: Path
    size: tuple[int, int] = (640, 480)
    people: int = 10
    images: int = 0
    backgrounds: Path | None = None
    split: tuple[int, int] | None = None
    seed: int = 0
    tasks: frozenset[str] = frozenset({"identities"})
    domain: str = ""

    @classmethod
    def parse(cls, name: str) -> CropsSpec:
        """Reads a dataset's name.

        Raises:
            InputError: a part is unknown, unreadable or means nothing; names it.
        """
        folder, values = read_address(name, _PARSERS, CROPS_FORM)
        if not folder:
            raise InputError(f"dataset {name}: it names no folder; expected {CROPS_FORM}")
        spec = cls(Path(folder), **values)
        if min(spec.size) < _SMALLEST_SIDE:
            width, height = spec.size
            raise InputError(
                f"dataset {name}: size: expected at least {_SMALLEST_SIDE}x{_SMALLEST_SIDE} pixels, got "
                f"{width}x{height}"
            )
        if spec.people < 1:
            raise InputError(f"dataset {name}: people: expected 1 or more in a collage, got {spec.people}")
        if "keypoints" in spec.tasks:
            raise InputError(
                f"dataset {name}: tasks: crops of people have no joints; expected boxes, identities or both"
            )
        return spec


class CropsDataset(PoseDataset):
    """Collages of person crops, each made from its number and the seed alone when it is asked for.

    In training two crops of a person stand in one collage, where the person has so many; in testing each crop
    stands in one collage and a person at most once in each, so that people can be searched for.

    Args:
        name: as in ``DATASETS``.
        problems: where what is wrong with the folder is counted; without it, it is logged.

    Raises:
        InputError: the folders cannot be used; names them.
    """

    skeleton = skeleton_of(())  # nobody's joints are known

    def __init__(
        self,
        name: str,
        spec: CropsSpec,
        *,
        training: bool,
        problems: Problems | None = None,
    ) -> None:
        self.name, self.spec, self.tasks = name, spec, spec.tasks
        found = problems or Problems()
        self.crops = read_crop_folder(spec.folder, spec.split, name, found)
        if problems is None:
            found.log(name)
        self.backgrounds = [] if spec.backgrounds is None else read_background_folder(spec.backgrounds, name)
        identities = np.array([crop.identity for crop in self.crops], np.int64)
        self.people_count = int(identities[-1]) + 1
        if training:
            count = spec.images or -(-len(self.crops) // spec.people)
            self._collages = pairs_together(identities, collages=count, people=spec.people, seed=spec.seed)
        else:
            self._collages = people_apart(identities, people=spec.people, seed=spec.seed)
            self._collages = self._collages[: spec.images or None]

    @property
    def domain(self) -> str:
        """Whose way of labelling it is: the address's ``domain``, or else the dataset's name."""
        return self.spec.domain or super().domain

    @property
    def num_identities(self) -> int:
        """People in the folder; 0 where the dataset does not train identities."""
        return self.people_count if "identities" in self.tasks else 0

    def __len__(self) -> int:
        return len(self._collages)

    def image_size_wh(self, index: int) -> tuple[int, int]:
        """The size of every collage, pixels."""
        return self.spec.size

    def targets(self, index: int) -> PersonTargets:
        """The people of a collage with their boxes in its pixels; no crop is read for it."""
        crops, rectangles = self._layout(index)
        return self._targets(crops, rectangles)

    def __getitem__(self, index: int) -> LabelledImage:
        if not 0 <= index < len(self):
            raise IndexError(f"dataset {self.name}: image {index} of {len(self)}")
        crops, rectangles = self._layout(index)
        image = self._background(np.random.default_rng([self.spec.seed, index, 1]))
        for crop, (x1, y1, x2, y2) in zip(crops, rectangles.tolist(), strict=True):
            image[y1:y2, x1:x2] = _resized(read_image(self.crops[crop].path), (x2 - x1, y2 - y1))
        return LabelledImage(
            image=image,
            targets=self._targets(crops, rectangles),
            tasks=self.tasks,
            image_id=index,
            file_name=f"collage {index}",
        )

    def queries(self, gallery_size: int | None) -> list[PersonSearchQuery]:
        """Each person from each camera, see ``queries_across_cameras``; images by their number."""
        people = []
        for image in range(len(self)):
            crops, rectangles = self._layout(image)
            boxes = _boxes(rectangles)
            people += [
                SeenPerson(image, self.crops[crop].identity, self.crops[crop].camera, box)
                for crop, box in zip(crops, boxes, strict=True)
            ]
        return queries_across_cameras(people, len(self), gallery_size)

    def _layout(self, index: int) -> tuple[list[int], np.ndarray]:
        """The crops of a collage and their rectangles, (N, 4) int64 xyxy; who found no room is not among them."""
        crops = self._collages[index]
        rng = np.random.default_rng([self.spec.seed, index, 0])
        rectangles = place([self.crops[crop].size_wh for crop in crops], self.spec.size, rng)
        found = rectangles[:, 2] > 0
        return crops[found].tolist(), rectangles[found]

    def _targets(self, crops: list[int], rectangles: np.ndarray) -> PersonTargets:
        return PersonTargets(
            boxes=_boxes(rectangles),
            keypoints=np.zeros((len(crops), 0, 3), np.float32),
            identities=np.array([self.crops[crop].identity for crop in crops], np.int64),
            ignore=np.zeros(len(crops), bool),
        )

    def _background(self, rng: np.random.Generator) -> np.ndarray:
        """(H, W, 3) uint8: a window of a photograph that fills the collage, or a painted place."""
        width, height = self.spec.size
        if not self.backgrounds:
            horizon = int(height * rng.uniform(0.25, 0.6))
            return paint_background(rng, PLACES[rng.integers(len(PLACES))], self.spec.size, horizon)
        photograph = read_image(self.backgrounds[int(rng.integers(len(self.backgrounds)))])
        scale = max(width / photograph.shape[1], height / photograph.shape[0])
        wanted = (
            max(width, round(photograph.shape[1] * scale)),
            max(height, round(photograph.shape[0] * scale)),
        )
        photograph = _resized(photograph, wanted)
        x, y = int(rng.integers(0, wanted[0] - width + 1)), int(rng.integers(0, wanted[1] - height + 1))
        return photograph[y : y + height, x : x + width].copy()


def _boxes(rectangles: np.ndarray) -> np.ndarray:
    """(N, 4) float32: the people in crops of these places, a little inside them."""
    sides = rectangles[:, 2:] - rectangles[:, :2]
    inset = sides * np.array(_INSET)
    return np.concatenate([rectangles[:, :2] + inset, rectangles[:, 2:] - inset], axis=1).astype(np.float32)


def _resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    smaller = size[0] < image.shape[1]
    return cv2.resize(image, size, interpolation=cv2.INTER_AREA if smaller else cv2.INTER_CUBIC)
