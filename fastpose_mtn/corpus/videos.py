"""Which videos a corpus has, and what each one's results are called."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from fastpose_mtn.corpus.place import Place, stamp_of
from fastpose_mtn.data.image_file import is_animated
from fastpose_mtn.errors import InputError
from fastpose_mtn.files import name_of
from fastpose_mtn.tracking.detections_file import ENDING
from fastpose_mtn.video.sources import ANIMATED_SUFFIXES, VIDEO_SUFFIXES
from fastpose_mtn.video.writers import FORMATS

_ENDINGS = (".mp4", ".jpg", ENDING, *(ending for _, ending in FORMATS.values()))


@dataclass(frozen=True)
class Video:
    """A video, and what would tell that it has been changed.

    Attributes:
        source: its address, the same in any working directory.
        size: in bytes.
        stamp: a checksum or a time, as its file system has it.
    """

    source: str
    size: int
    stamp: str


def find_videos(given: Iterable[str], output: Place) -> tuple[list[Video], list[InputError]]:
    """The videos of files, folders with all that is in them, and patterns such as ``s3://bucket/*.mp4``.

    Args:
        given: paths and addresses; one that is given twice counts once.
        output: where results go; what lies there is none of the corpus.

    Returns:
        The videos in the order given, a folder's by name; and what was wrong with each place without any.
    """
    found: dict[str, Video] = {}
    problems: list[InputError] = []
    for address in given:
        try:
            place = Place.of(address)
            for path, info in _list(place, address, output).items():
                video = Place(place.fs, path).address
                if not _is_text(video):
                    name = video.encode(errors="backslashreplace").decode()
                    problems.append(
                        InputError(
                            f"{name}: its name is no UTF-8, and has no place in the manifest; rename it"
                        )
                    )
                    continue
                found.setdefault(video, Video(video, int(str(info.get("size") or 0)), stamp_of(info)))
        except InputError as error:
            problems.append(error)
    return list(found.values()), problems


def _is_text(name: str) -> bool:
    """Whether a name is text; of a file's bytes that are none Python makes halves of characters."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def _list(place: Place, address: str, output: Place) -> Mapping[str, Mapping[str, object]]:
    """What is at a place: paths and what their file system says of them."""
    if output.holds(place):
        raise InputError(
            f"{address}: it lies in the folder of results, {output.address}, where results could take its place; "
            "choose another --output"
        )
    try:
        if not place.fs.exists(place.path):
            if not any(character in place.path for character in "*?["):
                raise InputError(f"{address}: no such file or folder; check the path")
            files = place.fs.glob(place.path, detail=True)
            files = {path: info for path, info in files.items() if info["type"] == "file"}
        elif place.fs.isdir(place.path):
            files = place.fs.find(place.path, detail=True)
        else:
            return {place.path: place.fs.info(place.path)}
    except InputError:
        raise
    except Exception as error:  # each file system's client has errors of its own
        raise InputError(f"{address}: cannot be looked at: {_reason(error)}") from error
    root = PurePosixPath(place.path)
    videos = {
        path: info
        for path, info in sorted(files.items())
        if _is_video(Place(place.fs, path), root) and not output.holds(Place(place.fs, path))
    }
    if not videos:
        raise InputError(
            f"{address}: no videos in it; a corpus is made of files such as .mp4, .mov, .avi or .mkv "
            "(track_video.py reads folders of images)"
        )
    return videos


def _is_video(place: Place, root: PurePosixPath) -> bool:
    path = PurePosixPath(place.path)
    own = path.relative_to(root) if path.is_relative_to(root) else PurePosixPath(path.name)
    if any(part.startswith(".") for part in own.parts):
        return False
    suffix, local = path.suffix.lower(), place.local
    # whether an image is animated its first bytes say, which are asked of files on this machine alone
    return suffix in VIDEO_SUFFIXES or (
        suffix in ANIMATED_SUFFIXES and local is not None and is_animated(local)
    )


def name_videos(videos: Sequence[Video], named: Mapping[str, str]) -> dict[str, str]:
    """A name for each video's results, such that no two videos have a file of the same name.

    Args:
        videos: of the corpus.
        named: names from an earlier run by source, which stay.

    Returns:
        Names by source: the file's without its ending, with ``_2``, ``_3`` ... behind it where it is taken.
    """
    taken = {file for name in named.values() for file in _files(name)}
    counts: dict[str, int] = {}
    names = {}
    for video in videos:
        name = named.get(video.source)
        if name is None:
            stem = name_of(PurePosixPath(video.source))
            name = stem
            while not taken.isdisjoint(_files(name)):
                counts[stem] = counts.get(stem, 1) + 1
                name = f"{stem}_{counts[stem]}"
            taken.update(_files(name))
        names[video.source] = name
    return names


def _files(name: str) -> Collection[str]:
    """Names of the files that may be written for a video, as file systems that take A for a compare them."""
    return [f"{name}{ending}".casefold() for ending in _ENDINGS]


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error or type(error).__name__)
