import threading
import time

import numpy as np
import pytest
from rectangles import ColourTracker, RectangleEstimator, damage, moving, write_video

from fastpose_mtn import available_memory
from fastpose_mtn.config import get_cfg
from fastpose_mtn.errors import InputError
from fastpose_mtn.protocols import FrameName
from fastpose_mtn.tracking.flow import FlowTracker
from fastpose_mtn.tracking.occlusion_aware import OcclusionAwareTracker
from fastpose_mtn.tracking.parameters import TrackerParameters
from fastpose_mtn.video import pipeline
from fastpose_mtn.video.pipeline import StageTimes, track_frames
from fastpose_mtn.video.sources import ArraySource, open_source


def video(tmp_path, count=20, **options):
    return open_source(str(write_video(tmp_path / "a.mp4", [moving(i) for i in range(count)], **options)))


@pytest.mark.parametrize("batch_size", [1, 3, 64])
def test_frames_come_in_order_with_their_own_people(tmp_path, estimator, tracker, batch_size):
    results = list(track_frames(video(tmp_path), estimator, tracker, batch_size=batch_size))
    assert [r.index for r in results] == list(range(20))
    for index, result in enumerate(results):
        assert result.people.track_ids.tolist() == [1, 2]
        np.testing.assert_allclose(result.people.boxes[0], [index * 2, 8, index * 2 + 12, 40], atol=1.01)
    assert max(estimator.batches) == min(batch_size, 20)
    assert sum(estimator.batches) == 20


def test_the_tracker_is_given_the_videos_times(tmp_path, estimator, tracker):
    times = [0.0, 0.1, 0.15, 0.4, 1.0]
    list(track_frames(video(tmp_path, 5, times=times), estimator, tracker))
    np.testing.assert_allclose(tracker.times, times, atol=1e-3)


def test_a_frame_that_cannot_be_decoded_has_nobody_and_keeps_time(tmp_path, estimator, tracker):
    path = damage(write_video(tmp_path / "a.mp4", [moving(i) for i in range(12)]), 5)
    results = list(track_frames(open_source(str(path)), estimator, tracker, batch_size=4))
    assert [len(r.people) for r in results] == [2] * 5 + [0] + [2] * 6
    assert results[5].image is None
    np.testing.assert_allclose(tracker.times, np.arange(12) / 30, atol=1e-3)
    assert sum(estimator.batches) == 11


def test_the_real_tracker_keeps_identities(tmp_path, estimator):
    tracker = OcclusionAwareTracker.from_config(get_cfg())
    results = list(track_frames(video(tmp_path), estimator, tracker, batch_size=4))
    ids = {tuple(r.people.track_ids[np.argsort(r.people.boxes[:, 1])].tolist()) for r in results}
    assert len(ids) == 1  # the higher one is green, in every frame the same
    assert len(next(iter(ids))) == 2


def test_who_asks_is_told_which_frames_of_which_source_these_are(tmp_path, tracker):
    class Named(RectangleEstimator):
        def estimate_named(self, frames, names, min_score=0.0):
            asked.extend(names)
            return super().estimate(frames, min_score)

    asked = []
    list(track_frames(video(tmp_path, 3), Named(), tracker, batch_size=2))
    assert asked == [FrameName(index, index, None, "a") for index in range(3)]


def test_it_stops_at_max_frames(tmp_path, estimator, tracker):
    assert len(list(track_frames(video(tmp_path), estimator, tracker, max_frames=7))) == 7


def test_a_live_sources_frames_are_looked_at_one_at_a_time(estimator, tracker):
    source = ArraySource([moving(i) for i in range(5)], frame_rate=30)
    source.live = True
    results = list(track_frames(source, estimator, tracker, batch_size=4))
    assert estimator.batches == [1] * len(results)
    assert results[-1].index == 4


class TwoAtOnce(RectangleEstimator):
    """Answers the first batches, an even number, only when it is asked about two of them."""

    batches_at_once = 2

    def __init__(self, batches):
        super().__init__()
        self._pairs = threading.Barrier(2)
        self._left = batches
        self.together = 0

    def estimate(self, frames, min_score=0.0):
        self._left -= 1
        if self._left >= 0:
            self._pairs.wait(20)
            self.together += 1
        return super().estimate(frames, min_score)


def test_two_batches_are_looked_at_together_where_the_estimator_likes_it(tmp_path, tracker):
    estimator = TwoAtOnce(4)
    results = list(track_frames(video(tmp_path), estimator, tracker, batch_size=4))
    assert estimator.together == 4
    assert [r.index for r in results] == list(range(20))
    for index, result in enumerate(results):
        np.testing.assert_allclose(result.people.boxes[0], [index * 2, 8, index * 2 + 12, 40], atol=1.01)


def test_frames_before_a_batch_that_fails_are_given_where_two_are_looked_at(tracker):
    class Fails(RectangleEstimator):
        batches_at_once = 2

        def estimate(self, frames, min_score=0.0):
            if np.array_equal(frames[0], moving(8)):
                time.sleep(0.1)  # the batch after it is done first
                raise RuntimeError("estimator broke")
            return super().estimate(frames, min_score)

    before, seen = set(threading.enumerate()), []
    source = ArraySource([moving(i) for i in range(20)], frame_rate=30)
    results = track_frames(source, Fails(), tracker, batch_size=4)
    with pytest.raises(RuntimeError, match="estimator broke"):
        seen.extend(r.index for r in results)
    assert seen == list(range(8))
    assert set(threading.enumerate()) <= before


