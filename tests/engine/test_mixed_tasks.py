"""Two processes train on five datasets of different tasks, and go on where one of them has nothing for a part."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from mixed_datasets import write_mixed_datasets
from tiny_training import TINY

SCRIPT = Path(__file__).parents[1] / "helpers" / "mixed_run.py"
# P2 is read for people under 112 pixels alone: the region proposals do without it, as the demo's do.
OPTIONS = [
    *TINY, "MODEL.RPN.IN_FEATURES", "['p3', 'p4', 'p5', 'p6']", "MODEL.ANCHOR_GENERATOR.SIZES", "[[32], [64], [128], [256]]",
    "INPUT.MIN_SIZE_TRAIN", "(96, 128, 160, 192)", "DATASETS.TEST", "()", "DATALOADER.FILTER_EMPTY_ANNOTATIONS", "False",
    "SOLVER.CHECKPOINT_PERIOD", "1000", "SOLVER.LOG_PERIOD", "4",
    "SOLVER.IMS_PER_BATCH", "4", "SOLVER.GRADIENT_ACCUMULATION", "2", "SOLVER.LOSS_WEIGHTS", "uncertainty",
]  # fmt: skip


def test_processes_whose_images_train_different_tasks_wait_for_each_other_and_end_alike(tmp_path):
    names = write_mixed_datasets(tmp_path / "data", images=8, sides=(96, 224))
    run = subprocess.Popen(
        [sys.executable, SCRIPT, tmp_path, *OPTIONS, "DATASETS.TRAIN", repr(tuple(names)), "SOLVER.MAX_ITER", "8"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "OMP_NUM_THREADS": "1"},
        start_new_session=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    try:
        _, errors = run.communicate(timeout=300)
    except subprocess.TimeoutExpired:
        pytest.fail("the processes wait for each other for ever")
    finally:
        if run.poll() is None:
            os.killpg(run.pid, signal.SIGKILL)
    assert run.returncode == 0, errors
    for kind in ("weights", "gradients"):
        one, other = (torch.load(tmp_path / f"{kind}_{rank}.pt") for rank in (0, 1))
        assert set(one) == set(other)
        assert all(torch.equal(value, other[name]) for name, value in one.items()), kind
