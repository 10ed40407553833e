"""Command lines: bad arguments are one line that names the right ones; ``--version``; examples under ``--help``."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from fastpose_mtn.errors import InputError, nearest
from fastpose_mtn.files import at_home
from fastpose_mtn.version import __version__

_OVERRIDES = "KEY VALUE"
_LIST = "LIST"  # what a flag takes that may be of nothing, as --formats
# What other programs call it (AlphaPose, OpenPose, mmpose, Detectron2's demo, ultralytics): our flags and configuration
# keys for it; the first that a command has is named.
ELSEWHERE: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(
        ("-i", "--video", "--video-input", "--video-path", "--source", "--src", "--indir", "--image", "--image-dir",
         "--img", "--img-path", "--webcam", "--camera", "--stream"),
        ("--input", "--detections"),
    ),
    **dict.fromkeys(
        ("-o", "--output", "--outdir", "--out-dir", "--output-dir", "--output-root", "--out-file", "--save-dir", "--project",
         "--work-dir", "--write-json", "--write-video"),
        ("--output", "OUTPUT_DIR"),
    ),
    **dict.fromkeys(
        ("-w", "--weights", "--checkpoint", "--ckpt", "--model", "--model-path", "--load-from", "--pose-model"),
        ("--weights", "MODEL.WEIGHTS"),
    ),
    **dict.fromkeys(("--detfile", "--det-results", "--bbox-file"), ("--detector",)),
    **dict.fromkeys(("--pose-track", "--tracking"), ("--tracker",)),
    **dict.fromkeys(("--flip", "--flip-test"), ("MODEL.TOPDOWN.FLIP_TEST",)),
    **dict.fromkeys(("-c", "--cfg", "--cfg-file", "--yaml"), ("--config-file",)),
    **dict.fromkeys(("--gpu", "--gpus", "--gpu-id", "--n-gpus", "--ngpus"), ("--num-gpus", "--device")),
    **dict.fromkeys(("-b", "--batch-size", "--batch", "--detbatch"), ("--batch-size", "SOLVER.IMS_PER_BATCH")),
    **dict.fromkeys(("--posebatch",), ("MODEL.TOPDOWN.POSE_BATCH",)),
    **dict.fromkeys(("--imgsz", "--img-size", "--net-resolution", "--min-size"), ("--image-size", "INPUT.MIN_SIZE_TEST")),
    **dict.fromkeys(
        ("--conf", "--conf-thres", "--confidence-threshold", "--score-thr", "--bbox-thr", "--threshold"),
        ("TRACKER.MIN_SCORE",),
    ),
    **dict.fromkeys(("--kpt-thr", "--keypoint-thr"), ("TRACKER.JOINT_THRESH",)),
    **dict.fromkeys(("--iou", "--iou-thres", "--nms"), ("MODEL.ROI_HEADS.NMS_THRESH_TEST",)),
    **dict.fromkeys(("--vis", "--vis-fast", "--view-img", "--display", "--render"), ("--show",)),
    **dict.fromkeys(("--save-img", "--write-images", "--save-frames"), ("--save-images",)),
    **dict.fromkeys(("--nosave", "--no-save", "--no-save-video", "--no-overlay"), ("--no-video",)),
    **dict.fromkeys(("--half", "--fp16", "--amp"), ("--precision", "SOLVER.AMP.ENABLED")),
    **dict.fromkeys(("--epochs", "--max-iter", "--iterations"), ("SOLVER.MAX_ITER",)),
    **dict.fromkeys(("--lr", "--learning-rate"), ("SOLVER.BASE_LR",)),
    **dict.fromkeys(("--data", "--dataset", "--train-data"), ("DATASETS.TRAIN",)),
    **dict.fromkeys(("--eval", "--test-only", "--validate"), ("--eval-only",)),
    **dict.fromkeys(("--ground-truth", "--annotations", "--gt-dir"), ("--gt",)),
    **dict.fromkeys(("--predictions", "--results", "--pred-dir"), ("--pred",)),
    **dict.fromkeys(("--opts", "--options", "--cfg-options"), (_OVERRIDES,)),
}  # fmt: skip


class ArgumentParser(argparse.ArgumentParser):
    """Reports a bad argument as ``InputError``; use it within ``exit_on_error``.

    Flags and other words may stand in any order.

    Args:
        prog: what the command is called, such as ``fastpose track``; None: the script's name.
        description: what it does, in a sentence.
        examples: command lines, shown at the end of the help page.
    """

    def __init__(
        self, prog: str | None = None, description: str | None = None, *, examples: Sequence[str] = ()
    ) -> None:
        super().__init__(
            prog,
            description=description,
            epilog="\n  ".join(["examples:", *examples]) if examples else None,
            formatter_class=_Formatter,
        )
        self.add_argument("--version", action="version", version=f"fastpose {__version__}")

    def parse_args(  # type: ignore[override]  # without a namespace to fill, which nobody here has
        self, args: Sequence[str] | None = None
    ) -> argparse.Namespace:
        """Reads the command line; ``args`` None: the process's own arguments.

        Raises:
            InputError: an argument is unknown, missing or malformed.
        """
        words = [_at_home(word) for word in (sys.argv[1:] if args is None else args)]
        self._refuse_empty(words)
        namespace, unknown = self.parse_known_intermixed_args(words)
        if unknown:
            hints = (self._hint(word) for word in unknown if word.startswith("-"))
            self.error(f"unrecognized arguments: {' '.join(unknown)}{next(filter(None, hints), '')}")
        return namespace

    def _refuse_empty(self, words: Sequence[str]) -> None:
        """Refuses ``--weights ""``, of a variable that is not set: it would be as no flag, or as the working directory."""
        given = [*itertools.pairwise(words)]
        given += [(flag, value) for flag, equals, value in (word.partition("=") for word in words) if equals]
        for flag, value in given:
            action = self._option_string_actions.get(flag)
            if value == "" and action is not None and action.nargs is None and action.metavar != _LIST:
                self.error(f"{flag}: expected a value, got an empty one, as of a variable that is not set")

    def error(self, message: str) -> NoReturn:
        """Raises ``InputError`` with argparse's message, where argparse itself would end the process."""
        raise InputError(
            f"{message}{'' if message.endswith('?') else ';'} {self.prog} --help lists the arguments"
        )

    def _hint(self, word: str) -> str:
        """What an unknown flag is called here, or the nearest flag there is."""
        flag = word.partition("=")[0].replace("_", "-")
        meant = {own: own for own in self._option_string_actions}
        takes_overrides = any(action.metavar == _OVERRIDES for action in self._get_positional_actions())
        for theirs, ours in ELSEWHERE.items():
            there = [name for name in ours if name in meant or (takes_overrides and not name.startswith("-"))]
            if there:
                meant.setdefault(theirs, there[0])
        if flag in meant and meant[flag] != flag:
            return f"; here that is {_written(meant[flag])}"
        near = nearest(flag, meant)
        return "" if near is None else f"; did you mean {_written(meant[near])}?"


def _at_home(word: str) -> str:
    """A word, or a flag's value, with the user's folder for a leading ``~``: shells leave ``--output=~/results`` as it is."""
    flag, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    return f"{flag}{equals}{at_home(Path(value))}" if value.startswith("~") else word


def _written(name: str) -> str:
    """How a flag, or a configuration key at the end, is written on a command line."""
    if name.startswith("-"):
        return name
    return f"{name if name == _OVERRIDES else f'{name} VALUE'}, at the end"


class _Formatter(argparse.HelpFormatter):
    """Wraps a text of one line and leaves the lines of others as they are: examples, module docstrings."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return text if "\n" in text.strip() else super()._fill_text(text, width, indent)
