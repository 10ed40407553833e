"""What evaluation says of files that it cannot compare, or doubts."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import pytest
from evaluated_files import FOUND, LABELS, NAME, SCORED, error_of, write
from posetrack_helpers import file_content, person

from fastpose_mtn.commands.evaluate import main

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
        (
            file_content(LABELS),
            file_content([[person(7, 3000, **SCORED)]] * 3),
            f"{NAME}: sequence 000001_mpii_test: no joint of its 3 people is near that of a labelled one; are they of",
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
        "elsewhere",
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


def test_a_sequence_too_many_gets_a_warning(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = write(tmp_path, file_content(LABELS), file_content(FOUND))
    for name in ("000009_mpii_test.json", "000001_mpii_test.coco.json"):  # the second is another format's
        (tmp_path / "predictions" / name).write_text("[]")
    main(arguments)
    err = capsys.readouterr().err
    assert err == (
        f"warning: {tmp_path / 'predictions'}: no ground truth for 000009_mpii_test.json; not evaluated\n"
    )
