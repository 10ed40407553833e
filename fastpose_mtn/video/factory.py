"""Puts estimator and tracker together from weights, configuration and command line: the one place that does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from fastpose_mtn.cli import InputError
from fastpose_mtn.config import CfgNode
from fastpose_mtn.engine.choice import choose_engine
from fastpose_mtn.export import RUNTIME_ENDINGS
from fastpose_mtn.protocols import PoseEstimator, Tracker

PRECISIONS = ("auto", "fp32", "bf16", "fp16")
ENGINES = ("default", "detectron2")


@dataclass(frozen=True)
class PoseTracking:
    """What tracks people.

    Attributes:
        cfg: the configuration in force.
        estimator: frames to people; holds the network.
        new_tracker: makes a tracker without tracks, one for each source.
        batch_size: frames that the network should see at once on its device.
    """

    cfg: CfgNode
    estimator: PoseEstimator
    new_tracker: Callable[[], Tracker]
    batch_size: int


def build(
    *,
    weights: str | None = None,
    config_file: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    strategy: str | None = None,
    options: Sequence[str] = (),
    engine: str = "default",
) -> PoseTracking:
    """Reads configuration and weights and builds the network.

    Args:
        weights: a file, ``"demo"`` or ``"torchvision://NAME"``; a network from ``fastpose_mtn.export``
            (.onnx, .xml); None: the configuration's ``MODEL.WEIGHTS``, and without a configuration the demo's.
        config_file: YAML; None: the configuration that the weights carry.
        device: auto, cpu, cuda or cuda:N.
        precision: one of ``PRECISIONS``.
        strategy: ``TRACKER.STRATEGY``; None: the configuration's.
        options: ``[KEY, VALUE, ...]``, which override the configuration.
        engine: one of ``ENGINES``: whose model runs, the default host's or Detectron2's.

    Raises:
        InputError, ValueError: a key does not exist, a file cannot be read or used, weights do not fit
            the configuration, or there is no such device.
    """
    if precision not in PRECISIONS:
        raise InputError(f"--precision {precision}: choose from {', '.join(PRECISIONS)}")

    if weights is not None and Path(weights).suffix.lower() in RUNTIME_ENDINGS:
        if engine == "detectron2":
            raise InputError(
                f"--engine detectron2: {weights} runs in a runtime of its own; leave --engine out"
            )
        return _build_exported(weights, config_file, device, precision, strategy, options)

    from fastpose_mtn.modeling.checkpoint import inference_config  # torch: seconds, so only now
    from fastpose_mtn.modeling.estimator import MTNEstimator, resolve_device

    there = resolve_device(device)
    if engine == "detectron2":
        choose_engine(engine)  # or says that it is missing
        from fastpose_mtn.detectron2.estimator import Detectron2Estimator, detectron2_inference_config

        cfg = detectron2_inference_config(weights, config_file)
    else:
        cfg = inference_config(weights, config_file)
    new_tracker = _new_tracker(cfg, strategy, options)
    cfg.MODEL.DEVICE = str(there)
    estimator: PoseEstimator
    if engine == "detectron2":
        estimator = Detectron2Estimator.from_config(cfg, precision=precision)
    else:
        estimator = MTNEstimator.from_config(cfg, device=str(there), precision=precision)
    return PoseTracking(
        cfg=cfg,
        estimator=estimator,
        new_tracker=new_tracker,
        batch_size=4 if there.type == "cpu" else 8,
    )


def _build_exported(
    weights: str,
    config_file: str | None,
    device: str,
    precision: str,
    strategy: str | None,
    options: Sequence[str],
) -> PoseTracking:
    """See ``build``; what the network computes is fixed in its file."""
    if config_file is not None:
        raise InputError(
            f"--config-file {config_file}: {weights} carries its own configuration; leave it out"
        )
    fixed = [key for key in options[::2] if key.startswith(("MODEL.", "TEST.")) or key == "INPUT.FORMAT"]
    if fixed:
        raise InputError(f"{fixed[0]}: it is fixed in {weights}; export the network again with it")

    from fastpose_mtn.export.estimator import ExportedEstimator

    estimator = ExportedEstimator(weights, device=device, precision=precision)
    new_tracker = _new_tracker(estimator.cfg, strategy, options)
    return PoseTracking(cfg=estimator.cfg, estimator=estimator, new_tracker=new_tracker, batch_size=4)


def _new_tracker(cfg: CfgNode, strategy: str | None, options: Sequence[str]) -> Callable[[], Tracker]:
    """Applies the command line to the configuration; a value out of range is told before weights are read."""
    from fastpose_mtn.tracking.tracker import OcclusionAwareTracker

    cfg.merge_from_list(list(options))
    if strategy is not None:
        cfg.merge_from_list(["TRACKER.STRATEGY", strategy])
    new_tracker = functools.partial(OcclusionAwareTracker.from_config, cfg)
    new_tracker()
    return new_tracker
