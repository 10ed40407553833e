"""Runs an exported network through ONNX Runtime or OpenVINO: frames in, people in the frames' pixels out."""

from __future__ import annotations

import importlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from fastpose_mtn.checkpoints.loading import config_from_text
from fastpose_mtn.config import CfgNode
from fastpose_mtn.errors import InputError, did_you_mean_file
from fastpose_mtn.estimators import RUNTIME_ENDINGS
from fastpose_mtn.estimators.adapter import FrameAdapter, FrameEstimator
from fastpose_mtn.structures import PersonDetections

# the second only where the network was exported with it, the third not in files of before there was one
INPUT, GIVEN, MIN_SCORE = "image", "given", "min_score"
CROPS, PEOPLE = "crops", "people"  # inputs of a network that looks at one person at a time
OUTPUTS = ("boxes", "scores", "keypoints", "embeddings")
METADATA = ("config", "skeleton")

_AGAIN = "export the network with python -m fastpose_mtn.export"

_NOBODY = np.zeros((0, 4), np.float32)  # boxes
_ABOVE_ALL = 2.0  # a score that nobody has
# OpenVINO's Python prepares what it needs of NumPy when a thread first uses it, and two that do so at once wait for each
# other for ever: it is only called by one at a time, except to wait for a request.
_OPENVINO_CALLS = threading.RLock()

Feed = dict[str, np.ndarray]  # a network's inputs by name


def import_or_explain(name: str, purpose: str) -> Any:
    """An optional library, by its module's name; ``purpose`` says in the message what asks for it.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        package = name.partition(".")[0]
        raise InputError(f"{purpose} needs {package}: pip install 'fastpose-mtn[export]'") from error


class Runtime(NamedTuple):
    """A network's file, opened in the runtime that executes it.

    Attributes:
        run: maps each frame's inputs, by name, to that frame's ``OUTPUTS``, in order.
        inputs: names of the network's inputs.
        metadata: what the file says about itself.
        at_once: calls of ``run`` that threads should have under way together, so that no core idles between two.
    """

    run: Callable[[Sequence[Feed]], Iterable[Sequence[np.ndarray]]]
    inputs: tuple[str, ...]
    metadata: dict[str, str]
    at_once: int = 1


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
        raise InputError(f"{path}: it carries no {absent[0]}; {_AGAIN}")
    cfg = config_from_text(runtime.metadata["config"], str(path))
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
        self._path, self.cfg = network.path, network.cfg
        self._run, self._inputs = network.runtime.run, network.runtime.inputs
        self.batches_at_once = network.runtime.at_once
        if INPUT not in self._inputs:
            raise InputError(f"{self._path}: it takes crops of people, not frames: it finds nobody by itself")
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
        found = [_people(outputs) for outputs in self._run(feeds)]
        return found if self._select is None else [self._select(people) for people in found]

    def _locate(self, image: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray) -> PersonDetections:
        if GIVEN not in self._inputs:
            raise InputError(f"{self._path}: it takes no boxes of people; {_AGAIN} --given-boxes")
        (outputs,) = self._run([self.inputs_of(image, boxes_xyxy, _ABOVE_ALL)])
        people = _people(outputs)
        located = people[len(people) - len(boxes_xyxy) :]  # behind those found
        return replace(located, scores=located.scores * scores)


def _people(outputs: Sequence[np.ndarray]) -> PersonDetections:
    found = dict(zip(OUTPUTS, outputs, strict=False))
    return PersonDetections(
        boxes=found["boxes"],
        # INT8's rounding can leave a probability a little outside
        scores=found["scores"].clip(0.0, 1.0),
        keypoints=confidences_clipped(found["keypoints"]),
        embeddings=found.get("embeddings"),
    )


def open_runtime(path: Path, device: str = "auto", precision: str = "auto") -> Runtime:
    """What runs a network's file; arguments and errors as of ``ExportedEstimator``."""
    return _RUNTIMES[path.suffix.lower()](path, device, precision)


def confidences_clipped(keypoints: np.ndarray) -> np.ndarray:
    """Keypoints (N, K, 3 or more) whose probabilities 8 bits' rounding can have left a little outside of [0, 1]."""
    return np.concatenate((keypoints[..., :2], keypoints[..., 2:].clip(0.0, 1.0)), axis=-1)


def _onnx_runtime(path: Path, device: str, precision: str) -> Runtime:
    onnxruntime = import_or_explain("onnxruntime", str(path))
    if precision not in ("auto", "fp32"):
        raise InputError(
            f"--precision {precision}: ONNX Runtime computes in the precision of the file; use auto, or an OpenVINO .xml"
        )
    cuda = "CUDAExecutionProvider" in onnxruntime.get_available_providers()
    if device.startswith("cuda") and not cuda:
        raise InputError(
            f"--device {device}: this ONNX Runtime has no CUDA; install onnxruntime-gpu, or use cpu"
        )
    on_cuda = cuda and device != "cpu"
    number = int(device.partition(":")[2] or 0)
    providers: list[Any] = [("CUDAExecutionProvider", {"device_id": number})] if on_cuda else []
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    try:
        session = onnxruntime.InferenceSession(str(path), options, [*providers, "CPUExecutionProvider"])
    except Exception as error:  # the runtime has a dozen kinds of its own
        raise InputError(f"{path}: ONNX Runtime cannot read it: {_first_line(error)}; {_AGAIN}") from error
    return Runtime(
        lambda feeds: (session.run(None, feed) for feed in feeds),
        tuple(port.name for port in (*session.get_inputs(), *session.get_overridable_initializers())),
        dict(session.get_modelmeta().custom_metadata_map),
    )


