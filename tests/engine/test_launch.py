import importlib
import os
import sys

import pytest

from fastpose_mtn.engine.launch import LaunchConfiguration, choose_engine
from fastpose_mtn.hosts import import_detectron2_extension


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"num_gpus": -1}, "--num-gpus is -1, expected 0 or more"),
        ({"num_machines": 0}, "--num-machines is 0, expected 1 or more"),
        (
            {"num_machines": 2, "machine_rank": 2, "dist_url": "tcp://a:1"},
            "--machine-rank is 2, expected 0 to 1 as --num-machines is 2",
        ),
        ({"num_machines": 2}, "--dist-url is 'auto', expected tcp://HOST:PORT of machine 0"),
        ({"num_machines": 2, "dist_url": "tcp://host"}, "expected tcp://HOST:PORT"),
        ({"num_machines": 2, "dist_url": "tcp://host:port"}, "expected tcp://HOST:PORT"),
    ],
)
def test_processes_that_cannot_be(values, text):
    with pytest.raises(ValueError, match=text):
        LaunchConfiguration(**values)


def test_the_meeting_place_is_announced(monkeypatch):
    for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK"):
        monkeypatch.setenv(name, "before")
    LaunchConfiguration(num_gpus=4).announce()
    assert os.environ["MASTER_ADDR"] == "before"
    LaunchConfiguration(
        num_gpus=4, num_machines=3, machine_rank=2, dist_url="tcp://10.0.0.1:29500"
    ).announce()
    assert [os.environ[n] for n in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK")] == ["10.0.0.1", "29500", "2"]


def installed(monkeypatch, *names):
    def find_spec(name):
        return object() if name in names else None

    monkeypatch.setattr("fastpose_mtn.hosts.find_spec", find_spec)


def test_the_engine_is_chosen_and_says_why(monkeypatch):
    installed(monkeypatch)
    assert choose_engine("auto") == ("lightning", "Detectron2 is not installed")
    assert choose_engine("lightning") == ("lightning", "asked for")
    with pytest.raises(ValueError, match="https://detectron2.readthedocs.io/tutorials/install.html"):
        choose_engine("detectron2")
    installed(monkeypatch, "detectron2")
    assert choose_engine("auto") == ("lightning", "this version of fastpose_mtn has no Detectron2 extension")
    with pytest.raises(ValueError, match="has no Detectron2 extension"):
        choose_engine("detectron2")
    installed(monkeypatch, "detectron2", "fastpose_mtn.detectron2")
    assert choose_engine("auto") == ("detectron2", "Detectron2 is installed")
    assert choose_engine("detectron2") == ("detectron2", "asked for")


def test_tracking_with_detectron2_names_the_way_without_it(monkeypatch):
    installed(monkeypatch)
    with pytest.raises(
        ValueError,
        match=r"^--host detectron2: Detectron2 is not installed; see https://.*, or leave --host out",
    ):
        import_detectron2_extension("estimator")


def test_an_engine_that_is_none():
    with pytest.raises(
        ValueError, match="--engine: expected one of auto, lightning, detectron2, got 'default'"
    ):
        choose_engine("default")


def test_a_mere_folder_called_detectron2_is_no_detectron2(monkeypatch, tmp_path):
    (tmp_path / "detectron2").mkdir()
    monkeypatch.setattr(sys, "path", [str(tmp_path)])
    monkeypatch.delitem(sys.modules, "detectron2", raising=False)
    importlib.invalidate_caches()
    assert choose_engine("auto") == ("lightning", "Detectron2 is not installed")
