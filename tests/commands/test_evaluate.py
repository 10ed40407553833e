"""``python -m fastpose_mtn.evaluation``: its tables, its file, and what it says of bad input."""

from __future__ import annotations

import copy
import json
import math
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from posetrack_helpers import file_content, person

from fastpose_mtn.commands.evaluate import main
from fastpose_mtn.evaluation.posetrack.protocol import NAMES_AND_TOTAL

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


FRAME = (
    r"/000001_mpii_test\.json: sequence 000001_mpii_test, frame {} \(images/000001_mpii_test/00000{}\.jpg\), "
)


def at_frame(frame: int) -> str:
    return FRAME.format(frame, frame).replace("{}", "")


def shuffled(content: dict[str, Any]) -> dict[str, Any]:
    return {**content, "images": content["images"][::-1]}


@pytest.mark.parametrize(
    ("gt", "predictions", "message"),
    [
        (
            file_content(LABELS),
            file_content(FOUND[:2]),
            r"/predictions/000001_mpii_test\.json: sequence 000001_mpii_test: expected 3 frames as in the ground truth, got 2",
        ),
        (
            file_content(LABELS),
            shuffled(file_content(FOUND)),
            r"frame 0 \(images/000001_mpii_test/000002\.jpg\), file_name: expected images/000001_mpii_test/000000\.jpg "
            r"as in the ground truth; the frames are in another order, sort them as there",
        ),
        (
            file_content(LABELS),
            file_content([*FOUND[:2], [person(7, 100), person(7, 300)]]),
            at_frame(2) + r"track_id: expected an id of its own for each person, got 7 more than once",
        ),
        (
            file_content(LABELS, regions={1: [[[0, 0], [5, 5]]]}),
            file_content(FOUND),
            at_frame(1) + r"ignore_regions\[0\]: expected a polygon of 3 points or more, got 2",
        ),
        (
            file_content([[{k: v for k, v in person(0, 100).items() if k != "bbox_head"}]] * 3),
            file_content(FOUND),
            at_frame(0)
            + r"person 0, bbox_head \[x, y, width, height\] \(PoseTrack17: .*\): expected a head box",
        ),
        (
            file_content(LABELS),
            file_content([FOUND[0], [person(None, 100, **SCORED)], FOUND[2]]),  # type: ignore[arg-type]
            at_frame(1)
            + r"person 0, track_id: expected the person's id, got none; add ids, or evaluate AP alone: --ap-only",
        ),
        (
            file_content([[person(i, 100, bbox_head=[9, 9, 0, 0]) for i in (0, 1)]] * 3),
            file_content(FOUND),
            at_frame(0)
            + r"person 0, bbox_head .*: expected a box with an extent, .* got one without for 6 of 6 "
            "labelled people; nobody could be found: label the heads' boxes",
        ),
        (
            file_content(LABELS),
            file_content([FOUND[0], [person(1, math.nan)], FOUND[2]]),
            at_frame(1) + r"annotations\[2\]\.bbox_head\[0\]: expected a finite number, got NaN",
        ),
    ],
    ids=["frames", "order", "ids", "polygon", "head", "no id", "heads without extent", "nan"],
)
def test_what_cannot_be_compared_is_named(
    gt: Any, predictions: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:

    assert re.search(message, error_of(write(tmp_path, gt, predictions), capsys))


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


def test_labels_of_nobody_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(write(tmp_path, file_content([[]] * 3), file_content(FOUND)))
    assert "gt: nobody is labelled in any frame: there is nothing to compare with" in capsys.readouterr().err


def test_missing_files_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = write(tmp_path, file_content(LABELS), file_content(FOUND))
    write(tmp_path, file_content(LABELS), file_content(FOUND), "000002_mpii_test.json")
    (tmp_path / "predictions" / "000002_mpii_test.json").unlink()
    error = error_of(arguments, capsys)
    assert (
        "predictions: expected a prediction for each of the 2 sequences, got none for 000002_mpii_test.json"
        in error
    )
    assert "nowhere: expected a folder of PoseTrack files, or one (gt), got none" in error_of(
        ["--gt", str(tmp_path / "nowhere"), *arguments[2:]], capsys
    )
    (tmp_path / "empty").mkdir()
    assert "empty: expected the ground truth's sequences (.json), got none" in error_of(
        ["--gt", str(tmp_path / "empty"), *arguments[2:]], capsys
    )
    assert "workers: expected 1 or more, got 0" in error_of([*arguments, "--workers", "0"], capsys)
    assert "the following arguments are required: --pred" in error_of(arguments[:2], capsys)


@pytest.mark.parametrize(
    ("gt", "predictions", "message"),
    [
        (
            file_content(LABELS),
            file_content([[person(7, 115)]] * 3),
            "person 0, scores: expected a score for each joint, got none for 45 joints of this sequence",
        ),
        (
            file_content([[person(0, 100), person(0, 400)]] * 3),
            file_content(FOUND),
            "gt/000001_mpii_test.json: sequence 000001_mpii_test, frame 0 (images/000001_mpii_test/000000.jpg), "
            "track_id: expected an id of its own for each person, got 0 more than once; identity figures",
        ),
        (
            file_content(LABELS),
            file_content([]),
            "expected 3 frames, got none; evaluated as a prediction of nobody",
        ),
        (
            file_content([[person(0, 100), person(1, 400, bbox_head=[9, 9, 0, 0])]] * 3),
            file_content(FOUND),
            "person 1, bbox_head [x, y, width, height] (PoseTrack17: x1, y1, x2, y2): expected a box with an extent, "
            "which PCKh's scale is measured on, got one without for 3 of 6 labelled people; they count as never found",
        ),
        (
            file_content([[person(0, 100, bbox_head=[400, 300, 460, 380])]] * 3),  # corners
            file_content(FOUND),
            "expected heads of 0.03 to 1.2 of the people's boxes, got 5.5 in the middle (diagonals); AP and MOTA mean "
            "little then: are they in pixels, and in this order?",
        ),
        (
            file_content(LABELS),
            file_content([[]] * 3),
            f"{NAME}: nobody is predicted in it; each frame counts as a miss and a false positive of every joint",
        ),
        (
            file_content(LABELS),
            file_content([[person(7, 0.25, 0.5, **SCORED)]] * 3),
            f"{NAME}: keypoints: expected pixels, got numbers of at most 0.5 throughout; multiply shares",
        ),
    ],
    ids=[
        "no scores",
        "ids of the ground truth",
        "no frames",
        "some heads without extent",
        "corners",
        "nobody",
        "shares",
    ],
)
def test_what_poseval_lets_pass_gets_a_warning(
    gt: Any, predictions: Any, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(write(tmp_path, gt, predictions))
    out, err = capsys.readouterr()
    assert "MOTA" in out
    assert err.startswith("warning: ")
    assert message in err


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


def test_a_sequence_too_many_gets_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = write(tmp_path, file_content(LABELS), file_content(FOUND))
    for name in ("000009_mpii_test.json", "000001_mpii_test.coco.json"):  # the second is another format's
        (tmp_path / "predictions" / name).write_text("[]")
    main(arguments)
    err = capsys.readouterr().err
    assert err == (
        f"warning: {tmp_path / 'predictions'}: no ground truth for 000009_mpii_test.json; not evaluated\n"
    )


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
