"""What README and docs tell their readers to do can be done.

Every command goes through the parser of its program, with the keys and values that it sets; those in ``RUN`` run, on
small files under the documented names. Python blocks run, YAML blocks are merged, keys, flags and files exist.
"""

import argparse
import ast
import configparser
import importlib
import json
import os
import re
import runpy
import sys

import cv2
import numpy as np
import pytest
import timm
import yaml
from documentation import FILES, ROOT, blocks, commands, declared_flags, keys, named_flags, texts_of_package
from rectangles import moving, write_video

from fastpose_mtn import registry
from fastpose_mtn.command_line import ArgumentParser
from fastpose_mtn.config import get_cfg
from fastpose_mtn.config.files import find_config
from fastpose_mtn.skeletons import COCO17

BY_NAME = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
COMMANDS = list(dict.fromkeys(command for path in FILES for command in commands(path)))

# What runs, in this order, each with what makes it small.
RUN = {
    "-m fastpose_mtn.data.synthetic --output drawn": [
        "--sequences",
        "1",
        "--frames",
        "3",
        "--size",
        "192x108",
    ],
    "track_video.py --weights drawn --input drawn/videos": ["INPUT.MIN_SIZE_TEST", "108"],
    "-m fastpose_mtn.evaluation --gt drawn/annotations --pred results": [],
    "-m fastpose_mtn.tracking --detections results --gt drawn/annotations --ablation": [],
    "track_video.py clip.mp4 --output results --formats posetrack,jsonl": [
        "INPUT.MIN_SIZE_TEST",
        "96",
    ],
    "-m fastpose_mtn.data.check --config-file my.yaml": [],
    "-m fastpose_mtn.engine.samples --output sheet.jpg --config-file my.yaml": [],
    "-m fastpose_mtn.modeling.summary --config-file configs/FastPose-50.yaml": [
        "MODEL.TIMM.NAME",
        "resnet18",
    ],
}


class Parsed(Exception):
    """The arguments are understood; nothing more is wanted."""


@pytest.fixture
def parse_only(monkeypatch):
    """Programs end behind their parsers."""

    def parse_with(original):
        def parse(parser, *given, **named):
            original(parser, *given, **named)
            raise Parsed

        return parse

    for kind in (argparse.ArgumentParser, ArgumentParser):
        monkeypatch.setattr(kind, "parse_args", parse_with(kind.parse_args))


def run(words, monkeypatch):
    """Runs a command of ours in this process, as ``python`` or the shell would."""
    first, *rest = words
    if first == "-m":
        module, *rest = rest
        monkeypatch.setattr(sys, "argv", [module, *rest])
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    elif first == "fastpose":
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg")
        scripts = setup["options.entry_points"]["console_scripts"]
        module, function = re.search(r"^fastpose\s*=\s*([\w.]+):(\w+)$", scripts, re.MULTILINE).groups()
        monkeypatch.setattr(sys, "argv", list(words))
        getattr(importlib.import_module(module), function)()
    else:
        monkeypatch.setattr(sys, "argv", list(words))
        monkeypatch.syspath_prepend(str((ROOT / first).parent))  # as Python does for a script
        runpy.run_path(str(ROOT / first), run_name="__main__")


def exit_status(words, monkeypatch):
    """What ``run`` ends with; None or 0: well."""
    try:
        run(words, monkeypatch)
    except SystemExit as ended:
        return ended.code
    return 0


def is_ours(words):
    return words[0] != "-m" or words[1].startswith("fastpose_mtn")


def overrides(words):
    """The configuration keys at the end of a command, with their values."""
    known = {*get_cfg().keys_with_dots()}
    first = next((i for i, word in enumerate(words) if word in known), len(words))
    return list(words[first:])


