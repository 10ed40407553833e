"""Writes synthetic scenes as a dataset in PoseTrack18's layout."""

from __future__ import annotations

import os
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from tqdm import tqdm

from fastpose_mtn.data.picture_files import encode_picture
from fastpose_mtn.data.posetrack.file18 import PoseTrack18File
from fastpose_mtn.data.posetrack.people import PoseTrackPeople
from fastpose_mtn.data.posetrack.records import image_record, posetrack18_video_id
from fastpose_mtn.data.posetrack.sequence import PoseTrackFrame
from fastpose_mtn.data.sample import DrawnLabels
from fastpose_mtn.data.synthetic.config import SceneConfig
from fastpose_mtn.data.synthetic.pose_prior import PosePrior
from fastpose_mtn.data.synthetic.scene import SyntheticScene
from fastpose_mtn.data.synthetic.truth import SyntheticFrame
from fastpose_mtn.visualization.image_grid import image_grid

# PoseTrack18's ids are TSSSSSSFFFF: source, sequence, frame; poseval rebuilds them from file names.
_MPII_SOURCE = 1
_MAX_SEED, _MAX_FRAMES = 999_999, 10_000
_JPEG_QUALITY = 92
_X264_CRF = "17"  # constant rate factor: visually close to lossless


def sequence_name(seed: int) -> str:
    """The name of a scene's files, in the form that poseval can read."""
    return f"{seed:06d}_mpii_test"


def image_id(seed: int, index: int) -> int:
    """PoseTrack18's number of a frame."""
    return _MPII_SOURCE * 10**10 + seed * 10**4 + index


def write_dataset(
    output: str | os.PathLike[str],
    sequences: int = 1,
    frames: int = 60,
    seed: int = 0,
    config: SceneConfig | None = None,
    progress: bool = False,
    poses: PosePrior | None = None,
) -> list[str]:
    """Writes scenes with the seeds ``seed`` to ``seed + sequences - 1``.

    For each scene: ``annotations/SEQ.json`` (PoseTrack18; every frame labelled; ignored people are
    ignore regions, not annotations), ``images/SEQ/000000.jpg`` and so on, ``videos/SEQ.mp4``.

    Args:
        output: the folder; made when missing.
        sequences: how many scenes.
        frames: of each scene; overrides ``config.frame_count``.
        seed: of the first scene. Seeds from 900000 up are kept for acceptance: nothing trains on them.
        config: of every scene.
        progress: whether to show a progress bar.
        poses: whose poses people take; None: they walk about.

    Returns:
        The sequences' names.

    Raises:
        ValueError: a number is out of the range that PoseTrack18's file names can hold.
        OSError: the folder cannot be written.
    """
    if sequences < 1:
        raise ValueError(f"sequences: expected at least 1, got {sequences}")
    if seed < 0 or seed + sequences - 1 > _MAX_SEED:
        raise ValueError(f"seed: expected seeds from 0 to {_MAX_SEED}, got {seed} to {seed + sequences - 1}")
    if not 1 <= frames <= _MAX_FRAMES:
        raise ValueError(f"frames: expected 1 to {_MAX_FRAMES} a sequence, got {frames}")
    settings = {**vars(config or SceneConfig()), "frame_count": frames}
    config = SceneConfig(**settings)
    if config.size_wh[0] % 2 or config.size_wh[1] % 2:
        width, height = config.size_wh
        raise ValueError(f"size: expected an even width and height (video needs it), got {width}x{height}")
    root = Path(output)
    for name in ("annotations", "images", "videos"):
        (root / name).mkdir(parents=True, exist_ok=True)
    names = []
    with tqdm(total=sequences * frames, unit="frame", disable=not progress) as bar:
        for scene_seed in range(seed, seed + sequences):
            names.append(sequence_name(scene_seed))
            bar.set_description(names[-1])
            _write_scene(SyntheticScene(scene_seed, config, poses), root, names[-1], bar)
    return names


def _write_scene(scene: SyntheticScene, root: Path, name: str, bar: Any) -> None:
    folder = root / "images" / name
    folder.mkdir(exist_ok=True)
    size_wh = scene.config.size_wh
    with (
        PoseTrack18File(root / "annotations" / f"{name}.json") as labels,
        av.open(str(root / "videos" / f"{name}.mp4"), "w") as container,
    ):
        rate = Fraction(scene.config.fps).limit_denominator(1001)
        stream = container.add_stream("h264", rate=rate, options={"crf": _X264_CRF, "preset": "veryfast"})
        stream.width, stream.height = size_wh
        stream.pix_fmt = "yuv420p"
        for index, frame in enumerate(scene.frames()):
            file_name = f"images/{name}/{index:06d}.jpg"
            (root / file_name).write_bytes(encode_picture(frame.image, quality=_JPEG_QUALITY))
            own, people = labelled_frame(frame, scene.seed, index, file_name)
            image = image_record(own, video_id=posetrack18_video_id(name), frame_count=len(scene))
            labels.add(image, people.records(own.image_id, first_id=own.image_id * 100))
            for packet in stream.encode(av.VideoFrame.from_ndarray(frame.image, format="rgb24")):
                container.mux(packet)
            bar.update()
        for packet in stream.encode():
            container.mux(packet)


def labelled_frame(frame: SyntheticFrame, seed: int, index: int, file_name: str) -> DrawnLabels:
    """PoseTrack's labels of a frame; ignored people are ignore regions."""
    targets = frame.targets
    ignored = [
        np.array([[x1, y1], [x2, y1], [x2, y2], [x1, y2]], np.float64)
        for x1, y1, x2, y2 in targets.boxes[targets.ignore]
    ]
    shown = ~targets.ignore
    people = PoseTrackPeople.labelled(
        track_ids=targets.identities[shown],
        boxes_xyxy=targets.boxes[shown],
        joints=targets.keypoints[shown],
        head_boxes_xyxy=frame.head_boxes[shown],
    )
    size_hw = frame.image.shape[:2]
    return PoseTrackFrame(file_name, image_id(seed, index), size_hw, ignore_regions=tuple(ignored)), people


def contact_sheet(
    seeds: Sequence[int],
    columns: int = 4,
    config: SceneConfig | None = None,
    tile_width: int = 480,
    poses: PosePrior | None = None,
) -> np.ndarray:
    """A grid (H, W, 3) uint8 RGB with the middle frame of each scene."""
    config = config or SceneConfig()
    frames = [SyntheticScene(seed, config, poses).frame(config.frame_count // 2).image for seed in seeds]
    return image_grid(
        frames, columns, (tile_width, round(tile_width * config.size_wh[1] / config.size_wh[0]))
    )
