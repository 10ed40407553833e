"""A plain HTTP client is the browser; a headless one is tried too where there is one."""

import http.client
import re
import shutil
import socket
import struct
import subprocess
import threading
import time
from urllib.parse import urlsplit

import cv2
import numpy as np
import pytest

from fastpose_mtn.video.live_view import LiveView

BROWSERS = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "chrome",
    "headless_shell",
)


def image(level, size_hw=(48, 64)):
    return np.full((*size_hw, 3), level, np.uint8)


def wait_until(condition):
    for _ in range(400):
        if condition():
            return
        time.sleep(0.025)
    raise AssertionError("it did not happen in 10 seconds")


def ask(view, path, **headers):
    connection = http.client.HTTPConnection(urlsplit(view.address).netloc, timeout=10)
    connection.request("GET", path, headers=headers)
    return connection.getresponse()


def level_of(jpeg):
    return round(float(cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR).mean()))


def read_frame(answer):
    """One part of the stream, with the boundary behind it."""
    length = None
    while (line := answer.readline()) != b"\r\n":
        if found := re.match(rb"Content-Length: (\d+)", line):
            length = int(found[1])
    frame = answer.read(length)
    assert answer.readline() == b"\r\n"
    assert answer.readline() == b"--frame\r\n"
    return frame


def test_a_stream_shows_the_newest_frame():
    with LiveView() as view:
        assert view.address.startswith("http://127.0.0.1:")
        answer = ask(view, "/stream")
        assert answer.getheader("Content-Type") == "multipart/x-mixed-replace; boundary=frame"
        assert answer.readline() == b"--frame\r\n"
        for level in (50, 120, 200):
            wait_until(lambda: view.watched)
            view.show(image(level), f"walk: frame {level}")
            assert abs(level_of(read_frame(answer)) - level) <= 2
        assert ask(view, "/state").read() == b"walk: frame 200"
        view.close()
        assert answer.read() == b""  # the stream ends with the job


def test_the_page_shows_the_stream():
    with LiveView() as view:
        assert ask(view, "/state").read() == b"waiting for the first frame"
        page = ask(view, "/").read().decode()
        assert 'src="/stream"' in page
        assert ask(view, "/nothing").status == 404


def test_one_frame_alone_and_a_wide_one_is_made_smaller():
    with LiveView() as view:
        answers = []
        client = threading.Thread(target=lambda: answers.append(ask(view, "/frame.jpg").read()))
        client.start()
        wait_until(lambda: view.watched)
        view.show(image(90, (300, 2560)), "wide")
        client.join(10)
        assert cv2.imdecode(np.frombuffer(answers[0], np.uint8), cv2.IMREAD_COLOR).shape == (150, 1280, 3)
        wait_until(lambda: not view.watched)


def test_a_name_that_is_no_text_is_shown_as_far_as_it_is():
    with LiveView() as view:
        answer = ask(view, "/stream")
        wait_until(lambda: view.watched)
        view.show(image(50), "caf\udce9: frame 0")
        assert answer.readline() == b"--frame\r\n"
        assert ask(view, "/state").read() == b"caf?: frame 0"


def test_while_nobody_watches_nothing_is_encoded_and_nothing_kept(monkeypatch):
    monkeypatch.setattr(cv2, "imencode", lambda *arguments: pytest.fail("encoded for nobody"))
    with LiveView() as view:
        for level in range(100):
            view.show(image(level), "walk")
        assert view._image is None


def test_who_goes_away_does_not_stop_the_others():
    with LiveView() as view:
        first, second = ask(view, "/stream"), ask(view, "/stream")
        second.readline()
        wait_until(lambda: view._watchers == 2)
        first.close()
        for level in range(200):  # until the system notices that nobody takes them
            view.show(image(level), "walk")
            read_frame(second)
            if view._watchers == 1:
                break
            time.sleep(0.01)
        assert view._watchers == 1


def test_a_page_from_elsewhere_is_turned_away():
    """A name of somebody's that leads to 127.0.0.1 would make the stream readable for their page."""
    with LiveView() as view:
        assert ask(view, "/", Host="evil.example:80").status == 403
        assert ask(view, "/state", Host="localhost:9").status == 200


def test_two_views_have_ports_of_their_own_and_close_twice():
    before = set(threading.enumerate())
    with LiveView() as one, LiveView() as other:
        assert one.address != other.address
    one.close()
    wait_until(lambda: set(threading.enumerate()) <= before)
    with pytest.raises(ConnectionRefusedError):
        ask(one, "/")


def test_a_headless_browser_shows_it(tmp_path):
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        pytest.skip(f"no browser is installed; one of {', '.join(BROWSERS)} would be tried")
    picture = tmp_path / "page.png"
    with LiveView() as view:
        stop = threading.Event()

        def paint():
            while not stop.wait(0.05):
                view.show(np.full((200, 300, 3), (20, 220, 40), np.uint8), "walk: frame 7")

        painter = threading.Thread(target=paint)
        painter.start()
        try:
            subprocess.run(
                [browser, "--headless", "--no-sandbox", "--disable-gpu", "--window-size=400,300", "--timeout=5000",
                 f"--user-data-dir={tmp_path / 'profile'}", f"--screenshot={picture}", view.address],
                check=True, capture_output=True, timeout=90,
            )  # fmt: skip
        finally:
            stop.set()
            painter.join()
    shot = cv2.imread(str(picture))
    assert np.abs(shot[100, 150].astype(int) - (40, 220, 20)).max() < 12  # BGR


@pytest.mark.parametrize(
    "request_line", [b"", b"GET / HT", b"GET / HTTP/1.1", b"GET /state HTTP/1.1", b"GET /stream HTTP/1.1"]
)
def test_a_browser_that_goes_away_is_no_trace_on_the_terminal(request_line, capfd):
    with LiveView() as view:
        for _ in range(5):
            browser = socket.create_connection(("127.0.0.1", urlsplit(view.address).port))
            browser.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )  # closed by a reset
            browser.sendall(
                request_line + b"\r\nHost: 127.0.0.1:1\r\n\r\n"
                if request_line.endswith(b"1.1")
                else request_line
            )
            if b"stream" in request_line:
                wait_until(lambda: view.watched)
            browser.close()
        for level in range(20):
            view.show(image(level, (500, 500)), "walk")
            time.sleep(0.01)
        wait_until(lambda: not view.watched)
        assert ask(view, "/state").status == 200
    assert "Exception" not in capfd.readouterr().err
