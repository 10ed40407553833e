"""Where a video's frames become of another size, of which some decoders lose the frame before."""

from __future__ import annotations

import contextlib
from fractions import Fraction

import av

# They hold the last frame back, as one of another time of showing may come before it, and drop it with its size.
_DROPPING = ("mpeg1video", "mpeg2video", "mpeg4")


class NewSizes:
    """Reads the headers of a track's packets ahead of its decoder, which is to be emptied where they tell another size.

    Args:
        track: of an opened container.
    """

    def __init__(self, track: av.VideoStream) -> None:
        codec = track.codec_context.codec
        self._headers = _header_reader(track) if codec.canonical_name in _DROPPING else None
        self._told: tuple[int, int, Fraction | None] | None = None

    def begin_with(self, packet: av.Packet) -> bool:
        """Whether with this packet, the next one in the file, frames begin that are unlike those before."""
        if self._headers is None or not packet.size:
            return False
        with contextlib.suppress(av.error.FFmpegError):  # the decoder itself will tell
            self._headers.decode(packet)
        before, size = self._told, (self._headers.width, self._headers.height)
        self._told = (*size, self._headers.sample_aspect_ratio) if all(size) else before
        return before not in (None, self._told)


def _header_reader(track: av.VideoStream) -> av.VideoCodecContext:
    """A decoder of the track that reads no further than what precedes a picture."""
    context = av.CodecContext.create(track.codec_context.codec, "r")
    assert isinstance(context, av.VideoCodecContext)
    context.extradata = track.codec_context.extradata
    context.skip_frame = "ALL"
    context.thread_count = 1
    return context
