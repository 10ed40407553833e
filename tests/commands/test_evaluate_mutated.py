"""Evaluation of files that are damaged at random."""

from __future__ import annotations

import copy
import json
import math
import random
from pathlib import Path
from typing import Any

import pytest
from evaluated_files import FOUND, LABELS, POSETRACK17, write
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from posetrack_helpers import file_content

from fastpose_mtn.commands.evaluate import main

VALUES: list[Any] = [
    None, True, 0, -1, 1e308, 10**30, 3.5, math.nan, math.inf, "", "x", "12", [], {}, [[]], [None], [1, 2], {"a": 1},
]  # fmt: skip


def mutated(content: Any, rng: random.Random) -> Any:
    """A copy with one to three values replaced, removed, repeated, added or put in another order."""
    content = copy.deepcopy(content)
    for _ in range(rng.randint(1, 3)):
        parent, key, node = None, None, content
        for _ in range(rng.randint(1, 8)):
            if not isinstance(node, (dict, list)) or not node:
                break
            parent, key = node, rng.choice(list(node) if isinstance(node, dict) else range(len(node)))
            node = parent[key]
        if parent is None:
            return rng.choice(VALUES)
        action = rng.choice(["replace", "replace", "replace", "remove", "repeat", "shuffle", "add"])
        if action == "remove":
            del parent[key]
        elif action == "repeat" and isinstance(parent, list):
            parent.insert(key, copy.deepcopy(node))
        elif action == "shuffle" and isinstance(parent, list):
            rng.shuffle(parent)
        elif action == "add" and isinstance(parent, dict):
            parent[rng.choice(["score", "scores", "ignore_regions", "track_id", "id", "bbox"])] = rng.choice(
                VALUES
            )
        else:
            parent[key] = copy.deepcopy(rng.choice(VALUES))
    return content


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    seed=st.integers(0, 2**32),
    part=st.sampled_from(["gt", "predictions"]),
    old=st.booleans(),
    cut=st.floats(0, 8),
    report=st.sampled_from([True, False, False, False]),
)
@pytest.mark.filterwarnings("error::RuntimeWarning")
def test_a_mutated_file_ends_in_a_result_or_in_one_line(
    seed: int,
    part: str,
    old: bool,
    cut: float,
    report: bool,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    regions = {0: [[[0, 0], [50, 0], [50, 50]]]}
    files = {"gt": POSETRACK17 if old else file_content(LABELS, regions), "predictions": file_content(FOUND)}
    if old and part == "predictions":
        files["predictions"] = POSETRACK17
    text = json.dumps(mutated(files[part], random.Random(seed)))
    files[part] = text[: int(len(text) * cut)]  # type: ignore[assignment]
    arguments = write(tmp_path, files["gt"], files["predictions"])
    if report:
        arguments += ["--output", str(tmp_path / "out")]
    capsys.readouterr()
    status: Any = 0
    try:
        main(arguments)
    except SystemExit as ended:
        status = ended.code
    out, err = capsys.readouterr()
    if status:
        assert (status, out, err.count("\n"), err[:7]) == (2, "", 1, "error: ")
        assert str(tmp_path) in err
    else:
        assert "AP" in out
        assert all(line.startswith("warning: ") for line in err.splitlines())
