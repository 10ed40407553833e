"""Opens an exported network's file in ONNX Runtime or OpenVINO, and drives it."""

from __future__ import annotations

import importlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from fastpose_mtn.errors import InputError

# the second only where the network was exported with it, the third not in files of before there was one
INPUT, GIVEN, MIN_SCORE = "image", "given", "min_score"
CROPS, PEOPLE = "crops", "people"  # inputs of a network that looks at one person at a time
OUTPUTS = ("boxes", "scores", "keypoints", "embeddings")
METADATA = ("config", "skeleton")
EXPORT_AGAIN = "export the network with python -m fastpose_mtn.export"

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


def open_runtime(path: Path, device: str = "auto", precision: str = "auto") -> Runtime:
    """What runs a network's file; arguments and errors as of ``ExportedEstimator``."""
    return _RUNTIMES[path.suffix.lower()](path, device, precision)


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
        raise InputError(f"{path}: ONNX Runtime cannot read it: {_told(error)[0]}; {EXPORT_AGAIN}") from error
    _check_finite(path, _onnx_tensors(path))

    def run(feeds: Sequence[Feed]) -> Iterator[Sequence[np.ndarray]]:
        for feed in feeds:
            try:
                outputs = session.run(None, feed)
            except Exception as error:
                raise _not_computed(path, " ".join(_told(error))) from error
            yield outputs

    return Runtime(
        run,
        tuple(port.name for port in (*session.get_inputs(), *session.get_overridable_initializers())),
        dict(session.get_modelmeta().custom_metadata_map),
    )


def _onnx_tensors(path: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Name and values of whatever is constant in the network."""
    onnx = import_or_explain("onnx", str(path))
    graph = onnx.load(str(path)).graph
    values = (node.attribute[0].t for node in graph.node if node.op_type == "Constant")
    for tensor in (*graph.initializer, *values):
        yield tensor.name, onnx.numpy_helper.to_array(tensor)


def _check_finite(path: Path, tensors: Iterable[tuple[str, np.ndarray]]) -> None:
    """As ``checkpoints.loading`` does of files of weights: what a runtime's ReLU makes of NaN may be 0, and people nowhere."""
    for name, values in tensors:
        # one infinity alone is a limit
        if values.dtype.kind == "f" and not (
            np.isfinite(values).all() or (values.size == 1 and np.isinf(values).all())
        ):
            raise InputError(
                f"{path}: its tensor {name} holds NaN or infinity; the training whose weights it has diverged: export a file "
                "from before"
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
    constants = (node for node in model.get_ordered_ops() if node.get_type_name() == "Constant")
    _check_finite(path, ((node.get_friendly_name(), node.data) for node in constants))
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

    side_by_side = _SideBySide(compile_for)

    def run(feeds: Sequence[Feed]) -> Iterator[Sequence[np.ndarray]]:
        try:
            yield from side_by_side(feeds)
        except RuntimeError as error:
            raise _not_computed(path, _told(error)[-1]) from error

    return Runtime(run, tuple(port.get_any_name() for port in model.inputs), metadata, 2)


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
    return InputError(
        f"{path}: OpenVINO cannot read it: {_told(error)[-1]}; put its {path.stem}.bin beside it, or {EXPORT_AGAIN}"
    )


def _not_computed(path: Path, message: str) -> InputError:
    return InputError(f"{path}: it does not compute what is expected of it: {message}; {EXPORT_AGAIN}")


def _told(error: Exception) -> list[str]:
    """The lines of a runtime's message; OpenVINO's before the last are places in its own code."""
    return [line.strip() for line in str(error).splitlines() if line.strip()] or [type(error).__name__]


_RUNTIMES: dict[str, Callable[[Path, str, str], Runtime]] = {".onnx": _onnx_runtime, ".xml": _openvino}
