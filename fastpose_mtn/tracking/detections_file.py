"""``NAME.detections.npz``: what the network found in a video, to be tracked again without the network.

An uncompressed NumPy archive of plain arrays, over the F frames and over the N people of all frames in order:

* of frames: ``frame_numbers`` (F,), ``times_s`` (F,) seconds, ``image_sizes_hw`` (F, 2) pixels, ``people`` (F,), how many
  are in each, and ``scene_cuts`` (F,), where another scene begins; of images ``file_names`` (F,) too;
* of people: ``boxes`` (N, 4), ``scores`` (N,), ``keypoints`` (N, K, 3) and, where there are any, ``embeddings`` (N, D);
* of the file: the texts ``skeleton``, ``source`` and ``format``; of images ``independent``, whether they are unrelated
  photographs.

It is read without pickle: a file that somebody hands you cannot run code.
"""

from __future__ import annotations

import tempfile
import zipfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from fastpose_mtn.errors import InputError
from fastpose_mtn.files import whole_file
from fastpose_mtn.skeletons import SKELETONS, Skeleton
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.detections_layout import LAYOUT, OPTIONAL, check_arrays

ENDING = ".detections.npz"
_FORMAT = "fastpose-mtn detections 1"
_PEOPLE_FIELDS = ("boxes", "scores", "keypoints", "embeddings")


@dataclass(frozen=True, eq=False)
class SavedFrame:
    """One frame of a video.

    Attributes:
        number: what result files call it, see ``fastpose_mtn.video.frame.Frame``.
        time_s: seconds since the video's first frame.
        image_size_hw: pixels.
        detections: everyone found in it, NumPy.
        file_name: of the image file that it is; None for a video's frame.
        scene_cut: whether another scene begins with it, as the tracker that saw its image found.
    """

    number: int
    time_s: float
    image_size_hw: tuple[int, int]
    detections: PersonDetections
    file_name: str | None = None
    scene_cut: bool = False


@dataclass(frozen=True, eq=False)
class SavedDetections:
    """The frames of one video, iterable in order.

    Attributes:
        source: the video's name, the stem of its result files.
        skeleton: of the people.
        frames: in order of time.
        independent: whether they are unrelated photographs, of which none goes on from another.
    """

    source: str
    skeleton: Skeleton
    frames: tuple[SavedFrame, ...]
    independent: bool = False

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[SavedFrame]:
        return iter(self.frames)


