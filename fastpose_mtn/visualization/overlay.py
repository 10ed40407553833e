"""Draws people on frames: a box and a trail in the identity's colour, limbs in their side's."""

from __future__ import annotations

import colorsys
import functools
import math
from collections import deque

import cv2
import numpy as np

from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import TrackedPersons

Colour = tuple[int, int, int]  # RGB

SIDE_COLOURS: dict[str, Colour] = {"left": (255, 150, 40), "right": (50, 180, 255), "middle": (245, 245, 245)}
_OUTLINE: Colour = (25, 25, 25)
_SUBPIXEL_BITS = 4  # OpenCV draws at 1/16 pixel, so a slow joint glides instead of jumping
_IDENTITIES = 36  # colours before they repeat
_JUMP = (0.6, 2.0)  # heights, at once and with every second, beyond which a trail ends: nobody runs so fast
_STEP = 2.0  # pixels between a trail's points: it is drawn once more for every one of them
_FINE = 0.4  # of other joints' and limbs' size: the many of a face and of hands
_LIMITS = (-30_000.0, 60_000.0)  # pixels: a wild joint far outside must not overflow OpenCV's coordinates


@functools.lru_cache(maxsize=1024)
def identity_colour(track_id: int) -> Colour:
    """One stable colour an identity; neighbouring ids are far apart."""
    hue = track_id * 0.618033988749895 % 1.0  # the golden ratio spreads any number of hues evenly
    red, green, blue = colorsys.hsv_to_rgb(hue, (0.75, 0.55)[track_id % 2], 1.0)
    return round(red * 255), round(green * 255), round(blue * 255)


class Overlay:
    """Remembers where people were, for their trails; everything else is drawn from the frame alone.

    Args:
        skeleton: of the people.
        joint_thresh: confidence above which a joint is visible; others are hollow, and their limbs thin.
        trail_s: seconds of trail behind a person's feet; it ends where they were not there, or jumped.
    """

    def __init__(self, skeleton: Skeleton, *, joint_thresh: float = 0.2, trail_s: float = 1.0) -> None:
        self._limbs = skeleton.limb_indices
        self._limb_colours = [SIDE_COLOURS[_side_of_limb(skeleton, limb)] for limb in skeleton.limbs]
        fine = {i for part in ("face", "hands") for i in skeleton.parts[part]}
        self._limb_sizes = [_FINE if {a, b} <= fine else 1.0 for a, b in self._limbs]
        self._joint_sizes = [_FINE if i in fine else 1.0 for i in range(len(skeleton))]
        self._joint_colours = [SIDE_COLOURS[skeleton.side(joint)] for joint in skeleton.joints]
        self._joint_thresh = joint_thresh
        self._trail_s = trail_s
        self._trails: dict[int, deque[tuple[float, list[int]]]] = {}  # time, place of the feet
        self._last_ids: set[int] = set()

    def reset(self) -> None:
        """Forgets where people were: the next frame has nothing to do with the last."""
        self._trails.clear()
        self._last_ids.clear()

    def draw(self, image: np.ndarray, people: TrackedPersons, time_s: float) -> np.ndarray:
        """A copy of the frame with its people drawn on it.

        Args:
            image: (H, W, 3) uint8 RGB.
            people: NumPy, in its pixels.
            time_s: not before that of the last call.
        """
        canvas = image.copy()
        unit = max(1, round(min(image.shape[:2]) / 400))  # thickness of a fine line
        self._remember(people, time_s)
        for track_id in people.track_ids.tolist():
            self._draw_trail(canvas, track_id, time_s, unit)
        colours = [identity_colour(track_id % _IDENTITIES) for track_id in people.track_ids.tolist()]
        boxes = np.clip(people.boxes, *_LIMITS).astype(np.int32).tolist()
        for box, colour in zip(boxes, colours, strict=True):
            cv2.rectangle(canvas, box[:2], box[2:], colour, unit)
        # Near people, larger, last: their joints are the ones not to be covered.
        for i in np.argsort(people.boxes[:, 3] - people.boxes[:, 1], kind="stable"):
            self.draw_pose(canvas, people.keypoints[i], people.boxes[i], unit)
        labels = [
            f"#{track_id} {score:.2f}"
            for track_id, score in zip(people.track_ids, people.scores, strict=True)
        ]
        for box, label, colour in zip(boxes, labels, colours, strict=True):
            _draw_label(canvas, label, box[:2], colour)
        return canvas

    def _remember(self, people: TrackedPersons, time_s: float) -> None:
        feet = np.stack([people.boxes[:, [0, 2]].mean(axis=1), people.boxes[:, 3]], axis=1)
        heights = people.boxes[:, 3] - people.boxes[:, 1]
        ids = people.track_ids.tolist()
        for track_id, foot, height in zip(ids, _fixed(feet).tolist(), heights.tolist(), strict=True):
            trail = self._trails.setdefault(track_id, deque())
            if trail and (track_id not in self._last_ids or _is_jump(trail[-1], (time_s, foot), height)):
                trail.clear()
            if trail and math.dist(trail[-1][1], foot) < _STEP * (1 << _SUBPIXEL_BITS):
                foot = trail.pop()[1]
            trail.append((time_s, foot))
        self._last_ids = set(ids)
        for track_id, trail in list(self._trails.items()):
            while trail and trail[0][0] < time_s - self._trail_s:
                trail.popleft()
            if not trail:
                del self._trails[track_id]

    def _draw_trail(self, canvas: np.ndarray, track_id: int, time_s: float, unit: int) -> None:
        """Three strokes, the newest the thickest; each begins where the older one ends."""
        trail = self._trails[track_id]
        colour = identity_colour(track_id % _IDENTITIES)
        strokes: list[list[list[int]]] = [[], [], []]
        last: list[int] | None = None
        for when, foot in trail:
            age = (time_s - when) / self._trail_s
            stroke = strokes[min(int((1.0 - age) * 3), 2)]
            if not stroke and last is not None:
                stroke.append(last)
            stroke.append(foot)
            last = foot
        for thickness, stroke in enumerate(strokes, start=1):
            if len(stroke) > 1:
                line = np.array(stroke, np.int32)[:, None]
                cv2.polylines(canvas, [line], False, colour, thickness * unit, cv2.LINE_AA, _SUBPIXEL_BITS)

    def draw_pose(self, canvas: np.ndarray, keypoints: np.ndarray, box: np.ndarray, unit: int) -> None:
        """Draws one person's limbs and joints on the canvas.

        Args:
            canvas: (H, W, 3) uint8 RGB, changed.
            keypoints: (K, 3) x, y in pixels, confidence; joints of confidence 0 are not drawn.
            box: (4,) xyxy, which the thickness of the lines follows.
            unit: pixels of a fine line.
        """
        points = [tuple(point) for point in _fixed(keypoints[:, :2]).tolist()]
        confidences = keypoints[:, 2].tolist()
        height = float(box[3] - box[1])
        thickness = min(max(round(height / 90), 1), 3 * unit)  # a distant person must not become a blob
        radius = min(max(height / 70, 1.3), 4.0 * unit)
        for (a, b), colour, size in zip(self._limbs, self._limb_colours, self._limb_sizes, strict=True):
            weaker = min(confidences[a], confidences[b])
            if weaker > self._joint_thresh:
                width = max(round(thickness * size), 1)
                cv2.line(canvas, points[a], points[b], colour, width, cv2.LINE_AA, _SUBPIXEL_BITS)
            elif weaker > 0:
                cv2.line(canvas, points[a], points[b], _faded(colour), 1, cv2.LINE_AA, _SUBPIXEL_BITS)
        for point, confidence, colour, size in zip(
            points, confidences, self._joint_colours, self._joint_sizes, strict=True
        ):
            if confidence > self._joint_thresh:
                if size == 1.0:  # of a face's points an outline would leave nothing to be seen
                    _circle(canvas, point, radius + 0.8, _OUTLINE, cv2.FILLED)
                _circle(canvas, point, size * radius, colour, cv2.FILLED)
            elif confidence > 0:
                _circle(canvas, point, size * (radius + 0.8), colour, 1)


