"""Scene cuts: whether a frame shows another scene than the frame before it."""

from __future__ import annotations

import cv2
import numpy as np

# ours; SceneCutDetector says what was measured with them
_SIDE = 32  # cells of a thumbnail's side
_SHIFT = 4  # cells by which a camera may have turned between two frames: an eighth of the picture
_SAMPLES = 128  # pixels a side that are looked at
_FLAT = 2.0  # grey levels of 255; standard deviation below which a picture has nothing to compare
_CHANGED = 0.5  # standard deviations by which a cell of another scene differs
_CHANGED_SHARE = 0.4  # of all cells; fewer are somebody who moves before a plain wall


class SceneCutDetector:
    """Compares each frame with the one before it, as grey thumbnails of 32x32 cells.

    Two pictures are of one scene where they correlate when one is shifted by up to an eighth, as a camera turns, or
    where only a small part differs. Correlation does not care for brightness and contrast, so neither do light changes.
    Pictures without structure (black, a white flash) are passed over: what comes behind is compared with what was
    before.

    Measured: consecutive frames of 16 clips, street scenes from a moving car and drawn videos with pans among them,
    correlate by 0.83 at least; of 680 pairs of frames of different scenes, 99.4 % by less than 0.6. Dissolves are not
    noticed.

    Args:
        min_correlation: of two frames of one scene; 0 notices no cut.
    """

    def __init__(self, min_correlation: float) -> None:
        self._min_correlation = min_correlation
        self._last: np.ndarray | None = None

    def reset(self) -> None:
        """The next frame is a first one."""
        self._last = None

    def told(self, frame: np.ndarray | None, scene_cut: bool | None) -> bool:
        """Whether a frame begins another scene: as its caller knows, else as the frame shows.

        Args:
            frame: RGB uint8 image (H, W, 3); None: it is not at hand, and shows nothing.
            scene_cut: what the caller knows; None: nothing.
        """
        if scene_cut is not None:
            return scene_cut
        return frame is not None and self(frame)

    def __call__(self, frame: np.ndarray) -> bool:
        """Whether this frame begins another scene; a first one does not.

        Args:
            frame: RGB uint8 image (H, W, 3), of any size.
        """
        if self._min_correlation <= 0.0:
            return False
        thumbnail = grey_thumbnail(frame)
        spread = thumbnail.std()
        if spread < _FLAT:
            return False
        thumbnail = (thumbnail - thumbnail.mean()) / spread
        last, self._last = self._last, thumbnail
        if last is None or (np.abs(thumbnail - last) > _CHANGED).mean() < _CHANGED_SHARE:
            return False
        middle = last[_SHIFT:-_SHIFT, _SHIFT:-_SHIFT]
        correlation = cv2.matchTemplate(thumbnail, middle, cv2.TM_CCOEFF_NORMED).max()
        return bool(correlation < self._min_correlation)


def grey_thumbnail(frame: np.ndarray) -> np.ndarray:
    """A frame's luma as (32, 32) float32 cells, in levels of 255.

    Args:
        frame: RGB uint8 image (H, W, 3).
    """
    height, width = frame.shape[:2]
    # a full frame's average would cost more than the tracker
    few = cv2.resize(frame, (min(width, _SAMPLES), min(height, _SAMPLES)), interpolation=cv2.INTER_NEAREST)
    luma = cv2.cvtColor(few, cv2.COLOR_RGB2GRAY)
    return cv2.resize(luma.astype(np.float32), (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
