"""One synthetic scene: places people and things, draws any of its frames, and knows the truth."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np

from fastpose_mtn.data.synthetic import body, figure
from fastpose_mtn.data.synthetic.appearance import Appearance, draw_cast
from fastpose_mtn.data.synthetic.backgrounds import paint_background
from fastpose_mtn.data.synthetic.brush import Brush
from fastpose_mtn.data.synthetic.camera import Camera, Sensor
from fastpose_mtn.data.synthetic.config import SceneConfig
from fastpose_mtn.data.synthetic.motion import Course, GroundView, plan_course
from fastpose_mtn.data.synthetic.occluders import Occluder, place_occluders
from fastpose_mtn.data.synthetic.person import draw_figure
from fastpose_mtn.data.synthetic.pose_prior import PosePrior
from fastpose_mtn.data.synthetic.posed import place_people, trunk_across
from fastpose_mtn.data.synthetic.scenery import PLACES
from fastpose_mtn.data.synthetic.truth import BodyTruth, SyntheticFrame, label_people

_FEET = [body.POINT[name] for name in ("l_heel", "l_toe", "r_heel", "r_toe")]
_OCCLUDER_ID = 255  # in the buffer of who is seen where; people are 1 and up


class SyntheticScene:
    """A labelled video that is drawn, not filmed.

    Any frame can be asked for, in any order: ``frame(40)`` needs no frame before it, and the same
    seed and configuration give the same bytes.

    Args:
        seed: 0 or more; seeds from ``FIRST_ACCEPTANCE_SEED`` up are kept for acceptance.
        config: what the scene is made of.
        poses: people stand, in the sizes and places and as they hide each other, as in an image of it, and move
            about that pose; None: they walk about.

    Raises:
        ValueError: the seed is negative.
    """

    def __init__(self, seed: int, config: SceneConfig | None = None, poses: PosePrior | None = None) -> None:
        if seed < 0:
            raise ValueError(f"seed: expected 0 or more, got {seed}")
        self.seed, self.config = int(seed), config or SceneConfig()
        config = self.config
        width, height = config.size_wh
        rng = np.random.default_rng([self.seed, 0])
        self.place = PLACES[rng.integers(len(PLACES))]
        sizes = _person_heights(rng, config.people) * height / 360.0
        low_camera = config.people == 0 or sizes.max() > 0.62 * height
        self.view = GroundView(
            focal=1.05 * width,
            horizon=float(rng.uniform(0.26, 0.40)) * height,
            camera_height=float(rng.uniform(1.35, 1.75) if low_camera else rng.uniform(1.4, 2.4)),
            width=width,
            height=height,
        )
        self.cast: list[Appearance] = draw_cast(self.seed, config.people)
        distances = self.view.focal * 1.71 / np.maximum(sizes, 1.0)
        posed = None
        if poses is not None:
            posed = place_people(poses, seed=self.seed, cast=self.cast, view=self.view, config=config)
            self.cast, distances = posed.cast, posed.distances
        self._posed = posed is not None
        self.occluders = place_occluders(rng, self.place, self.view, distances, config.occlusion)
        hiding = [(o.x, o.z, o.half_width) for o in self.occluders]
        self.courses: list[Course] = posed.courses if posed is not None else [
            plan_course(
                seed=self.seed, person=i, look=look, view=self.view, base_z=float(distances[i]),
                hiding_places=hiding, config=config,
            )
            for i, look in enumerate(self.cast)
        ]  # fmt: skip
        self.camera = Camera.draw(rng, config)
        self.sensor = Sensor.draw(rng, self.seed, config, indoor=self.place == "indoor")
        self.light = float(rng.uniform(-1, 1))
        self.exposure = float(rng.uniform(0, config.motion_blur))
        margin_x, margin_y = self.camera.margin
        canvas_size = (width + 2 * margin_x, height + 2 * margin_y)
        canvas = paint_background(rng, self.place, canvas_size, int(self.view.horizon) + margin_y)
        self._canvas = cv2.cvtColor(canvas, cv2.COLOR_RGB2RGBA)

    def __len__(self) -> int:
        return self.config.frame_count

    def frames(self) -> Iterator[SyntheticFrame]:
        """All frames in order."""
        return (self.frame(index) for index in range(len(self)))

    def frame(self, index: int) -> SyntheticFrame:
        """Draws one frame and its truth.

        Raises:
            IndexError: there is no such frame.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"frame {index}: the scene has frames 0 to {len(self) - 1}")
        width, height = self.config.size_wh
        image = self.camera.background(self._canvas, index, self.exposure)
        owner = np.zeros((height, width), np.uint8)
        part = np.zeros((height, width), np.uint8)
        self._shadows(image, index)
        truths: list[BodyTruth] = []
        queue = [(float(c.position[index, 1]), i) for i, c in enumerate(self.courses)]
        queue += [(o.z, -1 - i) for i, o in enumerate(self.occluders)]
        for _, i in sorted(queue, reverse=True):
            if i < 0:
                self._draw_occluder(self.occluders[-1 - i], index, image, owner, part)
            else:
                truth = self._draw_person(i, index, image, owner, part)
                if truth is not None:
                    truths.append(truth)
        truths.sort(key=lambda t: t.person)
        targets, head_boxes, shares = label_people(truths, self.cast, owner, part)
        return SyntheticFrame(self.sensor.expose(image, index), targets, head_boxes, shares)

    def _project(self, x: np.ndarray, up: np.ndarray, z: float, index: int) -> np.ndarray:
        """Ground-based metres to image pixels, (..., 2)."""
        scale = self.view.focal / z
        at = np.stack(
            [0.5 * self.view.width + scale * x, self.view.horizon + scale * (self.view.camera_height - up)],
            axis=-1,
        )
        return self.camera.apply(at, index)

    def pose(self, person: int, index: int) -> figure.Figure:
        """Where a person's body is in a frame, seen or not."""
        course = self.courses[person]
        (x, z), points = course.position[index], course.points[index]
        scale = self.view.focal / z
        tilt = self.view.tilt_at(z)
        xy = self._project(x + points[:, 0], points[:, 1] + tilt * points[:, 2], z, index)
        return figure.Figure(
            xy=xy, depth=points[:, 2], axes=points, scale=scale * float(self.camera.zoom[index]),
            light=self.light, box=course.box, across=trunk_across(xy) if self._posed else (1.0, 0.0),
        )  # fmt: skip

    def _draw_person(
        self, person: int, index: int, image: np.ndarray, owner: np.ndarray, part: np.ndarray
    ) -> BodyTruth | None:
        look, seen = self.cast[person], self.pose(person, index)
        height, width = owner.shape
        body_xy = seen.xy[: body.FIRST_AXIS]
        reach = figure.outline_reach(look, seen.scale)
        x0, y0 = (int(v) for v in np.floor(body_xy.min(axis=0) - reach))
        x1, y1 = (int(v) for v in np.ceil(body_xy.max(axis=0) + reach))
        if x1 <= 0 or y1 <= 0 or x0 >= width or y0 >= height:
            return None
        mask = np.zeros((y1 - y0, x1 - x0), np.uint8)
        draw_figure(seen, look, Brush(image, mask, (x0, y0)))
        left, top, right, bottom = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
        inside = mask[top - y0 : bottom - y0, left - x0 : right - x0]
        region = (slice(top, bottom), slice(left, right))
        covered = inside > 0
        owner[region][covered] = person + 1
        cv2.copyTo(inside, inside, part[region])
        self._blur_motion(person, index, image, (left, top, right, bottom), inside)
        return BodyTruth(person=person, figure=seen, mask=mask, origin=(x0, y0))

    def _blur_motion(
        self, person: int, index: int, image: np.ndarray, roi: tuple[int, int, int, int], inside: np.ndarray
    ) -> None:
        """Smears a fast person along the way they move while the shutter is open."""
        course, before, after = self.courses[person], max(index - 1, 0), min(index + 1, len(self) - 1)
        if after == before:
            return
        spans = []
        for i in (before, after):
            x, z = course.position[i]
            spans.append(self._project(np.array(x), np.array(1.0), z, i))
        moved = (spans[1] - spans[0]) / (after - before) * self.exposure
        kernel = (1 + 2 * round(abs(float(moved[0])) / 2), 1 + 2 * round(abs(float(moved[1])) / 2))
        if max(kernel) < 3 or inside.size == 0:
            return
        kernel = (min(kernel[0], 31), min(kernel[1], 31))
        left, top, right, bottom = roi
        patch = image[top:bottom, left:right]
        soft = cv2.blur(patch, kernel)
        where = cv2.dilate(inside, np.ones((kernel[1], kernel[0]), np.uint8))
        cv2.copyTo(soft, where, patch)

    def _draw_occluder(
        self, occluder: Occluder, index: int, image: np.ndarray, owner: np.ndarray, part: np.ndarray
    ) -> None:
        brush = Brush(image, owner, (0, 0))
        points = np.concatenate(occluder.outlines)
        xy = self._project(occluder.x + points[:, 0], points[:, 1], occluder.z, index)
        height, width = owner.shape
        low, high = xy.min(axis=0), xy.max(axis=0)
        if high[0] < 0 or high[1] < 0 or low[0] > width or low[1] > height:
            return
        first = 0
        for outline, colour in zip(occluder.outlines, occluder.colours, strict=True):
            brush.paint(xy[first : first + len(outline)], colour, _OCCLUDER_ID)
            first += len(outline)

    def _shadows(self, image: np.ndarray, index: int) -> None:
        """Soft dark spots under the feet keep people on the ground."""
        height, width = image.shape[:2]
        for course, look in zip(self.courses, self.cast, strict=True):
            x, z = course.position[index]
            feet = course.points[index, _FEET]
            tilt = self.view.tilt_at(z)
            middle, spread = feet.mean(axis=0), float(np.ptp(feet[:, 0]))
            foot = self._project(x + middle[0], course.ground + tilt * middle[2], z, index)
            scale = self.view.focal / z * float(self.camera.zoom[index])
            half, flat = (
                (0.16 * look.height + 0.38 * spread) * scale,
                0.5 * tilt * 0.24 * look.height * scale + 1.0,
            )
            offset = 0.25 * half * -self.light
            x0, x1 = int(foot[0] + offset - half - 2), int(foot[0] + offset + half + 3)
            y0, y1 = int(foot[1] - flat - 2), int(foot[1] + flat + 3)
            a, b, c, d = max(x0, 0), max(y0, 0), min(x1, width), min(y1, height)
            if a >= c or b >= d:
                continue
            dark = np.zeros((d - b, c - a), np.uint8)
            centre = (int((foot[0] + offset - a) * 16), int((foot[1] - b) * 16))
            cv2.ellipse(dark, centre, (int(half * 16), int(flat * 16)), 0, 0, 360, 90, -1, cv2.LINE_AA, 4)
            patch = image[b:d, a:c]
            patch[:] = cv2.subtract(patch, cv2.multiply(patch, cv2.merge([dark] * 3), scale=1 / 255))


def _person_heights(rng: np.random.Generator, people: int) -> np.ndarray:
    """(people,) pixels in a 360-row picture: 30 to 500, most of them 60 to 300."""
    bands = np.array([(30.0, 60.0), (60.0, 300.0), (300.0, 500.0)])
    chosen = bands[rng.choice(3, size=people, p=[0.10, 0.82, 0.08])]
    low, high = np.log(chosen[:, 0]), np.log(chosen[:, 1])
    return np.exp(low + rng.random(people) * (high - low))
