"""Boxes from a file in place of a detector: COCO's or AlphaPose's results, MOTChallenge's det.txt, or saved detections."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fastpose_mtn.data.json_fields import expect_list, expect_object, load_json, wrong
from fastpose_mtn.data.labels.plausibility import are_shares, corners_over_border, of_shares
from fastpose_mtn.errors import InputError
from fastpose_mtn.protocols import FrameName
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking import detections_file
from fastpose_mtn.tracking.alphapose_file import is_alphapose, parse_alphapose

_LOG = logging.getLogger("fastpose_mtn")
SUFFIXES = (".json", ".txt", ".npz")
_COLUMNS = "frame,id,left,top,width,height,score"
_MOST_PIXELS = 1e7  # a place beyond is none in any picture
_ENOUGH = 100  # boxes, after which nobody asks any more whether they are corners


class BoxesFromFile:
    """The people of each frame as a file has them; see ``protocols.NamedFrameEstimator``.

    A frame is looked up by its file's name, and where the file has none of that name by its number: COCO's ``image_id``,
    MOTChallenge's frame (from 1), or the saved one. A frame that the file does not name has nobody in it; COCO's results
    cannot say so otherwise.

    What seems to be wrong is told in the log, once of each kind: boxes outside their frames, of a pixel or less, that seem
    to be corners, and a second video, as a file has one's boxes, or another one than saved detections name. Other files name
    no video: of one as large and no longer nothing can be told.

    Args:
        path: ``.json``: COCO's list of results, with ``image_id`` (a number or a file's name), ``bbox`` and ``score`` (1
            where it is missing), or AlphaPose's, see ``tracking.alphapose_file``; entries of other categories than 1 are
            left out. ``.txt``: MOTChallenge's detections, whose scores are divided by the largest where that is above 1.
            ``.npz``: what ``--save-detections`` wrote.

    Raises:
        InputError: the file is missing, or something in it is not as it should be, which the message names.
    """

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise InputError(f"--detector {path}: no such file")
        self.path, self.embedding_dim = path, None
        self._sizes_hw: dict[str, tuple[int, int]] = {}  # of the frames, where the file says them
        self._first_number = 0  # of a video's first frame
        self._source: str | None = None  # the video's name, where the file says it
        self._told: set[str] = set()  # kinds of warnings
        self._asked = False
        self._videos = 0
        # boxes x, y, width, height, and their frames' sizes
        self._looked: list[tuple[np.ndarray, np.ndarray]] = []
        self._kind = path.suffix.lower()
        if self._kind == ".json":
            content = expect_list(load_json(path), str(path))
            if is_alphapose(content):
                found = parse_alphapose(content, path)
                self._people = {_name(f.file_name, f.number): f.detections for f in found}
            else:
                self._people = _coco_results(content, path)
                if content and not self._people:
                    self._warn("categories", "none of its %d entries is of a person, category_id 1, so that nobody will be "
                               "found", len(content))  # fmt: skip
        elif self._kind == ".txt":
            self._people, self._first_number = _mot_detections(path), 1
        else:
            saved = detections_file.load(path)
            self._source = saved.source
            self._people = {_name(f.file_name, f.number): f.detections for f in saved}
            self._sizes_hw = {_name(f.file_name, f.number): f.image_size_hw for f in saved}
            dims = {f.detections.embeddings.shape[1] for f in saved if f.detections.embeddings is not None}
            self.embedding_dim = next(iter(dims), None)
        boxes = [people.boxes for people in self._people.values() if len(people)]
        if not boxes:
            if not self._told:
                _LOG.warning("%s: nobody is in it, so that nobody will be found", path)
        elif are_shares(np.concatenate(boxes)):
            raise InputError(f"--detector {path}: boxes: {of_shares(np.concatenate(boxes))}")

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        """Nobody knows which frames these are.

        Raises:
            InputError: always.
        """
        raise InputError(
            f"--detector {self.path}: boxes in a file are those of a source's frames; track that source"
        )

    def estimate_named(
        self, frames: Sequence[np.ndarray], names: Sequence[FrameName], min_score: float = 0.0
    ) -> list[PersonDetections]:
        """The people of each frame, best first. That the first ones are all unknown is told in the log, once.

        Raises:
            InputError: a frame has another size than the file says.
        """
        found = [self._of(frame, name) for frame, name in zip(frames, names, strict=True)]
        self._videos += sum(name.index == 0 and name.file_name is None for name in names)
        if self._videos > 1:
            self._warn(
                "videos", "a second video is given its boxes; a file has those of one: track them one by one"
            )
        for name in names:
            if (
                name.file_name is None
                and None not in (name.source, self._source)
                and name.source != self._source
            ):
                self._warn("source", "its boxes are those of %s, and these are the frames of %s: are they of another video?",
                           self._source, name.source)  # fmt: skip
        if found and not self._asked:
            self._asked = True
            if self._people and not any(self._key(name) for name in names):
                _LOG.warning(
                    "%s: has nobody for frame %s and those after it; its %d frames with people are called %s: are they of "
                    "other frames?", self.path, self._keys(names[0])[0], len(self._people), _some(list(self._people)),
                )  # fmt: skip
        return found

    def _keys(self, name: FrameName) -> list[str]:
        """What the file may call a frame, the likeliest first."""
        number = name.index + 1 if self._first_number else name.number
        return [str(number)] if name.file_name is None else [name.file_name, str(number)]

    def _key(self, name: FrameName) -> str | None:
        """What the file calls a frame; None: it does not name it."""
        return next((key for key in self._keys(name) if key in self._people), None)

    def _of(self, frame: np.ndarray, name: FrameName) -> PersonDetections:
        key = self._key(name)
        if key is None:
            return PersonDetections.empty(0, self.embedding_dim)
        size_hw = (frame.shape[0], frame.shape[1])
        if self._sizes_hw.get(key, size_hw) != size_hw:
            height, width = self._sizes_hw[key]
            raise InputError(
                f"--detector {self.path}: frame {self._keys(name)[0]} is {width}x{height} there, and "
                f"{size_hw[1]}x{size_hw[0]} here; give the frames that its boxes were found in"
            )
        people = self._people[key]
        self._look_at(people.boxes, size_hw, self._keys(name)[0])
        return people.best_first()

    def _look_at(self, boxes: np.ndarray, size_hw: tuple[int, int], frame: str) -> None:
        """Tells of boxes (N, 4) that cannot be people's of a frame of this size."""
        height, width = size_hw
        outside = (boxes[:, 0] >= width) | (boxes[:, 1] >= height) | (boxes[:, 2:] <= 0).any(axis=1)
        if outside.any():
            self._warn(
                "outside", "boxes of frame %s lie outside it, %dx%d pixels: are they of other frames?", frame, width, height,
            )  # fmt: skip
        extents = boxes[:, 2:] - boxes[:, :2]
        if (small := (extents <= 1).any(axis=1)).any():
            self._warn(
                "small", "%d of %d boxes of frame %s are a pixel wide or high, or less: nobody can be seen in them",
                small.sum(), len(boxes), frame,
            )  # fmt: skip
        if self._kind == ".npz" or sum(len(own) for own, _ in self._looked) >= _ENOUGH:
            return
        self._looked.append((np.hstack((boxes[:, :2], extents)), np.tile([width, height], (len(boxes), 1))))
        over, count = corners_over_border(
            *(np.concatenate(parts) for parts in zip(*self._looked, strict=True))
        )
        if over:
            self._warn(
                "corners", "%d of %d boxes reach over their frames as x, y, width, height, and all fit as x1, y1, x2, y2: "
                "subtract the first corner from the second", over, count,
            )  # fmt: skip

    def _warn(self, kind: str, text: str, *values: object) -> None:
        """Tells of something in the file, once."""
        if kind not in self._told:
            self._told.add(kind)
            _LOG.warning("%s: " + text, self.path, *values)


