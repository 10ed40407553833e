"""Experiments as their tables describe them: arms, how each is trained and tested, what it is compared with.

A table is a YAML file of ``benchmarks/experiments``::

    config: MSPN-micro            # that everything starts from
    steps: 4000                   # of a training
    train: {KEY: VALUE}           # of every training
    test: {KEY: VALUE}            # of every test
    images: synthetic://...           # the test's images
    experiments:
      E1:
        question: what it is to show
        paper: what the paper says
        figures: [keypoint/AP]    # see experiment_figures.FIGURES
        arms:                     # the first one is what the others are compared with
          plain: {}
          other: {train: {KEY: VALUE}, test: {KEY: VALUE}}

An experiment may have ``config``, ``steps``, ``train``, ``test`` and ``images`` of its own, and so may an arm. An arm may
have, besides: ``against``, another arm to compare it with, or ``"-"``, none; ``stages``, trainings after one another, each from the
weights of the one before, ``[{share: 0.7, train: {...}}, {share: 0.3}]``; ``weights``, that are tested as they are;
``poses: truth``, whose people are those of the labels after the network's suppression; and ``choose``, ``{train: {KEY:
[VALUE, ...]}}`` or ``{test: ...}``: for each seed the value is taken that gives the best first figure on ``choose_images``.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from fastpose_mtn.config import CfgNode, get_cfg
from fastpose_mtn.config.files import read_yaml
from fastpose_mtn.data.synthetic import FIRST_ACCEPTANCE_SEED
from fastpose_mtn.data.synthetic.images import SyntheticSpec
from fastpose_mtn.errors import InputError, did_you_mean

FOLDER = Path(__file__).parent / "experiments"
# Scenes by their seeds: below these train, below those choose; from there on, below FIRST_ACCEPTANCE_SEED, they test.
FIRST_TO_CHOOSE, FIRST_TO_TEST = 700_000, 800_000

Settings = Mapping[str, Any]  # values by keys with dots
_SHARED = {"config", "steps", "train", "test", "images", "choose_images"}
_OF_EXPERIMENT = {"question", "paper", "figures", "arms"}
_OF_ARM = {"against", "stages", "weights", "poses", "choose"}
_OF_STAGE = {"share", "train"}
NOTHING = "-"  # against nothing
_NAME = re.compile(r"[\w.+=-]+")


@dataclass(frozen=True)
class Training:
    """One training; equal ones are made once, whichever arms need them.

    Attributes:
        config: name of the configuration.
        settings: on top of it.
        steps: how many.
        seed: of everything random.
        start: whose weights it starts from; None: those of the configuration.
    """

    config: str
    settings: Settings
    steps: int
    seed: int
    start: Training | None = None

    @property
    def name(self) -> str:
        """Of its folder; trainings that differ in anything have different ones."""
        return hashlib.sha256(json.dumps(self.described(), sort_keys=True).encode()).hexdigest()[:16]

    def described(self) -> dict[str, Any]:
        """All that makes it what it is."""
        return {
            "config": self.config,
            "settings": dict(self.settings),
            "steps": self.steps,
            "seed": self.seed,
            "start": self.start.described() if self.start else None,
        }


@dataclass(frozen=True)
class Arm:
    """One row of an experiment; the module's docstring says what its attributes mean."""

    name: str
    config: str
    steps: int
    images: str
    train: Settings = field(default_factory=dict)
    test: Settings = field(default_factory=dict)
    choose_images: str = ""
    against: str = ""
    stages: tuple[Mapping[str, Any], ...] = ({"share": 1.0},)
    weights: str = ""
    poses: str = ""
    choose: Mapping[str, Mapping[str, list[Any]]] = field(default_factory=dict)

    @property
    def trained(self) -> bool:
        """Whether it is: others are the same for every seed."""
        return not self.weights and not self.poses

    def training(self, seed: int) -> Training | None:
        """Its last training; None: it has none."""
        if not self.trained:
            return None
        last: Training | None = None
        for stage in self.stages:
            settings = {**self.train, **stage.get("train", {})}
            last = Training(
                self.config, settings, max(1, round(self.steps * stage["share"])), seed, start=last
            )
        return last

    def variants(self) -> dict[str, Arm]:
        """The arms that ``choose`` chooses among, by their values; none where there is nothing to choose."""
        return {
            str(value): replace(
                self, choose={}, images=self.choose_images, **{part: {**getattr(self, part), key: value}}
            )
            for part, keys in self.choose.items()
            for key, values in keys.items()
            for value in values
        }

    def cfg(self) -> CfgNode:
        """The configuration that it is tested with, without weights."""
        settings = dict(self.train)
        for stage in self.stages:
            settings |= stage.get("train", {})
        return configured(self.config, {**settings, **self.test})


@dataclass(frozen=True)
class Experiment:
    """Arms that answer a question."""

    name: str
    question: str
    paper: str
    figures: tuple[str, ...]
    arms: Mapping[str, Arm]

    def reference(self, arm: Arm) -> Arm | None:
        """What an arm is compared with; None: nothing."""
        first = next(iter(self.arms))
        return None if arm.against == NOTHING or arm.name == first else self.arms[arm.against or first]


