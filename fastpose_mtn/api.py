"""FastPose in Python: load once, then track videos or find people in images."""

from __future__ import annotations

import itertools
import os
import pickle
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path

from fastpose_mtn.arguments import frame_rate_argument, key_values, number, path_argument, shown, whole_number
from fastpose_mtn.build import PRECISIONS, PoseTracking, build_pose_tracking
from fastpose_mtn.checkpoints.loading import DEFAULT_WEIGHTS, PACKAGED
from fastpose_mtn.config import CfgNode
from fastpose_mtn.config.files import find_config
from fastpose_mtn.config.overrides import asked_weights
from fastpose_mtn.data.image_values import (
    ImageValue,
    as_image,
    check_image,
    is_iterable_of_images,
    is_single,
)
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.video.image_order import ARRANGEMENTS
from fastpose_mtn.video.live import MODES, as_live
from fastpose_mtn.video.pipeline import TrackedFrame, track_frames
from fastpose_mtn.video.sources import VIDEO_SUFFIXES, ArraySource, Source, find_inputs, open_source


class FastPose:
    """Boxes, joints and identities of everyone in videos and images.

    Coordinates are pixels of the frame as displayed, upright and square, continuous: the centre of the upper left one is
    (0.5, 0.5). Boxes are x1, y1, x2, y2. A joint is x, y and a confidence in [0, 1] that tells visible
    joints from hidden ones; ``skeleton.joints`` names them in order. Everything is NumPy.

        pose = FastPose.from_pretrained()
        for frame in pose.track("walk.mp4"):
            for track_id, box, joints in zip(frame.people.track_ids, frame.people.boxes, frame.people.keypoints):
                ...

    What ``from_pretrained`` made can be pickled, for other processes too: it is loaded there again, from the same files.
    """

    def __init__(self, tracking: PoseTracking) -> None:
        if not isinstance(tracking, PoseTracking):
            raise InputError(
                f"FastPose: expected a PoseTracking, got {shown(tracking)}; FastPose.from_pretrained(WEIGHTS) loads a network"
            )
        self._tracking = tracking
        self._arguments: dict[str, object] | None = None  # of from_pretrained

    @classmethod
    def from_pretrained(
        cls,
        weights: str | os.PathLike[str] = "people",
        *,
        config_file: str | os.PathLike[str] | None = None,
        device: str = "auto",
        precision: str = "auto",
        strategy: str | None = None,
        image_size: int | None = None,
        detector: str | os.PathLike[str] | None = None,
        options: Sequence[str] = (),
    ) -> FastPose:
        """Loads a network.

        Args:
            weights: ``"people"``, ``"alphapose-s"``, ``"posedet-s"`` or ``"drawn"``, the networks that come with the
                package; a file, exported networks (.onnx, .xml) too; or ``"torchvision://NAME"``. The default gives way
                to the options' ``MODEL.WEIGHTS``.
            config_file: YAML; None: the configuration that the weights carry.
            device: auto, cpu, cuda or cuda:N.
            precision: auto, fp32, bf16 or fp16.
            strategy: of tracking, occlusion_aware, reid or iou; None: the configuration's.
            image_size: pixels of the shorter side that frames are resized to, the longer one at most twice as long; 0:
                frames as they are; None: what the weights were trained at. Results are in the frames' pixels.
            detector: weights of whoever finds the people that a top-down network looks at; None: the configuration's.
            options: ``["KEY", "VALUE", ...]``, which override the configuration.

        Raises:
            ValueError: a file cannot be read or used, weights and configuration do not fit, a key does
                not exist, or there is no such device; the message says which and what to do.
        """
        source = path_argument("weights", weights)
        file = None if config_file is None else path_argument("config_file", config_file)
        finder = None if detector is None else path_argument("detector", detector)
        if precision not in PRECISIONS:
            raise InputError(f"precision: choose from {', '.join(PRECISIONS)}, got {precision!r}")
        if image_size is not None:
            image_size = whole_number("image_size", image_size, 0, "the configuration's")
        asked, keys = asked_weights(
            None if source == DEFAULT_WEIGHTS else source, key_values("options", options)
        )
        source = asked or DEFAULT_WEIGHTS
        pose = cls(
            build_pose_tracking(
                weights=source,
                config_file=file,
                device=str(device),
                precision=precision,
                strategy=strategy,
                image_size=image_size,
                detector=finder,
                options=keys,
            )
        )
        pose._arguments = {
            "weights": source if source in PACKAGED else _absolute(source),
            "config_file": None if file is None else _absolute(find_config(file)),
            "device": str(device),
            "precision": precision,
            "strategy": strategy,
            "image_size": image_size,
            "detector": finder if finder is None or finder in PACKAGED else _absolute(finder),
            "options": keys,
        }
        return pose

    def __reduce__(self) -> tuple[Callable[..., FastPose], tuple[type[FastPose], dict[str, object]]]:
        """For ``pickle`` and ``copy``: how to load the same network again.

        Raises:
            pickle.PicklingError: it was not made by ``from_pretrained``.
        """
        if self._arguments is None:
            raise pickle.PicklingError(
                "FastPose: only what FastPose.from_pretrained made can be pickled, as other processes load it again"
            )
        return _load, (type(self), self._arguments)

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
        source: str | os.PathLike[str] | int | Iterable[ImageValue],
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
            source: a video, a folder of images, an image, a camera's number, a stream's URL, or frames: a list, a
                generator, an array (N, H, W, 3), of what ``detect`` takes.
            frame_rate: of images and frames in memory, a second; None: ``VIDEO.FOLDER_FRAME_RATE``. Videos
                have clocks of their own, and are refused with it.
            batch_size: frames that the network sees at once; None: 8 on a GPU, 4 without.
            max_frames: after which to stop; None: never.
            live: auto: of a camera or stream the newest frame is looked at, and it is opened again when it breaks
                off; on: a recording is played at its own pace and treated alike; off: every frame is looked at.
            images: what the images of a folder, or frames in memory, are to each other: sequence; independent:
                photographs, where nobody is followed from one to the next and ids begin anew; auto: what files' names
                tell, numbered ones are a sequence, as are frames in memory.

        Yields:
            Each frame in order, with ``index``, ``time_s`` (seconds since the first), ``image`` (H, W, 3)
            uint8 RGB, and ``people``, the N persons on tracks: ``track_ids`` (N,) int64, ``boxes`` (N, 4),
            ``scores`` (N,), ``keypoints`` (N, K, 3), ``embeddings`` (N, D) or None, float32. A frame that
            could not be decoded has ``image`` None and nobody in it. ``detections`` is everyone found that the tracker
            looks at (``TRACKER.MIN_SCORE``), on a track or not.

        Raises:
            ValueError, OSError: an argument is out of range or the source cannot be opened, told by the call
                itself; or the source cannot be read on, or ended before its time, told behind the last frame
                that there is.
        """
        if live not in MODES:
            raise InputError(f"live: choose from {', '.join(MODES)}, got {live!r}")
        if images not in ARRANGEMENTS:
            raise InputError(f"images: choose from {', '.join(ARRANGEMENTS)}, got {images!r}")
        most = None if max_frames is None else whole_number("max_frames", max_frames, 0, "all")
        size = self._batch_size(batch_size)
        rate = self._frame_rate(frame_rate)
        if isinstance(source, bool) or not isinstance(source, (str, os.PathLike, int)):
            frames = _images("track", "frame", source)
            return self._track(
                ArraySource(frames, frame_rate=rate, independent=images == "independent"), size, most
            )
        name = str(source) if isinstance(source, int) else os.fsdecode(source)
        if isinstance(source, int) and source < 0:
            raise InputError(f"track: expected a camera's number, 0 or more, got {source}")
        first = _open(name, rate, images)
        if frame_rate is not None and not first.frame_rate_is_a_choice:
            first.close()
            raise InputError(f"frame_rate {frame_rate}: {name} has a clock of its own; leave it out")
        opened = as_live(first, live, lambda: _open(name, rate, images))
        return self._track(opened, size, most)

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
            min_score=self._tracking.min_score,
        )
        if source.problem:
            raise InputError(source.problem)

    def detect(
        self, images: Iterable[ImageValue], *, min_score: float | None = None, batch_size: int | None = None
    ) -> list[PersonDetections]:
        """Finds the people of each image, without following them.

        Args:
            images: each of any size: RGB arrays (H, W, 3) uint8; PIL images; torch tensors of uint8, (3, H, W) as
                torchvision reads images or (H, W, 3); or image files. A list, a generator, or an array (N, H, W, 3).
            min_score: people with a lower score are left out, in [0, 1]; None: ``TRACKER.MIN_SCORE``, below which
                ``track`` and ``track_video.py`` follow nobody.
            batch_size: images that the network sees at once; None: 8 on a GPU, 4 without.

        Returns:
            One ``PersonDetections`` an image, the N people best first: ``boxes`` (N, 4), ``scores`` (N,),
            ``keypoints`` (N, K, 3), ``embeddings`` (N, D) or None, float32, in the image's pixels.

        Raises:
            ValueError: an image cannot be read or has another shape or dtype, the message says which, before any is
                looked at where they are a list; or ``min_score`` or ``batch_size`` is out of range.
        """
        size = self._batch_size(batch_size)
        least = self.cfg.TRACKER.MIN_SCORE if min_score is None else number("min_score", min_score)
        if not 0 <= least <= 1:
            raise InputError(f"min_score: expected a number from 0 to 1, got {min_score}")
        arrays = (as_image(image, f"image {i}") for i, image in enumerate(_images("detect", "image", images)))
        people: list[PersonDetections] = []
        while batch := list(itertools.islice(arrays, size)):
            people += self._tracking.estimator.estimate(batch, least)
        return [found[found.scores >= least] for found in people]

    def _batch_size(self, wanted: int | None) -> int:
        if wanted is None:
            return self._tracking.batch_size
        return whole_number("batch_size", wanted, 1, "the device's own")

    def _frame_rate(self, wanted: float | None) -> float:
        if wanted is None:
            return frame_rate_argument("VIDEO.FOLDER_FRAME_RATE", self.cfg.VIDEO.FOLDER_FRAME_RATE)
        return frame_rate_argument("frame_rate", wanted)


def _open(source: str, frame_rate: float, images: str) -> Source:
    found = find_inputs(source)
    if len(found) > 1:
        raise InputError(f"{source}: a folder of {len(found)} videos; track one after the other")
    return open_source(found[0], folder_frame_rate=frame_rate, images=images)


def _images(call: str, word: str, images: object) -> Iterable[ImageValue]:
    """What can be gone through for images; those of a list are checked already.

    Args:
        call: the method, for messages.
        word: what one of them is called.
        images: what was given.

    Raises:
        InputError: it is no such thing, or one of them is no image.
    """
    if is_single(images):
        raise InputError(f"{call}: expected a list of {word}s, got a single one; put it into a list")
    if not is_iterable_of_images(images):
        what = (
            f"a list of {word}s" if call == "detect" else f"a video, a folder, a camera's number or {word}s"
        )
        raise InputError(f"{call}: expected {what}, got {shown(images)}")
    if isinstance(images, Sequence) or hasattr(images, "ndim"):
        for i, image in enumerate(images):
            if isinstance(image, (str, os.PathLike)) and Path(image).suffix.lower() in VIDEO_SUFFIXES:
                raise InputError(
                    f"{word} {i}: expected an image, got the video {image}; track(VIDEO) takes one, by itself"
                )
            check_image(image, f"{word} {i}")
    return images


def _absolute(path: str) -> str:
    """The same file from any folder; what names no file stays."""
    return str(Path(path).resolve()) if os.path.exists(path) else path


def _load(cls: type[FastPose], arguments: dict[str, str]) -> FastPose:
    """What ``pickle`` calls."""
    return cls.from_pretrained(**arguments)  # type: ignore[arg-type]