def _some(names: list[str]) -> str:
    """The first three, and that there are more."""
    return ", ".join(names[:3]) + (" ..." if len(names) > 3 else "")


def _name(file_name: str | None, number: int) -> str:
    return str(number) if file_name is None else file_name


def _coco_results(content: list[object], path: Path) -> dict[str, PersonDetections]:
    rows: dict[str, list[list[float]]] = {}
    for index, value in enumerate(content):
        place = f"{path}: [{index}]"
        entry = expect_object(value, place)
        image = entry.get("image_id")
        if isinstance(image, bool) or not isinstance(image, (int, str)):
            wrong(f"{place}.image_id", "a number or a file's name", image)
        if entry.get("category_id", 1) != 1:
            continue
        box, score = entry.get("bbox"), entry.get("score", 1.0)
        if (
            not isinstance(box, list)
            or len(box) != 4
            or not all(_is_number(v) and abs(v) < _MOST_PIXELS for v in box)
            or min(box[2:]) < 0
        ):
            wrong(f"{place}.bbox", "[x, y, width, height] in pixels", box)
        if not _is_number(score) or not 0 <= score <= 1:
            wrong(f"{place}.score", "a number in [0, 1]", score)
        x, y, width, height = box
        rows.setdefault(str(image), []).append([x, y, x + width, y + height, score])
    return _detections(rows)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _mot_detections(path: Path) -> dict[str, PersonDetections]:
    rows: dict[str, list[list[float]]] = {}
    for number, line in enumerate(
        path.read_text(encoding="utf-8-sig", errors="replace").splitlines(), start=1
    ):
        if not line.strip():
            continue
        try:
            frame, _, x, y, width, height, *rest = map(float, line.split("," if "," in line else None))
        except ValueError:
            frame, x, y, width, height, rest = math.nan, 0.0, 0.0, 0.0, 0.0, []
        score = rest[0] if rest else -1.0
        sizes = 0 <= width < _MOST_PIXELS and 0 <= height < _MOST_PIXELS
        places = abs(x) < _MOST_PIXELS and abs(y) < _MOST_PIXELS
        if not (1 <= frame < 2**53 and frame == round(frame) and sizes and places and math.isfinite(score)):
            raise InputError(
                f"--detector {path}: line {number}: expected {_COLUMNS} with frames from 1, got {line!r}"
                f"{'; separate them by commas' if ';' in line else ''}"
            )
        rows.setdefault(str(int(frame)), []).append([x, y, x + width, y + height, score])
    most = max((row[4] for own in rows.values() for row in own), default=1.0)
    for own in rows.values():
        for row in own:
            row[4] = row[4] / max(most, 1.0) if row[4] >= 0 else 1.0  # -1: not known
    return _detections(rows)


def _detections(rows: Mapping[str, list[list[float]]]) -> dict[str, PersonDetections]:
    found = {}
    for name, own in rows.items():
        table = np.array(own, np.float32)
        found[name] = PersonDetections.of_boxes(table[:, :4], table[:, 4])
    return found
