"""Runs in processes of their own: killed, and two together."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_run import run

# Without averaging and momentum: equal weights after a step are equal gradients.
ONE_STEP = ["SOLVER.EMA", "0.0", "SOLVER.MOMENTUM", "0.0", "SOLVER.MAX_ITER", "1", "SOLVER.BASE_LR", "1.0"]
SCRIPT = str(Path(__file__).parents[1] / "helpers" / "tiny_run.py")


def start(*command, **environment):
    return subprocess.run(
        [sys.executable, *command],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=900,
    )


@pytest.mark.parametrize("kill_at", [4, 5])
def test_a_killed_run_that_is_resumed_ends_as_one_that_was_not(tmp_path, kill_at):
    whole = load_file(run(tmp_path / "whole")[0])
    killed = start(SCRIPT, str(tmp_path / "killed"), KILL_AT=str(kill_at))
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    names = {path.name for path in (tmp_path / "killed").iterdir()}
    assert "model_final.safetensors" not in names
    newest = 2 if kill_at == 4 else 4  # a checkpoint every two steps
    assert f"checkpoint_{newest:07d}.ckpt" in names
    weights, network = run(tmp_path / "killed", resume=True)
    assert network.calls == 5 - newest
    again = load_file(weights)
    assert set(again) == set(whole)
    for name, value in whole.items():
        assert torch.equal(value, again[name]), name


@pytest.mark.parametrize("parts", ["1", "2"])
def test_two_processes_with_half_the_batch_each_make_the_same_gradients_as_one(tmp_path, parts):
    one = load_file(run(tmp_path / "one", *ONE_STEP)[0])
    together = start(
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        SCRIPT,
        str(tmp_path / "two"),
        *ONE_STEP,
        "SOLVER.GRADIENT_ACCUMULATION",
        parts,
    )
    assert together.returncode == 0, together.stderr
    two = load_file(tmp_path / "two" / "model_final.safetensors")
    half = load_file(run(tmp_path / "half", *ONE_STEP, "SOLVER.IMS_PER_BATCH", "2")[0])
    for name, value in one.items():
        torch.testing.assert_close(two[name], value, rtol=1e-4, atol=1e-7)
        assert not torch.allclose(half[name], value, rtol=1e-4, atol=1e-7), name


def test_a_step_in_parts_makes_the_same_gradients(tmp_path):
    whole, network = run(tmp_path / "whole", *ONE_STEP)
    assert network.sizes == [4]
    for parts, sizes in ((2, [2, 2]), (3, [1, 1, 2]), (9, [1] * 4)):
        weights, network = run(tmp_path / str(parts), *ONE_STEP, "SOLVER.GRADIENT_ACCUMULATION", str(parts))
        assert network.sizes == sizes
        for name, value in load_file(whole).items():
            torch.testing.assert_close(load_file(weights)[name], value, rtol=1e-4, atol=1e-7)
    _, network = run(tmp_path / "more", "SOLVER.GRADIENT_ACCUMULATION", "2", "SOLVER.MAX_ITER", "2")
    assert network.sizes == [2] * 4
    with pytest.raises(ValueError, match="SOLVER.GRADIENT_ACCUMULATION is 0, expected 1 or more"):
        run(tmp_path / "none", "SOLVER.GRADIENT_ACCUMULATION", "0")


def test_a_checkpoint_of_lightnings_own_steps_goes_on(tmp_path):
    """Written after step 4 of a run whose steps Lightning made and counted itself."""
    shutil.copy(
        Path(__file__).with_name("checkpoint_of_automatic_optimization.ckpt"),
        tmp_path / "checkpoint_0000004.ckpt",
    )
    _, network = run(tmp_path, resume=True)
    assert network.calls == 1
    old, new = (torch.load(tmp_path / f"checkpoint_000000{n}.ckpt", weights_only=True) for n in (4, 5))
    assert new["global_step"] == new["average"]["steps"] == new["lr_schedulers"][0]["last_epoch"] == 5
    for name, value in old["state_dict"].items():
        assert not torch.equal(value, new["state_dict"][name]), name
        torch.testing.assert_close(value, new["state_dict"][name], rtol=0, atol=0.05)
    run(tmp_path, "SOLVER.MAX_ITER", "6", resume=True)
    assert (tmp_path / "checkpoint_0000006.ckpt").is_file()


def test_learned_loss_weights_train_are_saved_and_resumed(tmp_path):
    options = ["SOLVER.LOSS_WEIGHTS", "uncertainty"]
    whole = load_file(run(tmp_path / "whole", *options)[0])
    assert not any("log_variance" in name for name in whole)  # they belong to the run, not to the network
    run(tmp_path / "cut", *options)
    for path in (tmp_path / "cut").glob("*0000005*"):
        path.unlink()
    again = load_file(run(tmp_path / "cut", *options, resume=True)[0])
    assert all(torch.equal(value, again[name]) for name, value in whole.items())
    saved = torch.load(tmp_path / "cut" / "checkpoint_0000005.ckpt", weights_only=True)["state_dict"]
    boxes, _, identities = saved["weighting.log_variance"].tolist()
    assert boxes != 0
    assert identities != 0
    header = (tmp_path / "cut" / "logs" / "version_0" / "metrics.csv").read_text().splitlines()[0]
    assert "weight_boxes" in header
    with pytest.raises(ValueError, match="trained with SOLVER.LOSS_WEIGHTS uncertainty; resume with that"):
        run(tmp_path / "cut", resume=True)
    with pytest.raises(ValueError, match="SOLVER.LOSS_WEIGHTS: expected fixed or uncertainty, got 'jde'"):
        run(tmp_path / "other", "SOLVER.LOSS_WEIGHTS", "jde")
