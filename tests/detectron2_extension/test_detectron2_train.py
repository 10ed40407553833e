import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from offline_timm import timm_offline
from tiny_training import TINY

pytest.importorskip("detectron2", reason="Detectron2 is not installed")
from detectron2.modeling import build_model

from fastpose_mtn.checkpoints.weight_files import read_metadata
from fastpose_mtn.commands.export_weights import export
from fastpose_mtn.commands.train import main
from fastpose_mtn.detectron2.train import load_config, run
from fastpose_mtn.detectron2.trainer import FastPoseTrainer
from fastpose_mtn.detectron2.training_step import TrainingStep
from fastpose_mtn.engine.launch import LaunchConfiguration

ROOT = Path(__file__).parents[2]
TEST = TINY[TINY.index("DATASETS.TEST") : TINY.index("DATASETS.TEST") + 2]
D2 = ["--engine", "detectron2"]


def logged(folder):
    """Each step's losses as Detectron2 writes them."""
    rows = [json.loads(line) for line in (folder / "metrics.json").read_text().splitlines()]
    return {row["iteration"]: row for row in rows if "total_loss" in row}


def test_train_resume_and_evaluate(tmp_path, caplog):
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    main([*D2, *TINY, "OUTPUT_DIR", str(whole), "SOLVER.MAX_ITER", "3"])
    assert caplog.messages[0] == "engine: detectron2 (asked for)"
    names = {p.name for p in whole.iterdir()}
    assert {"model_final.pth", "last_checkpoint", "config.yaml", "metrics.json", "evaluation.json"} <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert read_metadata(whole / "model_final.safetensors")["skeleton"] == "POSETRACK15"

    main([*D2, *TINY, "OUTPUT_DIR", str(halves)])
    main([*D2, "--resume", *TINY, "OUTPUT_DIR", str(halves), "SOLVER.MAX_ITER", "3"])
    assert sorted(logged(whole)) == sorted(logged(halves)) == [0, 1, 2]
    straight, resumed = (torch.load(f / "model_final.pth", weights_only=True) for f in (whole, halves))
    assert straight["iteration"] == resumed["iteration"] == 2
    for part in (lambda c: c["model"], lambda c: c["average"]["average"]):
        for name, value in part(straight).items():
            torch.testing.assert_close(part(resumed)[name], value, rtol=1e-3, atol=1e-5)

    # either host evaluates the weights, which carry their configuration, to the same numbers
    weights = str(whole / "model_final.safetensors")
    for engine in ("detectron2", "lightning"):
        out = tmp_path / engine
        main(["--engine", engine, "--eval-only", "MODEL.WEIGHTS", weights, *TEST, "OUTPUT_DIR", str(out)])
        assert json.loads((out / "evaluation.json").read_text()) == json.loads(
            (whole / "evaluation.json").read_text()
        )


def test_both_engines_take_the_same_steps(tmp_path, monkeypatch):
    theirs = {}  # what the writers show is smoothed

    def record(step, losses, waited):
        theirs[step.iter] = {name: float(loss) for name, loss in losses.items()}

    monkeypatch.setattr(TrainingStep, "_write_metrics", record)
    main([*D2, *TINY, "OUTPUT_DIR", str(tmp_path / "start"), "SOLVER.MAX_ITER", "1"])
    start = torch.load(tmp_path / "start" / "model_final.pth", weights_only=True)
    torch.save(start["model"], tmp_path / "start.pth")
    same = [
        *TINY,
        "MODEL.WEIGHTS",
        str(tmp_path / "start.pth"),
        "SOLVER.MAX_ITER",
        "4",
        "SOLVER.BASE_LR",
        "0.001",
    ]
    for engine in ("detectron2", "lightning"):
        main(["--engine", engine, *same, "OUTPUT_DIR", str(tmp_path / engine)])
    rows = list(csv.DictReader((tmp_path / "lightning" / "logs" / "version_0" / "metrics.csv").open()))
    ours = {int(row["step"]) - 1: row for row in rows if row["total_loss"]}
    assert sorted(ours) == sorted(theirs) == [0, 1, 2, 3]
    for step, losses in theirs.items():
        for name, loss in losses.items():
            assert loss == pytest.approx(float(ours[step][name]), rel=5e-3, abs=1e-4), (step, name)


