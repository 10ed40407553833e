"""Reads the poses of real people: COCO-style JSON, or arrays of boxes' and joints' shares of their images."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np

from fastpose_mtn.data.coco.dataset import annotation_files
from fastpose_mtn.data.coco.records import CocoJsonFormat, CocoJsonReader
from fastpose_mtn.data.problems import LEFT_OUT, Problems
from fastpose_mtn.data.synthetic.pose_prior import PosePrior
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import COCO17, skeleton_of

_IDS, _JOINTS = "image_id", "keypoints_xyv"
_WHOLE_SIDE = 65535  # of shares that are whole numbers


def read_pose_prior(path: Path, owner: str, problems: Problems | None = None) -> PosePrior:
    """The poses in a file.

    Args:
        path: COCO-style JSON, or a folder of such files, whose joints are matched by name; or ``.npz`` with the arrays
            ``image_id`` (N,) and ``keypoints_xyv`` (N, 17, 3) uint16 in COCO's order, x and y in 65535ths of the
            image's sides. Where all joints of an image are whole pixels, as COCO's are, its size is read off them;
            other images count as 640x480.
        owner: what asks for it, for messages.
        problems: where what is wrong with JSON is counted; without it, it is logged.

    Raises:
        InputError: there is no such file, it is of another form, or shows nobody whose pose is known.
    """
    try:
        if path.suffix == ".npz":
            return _read_arrays(path)
        found = problems or Problems()
        prior = _read_json(path, owner, found)
        if problems is None:
            found.log(f"{owner}: {path}")
        return prior
    except InputError as error:
        raise InputError(f"{owner}: poses: {error}") from None


def _read_arrays(path: Path) -> PosePrior:
    if not path.is_file():
        raise InputError(f"no such file, got {path}; expected .npz or COCO-style JSON")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            lacking = {_IDS, _JOINTS} - set(arrays.files)
            if lacking:
                raise InputError(
                    f"{path}: expected the arrays {_IDS} and {_JOINTS}, got {', '.join(sorted(arrays.files))}"
                )
            ids, joints = arrays[_IDS], arrays[_JOINTS]
    except (zipfile.BadZipFile, ValueError, EOFError) as error:
        if isinstance(error, InputError):
            raise
        raise InputError(f"{path}: expected NumPy's .npz, which this is not ({error})") from None
    expected = (len(COCO17), 3)
    if joints.ndim != 3 or joints.shape[1:] != expected or joints.dtype != np.uint16:
        raise InputError(
            f"{path}: {_JOINTS}: expected (N, 17, 3) uint16, x and y in 65535ths of the image's sides and v, got "
            f"{joints.shape} {joints.dtype}; give COCO-style JSON for other joints"
        )
    if ids.shape != joints.shape[:1] or ids.dtype.kind not in "iu":
        raise InputError(
            f"{path}: {_IDS}: expected ({len(joints)},) whole numbers, one a person, got {ids.shape} {ids.dtype}"
        )
    if (joints[..., 2] > 2).any():
        raise InputError(f"{path}: {_JOINTS}: expected v of 0, 1 or 2, got {joints[..., 2].max()}")
    _, images = np.unique(ids, return_inverse=True)
    keypoints = joints.astype(np.float32) / np.array([_WHOLE_SIDE, _WHOLE_SIDE, 1], np.float32)
    sizes = np.zeros((int(images.max(initial=-1)) + 1, 2), np.int64)
    return PosePrior.of_usable(keypoints, images.reshape(-1), sizes, str(path))


def _read_json(path: Path, owner: str, problems: Problems) -> PosePrior:
    reader = CocoJsonReader(CocoJsonFormat(), problems)
    for file in annotation_files(path, owner):
        reader.read(file)
    skeleton = skeleton_of(reader.joints)
    if not skeleton.shares_joints(COCO17):
        raise InputError(
            f"{path}: expected joints called as COCO's, got {', '.join(reader.joints) or 'none'}"
        )
    known: list[np.ndarray] = []
    images: list[int] = []
    sizes: list[tuple[int, int]] = []
    for record in reader.records:
        people = [p.keypoints for p in record.people if not p.ignore and (p.keypoints[:, 2] > 0).any()]
        if people and min(record.size_wh) <= 0:
            problems.add(LEFT_OUT, "images without width and height", f"{path}: {record.file_name}")
        elif people:
            known += people
            images += [len(sizes)] * len(people)
            sizes.append(record.size_wh)
    own = np.zeros((len(known), len(skeleton), 3), np.float32)
    for row, keypoints in zip(own, known, strict=True):
        row[: len(keypoints)] = keypoints  # later files may have named more joints
    sizes_wh, rows = np.array(sizes, np.int64).reshape(-1, 2), np.array(images, np.int64)
    shares = skeleton.convert(own, COCO17)
    shares[..., :2] /= sizes_wh[rows, None]
    return PosePrior.of_usable(shares, rows, sizes_wh, str(path))
