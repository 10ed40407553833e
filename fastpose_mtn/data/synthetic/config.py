"""What a synthetic scene is made of."""

from __future__ import annotations

import math
from dataclasses import dataclass

# Scenes with seeds from here up are kept for acceptance: nothing may be trained or tuned on them.
FIRST_ACCEPTANCE_SEED = 900_000


@dataclass(frozen=True)
class SceneConfig:
    """The settings of one scene; the seed decides everything else.

    Attributes:
        size_wh: (width, height) of a frame, pixels; at least 64 each.
        frame_count: frames in the scene.
        fps: frames per second of video; motion is in metres per second, so it does not depend on this.
        people: persons in the scene; their numbers are their identities. They come and go, so a
            frame may show fewer.
        occlusion: 0 to 1: how many occluders stand in front and how often people walk behind them.
        camera_motion: 0 to 1: how far the camera pans and zooms.
        motion_blur: 0 to 1: the largest share of a frame's time that the shutter may be open.
        noise: 0 or more: factor on the sensor's noise, whose standard deviation is 1 to 6 grey levels.

    Raises:
        ValueError: a value is out of range.
    """

    size_wh: tuple[int, int] = (640, 360)
    frame_count: int = 60
    fps: float = 30.0
    people: int = 6
    occlusion: float = 0.3
    camera_motion: float = 1.0
    motion_blur: float = 0.5
    noise: float = 1.0

    def __post_init__(self) -> None:
        width, height = self.size_wh
        if min(width, height) < 64 or max(width, height) > 8192:
            raise ValueError(f"size_wh: expected 64 to 8192 pixels a side, got {width}x{height}")
        if self.frame_count < 1:
            raise ValueError(f"frame_count: expected at least 1 frame, got {self.frame_count}")
        if not (math.isfinite(self.fps) and self.fps > 0):
            raise ValueError(f"fps: expected a rate above 0, got {self.fps}")
        if not 0 <= self.people <= 200:
            raise ValueError(f"people: expected 0 to 200 persons, got {self.people}")
        for name in ("occlusion", "camera_motion", "motion_blur"):
            if not 0.0 <= getattr(self, name) <= 1.0:
                raise ValueError(f"{name}: expected a number from 0 to 1, got {getattr(self, name)}")
        if not (math.isfinite(self.noise) and self.noise >= 0):
            raise ValueError(f"noise: expected a factor of 0 or more, got {self.noise}")
