"""Tables of experiments: what they mean, and what is wrong in one."""

from pathlib import Path

import pytest
import yaml
from experiment_arms import FOLDER, read_table
from experiment_figures import FIGURES
from tiny_experiment import TABLE, TRAIN, write_table

from fastpose_mtn.data.proposals import load_table
from fastpose_mtn.errors import InputError


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
def test_the_tables_of_the_repository_can_be_meant(path):
    for experiment in read_table(path).values():
        assert experiment.question
        assert set(experiment.figures) <= FIGURES.keys()
        trainings = {arm.training(1).name for arm in experiment.arms.values() if arm.trained}
        results = {
            str((arm.training(1), arm.test, arm.choose, arm.weights)) for arm in experiment.arms.values()
        }
        assert len(results) == len(experiment.arms), f"{experiment.name}: two arms are one"
        for arm in experiment.arms.values():
            assert not arm.choose or arm.choose_images
        assert trainings or all(arm.poses or arm.weights for arm in experiment.arms.values())


def test_proposals_are_of_a_table_of_the_repository(monkeypatch):
    monkeypatch.chdir(FOLDER.parents[1])
    experiment = read_table(FOLDER / "alphapose.yaml")["pgpg"]
    settings = [stage.get("train", {}) for arm in experiment.arms.values() for stage in arm.stages]
    tables = {own["INPUT.PGPG.TABLE"] for own in settings if "INPUT.PGPG.TABLE" in own}
    assert [sorted(load_table(Path(table))) for table in tables] == [["whole"]]


def test_arms_take_over_what_stands_above_them(tmp_path):
    table = {**TABLE, "experiments": {"X": {
        "figures": ["keypoint/AP"], "train": {"SOLVER.BASE_LR": 0.1, "SOLVER.EMA": 0.5}, "steps": 6,
        "arms": {
            "a": None,
            "b": {"train": {"SOLVER.BASE_LR": 0.2}, "against": "-"},
            "c": {"against": "b", "stages": [{"share": 0.5}, {"share": 0.5, "train": {"SOLVER.EMA": 0.9}}]},
            "d": {"choose": {"train": {"SOLVER.BASE_LR": [0.3, 0.4]}}},
            "e": {"weights": "drawn", "config": "demo", "train": {"MODEL.SKELETON": "POSETRACK15"}},
        },
    }}}  # fmt: skip
    experiment = read_table(write_table(tmp_path, **table))["X"]
    a, b, c, d, e = experiment.arms.values()
    assert a.training(3).settings == {**TRAIN, "SOLVER.BASE_LR": 0.1, "SOLVER.EMA": 0.5}
    assert (a.training(3).steps, a.training(3).seed, a.training(3).start) == (6, 3, None)
    assert b.training(3).settings["SOLVER.BASE_LR"] == 0.2
    assert [experiment.reference(arm) for arm in (a, b, c, d)] == [None, None, b, a]
    last = c.training(3)
    assert (last.steps, last.start.steps) == (3, 3)
    assert (last.settings["SOLVER.EMA"], last.start.settings["SOLVER.EMA"]) == (0.9, 0.5)
    assert {value: v.train["SOLVER.BASE_LR"] for value, v in d.variants().items()} == {"0.3": 0.3, "0.4": 0.4}
    assert {v.images for v in d.variants().values()} == {TABLE["choose_images"]}
    assert e.training(3) is None
    assert e.cfg().MODEL.META_ARCHITECTURE == "GeneralizedRCNN"


def test_equal_trainings_are_one_and_others_are_not(tmp_path):
    plain, argmax, two_stages = read_table(write_table(tmp_path))["T1"].arms.values()
    assert plain.training(1).name == argmax.training(1).name
    assert len({plain.training(1).name, plain.training(2).name, two_stages.training(1).name}) == 3


def broken(change):
    table = yaml.safe_load(yaml.safe_dump(TABLE))
    change(table)
    return table