def configured(config: str, settings: Settings) -> CfgNode:
    """A configuration with settings on top.

    Raises:
        ValueError: there is no such configuration or key, or a value cannot be used.
    """
    cfg = get_cfg()
    cfg.merge_from_file(config)
    cfg.merge_from_list([part for pair in settings.items() for part in pair])
    return cfg


def read_table(path: Path) -> dict[str, Experiment]:
    """The experiments of a table, by their names.

    Raises:
        InputError: the file cannot be meant; names file, experiment, arm and field.
    """
    try:
        with path.open(encoding="utf-8") as file:
            table = read_yaml(file)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not a readable table of experiments: {error}") from error
    if not isinstance(table, dict) or not isinstance(table.get("experiments"), dict):
        raise InputError(f"{path}: expected a mapping with experiments, as {__name__} says")
    _check(table, _SHARED | {"experiments"}, str(path))
    return {
        name: _experiment(name, own, table, f"{path}: {name}") for name, own in table["experiments"].items()
    }


def _experiment(name: str, own: dict[str, Any], table: dict[str, Any], place: str) -> Experiment:
    _check(own, _SHARED | _OF_EXPERIMENT, place)
    if not own.get("arms") or not own.get("figures"):
        raise InputError(f"{place}: expected arms and figures")
    arms = {key: _arm(key, arm or {}, [table, own], f"{place}: {key}") for key, arm in own["arms"].items()}
    for arm in arms.values():
        if arm.against and arm.against not in (NOTHING, *arms):
            raise InputError(f"{place}: {arm.name}: against: no arm is called {arm.against!r}")
    return Experiment(name, own.get("question", ""), own.get("paper", ""), tuple(own["figures"]), arms)


def _arm(name: str, own: dict[str, Any], above: list[dict[str, Any]], place: str) -> Arm:
    _check(own, _SHARED | _OF_ARM, place)
    if not _NAME.fullmatch(name):
        raise InputError(f"{place}: a file is called after it: letters, digits and -_.+= only")
    values: dict[str, Any] = {}
    for part in (*above, own):
        for key in _SHARED & part.keys():
            values[key] = {**values.get(key, {}), **part[key]} if key in ("train", "test") else part[key]
    values |= {key: own[key] for key in _OF_ARM & own.keys()}
    values["stages"] = _stages(values.get("stages", [{"share": 1.0}]), place)
    for missing in {"config", "steps", "images"} - values.keys():
        raise InputError(
            f"{place}: {missing}: expected in the table, the experiment or the arm, found in none"
        )
    if values.get("poses", "truth") != "truth":
        raise InputError(f"{place}: poses: expected truth, got {values['poses']!r}")
    if values.get("choose") and not values.get("choose_images"):
        raise InputError(f"{place}: choose: expected choose_images, the images to choose on")
    arm = Arm(name=name, **values)
    try:
        cfg = arm.cfg()
    except ValueError as error:
        raise InputError(f"{place}: {error}") from error
    if arm.trained:
        for address in cfg.DATASETS.TRAIN:
            _check_seeds(address, 0, FIRST_TO_CHOOSE, f"{place}: DATASETS.TRAIN")
    if arm.choose_images:
        _check_seeds(arm.choose_images, FIRST_TO_CHOOSE, FIRST_TO_TEST, f"{place}: choose_images")
    _check_seeds(arm.images, FIRST_TO_TEST, FIRST_ACCEPTANCE_SEED, f"{place}: images")
    return arm


def _stages(own: object, place: str) -> tuple[Mapping[str, Any], ...]:
    if not isinstance(own, list) or not own:
        raise InputError(
            f"{place}: stages: expected a list, [{{share: 0.7, train: {{...}}}}, ...], got {own!r}"
        )
    for number, stage in enumerate(own, 1):
        where = f"{place}: stages: {number}"
        _check(stage, _OF_STAGE, where)
        share = stage.get("share")
        if isinstance(share, bool) or not isinstance(share, (int, float)) or not 0 < share <= 1:
            raise InputError(
                f"{where}: share: expected a number above 0, at most 1, of the steps, got {share!r}"
            )
        if not isinstance(stage.get("train", {}), dict):
            raise InputError(f"{where}: train: expected a mapping, got {stage['train']!r}")
    return tuple(own)


def _check(own: object, known: set[str], place: str) -> None:
    if not isinstance(own, dict):
        raise InputError(f"{place}: expected a mapping, got {own!r}")
    for key in own.keys() - known:
        raise InputError(f"{place}: unknown field {key}{did_you_mean(str(key), sorted(known))}")


def _check_seeds(address: str, low: int, high: int, place: str) -> None:
    """Drawn scenes must be of those that are meant for this."""
    if not address.startswith("synthetic://"):
        raise InputError(f"{place}: expected synthetic://..., got {address}")
    first, last = SyntheticSpec.parse(address).seeds
    if first < low or last >= high:
        raise InputError(f"{place}: expected seeds from {low} to {high - 1}, got {first} to {last}")
