"""Runs an exported network through ONNX Runtime or OpenVINO: frames in, people in the frames' pixels out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fastpose_mtn.checkpoints.loading import config_from_text
from fastpose_mtn.config import CfgNode
from fastpose_mtn.errors import NOT_FINITE_REMEDY, InputError, did_you_mean_file
from fastpose_mtn.estimators import RUNTIME_ENDINGS
from fastpose_mtn.estimators.adapter import FrameAdapter, FrameEstimator
from fastpose_mtn.estimators.runtimes import (
    EXPORT_AGAIN,
    GIVEN,
    INPUT,
    METADATA,
    MIN_SCORE,
    OUTPUTS,
    Feed,
    Runtime,
    open_runtime,
)
from fastpose_mtn.structures import PersonDetections

_NOBODY = np.zeros((0, 4), np.float32)  # boxes
_ABOVE_ALL = 2.0  # a score that nobody has


class ExportedNetwork(NamedTuple):
    """An exported network's file, opened, and the configuration that it carries.

    Attributes:
        path: the file.
        runtime: executes it.
        cfg: its configuration, with what overrides it.
    """

    path: Path
    runtime: Runtime
    cfg: CfgNode

    @property
    def embedding_dim(self) -> int | None:
        """Numbers of an identity vector; None: the network describes nobody."""
        return self.cfg.MODEL.ROI_REID_HEAD.EMBEDDING_DIM if self.cfg.MODEL.REID_ON else None

    def check(self, values: Sequence[np.ndarray], trailing: Sequence[tuple[int, ...]]) -> None:
        """Raises InputError unless what the network gives of N people is N finite arrays of its configuration's shapes.

        Args:
            values: as the runtime gives them.
            trailing: of each the shape without N; identity vectors come last, where the configuration has them.
        """
        dim = self.embedding_dim
        wanted = [*trailing, *([] if dim is None else [(dim,)])]
        count = values[0].shape[:1]
        if [value.shape for value in values] != [(*count, *shape) for shape in wanted]:
            raise InputError(
                f"{self.path}: expected arrays {', '.join(map(str, wanted))} of each person, as its configuration says, got "
                f"{', '.join(str(value.shape) for value in values)}; {EXPORT_AGAIN}"
            )
        if not all(np.isfinite(value).all() for value in values):
            raise InputError(
                f"{self.path}: expected finite numbers, got NaN or infinity; {NOT_FINITE_REMEDY}"
            )


def open_exported(
    path: str | Path, *, device: str = "auto", precision: str = "auto", options: Sequence[str] = ()
) -> ExportedNetwork:
    """Opens a file that ``python -m fastpose_mtn.export`` wrote; arguments and errors as of ``ExportedEstimator``."""
    path = Path(path)
    if not path.is_file():
        raise InputError(f"weights file not found: {path}{did_you_mean_file(path, RUNTIME_ENDINGS)}")
    runtime = open_runtime(path, device, precision)
    absent = [name for name in METADATA if not runtime.metadata.get(name)]
    if absent:
        raise InputError(f"{path}: it carries no {absent[0]}; {EXPORT_AGAIN}")
    cfg = config_from_text(runtime.metadata["config"], str(path))
    if runtime.metadata["skeleton"] != cfg.MODEL.SKELETON:
        raise InputError(
            f"{path}: its skeleton is {runtime.metadata['skeleton']}, its configuration's {cfg.MODEL.SKELETON}; {EXPORT_AGAIN}"
        )
    cfg.merge_from_list(list(options))
    return ExportedNetwork(path, runtime, cfg)


class ExportedEstimator(FrameEstimator):
    """A pose estimator from a file that ``python -m fastpose_mtn.export`` wrote.

    It computes in as many threads as torch would. Of several frames OpenVINO computes as many at once as there are
    threads, each in one: no thread then waits for another's part of a layer.

    ``describe`` and ``estimate_given`` look at boxes that are given; the graph searches for people all the same, which
    takes its time. A network that was exported without an input for boxes (``--given-boxes``) refuses them.

    Args:
        path: a file ``.onnx`` (ONNX Runtime) or ``.xml`` (OpenVINO).
        device: auto, cpu or, for ONNX Runtime built for it, cuda.
        precision: auto or fp32; for OpenVINO bf16 and fp16 too. auto is what the runtime finds fastest here.
        options: ``[KEY, VALUE, ...]``, which override the file's configuration where the network does not depend on it:
            how frames are looked at (``INPUT``, ``TEST.AUG``), and what becomes of people found twice (``TEST.POSE_NMS``).

    Raises:
        InputError: the file cannot be used, the runtime is not installed, or it cannot do as asked.
    """

    def __init__(
        self,
        path: str | Path,
        *,
        device: str = "auto",
        precision: str = "auto",
        options: Sequence[str] = (),
    ) -> None:
        self._begin(open_exported(path, device=device, precision=precision, options=options), device)

    @classmethod
    def of(
        cls,
        network: ExportedNetwork,
        *,
        device: str = "auto",
        select: Callable[[PersonDetections], PersonDetections] | None = None,
    ) -> ExportedEstimator:
        """The estimator of a network that is open already.

        Args:
            network: the network.
            device: see above.
            select: who of those that the network gives of an image is reported; None: all.
        """
        made = cls.__new__(cls)
        made._begin(network, device, select)
        return made

    def _begin(
        self,
        network: ExportedNetwork,
        device: str,
        select: Callable[[PersonDetections], PersonDetections] | None = None,
    ) -> None:
        self._select = select
        self._network, self.cfg = network, network.cfg
        self._run, self._inputs = network.runtime.run, network.runtime.inputs
        self.batches_at_once = network.runtime.at_once
        if INPUT not in self._inputs:
            raise InputError(
                f"{network.path}: it takes crops of people, not frames: it finds nobody by itself"
            )
        self.frames = replace(FrameAdapter.from_config(self.cfg), merge=select)
        if device.startswith("cuda"):
            self.frames = replace(self.frames, bytes_per_pixel=0)
        self.skeleton = self.frames.skeleton
        self.embedding_dim = network.embedding_dim

    def inputs_of(self, image: np.ndarray, given: np.ndarray = _NOBODY, min_score: float = 0.0) -> Feed:
        """The network's inputs, those of these that it takes.

        Args:
            image: (H, W, 3).
            given: boxes (N, 4) in it.
            min_score: of boxes that are found, below which they are left out.
        """
        inputs = {INPUT: image, GIVEN: given, MIN_SCORE: np.array(min_score, np.float32)}
        return {name: value for name, value in inputs.items() if name in self._inputs}

    def _find(self, images: Sequence[np.ndarray], *, min_score: float) -> list[PersonDetections]:
        feeds = [self.inputs_of(image, min_score=min_score) for image in images]
        found = [self._people(outputs) for outputs in self._run(feeds)]
        return found if self._select is None else [self._select(people) for people in found]

    def _locate(self, image: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray) -> PersonDetections:
        if GIVEN not in self._inputs:
            raise InputError(
                f"{self._network.path}: it takes no boxes of people; {EXPORT_AGAIN} --given-boxes"
            )
        (outputs,) = self._run([self.inputs_of(image, boxes_xyxy, _ABOVE_ALL)])
        people = self._people(outputs)
        located = people[len(people) - len(boxes_xyxy) :]  # behind those found
        return replace(located, scores=located.scores * scores)

    def _people(self, outputs: Sequence[np.ndarray]) -> PersonDetections:
        self._network.check(outputs, ((4,), (), (len(self.skeleton), 3)))
        found = dict(zip(OUTPUTS, outputs, strict=False))
        return PersonDetections(
            boxes=found["boxes"],
            # INT8's rounding can leave a probability a little outside
            scores=found["scores"].clip(0.0, 1.0),
            keypoints=confidences_clipped(found["keypoints"]),
            embeddings=found.get("embeddings"),
        )


def confidences_clipped(keypoints: np.ndarray) -> np.ndarray:
    """Keypoints (N, K, 3 or more) whose probabilities 8 bits' rounding can have left a little outside of [0, 1]."""
    return np.concatenate((keypoints[..., :2], keypoints[..., 2:].clip(0.0, 1.0)), axis=-1)
