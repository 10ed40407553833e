"""Reads image files, whatever their depth, channels and orientation, with errors that name the file."""

from __future__ import annotations

import io
import os
import re
import threading
from pathlib import Path
from typing import IO, TYPE_CHECKING

import cv2
import numpy as np

from fastpose_mtn.available_memory import check_memory
from fastpose_mtn.data.heif import HEIF_REMEDY, HEIF_SUFFIXES, heif_is_read, is_heif, teach_pillow
from fastpose_mtn.errors import InputError

if TYPE_CHECKING:
    import PIL.Image

IMAGE_SUFFIXES = frozenset((
    ".jpg", ".jpeg", ".jpe", ".png", ".apng", ".bmp", ".webp", ".gif", ".avif", ".tif", ".tiff", ".ppm", ".pgm", ".pnm",
    ".jp2",
))  # fmt: skip
UNREAD_SUFFIXES = frozenset((".jxl", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".raf", ".psd"))
_EXIF_ORIENTATION = 0x0112
_PIL_LIMIT = threading.Lock()  # PIL keeps its own limit in a global
_MOST_PIXELS = int(os.environ.get("OPENCV_IO_MAX_IMAGE_PIXELS", 1 << 30))
_COPIES = 4  # of an image's pixels at once: as decoded, turned upright, drawn on, on its way into a file
# What is not a byte of pixels (00), filling (FF) or a mark without a segment (01, D0 to D7).
_JPEG_MARKER = re.compile(rb"\xff[\x02-\xcf\xd8-\xfe]")


def is_image(path: Path) -> bool:
    """Whether the file's name is an image's; hidden files are not looked at."""
    return _is_named(path, IMAGE_SUFFIXES, heif=True)


def is_unread(path: Path) -> bool:
    """Whether the file's name is that of a photograph in a format that is not read."""
    return _is_named(path, UNREAD_SUFFIXES, heif=False)


def _is_named(path: Path, suffixes: frozenset[str], *, heif: bool) -> bool:
    """``heif``: whether HEIC is among them where it is read, or where it is not."""
    if path.name.startswith("."):
        return False
    suffix = path.suffix.lower()
    return suffix in suffixes or (suffix in HEIF_SUFFIXES and heif_is_read() == heif)


def is_webp(head: bytes) -> bool:
    """Whether a file that begins with ``head``, 12 bytes or more, is a WebP."""
    return head[:4] == b"RIFF" and head[8:12] == b"WEBP"


