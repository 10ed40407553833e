"""Synthetic scenes as a dataset: images are drawn when they are asked for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from fastpose_mtn.data.address import read_address, size_wh, whole_number, whole_range
from fastpose_mtn.data.annotation_standard import STANDARDS, parse_standard, relabel
from fastpose_mtn.data.dataset import FRAME_RATE, LabelledSequence, PoseDataset
from fastpose_mtn.data.posetrack.records import (
    image_record,
    posetrack18_file_name,
    posetrack18_video_id,
    sequence_frame,
)
from fastpose_mtn.data.problems import Problems
from fastpose_mtn.data.sample import TASKS, LabelledImage, parse_tasks
from fastpose_mtn.data.synthetic import FIRST_ACCEPTANCE_SEED, SceneConfig, SyntheticScene
from fastpose_mtn.data.synthetic.dataset import labelled_frame, sequence_name
from fastpose_mtn.data.synthetic.pose_prior_file import read_pose_prior
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import POSETRACK15

_LABELLING = 0x1ABE1  # tells the randomness of labels from that of scenes
_SCENES_KEPT = 4  # scenes a worker keeps; a batch draws its images scene by scene


@dataclass(frozen=True)
class SyntheticSpec:
    """``synthetic://LABEL?seeds=A-B&frames=F&size=WxH&people=A-B&occlusion=A-B&stride=S&tasks=T+T&domain=D&standard=W&poses=FILE``.

    Every part but the seeds has a default. A range ``A-B`` includes both ends and may be one number.

    Attributes:
        label: what messages and results call it.
        seeds: first and last scene.
        frames: frames a scene, at 30 frames a second.
        size_wh: pixels of an image.
        people: fewest and most people in a scene; each scene's number follows from its seed.
        occlusion: least and greatest ``SceneConfig.occlusion``; each scene's follows from its seed.
        stride: every how many-th frame belongs to the dataset. Tracked, they are as far apart as in the
            video, ``stride`` / 30 seconds, which is harder than every frame.
        tasks: what the images train.
        domain: see ``PoseDataset``; "": the standard's, or the dataset's name.
        standard: how the people are labelled, a name of ``annotation_standard.STANDARDS``; "": exactly, as PoseTrack's,
            which alone can be compared by PoseTrack's evaluation.
        poses: label file from which people's poses, sizes, places and order are taken, see ``read_pose_prior``; None:
            they walk about. How many they are still follows from ``people``.
    """

    label: str
    seeds: tuple[int, int]
    frames: int = 60
    size_wh: tuple[int, int] = (640, 360)
    people: tuple[int, int] = (2, 10)
    occlusion: tuple[float, float] = (0.0, 0.6)
    stride: int = 1
    tasks: frozenset[str] = TASKS
    domain: str = ""
    standard: str = ""
    poses: Path | None = None

    @classmethod
    def parse(cls, name: str) -> SyntheticSpec:
        """Reads a dataset name.

        Raises:
            ValueError: a part is unknown or unreadable; the message says which and shows the scheme.
        """
        form = f"{_SCHEME}, for example {_EXAMPLE}"
        label, values = read_address(name, _PARSERS, form)
        if "size" in values:
            values["size_wh"] = values.pop("size")
        try:
            if "seeds" not in values:
                raise ValueError("seeds are missing")
            return cls(label=label or "synthetic", **values)
        except ValueError as error:
            raise InputError(f"dataset {name}: {error}; expected {form}") from None

    def scene(self, seed: int) -> SceneConfig:
        """What the scene with this seed is made of: the people and occluders follow from the seed."""
        rng = np.random.default_rng([seed, 0x5EED])
        return SceneConfig(
            size_wh=self.size_wh,
            frame_count=self.frames,
            people=int(rng.integers(self.people[0], self.people[1] + 1)),
            occlusion=float(rng.uniform(*self.occlusion)),
        )

    def __post_init__(self) -> None:
        for key in ("seeds", "people", "occlusion"):
            low, high = getattr(self, key)
            if not 0 <= low <= high:
                raise ValueError(f"{key} go from {low} to {high}, expected 0 <= first <= last")
        if min(self.frames, self.stride, *self.size_wh) < 1:
            raise ValueError("frames, stride and size must be positive")


def _shares(text: str) -> tuple[float, float]:
    low, _, high = text.partition("-")
    return float(low), float(high or low)


def _file(text: str) -> Path:
    if not text:
        raise ValueError("expected a label file, got ''")
    return Path(text)


_PARSERS: dict[str, Callable[[str], Any]] = {
    "seeds": whole_range,
    "frames": whole_number,
    "size": size_wh,
    "people": whole_range,
    "occlusion": _shares,
    "stride": whole_number,
    "tasks": parse_tasks,
    "domain": str,
    "standard": parse_standard,
    "poses": _file,
}
_SCHEME = (
    "synthetic://LABEL?seeds=A-B[&frames=F][&size=WxH][&people=A-B][&occlusion=A-B][&stride=S][&tasks=T+T]"
    "[&domain=D][&standard=coco|mpii|posetrack][&poses=FILE]"
)
_EXAMPLE = "synthetic://train?seeds=0-1999&frames=60&size=640x360&people=2-10"


class SyntheticDataset(PoseDataset):
    """Frames of synthetic scenes, each drawn from its seed and its time alone.

    A person's identity is the number of people in the scenes before plus the person's number in the
    scene, so identities are unique and counted before anything is drawn.
    """

    def __init__(
        self, name: str, spec: SyntheticSpec, *, training: bool, problems: Problems | None = None
    ) -> None:
        """Describes the scenes; nothing is drawn yet.

        Args:
            name: as in ``DATASETS``.
            spec: which scenes, and which of their frames.
            training: whether the images will be trained on, so that acceptance scenes are refused.
            problems: where what is wrong with the file of poses is counted; without it, it is logged.

        Raises:
            ValueError: ``training`` on scenes that are kept for acceptance, or the file of poses cannot be used.
        """
        if training and spec.seeds[1] >= FIRST_ACCEPTANCE_SEED:
            raise ValueError(
                f"dataset {name}: scenes from seed {FIRST_ACCEPTANCE_SEED} up are kept for acceptance and "
                f"must not be trained on; use smaller seeds in DATASETS.TRAIN"
            )
        self.name, self.spec, self.tasks = name, spec, spec.tasks
        self._standard = STANDARDS[spec.standard] if spec.standard else None
        self.skeleton = POSETRACK15 if self._standard is None else self._standard.skeleton
        self._training = training
        self._poses = None if spec.poses is None else read_pose_prior(spec.poses, f"dataset {name}", problems)
        first, last = spec.seeds
        self._scene_count = last - first + 1
        people = [spec.scene(seed).people for seed in range(first, last + 1)]
        self._first_identity = np.concatenate([[0], np.cumsum(people)])
        self._frames_a_scene = -(-spec.frames // spec.stride)
        self._scenes: OrderedDict[int, SyntheticScene] = OrderedDict()

    @property
    def domain(self) -> str:
        """Whose way of labelling it is: the address's ``domain`` or ``standard``, or else the dataset's name."""
        return self.spec.domain or self.spec.standard or super().domain

    @property
    def num_identities(self) -> int:
        """People of all scenes together; 0 where the dataset does not train identities."""
        return int(self._first_identity[-1]) if "identities" in self.tasks else 0

    @property
    def group_sizes(self) -> np.ndarray:
        """(scenes,) int64: the frames of a scene are cheap to draw together."""
        return np.full(self._scene_count, self._frames_a_scene)

    def __len__(self) -> int:
        return self._scene_count * self._frames_a_scene

    def image_size_wh(self, index: int) -> tuple[int, int]:
        """The size of every frame, pixels."""
        return self.spec.size_wh

    def __getitem__(self, index: int) -> LabelledImage:
        if not 0 <= index < len(self):
            raise IndexError(f"dataset {self.name}: image {index} of {len(self)}")
        number, frame = divmod(index, self._frames_a_scene)
        frame *= self.spec.stride
        seed = self.spec.seeds[0] + number
        drawn = self._scene(number).frame(frame)
        targets = drawn.targets.numpy()
        if self._standard is not None:
            rng = np.random.default_rng([seed, frame, _LABELLING])
            targets = relabel(targets, POSETRACK15, self._standard, rng)
        identities = np.where(
            targets.identities >= 0, targets.identities + self._first_identity[number], -1
        ).astype(np.int64)
        return LabelledImage(
            image=drawn.image,
            targets=replace(targets, identities=identities),
            tasks=self.tasks,
            image_id=index,
            file_name=f"{seed:06d}/{frame:06d}",
            posetrack=None
            if self._training or self._standard is not None
            else labelled_frame(drawn, seed, frame, posetrack18_file_name(sequence_name(seed), frame)),
        )

    @property
    def has_sequences(self) -> bool:
        """Each scene is a sequence, where its people are labelled as PoseTrack's."""
        return self._standard is None

    def sequences(
        self, *, warn: Callable[[str], None], frame_rate: float = FRAME_RATE
    ) -> list[LabelledSequence]:
        """One sequence a scene, with the scene's own times; both arguments are for files and have no effect here."""
        return [self._sequence(number) for number in range(self._scene_count if self.has_sequences else 0)]

    def _sequence(self, number: int) -> LabelledSequence:
        seed = self.spec.seeds[0] + number
        name, fps = sequence_name(seed), self.spec.scene(seed).fps
        frames = range(0, self.spec.frames, self.spec.stride)
        size_hw = self.spec.size_wh[::-1]
        return LabelledSequence(
            name=name,
            images=tuple(
                image_record(sequence_frame(name, frame, size_hw), video_id=posetrack18_video_id(name))
                for frame in frames
            ),
            indices=tuple(range(number * len(frames), (number + 1) * len(frames))),
            times_s=tuple(frame / fps for frame in frames),
            truth=None,
        )

    def _scene(self, number: int) -> SyntheticScene:
        if number in self._scenes:
            self._scenes.move_to_end(number)
        else:
            seed = self.spec.seeds[0] + number
            self._scenes[number] = SyntheticScene(seed, self.spec.scene(seed), self._poses)
            if len(self._scenes) > _SCENES_KEPT:
                self._scenes.popitem(last=False)
        return self._scenes[number]
