"""Who finds people, by a name or a file: any system's weights, an exported network, or a file of boxes."""

from __future__ import annotations

from pathlib import Path

from fastpose_mtn.checkpoints.loading import inference_config, load_weights
from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators import RUNTIME_ENDINGS
from fastpose_mtn.estimators.box_files import SUFFIXES, BoxesFromFile
from fastpose_mtn.estimators.exported import ExportedEstimator
from fastpose_mtn.protocols import PoseEstimator
from fastpose_mtn.registry import SYSTEMS
from fastpose_mtn.system_protocols import DetectorSystem


def open_detector(
    source: str,
    *,
    key: str,
    size: tuple[int, int] | None,
    device: str,
    precision: str = "auto",
    describes: bool = False,
) -> PoseEstimator | BoxesFromFile:
    """A detector whose joints are not looked at; people found twice are left in.

    Args:
        source: weights, a network from ``fastpose_mtn.export``, or a file of boxes.
        key: that names it, for messages.
        size: pixels of the shorter side that frames are resized to, and of the longer at most; None: the weights' own.
        device: auto, cpu, cuda or cuda:N.
        precision: auto, fp32, bf16 or fp16; of an exported network the file's.
        describes: its identity vectors are wanted, where it has any.

    Raises:
        ValueError: the weights cannot be read or used, or are of a network that needs a detector itself.
    """
    if Path(source).suffix.lower() in SUFFIXES:
        return BoxesFromFile(Path(source))
    options = ["TEST.POSE_NMS.ENABLED", "False"]
    if size is not None:
        options += ["INPUT.MIN_SIZE_TEST", str(size[0]), "INPUT.MAX_SIZE_TEST", str(size[1])]
    if Path(source).suffix.lower() in RUNTIME_ENDINGS:
        return ExportedEstimator(source, device=device, precision="auto", options=options)
    try:
        own = inference_config(source)
    except ValueError as error:
        raise InputError(f"{key}: {error}; files of boxes are called {', '.join(SUFFIXES)}") from error
    own.merge_from_list(options)
    system = SYSTEMS.get(own.MODEL.META_ARCHITECTURE)
    if isinstance(system, DetectorSystem):
        raise InputError(
            f"{key} {source}: a top-down network finds nobody; name another system's weights, such as people"
        )
    own.MODEL.DEVICE = device
    own.MODEL.KEYPOINT_ON = False  # boxes and their own scores are wanted
    own.MODEL.REID_ON = own.MODEL.REID_ON and describes
    own.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = 0
    own.MODEL.TIMM.PRETRAINED = False
    network = system.build_network(own)
    report = load_weights(network, source, strict=False)
    if report.missing or report.mismatched:
        raise InputError(f"{key} {source}: weights of another architecture; {report}")
    return system.build_estimator(own, network, device=device, precision=precision)
