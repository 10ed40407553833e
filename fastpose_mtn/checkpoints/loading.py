"""Weights into and out of a network, with an account of what fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from importlib import resources
from pathlib import Path
from typing import Protocol, TypeVar, cast, runtime_checkable

import torch
import yaml
from torch import Tensor, nn

from fastpose_mtn.checkpoints.alphapose import alphapose_options, is_alphapose
from fastpose_mtn.checkpoints.conversion import convert
from fastpose_mtn.checkpoints.load_report import LoadReport
from fastpose_mtn.checkpoints.weight_files import (
    WeightFile,
    read_metadata,
    read_weight_file,
    write_weight_file,
)
from fastpose_mtn.config import CfgNode, get_cfg
from fastpose_mtn.config.files import PACKAGED as PACKAGED_CONFIGS
from fastpose_mtn.errors import InputError, did_you_mean_file
from fastpose_mtn.skeletons import COCO17, SKELETONS, Skeleton

# The weights that come with the package, by their names; "demo" is what the drawn ones were called first.
PACKAGED = {
    "people": "people.safetensors",
    "alphapose-s": "alphapose-s.safetensors",
    "posedet-s": "posedet-s.safetensors",
    "drawn": "drawn.safetensors",
    "demo": "drawn.safetensors",
}
DEFAULT_WEIGHTS = "people"
_SUFFIXES = (".safetensors", ".pth", ".pt", ".pkl", ".ckpt")
_TORCHVISION = "torchvision://"
_TORCHVISION_CONFIG = str(PACKAGED_CONFIGS / "keypoint_rcnn_R50_FPN_torchvision.yaml")
_TORCHVISION_NAMES = {"keypointrcnn_resnet50_fpn": "KeypointRCNN_ResNet50_FPN_Weights"}
# Trained only: a network finds and describes people without it, and its size depends on the training data.
_TRAINING_ONLY = (
    "roi_heads.reid_head.classifier.",
    "head.identity.reid.classifier.",
    "reid.head.classifier.",
)
# Who people are: a network whose MODEL.REID_ON is False has no such part, and does without.
_IDENTITIES = ("roi_heads.reid_head.", "head.identity.", "reid.")


Network = TypeVar("Network", bound=nn.Module)


@runtime_checkable
class AdaptsWeights(Protocol):
    """A network that takes tensors of other networks' for its own, or knows why they do not fit."""

    def adapted(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Tensors, by our names, as the network's own, as far as they are of a kind that it knows."""
        ...

    def misfit(self, tensors: Mapping[str, Tensor]) -> str:
        """What to set for a file's tensors, by our names, to fit; "" where it has nothing to say."""
        ...


def save_weights(
    path: str | Path, model: nn.Module, cfg: CfgNode, *, half: bool = False, classifier: bool = False
) -> None:
    """Writes a network as safetensors that carry their configuration.

    Args:
        path: the file; complete under its name or not there.
        model: the network.
        cfg: its configuration, so that the file alone can be used.
        half: float16, half the size; a tensor with a number beyond its range stays as it is.
        classifier: keep the identities' classifier, which only training needs.
    """
    tensors = {
        name: _half(tensor) if half else tensor
        for name, tensor in model.state_dict().items()
        if (classifier or not name.startswith(_TRAINING_ONLY)) and not name.endswith(".num_batches_tracked")
    }
    write_weight_file(path, tensors, {"config": cfg.dump(), "skeleton": cfg.MODEL.SKELETON})


def _half(tensor: Tensor) -> Tensor:
    fits = tensor.is_floating_point() and bool(torch.isfinite(tensor.half()).all())
    return tensor.half() if fits else tensor


def portable_config(cfg: CfgNode) -> CfgNode:
    """The configuration without what belongs to one run: its folders, its starting weights, its identities.

    Datasets that are named by their folders are folders too; all datasets are left out then.
    """
    portable, default = cfg.clone(), get_cfg()
    portable.defrost()
    portable.OUTPUT_DIR = default.OUTPUT_DIR
    portable.MODEL.WEIGHTS = default.MODEL.WEIGHTS
    portable.INPUT.AUG.PASTE, portable.INPUT.AUG.PASTE_FOLDER = default.INPUT.AUG.PASTE, ""
    if cfg.INPUT.PGPG.TABLE:
        portable.INPUT.PGPG = default.INPUT.PGPG
    if any(name.startswith(("json://", "crops://")) for name in (*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST)):
        portable.DATASETS = default.DATASETS
    portable.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = 0
    portable.MODEL.TIMM.PRETRAINED = False
    return portable


def without_downloads(cfg: CfgNode) -> CfgNode:
    """The same network, which other weights than ImageNet's will fill; of the same class of configuration."""
    cfg = cfg.clone()
    cfg.defrost()
    cfg.MODEL.TIMM.PRETRAINED = False
    return cfg


def named_weights(cfg: CfgNode) -> str:
    """``MODEL.WEIGHTS``.

    Raises:
        InputError: it names none.
    """
    weights: str = cfg.MODEL.WEIGHTS
    if not weights:
        known = ", ".join(name for name in PACKAGED if name != "demo")
        raise InputError(f"no weights: set MODEL.WEIGHTS to a file, {known} or {_TORCHVISION}NAME")
    return weights


def load_network(
    cfg: CfgNode, build: Callable[[CfgNode], Network], source: str | Path | None = None
) -> Network:
    """A network to run, not to train: with all of its weights, and without what serves training only.

    Args:
        cfg: of the network.
        build: makes it.
        source: see ``load_weights``; None: ``MODEL.WEIGHTS``.

    Raises:
        ValueError: no weights are named, or as of ``load_weights``.
    """
    if source is None:
        source = named_weights(cfg)
    cfg = cfg.clone()
    cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = 0  # its classifier serves training only
    cfg.MODEL.TIMM.PRETRAINED = False
    network = build(cfg)
    load_weights(network, source)
    return network


def load_weights(model: nn.Module, source: str | Path, *, strict: bool = True) -> LoadReport:
    """Fills a network.

    Args:
        model: the network.
        source: a file (safetensors, PyTorch's, Detectron2's .pkl), a name in ``PACKAGED`` or ``torchvision://NAME``; of a
            detector, or of a classifier that becomes the backbone.
        strict: refuse weights of another architecture. Otherwise what fits is loaded, to fine-tune from.

    Raises:
        ValueError: the file cannot be read safely, it is of another architecture, or its numbers are none; the message
            names the first keys that differ.
    """
    file = read_source(source)
    tensors = convert(file.tensors)
    adapter = cast(AdaptsWeights, model) if isinstance(model, AdaptsWeights) else None
    report = fill_weights(model, tensors if adapter is None else adapter.adapted(tensors))
    if report.mismatched:
        report = replace(report, skeletons=_differing_skeletons(file, model))
    fits = not (report.missing or report.unexpected or report.mismatched)
    if adapter is not None and not fits and report.skeletons is None:
        report = replace(report, advice=adapter.misfit(tensors))
    report.check(source, strict=strict)
    _check_finite(model, report.loaded, source)
    return report


@torch.no_grad()
def _check_finite(model: nn.Module, loaded: Sequence[str], source: str | Path) -> None:
    """A network with NaN among its numbers finds nobody, or people who are nowhere."""
    own = model.state_dict()
    broken = [name for name in loaded if not torch.isfinite(own[name]).all()]
    if broken:
        raise InputError(
            f"{source}: {len(broken)} of its {len(loaded)} tensors hold NaN or infinity, the first is {broken[0]}; the "
            "training that wrote it diverged: take a file from before"
        )


def _differing_skeletons(file: WeightFile, model: nn.Module) -> tuple[str, str] | None:
    skeleton, own = SKELETONS.get(file.metadata.get("skeleton", "")), getattr(model, "skeleton", None)
    if skeleton is None or not isinstance(own, Skeleton) or len(skeleton) == len(own):
        return None
    return skeleton.name, own.name


def read_source(source: str | Path) -> WeightFile:
    """The tensors that a source names, under their own names.

    Raises:
        ValueError: there is no such source, or it cannot be read safely.
    """
    text = str(source)
    if text.startswith(_TORCHVISION):
        tensors = _torchvision_tensors(text.removeprefix(_TORCHVISION))
        return WeightFile(tensors, {"skeleton": COCO17.name})
    return read_weight_file(weights_file(text))


def inference_config(weights: str | None = None, config_file: str | None = None) -> CfgNode:
    """The configuration to run weights with; ``MODEL.WEIGHTS`` names them.

    Args:
        weights: a source; None: the configuration's ``MODEL.WEIGHTS``, and without a configuration
            ``DEFAULT_WEIGHTS``.
        config_file: YAML; None: the configuration that the weights carry.

    Raises:
        ValueError: neither says what the network is, or one cannot be read.
    """
    cfg = get_cfg()
    if config_file is not None:
        cfg.merge_from_file(config_file)
        cfg.MODEL.WEIGHTS = weights or cfg.MODEL.WEIGHTS or ""
        if not cfg.MODEL.WEIGHTS:
            raise ValueError(f"{config_file}: it names no MODEL.WEIGHTS; give --weights")
        return cfg
    source = weights or DEFAULT_WEIGHTS
    if source.startswith(_TORCHVISION):
        _check_torchvision_name(source.removeprefix(_TORCHVISION))
        cfg.merge_from_file(_TORCHVISION_CONFIG)
    else:
        text = read_metadata(weights_file(source)).get("config")
        if text is None:
            tensors = read_source(source).tensors
            if is_alphapose(tensors):
                cfg.merge_from_file(str(PACKAGED_CONFIGS / "Base-TopDown.yaml"))
                cfg.merge_from_list(alphapose_options(tensors, source))
                cfg.MODEL.WEIGHTS = source
                return cfg
            raise ValueError(f"{source}: these weights carry no configuration; give --config-file")
        cfg = config_from_text(text, source)
    cfg.MODEL.WEIGHTS = source
    return cfg


def config_from_text(text: str, source: str) -> CfgNode:
    """The configuration that a file of weights, ``source``, carries as YAML.

    Raises:
        ValueError: it is not one of this version's.
    """
    cfg = get_cfg()
    try:
        keys = yaml.safe_load(text)
        if not isinstance(keys, dict):
            raise TypeError(f"expected keys with their values, got {keys!r:.80}")
        cfg.merge_from_other_cfg(CfgNode(keys))
    except (yaml.YAMLError, AssertionError, KeyError, ValueError, TypeError) as error:
        raise ValueError(f"{source}: its configuration does not fit this version: {error}") from error
    return cfg


def weights_file(source: str) -> Path:
    """The file of weights that a name in ``PACKAGED`` or a path stands for.

    Raises:
        ValueError: there is none.
    """
    if source in PACKAGED:
        path = Path(str(resources.files("fastpose_mtn") / "weights" / PACKAGED[source]))
        if not path.is_file():
            raise ValueError(f"the weights {source!r} are not installed ({path}); give --weights")
        return path
    path = Path(source)
    if not path.is_file():
        raise ValueError(f"weights file not found: {source}{did_you_mean_file(path, _SUFFIXES, PACKAGED)}")
    return path


def _check_torchvision_name(name: str) -> str:
    if name not in _TORCHVISION_NAMES:
        raise ValueError(f"{_TORCHVISION}{name}: unknown; known: {', '.join(_TORCHVISION_NAMES)}")
    return _TORCHVISION_NAMES[name]


def _torchvision_tensors(name: str) -> dict[str, Tensor]:
    from torchvision.models import detection

    weights = getattr(detection, _check_torchvision_name(name)).DEFAULT
    try:
        return dict(weights.get_state_dict(progress=True, check_hash=True))
    except OSError as error:
        raise ValueError(
            f"{_TORCHVISION}{name}: cannot download {weights.url}: {error}; fetch it otherwise and give its path"
        ) from error


@torch.no_grad()
def fill_weights(model: nn.Module, tensors: dict[str, Tensor]) -> LoadReport:
    """Copies what fits by name and shape into the network, and says what did not."""
    own = model.state_dict()
    loaded, mismatched = [], []
    for name, tensor in tensors.items():
        if name not in own:
            continue
        if own[name].shape != tensor.shape:
            if not name.startswith(_TRAINING_ONLY):
                mismatched.append((name, tuple(tensor.shape), tuple(own[name].shape)))
            continue
        own[name].copy_(tensor)
        loaded.append(name)
    absent = [name for name in own if name not in tensors]
    spare = () if any(name.startswith(_IDENTITIES) for name in own) else _IDENTITIES
    return LoadReport(
        loaded=tuple(loaded),
        missing=tuple(n for n in absent if not _optional(n)),
        unexpected=tuple(n for n in tensors if n not in own and not _optional(n) and not n.startswith(spare)),
        mismatched=tuple(mismatched),
    )


def _optional(name: str) -> bool:
    return name.startswith(_TRAINING_ONLY) or name.endswith(".num_batches_tracked")
