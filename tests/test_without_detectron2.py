"""Nothing outside ``fastpose_mtn/detectron2`` may need Detectron2, or import it where it is not asked for."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

EVERYTHING = """
import importlib, pkgutil, sys

sys.modules["detectron2"] = None  # importing it fails, and it is not found, as where it is not installed
import fastpose_mtn
for module in pkgutil.walk_packages(fastpose_mtn.__path__, "fastpose_mtn."):
    if not module.name.startswith("fastpose_mtn.detectron2") and not module.name.endswith("__main__"):
        importlib.import_module(module.name)
import fastpose_mtn.commands.train, fastpose_mtn.commands.track
assert [name for name in sys.modules if name.split(".")[0] == "detectron2"] == ["detectron2"]

import numpy as np
from fastpose_mtn import FastPose
assert len(FastPose.from_pretrained("demo", device="cpu").detect([np.zeros((64, 64, 3), np.uint8)])) == 1

for engine, status in (("detectron2", 2), ("auto", 2)):
    try:
        fastpose_mtn.commands.train.main(["--engine", engine])
    except SystemExit as stop:
        assert stop.code == status, stop.code
try:
    import fastpose_mtn.detectron2
except ImportError as error:
    print(error)
"""


def test_everything_works_where_detectron2_cannot_be_imported():
    done = subprocess.run(
        [sys.executable, "-c", EVERYTHING], cwd=ROOT, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "fastpose_mtn.detectron2 needs Detectron2, which is not installed" in done.stdout
    assert "https://detectron2.readthedocs.io/tutorials/install.html" in done.stdout
    asked, auto = done.stderr.splitlines()[-2:]
    assert asked.startswith("error: --engine detectron2: Detectron2 is not installed; see https://")
    assert auto == "error: DATASETS.TRAIN names no dataset to train on"
    assert "engine: lightning (Detectron2 is not installed)" in done.stdout
