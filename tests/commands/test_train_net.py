import csv
import json
import re
import runpy
import sys
from pathlib import Path

import pytest
from tiny_training import TINY

from fastpose_mtn.commands.train import engine_of, main, parse_args, setup

ROOT = Path(__file__).parents[2]


def test_train_resume_and_evaluate_the_network_itself(tmp_path, caplog):
    out = str(tmp_path / "run")
    main(["--engine", "lightning", *TINY, "TEST.EVAL_PERIOD", "1", "OUTPUT_DIR", out])
    assert caplog.messages[0] == "engine: lightning (asked for)"
    assert "rpn_cls" in caplog.text
    assert "reid" in caplog.text
    names = {p.name for p in (tmp_path / "run").iterdir()}
    assert {"model_final.safetensors", "evaluation.json", "evaluation_0000001.json", "config.yaml"} <= names
    assert "evaluation_0000002.json" not in names  # the end's own evaluation
    logged = (tmp_path / "run" / "logs" / "version_0" / "metrics.csv").read_text().splitlines()[0]
    assert "/posetrack/MOTA" in logged
    assert "/search/mAP" in logged

    main(["--engine", "lightning", "--resume", *TINY, "OUTPUT_DIR", out, "SOLVER.MAX_ITER", "3"])
    assert (tmp_path / "run" / "checkpoint_0000003.ckpt").is_file()
    rows = list(csv.DictReader((tmp_path / "run" / "logs" / "version_1" / "metrics.csv").open()))
    assert float(rows[-1]["total_loss"]) > 0

    # The weights carry their configuration, so nothing but the data need be said.
    weights = str(tmp_path / "run" / "model_final.safetensors")
    test = TINY[TINY.index("DATASETS.TEST") : TINY.index("DATASETS.TEST") + 2]
    again = tmp_path / "again"
    lightning = ["--engine", "lightning"]
    main([*lightning, "--eval-only", "MODEL.WEIGHTS", weights, *test, "OUTPUT_DIR", str(again)])
    trained, evaluated = (
        json.loads((folder / "evaluation.json").read_text()) for folder in (tmp_path / "run", again)
    )
    assert trained == evaluated
    assert {"box/AP", "keypoint/AP", "posetrack/AP", "search/top1"} <= next(iter(evaluated.values())).keys()
    assert "box/AP" in caplog.messages[-1]
    assert "posetrack/num_switches" in caplog.messages[-1]


def test_detectron2_trains_its_own_networks_only(monkeypatch):
    for missing in ("fastpose_mtn.engine.launch.missing_detectron2", "fastpose_mtn.hosts.missing_detectron2"):
        monkeypatch.setattr(missing, lambda: None)
    assert engine_of(parse_args(["--config-file", "people"]))[0] == "detectron2"
    assert engine_of(parse_args(["--config-file", "alphapose-s"])) == (
        "lightning", "Detectron2 cannot train TopDownPose",
    )  # fmt: skip
    with pytest.raises(ValueError, match="MODEL.META_ARCHITECTURE TopDownPose trains under Lightning only"):
        engine_of(parse_args(["--config-file", "alphapose-s", "--engine", "detectron2"]))


@pytest.mark.parametrize("engine", ["lightning", "detectron2"])
def test_a_training_that_diverges_says_so_in_one_line_and_keeps_its_checkpoint(tmp_path, capfd, engine):
    if engine == "detectron2":
        pytest.importorskip("detectron2", reason="Detectron2 is not installed")
    wild = ["SOLVER.BASE_LR", "1e20", "SOLVER.MAX_ITER", "9", "OUTPUT_DIR", str(tmp_path)]
    with pytest.raises(SystemExit) as stop:
        main(["--engine", engine, *TINY, *wild])
    assert stop.value.code == 2
    (error,) = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert re.match(
        r"error: step \d: training has diverged: .* not finite; the last checkpoint is kept", error
    )
    assert list(tmp_path.glob("checkpoint_0000001.ckpt" if engine == "lightning" else "model_0000000.pth"))
    assert not (tmp_path / "model_final.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--num-machines", "2"], "--dist-url is 'auto', expected tcp://HOST:PORT"),
        (["--config-file", "absent.yaml"], "configuration file not found: absent.yaml"),
        (["SOLVER.MAX_ITR", "3"], "unknown configuration key SOLVER.MAX_ITR; did you mean SOLVER.MAX_ITER?"),
        (["--eval-only"], "DATASETS.TEST names no dataset to evaluate on"),
        (
            ["--eval-only", "DATASETS.TEST", "('synthetic://a?seeds=1',)", "OUTPUT_DIR", "absent"],
            "set MODEL.WEIGHTS",
        ),
        ([], "DATASETS.TRAIN names no dataset"),
        (["DATASETS.TRAIN", "('synthetic://a?seeds=900000',)"], "kept for acceptance"),
        (["--engine", "tensorflow"], "invalid choice: 'tensorflow'"),
    ],
)
def test_bad_arguments_are_one_line_and_status_2(arguments, text, capfd, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    error = capfd.readouterr().err
    assert error.startswith("error: ")
    assert text in error
    assert error.count("\n") == 1


def test_detectron2s_arguments():
    args = parse_args(
        [
            "--num-gpus",
            "8",
            "--num-machines",
            "2",
            "--machine-rank",
            "1",
            "--dist-url",
            "tcp://a:1",
            "SEED",
            "4",
        ]
    )
    assert (args.num_gpus, args.num_machines, args.machine_rank, args.dist_url) == (8, 2, 1, "tcp://a:1")
    assert setup(args).SEED == 4


def test_help(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["train_net.py", "--help"])
    with pytest.raises(SystemExit) as stop:
        runpy.run_path(str(ROOT / "train_net.py"), run_name="__main__")
    assert stop.value.code == 0
    assert "--eval-only" in capsys.readouterr().out
