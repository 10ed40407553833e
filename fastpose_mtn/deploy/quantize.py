"""Eight-bit networks by the runtimes' own post-training quantisation: NNCF for OpenVINO, ONNX Runtime's for ONNX."""

from __future__ import annotations

import itertools
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fastpose_mtn.build import build_network
from fastpose_mtn.config import CfgNode
from fastpose_mtn.deploy.formats import finish_onnx, metadata_of, replace_all, save_openvino
from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators.exported import (
    MIN_SCORE,
    ExportedEstimator,
    ExportedNetwork,
    Feed,
    import_or_explain,
    open_exported,
)
from fastpose_mtn.estimators.frames import resize_to_test_size
from fastpose_mtn.systems.topdown.estimator import TopDownEstimator
from fastpose_mtn.systems.topdown.locator import ExportedLocator
from fastpose_mtn.video.sources import find_inputs, open_source

if TYPE_CHECKING:
    import openvino


def quantize(path: Path, calibration: str, *, frames: int = 100) -> list[Path]:
    """Replaces an exported network by its 8-bit form.

    Of FastPose MTN the joints' and the identities' head and the box head's first layer are quantised, most of the work
    where people are many, and for OpenVINO the convolution that proposes boxes at the pyramid's two finest levels. What
    else says where boxes are keeps its digits: with the pyramid in 8 bits, one box in sixty would move. Of PoseDet, whose
    head is little work, the backbone and the convolutions of the head's branches are, not what tells from them where people
    are, and how sure. Of a network that looks at one person at a time all layers are, but the last one before its heatmaps
    and, of identities, all behind their first convolution. Of both what precedes a normalisation that rounding would change
    keeps its digits.

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
    if cfg.MODEL.META_ARCHITECTURE == "TopDownPose":
        feeds, layers = _crops(network, images), _layers_of_crops(cfg)
    else:
        one_stage = cfg.MODEL.META_ARCHITECTURE == "PoseDet"
        feeds, layers = _whole_images(network, images), _ONE_STAGE if one_stage else HEADS
    if not feeds:
        raise InputError(f"{calibration}: nobody is found in it; give frames with people to measure on")
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.stem}-") as folder:
        draft = Path(folder) / path.name
        work(path, draft, feeds, metadata_of(cfg), layers)
        return replace_all(draft, path)


def _whole_images(network: ExportedNetwork, images: list[np.ndarray]) -> list[Feed]:
    """Those with people: the heads have nothing to measure in the others."""
    estimator, test = ExportedEstimator.of(network, device="cpu"), network.cfg.INPUT
    peopled = [image for image in images if len(estimator.estimate([image])[0])]
    sizes = test.MIN_SIZE_TEST, test.MAX_SIZE_TEST
    return [estimator.inputs_of(resize_to_test_size(image, *sizes)) for image in peopled]


def _crops(network: ExportedNetwork, images: list[np.ndarray]) -> list[Feed]:
    """The crops of each image's people."""
    locator = ExportedLocator(network)
    estimator = TopDownEstimator.from_config(network.cfg, locator, device="cpu")
    looks = (estimator.crops_of(image) for image in images)
    return [locator.inputs_of(crops, people_wh) for crops, people_wh in looks if len(crops)]


def _layers_of_crops(cfg: CfgNode) -> Layers:
    """All but those that stay in float32, by any of the names that a graph may have for them."""
    exact = ["layer"]  # a Float32Layer's
    for name in build_network(cfg).exact_layers:  # type: ignore[union-attr]
        parts = str(name).split(".")
        exact += [".".join(parts[i:]) for i, part in enumerate(parts) if not part.isdecimal()]
    kept = "|".join(map(re.escape, exact))
    pattern = rf"^/(?!.*/(?:{kept})/)(?:backbone|upsampler|heads|reid/backbone|reid/conv)[./]"
    return Layers(onnx=pattern, openvino=pattern, exact_types=(), rounds_early=False)


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


class Layers(NamedTuple):
    """Which operations become 8 bits.

    Attributes:
        onnx, openvino: patterns of their names, which are after the network's modules.
        exact_types: OpenVINO's types of operations that keep their digits all the same.
        rounds_early: OpenVINO rounds where values are written, see ``_round_where_written``.
    """

    onnx: str
    openvino: str
    exact_types: tuple[str, ...]
    rounds_early: bool


def quantize_openvino(
    path: Path, draft: Path, feeds: list[Feed], metadata: dict[str, str], layers: Layers
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
    save_openvino(draft, small, metadata)


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
    path: Path, draft: Path, feeds: list[Feed], metadata: dict[str, str], layers: Layers
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


# Names of what is quantised, after the modules. Nothing between the backbone and the heads may be: NNCF measures a
# pyramid level from which nobody is read in a frame as a range of 0, and for good. conv and conv_1 are the RPN's at the
# two finest levels, for OpenVINO only: ONNX Runtime's ranges are plain extremes, with which a percent of the people
# would get other boxes.
_HEAD_NAMES = "box_head/fc1|keypoint_head|reid_head"
HEADS = Layers(
    onnx=f"^/({_HEAD_NAMES})/",
    openvino=f"^/(rpn_head/conv|rpn_head/conv_1|{_HEAD_NAMES})/",
    # of vectors and heatmaps
    exact_types=(
        "Add",
        "Subtract",
        "Multiply",
        "Divide",
        "Minimum",
        "Maximum",
        "Clamp",
        "Exp",
        "Log",
        "ReduceSum",
        "ReduceL2",
    ),
    rounds_early=True,
)
# a Float32Layer's keep their digits
_ONE_STAGE_NAMES = "^/(?!.*/layer/)(backbone|head/(init|refine|cls)_convs)/"
_ONE_STAGE = Layers(
    onnx=_ONE_STAGE_NAMES,
    openvino=_ONE_STAGE_NAMES,
    exact_types=("MVN", "Subtract", "Multiply", "Divide"),  # of the head's normalisations
    rounds_early=False,
)
_OF = {".onnx": quantize_onnx, ".xml": quantize_openvino}
