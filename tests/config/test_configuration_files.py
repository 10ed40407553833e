"""Configurations are found by path, and those of the package by name, wherever one is."""

from configparser import ConfigParser
from pathlib import Path

import pytest

from fastpose_mtn.checkpoints.loading import inference_config
from fastpose_mtn.config import get_cfg
from fastpose_mtn.config.files import PACKAGED, find_config, packaged_networks

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """A folder that is no clone."""
    monkeypatch.chdir(tmp_path)


def merged(path):
    cfg = get_cfg()
    cfg.merge_from_file(path)
    return cfg


@pytest.mark.parametrize("given", ["people", "people.yaml", "configs/people.yaml", "./configs/people.yaml"])
def test_the_packages_own_are_found_by_name(given):
    assert find_config(given) == str(PACKAGED / "people.yaml")
    assert merged(given).MODEL.SKELETON == "PERSON19"


def test_a_file_that_is_there_comes_before_the_packages(tmp_path):
    Path("people.yaml").write_text("SEED: 7\n")
    Path("demo").mkdir()
    assert find_config("people.yaml") == "people.yaml"
    assert merged("people.yaml").SEED == 7
    assert find_config("people") == str(PACKAGED / "people.yaml")
    assert find_config("demo") == str(PACKAGED / "demo.yaml")


def test_a_base_is_beside_the_file_or_the_packages(tmp_path):
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "base.yaml").write_text("_BASE_: people\nSEED: 3\n")
    (tmp_path / "own" / "derived.yaml").write_text("_BASE_: base.yaml\nSOLVER: {MAX_ITER: 5}\n")
    cfg = merged("own/derived.yaml")
    assert (cfg.MODEL.SKELETON, cfg.SEED, cfg.SOLVER.MAX_ITER) == ("PERSON19", 3, 5)


@pytest.mark.parametrize(
    ("given", "hint"),
    [
        ("peple.yaml", "; did you mean people.yaml?"),
        ("fastpose-50", "; did you mean FastPose-50.yaml?"),
        ("conf/mine.yml", "; did you mean conf/mine.yaml?"),
        ("nowhere.yaml", f"; the package has {', '.join(packaged_networks()[:3])}, "),
    ],
)
def test_a_wrong_name_gets_the_nearest_one_named(given, hint):
    Path("conf").mkdir()
    Path("conf/mine.yaml").touch()
    with pytest.raises(ValueError, match="configuration file not found") as error:
        find_config(given)
    assert str(error.value).startswith(f"configuration file not found: {given}{hint}")


def test_a_missing_base_names_the_file_that_asks_for_it():
    Path("own.yaml").write_text("_BASE_: people.yml.bak\n")
    with pytest.raises(ValueError, match=r"own.yaml: _BASE_: configuration file not found: people.yml.bak"):
        merged("own.yaml")


def test_every_configuration_is_packaged_and_can_be_read():
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    assert "configs/*.yaml" in setup["options.package_data"]["fastpose_mtn"].split()
    assert {"people", "demo", "FastPose-50"} <= set(packaged_networks())
    for name in packaged_networks():
        merged(name)


def test_a_clone_shows_them_under_configs():
    assert sorted(path.name for path in (ROOT / "configs").iterdir()) == sorted(
        path.name for path in PACKAGED.iterdir()
    )


def test_torchvisions_weights_bring_the_packages_configuration():
    name = "torchvision://keypointrcnn_resnet50_fpn"
    expected = merged("keypoint_rcnn_R50_FPN_torchvision")
    expected.MODEL.WEIGHTS = name
    assert inference_config(name) == expected


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("SOLVER:\n  MAX_ITER: 5\nSEED: 3\nSOLVER:\n  BASE_LR: 0.1\n", 1),
        ("SOLVER:\n  MAX_ITER: 5\n  MAX_ITER: 6\n", 2),
        ("SOLVER: {MAX_ITER: 5, MAX_ITER: 6}\n", 1),
    ],
)
def test_a_key_that_stands_there_twice_is_refused(text, line):
    """The first one's value would be lost."""
    Path("own.yaml").write_text(text)
    with pytest.raises(
        ValueError, match=rf"own\.yaml: .* stands there already in line {line}; put both together"
    ):
        merged("own.yaml")
