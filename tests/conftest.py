"""Real images, clips and annotations, where somebody has them: ``FASTPOSE_REAL_DATA`` names their folder."""

import os
from pathlib import Path

import pytest
import torch


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
