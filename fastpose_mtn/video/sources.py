"""Where frames come from: a video or stream, a folder of images, an image, a camera, or arrays."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sized
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

from fastpose_mtn.data.heif import HEIF_REMEDY, HEIF_SUFFIXES
from fastpose_mtn.data.image_file import is_animated, is_image, is_tiff, is_unread, is_webp, read_image
from fastpose_mtn.data.image_values import ImageValue, as_image
from fastpose_mtn.errors import InputError, did_you_mean_file
from fastpose_mtn.files import at_home, name_of, natural_order
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.image_order import image_order, numbers_of

if TYPE_CHECKING:
    import av

VIDEO_SUFFIXES = frozenset((
    ".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".wmv", ".flv", ".3gp",
    ".ogv", ".mjpeg", ".h264", ".hevc", ".264", ".265", ".h265", ".y4m", ".ivf", ".mpe", ".m2v", ".vob", ".mod", ".tod",
    ".mxf", ".asf", ".divx", ".f4v", ".3g2", ".dv", ".qt", ".nut",
))  # fmt: skip
ANIMATED_SUFFIXES = frozenset((".gif", ".webp", ".apng", ".avif", ".tif", ".tiff"))
Report = Callable[[str], None]  # is told, in a line, what was decided
_LONGEST_URL_NAME = 50  # characters: nobody can rename a stream whose results would have too long a name
_PATTERN = re.compile(r"[*?]")
_FINE_TIME_BASE = Fraction(1, 90_000)  # MPEG's clock: a multiple of every common frame rate


class Source:
    """An iterable of ``Frame``, gone through once.

    Attributes:
        name: what its result files are called.
        path: the file or folder it reads, None for a camera, a stream or arrays.
        frame_count: how many frames there will be, None where that cannot be known.
        frame_rate: nominal, frames a second.
        frame_rate_is_a_choice: images have no clock: ``frame_rate`` may be set before they are gone through.
        time_base: the tick in seconds that the frames' times are multiples of.
        live: frames come at their own pace: the newest is looked at, and those that nobody had time for are not.
        still: a single picture.
        independent: the frames are unrelated photographs: nobody is followed from one to the next.
        sound: the sound tracks whose packets come with the frames; they can be looked at until it is closed.
        frame_size_hw: pixels of its frames, None where that is not known before they come.
        file_names: of the images that its frames are; none of a video.
        skipped: indices of the frames that could not be decoded, so far.
        problem: once all frames were read: why there are fewer than there should be, or None.
    """

    frame_rate_is_a_choice = False
    independent = False

    def __init__(
        self,
        name: str,
        *,
        path: Path | None = None,
        frame_count: int | None = None,
        frame_rate: float = 30.0,
        time_base: Fraction = _FINE_TIME_BASE,
        live: bool = False,
        still: bool = False,
        sound: tuple[av.AudioStream, ...] = (),
    ) -> None:
        self.name = name
        self.path = path
        self.frame_count = frame_count
        self.frame_rate = frame_rate
        self.time_base = time_base
        self.live = live
        self.still = still
        self.sound = sound
        self.frame_size_hw: tuple[int, int] | None = None
        self.file_names: tuple[str, ...] = ()
        self.skipped: list[int] = []
        self.problem: str | None = None

    def __iter__(self) -> Iterator[Frame]:
        raise NotImplementedError

    def interrupt(self) -> None:
        """Ends a wait for the next frame, from another thread; no more frames are wanted."""

    def close(self) -> None:
        """Lets go of files and devices; safe to call twice."""


class ImageSource(Source):
    """Images in the order given: one file, or a folder's.

    Where every file is numbered, results call a frame by its file's number.

    Args:
        name: of the source.
        files: the images.
        path: the folder, or the one file.
        frame_rate: frames a second that a folder stands for.
        independent: the images are unrelated photographs; otherwise one sequence.
    """

    frame_rate_is_a_choice = True

    def __init__(
        self, name: str, files: list[Path], *, path: Path, frame_rate: float, independent: bool = False
    ) -> None:
        super().__init__(name, path=path, frame_count=len(files), frame_rate=frame_rate, still=path.is_file())
        self.independent = independent
        self.file_names = tuple(file.name for file in files)
        self._files = files
        self._numbers = numbers_of(self.file_names)
        if self.still:
            self._first = read_image(files[0])  # a bad single image is told before anything is written

    def __iter__(self) -> Iterator[Frame]:
        size_hw = (0, 0)
        for index, file in enumerate(self._files):
            try:
                image = self._first if self.still else read_image(file)
                size_hw = image.shape[:2]
            except InputError:
                image = None
                self.skipped.append(index)
            yield Frame(
                index=index,
                number=self._numbers[index],
                time_s=index / self.frame_rate,
                duration_s=1.0 / self.frame_rate,
                image=image,
                image_size_hw=size_hw,
                file_name=file.name,
            )
        if len(self.skipped) == len(self._files):
            raise InputError(
                f"{self.path}: none of its {len(self._files)} images can be decoded; convert them to JPEG or PNG"
            )


class ArraySource(Source):
    """Frames that are in memory already, or come from elsewhere; see ``as_image`` for what each may be."""

    def __init__(
        self,
        frames: Iterable[ImageValue],
        *,
        name: str = "frames",
        frame_rate: float,
        independent: bool = False,
    ) -> None:
        count = len(frames) if isinstance(frames, Sized) else None
        super().__init__(name, frame_count=count, frame_rate=frame_rate)
        self.independent = independent
        self._frames = frames

    def __iter__(self) -> Iterator[Frame]:
        for index, image in enumerate(self._frames):
            pixels = as_image(image, f"frame {index}")
            yield Frame(
                index=index,
                number=index,
                time_s=index / self.frame_rate,
                duration_s=1.0 / self.frame_rate,
                image=pixels,
                image_size_hw=pixels.shape[:2],
            )


def find_inputs(value: str, report: Report = lambda text: None) -> list[str]:
    """The sources that one ``--input`` stands for: the videos of a folder of videos, else itself.

    Where videos and images lie together the images are thumbnails or posters, unless they are many more and numbered:
    then they are the frames of what lies beside them.

    Args:
        value: what was given.
        report: is told which of the two is passed over.

    Raises:
        InputError: it does not exist, or is a folder without images and videos.
    """
    if value.isdecimal() or is_url(value):
        return [value]
    path = at_home(Path(value))
    if not path.exists() and (matching := _matching(path)):
        return [found for one in matching for found in find_inputs(str(one), report)]
    value = str(path) if path != Path(value) else value
    if not value.strip() or not path.exists():  # "" would be the folder where one is
        hint = did_you_mean_file(path) if path.name else ""
        if _PATTERN.search(path.name):
            hint = "; no file there matches the pattern"
        if path.is_symlink():
            hint = "; it is a link that leads nowhere"
        name = value if value.strip() else repr(value)
        raise InputError(f"{name}: no such file or folder{hint or '; check the path'}")
    if not path.is_dir():
        return [value]
    images, videos, unread = _contents(path)
    heif = any(file.suffix.lower() in HEIF_SUFFIXES for file in unread)
    remedy = HEIF_REMEDY.replace(" it ", " them ") if heif else "convert them to JPEG"
    if not images and not videos:
        kinds = ", ".join(sorted({f.suffix for f in unread}))
        raise InputError(
            f"{value}: {_count(unread, 'photograph')} of kinds that are not read ({kinds}); {remedy}"
            if unread
            else f"{value}: a folder without images and videos; give one that holds files such as .jpg, .png or .mp4"
            f"{_folder_below(path)}"
        )
    if unread:
        report(f"{value}: {_count(unread, 'photograph')} passed over, first {unread[0].name}; {remedy}")
    if not videos:
        return [value]
    if len(images) > 2 * len(videos) and not image_order([file.name for file in images]).independent:
        report(f"{value}: {_count(images, 'image')}; {_count(videos, 'video')} beside them passed over")
        return [value]
    if images:
        report(f"{value}: {_count(videos, 'video')}; {_count(images, 'image')} beside them passed over")
    return [str(video) for video in videos]


def _matching(path: Path) -> list[Path]:
    """The files whose names match the last part of a path, a pattern: shells of Windows, and quotes, leave it so."""
    if not _PATTERN.search(path.name) or not path.parent.is_dir():
        return []
    return sorted(path.parent.glob(path.name), key=lambda file: natural_order(file.name))


def _folder_below(path: Path) -> str:
    """``", for example FOLDER"`` with the first folder in this one; folders are not searched for others."""
    below = min((f for f in path.iterdir() if f.is_dir() and not f.name.startswith(".")), default=None)
    return f", for example {below}" if below else ""


def open_source(
    value: str,
    *,
    folder_frame_rate: float = 30.0,
    images: str = "auto",
    report: Report = lambda text: None,
    threads: int | None = None,
) -> Source:
    """The source that one of ``find_inputs``'s values names.

    Args:
        value: a file, a folder of images, a camera's number or a stream's URL.
        folder_frame_rate: frames a second of a folder of images.
        images: what the images of a folder are to each other, one of ``image_order.ARRANGEMENTS``; auto: what their
            names tell.
        report: is told what they tell.
        threads: that a video's decoder may use; None: as many as there are cores.

    Raises:
        InputError: it cannot be opened; the message names it, says why and what to do.
    """
    if value.isdecimal():
        from fastpose_mtn.video.camera_source import CameraSource

        return CameraSource(int(value))
    if is_url(value):
        return _video_source(value, name=_url_name(value), threads=threads)
    path = Path(value)
    if path.is_dir():
        files = _contents(path).images
        if not files:
            raise InputError(f"{value}: a folder without images")
        return ImageSource(
            path.resolve().name or "root",
            files,
            path=path,
            frame_rate=folder_frame_rate,
            independent=_are_independent(value, files, images, report),
        )
    if path.exists() and not path.is_file():
        camera = re.fullmatch(r"/dev/video(\d+)", value)
        remedy = f"give the camera's number, {camera[1]}" if camera else "write what comes from it to a file"
        raise InputError(f"{value}: expected a file or a folder, got a device or a pipe; {remedy}")
    if is_image(path) and not is_animated(path):
        return ImageSource(name_of(path), [path], path=path, frame_rate=folder_frame_rate)
    return _video_source(value, name=name_of(path), path=path, threads=threads)


def is_url(value: str) -> bool:
    """Whether the text begins like an address, ``SCHEME://``, and is not a path."""
    return re.match(r"[a-zA-Z][a-zA-Z0-9+.-]+://", value) is not None


