import threading
from types import SimpleNamespace

import pytest
from rectangles import ColourTracker, RectangleEstimator, moving

from fastpose_mtn.errors import InputError
from fastpose_mtn.video import live
from fastpose_mtn.video.live import PacedSource, ReconnectingSource, as_live
from fastpose_mtn.video.pipeline import track_frames
from fastpose_mtn.video.sources import ArraySource


class Connection(ArraySource):
    """A camera's frames until it breaks off."""

    def __init__(self, count, problem="camera 0: it stopped"):
        super().__init__([moving(i) for i in range(count)], name="camera0", frame_rate=10)
        self.live, self.will_say, self.closed = True, problem, False

    def __iter__(self):
        yield from super().__iter__()
        self.problem = self.will_say

    def close(self):
        self.closed = True


class Clock:
    """A clock that moves on by a second each time it is read."""

    def __init__(self):
        self.now = 100.0

    def monotonic(self):
        self.now += 1.0
        return self.now


def test_a_camera_comes_back_and_its_time_and_numbers_go_on(monkeypatch):
    monkeypatch.setattr(live, "FIRST_WAIT_S", 0.001)
    monkeypatch.setattr(live, "time", Clock())
    first, second = Connection(3), Connection(2)
    answers = iter([InputError("there is none"), OSError("busy"), second])
    told = []

    def open_again():
        answer = next(answers, None)
        if isinstance(answer, Connection):
            return answer
        raise answer or InputError("gone")

    source = ReconnectingSource(first, open_again, told.append)
    source.patience_s = 0.1
    frames = list(source)
    assert [f.index for f in frames] == [f.number for f in frames] == [0, 1, 2, 3, 4]
    # three frames a tenth of a second apart; the fourth came three seconds after the first
    assert [f.time_s for f in frames] == pytest.approx([0.0, 0.1, 0.2, 3.0, 3.1])
    assert (first.closed, second.closed, source.reconnections) == (True, True, 1)
    assert told == ["camera 0: it stopped; it is opened again"] * 2
    assert source.problem == "camera 0: it stopped"


def test_a_wait_for_a_camera_can_be_ended(monkeypatch):
    monkeypatch.setattr(live, "FIRST_WAIT_S", 1000.0)
    broke_off = threading.Event()

    def no_camera():
        raise InputError("gone")

    source = ReconnectingSource(Connection(1), no_camera, lambda text: broke_off.set())
    reading = threading.Thread(target=lambda: list(source), daemon=True)
    reading.start()
    assert broke_off.wait(30)
    source.interrupt()
    reading.join(30)
    assert not reading.is_alive()
    assert source.problem is None


def test_the_newest_frame_is_looked_at_and_the_others_are_passed_over():
    looking, all_read = threading.Event(), threading.Event()

    class Busy(RectangleEstimator):
        def estimate(self, frames, min_score=0.0):
            looking.set()
            assert all_read.wait(30)
            return super().estimate(frames, min_score)

    def frames():
        yield moving(0)
        assert looking.wait(30)
        for i in range(1, 10):
            yield moving(i)
        all_read.set()

    source = ArraySource(frames(), frame_rate=30)
    source.live = True
    results = list(track_frames(source, Busy(), ColourTracker(), batch_size=4))
    assert [r.index for r in results] == [0, 9]
    assert results[1].people.boxes[0, 0] == pytest.approx(18, abs=1.01)
    assert all(r.age_s >= 0 for r in results)


def test_a_recording_is_played_at_its_own_pace(monkeypatch):
    clock = SimpleNamespace(now=50.0, monotonic=lambda: clock.now)
    waits = []

    class Waits:
        def wait(self, seconds):
            waits.append(seconds)
            clock.now += seconds
            return False

    monkeypatch.setattr(live, "time", clock)
    source = PacedSource(ArraySource([moving(i) for i in range(3)], frame_rate=4))
    source._stopped = Waits()
    for frame in source:
        clock.now += 0.1 if frame.index == 0 else 0.4  # somebody is busy with it
    assert waits == pytest.approx([0.0, 0.15, 0.0])


def test_what_live_means():
    camera, recording = Connection(1), ArraySource([moving(0)], frame_rate=10)
    assert isinstance(as_live(camera, "auto", Connection), ReconnectingSource)
    assert as_live(recording, "auto", Connection) is recording
    assert isinstance(as_live(recording, "on", Connection), PacedSource)
    assert as_live(camera, "off", Connection) is camera
    assert not camera.live
