"""Draws a frame twice, the labelled people on one picture and the predicted ones on another."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import cv2
import numpy as np

from fastpose_mtn.data.image_file import read_image
from fastpose_mtn.data.picture_files import encode_picture
from fastpose_mtn.data.posetrack.sequence import NO_TRACK_ID, PoseTrackSequence
from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.report.events import SequenceEvents
from fastpose_mtn.skeletons import POSETRACK15

PICTURE_WIDTH, PICTURE_HEIGHT = 640, 800  # pixels of a picture in the report, at most
_JPEG_QUALITY = 80
_SUBPIXEL_BITS = 4
_FONT = cv2.FONT_HERSHEY_SIMPLEX

Colour = tuple[int, int, int]  # RGB
Place = Callable[[np.ndarray], np.ndarray]  # (..., 2) points of the frame to the picture
# The page's colours, in their lighter version: photographs are dark more often than not.
IDENTITY_COLOURS: tuple[Colour, ...] = (
    (86, 166, 255), (255, 168, 76), (94, 214, 148), (240, 128, 200),
    (196, 164, 255), (240, 220, 90), (120, 226, 232), (222, 160, 120),
)  # fmt: skip
ERROR_COLOURS: dict[str, Colour] = {
    "missed": (255, 77, 77), "shifted": (255, 196, 0), "false": (226, 92, 255), "switched": (64, 224, 255),
}  # fmt: skip
_NOBODY: Colour = (170, 170, 170)
_DARK: Colour = (18, 19, 23)
_GROUND = 38  # grey of a frame without its image


def draw_frame(
    events: SequenceEvents, frame: int, colours: Mapping[int, int], images: Path | None
) -> tuple[str, str, bool]:
    """Labels and prediction of a frame as two pictures.

    Both show the same part of the frame: the people, with some room around them. A labelled person has
    the colour of the predicted one that it was found as, and is grey where it was missed. Missed joints
    are rings, false ones crosses, shifted ones lines to where they belong, switched ones triangles.

    Args:
        events: the sequence.
        frame: its position there.
        colours: predicted track id to the number of its colour.
        images: folder to look for the frame's image in; without it, or where it is not found, people
            are drawn on a plain ground.

    Returns:
        Two ``data:`` addresses of JPEGs, labels and prediction, and whether the image was found.
    """
    labels, prediction = events.ground_truth, events.prediction
    picture = read_frame_image(labels, frame, images)
    size_hw = frame_size(labels, prediction, frame, picture)
    part = x1, y1, x2, y2 = _shown_part(labels, prediction, frame, size_hw)
    zoom = min(PICTURE_WIDTH / (x2 - x1), PICTURE_HEIGHT / (y2 - y1))
    size_wh = (max(1, round((x2 - x1) * zoom)), max(1, round((y2 - y1) * zoom)))
    left, place = cut_out(picture, size_hw, part, size_wh)
    right = left.copy()
    _draw_labels(left, events, frame, colours, place)
    _draw_prediction(right, events, frame, colours, place)
    return data_address(left), data_address(right), picture is not None


def cut_out(
    picture: np.ndarray | None,
    size_hw: tuple[float, float],
    part_xyxy: tuple[float, float, float, float],
    size_wh: tuple[int, int],
) -> tuple[np.ndarray, Place]:
    """A part of a frame at another size, and the function that takes the frame's points there.

    Args:
        picture: (H, W, 3) uint8 the frame's image, of any size; None: a plain ground.
        size_hw: of the frame, in whose pixels the part is.
        part_xyxy: where to cut; beyond the border the border goes on.
        size_wh: of what is cut out; of the part's shape, to within rounding.
    """
    if picture is None:
        picture = np.full((1, 1, 3), _GROUND, np.uint8)
    x1, y1, x2, y2 = part_xyxy
    zoom = min(size_wh[0] / (x2 - x1), size_wh[1] / (y2 - y1))
    # Continuous coordinates of the frame to OpenCV's pixel indices in the picture, and of the image too.
    to_image = np.array([picture.shape[1] / size_hw[1], picture.shape[0] / size_hw[0]])
    scale = zoom / to_image
    matrix = np.array([
        [scale[0], 0, 0.5 * scale[0] - x1 * zoom - 0.5], [0, scale[1], 0.5 * scale[1] - y1 * zoom - 0.5]
    ])  # fmt: skip
    cut = cv2.warpAffine(picture, matrix, size_wh, flags=cv2.INTER_AREA if zoom < 1 else cv2.INTER_LINEAR,
                         borderMode=cv2.BORDER_REPLICATE)  # fmt: skip

    def place(points: np.ndarray) -> np.ndarray:
        return (points - np.array([x1, y1])) * zoom - 0.5

    return cut, place


def _draw_labels(
    canvas: np.ndarray, events: SequenceEvents, frame: int, colours: Mapping[int, int], place: Place
) -> None:
    labels = events.ground_truth
    for row in _rows(labels, frame):
        partner = int(events.partner[row])
        track_id = None if partner < 0 else int(events.prediction.track_ids[partner])
        points, has_joint = place(labels.keypoints[row]), labels.has_joint[row]
        size = mark_size(points, has_joint)
        draw_limbs(canvas, points, has_joint, size, identity_colour(colours, track_id))
        for kind in ("missed", "shifted"):
            for joint in np.flatnonzero(getattr(events, kind)[row]):
                _ring(canvas, points[joint], size, ERROR_COLOURS[kind])
        _draw_id(canvas, points[has_joint], int(labels.track_ids[row]), identity_colour(colours, track_id))


def _draw_prediction(
    canvas: np.ndarray, events: SequenceEvents, frame: int, colours: Mapping[int, int], place: Place
) -> None:
    labels, prediction = events.ground_truth, events.prediction
    for row in _rows(prediction, frame):
        colour = identity_colour(colours, int(prediction.track_ids[row]))
        points, has_joint = place(prediction.keypoints[row]), prediction.has_joint[row]
        size = mark_size(points, has_joint)
        draw_limbs(canvas, points, has_joint, size, colour)
        for joint in np.flatnonzero(events.false[row]):
            _cross(canvas, points[joint], size, ERROR_COLOURS["false"])
        _draw_id(canvas, points[has_joint], int(prediction.track_ids[row]), colour)
    for row in _rows(labels, frame):
        points = place(labels.keypoints[row])
        size = mark_size(points, labels.has_joint[row])
        for joint in np.flatnonzero(events.shifted[row]):
            elsewhere = place(prediction.keypoints[events.partner[row], joint])
            _line(canvas, elsewhere, points[joint], size, ERROR_COLOURS["shifted"])
            _ring(canvas, points[joint], size, ERROR_COLOURS["shifted"])
        for joint in np.flatnonzero(events.switched[row]):
            there = place(prediction.keypoints[events.match[row, joint], joint])
            _triangle(canvas, there, size, ERROR_COLOURS["switched"])


def _rows(people: PoseTrackSequence, frame: int) -> range:
    """The people of a frame; a prediction of nobody may have no frames at all."""
    if frame >= len(people):
        return range(0)
    rows = people.people_of(frame)
    return range(rows.start, rows.stop)


def read_frame_image(labels: PoseTrackSequence, frame: int, images: Path | None) -> np.ndarray | None:
    """(H, W, 3) uint8 RGB, or None where there is no such image.

    A file names its images relative to the dataset's folder (``images/SEQ/000000.jpg``) or to the folder
    of images; both are tried, and the sequence's own folder. A name that leads out of these is not.
    """
    name = PurePosixPath(labels.frames[frame].name.replace("\\", "/"))
    if images is None or not name.name or name.is_absolute() or ".." in name.parts:
        return None
    for path in (images / name, images.parent / name, images / labels.name / name.name, images / name.name):
        if path.is_file():
            try:
                return read_image(path)
            except InputError:  # a picture without its image will do
                return None
    return None


def frame_size(
    labels: PoseTrackSequence, prediction: PoseTrackSequence, frame: int, picture: np.ndarray | None
) -> tuple[float, float]:
    """Height and width of the frame: as its file says, or the image's, or as far as people reach."""
    size = labels.frames[frame].size_hw
    if size is not None and min(size) > 0:
        return size
    if picture is not None:
        return picture.shape[0], picture.shape[1]
    points = _all_points(labels, prediction, frame)
    width, height = points.max(axis=0) if len(points) else (0.0, 0.0)
    return max(1.0, float(height) * 1.05), max(1.0, float(width) * 1.05)


