"""FreiHAND's hands to COCO-style JSON: ``python datasets/convert_freihand.py``.

Read: ``training_xyz.json``, 21 points of each hand in metres before the camera, ``training_K.json``, the cameras, and
``training/rgb/00000000.jpg`` and so on: all hands once, and then again before other backgrounds.

All are right hands (``right_hand_root``, ``right_thumb1`` ...); mirrored in training they are left ones. A hand is somebody
of whom the hand alone is labelled; its box is drawn around the points.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from fastpose_mtn.data.coco.writing import CocoJsonWriter
from fastpose_mtn.data.conversion import parse_conversion
from fastpose_mtn.data.json_fields import expect_list, load_json
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.skeletons import HALPE136, skeleton_of

_HAND = skeleton_of(
    [HALPE136.joints[i] for i in HALPE136.parts["hands"] if HALPE136.joints[i].startswith("right")]
)
_BACKGROUNDS = 4  # pictures of each hand


def convert_freihand(root: Path, *, skip_missing: bool = False) -> tuple[Path, str]:
    """Writes ``root/freihand_train.json``.

    Returns:
        The file, and what is in it in words.

    Raises:
        InputError: a file is missing or is not what FreiHAND hands out; names the file.
    """
    points = _table(root / "training_xyz.json", (len(_HAND), 3))
    cameras = _table(root / "training_K.json", (3, 3))
    if len(points) != len(cameras):
        raise InputError(
            f"{root / 'training_K.json'}: expected a camera for each of {len(points)} hands, got {len(cameras)}"
        )
    seen = points @ cameras.transpose(0, 2, 1)
    if not (seen[..., 2] > 0).all():
        behind = int(np.flatnonzero((seen[..., 2] <= 0).any(axis=1))[0])
        raise InputError(
            f"{root / 'training_xyz.json'}: hand {behind}: a point is not in front of the camera"
        )
    places = seen[..., :2] / seen[..., 2:]
    writer = CocoJsonWriter(root / "training" / "rgb", skeleton=_HAND, skip_missing=skip_missing)
    for number in range(_BACKGROUNDS * len(places)):
        image_id = writer.image(f"{number:08d}.jpg")
        if image_id is not None:
            writer.person_of_points(image_id, places[number % len(places)])
    path = root / "freihand_train.json"
    writer.write(path, {"description": "FreiHAND, training"})
    return path, writer.summary()


def _table(path: Path, shape: tuple[int, int]) -> np.ndarray:
    """(N, *shape) of a file's numbers."""
    if not path.is_file():
        raise InputError(f"{path}: no such file")
    try:
        values = np.array(expect_list(load_json(path), str(path)), np.float64)
    except (ValueError, TypeError) as error:
        if isinstance(error, InputError):
            raise
        values = np.zeros(0)
    if values.ndim != 3 or values.shape[1:] != shape or not np.isfinite(values).all():
        raise InputError(f"{path}: expected a list of {shape[0]}x{shape[1]} numbers, got {values.shape}")
    return values


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    with exit_on_error():
        asked = parse_conversion(arguments, name="freihand", description=__doc__)
        path, summary = convert_freihand(asked.root, skip_missing=asked.skip_missing)
        print(f"{path}: {summary}")


if __name__ == "__main__":
    main()
