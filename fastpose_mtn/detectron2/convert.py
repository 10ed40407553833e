"""``python -m fastpose_mtn.detectron2.convert IN OUT``: weights from one host to the other.

OUT ending in ``.pth`` is for Detectron2, with its configuration beside it as ``.yaml``; OUT ending in
``.safetensors`` is for the default host and carries its configuration.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from fastpose_mtn.checkpoints.loading import (
    PACKAGED,
    inference_config,
    load_weights,
    portable_config,
    save_weights,
)
from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.config import CfgNode
from fastpose_mtn.detectron2.config import from_default_host, get_cfg, to_default_host
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.files import whole_file, write_text
from fastpose_mtn.systems.mtn.network import MTN, build_model


def convert(source: str, target: str | Path, *, config_file: str | None = None) -> list[Path]:
    """Writes weights again for the other host; they must fit their configuration.

    Args:
        source: a file of either host's, of Detectron2's model zoo (.pkl), ``people``, ``drawn`` or ``torchvision://NAME``.
        target: a file whose name ends in .pth or .safetensors.
        config_file: YAML; None: what the weights carry, or for Detectron2's the ``.yaml`` beside them, or
            ``config.yaml`` in their folder.

    Returns:
        The files written.

    Raises:
        ValueError: the weights cannot be read, there is no configuration, or the two do not fit.
    """
    target = Path(target)
    if target.suffix not in (".pth", ".safetensors"):
        raise InputError(
            f"{target}: expected a name that ends in .pth (for Detectron2) or .safetensors (for the default host)"
        )
    cfg, model = _read(source, config_file)
    if target.suffix == ".safetensors":
        save_weights(target, model, cfg)
        return [target]
    theirs = from_default_host(cfg)
    theirs.MODEL.WEIGHTS = str(target)
    settings = target.with_suffix(".yaml")
    write_text(settings, theirs.dump())
    with whole_file(target) as partial:
        torch.save({"model": dict(model.state_dict()), "__author__": "FastPose MTN"}, partial)
    return [target, settings]


def _read(source: str, config_file: str | None) -> tuple[CfgNode, MTN]:
    """The default host's configuration and network."""
    if config_file is None and (source in PACKAGED or "://" in source or source.endswith(".safetensors")):
        cfg = inference_config(source)
    else:
        theirs = get_cfg()
        theirs.merge_from_file(config_file or _beside(Path(source)))
        cfg = to_default_host(theirs)
    cfg = portable_config(cfg)
    model = build_model(cfg)
    load_weights(model, source)
    return cfg, model


def _beside(weights: Path) -> str:
    for candidate in (weights.with_suffix(".yaml"), weights.parent / "config.yaml"):
        if candidate.is_file():
            return str(candidate)
    raise InputError(
        f"{weights}: these weights carry no configuration and none is beside them; give --config-file"
    )


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = ArgumentParser(
        prog="python -m fastpose_mtn.detectron2.convert",
        description="Writes weights for the other host: Detectron2 (.pth) or the default one (.safetensors).",
    )
    parser.add_argument(
        "source", metavar="IN", help="weights to read: a file, people, drawn or torchvision://NAME"
    )
    parser.add_argument("target", metavar="OUT", help="the .pth or .safetensors file to write")
    parser.add_argument(
        "--config-file", metavar="YAML", help="default: what the weights carry or lies beside them"
    )
    with exit_on_error():
        options = parser.parse_args(arguments)
        for path in convert(options.source, options.target, config_file=options.config_file):
            print(f"{path}: {path.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
