"""A video's labels and results in PoseTrack's formats, as files for the command that compares them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from posetrack_helpers import person

from fastpose_mtn.commands.evaluate import main

NAME = "000001_mpii_test.json"
SCORED = {"scores": [0.5] * 17}
LABELS = [[person(0, 100), person(1, 400)]] * 3
FOUND = [[person(7, 115, **SCORED), person(8, 400, **SCORED)]] * 3
POSETRACK17 = {
    "annolist": [
        {
            "image": [{"name": f"images/x/000001_mpii_test/{i:08d}.jpg"}],
            "is_labeled": [1],
            "ignore_regions": [{"point": [{"x": [x], "y": [y]} for x, y in ((0, 0), (9, 0), (9, 9))]}],
            "annorect": [
                {
                    "x1": [0], "y1": [0], "x2": [60], "y2": [80], "track_id": [3],
                    "annopoints": [{"point": [{"id": [k], "x": [50.5], "y": [60], "score": [0.5]} for k in range(15)]}],
                }
            ],
        }
        for i in range(3)
    ]
}  # fmt: skip


def write(folder: Path, gt: Any, predictions: Any, name: str = NAME) -> list[str]:
    """Two folders with a file each; returns the command's arguments."""
    for part, content in (("gt", gt), ("predictions", predictions)):
        (folder / part).mkdir(exist_ok=True)
        (folder / part / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return ["--gt", str(folder / "gt"), "--pred", str(folder / "predictions")]


def error_of(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line that the command ends with."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    return err
