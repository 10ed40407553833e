"""Puts estimator and tracker together from weights, configuration and command line: the one place that does."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fastpose_mtn.cli import InputError
from fastpose_mtn.config import CfgNode
from fastpose_mtn.engine.choice import choose_engine
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
        weights: a file, ``"demo"`` or ``"torchvision://NAME"``; None: the configuration's
            ``MODEL.WEIGHTS``, and without a configuration the demo's.
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

    from fastpose_mtn.modeling.checkpoint import inference_config  # torch: seconds, so only now
    from fastpose_mtn.modeling.estimator import MTNEstimator, resolve_device
    from fastpose_mtn.tracking.tracker import OcclusionAwareTracker

    there = resolve_device(device)
    if engine == "detectron2":
        choose_engine(engine)  # or says that it is missing
        from fastpose_mtn.detectron2.estimator import Detectron2Estimator, detectron2_inference_config

        cfg = detectron2_inference_config(weights, config_file)
    else:
        cfg = inference_config(weights, config_file)
    cfg.merge_from_list(list(options))
    if strategy is not None:
        cfg.merge_from_list(["TRACKER.STRATEGY", strategy])
    cfg.MODEL.DEVICE = str(there)
    new_tracker = functools.partial(OcclusionAwareTracker.from_config, cfg)
    new_tracker()  # a value out of range is told before the weights are read
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
