"""``python -m fastpose_mtn.modeling.export IN OUT``: weights to hand out, with nothing of the run that made them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from fastpose_mtn.build import build_network
from fastpose_mtn.checkpoints.loading import inference_config, load_weights, portable_config, save_weights
from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.errors import InputError, exit_on_error


def export(source: str, target: str | Path, *, half: bool = False, config_file: str | None = None) -> Path:
    """Writes weights again as safetensors, without the identities' classifier.

    Args:
        source: see ``checkpoints.loading.load_weights``.
        target: a file whose name ends in .safetensors.
        half: float16, half the size.
        config_file: YAML; None: the configuration that the weights carry.

    Raises:
        ValueError: the weights cannot be read or do not fit their configuration, or the target is another kind.
    """
    target = Path(target)
    if target.suffix != ".safetensors":
        raise InputError(f"{target}: expected a name that ends in .safetensors")
    cfg = inference_config(source, config_file)
    portable = portable_config(cfg)
    model = build_network(portable)
    load_weights(model, source)
    save_weights(target, model, portable, half=half)
    return target


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = ArgumentParser(prog="python -m fastpose_mtn.modeling.export", description="Exports weights.")
    parser.add_argument("source", metavar="IN", help="weights to read: a file or torchvision://NAME")
    parser.add_argument("target", metavar="OUT", help="the .safetensors file to write")
    parser.add_argument("--config-file", metavar="YAML", help="default: the one that the weights carry")
    parser.add_argument("--half", action="store_true", help="store float16, half the size")
    with exit_on_error():
        options = parser.parse_args(arguments)
        target = export(options.source, options.target, half=options.half, config_file=options.config_file)
        print(f"{target}: {target.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
