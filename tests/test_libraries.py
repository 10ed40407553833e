"""What is imported with the network, and that what is put off works when it is asked for."""

import importlib
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from fastpose_mtn.data.synthetic import SceneConfig, write_dataset
from fastpose_mtn.libraries import _disable, _Utils, compiler_put_off

HEAVY = (
    "torch._dynamo", "torch._inductor", "scipy.optimize", "matplotlib", "pandas", "lightning", "motmetrics",
    "pycocotools", "supervision", "onnx", "onnxruntime", "openvino", "ray", "pyarrow", "fsspec",
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
COMPILE = """
import sys, torch
from fastpose_mtn import libraries
from torchvision.ops import roi_align
assert "torch._dynamo" not in sys.modules
assert libraries._Utils not in map(type, sys.modules.values())
boxes, features = torch.tensor([[0.0, 1, 1, 5, 6]]), torch.arange(64.0).view(1, 1, 8, 8)
network = lambda x: 2 * roi_align(x, boxes, (2, 2)).relu()
found = torch.compile(network, backend="eager")(features)
assert isinstance(sys.modules["torch._dynamo.utils"].counters, dict)
torch.testing.assert_close(found, network(features))
torch.use_deterministic_algorithms(True)
torch.testing.assert_close(network(features), found)  # torchvision asks the compiler whether it is supported
print("done")
"""


def run(code, *arguments):
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_main_job_imports_nothing_heavy_that_it_does_not_need():
    assert run(MAIN_JOB, *HEAVY) == "[]\n"


def test_posetrack_is_evaluated_without_the_libraries_that_take_long_to_load(tmp_path):
    """torch, scipy.optimize and what the numbers are held to each take longer than several sequences."""
    config = SceneConfig(size_wh=(320, 180), frame_count=3, people=2)
    write_dataset(tmp_path, sequences=1, frames=3, seed=40, config=config)
    folder = str(tmp_path / "annotations")
    evaluation = (
        "from fastpose_mtn.commands.evaluate import main\n"
        f"main(['--gt', {folder!r}, '--pred', {folder!r}, '--quiet'])\n"
        "import sys; print(sorted(set(sys.argv[1:]) & set(sys.modules)))"
    )
    assert run(evaluation, "torch", *HEAVY).splitlines()[-1] == "[]"


def test_torch_compiles_and_torchvision_computes_afterwards():
    assert run(COMPILE) == "done\n"


@pytest.mark.parametrize(
    "library",
    [
        # fits no stand-in, as a later version might: it is imported without
        "from torch._dynamo.utils import is_compile_supported as f\nassert f.__module__ == 'torch._dynamo.utils'",
        "from torch._dynamo import utils\nassert type(utils).__name__ == 'module', type(utils)",
        # wants other parts, or all: they are the real ones
        "import torch._dynamo\nassert type(torch._dynamo.utils).__name__ == 'module'",
        "import torch\n@torch.compiler.disable\nclass Network(torch.nn.Module): ...\nassert 'torch._dynamo' in __import__('sys').modules",
    ],
)
def test_libraries_of_other_versions_can_be_imported(library, tmp_path):
    (tmp_path / "library_of_another_version.py").write_text(library)
    code = f"""
import sys
from fastpose_mtn import libraries
sys.path.insert(0, {str(tmp_path)!r})
libraries.import_without_compiler("library_of_another_version")
import torch
assert libraries._Utils not in map(type, sys.modules.values())
assert torch.compiler.disable.__module__ == "torch.compiler"
import torch._dynamo
assert torch._dynamo.utils is sys.modules["torch._dynamo.utils"]
"""
    run(code)


def test_a_library_that_is_not_installed():
    with pytest.raises(ImportError, match="nonesuch_library"):
        importlib.import_module("fastpose_mtn.libraries").import_without_compiler("nonesuch_library")


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
    before, finders = torch.compiler.disable, list(sys.meta_path)
    monkeypatch.setattr(sys, "modules", {k: v for k, v in sys.modules.items() if "torch._dynamo" not in k})
    with compiler_put_off():
        assert torch.compiler.disable is not before
    assert torch.compiler.disable is before
    assert sys.meta_path == finders
