"""The files of a training run: checkpoints to go on from, and weights to use."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import lightning
import torch
from torch import nn

from fastpose_mtn.checkpoints.loading import portable_config, save_weights
from fastpose_mtn.config import CfgNode
from fastpose_mtn.engine.module import TrainingModule
from fastpose_mtn.errors import InputError
from fastpose_mtn.files import finish, partial_path

_CHECKPOINT = re.compile(r"checkpoint_(\d{7})\.ckpt")


class TrainingFolder:
    """``OUTPUT_DIR``: ``checkpoint_STEP.ckpt``, ``model_STEP.safetensors`` and ``model_final.safetensors``.

    A file is complete under its name or not there: each is written beside it and then moved.

    Lightning's ``ModelCheckpoint`` does not serve: its files come by way of the system's temporary folder, and from another
    file system a move is a copy, which a kill cuts short under the checkpoint's name; it saves every so many steps, but
    not after the last one; it is always called last, so an evaluation that fails takes the step with it; it writes no
    weights to use beside a checkpoint; and of ``kept`` it counts its own only, not those of a run from before it.

    Args:
        kept: how many checkpoints stay; 0: all.
    """

    def __init__(self, path: str | Path, cfg: CfgNode, *, kept: int) -> None:
        self.path, self._cfg, self._kept = Path(path), cfg, kept

    @staticmethod
    def checkpoints_in(folder: Path) -> list[Path]:
        """From the oldest to the newest."""
        found = [p for p in folder.glob("checkpoint_*.ckpt") if _CHECKPOINT.fullmatch(p.name)]
        return sorted(found, key=lambda p: p.name)

    def save(self, trainer: lightning.Trainer, module: TrainingModule, step: int) -> None:
        """The run's state and the (averaged) weights after ``step``; the oldest beyond ``kept`` go."""
        target = self.path / f"checkpoint_{step:07d}.ckpt"
        trainer.save_checkpoint(partial_path(target))
        if not trainer.is_global_zero:
            return
        finish(target)
        self.export(module, f"model_{step:07d}.safetensors")
        if self._kept:
            for old in self.checkpoints_in(self.path)[: -self._kept]:
                old.unlink()
                (self.path / old.name.replace("checkpoint_", "model_")).with_suffix(".safetensors").unlink(
                    missing_ok=True
                )

    def export(self, module: TrainingModule, name: str) -> Path:
        """Writes the weights to use: the average where there is one.

        The identities' classifier is among them, for another training on the same people; nothing else reads it, and
        ``modeling.export`` leaves it out.
        """
        target = self.path / name
        with module.averaged_weights() as model:
            save_weights(target, model, portable_config(self._cfg), classifier=True)
        return target


def check_checkpoint(path: Path, model: nn.Module) -> None:
    """Refuses a checkpoint that training cannot go on from, before Lightning loads it.

    Args:
        path: the checkpoint.
        model: the network that will go on.

    Raises:
        InputError: the checkpoint is damaged or of another network; the message says how to go on.
    """
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True, mmap=True)["state_dict"]
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        raise InputError(
            f"{path}: not a whole checkpoint ({str(error).splitlines()[0]}); delete it, and --resume goes on "
            f"from the one before"
        ) from error
    own = {f"model.{name}": tuple(value.shape) for name, value in model.state_dict().items()}
    shapes = {name: tuple(value.shape) for name, value in saved.items() if name.startswith("model.")}
    differing = [name for name in {**own, **shapes} if own.get(name) != shapes.get(name)]
    if differing:
        name = differing[0]
        raise InputError(
            f"{path}: of another network or other data: {name.removeprefix('model.')} is "
            f"{shapes.get(name, 'absent')} there and {own.get(name, 'absent')} in this configuration; resume "
            f"with OUTPUT_DIR's config.yaml, or train into another OUTPUT_DIR"
        )
