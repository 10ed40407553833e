"""Videos made for the tests, and an estimator that finds coloured rectangles in them."""

from __future__ import annotations

import time
from fractions import Fraction
from types import SimpleNamespace

import av
import numpy as np

from fastpose_mtn.build import PoseTracking
from fastpose_mtn.config import get_cfg
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections, TrackedPersons

COLOURS = {"red": (255, 0, 0), "green": (0, 255, 0), "blue": (0, 0, 255)}


def scene(size_hw=(48, 64), **rectangles):
    """Grey, with ``colour=(x1, y1, x2, y2)`` rectangles."""
    image = np.full((*size_hw, 3), 90, np.uint8)
    for colour, (x1, y1, x2, y2) in rectangles.items():
        image[y1:y2, x1:x2] = COLOURS[colour]
    return image


def moving(index, size_hw=(48, 64)):
    """A red person who walks right, two pixels a frame, and a green one who stands."""
    return scene(size_hw, red=(index * 2 % 40, 8, index * 2 % 40 + 12, 40), green=(50, 4, 60, 44))


def write_video(
    path,
    images,
    times=None,
    *,
    rotation=None,
    options=None,
    codec="libx264",
    b_frames=0,
    pixel=None,
    base=Fraction(1, 15360),
):
    """A video file whose frames are shown at ``times`` (seconds; default 30 a second); ``pixel``: width to height."""
    images = list(images)
    times = [i / 30 for i in range(len(images))] if times is None else times
    with av.open(str(path), "w", options=options or {}) as container:
        track = container.add_stream(codec, rate=30)
        track.height, track.width = images[0].shape[:2]
        track.pix_fmt = "yuv420p" if track.height % 2 == 0 and track.width % 2 == 0 else "yuv444p"
        track.options = {"crf": "10", "preset": "ultrafast"}
        track.codec_context.time_base = base
        track.codec_context.max_b_frames = b_frames
        if pixel:
            track.codec_context.sample_aspect_ratio = pixel
        if rotation is not None:
            track.set_display_rotation(rotation)
        for image, time in zip(images, times, strict=True):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = round(time / base), base
            container.mux(track.encode(frame))
        container.mux(track.encode(None))
    return path


def damage(path, packet_index):
    """Overwrites one packet of a video, so that its frame cannot be decoded."""
    with av.open(str(path)) as container:
        packets = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
    position, size = packets[packet_index]
    content = bytearray(path.read_bytes())
    content[position : position + size] = b"\xff" * size
    path.write_bytes(content)
    return path


class RectangleEstimator:
    """Finds each pure colour's rectangle: its box, and the 15 joints down its middle."""

    skeleton = POSETRACK15
    embedding_dim = len(COLOURS)

    def __init__(self):
        self.batches = []
        self.min_scores = set()

    def estimate(self, frames, min_score=0.0):
        self.min_scores.add(min_score)
        self.batches.append(len(frames))
        return [self._find(frame) for frame in frames]

    def _find(self, frame):
        boxes, embeddings = [], []
        for number, colour in enumerate(COLOURS.values()):
            rows, columns = np.nonzero((np.abs(frame.astype(int) - colour) < 100).all(axis=2))
            if len(rows):
                boxes.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
                embeddings.append(np.eye(len(COLOURS))[number])
        if not boxes:
            return PersonDetections.empty(15, len(COLOURS))
        boxes = np.array(boxes, np.float32)
        down = np.linspace(0.05, 0.95, 15, dtype=np.float32)
        x = np.repeat(boxes[:, [0, 2]].mean(axis=1, keepdims=True), 15, axis=1)
        y = boxes[:, 1:2] + down * (boxes[:, 3:4] - boxes[:, 1:2])
        confidence = np.broadcast_to(np.where(np.arange(15) < 12, 0.9, 0.1), x.shape)
        return PersonDetections(
            boxes=boxes,
            scores=np.full(len(boxes), 0.95, np.float32),
            keypoints=np.stack([x, y, confidence], axis=2).astype(np.float32),
            embeddings=np.array(embeddings, np.float32),
        )


class ColourTracker:
    """A person's id is its colour's place, from 1; remembers the times that it was given."""

    scene_cut = False

    def __init__(self):
        self.times = []

    def update(self, detections, time_s, frame=None, *, scene_cut=None):
        self.times.append(time_s)
        ids = detections.embeddings.argmax(axis=1) + 1 if len(detections) else np.zeros(0, np.int64)
        return TrackedPersons(detections, ids.astype(np.int64))

    def reset(self):
        self.times = []


class SlowEstimator(RectangleEstimator):
    def estimate(self, frames, min_score=0.0):
        time.sleep(0.05 * len(frames))
        return super().estimate(frames, min_score)


def stand_in(estimator=None):
    """What ``build.build_pose_tracking`` would return, with a recording of what it was asked for."""
    asked = {}

    def build(**arguments):
        asked.update(arguments)
        cfg = get_cfg()
        cfg.merge_from_list(list(arguments["options"]))
        return PoseTracking(
            cfg, estimator or RectangleEstimator(), ColourTracker, 1, min_score=cfg.TRACKER.MIN_SCORE
        )

    return SimpleNamespace(build=build, asked=asked)


def write_film(path, count=40, *, codec="aac", picture_s=0.0, sound_s=0.0, length_s=None, video="libx264"):
    """A video of ``moving`` from ``picture_s`` on, 30 frames a second, with a tone from ``sound_s`` on."""
    rate, size = 48_000, 1024
    length_s = count / 30 if length_s is None else length_s
    events = [(picture_s + i / 30, 0, i) for i in range(count)]
    events += [(sound_s + i * size / rate, 1, i) for i in range(int(length_s * rate / size))]
    with av.open(str(path), "w") as container:
        track = container.add_stream(video, rate=30)
        track.height, track.width, track.pix_fmt = 48, 64, "yuv420p"
        track.codec_context.time_base = Fraction(1, 30)
        tone = container.add_stream(codec, rate=rate)
        made = tone.codec_context
        resampler = av.AudioResampler(made.format, "stereo", rate, frame_size=made.frame_size or size)
        for time, is_sound, i in sorted(events):
            if is_sound:
                wave = 8000 * np.sin(np.arange(i * size, (i + 1) * size) * 2 * np.pi * 440 / rate)
                samples = np.repeat(wave.astype(np.int16), 2)[None]
                frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="stereo")
                frame.sample_rate, frame.pts, frame.time_base = rate, round(time * rate), Fraction(1, rate)
                for part in resampler.resample(frame):
                    container.mux(tone.encode(part))
            else:
                frame = av.VideoFrame.from_ndarray(moving(i), format="rgb24")
                frame.pts, frame.time_base = round(time * 30), Fraction(1, 30)
                container.mux(track.encode(frame))
        container.mux(track.encode(None))
        container.mux(tone.encode(None))
    return path