_OPENVINO_PRECISIONS = {"fp32": "f32", "bf16": "bf16", "fp16": "f16"}


def _openvino(path: Path, device: str, precision: str) -> Runtime:
    openvino = import_or_explain("openvino", str(path))
    if device not in ("auto", "cpu"):
        raise InputError(f"--device {device}: OpenVINO runs on the CPU here; use cpu, or an .onnx file")
    core = openvino.Core()
    try:
        model = core.read_model(str(path))
    except RuntimeError as error:
        raise _unreadable(path, error) from error
    places = {name: ["fastpose_mtn", name] for name in METADATA}
    metadata = {n: str(model.get_rt_info(p).value) for n, p in places.items() if model.has_rt_info(p)}
    # Streams that may not change their core would wait there for whoever draws and encodes, while another core idles.
    options: dict[str, Any] = {"INFERENCE_NUM_THREADS": torch.get_num_threads(), "ENABLE_CPU_PINNING": False}
    if precision != "auto":
        options["INFERENCE_PRECISION_HINT"] = _OPENVINO_PRECISIONS[precision]

    sized = INPUT in {port.get_any_name() for port in model.inputs}

    def compile_for(streams: int, size_hw: tuple[int, int] | None) -> Any:
        try:
            if sized:
                model.reshape({INPUT: openvino.PartialShape([*(size_hw or (-1, -1)), 3])})
            return core.compile_model(model, "CPU", {**options, "NUM_STREAMS": streams})
        except RuntimeError as error:
            raise _unreadable(path, error) from error

    return Runtime(_SideBySide(compile_for), tuple(port.get_any_name() for port in model.inputs), metadata, 2)


class _SideBySide:
    """An OpenVINO network that has as many frames under way as there are threads, or fewer where fewer come again.

    It is compiled again for more frames at once, and for fewer when they come twice in a row: a camera's after a video's,
    but not a video's last. As long as all frames are of one size it is compiled for that, which saves a sixth of the time,
    and from the first one of another size on for any.

    Args:
        compile_for: gives the network compiled for a number of frames at once, which share the threads, and for their
            height and width; None: any.
    """

    def __init__(self, compile_for: Callable[[int, tuple[int, int] | None], Any]) -> None:
        self._compile_for = compile_for
        self._streams = self._last = 0
        self._sizes: set[tuple[int, int]] = set()
        self._compiled: Any = None
        self._idle: list[list[Any]] = []  # a list of requests for each call that was under way beside others

    def __call__(self, feeds: Sequence[Feed]) -> Iterator[list[np.ndarray]]:
        """Each frame's outputs, in order. Several threads may call at once: frames of one fill what the other leaves."""
        compiled, requests = self._compiled_for(feeds)
        running: deque[Any] = deque()
        try:
            for request, feed in zip(itertools.cycle(requests), feeds, strict=False):
                # the oldest is done first, and its request at once has the next frame
                done = _outputs(running.popleft()) if len(running) == len(requests) else None
                with _OPENVINO_CALLS:
                    request.start_async(feed)
                running.append(request)
                if done is not None:
                    yield done
            while running:
                yield _outputs(running.popleft())
        finally:
            for request in running:
                request.wait()
            with _OPENVINO_CALLS:
                if compiled is self._compiled:
                    self._idle.append(requests)

    def _compiled_for(self, feeds: Sequence[Feed]) -> tuple[Any, list[Any]]:
        """The network as these frames need it, and requests to it that nobody uses."""
        with _OPENVINO_CALLS:
            count = min(len(feeds), torch.get_num_threads())
            again, self._last = count == self._last, count
            new = {feed[INPUT].shape[:2] for feed in feeds if INPUT in feed} - self._sizes
            other = bool(new) and len(self._sizes) < 2  # with two it is compiled for any
            if other:
                self._sizes |= new
            if other or count > self._streams or (0 < count < self._streams and again):
                size_hw = next(iter(self._sizes)) if len(self._sizes) == 1 else None
                self._compiled, self._streams, self._idle = self._compile_for(count, size_hw), count, []
            if self._idle:
                return self._compiled, self._idle.pop()
            return self._compiled, [self._compiled.create_infer_request() for _ in range(self._streams)]


def _outputs(request: Any) -> list[np.ndarray]:
    request.wait()
    with _OPENVINO_CALLS:
        return [np.array(tensor.data) for tensor in request.output_tensors]


def _unreadable(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: OpenVINO cannot read it: {_first_line(error)}; {_AGAIN}")


def _first_line(error: Exception) -> str:
    return next((line.strip() for line in str(error).splitlines() if line.strip()), type(error).__name__)


_RUNTIMES: dict[str, Callable[[Path, str, str], Runtime]] = {".onnx": _onnx_runtime, ".xml": _openvino}
