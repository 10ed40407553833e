"""Writes PoseTrack18's JSON, whoever it comes from: tracked people as they come, drawn labels, converted files."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from fastpose_mtn.data.posetrack.people import PoseTrackPeople
from fastpose_mtn.data.posetrack.records import (
    image_record,
    posetrack18_annotation_id,
    posetrack18_category,
    posetrack18_video_id,
    sequence_frame,
)
from fastpose_mtn.files import JsonArray, PartialFile, compact_json
from fastpose_mtn.skeletons import Skeleton

if TYPE_CHECKING:  # torch, which reading and evaluating files does without; Python 3.10 has no Self
    from typing import Self

    from fastpose_mtn.structures import TrackedPersons


class PoseTrack18File:
    """A file that grows frame by frame in constant memory, one record a line.

    The format holds all images before all people: the people wait in a second partial file. As a context
    manager it finishes the file, or leaves none where the block fails.

    Args:
        path: what it is called when it is whole; until then ``NAME.partial`` and ``NAME.annotations.partial``.
        fields: what the file says besides; by default PoseTrack18's category.
    """

    def __init__(self, path: Path, fields: Mapping[str, Any] | None = None) -> None:
        self._fields = {"categories": [posetrack18_category()]} if fields is None else fields
        self._images_file = PartialFile(path)
        self._people_file = PartialFile(path.with_name(f"{path.name}.annotations"))
        self._images = JsonArray(self._images_file.write)
        self._people = JsonArray(self._people_file.write)
        self._images_file.write('{"images": [')

    def add(self, image: Mapping[str, Any], people: Iterable[Mapping[str, Any]]) -> None:
        """Adds an entry of ``images`` and its entries of ``annotations``."""
        self._images.append(image)
        for person in people:
            self._people.append(person)

    def add_tracked(
        self,
        sequence: str,
        number: int,
        size_hw: tuple[int, int],
        people: TrackedPersons,
        skeleton: Skeleton,
        file_name: str | None = None,
    ) -> None:
        """Adds a frame of tracked people.

        Args:
            sequence: the sequence's name, such as ``000001_mpii_test``; ids are made from it.
            number: of the frame: counted from 0, or the number in the file name of a numbered image.
            size_hw: (height, width) of the frame, pixels.
            people: NumPy, joints in ``skeleton``'s order; those who are interpolated are marked so.
            skeleton: of the people; joints are converted to PoseTrack18's by name.
            file_name: of the image file that the frame is; None: it is no file.
        """
        frame = sequence_frame(sequence, number, size_hw, file_name)
        records = PoseTrackPeople.predicted(people, skeleton).records(
            frame.image_id, posetrack18_annotation_id(frame.image_id, 0)
        )
        if people.interpolated is not None:
            for record, interpolated in zip(records, people.interpolated.tolist(), strict=True):
                if interpolated:
                    record["interpolated"] = True
        self.add(image_record(frame, video_id=posetrack18_video_id(sequence)), records)

    def finish(self) -> None:
        """Puts the people behind the images and gives the file its name."""
        self._people_file.abandon()
        self._images_file.write('\n], "annotations": [')
        with open(self._people_file.partial_path, encoding="utf-8") as people:
            shutil.copyfileobj(people, self._images_file)
        self._images_file.write("\n]")
        for name, value in self._fields.items():
            self._images_file.write(f", {compact_json(name)}: {compact_json(value)}")
        self._images_file.write("}\n")
        self._images_file.finish()
        self._people_file.abandon(keep=False)

    def abandon(self, *, keep: bool = True) -> None:
        """Closes both partial files; ``keep=False`` removes them."""
        self._images_file.abandon(keep=keep)
        self._people_file.abandon(keep=keep)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.abandon(keep=False)
