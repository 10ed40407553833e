"""A video's clock, put right: times that jump, go back, repeat or are missing become strictly increasing seconds."""

from __future__ import annotations

from fractions import Fraction

import av

# Forward jumps beyond this are a clock that was set, not a camera that slept; FFmpeg unwraps a clock of 33 bits that
# began anew into a jump of hours.
LONGEST_GAP_S = 3600.0
_MOST_REORDERED = 16  # frames: H.264's and HEVC's largest decoded picture buffer
# Times nearer than this are one time: a clock that tells 2,500 frames a second is wrong.
_SAME_S = 4e-4
_SHORTEST_S, _USUAL_S = 0.011, 0.1  # browsers show pictures of 10 ms and less for a tenth of a second


def nominal_rate(track: av.VideoStream) -> Fraction:
    """Frames a second that an opened container's track tells of itself; 30 where it tells none or nonsense."""
    told = [track.average_rate, track.guessed_rate]
    if track.start_time is None:  # raw H.264 and the like: no times to take an average of, so it is made up
        told.reverse()
    return next((rate for rate in told if rate and Fraction(1, 7200) <= rate <= 1000), Fraction(30))


def shown_for(told_s: float) -> float:
    """Seconds for which a picture of an animation is shown, as browsers do, that says ``told_s`` of itself."""
    return told_s if told_s >= _SHORTEST_S else _USUAL_S


class PacketClock:
    """The clock of a track's packets, which goes on where the file's own jumps.

    Segments that were joined (``cat a.ts b.ts``, dashcams) begin anew each; the first packet after a jump is taken
    to follow the last one before it by a frame.

    Args:
        track: of an opened container.
        rate: frames a second.

    Attributes:
        shifts: ticks of the track that were added to the file's times, the one in force last.
    """

    def __init__(self, track: av.VideoStream, rate: Fraction) -> None:
        tick = track.time_base or Fraction(1, 90_000)
        self._frame = max(1, round(1 / (rate * tick)))
        self._longest_gap = round(LONGEST_GAP_S / tick)
        self._longest_frame = round(1 / tick)
        self._reordered = bool(track.codec_context.has_b_frames)
        self._decoded_last: int | None = None
        self._shown_last: int | None = None
        self._untimed = 0  # packets since the last one with a time
        self.shifts = [0]

    @property
    def jumped(self) -> bool:
        """Whether the file's clock jumped so far."""
        return len(self.shifts) > 1

    def mend(self, packet: av.Packet) -> None:
        """Sets a packet's times to this clock. Packets come in the order in which they are decoded."""
        decoded, shown = packet.dts, packet.pts
        if decoded is not None:
            # Some files write the time of showing as the time of decoding: it goes back within a group of B-frames.
            self._decoded_last = self._follow(decoded, self._decoded_last, reordered=self._reordered)
        elif shown is not None and self._decoded_last is None:
            self._shown_last = self._follow(shown, self._shown_last, reordered=True)
        else:
            self._untimed += 1
        if decoded is not None:
            packet.dts = decoded + self.shifts[-1]
        if shown is not None:
            packet.pts = shown + self.shifts[-1]

    def _follow(self, time: int, last: int | None, *, reordered: bool) -> int:
        """The latest time so far, all in ticks of this clock; a jump from ``last`` to ``time`` is shifted away."""
        untimed, self._untimed = self._untimed, 0
        now = time + self.shifts[-1]
        if last is None:
            return now
        # Where times are left out, as in MPEG's program streams, half of those frames must have passed: the rate is
        # a guess.
        earliest = (
            last + self._frame * (untimed // 2) - self._frame * (_MOST_REORDERED + 1 if reordered else 1)
        )
        if not earliest <= now <= last + self._longest_gap:
            now = last + self._frame * (untimed + 1)
            self.shifts.append(now - time)
        elif not reordered and not untimed and 0 < now - last < self._longest_frame:
            self._frame = now - last
        return max(last, now)


class FrameClock:
    """Seconds since the first frame, later for each frame than for the one before.

    Args:
        rate: frames a second, by which a frame without a time follows the one before.
        shown_times: whether the file holds times of showing; AVI holds times of decoding, and what is made up from
            them is wrong where frames are reordered.

    Attributes:
        origin_s: the first frame's time on the track's clock, seconds; None until there is one.
        last_s: the latest frame's time.
    """

    def __init__(self, rate: Fraction, *, shown_times: bool = True) -> None:
        self._shown_times = shown_times
        self._frame_s = float(1 / rate)
        self._begun = False
        self._behind = False  # whether the last frame's own time was not later than the one before
        self._last_pts_s, self._last_dts_s = float("-inf"), float("-inf")
        self._faulty_pts, self._faulty_dts = 0, 0
        self.origin_s: float | None = None
        self.last_s = 0.0

    def shown_at(self, frame: av.VideoFrame) -> float | None:
        """A decoded frame's time on the track's clock, seconds; None where the file gives none.

        It is the time of showing, unless that goes back more often than the time of decoding (as FFmpeg's
        ``best_effort_timestamp``).
        """
        if frame.time_base is None:
            return None
        pts_s = None if frame.pts is None else float(frame.pts * frame.time_base)
        dts_s = None if frame.dts is None else float(frame.dts * frame.time_base)
        if dts_s is not None:
            self._faulty_dts += dts_s <= self._last_dts_s
            self._last_dts_s = dts_s
        if pts_s is not None:
            self._faulty_pts += pts_s <= self._last_pts_s
            self._last_pts_s = pts_s
        plausible = self._shown_times and self._faulty_pts <= self._faulty_dts
        return pts_s if plausible and pts_s is not None else dts_s

    def advance(self, clock_s: float | None) -> float:
        """The next frame's time.

        Args:
            clock_s: its time on the track's clock, seconds; None where there is none.

        Returns:
            Seconds since the first frame. Times that repeat or go back are spread: the first such frame comes half
            a frame after the one before, so that the next in its place is not pushed on, those after it a whole one.
        """
        due_s = self.last_s + self._frame_s if self._begun else 0.0
        if clock_s is None:
            self.last_s = due_s
        else:
            if self.origin_s is None:
                self.origin_s = clock_s - due_s
            time_s = clock_s - self.origin_s
            behind = self._begun and time_s < self.last_s + _SAME_S
            if behind:
                time_s = due_s if self._behind else self.last_s + self._frame_s / 2
            self._behind, self.last_s = behind, time_s
        self._begun = True
        return self.last_s
