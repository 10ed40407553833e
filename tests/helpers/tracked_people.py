"""Detections made by hand: 100 px high people, 15 joints, embeddings of 4 values; and trackers that follow them."""

import numpy as np

from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.occlusion_aware import OcclusionAwareTracker
from fastpose_mtn.tracking.parameters import TrackerParameters

ANNA, BERT, CARL = np.eye(4, dtype=np.float32)[:3]  # at right angles: as unlike as can be
FRAME = 0.04  # seconds


def person(x, look=ANNA, *, seen=15, score=0.9, y=100.0, height=100.0, width=40.0):
    """One detection: (box, score, keypoints, embedding); ``seen`` of its 15 joints are visible."""
    box = [x - width / 2, y - height / 2, x + width / 2, y + height / 2]
    joints = np.zeros((15, 3), np.float32)
    joints[:, :2] = x, y
    joints[:seen, 2] = 0.9
    return box, score, joints, look


def frame(*people, embeddings=True):
    if not people:
        return PersonDetections.empty(15, 4 if embeddings else None)
    boxes, scores, joints, looks = zip(*people, strict=True)
    return PersonDetections(
        boxes=np.array(boxes, np.float32),
        scores=np.array(scores, np.float32),
        keypoints=np.array(joints, np.float32),
        embeddings=np.array(looks, np.float32) if embeddings else None,
    )


def ids(tracker, time_s, *people, embeddings=True):
    return tracker.update(frame(*people, embeddings=embeddings), time_s).track_ids.tolist()


def make(strategy="occlusion_aware", *, skeleton=POSETRACK15, **parameters):
    return OcclusionAwareTracker(TrackerParameters(strategy=strategy, **parameters), skeleton=skeleton)


def hide(tracker, start_s, end_s, *others):
    """Frames from one time to another with only ``others`` in them."""
    for time_s in np.arange(start_s, end_s - 1e-9, FRAME):
        ids(tracker, float(time_s), *others)