def is_tiff(head: bytes) -> bool:
    """Whether a file that begins with ``head``, 4 bytes or more, is a TIFF."""
    return head[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")


def _has_pages(image: PIL.Image.Image) -> bool:
    """Whether a TIFF is a stack of pictures; a second one of another size is a thumbnail."""
    if getattr(image, "n_frames", 1) < 2:
        return False
    size = image.size
    image.seek(1)
    return image.size == size


def is_animated(path: Path) -> bool:
    """Whether an image file holds several pictures (a TIFF: pages), whatever its name; False where it cannot be read."""
    try:
        with path.open("rb") as file:
            head = file.read(64)
            if is_webp(head):
                return head[12:16] == b"VP8X" and bool(head[20] & 0b10)
            if head[4:8] == b"ftyp":  # AVIF, like MP4, lists the kinds of file that it is
                return b"avis" in head
            if not (is_tiff(head) or head.startswith((b"GIF8", b"\x89PNG"))):
                return False
            file.seek(0)
            with opened(file, formats=("GIF", "PNG", "TIFF")) as image:
                return (
                    _has_pages(image)
                    if image.format == "TIFF"
                    else bool(getattr(image, "is_animated", False))
                )
    except Exception:  # Pillow raises whatever a damaged file leads it to
        return False


def read_image(path: Path) -> np.ndarray:
    """An image as the viewer sees it.

    Grey becomes three equal channels, 16 bits become 8, transparency is dropped and a camera's
    orientation mark is applied. A JPEG or PNG that does not reach its end is refused: OpenCV would fill
    the rest with grey and say nothing.

    Returns:
        (H, W, 3) uint8 RGB.

    Raises:
        InputError: the file is missing, empty, cut short, no image that can be decoded, or too large for memory.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot read the image: {error.strerror or error}") from error
    if not content:
        raise InputError(f"{path}: expected an image, got an empty file; copy or save it again")
    if _is_cut_short(content):
        raise InputError(
            f"{path}: expected a whole image, got one that is cut short at {len(content)} bytes; copy or save it again"
        )
    _check_fits(path, content)
    if is_heif(content[:256]):
        return _read_heif(path, content)
    try:
        image = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR_RGB)
    except MemoryError as error:
        raise InputError(f"{path}: out of memory while reading it; make the image smaller") from error
    except cv2.error as error:
        raise InputError(f"{path}: expected an image, got one that cannot be decoded: {error.err}") from error
    if image is None:
        raise InputError(
            f"{path}: expected an image, got {len(content)} bytes that cannot be decoded; convert it to JPEG or PNG"
        )
    return image


def _read_heif(path: Path, content: bytes) -> np.ndarray:
    if not teach_pillow():
        raise InputError(f"{path}: a photograph in HEIC; {HEIF_REMEDY}")
    try:
        with opened(io.BytesIO(content)) as image:
            return np.array(image.convert("RGB"))
    except (OSError, ValueError, RuntimeError, EOFError, SyntaxError) as error:
        raise InputError(
            f"{path}: expected a photograph in HEIC that can be decoded: {error}; save it again"
        ) from error


def image_size_wh(path: Path) -> tuple[int, int]:
    """Width and height of what ``read_image`` would give, from the file's header alone.

    Raises:
        InputError: the file is missing, or no image.
    """
    from PIL import UnidentifiedImageError

    try:
        with path.open("rb") as file:
            if is_heif(file.read(256)) and not teach_pillow():
                raise InputError(f"{path}: a photograph in HEIC; {HEIF_REMEDY}")
        with opened(path) as image:
            width, height = image.size
            turned = _orientation(image) in (5, 6, 7, 8)
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError(f"{path}: expected an image, got something else") from error
    except (OSError, ValueError) as error:
        raise InputError(
            f"{path}: cannot read the image: {getattr(error, 'strerror', None) or error}"
        ) from error
    return (height, width) if turned else (width, height)


def opened(file: Path | IO[bytes], formats: tuple[str, ...] | None = None) -> PIL.Image.Image:
    """An image of Pillow's, of any size, with its header read; ``formats`` as for ``PIL.Image.open``, which raises."""
    from PIL import Image  # here, as it takes a while to import

    with _PIL_LIMIT:  # what is too large is told here, with words of our own
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            return Image.open(file, formats=formats)
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _orientation(image: PIL.Image.Image) -> int:
    """What EXIF says; 1, upright, where it says nothing."""
    # of a PNG that says nothing of it in its header Pillow would look behind the pixels, and decode them
    if image.format == "PNG" and "exif" not in image.info:
        return 1
    try:
        return int(image.getexif().get(_EXIF_ORIENTATION, 1))
    except Exception:  # Pillow raises whatever a damaged mark leads it to
        return 1


def _check_fits(path: Path, content: bytes) -> None:
    """Raises InputError where decoding an image would take more memory than there is.

    Its file's length does not tell: a single colour compresses a thousandfold. Files whose header PIL does not know are the
    decoder's to judge.
    """
    try:
        if is_heif(content[:256]):
            teach_pillow()
        with opened(io.BytesIO(content)) as image:
            width, height = image.size
    except (OSError, ValueError, SyntaxError):
        return
    check_memory(
        width * height * 3 * _COPIES,
        f"{path}: reading {width}x{height} pixels",
        "make the image smaller, or give the process more memory",
    )
    if width * height > _MOST_PIXELS:
        raise InputError(
            f"{path}: {width}x{height} pixels are more than OpenCV reads, {_MOST_PIXELS}; make the image smaller, or set "
            "the environment variable OPENCV_IO_MAX_IMAGE_PIXELS"
        )


def _is_cut_short(content: bytes) -> bool:
    """Whether a JPEG or PNG stops before its own end; other formats are the decoder's to judge.

    What stands behind the end is no matter: phones append a film or a second picture, cameras their notes.
    """
    if content.startswith(b"\xff\xd8\xff"):
        # Nearly always its last bytes. Pixels cannot hold an end mark; a thumbnail's stands in the header, long before.
        return b"\xff\xd9" not in content[-64:] and not _jpeg_ends(content)
    if content.startswith(b"\x89PNG\r\n\x1a\n"):
        return not _png_ends(content)
    return False


def _jpeg_ends(content: bytes) -> bool:
    """Walks from marker to marker: over segments, which tell their length, and through pixels, which do not."""
    position = 2
    while found := _JPEG_MARKER.search(content, position):
        marker, position = content[found.start() + 1], found.end()
        if marker == 0xD9:
            return True
        if marker != 0xD8:
            position += int.from_bytes(content[position : position + 2], "big")
    return False


def _png_ends(content: bytes) -> bool:
    """Walks from chunk to chunk: a length, a name, so many bytes and a checksum of 4."""
    position = 8
    while position + 12 <= len(content):
        if content[position + 4 : position + 8] == b"IEND":
            return True
        position += 12 + int.from_bytes(content[position : position + 4], "big")
    return False
