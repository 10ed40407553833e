"""Eight-bit networks by the runtimes' own post-training quantisation: NNCF for OpenVINO, ONNX Runtime's for ONNX."""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from fastpose_mtn.deploy.formats import finish_onnx, metadata_of, replace_all, save_openvino
from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators.exported import open_exported
from fastpose_mtn.estimators.portable import RoundedLayers
from fastpose_mtn.estimators.runtimes import MIN_SCORE, Feed, import_or_explain
from fastpose_mtn.registry import SYSTEMS
from fastpose_mtn.system_protocols import QuantizedSystem
from fastpose_mtn.video.sources import find_inputs, open_source

if TYPE_CHECKING:
    import openvino


def quantize(path: Path, calibration: str, *, frames: int = 100) -> list[Path]:
    """Replaces an exported network by its 8-bit form.

    Its system says which operations are rounded (``rounded_layers``), and what ranges are measured on.

    Args:
        path: a file ``.onnx`` or ``.xml`` of ``formats.write``.
        calibration: a source of frames like those to come, on which the ranges of values are measured; whoever
            ``MODEL.TOPDOWN.DETECTOR`` finds in them, where the network takes crops.
        frames: how many of them, spread over the source where its length is known.

    Returns:
        The files written.

    Raises:
        InputError: a library is not installed, or the source cannot be read.
    """
    work, network = _OF[path.suffix], open_exported(path, device="cpu")
    cfg, images = network.cfg, read_frames(calibration, frames)
    system = SYSTEMS.get(cfg.MODEL.META_ARCHITECTURE)
    if not isinstance(system, QuantizedSystem):
        raise InputError(
            f"--int8: MODEL.META_ARCHITECTURE {cfg.MODEL.META_ARCHITECTURE}: it has no 8-bit form"
        )
    feeds = system.calibration(network, images)
    if not feeds:
        raise InputError(f"{calibration}: nobody is found in it; give frames with people to measure on")
    layers = system.rounded_layers(cfg)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
        draft = Path(folder) / path.name
        work(path, draft, feeds, metadata_of(cfg), layers)
        return replace_all(draft, path)


def read_frames(source: str, count: int) -> list[np.ndarray]:
    """At most ``count`` frames (H, W, 3) uint8 RGB of a source, evenly spread where its length is known.

    Raises:
        InputError: there is none.
    """
    found = find_inputs(source)
    images = list(itertools.islice(_spread(found, count), count))
    if not images:
        raise InputError(f"{source}: no frame of it can be decoded; give another video or folder of images")
    return images


def _spread(sources: list[str], count: int) -> Iterator[np.ndarray]:
    share = -(-count // len(sources))
    for one in sources:
        source = open_source(one)
        step = max(1, (source.frame_count or share) // share)
        try:
            chosen = itertools.islice(source, 0, share * step, step)
            yield from (frame.image for frame in chosen if frame.image is not None)
        finally:
            source.close()


def quantize_openvino(
    path: Path, draft: Path, feeds: list[Feed], metadata: dict[str, str], layers: RoundedLayers
) -> None:
    """Writes ``draft``, the 8-bit form of ``path``, with ranges measured on ``feeds``."""
    nncf = import_or_explain("nncf", "--int8 with OpenVINO")
    openvino = import_or_explain("openvino", "--int8 with OpenVINO")
    model = openvino.Core().read_model(str(path))
    small = nncf.quantize(
        model,
        nncf.Dataset(feeds),
        subset_size=len(feeds),
        preset=nncf.QuantizationPreset.MIXED,
        ignored_scope=nncf.IgnoredScope(
            types=list(layers.exact_types), patterns=[rf"(?!{layers.openvino}).*"], validate=False
        ),
    )
    if layers.rounds_early:
        _round_where_written(small)
    save_openvino(draft, small, metadata, layers.coarse)


def _round_where_written(model: openvino.Model) -> None:
    """Moves rounding (FakeQuantize) to where OpenVINO makes it part of the operation that writes the values.

    Alone it takes passes of its own, in float32 and in another memory layout. What a convolution and its ReLU give is
    rounded before it is rearranged; where features come from no arithmetic, a maximum with the range's lower end, which
    rounding cuts at anyway, gives it some.
    """
    from openvino import opset13

    for rounding in model.get_ordered_ops():
        source = rounding.input_value(0) if rounding.get_type_name() == "FakeQuantize" else None
        if source is None or source.get_node().get_type_name() == "Constant":
            continue
        moved = source
        while moved.get_node().get_type_name() in ("Slice", "StridedSlice", "DepthToSpace"):
            rearranging = moved.get_node()
            moved = rearranging.input_value(0)
        if moved != source:
            for reader in rounding.output(0).get_target_inputs():
                reader.replace_source_output(source)
            rearranging.input(0).replace_source_output(rounding.output(0))
            rounding.input(0).replace_source_output(moved)
        if moved.get_node().get_type_name() != "Relu":
            lowest = opset13.maximum(moved, rounding.input_value(1))
            lowest.set_friendly_name(f"{rounding.get_friendly_name()}/lowest")
            rounding.input(0).replace_source_output(lowest.output(0))
    model.validate_nodes_and_infer_types()


def quantize_onnx(
    path: Path, draft: Path, feeds: list[Feed], metadata: dict[str, str], layers: RoundedLayers
) -> None:
    """Writes ``draft``, the 8-bit form of ``path``, with ranges measured on ``feeds``."""
    quantization = import_or_explain("onnxruntime.quantization", "--int8 with ONNX Runtime")
    onnx = import_or_explain("onnx", "--int8 with ONNX Runtime")
    shapes = import_or_explain("onnxruntime.quantization.shape_inference", "--int8 with ONNX Runtime")
    plain = draft.with_suffix(".plain.onnx")
    network = onnx.load(str(path))
    for default in [one for one in network.graph.initializer if one.name == MIN_SCORE]:
        network.graph.initializer.remove(default)  # each session that is opened would warn of it
    onnx.save(network, str(plain))
    shapes.quant_pre_process(str(plain), str(plain), skip_symbolic_shape=True)
    nodes = [node.name for node in onnx.load(str(plain)).graph.node]
    quantization.quantize_static(
        str(plain),
        str(draft),
        _Reader(feeds),
        op_types_to_quantize=["Conv", "Gemm"],
        nodes_to_exclude=[name for name in nodes if not re.match(layers.onnx, name)],
        per_channel=True,
        activation_type=quantization.QuantType.QUInt8,
        weight_type=quantization.QuantType.QInt8,
    )
    plain.unlink()
    finish_onnx(draft, metadata)


class _Reader:
    """ONNX Runtime's ``CalibrationDataReader``."""

    def __init__(self, feeds: list[Feed]) -> None:
        self._feeds = iter(feeds)

    def get_next(self) -> Feed | None:
        return next(self._feeds, None)


_OF = {".onnx": quantize_onnx, ".xml": quantize_openvino}
