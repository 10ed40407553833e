"""Images as people have them in Python: arrays, PIL images, torch tensors, files. Each becomes an RGB array."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping, Set
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias, TypeGuard, Union

import numpy as np

from fastpose_mtn.data.image_file import read_image
from fastpose_mtn.errors import InputError

if TYPE_CHECKING:
    import PIL.Image
    import torch

ImageValue: TypeAlias = Union[np.ndarray, "PIL.Image.Image", "torch.Tensor", str, "os.PathLike[str]"]

_EXPECTED = "expected an RGB image (H, W, 3) uint8, a PIL image, a uint8 tensor (3, H, W) or a file's name"
_EXIF_ORIENTATION = 0x0112
_PIL_MODES_OF_8_BITS = (
    "1",
    "L",
    "LA",
    "La",
    "P",
    "PA",
    "RGB",
    "RGBA",
    "RGBa",
    "RGBX",
    "CMYK",
    "YCbCr",
    "LAB",
    "HSV",
)


def check_image(image: object, what: str) -> None:
    """Tells what is no image before any work is done; files are looked for, not read.

    Args:
        image: what ``as_image`` takes.
        what: words for the message, such as ``image 3``.

    Raises:
        InputError: it is no such image; the text says what came instead and how to change it.
    """
    if isinstance(image, (str, os.PathLike)):
        if not os.path.exists(image):
            raise InputError(f"{image}: cannot read the image: No such file or directory")
    elif is_pil(image):
        _check_pil(image, what)  # type: ignore[arg-type]
    else:
        shape, dtype = _shape_and_dtype(image, what)
        channels_last = len(shape) == 3 and shape[2] == 3
        if dtype != "uint8" or not (
            channels_last or (_is_tensor(image) and len(shape) == 3 and shape[0] == 3)
        ):
            raise InputError(f"{what}: {_EXPECTED}, got {shape} {dtype}{_remedy(shape, dtype)}")
        if 0 in shape:
            raise InputError(f"{what}: expected an image of at least one pixel, got {shape}")


def as_image(image: ImageValue, what: str) -> np.ndarray:
    """The image as an array.

    Args:
        image: an RGB array (H, W, 3) uint8; a PIL image of 8 bits a channel, transparency is dropped; a torch tensor of
            uint8, (3, H, W) as torchvision reads images, or (H, W, 3), on any device; or an image file.
        what: words for a message.

    Returns:
        (H, W, 3) uint8 RGB, contiguous; an array that is so already is not copied.

    Raises:
        InputError: it is none of these, or cannot be read.
    """
    check_image(image, what)
    if isinstance(image, (str, os.PathLike)):
        return read_image(Path(image))
    if is_pil(image):
        try:
            return np.array(image.convert("RGB"))  # type: ignore[union-attr]
        except (OSError, SyntaxError) as error:  # PIL reads a file's pixels only now
            raise InputError(f"{what}: the PIL image cannot be read: {error}") from error
    if _is_tensor(image):
        tensor: torch.Tensor = image.detach().cpu()  # type: ignore[union-attr]
        image = (tensor.permute(1, 2, 0) if tensor.shape[0] == 3 else tensor).numpy()
    return np.ascontiguousarray(image)  # type: ignore[arg-type]


def is_single(value: object) -> bool:
    """Whether it is one image where several are expected; a file's name is one too."""
    if isinstance(value, (str, os.PathLike)) or is_pil(value):
        return True
    return (isinstance(value, np.ndarray) or _is_tensor(value)) and value.ndim in (2, 3)  # type: ignore[attr-defined]


def is_iterable_of_images(value: object) -> TypeGuard[Iterable[ImageValue]]:
    """Whether it can be gone through for images in an order: a list, a generator, an array (N, H, W, 3), a loader."""
    other = isinstance(value, (str, bytes, bytearray, os.PathLike, Mapping, Set))
    return hasattr(type(value), "__iter__") and not other and getattr(value, "ndim", 1) > 0


def is_pil(value: object) -> bool:
    """Whether it is a PIL image; PIL is not imported for that."""
    pil = sys.modules.get("PIL.Image")
    return pil is not None and isinstance(value, pil.Image)


def _is_tensor(value: object) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _shape_and_dtype(image: object, what: str) -> tuple[tuple[int, ...], str]:
    if isinstance(image, np.ndarray) or _is_tensor(image):
        shape, dtype = image.shape, image.dtype  # type: ignore[attr-defined]
        return tuple(shape), str(dtype).removeprefix("torch.")
    if image is None:
        raise InputError(
            f"{what}: {_EXPECTED}, got None, which cv2.imread gives for a file that it cannot read"
        )
    raise InputError(f"{what}: {_EXPECTED}, got {type(image).__name__}")


def _remedy(shape: tuple[int, ...], dtype: str) -> str:
    """How such an image becomes one that can be used; empty where that cannot be told."""
    if dtype.startswith(("float", "bfloat")):
        return "; give 0 to 255 as uint8"
    if dtype != "uint8":
        return "; convert it to uint8"
    if len(shape) == 2 or (len(shape) == 3 and shape[2] == 1):
        return "; repeat a grey image's channel three times"
    if len(shape) == 3 and shape[2] == 4:
        return "; leave the fourth channel out: image[..., :3]"
    if len(shape) == 3 and shape[0] == 3:
        return "; put the channels last: image.transpose(1, 2, 0)"
    return ""


def _check_pil(image: PIL.Image.Image, what: str) -> None:
    if image.mode not in _PIL_MODES_OF_8_BITS:
        raise InputError(
            f"{what}: expected a PIL image of 8 bits a channel, got mode {image.mode}; convert it first"
        )
    if not image.width or not image.height:
        raise InputError(f"{what}: expected an image of at least one pixel, got {image.size}")
    orientation = image.getexif().get(_EXIF_ORIENTATION, 1)
    if orientation in range(2, 9):
        raise InputError(
            f"{what}: expected an upright PIL image, got one with a camera's orientation mark ({orientation}); give "
            "PIL.ImageOps.exif_transpose(image), in whose pixels the people then are"
        )
