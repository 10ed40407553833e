"""What a video's results depend on, as names and texts that two runs can compare."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from fastpose_mtn.checkpoints.loading import weights_file

if TYPE_CHECKING:
    from fastpose_mtn.build import NetworkArguments, PoseTracking
    from fastpose_mtn.video.job import Request

_OF_TRAINING = ("SOLVER.", "DATASETS.", "DATALOADER.", "SEED", "OUTPUT_DIR")
_OF_A_MACHINE = ("MODEL.DEVICE", "MODEL.WEIGHTS")  # weights are compared by their content
_NOT_OF_RESULTS = ("folder", "batch_size", "quiet", "live", "images", "threads")  # fields of a request


def result_settings(tracking: PoseTracking, arguments: NetworkArguments, request: Request) -> dict[str, str]:
    """The configuration, the weights' content and what is written, but not where and how fast.

    Args:
        tracking: the network that was built.
        arguments: what it was built with.
        request: what is made of each video.
    """
    files = dataclasses.asdict(request)
    return {
        "weights": weights_digest(arguments["weights"] or str(tracking.cfg.MODEL.WEIGHTS)),
        "precision": arguments["precision"],
        "engine": arguments["host"],
        **{name: str(value) for name, value in files.items() if name not in _NOT_OF_RESULTS},
        **{
            key: value
            for key, value in _leaves(tracking.cfg)
            if not key.startswith(_OF_TRAINING) and key not in _OF_A_MACHINE
        },
    }


def weights_digest(source: str) -> str:
    """``sha256:...`` of a weights file's content, or the source's name where it is no file, as of torchvision's."""
    if "://" in source:
        return source
    path = weights_file(source)
    digest = hashlib.sha256()
    for file in (path, path.with_suffix(".bin")):  # OpenVINO's weights lie beside its .xml
        if file.is_file():
            with file.open("rb") as content:
                while block := content.read(2**20):
                    digest.update(block)
    return f"sha256:{digest.hexdigest()[:16]}"


def _leaves(node: Mapping[str, object], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in node.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", str(value)
