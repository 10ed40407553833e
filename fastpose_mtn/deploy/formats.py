"""Writes a network as TorchScript, ONNX or OpenVINO's format, with its configuration inside."""

from __future__ import annotations

import json
import os
import re
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

import numpy as np
import torch
import yaml
from torch import nn

from fastpose_mtn.checkpoints.loading import portable_config
from fastpose_mtn.config import CfgNode
from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators.portable import PortableNetwork
from fastpose_mtn.estimators.runtimes import CROPS, GIVEN, INPUT, MIN_SCORE, PEOPLE, import_or_explain
from fastpose_mtn.registry import SYSTEMS
from fastpose_mtn.system_protocols import ExportedSystem

if TYPE_CHECKING:
    import openvino

_OPSET = 18


def metadata_of(cfg: CfgNode) -> dict[str, str]:
    """What a file says about itself: ``config``, in one line, and ``skeleton``."""
    config = json.dumps(yaml.safe_load(portable_config(cfg).dump()))
    return {"config": config, "skeleton": cfg.MODEL.SKELETON}


def write(
    form: str, target: Path, model: nn.Module, cfg: CfgNode, *, given_boxes: bool = False
) -> list[Path]:
    """Writes a network.

    Args:
        form: a key of ``deploy.ENDINGS``.
        target: the file, whose name ends as ``deploy.ENDINGS`` says; complete under its name or not there.
        model: with its weights.
        cfg: its configuration, which travels in the file; ``ExportedEstimator`` looks at frames as it says.
        given_boxes: the network has an input for boxes of people too, see ``systems.mtn.portable``; of a network that
            looks at one person at a time they are given in any case.

    Returns:
        The files: OpenVINO keeps the weights in one of its own, ``.bin``.

    Raises:
        InputError: a library is not installed, or the network cannot be expressed.
    """
    system = _system_of(cfg)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=f".{target.stem}-") as folder:
        draft = Path(folder) / target.name
        # a traced network has no input with a default, and none of our estimators runs it
        min_score = form != "torchscript"
        network = system.build_portable(model, cfg, given_boxes=given_boxes, min_score=min_score)
        _WRITERS[form](draft, network, metadata_of(cfg))
        return replace_all(draft, target)


def _system_of(cfg: CfgNode) -> ExportedSystem:
    system = SYSTEMS.get(cfg.MODEL.META_ARCHITECTURE)
    if not isinstance(system, ExportedSystem):
        raise InputError(f"MODEL.META_ARCHITECTURE {cfg.MODEL.META_ARCHITECTURE}: it cannot be exported")
    return system


def replace_all(draft: Path, target: Path) -> list[Path]:
    """Moves a finished file to its place, and before it those that lie beside it."""
    others = sorted(set(draft.parent.iterdir()) - {draft})
    moved = [(file, target.with_suffix(file.suffix)) for file in (*others, draft)]
    for file, place in moved:
        os.replace(file, place)
    return [place for _, place in reversed(moved)]


def _traced(network: PortableNetwork) -> torch.jit.ScriptModule:
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tracing warns of each Python number, such as the count of levels
        return torch.jit.trace(network, network.example(), check_trace=False)


def _write_torchscript(path: Path, network: PortableNetwork, metadata: dict[str, str]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # torch.export holds no network of open sizes yet
        torch.jit.save(_traced(network), str(path), _extra_files=metadata)


def _write_onnx(path: Path, network: PortableNetwork, metadata: dict[str, str]) -> None:
    _trace_onnx(path, network)
    finish_onnx(path, metadata)


def finish_onnx(path: Path, metadata: dict[str, str]) -> None:
    """Writes what a file says about itself into it, and the default of ``min_score``, where it has that input: 0."""
    onnx = import_or_explain("onnx", "--format onnx")
    model = onnx.load(str(path))
    graph = model.graph
    if MIN_SCORE in {port.name for port in graph.input}:
        graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((), np.float32), MIN_SCORE))
    onnx.helper.set_model_props(model, metadata)
    onnx.save(model, str(path))


