"""Optical flow: where points of one frame of a video lie in the next one that is looked at."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np

from fastpose_mtn.errors import InputError

FLOW_METHODS = ("dis", "farneback", "raft", "none")
# Maps two uint8 images of one size to the dense flow (h, w, 2) from the first to the second, pixels.
DenseFlow = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True)
class _Method:
    """A dense flow and the images that it takes.

    Attributes:
        compute: the flow.
        colour: whether of RGB images (h, w, 3); else grey ones (h, w).
        smallest: pixels that each side needs.
        multiple: each side is a multiple of it.
    """

    compute: DenseFlow
    colour: bool = False
    smallest: int = 64
    multiple: int = 1


class OpticalFlow:
    """Carries points of the last frame to the next, by dense flow at a reduced size.

    Args:
        method: one of ``FLOW_METHODS``: OpenCV's dense inverse search (Kroeger et al., ECCV 2016) or Farneback's flow,
            torchvision's RAFT (small), whose weights are downloaded when it is first used; ``none``: nothing moves.
        max_side: pixels, to which the longer side of larger frames is reduced.
        window: a point moves by the median of window x window pixels of the reduced frame around it: one pixel may be
            the background's.
        device: of RAFT: cpu, cuda, cuda:N, or auto, a GPU where there is one.

    Raises:
        InputError: RAFT's weights are not there and cannot be downloaded.
    """

    def __init__(self, method: str = "dis", *, max_side: int, window: int, device: str = "auto") -> None:
        self._method = _method(method, device)
        self._max_side, self._window = max_side, window
        self.reset()

    @property
    def sees_frames(self) -> bool:
        """Whether it computes anything of the frames."""
        return self._method is not None

    def reset(self) -> None:
        """The next frame is a first one, of any size."""
        self._last: np.ndarray | None = None
        self._size_hw: tuple[int, int] | None = None

    def displacements(self, frame: np.ndarray, points_xy: np.ndarray) -> np.ndarray:
        """How far each point has moved since the last frame; the next call asks from this frame on.

        Args:
            frame: RGB uint8 image (H, W, 3).
            points_xy: (P, 2) pixels of the last frame; points outside it move as its nearest pixel.

        Returns:
            (P, 2) float64 pixels; 0 of a first frame.

        Raises:
            ValueError: the frame has another size than the last; that one still counts then.
        """
        still = np.zeros((len(points_xy), 2))
        if self._method is None:
            return still
        size_hw = frame.shape[:2]
        if self._size_hw not in (None, size_hw):
            assert self._size_hw is not None
            (was_height, was_width), (height, width) = self._size_hw, size_hw
            raise ValueError(
                f"frame: {width}x{height} pixels, but {was_width}x{was_height} before it: flow needs frames of one size; "
                "scale the video to one size, or set TRACKER.FLOW.METHOD none or TRACKER.NAME occlusion_aware"
            )
        last, now = self._last, self._reduced(frame)
        self._last, self._size_hw = now, size_hw
        if last is None or not len(points_xy):
            return still
        flow = self._method.compute(_padded(last, self._method), _padded(now, self._method))
        scale_xy = np.array([now.shape[1] / size_hw[1], now.shape[0] / size_hw[0]])
        return self._sampled(flow[: now.shape[0], : now.shape[1]], points_xy * scale_xy) / scale_xy

    def _reduced(self, frame: np.ndarray) -> np.ndarray:
        assert self._method is not None
        image = frame if self._method.colour else cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
        height, width = frame.shape[:2]
        scale = self._max_side / max(height, width)
        if scale < 1.0:
            size_wh = max(round(width * scale), 1), max(round(height * scale), 1)
            return cv2.resize(image, size_wh, interpolation=cv2.INTER_AREA)
        return image if image is not frame else image.copy()  # whose owner may draw on it

    def _sampled(self, flow: np.ndarray, points_xy: np.ndarray) -> np.ndarray:
        """The medians (P, 2) of the flow around points (P, 2), both in its pixels."""
        height, width = flow.shape[:2]
        around = np.arange(self._window) - self._window // 2
        columns, rows = np.floor(np.clip(points_xy, 0, [width - 1, height - 1])).astype(np.intp).T
        columns = np.clip(columns[:, None] + around, 0, width - 1)
        rows = np.clip(rows[:, None] + around, 0, height - 1)
        values = flow[rows[:, :, None], columns[:, None, :]].reshape(len(points_xy), -1, 2)
        return np.median(values, axis=1).astype(np.float64)


def _padded(image: np.ndarray, method: _Method) -> np.ndarray:
    """With more of its last row and column; OpenCV's dense inverse search crashes on tiny and on narrow images."""
    height, width = image.shape[:2]
    least = max(method.smallest, max(height, width) // 8)
    wanted = [-(-max(side, least) // method.multiple) * method.multiple for side in (height, width)]
    bottom, right = wanted[0] - height, wanted[1] - width
    if bottom == 0 and right == 0:
        return image
    return cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REPLICATE)


def _method(name: str, device: str) -> _Method | None:
    if name == "none":
        return None
    if name == "dis":
        search = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_FAST)
        # no flow to begin with, which OpenCV's type stubs do not know
        return _Method(lambda before, after: search.calc(before, after, None))  # type: ignore[call-overload]
    if name == "farneback":
        # OpenCV's own example: pyramid of 3 levels, windows of 15 pixels, 3 iterations, polynomials of 5 pixels
        return _Method(
            lambda before, after: cv2.calcOpticalFlowFarneback(  # type: ignore[call-overload]
                before, after, None, 0.5, 3, 15, 3, 5, 1.2, 0
            )
        )
    assert name == "raft", name
    return _Method(_raft(device), colour=True, smallest=128, multiple=8)


@functools.cache
def _raft(device: str) -> DenseFlow:
    import torch
    from torchvision.models.optical_flow import Raft_Small_Weights, raft_small

    weights = Raft_Small_Weights.DEFAULT
    try:
        network = raft_small(weights=weights, progress=False).eval()
    except (OSError, RuntimeError) as error:  # no network; a download that was cut short
        raise InputError(
            f"TRACKER.FLOW.METHOD raft: its weights could not be had from {weights.url} ({error}); put that file into "
            f"{torch.hub.get_dir()}/checkpoints, or set TRACKER.FLOW.METHOD dis, which needs none"
        ) from error
    if device == "auto" or not torch.cuda.is_available():
        device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device)

    def compute(before: np.ndarray, after: np.ndarray) -> np.ndarray:
        pair = torch.from_numpy(np.stack([before, after])).to(device).permute(0, 3, 1, 2)
        pair = pair.float() / 127.5 - 1.0
        with torch.inference_mode():
            flow = network(pair[:1].contiguous(), pair[1:].contiguous())[-1][0]
        found: np.ndarray = flow.permute(1, 2, 0).cpu().numpy()
        return found

    return compute
