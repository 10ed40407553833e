import io
import logging
import sys
from types import SimpleNamespace

import pytest
import torch

from fastpose_mtn.engine import callbacks
from fastpose_mtn.engine.callbacks import PeriodicEvaluation, ProgressLog


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Logger:
    def __init__(self):
        self.rows = []

    def log_metrics(self, metrics, step):
        self.rows.append({"step": step, **metrics})


def run(log, losses, max_steps):
    """Drives the callback as a training of ``len(losses)`` steps would; gives what went to the logger."""
    logger = Logger()
    trainer = SimpleNamespace(
        is_global_zero=True, max_steps=max_steps, global_step=0, loggers=[logger],
        optimizers=[torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.25)],
        strategy=SimpleNamespace(reduce=lambda value, reduce_op: value),
    )  # fmt: skip
    module = SimpleNamespace(losses={}, weighting=None)
    log.on_train_start(trainer, module)
    for loss in losses:
        log.on_train_batch_start(trainer, module, None, 0)
        trainer.global_step += 1
        module.losses = {"loss_a": torch.tensor(loss), "loss_b": torch.tensor(1.0)}
        log.on_train_batch_end(trainer, module, None, None, 0)
    log.teardown(trainer, module, stage="fit")
    return logger.rows


def test_means_since_the_last_report(monkeypatch, caplog):
    monkeypatch.setattr("sys.stderr", io.StringIO())
    with caplog.at_level(logging.INFO, "fastpose_mtn"):
        rows = run(ProgressLog(period=2, images_a_step=4), [1.0, 3.0, 5.0], max_steps=3)
    assert [(row["step"], row["loss_a"], row["total_loss"], row["lr"]) for row in rows] == [
        (2, 2.0, 3.0, 0.25),
        (3, 5.0, 6.0, 0.25),  # the last step is reported whatever the period
    ]
    assert caplog.messages[0].startswith("step 2/3 loss 3.000 (a 2.000 b 1.000) lr 0.25 ")
    assert 0 <= rows[0]["data_wait"] <= 1
    assert rows[0]["images_per_second"] > 0


def test_memory_that_the_system_does_not_tell_is_left_out(monkeypatch, caplog):
    """As on Windows, which has no module ``resource``."""
    monkeypatch.setattr("sys.stderr", io.StringIO())
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setitem(sys.modules, "resource", None)
    with caplog.at_level(logging.INFO, "fastpose_mtn"):
        (row,) = run(ProgressLog(period=1, images_a_step=4), [1.0], max_steps=1)
    assert "memory_gb" not in row
    assert "GB" not in caplog.text
    monkeypatch.undo()
    (row,) = run(ProgressLog(period=1, images_a_step=4), [1.0], max_steps=1)
    assert ("memory_gb" in row) == (sys.platform != "win32" or torch.cuda.is_available())


def test_a_terminal_gets_a_bar(monkeypatch, caplog):
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setattr(callbacks, "tqdm", lambda **options: tqdm_on(terminal, **options))
    with caplog.at_level(logging.INFO, "fastpose_mtn"):
        run(ProgressLog(period=1, images_a_step=4), [1.0, 3.0], max_steps=2)
    assert "2/2" in terminal.getvalue()
    assert "loss 4.000 (a 3.000 b 1.000)" in terminal.getvalue()
    assert not caplog.messages


def tqdm_on(terminal, **options):
    from tqdm import tqdm

    return tqdm(file=terminal, ncols=200, mininterval=0, **options)


@pytest.mark.parametrize(("step", "evaluated"), [(3, False), (4, True), (8, False)])
def test_evaluation_every_so_often_but_not_at_the_end(step, evaluated):
    steps = []

    def evaluate(module, step):
        steps.append(step)
        return {"box/AP": 0.5}

    logger = Logger()
    trainer = SimpleNamespace(global_step=step, max_steps=8, is_global_zero=True, loggers=[logger])
    PeriodicEvaluation(4, evaluate).on_train_batch_end(trainer, None, None, None, 0)
    assert (steps, logger.rows) == (([step], [{"step": step, "box/AP": 0.5}]) if evaluated else ([], []))
