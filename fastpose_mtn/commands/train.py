"""Trains and evaluates a network: Detectron2's arguments, with Detectron2's meaning."""

from __future__ import annotations

import argparse
import logging
import sys
from typing import TYPE_CHECKING

from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.engine.launch import ENGINES, LaunchConfiguration, choose_engine, is_first_process
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.registry import SYSTEMS
from fastpose_mtn.system_protocols import engines_of

if TYPE_CHECKING:
    from fastpose_mtn.config import CfgNode


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    """Reads the command line; ``argv`` None: the process's own arguments.

    Raises:
        InputError: an argument is unknown or malformed.
    """
    parser = ArgumentParser(
        "fastpose train",
        __doc__,
        examples=(
            "fastpose train --config-file people OUTPUT_DIR runs/people",
            "fastpose train --config-file people --resume OUTPUT_DIR runs/people",
            "fastpose train --config-file FastPose-50-SIFP --num-gpus 8 OUTPUT_DIR runs/sifp SOLVER.BASE_LR 0.01",
            "fastpose train --eval-only MODEL.WEIGHTS runs/people/model_final.safetensors DATASETS.TEST "
            "\"['json://my.json?images=my']\"",
        ),
    )
    parser.add_argument("--config-file", metavar="YAML", default="", help="defaults: the paper's FastPose-50")
    parser.add_argument("--num-gpus", type=int, default=1, metavar="N", help="GPUs on each machine")
    parser.add_argument("--num-machines", type=int, default=1, metavar="N")
    parser.add_argument(
        "--machine-rank", type=int, default=0, metavar="R", help="this machine's number, from 0"
    )
    parser.add_argument("--dist-url", metavar="URL", default="auto", help="tcp://HOST:PORT of machine 0")
    parser.add_argument("--resume", action="store_true", help="go on from OUTPUT_DIR's newest checkpoint")
    parser.add_argument("--eval-only", action="store_true", help="evaluate MODEL.WEIGHTS on DATASETS.TEST")
    parser.add_argument("--engine", choices=ENGINES, default="auto", help="what trains")
    parser.add_argument("opts", nargs="*", metavar="KEY VALUE", help="configuration overrides")
    return parser.parse_args(argv)


def setup(args: argparse.Namespace) -> CfgNode:
    """The configuration; without a file, weights to evaluate bring their own."""
    from fastpose_mtn.config import get_cfg

    cfg = get_cfg()
    if args.config_file:
        cfg.merge_from_file(args.config_file)
    cfg.merge_from_list(args.opts)
    if args.eval_only and not args.config_file and cfg.MODEL.WEIGHTS:
        from fastpose_mtn.checkpoints.loading import inference_config

        cfg = inference_config(cfg.MODEL.WEIGHTS)
        cfg.merge_from_list(args.opts)
    return cfg


def engine_of(args: argparse.Namespace) -> tuple[str, str]:
    """The engine that trains what the command line asks for, and why; see ``engine.launch.choose_engine``.

    Raises:
        InputError: Detectron2 is asked for and is not there, or cannot train this network.
    """
    engine, why = choose_engine(args.engine)
    if engine != "detectron2":
        return engine, why
    try:
        name = setup(args).MODEL.META_ARCHITECTURE
    except ValueError:  # a file with keys of Detectron2's own
        return engine, why
    if name not in SYSTEMS or engine in engines_of(SYSTEMS.get(name)):
        return engine, why
    if args.engine == "detectron2":
        raise InputError(f"--engine detectron2: MODEL.META_ARCHITECTURE {name} trains under Lightning only")
    return "lightning", f"Detectron2 cannot train {name}"


def main(argv: list[str] | None = None) -> None:
    """Trains the configured network, or with ``--eval-only`` evaluates it, under the chosen engine."""
    logging.basicConfig(stream=sys.stdout, format="%(asctime)s %(message)s", datefmt="%H:%M:%S")
    log = logging.getLogger("fastpose_mtn")
    with exit_on_error():
        args = parse_args(argv)
        engine, why = engine_of(args)
        log.setLevel(logging.INFO if is_first_process() else logging.ERROR)
        log.info("engine: %s (%s)", engine, why)
        launch = LaunchConfiguration(args.num_gpus, args.num_machines, args.machine_rank, args.dist_url)
        if engine == "detectron2":
            from fastpose_mtn.detectron2.train import run

            run(
                config_file=args.config_file,
                opts=args.opts,
                eval_only=args.eval_only,
                resume=args.resume,
                launch=launch,
            )
            return
        cfg = setup(args)
        from fastpose_mtn.engine.train import (  # after --help and bad arguments: slow to import
            evaluate_only,
            train,
        )

        if args.eval_only:
            evaluate_only(cfg)
        else:
            log.info("weights: %s", train(cfg, resume=args.resume, launch=launch))


if __name__ == "__main__":
    main()
