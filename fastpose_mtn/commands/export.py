"""``python -m fastpose_mtn.export --format onnx|openvino|torchscript``: the whole network as one file."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.config.overrides import asked_weights
from fastpose_mtn.deploy import ENDINGS
from fastpose_mtn.errors import InputError, exit_on_error


def parse(arguments: Sequence[str] | None) -> Namespace:
    """The command line."""
    parser = ArgumentParser(
        "fastpose export",
        "Writes the whole network as one file.",
        examples=(
            "fastpose export --format onnx --output people.onnx",
            "fastpose export --format openvino --int8 clip.mp4 --output people.xml",
            "fastpose track clip.mp4 --weights people.onnx",
        ),
    )
    add = parser.add_argument
    add("--format", required=True, choices=list(ENDINGS))
    add(
        "--weights",
        metavar="FILE",
        help="a file, people, alphapose-s, posedet-s, drawn or torchvision://NAME (default: people)",
    )
    add("--output", metavar="FILE", help=f"the file to write, {', '.join(ENDINGS.values())}")
    add("--config-file", metavar="YAML", help="configuration (default: the one that the weights carry)")
    add(
        "--int8",
        metavar="SOURCE",
        help="quantise to 8 bits, with frames of this video or folder of images to measure ranges on",
    )
    add(
        "--given-boxes",
        action="store_true",
        help="describe people of given boxes too: a second input, given (N, 4)",
    )
    add("--int8-frames", type=int, default=100, metavar="N", help="frames to measure on (default: 100)")
    add("options", nargs="*", metavar="KEY VALUE", help="override the configuration")
    args = parser.parse_args(arguments)
    if args.int8 and args.format == "torchscript":
        parser.error("--int8: quantisation is the runtimes' own; choose --format onnx or openvino")
    if args.int8_frames < 1:
        parser.error(f"--int8-frames {args.int8_frames}: expected at least 1")
    return args


def run(args: Namespace) -> list[Path]:
    """Exports what the command line asks for; returns the files written."""
    weights, options = asked_weights(args.weights, args.options)
    weights = weights or "people"
    target = Path(args.output or f"{Path(weights).stem}{ENDINGS[args.format]}")
    if target.suffix != ENDINGS[args.format]:
        raise InputError(f"--output {target}: expected a name that ends in {ENDINGS[args.format]}")

    from fastpose_mtn.build import build_network
    from fastpose_mtn.checkpoints.loading import inference_config, load_weights, portable_config
    from fastpose_mtn.deploy.formats import write

    cfg = inference_config(weights, args.config_file)
    cfg.merge_from_list(options)
    model = build_network(portable_config(cfg))
    load_weights(model, weights)
    files = write(args.format, target, model, cfg, given_boxes=args.given_boxes)
    if args.int8:
        from fastpose_mtn.deploy.quantize import quantize

        files = quantize(target, args.int8, frames=args.int8_frames)
    return files


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line's beginning and end."""
    with exit_on_error():
        for file in run(parse(arguments)):
            print(f"{file}: {file.stat().st_size / 2**20:.1f} MiB")


if __name__ == "__main__":
    main()