def _is_jump(before: tuple[float, list[int]], now: tuple[float, list[int]], height: float) -> bool:
    """Whether a person of this height in pixels cannot have walked from one place of a trail to the next."""
    reach = height * (_JUMP[0] + _JUMP[1] * (now[0] - before[0])) * (1 << _SUBPIXEL_BITS)
    return math.dist(now[1], before[1]) > reach


def _side_of_limb(skeleton: Skeleton, limb: tuple[str, str]) -> str:
    """A limb's side is its joints'; from the middle to a side it is that side's."""
    sides = {skeleton.side(joint) for joint in limb} - {"middle"}
    return sides.pop() if len(sides) == 1 else "middle"


def _faded(colour: Colour) -> Colour:
    return colour[0] * 2 // 3, colour[1] * 2 // 3, colour[2] * 2 // 3


def _draw_label(canvas: np.ndarray, text: str, corner: list[int], colour: Colour) -> None:
    """Dark text on a plate that stands on the box's upper left corner."""
    scale = min(max(min(canvas.shape[:2]) / 900, 0.35), 1.2)
    padding, thickness = max(2, round(6 * scale)), max(1, round(1.5 * scale))
    (width, height), _ = cv2.getTextSize(text, cv2.FONT_HERSHEY_SIMPLEX, scale, thickness)
    x, y = corner
    cv2.rectangle(canvas, (x, y - height - 2 * padding), (x + width + 2 * padding, y), colour, cv2.FILLED)
    place = (x + padding, y - padding)
    cv2.putText(canvas, text, place, cv2.FONT_HERSHEY_SIMPLEX, scale, _OUTLINE, thickness, cv2.LINE_AA)


def _circle(
    canvas: np.ndarray, centre: tuple[int, ...], radius: float, colour: Colour, thickness: int
) -> None:
    size = round(radius * (1 << _SUBPIXEL_BITS))
    cv2.circle(canvas, centre, size, colour, thickness, cv2.LINE_AA, _SUBPIXEL_BITS)


def _fixed(points_xy: np.ndarray) -> np.ndarray:
    """(M, 2) pixels to OpenCV's fixed-point pixel indices, int32: the centre of pixel i, i + 0.5, is i there."""
    indices = np.clip(points_xy - 0.5, *_LIMITS) * (1 << _SUBPIXEL_BITS)
    return np.rint(indices).astype(np.int32)
