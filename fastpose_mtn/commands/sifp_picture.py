"""``python -m fastpose_mtn.data.sifp_picture``: draws what SIFP makes of an image (docs/sifp.jpg)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import cv2
import numpy as np

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.data.picture_files import check_picture_name, write_picture
from fastpose_mtn.data.sample import TASKS, LabelledImage
from fastpose_mtn.data.synthetic import SceneConfig, SyntheticScene
from fastpose_mtn.data.transforms.sifp import SIFP, PyramidLevel
from fastpose_mtn.errors import exit_on_error

# RGB
_VALID, _IGNORED = (60, 220, 90), (235, 70, 60)
_PAPER, _INK = (250, 250, 250), (40, 40, 40)
_CROPS = [
    (255, 205, 40), (80, 170, 255), (235, 120, 255), (255, 140, 60),
    (120, 235, 235), (190, 190, 120), (150, 120, 255), (255, 255, 255),
]  # fmt: skip
_GAP, _CAPTION = 14, 24  # pixels


def sifp_picture(image: LabelledImage, sifp: SIFP, *, width: int) -> np.ndarray:
    """The pyramid's levels with their people and crops, and below them the training images, all of one size.

    Green people train, red ones are ignored. Each crop is outlined in its own colour in its level.

    Args:
        image: labelled.
        sifp: makes the levels and the crops.
        width: pixels of the picture.

    Returns:
        (H, width, 3) uint8 RGB.
    """
    levels = [sifp.level(image, factor) for factor in sifp.factors]
    # two rows of levels beside each other, in proportion
    rows = [levels[i : i + 2] for i in range(0, len(levels), 2)]
    widest = max(sum(level.size_wh[0] for level in row) for row in rows)
    scale = (width - _GAP * (max(map(len, rows)) + 1)) / widest
    bands: list[np.ndarray] = []
    cuts: list[LabelledImage] = []
    for row in rows:
        drawn = []
        for level in row:
            corners = _middle_corners(level)
            drawn.append(_level(image, level, corners, scale, first_colour=len(cuts)))
            cuts += [sifp.cut(image, level, corner, (0.5, 0.5)) for corner in corners]
        bands.append(_beside(drawn, width))
    size = "x".join(map(str, cuts[0].image.shape[1::-1]))
    title = f"{len(cuts)} training images, each {size}; a draw is one of them"
    bands.append(_beside([_captioned(np.full((1, width - 2 * _GAP, 3), _PAPER, np.uint8), title)], width))
    columns = 4
    each = (width - _GAP * (columns + 1)) // columns / cuts[0].image.shape[1]
    tiles = [_people(cut, each) for cut in cuts]
    for number, tile in enumerate(tiles):
        cv2.rectangle(tile, (1, 1), (tile.shape[1] - 2, tile.shape[0] - 2), _crop_colour(number), 3)
    bands += [_beside(tiles[i : i + columns], width) for i in range(0, len(tiles), columns)]
    return np.concatenate(bands)


def _middle_corners(level: PyramidLevel) -> list[tuple[int, int]]:
    """Each crop's upper left pixel, in the middle of where it may be."""
    return [
        ((c.lowest_xy[0] + c.highest_xy[0]) // 2, (c.lowest_xy[1] + c.highest_xy[1]) // 2)
        for c in level.crops()
    ]


def _level(
    image: LabelledImage,
    level: PyramidLevel,
    corners: Sequence[tuple[int, int]],
    scale: float,
    first_colour: int,
) -> np.ndarray:
    """A level in one piece, with its people and its crops."""
    how = cv2.INTER_AREA if level.size_wh[0] < image.image.shape[1] else cv2.INTER_LINEAR
    pixels = cv2.resize(image.image, level.size_wh, interpolation=how)
    picture = _people(replace(image, image=pixels, targets=level.targets), scale)
    width, height = level.window_wh
    for number, (x, y) in enumerate(corners, start=first_colour):
        x1, y1, x2, y2 = (round(v * scale) for v in (x, y, x + width, y + height))
        cv2.rectangle(picture, (x1 + 1, y1 + 1), (x2 - 2, y2 - 2), _crop_colour(number), 2)
    trained = int((~level.targets.ignore).sum())
    return _captioned(
        picture,
        f"x {level.factor:g}: {level.size_wh[0]}x{level.size_wh[1]}, "
        f"{trained} of {len(level.targets)} people train",
    )


def _crop_colour(number: int) -> tuple[int, int, int]:
    return _CROPS[number % len(_CROPS)]


def _people(image: LabelledImage, scale: float) -> np.ndarray:
    """The image resized, with a box around everyone in it."""
    height, width = (max(1, round(side * scale)) for side in image.image.shape[:2])
    picture = cv2.resize(image.image, (width, height), interpolation=cv2.INTER_AREA)
    targets = image.targets
    for box, ignored in zip(targets.boxes * scale, targets.ignore, strict=True):
        x1, y1, x2, y2 = (round(float(v)) for v in box)
        colour = _IGNORED if ignored else _VALID
        if ignored:
            shade = picture[y1:y2, x1:x2]
            shade[:] = (shade * 0.6 + np.array(_IGNORED) * 0.4).astype(np.uint8)
        cv2.rectangle(picture, (x1, y1), (x2 - 1, y2 - 1), colour, 1)
    return picture


def _captioned(picture: np.ndarray, text: str) -> np.ndarray:
    strip = np.full((_CAPTION, picture.shape[1], 3), _PAPER, np.uint8)
    cv2.putText(strip, text, (0, _CAPTION - 7), cv2.FONT_HERSHEY_SIMPLEX, 0.5, _INK, 1, cv2.LINE_AA)
    return np.concatenate([strip, picture])


def _beside(pictures: Sequence[np.ndarray], width: int) -> np.ndarray:
    band = np.full((max(p.shape[0] for p in pictures) + _GAP, width, 3), _PAPER, np.uint8)
    x = _GAP
    for picture in pictures:
        band[: picture.shape[0], x : x + picture.shape[1]] = picture
        x += picture.shape[1] + _GAP
    return band


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = ArgumentParser(prog="python -m fastpose_mtn.data.sifp_picture", description=__doc__)
    parser.add_argument("output", metavar="FILE", help="the .jpg or .png to write")
    parser.add_argument("--seed", type=int, default=28, metavar="S", help="of the drawn scene (default 28)")
    parser.add_argument(
        "--width", type=int, default=1280, metavar="W", help="pixels of the picture (default 1280)"
    )
    with exit_on_error():
        options = parser.parse_args(arguments)
        path = check_picture_name("FILE", options.output)
        scene = SyntheticScene(
            options.seed, SceneConfig(size_wh=(1280, 720), frame_count=60, people=10)
        ).frame(30)
        image = LabelledImage(scene.image, scene.targets.numpy(), TASKS, 0, "")
        picture = sifp_picture(image, SIFP(short_side=360, max_side=640), width=options.width)
        write_picture(path, picture)
        print(path)


if __name__ == "__main__":
    main()
