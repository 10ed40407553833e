"""The comparison of crops together and one by one is of the same work, and turns are fair."""

import numpy as np
import peers
import pytest
import topdown
from rectangles import moving, write_video

from fastpose_mtn.tracking.occlusion_aware import OcclusionAwareTracker

SIZE = (96, 160)


@pytest.fixture
def peer():
    config = str(topdown.CONFIGS / "people.yaml")
    options = ["MODEL.KEYPOINT_ON", "False", *topdown.TINY_NETWORK]
    detector = peers.Ours(config, SIZE, "cpu", True, options)
    made = topdown.TopDown(str(topdown.CONFIGS / "alphapose-s.yaml"), detector, 64, topdown.TINY_POSE)
    made.set_people(5)
    return made


def test_everybody_given_is_located_together_and_one_by_one(peer):
    frame = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
    boxes = peers.crowd(5, SIZE)
    found = peer.estimate([frame, frame])
    assert [people.boxes.tolist() for people in found] == [boxes.tolist()] * 2
    together, alone = (peer.batched(n).estimate_given(frame, boxes, np.ones(5)) for n in (64, 1))
    assert together.keypoints == pytest.approx(alone.keypoints, abs=1.0)  # bfloat16 rounds other sums
    assert found[0].embeddings.shape == (5, 128)


def test_the_job_tracks_them(peer, tmp_path, monkeypatch):
    seen = []
    update = OcclusionAwareTracker.update

    def counting(self, detections, *given, **named):
        seen.append(len(detections))
        return update(self, detections, *given, **named)

    monkeypatch.setattr(OcclusionAwareTracker, "update", counting)
    clip = write_video(tmp_path / "clip.mp4", [moving(i, SIZE) for i in range(3)])
    assert peers.job(peer, str(clip)) > 0
    assert seen == [5, 5, 5]


def test_functions_have_their_turns_and_the_first_does_not_count(monkeypatch):
    order, clock = [], iter([0.0, 9.0, 0.0, 9.0, 0.0, 2.0, 0.0, 4.0, 0.0, 3.0, 0.0, 3.0])
    monkeypatch.setattr(topdown.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(topdown.time, "process_time", lambda: 1.0)
    least = topdown.in_turns({"a": lambda: order.append("a"), "b": lambda: order.append("b")}, 2)
    assert order == ["a", "b"] * 3
    assert (least["a"][0], least["b"][0]) == (2.0, 3.0)
