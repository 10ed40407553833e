"""``python -m fastpose_mtn.evaluation``: its tables, its file, and what it compares."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from evaluated_files import FOUND, LABELS, NAME, SCORED, error_of, write
from posetrack_helpers import file_content, person

from fastpose_mtn.commands.evaluate import main
from fastpose_mtn.evaluation.posetrack.protocol import NAMES_AND_TOTAL


def test_the_tables_and_the_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = write(tmp_path, file_content(LABELS), file_content(FOUND))
    main([*arguments, "--output", str(tmp_path / "out")])
    out, err = capsys.readouterr()
    assert err == ""
    lines = [line.split() for line in out.splitlines()]
    assert "1 sequences, 3 frames, 3 of them labelled" in out
    assert ["Head", "Shou", "Elb", "Wri", "Hip", "Knee", "Ankl", "Total"] in lines
    assert ["AP"] + ["100.0"] * 8 in lines
    # MOTP: of 4 matches two are a quarter of a head away, each counted twice: 1 - 4 x 0.25 / 4.
    assert ["MOTA"] + ["100.0"] * 8 + ["75.0", "100.0", "100.0"] in lines
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    for key in ("ap", "ap_precision", "ap_recall", "mota", "motp", "precision", "recall"):
        assert tuple(metrics[key]) == NAMES_AND_TOTAL
    assert metrics["motp"]["neck"] == 75.0
    assert metrics["idf1"] == 100.0
    # A quarter of a head away is a similarity of 0.75: the 15 thresholds up to it; the other person's all 19.
    deta = (15 * 1 + 4 * (2 / 6)) / 19
    assert metrics["deta"] == pytest.approx(100 * deta)
    assert metrics["num_objects"] == 60
    assert metrics["num_switches"] == metrics["num_false_positives"] == metrics["num_misses"] == 0
    assert metrics["joints"]["num_objects"]["nose"] == 4
    assert metrics["boxes"]["num_objects"] == 4
    assert metrics["boxes"]["mota"] == 0.0  # 15 of 40 pixels aside: an overlap of 25 / 55 is a miss
    (sequence,) = metrics.pop("sequences").items()
    assert sequence == ("000001_mpii_test", {k: v for k, v in metrics.items() if k != "warnings"})
    assert metrics["warnings"] == []


def test_latex_is_posevals(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main([*write(tmp_path, file_content(LABELS), file_content(FOUND)), "--latex"])
    rows = [line for line in capsys.readouterr().out.splitlines() if line.startswith("&")]
    assert rows == [
        r"& Head & Shou & Elb  & Wri  & Hip  & Knee & Ankl & Total\\",
        r"&100.0 &100.0 &100.0 &100.0 &100.0 &100.0 &100.0 &100.0 \\",
        r"& MOTA & MOTA & MOTA & MOTA & MOTA & MOTA & MOTA & MOTA & MOTP & Prec & Rec  \\",
        r"& Head & Shou & Elb  & Wri  & Hip  & Knee & Ankl & Total& Total& Total& Total\\",
        r"&100.0 &100.0 &100.0 &100.0 &100.0 &100.0 &100.0 &100.0 & 75.0 &100.0 &100.0 \\",
    ]


def test_nan_is_null_in_the_file_and_a_dash_in_the_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main([*write(tmp_path, file_content([[]]), file_content([[]])), "--output", str(tmp_path / "out")])
    assert "MOTA       -" in capsys.readouterr().out
    text = (tmp_path / "out" / "metrics.json").read_text()
    assert "NaN" not in text
    assert json.loads(text)["mota"]["total"] is None


def test_it_runs_as_a_module(tmp_path: Path) -> None:
    arguments = write(tmp_path, "[", file_content(FOUND))
    done = subprocess.run(
        [sys.executable, "-m", "fastpose_mtn.evaluation", *arguments], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"error: {tmp_path / 'gt' / NAME}: expected JSON, got 1 bytes")
    assert done.stderr.count("\n") == 1


def test_a_file_is_compared_with_a_file_whatever_their_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, content in (("labels.json", LABELS), ("walk.json", FOUND)):
        (tmp_path / name).write_text(json.dumps(file_content(content)))
    main(
        [
            "--gt",
            str(tmp_path / "labels.json"),
            "--pred",
            str(tmp_path / "walk.json"),
            "--output",
            str(tmp_path),
        ]
    )
    out, err = capsys.readouterr()
    assert ("1 sequences, 3 frames, 3 of them labelled" in out, err) == (True, "")
    assert (tmp_path / "report.html").exists()


def named(people: list[list[dict[str, Any]]], folder: str, **fields: int) -> Any:
    """A file whose images lie in ``folder``, with more fields for each image."""
    content = file_content(people)
    for image in content["images"]:
        image["file_name"] = f"{folder}{Path(image['file_name']).name}"
        image.update(fields)
    return content


@pytest.mark.parametrize(
    ("gt", "predictions", "message"),
    [
        (
            named(LABELS, "images/walk/"),
            named(FOUND, "images/run/"),
            "its frames lie in a folder run, the ground truth's in walk",
        ),
        (
            named(LABELS, "clips\\walk\\"),
            named([*FOUND, *FOUND], "walk2/"),
            "its frames lie in a folder walk2, the ground truth's in walk",
        ),
        (
            named(LABELS, "images/walk/", width=640, height=360),
            named(FOUND, "images/walk/", width=1280, height=720),
            "its frames have 1280x720 pixels, the ground truth's 640x360",
        ),
    ],
    ids=["folders", "some of the frames", "sizes"],
)
def test_files_of_two_videos_are_told(
    gt: Any, predictions: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(write(tmp_path, gt, predictions))
    err = capsys.readouterr().err
    assert f"{message}; if these are two videos, the figures mean nothing" in err


@pytest.mark.parametrize(
    ("gt", "predictions"),
    [
        (named(LABELS, "frames/"), named(FOUND, "images/walk/")),
        (named(LABELS, "images/walk/"), named(FOUND, "")),
        (named(LABELS, "images/bonn/000001_mpii/"), named(FOUND, "images/000001_mpii_test/")),
        (named(LABELS, "a/walk/", width=640, height=360), named(FOUND, "b/walk/", width=640, height=360)),
        (named(LABELS, "walk/", width=640, height=360), named(FOUND, "walk/")),
    ],
    ids=["any folder", "no folder", "PoseTrack17's", "elsewhere", "no size"],
)
def test_files_of_one_video_are_not(
    gt: Any, predictions: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(write(tmp_path, gt, predictions))
    assert capsys.readouterr().err == ""


def test_labels_of_some_of_the_frames_are_compared_with_these(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Somebody labels every other frame; the results are of all, with people elsewhere in the others."""
    people = [[person(7, 100, **SCORED)], [person(8, 900, **SCORED)]] * 3
    labels = file_content([[person(0, 100)]] * 3)
    for image, number in zip(labels["images"], (0, 2, 4), strict=True):
        image["file_name"] = f"frames\\{number}.png"
    main([*write(tmp_path, labels, file_content(people)), "--output", str(tmp_path / "out")])
    out, err = capsys.readouterr()
    assert "3 of its 6 frames are in the ground truth, paired by file_name; the others are not" in err
    assert "1 sequences, 3 frames, 3 of them labelled" in out
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics["ap"]["total"] == metrics["mota"]["total"] == 100.0
    assert (tmp_path / "out" / "report.html").is_file()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (
            ["000000.jpg", "000007.jpg"],
            "got 3, and none of them is 000007.jpg; labels of some of the frames need",
        ),
        (
            ["000002.jpg", "000000.jpg"],
            "frame 1 (000000.jpg), file_name: the frames are in another order than in",
        ),
        (["", ""], "got 3, and their file_name does not tell which is which"),
        (["000001.jpg", "1.jpg"], "got 3, and their file_name does not tell which is which"),
        (["a.jpg"] * 4, "got 3, for example not a.jpg; frames without people must be there too"),
    ],
)
def test_labels_of_frames_that_are_not_there_are_named(
    names: list[str], message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = file_content([[person(0, 100)]] * len(names))
    for image, name in zip(labels["images"], names, strict=True):
        image["file_name"] = name
    assert message in error_of(write(tmp_path, labels, file_content(FOUND)), capsys)


def test_ap_alone_needs_no_track_ids(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    labels, found = file_content(LABELS), file_content(FOUND)
    for content in (labels, found):
        for annotation in content["annotations"]:
            del annotation["track_id"]
    arguments = [*write(tmp_path, labels, found), "--output", str(tmp_path / "out")]
    assert (
        "track_id: expected the person's id, got none; add ids, or evaluate AP alone: --ap-only"
        in error_of(arguments, capsys)
    )
    main([*arguments, "--ap-only"])
    out, err = capsys.readouterr()
    assert err == ""
    assert "MOTA" not in out
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert (metrics["ap"]["total"], metrics["mota"]["total"]) == (100.0, None)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["metrics.json"]


@pytest.mark.parametrize("form", ["posetrack", "mot"])
def test_a_file_where_the_folder_of_figures_is_to_be_is_told_before_any_work(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    (tmp_path / "scores").write_text("taken")
    error = error_of(
        ["--gt", "absent", "--pred", "absent", "--output", str(tmp_path / "scores"), "--format", form], capsys
    )
    assert (
        f"output folder {tmp_path}/scores: cannot be written to: File exists; choose another with --output"
        in error
    )
