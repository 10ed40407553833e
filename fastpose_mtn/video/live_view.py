"""The overlay while it is made, in a browser on this machine: a page with the frames as a motion JPEG."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit

import cv2
import numpy as np

from fastpose_mtn.data.picture_files import encode_picture
from fastpose_mtn.video.background import give_way

# a page from elsewhere must not reach in by a name of its own for this address
_HOSTS = ("127.0.0.1", "localhost")
_WIDTH = 1280  # pixels; wider frames are made smaller, for encoding costs time
_QUALITY = 80
_STALLED_S = 10.0  # after which a browser that takes nothing is left
_PAGE = b"""<!doctype html><meta charset="utf-8"><title>FastPose MTN</title>
<style>body{margin:0;background:#222;color:#ddd;font:14px sans-serif}img{display:block;max-width:100%}p{margin:8px}</style>
<img id="overlay" src="/stream" alt=""><p id="state">waiting for the first frame</p>
<script>
let failed = 0;
const show = text => { failed = 0; document.getElementById("state").textContent = text };
const timer = setInterval(() => fetch("/state").then(answer => answer.text()).then(show)
  .catch(() => { if (++failed == 3) { show("the job has ended"); clearInterval(timer) } }), 500);
</script>
"""


class LiveView:
    """A page on a free port of 127.0.0.1 that shows the newest frame; frames nobody has time for are passed over.

    Frames are encoded for those who watch, in threads of their own: while nobody does, ``show`` costs nothing, and
    whoever draws can leave that too, by ``watched``.

        with LiveView() as view:
            print(view.address)
            view.show(image, "walk: frame 0")
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._image: np.ndarray | None = None
        self._caption = "waiting for the first frame"
        self._count = 0
        self._watchers = 0
        self._closed = False
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._serve, name="show", daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """What to open in a browser."""
        return f"http://127.0.0.1:{self._server.server_address[1]}/"

    @property
    def watched(self) -> bool:
        """Whether somebody waits for frames."""
        return self._watchers > 0

    @property
    def caption(self) -> str:
        """What the newest frame is."""
        return self._caption

    def show(self, image: np.ndarray, caption: str) -> None:
        """Takes the place of the frame before.

        Args:
            image: (H, W, 3) uint8 RGB; is not changed afterwards.
            caption: what it is, below it.
        """
        if not self.watched:
            return
        with self._changed:
            self._image, self._caption, self._count = image, caption, self._count + 1
            self._changed.notify_all()

    def frames(self) -> Generator[bytes, None, None]:
        """The newest frames as JPEG, until the view is closed."""
        with self._changed:
            self._watchers += 1
            seen = self._count
        try:
            while True:
                with self._changed:
                    self._changed.wait_for(lambda: self._closed or self._count > seen)  # noqa: B023
                    if self._count == seen:
                        return
                    image, seen = self._image, self._count
                assert image is not None
                yield _jpeg(image)
        finally:
            with self._changed:
                self._watchers -= 1

    def close(self) -> None:
        """Ends the page and its streams; a second call does nothing."""
        with self._changed:
            closed, self._closed = self._closed, True
            self._changed.notify_all()
        if not closed:
            self._server.shutdown()
            self._server.server_close()
            self._thread.join()

    def __enter__(self) -> LiveView:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _serve(self) -> None:
        give_way()  # threads that answer browsers wait for those that compute
        self._server.serve_forever(poll_interval=0.1)


class _Server(ThreadingHTTPServer):
    """A thread a browser's connection, on a port that is free."""

    def __init__(self, view: LiveView) -> None:
        self.view = view
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: object, client_address: object) -> None:
        """Says nothing of a browser that went away, or takes nothing, which socketserver would trace on the terminal."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    """The page, its stream, the newest frame alone, and what it is."""

    server: _Server
    timeout = _STALLED_S

    def do_GET(self) -> None:
        view, path = self.server.view, urlsplit(self.path).path
        if self.headers.get("Host", "").rpartition(":")[0] not in _HOSTS:
            self.send_error(403, "ask for 127.0.0.1 or localhost")
        elif path == "/":
            self._answer("text/html; charset=utf-8", _PAGE)
        elif path == "/state":
            self._answer("text/plain; charset=utf-8", view.caption.encode(errors="replace"))
        elif path == "/frame.jpg":
            frame = next(view.frames(), None)
            self.send_error(410, "the job has ended") if frame is None else self._answer("image/jpeg", frame)
        elif path == "/stream":
            self._stream(view)
        else:
            self.send_error(404)

    def _answer(self, kind: str, content: bytes) -> None:
        self._begin(kind, {"Content-Length": str(len(content))})
        self.wfile.write(content)

    def _begin(self, kind: str, headers: dict[str, str]) -> None:
        self.send_response(200)
        for name, value in {"Content-Type": kind, "Cache-Control": "no-store", **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def _stream(self, view: LiveView) -> None:
        self._begin("multipart/x-mixed-replace; boundary=frame", {})
        # The boundary behind a frame, not before it: browsers show a frame when the next one begins.
        self.wfile.write(b"--frame\r\n")
        with contextlib.closing(view.frames()) as frames:
            for frame in frames:
                head = f"Content-Type: image/jpeg\r\nContent-Length: {len(frame)}\r\n\r\n".encode()
                self.wfile.write(head + frame + b"\r\n--frame\r\n")

    def log_message(self, format: str, *arguments: object) -> None:
        """Says nothing: the job's own progress is on the terminal."""


def _jpeg(image: np.ndarray) -> bytes:
    height, width = image.shape[:2]
    if width > _WIDTH:
        size = _WIDTH, max(1, round(height * _WIDTH / width))
        image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    return encode_picture(image, quality=_QUALITY)