@pytest.mark.parametrize("command", filter(lambda c: is_ours(c.words), COMMANDS), ids=str)
def test_a_command_is_understood_by_its_program(command, parse_only, monkeypatch, capsys):
    if "fastpose_mtn.detectron2" in " ".join(command.words):
        pytest.importorskip("detectron2", reason="Detectron2 is not installed")
    if "--help" in command.words or "--version" in command.words:
        return
    try:
        run(command.words, monkeypatch)
        raise AssertionError("it has no parser")
    except Parsed:
        pass
    except SystemExit:
        message = capsys.readouterr().err
        assert command.inline, message
        assert "the following arguments are required" in message, message
    cfg = get_cfg()
    for word in command.words:
        if word.startswith("configs/"):
            cfg.merge_from_file(find_config(word))
    cfg.merge_from_list(overrides(command.words))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What readers have in their folder: a clip, labelled images of their own, a configuration."""
    folder = tmp_path_factory.mktemp("reader")
    write_video(folder / "clip.mp4", [moving(i, (96, 128)) for i in range(3)])
    (folder / "my" / "images").mkdir(parents=True)
    cv2.imwrite(str(folder / "my" / "images" / "a.jpg"), moving(0, (96, 128))[..., ::-1])
    joints = np.stack([np.linspace(52, 58, 17), np.linspace(6, 40, 17), np.full(17, 2)], axis=1)
    labels = {
        "images": [{"id": 1, "file_name": "a.jpg", "height": 96, "width": 128}],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 1, "bbox": [50, 4, 10, 40], "area": 400, "iscrowd": 0,
             "num_keypoints": 17, "keypoints": joints.ravel().tolist()}
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints), "skeleton": []}],
    }  # fmt: skip
    for name in ("train", "val"):
        (folder / "my" / f"{name}.json").write_text(json.dumps(labels))
    (own,) = (b for b in blocks(ROOT / "datasets" / "README.md", "yaml") if "my/train.json" in b)
    (folder / "my.yaml").write_text(own + "INPUT:\n  MIN_SIZE_TRAIN: [96]\n")
    (folder / "configs").symlink_to(ROOT / "configs")
    cv2.imwrite(str(folder / "a.jpg"), moving(0, (96, 128))[..., ::-1])
    return folder


def test_documented_commands_run_one_after_the_other(folder, monkeypatch, capsys):
    monkeypatch.chdir(folder)
    documented = [" ".join(command.words) for command in COMMANDS]
    for start, small in RUN.items():
        (line,) = {line for line in documented if line.startswith(start)}
        words = next(command.words for command in COMMANDS if " ".join(command.words) == line)
        status = exit_status([*words, *small], monkeypatch)
        out, err = capsys.readouterr()
        assert not status, f"{line}: {out[-500:]}\n{err[-1500:]}"
    for written in ("results/clip.json", "results/clip.mp4", "results/clip.jsonl", "scores/report.html",
                    "scores/ablation.json", "sheet.jpg"):  # fmt: skip
        assert (folder / written).stat().st_size > 0


@BY_NAME
def test_python_blocks_run(path, folder, monkeypatch, capsys):
    """Those of a file one after the other, in one namespace."""
    monkeypatch.chdir(folder)
    create = timm.create_model
    without_download = lambda *given, **named: create(*given, **{**named, "pretrained": False})  # noqa: E731
    monkeypatch.setattr(timm, "create_model", without_download)
    monkeypatch.setattr(registry.TRACKERS, "_registered", dict(registry.TRACKERS._registered))
    texts = blocks(path, "python")
    if any("detectron2" in text for text in texts):
        pytest.importorskip("detectron2", reason="Detectron2 is not installed")
    names = {}
    for text in texts:
        ast.parse(text)
        exec(compile(text, str(path), "exec"), names)


@BY_NAME
def test_yaml_blocks_are_configurations(path):
    for text in blocks(path, "yaml"):
        get_cfg().merge_from_other_cfg(yaml.safe_load(text))


@BY_NAME
def test_configuration_keys_exist_and_take_the_values_shown(path):
    known = get_cfg()
    for words in keys(path):
        name = words[0].rstrip(",;")
        if len(words) > 1:
            text = " ".join(words).replace(", ", ",")
            known.clone().merge_from_list(re.sub(r"\bN\b", "1", text).split(" "))
        assert name in known.keys_with_dots(), name


@BY_NAME
def test_flags_and_files_that_are_named_exist(path):
    text = path.read_text()
    if path.name == "alphapose.md":  # the first column has that program's
        text = re.sub(r"^\|[^|]*\|", "|", text, flags=re.M)
    for file in re.findall(r"(?<![\w/])\w+(?:/\w+)*/\w+\.py\b", text):
        assert any(
            (folder / file.replace("NAME", "mtn")).is_file() for folder in (ROOT, ROOT / "fastpose_mtn")
        ), file
    others = {
        "--no-deps",
        "--index-url",
        "--extra-index-url",
        "--shm-size",
        "--gpus",
        "--rm",
        "--head",
        "--address",
    }  # pip's, Docker's and Ray's
    assert named_flags(text) - declared_flags() <= others
    for link in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", text):
        assert os.path.exists(path.parent / link), link
    for extra in re.findall(r"\.\[([\w,]+)\]", text):
        setup = configparser.ConfigParser()
        setup.read(ROOT / "setup.cfg")
        assert set(extra.split(",")) <= set(setup["options.extras_require"])


def test_messages_name_flags_that_exist():
    flags = declared_flags()
    for module, text in texts_of_package().items():
        if module.startswith("fastpose_mtn/evaluation/report/") or module == "fastpose_mtn/command_line.py":
            continue  # style sheets, whose variables begin with two strokes; other programs' flags
        assert named_flags(text) <= flags, module
