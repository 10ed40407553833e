"""Whether a file system takes the names of a source's results, told before any work: many come late."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from fastpose_mtn.errors import InputError
from fastpose_mtn.files import partial_path
from fastpose_mtn.tracking.detections_file import ENDING
from fastpose_mtn.video.sources import Source
from fastpose_mtn.video.writers import FORMATS

_MOST_BYTES = 255  # of a name, where the system does not tell: what nearly all file systems take


def check_names(
    folder: Path,
    name: str,
    source: Source,
    *,
    formats: Sequence[str],
    overlays: Sequence[str],
    detections: bool,
    crops: bool,
) -> None:
    """Raises InputError where a name of a file or folder that will be written is longer than the file system takes.

    Args:
        folder: where the results go; it exists.
        name: of the results.
        source: whose people they are.
        formats: keys of ``FORMATS``.
        overlays: the endings of what is drawn.
        detections: whether people are saved before tracking.
        crops: whether people are cut out.
    """
    most = _most_bytes(folder)
    endings = [*overlays, *(FORMATS[form][1] for form in formats)] + [ENDING] * detections + [""] * crops
    if "posetrack" in formats:
        endings.append(f"{FORMATS['posetrack'][1]}.annotations")  # of its own while they come
    names = [(name, name)] + [(name, partial_path(Path(f"{name}{ending}")).name) for ending in endings]
    in_folders = crops or any(ending not in (".mp4", ".jpg") for ending in overlays)
    names += _of_frames(name, source.file_names, formats, pictures=in_folders)
    whose, longest = max(names, key=lambda pair: _bytes(pair[1]))
    if _bytes(longest) > most:
        raise InputError(
            f"{whose if source.path is None or whose != name else source.path}: its name is too long for results: "
            f"{longest[:10]}...{longest[-30:]} would have {_bytes(longest)} bytes and may have {most}; shorten it by "
            f"{_bytes(longest) - most} bytes"
        )


def _of_frames(
    name: str, files: Sequence[str], formats: Sequence[str], *, pictures: bool
) -> Iterator[tuple[str, str]]:
    """The longest names that single frames have in folders, each with what it is made from: the source's or a file's."""
    longest = max(files, key=_bytes, default=None)
    if "openpose" in formats:
        yield (longest or name), f"{longest or f'{name}_{0:012d}'}_keypoints.json"
    if pictures and longest is not None:
        yield longest, partial_path(Path(f"{longest}.jpg")).name


def _bytes(name: str) -> int:
    return len(os.fsencode(name))


def _most_bytes(folder: Path) -> int:
    try:
        return os.pathconf(folder, "PC_NAME_MAX")
    except (AttributeError, OSError, ValueError):  # Windows has no such call, some network drives no answer
        return _MOST_BYTES
