"""Crops of the people, in a folder for each identity: as ``crops://`` datasets have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from fastpose_mtn.data.picture_files import encode_picture
from fastpose_mtn.errors import InputError
from fastpose_mtn.files import PartialFolder
from fastpose_mtn.structures import TrackedPersons
from fastpose_mtn.video.frame import Frame


class CropWriter:
    """``FOLDER/ID/FRAME.jpg``, the box of each person on a track, as far as it is in the frame.

    Ids of unrelated photographs begin anew with each, so there a folder is called by the photograph and the id:
    ``anna.png-0000/anna.jpg``. Until all are there the folder is called ``FOLDER.partial``.

    Args:
        folder: of one source; made here.
        independent: whether the frames are unrelated photographs.

    Raises:
        InputError: the folder has something in it. Crops of an earlier run would mix with these.
    """

    def __init__(self, folder: Path, *, independent: bool) -> None:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"--save-crops: {folder} is there already; remove it or choose another folder")
        self.path, self._independent = folder, independent
        self._folder = PartialFolder(folder, replaces=False)

    def write(self, frame: Frame, people: TrackedPersons) -> None:
        """Adds a picture for each person; a frame that could not be decoded adds none."""
        if frame.image is None:
            return
        height, width = frame.image.shape[:2]
        low = np.floor(np.clip(people.boxes[:, :2], 0, (width, height))).astype(int).tolist()
        high = np.ceil(np.clip(people.boxes[:, 2:], 0, (width, height))).astype(int).tolist()
        name = frame.file_name or f"{frame.number:06d}.jpg"
        for track_id, (x1, y1), (x2, y2) in zip(people.track_ids.tolist(), low, high, strict=True):
            if x2 <= x1 or y2 <= y1:  # outside
                continue
            person = f"{name if self._independent else ''}-{track_id:04d}".removeprefix("-")
            place = self._folder.partial_path / person
            place.mkdir(exist_ok=True)
            file = place / f"{Path(name).stem}.jpg"
            if file.exists():  # anna.png beside anna.jpg
                file = place / f"{name}.jpg"
            file.write_bytes(encode_picture(frame.image[y1:y2, x1:x2]))

    def close(self, complete: bool) -> None:
        """Gives the folder its name if ``complete``; otherwise it stays as ``FOLDER.partial``."""
        self._folder.close(complete)