def test_two_processes(tmp_path):
    done = subprocess.run(
        [sys.executable, "train_net.py", *D2, "--num-gpus", "2", *TINY, "OUTPUT_DIR", str(tmp_path)],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert sorted(logged(tmp_path)) == [0, 1]
    assert (tmp_path / "model_final.safetensors").is_file()
    assert json.loads((tmp_path / "evaluation.json").read_text())


def test_the_demos_configuration(tmp_path):
    """As it is, in bfloat16, on the small scenes of a test."""
    small = [
        "DATASETS.TRAIN", "('synthetic://tiny?seeds=0-1&frames=4&size=128x96&people=2',)", *TEST,
        "INPUT.MIN_SIZE_TRAIN", "(96,)", "MODEL.DEVICE", "cpu", "DATALOADER.NUM_WORKERS", "0",
        "SOLVER.IMS_PER_BATCH", "2", "SOLVER.LOG_PERIOD", "1",
    ]  # fmt: skip
    config = ["--config-file", str(ROOT / "configs" / "demo.yaml")]
    main([*D2, *config, *small, "SOLVER.MAX_ITER", "2", "OUTPUT_DIR", str(tmp_path / "run")])
    main([*D2, *config, "--resume", *small, "SOLVER.MAX_ITER", "3", "OUTPUT_DIR", str(tmp_path / "run")])
    assert sorted(logged(tmp_path / "run")) == [0, 1, 2]
    target = export(
        str(tmp_path / "run" / "model_final.safetensors"), tmp_path / "half.safetensors", half=True
    )
    assert target.is_file()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--eval-only"], "DATASETS.TEST names no dataset to evaluate on"),
        ([], "DATASETS.TRAIN names no dataset"),
        (["SOLVER.MAX_ITR", "3"], "unknown configuration key SOLVER.MAX_ITR; did you mean SOLVER.MAX_ITER?"),
        (["--eval-only", *TEST, "OUTPUT_DIR", "absent"], "set MODEL.WEIGHTS"),
        (["--eval-only", *TEST, "MODEL.WEIGHTS", "absent.pth"], "absent.pth"),
        ([*TINY, "SOLVER.AMP.ENABLED", "True", "SOLVER.AMP.DTYPE", "fp16"], "fp16 needs a GPU"),
        ([*TINY, "MODEL.ROI_HEADS.NUM_CLASSES", "2"], "MTNROIHeads finds people only"),
        ([*TINY, "INPUT.CROP.ENABLED", "True"], "INPUT.CROP.ENABLED is True, but only False is trained with"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(arguments, text, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main([*D2, *arguments])
    assert stop.value.code == 2
    errors = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert text in errors[0]


def test_imagenet_weights_are_fetched_only_for_a_backbone_that_others_do_not_fill(tmp_path, monkeypatch):
    """As under Lightning; a folder of its own for each, as a run that was begun leaves one."""
    asked = timm_offline(monkeypatch)
    whole, heads = tmp_path / "whole.pth", tmp_path / "heads.pth"
    cfg = load_config("", TINY, carried=False)
    torch.manual_seed(7)
    tensors = build_model(cfg).state_dict()
    torch.save(tensors, whole)
    torch.save({name: t for name, t in tensors.items() if "bottom_up" not in name}, heads)
    asked.clear()
    start = [*TINY, "MODEL.TIMM.PRETRAINED", "True", "OUTPUT_DIR"]
    trainer = FastPoseTrainer(
        load_config("", [*start, str(tmp_path / "a"), "MODEL.WEIGHTS", str(whole)], carried=False)
    )
    trainer.resume_or_load(resume=False)
    assert asked == [False]
    name = "backbone.bottom_up.conv_stem.weight"
    torch.testing.assert_close(trainer.model.state_dict()[name], tensors[name])
    assert trainer.cfg.MODEL.TIMM.PRETRAINED
    for k, weights in enumerate((str(heads), "")):
        with pytest.raises(ValueError, match=r"cannot get timm's ImageNet weights .*no network"):
            FastPoseTrainer(
                load_config("", [*start, str(tmp_path / f"b{k}"), "MODEL.WEIGHTS", weights], carried=False)
            )


def test_a_folder_that_holds_a_run(tmp_path):
    (tmp_path / "last_checkpoint").write_text("model_final.pth")
    arguments = {
        "config_file": "",
        "opts": [*TINY, "OUTPUT_DIR", str(tmp_path)],
        "launch": LaunchConfiguration(),
    }
    with pytest.raises(ValueError, match="holds the checkpoints of a run; go on from them with --resume"):
        run(eval_only=False, resume=False, **arguments)
    (tmp_path / "checkpoint_0000001.ckpt").write_text("")
    with pytest.raises(ValueError, match="of a run with --engine lightning"):
        run(eval_only=False, resume=True, **arguments)