def test_frames_before_a_source_that_fails_are_given_where_two_batches_are_looked_at(tracker):
    def frames():
        for i in range(8):
            yield moving(i)
        raise RuntimeError("source broke")

    seen = []
    results = track_frames(ArraySource(frames(), frame_rate=30), TwoAtOnce(2), tracker, batch_size=4)
    with pytest.raises(RuntimeError, match="source broke"):
        seen.extend(r.index for r in results)
    assert seen == list(range(8))


def test_a_live_sources_frames_are_not_waited_for_by_an_estimator_of_two_batches(tracker):
    source = ArraySource([moving(i) for i in range(5)], frame_rate=30)
    source.live = True
    estimator = TwoAtOnce(0)
    results = list(track_frames(source, estimator, tracker, batch_size=4))
    assert estimator.batches == [1] * len(results)


def test_seconds_of_threads_that_work_together_count_once():
    times, began = StageTimes(), threading.Barrier(2)

    def work():
        with times.measure("network"):
            began.wait()
            time.sleep(0.1)

    threads = [threading.Thread(target=work) for _ in range(2)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert 0.1 <= times.seconds["network"] <= time.perf_counter() - start


def test_flow_is_of_the_frames_that_are_looked_at(estimator):
    """The network is slow: of a live source it sees few frames, between which people go further than they are wide."""
    seen = []

    class Slow(RectangleEstimator):
        def estimate(self, frames, min_score=0.0):
            time.sleep(0.05)
            return super().estimate(frames, min_score)

    def frames():
        for i in range(40):
            time.sleep(0.01)
            yield moving(i)

    source = ArraySource(frames(), frame_rate=30)
    source.live = True
    tracker = FlowTracker()
    displacements = tracker._flow.displacements
    tracker._flow.displacements = lambda frame, points: seen.append(frame) or displacements(frame, points)
    results = list(track_frames(source, Slow(), tracker))
    assert 2 <= len(results) < 40
    assert [np.array_equal(r.image, frame) for r, frame in zip(results, seen, strict=True)] == [True] * len(
        seen
    )


def test_a_frame_of_another_size_under_flow_is_named_and_what_was_tracked_was_given(estimator):
    frames = [moving(i) for i in range(4)]
    frames[2] = np.ascontiguousarray(frames[2][:40, :60])
    tracker, given = FlowTracker(tracking=TrackerParameters(cut_correlation=0.0)), []
    with pytest.raises(InputError, match="frames: frame 2: frame: 60x40 pixels, but 64x48 before it"):
        given.extend(r.index for r in track_frames(ArraySource(frames, frame_rate=30), estimator, tracker))
    assert given == [0, 1]


@pytest.mark.parametrize("broken", ["source", "estimator", "tracker"])
def test_an_exception_in_any_stage_ends_all_threads(estimator, tracker, broken):
    before = set(threading.enumerate())
    calls = []

    def frames():
        for i in range(1000):
            if broken == "source" and i == 6:
                raise RuntimeError("source broke")
            yield moving(i)

    def fail_at_six(function):
        def wrapped(*arguments):
            calls.append(1)
            if len(calls) == 6:
                raise RuntimeError(f"{broken} broke")
            return function(*arguments)

        return wrapped

    if broken == "estimator":
        estimator.estimate = fail_at_six(estimator.estimate)
    if broken == "tracker":
        tracker.update = fail_at_six(tracker.update)
    seen = []
    results = track_frames(ArraySource(frames(), frame_rate=30), estimator, tracker)
    with pytest.raises(RuntimeError, match=f"{broken} broke"):
        seen.extend(result.index for result in results)
    assert seen == list(range(len(seen)))
    assert set(threading.enumerate()) <= before


def test_leaving_early_ends_all_threads_and_closes_the_source(tmp_path, estimator, tracker):
    before = set(threading.enumerate())
    source = video(tmp_path, 60)
    closed = []
    source.close = lambda: closed.append(True)
    results = track_frames(source, estimator, tracker, batch_size=4)
    next(results)
    results.close()
    assert set(threading.enumerate()) <= before
    assert closed == [True]


def test_stages_are_timed(tmp_path, estimator, tracker):
    times = StageTimes()
    list(track_frames(video(tmp_path), estimator, tracker, times=times))
    assert set(times.seconds) == {"decode", "network", "track"}
    assert all(seconds > 0 for seconds in times.seconds.values())


def test_a_scene_cut_reaches_whoever_writes(estimator):
    rng = np.random.default_rng(0)
    scenes = [np.kron(rng.integers(0, 60, (6, 8, 1), np.uint8), np.ones((8, 8, 3), np.uint8)) for _ in "ab"]
    source = ArraySource([scenes[i // 3] for i in range(6)], frame_rate=30)
    results = track_frames(source, estimator, OcclusionAwareTracker.from_config(get_cfg()))
    assert [result.scene_cut for result in results] == [i == 3 for i in range(6)]


def test_of_frames_that_are_large_for_the_memory_fewer_are_read_ahead(tmp_path, monkeypatch):

    def free(count):
        for module in (pipeline, available_memory):
            monkeypatch.setattr(module, "available_bytes", lambda: count)

    source = video(tmp_path, 4)
    source.frame_size_hw = (4320, 7680)  # 0.1 GB a frame
    for count, at_once, size in ((10**11, 1, 4), (3 * 10**9, 1, 1), (4.5 * 10**9, 1, 4), (4.5 * 10**9, 2, 2)):
        free(count)
        assert pipeline._fitting(source, 4, at_once) == size
    free(10**9)
    with pytest.raises(
        InputError, match=r"frames of 7680x4320 pixels: reading ahead needs 1\.5 GB of memory, and 1\.0 GB"
    ):
        list(track_frames(source, RectangleEstimator(), ColourTracker(), batch_size=4))
