"""What the occlusion-aware strategy is for: fewer identity switches where people hide each other.

The crowds know who is who, so switches are counted, not estimated. People walk to and fro at different
distances; the nearer one hides joints of the farther, an embedding describes what is seen, and who is hidden
too far is not found.
"""

import numpy as np
import pytest

from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.detections_file import SavedFrame
from fastpose_mtn.tracking.occlusion_aware import OcclusionAwareTracker
from fastpose_mtn.tracking.offline import mend_tracks
from fastpose_mtn.tracking.offline_parameters import OfflineParameters
from fastpose_mtn.tracking.parameters import STRATEGIES, TrackerParameters

FPS, FRAMES, PEOPLE, DIM = 15.0, 120, 12, 64
WIDTH = 1280.0
# 15 joints within a box of width and height 1: head, shoulders, elbows, wrists, hips, knees, ankles
JOINTS = np.array(
    [(0.5, 0.1), (0.5, 0.16), (0.5, 0.0)]
    + [(x, y) for y, half in ((0.2, 0.2), (0.36, 0.28), (0.5, 0.3), (0.52, 0.12), (0.75, 0.15), (0.97, 0.17))
       for x in (0.5 - half, 0.5 + half)]
)  # fmt: skip


def unit(embeddings):
    return embeddings / np.linalg.norm(embeddings, axis=-1, keepdims=True)


def crowd(seed):
    """(detections, who each one is) of each frame."""
    rng = np.random.default_rng(seed)
    looks = unit(rng.normal(size=(PEOPLE, DIM)))
    height = np.sort(rng.uniform(110, 330, PEOPLE))  # the last one is nearest
    bottom = 300 + 1.1 * height
    width = 0.36 * height
    x, speed = rng.uniform(0, WIDTH, PEOPLE), rng.normal(0, 0.9, PEOPLE) * height
    for _ in range(FRAMES):
        turns = (rng.random(PEOPLE) < 0.15 / FPS) | (x < 0) | (x > WIDTH)
        speed = np.where(
            turns, np.where(x < 0, 1, np.where(x > WIDTH, -1, -np.sign(speed))) * abs(speed), speed
        )
        x = x + speed / FPS
        boxes = np.stack([x - width / 2, bottom - height, x + width / 2, bottom], 1)
        joints = boxes[:, None, :2] + JOINTS * np.stack([width, height], 1)[:, None]
        # hides[i, k, j]: the trunk of a nearer person k stands before joint j of person i
        near = np.arange(PEOPLE)[None, :] > np.arange(PEOPLE)[:, None]
        before = np.abs(joints[:, None, :, 0] - x[None, :, None]) < 0.28 * width[None, :, None]
        hides = near[..., None] & before & (joints[:, None, :, 1] > boxes[None, :, 1, None])
        seen = ~hides.any(axis=1)
        share = seen.mean(axis=1)
        # a RoI's middle counts most, and that is where whoever stands in front is
        embeddings = share[:, None] * looks + 2 * hides.mean(axis=2) @ looks
        embeddings = unit(unit(embeddings) + 0.5 * unit(rng.normal(size=embeddings.shape)))
        found = rng.random(PEOPLE) < np.interp(share, [0.15, 0.3, 0.6, 1.0], [0.0, 0.4, 0.95, 0.99])
        confidence = np.where(seen, rng.beta(8, 2, seen.shape), rng.beta(1, 9, seen.shape))
        boxes += rng.normal(size=boxes.shape) * 0.02 * height[:, None]
        yield (
            PersonDetections(
                boxes=boxes[found].astype(np.float32),
                scores=np.clip(0.65 + 0.3 * share[found], 0, 1).astype(np.float32),
                keypoints=np.concatenate([joints, confidence[..., None]], 2)[found].astype(np.float32),
                embeddings=embeddings[found].astype(np.float32),
            ),
            np.flatnonzero(found),
        )  # fmt: skip


def count_switches(videos, tracker):
    switches = 0
    for video in videos:
        tracker.reset()
        last: dict[int, int] = {}
        for i, (people, who) in enumerate(video):
            tracked = tracker.update(people, i / FPS)
            person_at = {box.tobytes(): int(p) for box, p in zip(people.boxes, who, strict=True)}
            for box, track_id in zip(tracked.boxes, tracked.track_ids.tolist(), strict=True):
                person = person_at[box.tobytes()]
                switches += last.get(person, track_id) != track_id
                last[person] = track_id
    return switches


@pytest.mark.parametrize("motion", [True, False])
def test_fewer_identity_switches(motion):
    """The paper has 37 % fewer than overlap alone."""
    videos = [list(crowd(seed)) for seed in range(6)]
    switches = {
        strategy: count_switches(
            videos, OcclusionAwareTracker(TrackerParameters(strategy=strategy, motion=motion))
        )
        for strategy in STRATEGIES
    }
    assert switches["iou"] > 100, "too easy to tell anything"
    assert switches["occlusion_aware"] < 0.63 * switches["iou"], switches
    assert switches["occlusion_aware"] < switches["reid"], switches


def test_hindsight_puts_ids_right():
    """Of crowds that nothing was chosen on: more of a person's detections have one id, and ids change less often."""
    online = offline = 0
    for seed in range(300, 304):
        video, tracker = list(crowd(seed)), OcclusionAwareTracker()
        frames = [
            (SavedFrame(i, i / FPS, (720, 1280), people), tracker.update(people, i / FPS))
            for i, (people, _) in enumerate(video)
        ]
        online += strays(video, [people for _, people in frames])
        mended = mend_tracks(frames, tracker.skeleton, OfflineParameters(interpolate_seconds=0.0))
        offline += strays(video, [people for _, people in mended])
    assert online > 40, "too easy to tell anything"
    assert offline < 0.7 * online, (offline, online)


def strays(video, tracked):
    """Detections with another id than most of their person's."""
    ids: dict[int, list[int]] = {}
    for (people, who), frame in zip(video, tracked, strict=True):
        person_at = {box.tobytes(): int(p) for box, p in zip(people.boxes, who, strict=True)}
        for box, track_id in zip(frame.boxes, frame.track_ids.tolist(), strict=True):
            ids.setdefault(person_at[box.tobytes()], []).append(track_id)
    return sum(len(own) - np.bincount(own).max() for own in ids.values())