def _video_source(value: str, *, name: str, path: Path | None = None, threads: int | None) -> Source:
    if path:
        with path.open("rb") as file:
            head = file.read(12)
        if is_webp(head) or is_tiff(head):  # FFmpeg reads still ones only
            from fastpose_mtn.video.animation import AnimatedImage

            return AnimatedImage(path)
    from fastpose_mtn.video.video_source import VideoSource  # FFmpeg's libraries, only where they are needed

    return VideoSource(value, name=name, path=path, threads=threads)


def _url_name(url: str) -> str:
    """A file name from a URL: the last part of its path, else its host; never its password or query."""
    parts = urlsplit(url)
    name = Path(parts.path).stem or parts.hostname or "stream"
    return re.sub(r"[^\w.-]+", "_", name)[:_LONGEST_URL_NAME]


class _Contents(NamedTuple):
    """A folder's files in their natural order: images, videos (animated images too), and photographs that are not read."""

    images: list[Path]
    videos: list[Path]
    unread: list[Path]


def _contents(folder: Path) -> _Contents:
    """What is in a folder; each file is looked at once, as a folder can hold a hundred thousand frames."""
    found = _Contents([], [], [])
    for file in sorted(folder.iterdir(), key=lambda file: natural_order(file.name)):
        suffix = file.suffix.lower()
        if is_unread(file):
            found.unread.append(file)
        elif is_image(file):  # a PNG counts as a picture, as nearly all are
            moves = suffix in ANIMATED_SUFFIXES and is_animated(file)
            (found.videos if moves else found.images).append(file)
        elif suffix in VIDEO_SUFFIXES and not file.name.startswith("."):
            found.videos.append(file)
    return found


def _are_independent(value: str, files: list[Path], images: str, report: Report) -> bool:
    if images != "auto":
        return images == "independent"
    order = image_order([file.name for file in files])
    if order.independent:
        what, other = "unrelated photographs", "sequence follows people through them"
    else:
        what, other = "one sequence", "independent takes each by itself"
    report(f"{value}: {_count(files, 'image')}, taken as {what}: {order.reason}; --images {other}")
    return order.independent


def _count(files: list[Path], what: str) -> str:
    return f"{len(files)} {what}{'' if len(files) == 1 else 's'}"
