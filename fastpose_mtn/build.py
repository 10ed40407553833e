"""The composition root: from a configuration to network, estimator and tracker. Nobody else puts them together."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict

from fastpose_mtn.config import CfgNode
from fastpose_mtn.config.overrides import asked, asked_weights, with_flag
from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators import RUNTIME_ENDINGS
from fastpose_mtn.hosts import import_detectron2_extension
from fastpose_mtn.protocols import PoseEstimator, Tracker, least_score
from fastpose_mtn.registry import SYSTEMS, TRACKERS
from fastpose_mtn.skeletons import Skeleton
from fastpose_mtn.system_protocols import DetectorSystem, ExportedSystem

if TYPE_CHECKING:
    from torch import nn

PRECISIONS = ("auto", "fp32", "bf16", "fp16")


@dataclass(frozen=True)
class PoseTracking:
    """A network and what makes its trackers: everything that tracks people, as ``build_pose_tracking`` built it.

    Attributes:
        cfg: the configuration in force.
        estimator: frames to people; holds the network.
        new_tracker: makes a tracker without tracks, one for each source.
        batch_size: frames that the network should see at once on its device.
        min_score: score below which its trackers look at nobody; 0: they may look at everyone.
    """

    cfg: CfgNode
    estimator: PoseEstimator
    new_tracker: Callable[[], Tracker]
    batch_size: int
    min_score: float = 0.0


class NetworkArguments(TypedDict):
    """The arguments of ``build_pose_tracking``, which says what they mean: plain values that other processes can be sent."""

    weights: str | None
    config_file: str | None
    device: str
    precision: str
    strategy: str | None
    options: Sequence[str]
    host: str
    image_size: int | None
    detector: str | None


def build_network(cfg: CfgNode) -> nn.Module:
    """The network of the system that ``MODEL.META_ARCHITECTURE`` names, with initial weights.

    Raises:
        ValueError: there is no such system, or the configuration contradicts itself.
    """
    return SYSTEMS.get(cfg.MODEL.META_ARCHITECTURE).build_network(cfg)


def build_estimator(
    cfg: CfgNode, network: nn.Module | None = None, *, device: str | None = None, precision: str = "auto"
) -> PoseEstimator:
    """The pose estimator of the system that ``MODEL.META_ARCHITECTURE`` names; see ``system_protocols.System``.

    Raises:
        ValueError: there is no such system, no weights are named, or they do not fit the configuration.
    """
    return SYSTEMS.get(cfg.MODEL.META_ARCHITECTURE).build_estimator(
        cfg, network, device=device, precision=precision
    )


def build_tracker(cfg: CfgNode, skeleton: Skeleton | None = None) -> Tracker:
    """A tracker without tracks: the one that ``TRACKER.NAME`` names, with the settings of ``TRACKER``.

    Args:
        cfg: the configuration.
        skeleton: of the people; None: ``MODEL.SKELETON``.

    Raises:
        ValueError: there is no such tracker, or a setting is out of range.
    """
    if skeleton is not None and skeleton.name != cfg.MODEL.SKELETON:
        cfg = _with_overrides(cfg, ["MODEL.SKELETON", skeleton.name])
    return TRACKERS.get(cfg.TRACKER.NAME)(cfg)


def build_pose_tracking(
    *,
    weights: str | None = None,
    config_file: str | None = None,
    device: str = "auto",
    precision: str = "auto",
    strategy: str | None = None,
    options: Sequence[str] = (),
    host: str = "default",
    image_size: int | None = None,
    detector: str | None = None,
) -> PoseTracking:
    """Reads configuration and weights and builds the network.

    Args:
        weights: a file, ``"people"``, ``"alphapose-s"``, ``"posedet-s"``, ``"drawn"`` or ``"torchvision://NAME"``; a
            network from ``fastpose_mtn.export`` (.onnx, .xml); None: ``MODEL.WEIGHTS`` of the options, else of
            ``config_file``, and without one ``people``.
        config_file: YAML; None: the configuration that the weights carry.
        device: auto, cpu, cuda or cuda:N.
        precision: one of ``PRECISIONS``.
        strategy: ``TRACKER.STRATEGY``; None: the configuration's.
        options: ``[KEY, VALUE, ...]``, which override the configuration.
        host: one of ``hosts.HOSTS``: whose detector runs.
        image_size: pixels of the shorter side that frames are resized to, as of a 360p or 720p video, the longer side
            at most twice as long; 0: frames as they are; None: the configuration's, what the weights were trained at.
        detector: whose boxes the network looks at, where its system is a ``DetectorSystem``, as
            ``MODEL.TOPDOWN.DETECTOR.WEIGHTS`` has it; None: the configuration's.

    Raises:
        InputError, ValueError: a key does not exist, a file cannot be read or used, weights do not fit
            the configuration, or there is no such device.
    """
    if precision not in PRECISIONS:
        raise InputError(f"--precision {precision}: choose from {', '.join(PRECISIONS)}")

    weights, options = asked_weights(weights, options)
    asked_device, options = asked(
        f"--device {device}", None if device == "auto" else device, options, "MODEL.DEVICE"
    )
    device = asked_device or "auto"
    options = _with_size(image_size, options)
    options = with_flag(f"--strategy {strategy}", strategy, options, "TRACKER.STRATEGY")
    exported = weights is not None and Path(weights).suffix.lower() in RUNTIME_ENDINGS
    if exported and host == "detectron2":
        raise InputError(f"--host detectron2: {weights} runs in a runtime of its own; leave --host out")
    if weights is not None and exported:
        return _track_exported(weights, config_file, device, precision, options, image_size, detector)

    from fastpose_mtn.checkpoints.loading import inference_config  # torch: seconds, so only now
    from fastpose_mtn.runtime.precision import resolve_device

    there = resolve_device(device)
    extension = import_detectron2_extension("estimator") if host == "detectron2" else None
    cfg = (extension.detectron2_inference_config if extension else inference_config)(weights, config_file)
    cfg = _with_detector(_with_overrides(cfg, options), detector, options)
    _check_size(cfg, image_size)
    cfg.MODEL.DEVICE = str(there)
    new_tracker = functools.partial(build_tracker, cfg)
    min_score = least_score(new_tracker())  # before weights are read: a setting out of range is told at once
    if extension:
        estimator: PoseEstimator = extension.Detectron2Estimator.from_config(cfg, precision=precision)
    else:
        estimator = build_estimator(cfg, device=str(there), precision=precision)
    batch_size = 4 if there.type == "cpu" else 8
    return PoseTracking(cfg, estimator, new_tracker, batch_size, min_score)


# keys that an exported network's file fixes, but for those that its frames and its people are treated by, and its
# system's ``free_keys``
_FIXED = ("MODEL.", "TEST.", "INPUT.FORMAT")
_FREE = ("TEST.AUG.", "TEST.POSE_NMS.")


def _track_exported(
    weights: str,
    config_file: str | None,
    device: str,
    precision: str,
    options: Sequence[str],
    image_size: int | None,
    detector: str | None,
) -> PoseTracking:
    """An exported network with its tracker; what the network computes is fixed in its file."""
    if config_file is not None:
        raise InputError(
            f"--config-file {config_file}: {weights} carries its own configuration; leave it out"
        )

    from fastpose_mtn.estimators.exported import open_exported

    network = open_exported(weights, device=device, precision=precision)
    architecture = network.cfg.MODEL.META_ARCHITECTURE
    system = SYSTEMS.get(architecture)
    if not isinstance(system, ExportedSystem):
        raise InputError(
            f"{weights}: MODEL.META_ARCHITECTURE {architecture} does not run from exported files; give the weights that it "
            "was exported from"
        )
    free = (*_FREE, *system.free_keys)
    fixed = [key for key in options[::2] if key.startswith(_FIXED) and not key.startswith(free)]
    if fixed:
        raise InputError(f"{fixed[0]}: it is fixed in {weights}; export the network again with it")
    cfg = _with_detector(_with_overrides(network.cfg, options), detector, options)
    network = network._replace(cfg=cfg)
    estimator = system.build_exported(network, device=device)
    _check_size(cfg, image_size)
    new_tracker = functools.partial(build_tracker, cfg)
    return PoseTracking(cfg, estimator, new_tracker, batch_size=4, min_score=least_score(new_tracker()))


_SMALLEST_SIZE = 32  # pixels, below which networks see nothing


def _with_size(image_size: int | None, options: Sequence[str]) -> list[str]:
    """The options with what ``image_size`` sets.

    Raises:
        InputError: it is out of range, or ``options`` set the size otherwise.
    """
    if image_size is None:
        return list(options)
    if isinstance(image_size, bool) or not isinstance(image_size, int):
        raise InputError(f"image_size: expected a whole number of pixels, got {image_size!r}")
    flag = f"--image-size {image_size}"
    if image_size != 0 and image_size < _SMALLEST_SIZE:
        raise InputError(f"{flag}: expected at least {_SMALLEST_SIZE} pixels, or 0 for frames as they are")
    options = with_flag(flag, str(image_size), options, "INPUT.MIN_SIZE_TEST")
    return with_flag(flag, str(2 * image_size), options, "INPUT.MAX_SIZE_TEST")


def _check_size(cfg: CfgNode, image_size: int | None) -> None:
    if image_size is not None and cfg.TEST.AUG.ENABLED:
        raise InputError(
            f"--image-size {image_size}: TEST.AUG looks at several sizes; set TEST.AUG.MIN_SIZES, or leave one out"
        )


def _with_detector(cfg: CfgNode, detector: str | None, options: Sequence[str]) -> CfgNode:
    """The configuration whose network looks at this detector's boxes.

    Raises:
        InputError: it finds people by itself, or ``options`` name another detector.
    """
    if detector is None:
        return cfg
    system = SYSTEMS.get(cfg.MODEL.META_ARCHITECTURE)
    if not isinstance(system, DetectorSystem):
        raise InputError(f"--detector {detector}: these weights find people by themselves; leave it out")
    return _with_overrides(cfg, with_flag(f"--detector {detector}", detector, options, system.detector_key))


def _with_overrides(cfg: CfgNode, options: Sequence[str]) -> CfgNode:
    """The configuration with what the command line changes of it."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.merge_from_list(list(options))
    return cfg