def _shown_part(
    labels: PoseTrackSequence, prediction: PoseTrackSequence, frame: int, size_hw: tuple[float, float]
) -> tuple[float, float, float, float]:
    """The part of the frame with the people, a fifth wider, of 4:3 or what the frame allows; xyxy."""
    height, width = size_hw
    points = _all_points(labels, prediction, frame)
    if not len(points):
        return 0.0, 0.0, width, height
    points = np.clip(points, 0, [width, height])
    low, high = points.min(axis=0), points.max(axis=0)
    side = np.maximum(1.2 * (high - low), 0.25 * np.array([width, height]))
    side = np.minimum(np.maximum(side, side[::-1] * [4 / 3, 3 / 4]), [width, height])
    begin = np.clip((low + high - side) / 2, 0, np.array([width, height]) - side)
    return float(begin[0]), float(begin[1]), float(begin[0] + side[0]), float(begin[1] + side[1])


def _all_points(labels: PoseTrackSequence, prediction: PoseTrackSequence, frame: int) -> np.ndarray:
    """(N, 2) joints of all people of a frame."""
    parts = [s.keypoints[rows][s.has_joint[rows]] for s in (labels, prediction) if (rows := _rows(s, frame))]
    return np.concatenate([np.zeros((0, 2)), *parts])


