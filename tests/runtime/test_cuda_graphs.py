"""Without a GPU: a stand-in records the operations of a capture, with the tensors that they read, and repeats them."""

import contextlib

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fastpose_mtn.runtime.cuda_graphs import CudaGraphs
from fastpose_mtn.runtime.fuse import fuse
from fastpose_mtn.systems.mtn.network import build_model


class NoTransfer(TorchFunctionMode):
    """Numbers that Python holds must not be brought to a GPU: that waits for it."""

    def __torch_function__(self, function, types, args=(), kwargs=None):
        assert function not in (torch.tensor, torch.as_tensor, torch.Tensor.new_tensor), function
        return function(*args, **(kwargs or {}))


class Recorded(TorchDispatchMode):
    """Stands for ``torch.cuda.CUDAGraph``: replaying writes into the tensors that the capture made."""

    def __init__(self):
        super().__init__()
        self.calls, self.replays = [], 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **(kwargs or {}))
        self.calls.append((function, args, kwargs or {}, result))
        return result

    def replay(self):
        self.replays += 1
        for function, args, kwargs, result in self.calls:
            again = function(*args, **kwargs)
            for old, new in zip(tree_leaves(result), tree_leaves(again), strict=True):
                old.copy_(new)


class Stream:
    def wait_stream(self, other): ...


@pytest.fixture
def graphs(monkeypatch):
    """The graphs that were captured."""
    made = []

    def new():
        made.append(Recorded())
        return made[-1]

    for name, stand_in in {
        "CUDAGraph": new,
        "graph": lambda graph, **_: graph,
        "Stream": lambda device: Stream(),
        "current_stream": lambda device: Stream(),
        "stream": lambda stream: contextlib.nullcontext(),
    }.items():
        monkeypatch.setattr(torch.cuda, name, stand_in)
    return made


def picture(seed, *shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_a_shape_is_captured_when_it_comes_twice_in_a_row(graphs):
    calls = []

    def double(x):
        calls.append(x.shape)
        return 2 * x

    doubled = CudaGraphs(double, kept=2)
    video, last, other = (2, 3), (4,), (5,)
    shapes = [video, last, video, video, last, video, last, last, other, other, last]
    captured = [0, 0, 0, 1, 1, 1, 1, 2, 2, 3, 3]
    for seed, (shape, count) in enumerate(zip(shapes, captured, strict=True)):
        x = picture(seed, *shape)
        torch.testing.assert_close(doubled(x), 2 * x)
        assert len(graphs) == count, seed
    assert [graph.replays for graph in graphs] == [2, 2, 1]
    before = len(calls)
    doubled(picture(20, *video))  # had to give way
    assert len(calls) == before + 1


def test_what_cannot_be_captured_is_computed_as_usual(graphs, monkeypatch):
    @contextlib.contextmanager
    def refused(graph, **_):
        raise RuntimeError("operation not permitted when stream is capturing")
        yield

    monkeypatch.setattr(torch.cuda, "graph", refused)
    doubled = CudaGraphs(lambda x: 2 * x)
    x = picture(0, 3)
    doubled(x)
    with pytest.warns(UserWarning, match="no CUDA graphs.*not permitted"):
        torch.testing.assert_close(doubled(x), 2 * x)
    torch.testing.assert_close(doubled(x), 2 * x)  # and does not warn again


@torch.inference_mode()
def test_a_network_finds_in_a_replay_what_it_finds(cfg, graphs):
    torch.manual_seed(0)
    model = fuse(build_model(cfg).eval().requires_grad_(False), activations=False)
    trunk = CudaGraphs(model.trunk)
    for seed in range(3):
        batch = picture(seed, 2, 3, 64, 96)
        expected, found = model.trunk(batch), trunk(batch)
        torch.testing.assert_close(found, expected)
        sizes = [(64, 96), (60, 90)]
        proposals = [model.proposal_generator.suppress(x[1], sizes) for x in (expected, found)]
        torch.testing.assert_close(proposals[0], proposals[1])
    assert [graph.replays for graph in graphs] == [2]


@pytest.mark.skipif(
    tuple(map(int, torch.__version__.split(".")[:2])) < (2, 14),
    reason="fake tensors of older versions (seen with 2.6) call the GPU's driver",
)
def test_the_trunk_mixes_no_devices_and_waits_for_no_gpu(cfg):
    """On tensors that have a device but no numbers: what needs a number, or two devices, fails."""
    model = fuse(build_model(cfg).eval().requires_grad_(False), activations=False)
    with FakeTensorMode(), torch.inference_mode():

        def on_gpu(tensor):
            return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype, device="cuda")

        for module in model.modules():
            for name, parameter in module.named_parameters(recurse=False):
                setattr(module, name, torch.nn.Parameter(on_gpu(parameter), requires_grad=False))
            for name, buffer in module.named_buffers(recurse=False):
                setattr(module, name, on_gpu(buffer))
        images = [torch.empty(3, 60, 90, dtype=torch.uint8), torch.empty(3, 64, 96, dtype=torch.uint8)]
        batch, _ = model.preprocess(images)
        with NoTransfer():
            features, candidates = model.trunk(batch)
        assert {x.device.type for x in (batch, *features.values(), *candidates)} == {"cuda"}
        with pytest.raises(torch._subclasses.fake_tensor.DynamicOutputShapeException):
            torch.nonzero(candidates.logits)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU here")
@torch.inference_mode()
def test_a_gpu_replays_what_it_computes(cfg):
    torch.manual_seed(0)
    model = fuse(build_model(cfg).eval().requires_grad_(False), activations=False).cuda()
    trunk = CudaGraphs(model.trunk)
    for seed in range(3):
        batch = picture(seed, 2, 3, 64, 96).cuda()
        expected, found = model.trunk(batch), trunk(batch)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)
    assert len(trunk._captured) == 1