def _trace_onnx(path: Path, network: PortableNetwork) -> None:
    import_or_explain("onnx", "--format onnx")
    axes = {INPUT: {0: "height", 1: "width"}, GIVEN: {0: "given people"}}
    axes |= {name: {0: "people"} for name in (CROPS, PEOPLE, *network.outputs)}
    axes = {name: axis for name, axis in axes.items() if name in (*network.inputs, *network.outputs)}
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        # The newer exporter, dynamo=True, wants a bound or a constant for every number of boxes.
        torch.onnx.export(
            network,
            network.example(),
            str(path),
            dynamo=False,
            opset_version=_OPSET,
            input_names=list(network.inputs),
            output_names=list(network.outputs),
            dynamic_axes=axes,
        )


def _write_openvino(path: Path, network: PortableNetwork, metadata: dict[str, str]) -> None:
    openvino = import_or_explain("openvino", "--format openvino")
    with tempfile.TemporaryDirectory() as folder:
        passage = Path(folder) / "network.onnx"
        _trace_onnx(passage, network)  # OpenVINO takes an input with a default for a constant
        model = openvino.convert_model(str(passage))
    save_openvino(path, model, metadata, network.coarse_layers)


def save_openvino(path: Path, model: openvino.Model, metadata: dict[str, str], coarse_layers: str) -> None:
    """Writes ``path`` (.xml) and, beside it, the weights in float32 (.bin).

    Args:
        path: of the first file.
        model: the network.
        metadata: what the file says about itself.
        coarse_layers: see ``estimators.portable.PortableNetwork``.
    """
    import openvino

    for name, value in metadata.items():
        model.set_rt_info(value, ["fastpose_mtn", name])
    openvino.save_model(model, str(path), compress_to_fp16=False)
    _keep_exact(path, coarse_layers)


def _keep_exact(path: Path, coarse_layers: str) -> None:
    """Marks every operation that is none of the coarse layers as one to compute in float32, whatever the layers compute in.

    On a CPU that has bfloat16, OpenVINO computes all in it, the coordinates of boxes and joints too, whose 8 bits
    are too few. It spares what bears its attribute ``precise`` (its ``DisableFP16Compression``), which Python can
    only write into the file. Features on their way from RoIAlign to a head need no more digits than the layers on
    either side; RoIAlign itself has its coordinates in float32 in any case, and is many times slower on float32 maps.
    """
    tree = ElementTree.parse(path)
    after: dict[str | None, list[str | None]] = {}
    for edge in tree.iterfind("edges/edge"):
        after.setdefault(edge.get("from-layer"), []).append(edge.get("to-layer"))
    layers = {layer.get("id"): layer for layer in tree.iterfind("layers/layer")}
    # what a Float32Layer holds, the estimator keeps in float32, too
    coarse = re.compile(f"/(?!.*/layer/)({coarse_layers})")
    spared = {number for number, layer in layers.items() if _is_coarse(layer, coarse)}
    reached = [number for number, layer in layers.items() if layer.get("type") == "ROIAlign"]
    while reached:
        number = reached.pop()
        if number not in spared:
            spared.add(number)
            reached += after.get(number, ())
    for number, layer in layers.items():
        if number in spared:
            continue
        info = layer.find("rt_info")
        if info is None:
            info = ElementTree.Element("rt_info")
            place = next(i for i, child in enumerate(layer) if child.tag in ("input", "output"))
            layer.insert(place, info)
        ElementTree.SubElement(info, "attribute", name="precise", version="0")
    tree.write(path)


def _is_coarse(layer: ElementTree.Element, coarse: re.Pattern[str]) -> bool:
    """Is it one of the coarse layers, or no arithmetic at all?"""
    return layer.get("type") in _NO_ARITHMETIC or bool(coarse.match(layer.get("name", "")))


_NO_ARITHMETIC = ("Const", "Parameter", "Result", "FakeQuantize")
_WRITERS: dict[str, Callable[[Path, PortableNetwork, dict[str, str]], None]] = {
    "onnx": _write_onnx,
    "openvino": _write_openvino,
    "torchscript": _write_torchscript,
}
