"""What tests share: small networks, people, and real data where ``FASTPOSE_REAL_DATA`` names its folder."""

import os
import signal
from pathlib import Path

# One thread a test process, and in what it starts: a process for each core has no use for more.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest
import torch
from small_network import make_targets, small_config

from fastpose_mtn.systems.mtn.network import build_model


@pytest.fixture(scope="session", autouse=True)
def _signals_arrive():
    """Under nohup, or behind ``&``, signals are ignored, by the commands that tests start too."""
    for number, usual in ((signal.SIGHUP, signal.SIG_DFL), (signal.SIGINT, signal.default_int_handler)):
        if signal.getsignal(number) == signal.SIG_IGN:
            signal.signal(number, usual)


_CRASHED: set[str] = set()


@pytest.hookimpl(optionalhook=True)
def pytest_handlecrashitem(crashitem, report, sched):
    """A test whose process a native library ended is run once more, which is told as "rerun"; twice is a failure."""
    if crashitem not in _CRASHED:
        _CRASHED.add(crashitem)
        sched.mark_test_pending(crashitem)
        report.outcome = "rerun"


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real data; a test that asks for it skips where there is none."""
    folder = os.environ.get("FASTPOSE_REAL_DATA", "")
    if not folder or not Path(folder).is_dir():
        pytest.skip("FASTPOSE_REAL_DATA names no folder of real data")
    return Path(folder)


@pytest.fixture
def threads():
    """Sets the number of PyTorch's threads for a test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def cfg():
    return small_config()


@pytest.fixture(scope="module")
def fixed_network():
    """A network in training whose statistics do not remember the step before."""
    torch.manual_seed(0)
    cfg = small_config()
    cfg.MODEL.BACKBONE.NORM = "FrozenBN"
    return build_model(cfg).train()


@pytest.fixture
def people():
    return make_targets
