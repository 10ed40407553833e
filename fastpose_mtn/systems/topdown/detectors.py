"""Whose boxes a top-down network looks at: any pose estimator's, or those in a file."""

from __future__ import annotations

from pathlib import Path

from fastpose_mtn.checkpoints.loading import inference_config, load_weights
from fastpose_mtn.config import CfgNode
from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators import RUNTIME_ENDINGS
from fastpose_mtn.estimators.exported import ExportedEstimator
from fastpose_mtn.protocols import PoseEstimator
from fastpose_mtn.registry import SYSTEMS
from fastpose_mtn.systems.topdown.box_files import SUFFIXES, BoxesFromFile


def build_detector(cfg: CfgNode, *, device: str, precision: str) -> PoseEstimator | BoxesFromFile | None:
    """The estimator that ``MODEL.TOPDOWN.DETECTOR`` names, whose joints nobody looks at; None: there is none.

    People found twice are left to the top-down network, which sees their joints better.

    Args:
        cfg: of the top-down network.
        device: auto, cpu, cuda or cuda:N.
        precision: auto, fp32, bf16 or fp16.

    Raises:
        ValueError: the weights cannot be read or used, or are a top-down network's.
    """
    source = cfg.MODEL.TOPDOWN.DETECTOR.WEIGHTS
    if not source:
        return None
    if Path(source).suffix in SUFFIXES:
        return BoxesFromFile(Path(source))
    options = ["TEST.POSE_NMS.ENABLED", "False"]
    if cfg.INPUT.MIN_SIZE_TEST:
        options += ["INPUT.MIN_SIZE_TEST", str(cfg.INPUT.MIN_SIZE_TEST)]
        options += ["INPUT.MAX_SIZE_TEST", str(cfg.INPUT.MAX_SIZE_TEST)]
    if Path(source).suffix.lower() in RUNTIME_ENDINGS:
        return ExportedEstimator(source, device=device, precision="auto", options=options)
    own = inference_config(source)
    own.merge_from_list(options)
    if own.MODEL.META_ARCHITECTURE == cfg.MODEL.META_ARCHITECTURE:
        raise InputError(
            f"MODEL.TOPDOWN.DETECTOR.WEIGHTS {source}: a top-down network finds nobody; name another system's weights, "
            f"such as people"
        )
    own.MODEL.DEVICE = device
    own.MODEL.KEYPOINT_ON = False  # boxes and their own scores are wanted
    own.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = 0
    own.MODEL.TIMM.PRETRAINED = False
    system = SYSTEMS.get(own.MODEL.META_ARCHITECTURE)
    network = system.build_network(own)
    report = load_weights(network, source, strict=False)
    if report.missing or report.mismatched:
        raise InputError(
            f"MODEL.TOPDOWN.DETECTOR.WEIGHTS {source}: weights of another architecture; {report}"
        )
    return system.build_estimator(own, network, device=device, precision=precision)
