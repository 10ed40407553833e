"""What is imported with the network, and that what is put off works when it is asked for."""

import importlib
import subprocess
import sys
from types import SimpleNamespace

import torch

from fastpose_mtn.libraries import _disable, _Utils, compiler_put_off

HEAVY = (
    "torch._dynamo", "torch._inductor", "sympy", "scipy.optimize", "matplotlib", "pandas", "lightning", "motmetrics",
    "pycocotools", "supervision", "onnx", "onnxruntime", "openvino",
)  # fmt: skip
MAIN_JOB = """
import sys
from fastpose_mtn import build
from fastpose_mtn.commands import track_sources
from fastpose_mtn.video import outputs, video_source
from fastpose_mtn.systems.mtn import estimator
from fastpose_mtn.tracking import occlusion_aware as tracker
print(sorted(set(sys.argv[1:]) & set(sys.modules)))
"""


def test_the_main_job_imports_nothing_heavy_that_it_does_not_need():
    done = subprocess.run([sys.executable, "-c", MAIN_JOB, *HEAVY], capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr


def test_the_compiler_is_imported_when_it_is_called_or_more_is_wanted_of_it(monkeypatch):
    imported = []
    real = SimpleNamespace(is_compile_supported=lambda device: device == "cpu", counters={"frames": 1})
    monkeypatch.setattr(importlib, "import_module", lambda name: imported.append(name) or real)
    stand_in = _Utils("torch._dynamo.utils")
    is_compile_supported = stand_in.is_compile_supported
    assert imported == []
    assert is_compile_supported("cpu")
    assert stand_in.counters is real.counters
    assert imported == ["torch._dynamo.utils"] * 2


def test_disabling_is_put_off_to_the_first_call():
    done = []

    def real(fn, recursive=True):
        done.append((fn.__name__, recursive))
        return lambda x: fn(x) + 1

    def double(x):
        return 2 * x

    plain, named = _disable(real, double), _disable(real, recursive=False)(double)
    assert done == []
    assert (plain.__name__, named.__name__) == ("double", "double")
    assert [plain(3), plain(4), named(5)] == [7, 9, 11]
    assert done == [("double", True), ("double", False)]


def test_torch_is_left_as_it_was(monkeypatch):
    before = torch.compiler.disable
    monkeypatch.setattr(sys, "modules", {k: v for k, v in sys.modules.items() if "torch._dynamo" not in k})
    with compiler_put_off():
        assert torch.compiler.disable is not before
    assert torch.compiler.disable is before
