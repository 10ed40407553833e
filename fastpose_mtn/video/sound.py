"""Sound on its way from a video into its overlay: packets as they are stored, never decoded."""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, field
from fractions import Fraction

import av
from av.bitstream import BitStreamFilterContext

# What players of MP4 play. It can hold more, such as uncompressed sound, which most of them pass over in silence.
PLAYED = frozenset(("aac", "mp3", "mp2", "ac3", "eac3", "opus", "flac", "alac"))
_AAC_RATES = (
    96_000,
    88_200,
    64_000,
    48_000,
    44_100,
    32_000,
    24_000,
    22_050,
    16_000,
    12_000,
    11_025,
    8_000,
    7_350,
)
_OVERLAP_S = 0.5  # by which a packet may begin before the one ahead of it ends; earlier ones belong to a jump


@dataclass(frozen=True, order=True)
class SoundPacket:
    """A packet of a sound track.

    Attributes:
        time_s: of its first sample, seconds since the first frame.
        track: the index of its track in the source's container.
        packet: as the source holds it.
    """

    time_s: float
    track: int
    packet: av.Packet = field(compare=False)


class SoundReader:
    """Collects a container's sound between two frames, on the clock of the frames.

    Args:
        tracks: the sound tracks.
        tick: of the track that is seen, whose clock jumps are told in.
    """

    def __init__(self, tracks: Sequence[av.AudioStream], tick: Fraction) -> None:
        self.tracks = tuple(tracks)
        self._tick = tick
        self._waiting: list[SoundPacket] = []
        self._ends_s: dict[int, float] = {}  # of each track's latest packet

    def add(self, packet: av.Packet, shifts: Sequence[int]) -> None:
        """Takes a packet that was read.

        Args:
            packet: of one of the tracks.
            shifts: see ``PacketClock``. Around a jump packets of both sides are mixed: each belongs to the side on
                which it goes on from the one before.
        """
        stored = packet.dts if packet.dts is not None else packet.pts
        if stored is None or not packet.size or packet.time_base is None:
            return
        track = packet.stream.index
        times_s = [float(stored * packet.time_base + shift * self._tick) for shift in shifts[-2:]]
        end_s = self._ends_s.get(track)
        time_s = times_s[-1] if end_s is None else min(times_s, key=lambda time: abs(time - end_s))
        if end_s is not None and time_s < end_s - _OVERLAP_S:
            return
        self._ends_s[track] = time_s + float((packet.duration or 0) * packet.time_base)
        self._waiting.append(SoundPacket(time_s, track, packet))

    def take(self, origin_s: float | None) -> tuple[SoundPacket, ...]:
        """What came since the last call; what sounds before the first frame is left out.

        Args:
            origin_s: the first frame's time on the track's clock; None: not known yet.
        """
        if origin_s is None or not self._waiting:
            return ()
        taken = [SoundPacket(s.time_s - origin_s, s.track, s.packet) for s in self._waiting]
        self._waiting = []
        return tuple(sound for sound in taken if sound.time_s >= 0)


class SoundWriter:
    """Copies sound into a container that is being written, up to the end of the picture.

    Args:
        container: not begun yet.
        tracks: of a container that is open, each copied if it is in a codec of ``PLAYED``.

    Attributes:
        lost: why a track is not in the new container, a line each.
    """

    def __init__(self, container: av.container.OutputContainer, tracks: Sequence[av.AudioStream]) -> None:
        self._container = container
        self._copies: dict[int, av.AudioStream] = {}
        # of AAC that tells its configuration with each packet
        self._unwrap: dict[int, BitStreamFilterContext] = {}
        self._last_ticks: dict[int, int] = {}
        self._waiting: list[SoundPacket] = []  # a heap
        self.lost: list[str] = []
        for track in tracks:
            codec = track.codec_context.codec.canonical_name if track.codec_context else "an unknown codec"
            config = _aac_config(track) if codec == "aac" else b""
            if codec not in PLAYED or config is None:
                self.lost.append(
                    f"its sound is not in the overlay: it is in {codec}, which players do not play in an MP4"
                    + ("; convert it to AAC" if codec not in PLAYED else " as it is")
                )
                continue
            copy = container.add_stream_from_template(track)
            if config:
                copy.codec_context.extradata = config
                self._unwrap[track.index] = BitStreamFilterContext("aac_adtstoasc", track)
            self._copies[track.index] = copy

    @property
    def copied(self) -> bool:
        """Whether there is a track to copy."""
        return bool(self._copies)

    def add(self, packets: Sequence[SoundPacket]) -> None:
        """Takes packets, to be written when their time has come."""
        for sound in packets:
            if sound.track in self._copies:
                heapq.heappush(self._waiting, sound)

    def write_until(self, end_s: float) -> None:
        """Writes what begins before ``end_s``, seconds since the first frame."""
        while self._waiting and self._waiting[0].time_s < end_s:
            sound = heapq.heappop(self._waiting)
            if sound.track in self._copies:
                self._write(sound)

    def _write(self, sound: SoundPacket) -> None:
        packet, copy = sound.packet, self._copies[sound.track]
        assert packet.time_base is not None
        tick = max(round(sound.time_s / packet.time_base), self._last_ticks.get(sound.track, -1) + 1)
        self._last_ticks[sound.track] = tick
        packet.pts = packet.dts = tick
        unwrap = self._unwrap.get(sound.track)
        try:
            for part in unwrap.filter(packet) if unwrap else (packet,):
                part.stream = copy
                self._container.mux(part)
        except av.error.FFmpegError as error:
            del self._copies[sound.track]
            self.lost.append(f"its sound ends {sound.time_s:.1f} s into the overlay: {error.strerror}")


def _aac_config(track: av.AudioStream) -> bytes | None:
    """What MP4 must know of AAC before its first packet, where the source does not tell it.

    Transport streams tell it with each packet (ADTS). This is ISO 14496-3's AudioSpecificConfig of low complexity;
    its extensions, HE-AAC, begin from half the rate, the second version from one channel, and are found by decoders.

    Returns:
        The configuration; empty where the source tells it; None where it cannot be told.
    """
    context = track.codec_context
    if context.extradata:
        return b""
    profile, rate, channels = str(context.profile), context.sample_rate, len(context.layout.channels)
    if profile.startswith("HE-AAC"):
        rate, channels = rate // 2, 1 if profile == "HE-AACv2" else channels
    if rate not in _AAC_RATES or not 1 <= channels <= 6:
        return None
    return (2 << 11 | _AAC_RATES.index(rate) << 7 | channels << 3).to_bytes(2, "big")