def experiment(table):
    return table["experiments"]["T1"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.update(stepps=3), "unknown field stepps; did you mean steps?"),
        (lambda t: experiment(t).update(arm={}), "T1: unknown field arm; did you mean arms?"),
        (lambda t: experiment(t)["arms"].update(b={"trian": {}}), "T1: b: unknown field trian; did you mean train?"),
        (lambda t: experiment(t)["arms"].update(b=3), "T1: b: expected a mapping, got 3"),
        (lambda t: experiment(t)["arms"].update({"a/b": {}}), "T1: a/b: a file is called after it"),
        (lambda t: experiment(t)["arms"].update(b={"against": "x"}), "T1: b: against: no arm is called 'x'"),
        (lambda t: experiment(t)["arms"].update(b={"test": {"TEST.X": 1}}), "T1: b: .*unknown configuration key TEST.X"),
        (lambda t: experiment(t)["arms"].update(b={"poses": "all"}), "T1: b: poses: expected truth, got 'all'"),
        (lambda t: experiment(t)["arms"].update(b={"stages": {"share": 1}}), "T1: b: stages: expected a list, .*got {'share': 1}"),
        (lambda t: experiment(t)["arms"].update(b={"stages": []}), r"T1: b: stages: expected a list, .*got \[\]"),
        (
            lambda t: experiment(t)["arms"].update(b={"stages": [{"share": 1}, {"shar": 1}]}),
            "T1: b: stages: 2: unknown field shar; did you mean share?",
        ),
        (
            lambda t: experiment(t)["arms"].update(b={"stages": [{"train": {}}]}),
            "T1: b: stages: 1: share: expected a number above 0, at most 1, of the steps, got None",
        ),
        (
            lambda t: experiment(t)["arms"].update(b={"stages": [{"share": 1, "train": ["SOLVER.EMA"]}]}),
            r"T1: b: stages: 1: train: expected a mapping, got \['SOLVER.EMA'\]",
        ),
        (lambda t: experiment(t).pop("figures"), "T1: expected arms and figures"),
        (lambda t: t.pop("steps"), "steps: expected in the table, the experiment or the arm, found in none"),
        (lambda t: t.pop("choose_images"), "T1: two-stages: choose: expected choose_images"),
        (lambda t: t.update(experiments=[]), "expected a mapping with experiments"),
        (
            lambda t: t.update(images="synthetic://a?seeds=899999-900000"),
            "images: expected seeds from 800000 to 899999, got 899999 to 900000",
        ),
        (
            lambda t: t.update(choose_images="synthetic://a?seeds=800000"),
            "choose_images: expected seeds from 700000 to 799999",
        ),
        (
            lambda t: t["train"].update({"DATASETS.TRAIN": ["synthetic://a?seeds=0-700000"]}),
            "DATASETS.TRAIN: expected seeds from 0 to 699999",
        ),
        (lambda t: t["train"].update({"DATASETS.TRAIN": ["mpii_train"]}), "expected synthetic://..., got mpii_train"),
    ],
)  # fmt: skip
def test_what_is_wrong_in_a_table_is_said(tmp_path, change, message):
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(broken(change)))
    with pytest.raises(InputError, match=f"tiny.yaml.*{message}"):
        read_table(path)


def test_files_that_are_no_tables(tmp_path):
    (tmp_path / "a.yaml").write_text("a: [")
    for name in ("a.yaml", "missing.yaml"):
        with pytest.raises(InputError, match=f"{name}: not a readable table of experiments"):
            read_table(tmp_path / name)
    (tmp_path / "b.yaml").write_text(yaml.safe_dump(broken(lambda table: None)) + "steps: 5\n")
    with pytest.raises(
        InputError, match=r"b\.yaml: not a readable table of experiments: steps stands there already"
    ):
        read_table(tmp_path / "b.yaml")
    (tmp_path / "c.yaml").write_bytes(b"question: \xff")
    with pytest.raises(
        InputError, match=r"c\.yaml: not a readable table of experiments: .*can't decode byte 0xff"
    ):
        read_table(tmp_path / "c.yaml")