def draw_limbs(
    canvas: np.ndarray, points: np.ndarray, has_joint: np.ndarray, size: float, colour: Colour
) -> None:
    """Draws a person's limbs and joints: points (15, 2) of the canvas, has_joint (15,) bool, size a joint's radius."""
    for a, b in POSETRACK15.limb_indices:
        if has_joint[a] and has_joint[b]:
            _line(canvas, points[a], points[b], size, colour)
    for joint in np.flatnonzero(has_joint):
        for ink, radius in ((_DARK, 0.5 * size + 0.5), (colour, 0.5 * size)):
            _circle(canvas, points[joint], radius, ink, -1)


def _draw_id(canvas: np.ndarray, points: np.ndarray, track_id: int, colour: Colour) -> None:
    if not len(points):
        return
    text = "no id" if track_id == NO_TRACK_ID else str(track_id)
    (width, height), _ = cv2.getTextSize(text, _FONT, 0.5, 1)
    top = points[np.argmin(points[:, 1])]
    x = round(float(np.clip(top[0] - width / 2, 4, max(4, canvas.shape[1] - width - 4))))
    y = round(float(np.clip(top[1] - 14, height + 4, max(height + 4, canvas.shape[0] - 4))))
    cv2.rectangle(canvas, (x - 4, y - height - 4), (x + width + 3, y + 4), _DARK, -1)
    cv2.putText(canvas, text, (x, y), _FONT, 0.5, colour, 1, cv2.LINE_AA)


def mark_size(points: np.ndarray, has_joint: np.ndarray) -> float:
    """Radius of a mark, pixels: smaller on small people, whom marks would hide."""
    extent = np.ptp(points[has_joint], axis=0).max() if has_joint.any() else 0.0
    return float(np.clip(0.04 * extent, 3.0, 7.0))


def _fixed(pixels: np.ndarray) -> np.ndarray:
    """OpenCV's fixed-point numbers, int32, kept in range: a joint may lie anywhere."""
    return np.rint(np.clip(pixels * (1 << _SUBPIXEL_BITS), -(1 << 20), 1 << 20)).astype(np.int32)


def _stroke(canvas: np.ndarray, a: np.ndarray, b: np.ndarray, colour: Colour, thickness: int) -> None:
    ends = _fixed(a).tolist(), _fixed(b).tolist()
    cv2.line(canvas, *ends, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _line(canvas: np.ndarray, a: np.ndarray, b: np.ndarray, size: float, colour: Colour) -> None:
    width = 1 if size < 4 else 2
    for ink, thickness in ((_DARK, 2 * width), (colour, width)):
        _stroke(canvas, a, b, ink, thickness)


def _circle(canvas: np.ndarray, point: np.ndarray, radius: float, colour: Colour, thickness: int) -> None:
    size = round(radius * (1 << _SUBPIXEL_BITS))
    cv2.circle(canvas, _fixed(point).tolist(), size, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _ring(canvas: np.ndarray, point: np.ndarray, size: float, colour: Colour) -> None:
    for ink, thickness in ((_DARK, 3 if size < 4 else 4), (colour, 2)):
        _circle(canvas, point, size, ink, thickness)


def _cross(canvas: np.ndarray, point: np.ndarray, size: float, colour: Colour) -> None:
    for ink, thickness in ((_DARK, 5), (colour, 2)):
        for slope in (1, -1):
            arm = 0.75 * size * np.array([1, slope])
            _stroke(canvas, point - arm, point + arm, ink, thickness)


def _triangle(canvas: np.ndarray, point: np.ndarray, size: float, colour: Colour) -> None:
    for ink, reach in ((_DARK, size + 3), (colour, size + 1)):
        corners = point + reach * np.array([[-1, -0.8], [1, -0.8], [0, 1]])
        cv2.fillPoly(canvas, [_fixed(corners)], ink, cv2.LINE_AA, _SUBPIXEL_BITS)


def identity_colour(colours: Mapping[int, int], track_id: int | None) -> Colour:
    """The colour of a predicted identity on pictures; grey for None."""
    return _NOBODY if track_id is None else IDENTITY_COLOURS[colours.get(track_id, 0) % len(IDENTITY_COLOURS)]


def data_address(picture: np.ndarray) -> str:
    """The ``data:`` address of a picture (H, W, 3) uint8 RGB as a JPEG."""
    content = encode_picture(picture, quality=_JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(content).decode("ascii")
