"""The camera over a scene: pan, zoom and shake, then light, exposure and the sensor's noise."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from fastpose_mtn.data.synthetic.config import SceneConfig

REST_ZOOM = 1.06  # of a camera that does not move: the edges of pictures hide what is not painted


@dataclass(frozen=True)
class Camera:
    """Pan and zoom for every frame: image = (rest - middle - pan) * zoom + middle.

    Attributes:
        pan: (T, 2) pixels of the view at rest.
        zoom: (T,) factor.
        margin: (x, y) pixels that the background reaches beyond the view at rest, on each side.
        size_wh: (width, height) pixels.
    """

    pan: np.ndarray
    zoom: np.ndarray
    margin: tuple[int, int]
    size_wh: tuple[int, int]

    @classmethod
    def draw(cls, rng: np.random.Generator, config: SceneConfig) -> Camera:
        """A still, panning, zooming or hand-held camera."""
        width, height = config.size_wh
        time = np.arange(config.frame_count) / config.fps
        amount = config.camera_motion * float(rng.choice([0.0, 0.4, 1.0], p=[0.3, 0.3, 0.4]))
        rate, start = rng.uniform(0.12, 0.5, 3), rng.uniform(0, 2 * np.pi, 3)
        wave = np.sin(2 * np.pi * rate * time[:, None] + start)
        pan = amount * wave[:, :2] * (0.11 * width, 0.03 * height)
        shake = rng.uniform(0, 2 * np.pi, (4, 2))
        for k, hertz in enumerate((1.3, 2.1, 3.7, 5.3)):
            pan += (
                amount * 0.0016 * width / (1 + 0.5 * k) * np.sin(2 * np.pi * hertz * time[:, None] + shake[k])
            )
        zoom = REST_ZOOM + amount * 0.10 * wave[:, 2]
        return cls(pan, zoom, (int(0.16 * width), int(0.10 * height)), (width, height))

    def apply(self, at: np.ndarray, index: int) -> np.ndarray:
        """Pixels of the view at rest (..., 2) to pixels of the frame."""
        middle = 0.5 * np.array(self.size_wh, float)
        return (at - middle - self.pan[index]) * self.zoom[index] + middle

    def background(self, canvas: np.ndarray, index: int, exposure: float) -> np.ndarray:
        """The frame of an empty scene.

        Args:
            canvas: (h, w, 4) uint8; OpenCV warps four channels more than twice as fast as three.
            index: of the frame.
            exposure: the open shutter's share of a frame.

        Returns:
            (H, W, 3) uint8.
        """
        width, height = self.size_wh
        zoom = float(self.zoom[index])
        # cv2 counts pixel centres as integers, so half a pixel goes on and off again.
        origin = self.apply(-np.array(self.margin, float) + 0.5, index) - 0.5
        warp = np.array([[zoom, 0.0, origin[0]], [0.0, zoom, origin[1]]])
        image = cv2.warpAffine(
            canvas, warp, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
        )
        image = cv2.cvtColor(image, cv2.COLOR_RGBA2RGB)
        other = index + 1 if index + 1 < len(self.pan) else index - 1
        if other >= 0:
            moved = np.abs(self.pan[other] - self.pan[index]) * zoom * exposure
            kernel = (1 + 2 * round(float(moved[0]) / 2), 1 + 2 * round(float(moved[1]) / 2))
            if max(kernel) > 1:
                image = cv2.blur(image, kernel)
        return image


@dataclass(frozen=True)
class Sensor:
    """Turns drawn colours into a photograph's: colour of the light, its changes, contrast and noise.

    Attributes:
        gain: (T, 3) RGB factors.
        lift: grey levels added to black (haze).
        gamma: exponent of the tone curve.
        brighter, darker: (h, w, 3) uint8 halves of the noise, larger than a frame.
        seed: of the scene.
    """

    gain: np.ndarray
    lift: float
    gamma: float
    brighter: np.ndarray
    darker: np.ndarray
    seed: int

    @classmethod
    def draw(cls, rng: np.random.Generator, seed: int, config: SceneConfig, indoor: bool) -> Sensor:
        """A camera's rendering and the light's course."""
        width, height = config.size_wh
        time = np.arange(config.frame_count) / config.fps
        warm = rng.normal(0.03 if indoor else 0.0, 0.05)
        tint = np.array([1 + warm, 1.0, 1 - warm])
        level = rng.uniform(0.72, 1.12)
        change = rng.uniform(0, 0.10) * np.sin(2 * np.pi * rng.uniform(0.1, 0.6) * time + rng.uniform(0, 6))
        flicker = rng.uniform(0, 0.012) * np.sin(2 * np.pi * rng.uniform(2, 8) * time) if indoor else 0.0
        gain = (level * (1 + change + flicker))[:, None] * tint
        sigma = config.noise * rng.uniform(1.0, 6.0)
        noise = (
            np.random.default_rng([seed, 3]).standard_normal((height + 32, width + 32, 3), np.float32) * sigma
        )
        return cls(
            gain=gain,
            lift=float(rng.uniform(0, 22)),
            gamma=float(rng.uniform(0.85, 1.2)),
            brighter=np.clip(noise, 0, 255).astype(np.uint8),
            darker=np.clip(-noise, 0, 255).astype(np.uint8),
            seed=seed,
        )

    def expose(self, image: np.ndarray, index: int) -> np.ndarray:
        """The photograph (H, W, 3) uint8 of drawn colours; its noise depends on seed and frame alone."""
        levels = (np.arange(256)[:, None] / 255.0) ** self.gamma * self.gain[index] * (
            255 - self.lift
        ) + self.lift
        table = np.clip(np.rint(levels), 0, 255).astype(np.uint8)
        image = cv2.LUT(image, table[None])
        height, width = image.shape[:2]
        x, y = np.random.default_rng([self.seed, 4, index]).integers(0, 33, 2)
        window = (slice(y, y + height), slice(x, x + width))
        image = cv2.add(image, self.brighter[window])
        return cv2.subtract(image, self.darker[window])