class DetectionsWriter:
    """Writes frames as they come, in constant memory.

    The archive has a whole array after a header that tells its length, so people are kept in nameless
    temporary files of the same folder until ``close``. The file appears under its name when it is whole; a
    kill leaves nothing or ``NAME.detections.npz.partial``.

    Args:
        path: should end in ``.detections.npz``.
        source: the video's name.
        skeleton: of the people.
        independent: whether the frames are unrelated photographs.
    """

    def __init__(
        self, path: Path | str, *, source: str, skeleton: Skeleton, independent: bool = False
    ) -> None:
        self.path = Path(path)
        self._source, self._skeleton, self._independent = source, skeleton, independent
        self._file_names: list[str] = []
        self._numbers: list[int] = []
        self._times: list[float] = []
        self._scene_cuts: list[bool] = []
        self._sizes: list[tuple[int, int]] = []
        self._people: list[int] = []
        self._embedding_dim: int | None = None
        self._spools: dict[str, IO[bytes]] = {
            name: tempfile.TemporaryFile(dir=self.path.parent)  # noqa: SIM115
            for name in _PEOPLE_FIELDS
        }
        self._closed = False

    def write(self, frame: SavedFrame) -> None:
        """Adds a frame, with or without people.

        Raises:
            ValueError: the file is closed, time or the frames' numbers go backwards, or the people have other joints
                or embeddings than the file's.
        """
        frame_number, time_s, image_size_hw = frame.number, frame.time_s, frame.image_size_hw
        if self._closed:
            raise ValueError(f"{self.path}: closed; frame {frame_number} comes too late")
        if self._times and not time_s >= self._times[-1]:
            raise ValueError(
                f"{self.path}: frame {frame_number}: time went back from {self._times[-1]} to {time_s} s"
            )
        if self._numbers and not frame_number > self._numbers[-1]:
            raise ValueError(f"{self.path}: frame {frame_number}: comes after frame {self._numbers[-1]}")
        detections = frame.detections.numpy()
        self._check(frame_number, detections)
        self._numbers.append(int(frame_number))
        self._times.append(float(time_s))
        self._scene_cuts.append(bool(frame.scene_cut))
        self._file_names.append(frame.file_name or "")
        self._sizes.append((int(image_size_hw[0]), int(image_size_hw[1])))
        self._people.append(len(detections))
        for name, spool in self._spools.items():
            values = getattr(detections, name)
            if values is not None:
                spool.write(np.ascontiguousarray(values).tobytes())

    def _check(self, frame_number: int, detections: PersonDetections) -> None:
        joints = detections.keypoints.shape[1]
        if joints != len(self._skeleton):
            raise ValueError(
                f"{self.path}: frame {frame_number}: expected the {len(self._skeleton)} joints of "
                f"{self._skeleton.name}, got {joints}"
            )
        if len(detections) == 0:  # nobody: whether there would be embeddings does not matter
            return
        got = 0 if detections.embeddings is None else detections.embeddings.shape[1]
        if self._embedding_dim is None:
            self._embedding_dim = got
        if got != self._embedding_dim:
            raise ValueError(
                f"{self.path}: frame {frame_number}: embeddings have {got} values, "
                f"those of earlier frames have {self._embedding_dim}"
            )

    def close(self, complete: bool = True) -> None:
        """Ends the file: under its own name if ``complete``, else nothing is kept. A second call does nothing."""
        if self._closed:
            return
        self._closed = True
        try:
            if complete:
                self._assemble()
        finally:
            for spool in self._spools.values():
                spool.close()

    def _assemble(self) -> None:
        n, joints, dim = sum(self._people), len(self._skeleton), self._embedding_dim
        small = {
            "format": np.array(_FORMAT),
            "source": np.array(self._source),
            "skeleton": np.array(self._skeleton.name),
            "frame_numbers": np.array(self._numbers, np.int64),
            "times_s": np.array(self._times, np.float64),
            "image_sizes_hw": np.array(self._sizes, np.int64).reshape(-1, 2),
            "people": np.array(self._people, np.int64),
            "scene_cuts": np.array(self._scene_cuts, bool),
        }
        if any(self._file_names):
            small["file_names"] = np.array(self._file_names)
            small["independent"] = np.array(self._independent)
        shapes: dict[str, tuple[int, ...]] = {"boxes": (n, 4), "scores": (n,), "keypoints": (n, joints, 3)}
        if dim:
            shapes["embeddings"] = (n, dim)
        with whole_file(self.path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as archive:
            for name, array in small.items():
                with archive.open(f"{name}.npy", "w") as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
            for name, shape in shapes.items():
                with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
                    np.lib.format.write_array_header_1_0(member, header)
                    self._spools[name].seek(0)
                    while block := self._spools[name].read(1 << 20):
                        member.write(block)


def save(path: Path | str, frames: Iterable[SavedFrame], *, source: str, skeleton: Skeleton) -> None:
    """Writes the frames of one video; see ``DetectionsWriter``."""
    writer = DetectionsWriter(path, source=source, skeleton=skeleton)
    complete = False
    try:
        for frame in frames:
            writer.write(frame)
        complete = True
    finally:
        writer.close(complete)


def source_of(path: Path | str) -> str:
    """The name of the video that a file's people were found in, read without the rest.

    Raises:
        InputError: see ``load``.
    """
    return str(_read_arrays(_existing(path), ("source",))["source"])


def load(path: Path | str) -> SavedDetections:
    """Reads a file back.

    Raises:
        InputError: it is missing, is no such file, is cut short, or its arrays contradict each other.
    """
    path = _existing(path)
    arrays = _read_arrays(path, LAYOUT)
    if str(arrays["format"]) != _FORMAT:
        raise InputError(f"{path}: expected format {_FORMAT!r}, got {str(arrays['format'])!r}")
    name = str(arrays["skeleton"])
    if name not in SKELETONS:
        raise InputError(f"{path}: unknown skeleton {name!r}; known: {', '.join(SKELETONS)}")
    check_arrays(path, arrays, joints=len(SKELETONS[name]))
    ends = np.cumsum(arrays["people"])
    frames = []
    for i, end in enumerate(ends):
        people = slice(end - arrays["people"][i], end)
        fields = {field: arrays[field][people] for field in _PEOPLE_FIELDS if field in arrays}
        try:
            detections = PersonDetections(**fields)
        except ValueError as error:
            raise InputError(f"{path}: frame {arrays['frame_numbers'][i]}: {error}") from error
        height, width = arrays["image_sizes_hw"][i].tolist()
        frames.append(
            SavedFrame(
                number=int(arrays["frame_numbers"][i]),
                time_s=float(arrays["times_s"][i]),
                image_size_hw=(height, width),
                detections=detections,
                file_name=(str(arrays["file_names"][i]) or None) if "file_names" in arrays else None,
                scene_cut=bool(arrays["scene_cuts"][i]) if "scene_cuts" in arrays else False,
            )
        )
    independent = bool(arrays.get("independent", False))
    return SavedDetections(str(arrays["source"]), SKELETONS[name], tuple(frames), independent)


def _existing(path: Path | str) -> Path:
    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; track_video.py --save-detections writes NAME{ENDING}")
    return path


def _read_arrays(path: Path, names: Iterable[str]) -> dict[str, np.ndarray]:
    try:
        loaded = np.load(path, allow_pickle=False)
        if not isinstance(loaded, np.lib.npyio.NpzFile):
            raise InputError(f"{path}: expected an archive of arrays, got a single array")
        with loaded as archive:
            missing = sorted(set(LAYOUT) - OPTIONAL - set(archive.files))
            if missing:
                raise InputError(f"{path}: not a file of saved detections: it lacks {', '.join(missing)}")
            return {name: archive[name] for name in names if name in archive.files}
    except InputError:
        raise
    except (ValueError, EOFError, zipfile.BadZipFile, KeyError, TypeError) as error:
        # NumPy takes other files for pickles
        reason = error if zipfile.is_zipfile(path) else "it is no archive"
        raise InputError(
            f"{path}: not a readable file of saved detections: {reason}; track_video.py --save-detections writes "
            f"NAME{ENDING}"
        ) from error
