"""People whom the tracker does not look at cost no time: their joints are not located, and nobody else changes."""

import numpy as np
import pytest
from rectangles import ColourTracker, RectangleEstimator, moving, stand_in, write_video

from fastpose_mtn import FastPose
from fastpose_mtn.build import build_tracker
from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.synthetic import SceneConfig, SyntheticScene
from fastpose_mtn.protocols import least_score
from fastpose_mtn.registry import TRACKERS
from fastpose_mtn.tracking.detections_file import load
from fastpose_mtn.video.job import Request, track_source
from fastpose_mtn.video.pipeline import track_frames
from fastpose_mtn.video.run import Summary
from fastpose_mtn.video.sources import ArraySource, open_source


def test_a_drawn_clip_is_tracked_alike_with_fewer_boxes_looked_at():
    pose = FastPose.from_pretrained(
        "drawn", device="cpu", precision="fp32", options=["TRACKER.MIN_SCORE", "0.5"]
    )
    estimator = pose._tracking.estimator
    looked_at = []
    head = estimator._model.roi_heads.keypoint_head
    head.register_forward_hook(lambda _, args, __: looked_at.append(len(args[0])))
    config = SceneConfig(size_wh=(320, 192), frame_count=6, people=4)
    clip = [frame.image for frame in SyntheticScene(701_000, config).frames()]
    everyone = list(
        track_frames(ArraySource(clip, frame_rate=30), estimator, pose._tracking.new_tracker(), batch_size=4)
    )
    before = sum(looked_at)
    looked_at.clear()
    tracked = list(pose.track(clip, frame_rate=30, batch_size=4))
    assert 0 < sum(looked_at) < before
    assert sum(len(frame.people) for frame in tracked) > 6
    for a, b in zip(everyone, tracked, strict=True):
        np.testing.assert_array_equal(b.people.track_ids, a.people.track_ids)
        np.testing.assert_allclose(b.people.boxes, a.people.boxes, atol=1e-3)
        np.testing.assert_allclose(b.people.scores, a.people.scores, atol=1e-5)
        np.testing.assert_allclose(b.people.keypoints, a.people.keypoints, atol=1e-2)
        np.testing.assert_allclose(b.people.embeddings, a.people.embeddings, atol=1e-4)


@pytest.mark.parametrize(("saved", "asked"), [(False, 0.4), (True, 0.0)])
def test_a_job_looks_at_whom_the_tracker_does_unless_everyone_is_saved(tmp_path, saved, asked):
    estimator = RectangleEstimator()
    tracking = stand_in(estimator).build(options=[])
    path = write_video(tmp_path / "walk.mp4", [moving(i) for i in range(4)])
    request = Request(folder=tmp_path, video=False, detections=saved, quiet=True)
    track_source(open_source(str(path)), tracking, request, Summary("walk"))
    assert estimator.min_scores == {asked}
    if saved:
        assert len(list(load(tmp_path / "walk.detections.npz"))) == 4


def test_a_tracker_of_somebody_elses_sees_everyone():
    """It may have no such threshold, or use people of low scores as ByteTrack does."""
    assert least_score(ColourTracker()) == 0.0


@pytest.mark.parametrize("name", list(TRACKERS))
def test_a_tracker_says_whom_it_looks_at(name):
    cfg = get_cfg()
    cfg.merge_from_list(["TRACKER.NAME", name, "TRACKER.MIN_SCORE", "0.3"])
    assert least_score(build_tracker(cfg)) == 0.3
