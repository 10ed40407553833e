import signal
import subprocess
import sys
import threading

import pytest

from fastpose_mtn.video.interrupt import Interruptible


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_the_first_signal_is_a_request_and_ends_the_wait(number):
    before, woken = signal.getsignal(number), threading.Event()
    with Interruptible(woken.set) as interrupt:
        assert interrupt.requested is None
        signal.raise_signal(number)
        assert interrupt.requested == number
        assert woken.wait(30)
    assert signal.getsignal(number) == before


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_second_signal_ends_at_once(number):
    """Though cleaning up would take for ever."""
    code = """
import signal, sys, time
from fastpose_mtn.video.interrupt import Interruptible
with Interruptible() as interrupt:
    try:
        print("begun", flush=True)
        while not interrupt.requested:
            time.sleep(0.01)
        print("asked", flush=True)
        while True:
            time.sleep(1)
    finally:
        time.sleep(1000)
"""
    with subprocess.Popen([sys.executable, "-c", code], text=True, stdout=subprocess.PIPE) as process:
        for line in ("begun\n", "asked\n"):
            assert process.stdout.readline() == line
            process.send_signal(number)
        assert process.wait(30) == -number


def test_in_another_thread_signals_are_left_alone():
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def enter():
        with Interruptible():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert seen == [before]
