"""FastPose in Python: load once, then track videos or find people in images."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from pathlib import Path

import numpy as np

from fastpose_mtn.build import PoseTracking, build_pose_tracking
from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.image_file import read_image
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.video.image_order import ARRANGEMENTS
from fastpose_mtn.video.live import MODES, as_live
from fastpose_mtn.video.pipeline import TrackedFrame, track_frames
from fastpose_mtn.video.sources import ArraySource, Source, check_image, find_inputs, open_source


class FastPose:
    """Boxes, joints and identities of everyone in videos and images.

    Coordinates are pixels of the frame as displayed, continuous: the centre of the upper left pixel is
    (0.5, 0.5). Boxes are x1, y1, x2, y2. A joint is x, y and a confidence in [0, 1] that tells visible
    joints from hidden ones; ``skeleton.joints`` names them in order. Everything is NumPy.

        pose = FastPose.from_pretrained()
        for frame in pose.track("walk.mp4"):
            for track_id, box, joints in zip(frame.people.track_ids, frame.people.boxes, frame.people.keypoints):
                ...
    """

    def __init__(self, tracking: PoseTracking) -> None:
        self._tracking = tracking

    @classmethod
    def from_pretrained(
        cls,
        weights: str | Path = "people",
        *,
        config_file: str | Path | None = None,
        device: str = "auto",
        precision: str = "auto",
        strategy: str | None = None,
        options: Sequence[str] = (),
    ) -> FastPose:
        """Loads a network.

        Args:
            weights: ``"people"`` or ``"drawn"``, the networks that come with the package; a file, exported networks
                (.onnx, .xml) too; or ``"torchvision://NAME"``.
            config_file: YAML; None: the configuration that the weights carry.
            device: auto, cpu, cuda or cuda:N.
            precision: auto, fp32, bf16 or fp16.
            strategy: of tracking, occlusion_aware, reid or iou; None: the configuration's.
            options: ``["KEY", "VALUE", ...]``, which override the configuration.

        Raises:
            ValueError: a file cannot be read or used, weights and configuration do not fit, a key does
                not exist, or there is no such device; the message says which and what to do.
        """
        return cls(
            build_pose_tracking(
                weights=str(weights),
                config_file=None if config_file is None else str(config_file),
                device=device,
                precision=precision,
                strategy=strategy,
                options=options,
            )
        )

    @property
    def skeleton(self) -> Skeleton:
        """What the K joints are."""
        return self._tracking.estimator.skeleton

    @property
    def cfg(self) -> CfgNode:
        """The configuration in force."""
        return self._tracking.cfg

    def track(
        self,
        source: str | Path | int | Iterable[np.ndarray],
        *,
        frame_rate: float | None = None,
        batch_size: int | None = None,
        max_frames: int | None = None,
        live: str = "auto",
        images: str = "auto",
    ) -> Generator[TrackedFrame, None, None]:
        """Follows everyone through a video, frame by frame.

        Decoding and network run ahead of the caller in threads of their own; leaving the loop ends them.

        Args:
            source: a video, a folder of images, an image, a camera's number, a stream's URL, or RGB
                frames (H, W, 3) uint8 in memory.
            frame_rate: of images and frames in memory, a second; None: ``VIDEO.FOLDER_FRAME_RATE``. Videos
                have clocks of their own.
            batch_size: frames that the network sees at once; None: 8 on a GPU, 4 without.
            max_frames: after which to stop; None: never.
            live: auto: of a camera or stream the newest frame is looked at, and it is opened again when it breaks
                off; on: a recording is played at its own pace and treated alike; off: every frame is looked at.
            images: what the images of a folder are to each other: sequence; independent: photographs, where nobody is
                followed from one to the next and ids begin anew; auto: what their names tell, numbered ones are a
                sequence.

        Yields:
            Each frame in order, with ``index``, ``time_s`` (seconds since the first), ``image`` (H, W, 3)
            uint8 RGB, and ``people``, the N persons on tracks: ``track_ids`` (N,) int64, ``boxes`` (N, 4),
            ``scores`` (N,), ``keypoints`` (N, K, 3), ``embeddings`` (N, D) or None, float32. A frame that
            could not be decoded has ``image`` None and nobody in it. ``detections`` is everyone found,
            on a track or not.

        Raises:
            ValueError, OSError: an argument is out of range or the source cannot be opened, told by the call
                itself; or the source cannot be read on, or ended before its time, told behind the last frame
                that there is.
        """
        if live not in MODES:
            raise ValueError(f"live {live!r}: choose from {', '.join(MODES)}")
        if images not in ARRANGEMENTS:
            raise ValueError(f"images {images!r}: choose from {', '.join(ARRANGEMENTS)}")
        if max_frames is not None and max_frames < 0:
            raise ValueError(f"max_frames: expected 0 or more, or None for all, got {max_frames}")
        size = self._batch_size(batch_size)
        opened = self._open(source, frame_rate, images)
        if isinstance(source, (str, Path, int)):
            opened = as_live(opened, live, lambda: self._open(source, frame_rate, images))
        return self._track(opened, size, max_frames)

    def _track(
        self, source: Source, batch_size: int, max_frames: int | None
    ) -> Generator[TrackedFrame, None, None]:
        """``track`` from its first frame on."""
        yield from track_frames(
            source,
            self._tracking.estimator,
            self._tracking.new_tracker(),
            batch_size=batch_size,
            max_frames=max_frames,
        )
        if source.problem:
            raise InputError(source.problem)

    def detect(
        self, images: Sequence[np.ndarray | str | Path], *, batch_size: int | None = None
    ) -> list[PersonDetections]:
        """Finds the people of each image, without following them.

        Args:
            images: RGB arrays (H, W, 3) uint8, or image files, each of any size.
            batch_size: images that the network sees at once; None: 8 on a GPU, 4 without.

        Returns:
            One ``PersonDetections`` an image, the N people best first: ``boxes`` (N, 4), ``scores`` (N,),
            ``keypoints`` (N, K, 3), ``embeddings`` (N, D) or None, float32, in the image's pixels.

        Raises:
            ValueError: an image cannot be read or has another shape or dtype, the message says which; or
                ``batch_size`` is below 1.
        """
        if isinstance(images, (str, Path)) or (isinstance(images, np.ndarray) and images.ndim == 3):
            raise ValueError("detect: expected a list of images, got a single one; put it into a list")
        size = self._batch_size(batch_size)
        people: list[PersonDetections] = []
        for start in range(0, len(images), size):
            batch = [self._image(images[i], i) for i in range(start, min(start + size, len(images)))]
            people += self._tracking.estimator.estimate(batch)
        return people

    def _batch_size(self, wanted: int | None) -> int:
        if wanted is None:
            return self._tracking.batch_size
        if wanted < 1:
            raise ValueError(f"batch_size: expected 1 or more, or None for the device's own, got {wanted}")
        return wanted

    @staticmethod
    def _image(image: np.ndarray | str | Path, index: int) -> np.ndarray:
        if isinstance(image, (str, Path)):
            return read_image(Path(image))
        check_image(image, f"image {index}")
        return np.ascontiguousarray(image)

    def _open(
        self, source: str | Path | int | Iterable[np.ndarray], frame_rate: float | None, images: str
    ) -> Source:
        rate = float(frame_rate or self.cfg.VIDEO.FOLDER_FRAME_RATE)
        if not isinstance(source, (str, Path, int)):
            return ArraySource(source, frame_rate=rate)
        found = find_inputs(str(source))
        if len(found) > 1:
            raise InputError(f"{source}: a folder of {len(found)} videos; track one after the other")
        return open_source(found[0], folder_frame_rate=rate, images=images)
