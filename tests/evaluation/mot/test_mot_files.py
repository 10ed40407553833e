"""MOTChallenge's files: what is read, and what is refused by name."""

from pathlib import Path

import pytest

from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.mot.files import read_ground_truth, read_results
from fastpose_mtn.evaluation.mot.sequences import evaluate_mot


def write(path: Path, *lines: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(lines) + "\n")
    return path


def test_boxes_come_in_the_frames_order(tmp_path: Path) -> None:
    read = read_results(write(tmp_path / "a.txt", "2,5,10,20,30,40,0.5", "", "1,7,1,2,3,4,0.9"))
    assert read.frame.tolist() == [1, 2]
    assert read.ids.tolist() == [7, 5]
    assert read.boxes.tolist() == [[1, 2, 4, 6], [10, 20, 40, 60]]
    spaced = read_results(write(tmp_path / "b.txt", "1 7 1 2 3 4 0.9"))
    assert spaced.boxes.tolist() == [[1, 2, 4, 6]]


def test_ground_truth_has_classes_and_people_that_do_not_count(tmp_path: Path) -> None:
    read = read_ground_truth(write(tmp_path / "gt.txt", "1,1,0,0,9,9,1,1,1", "1,2,0,0,9,9,0,8,0.2"))
    assert read.counts.tolist() == [True, False]
    assert read.classes is not None
    assert read.classes.tolist() == [1, 8]
    assert read_ground_truth(write(tmp_path / "old.txt", "1,1,0,0,9,9,1,-1,-1,-1")).classes is None
    # as TrackEval, which reads whole numbers
    assert read_ground_truth(write(tmp_path / "sure.txt", "1,1,0,0,9,9,0.9,1,1")).counts.tolist() == [False]


def test_mot15_may_have_places_in_the_world_for_classes(tmp_path: Path) -> None:
    gt = write(tmp_path / "gt.txt", "1,1,0,0,9,9,1,-6.9,-3.5,0", "2,1,0,0,9,9,1,-6.8,-3.5,0")
    with pytest.raises(InputError, match=r"expected a class of 1 to 13 .* got -6.9; .* --benchmark MOT15"):
        evaluate_mot(gt, gt)
    found = write(tmp_path / "found.txt", "1,5,0,0,9,9,1", "2,5,0,0,9,9,1")
    assert evaluate_mot(gt, found, benchmark="MOT15")["found"]["MOTA"] == 100.0


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("1,2,3,4", "line 2: expected frame,id,left,top,width,height,score, got 4 columns"),
        ("1,2,3,4,x,6,1", "line 2: expected .* all of them numbers, got 'x'"),
        ("1;2;3;4;5;6;1", "line 2: .* 1 columns: 1;2;3;4;5;6;1; separate them by commas"),
        ("1;2;3,5;4;5;6;1,2,3,4,5,6", "line 2: .* got '1;2;3'; separate them by commas"),
        ("1,2,3,4,nan,6,1", "line 2: expected finite numbers"),
        ("0,2,3,4,5,6,1", "expected frames from 1, got 0"),
        ("1.5,2,3,4,5,6,1", "expected a whole number as frame, got 1.5"),
        ("1,2,3,4,-5,6,1", "expected a width and height of 0 or more"),
        ("1,1,3,4,5,6,1", "id 1 stands twice in frame 1"),
        ("1,2,3,4,5,6,1,7", "line 2: expected 7 columns as in the lines before, got 8"),
        (
            "1,-1,3,4,5,6,1\n1,-1,9,9,5,6,1",
            "several boxes of frame 1 have the id -1, as detections that nobody",
        ),
    ],
)
def test_a_wrong_line_is_named(line: str, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "results.txt", "1,1,0,0,9,9,1", line)
    with pytest.raises(InputError, match=message) as error:
        read_results(path)
    assert str(path) in str(error.value)


def test_files_that_do_not_belong_together(tmp_path: Path) -> None:
    gt = write(tmp_path / "data" / "walk" / "gt" / "gt.txt", "1,1,0,0,9,9,1,1,1", "2,1,0,0,9,9,1,1,1")
    later = write(tmp_path / "later.txt", "7,1,0,0,9,9,1")
    with pytest.raises(InputError, match=r"none of its frames 7 to 7 is labelled in .* \(1 to 2\)"):
        evaluate_mot(gt, later)
    write(tmp_path / "data" / "walk" / "seqinfo.ini", "[Sequence]", "seqLength=2")
    for _ in range(2):
        with pytest.raises(
            InputError, match="1 boxes are beyond frame 2, the sequence's last, first in frame 7"
        ):
            evaluate_mot(gt, later)
        info = tmp_path / "data" / "walk" / "seqinfo.ini"
        info.write_bytes(b"\xef\xbb\xbf" + info.read_bytes().replace(b"\n", b"\r\n"))  # as Windows' editors
    with pytest.raises(InputError, match=r"expected walk.txt, the results of .* 1 of 1 are missing"):
        evaluate_mot(tmp_path / "data", tmp_path / "data")
    with pytest.raises(InputError, match="has no classes in column 8"):
        evaluate_mot(write(tmp_path / "gt.txt", "1,1,0,0,9,9,1,-1,-1,-1"), later, benchmark="MOT20")


def test_what_is_found_after_the_labels_is_told_and_counts(tmp_path: Path) -> None:
    gt = write(tmp_path / "gt.txt", "1,1,0,0,9,9,1,1,1")
    notes: list[str] = []
    figures = evaluate_mot(
        gt, write(tmp_path / "walk.txt", "1,4,0,0,9,9,1", "5,4,0,0,9,9,1"), warn=notes.append
    )
    assert figures["walk"]["FP"] == 1
    assert figures["walk"]["MOTA"] == 0.0
    assert len(notes) == 1
    assert "1 boxes are after frame 1" in notes[0]
    empty = evaluate_mot(gt, write(tmp_path / "empty.txt", ""), warn=notes.append)
    assert empty["empty"]["FN"] == 1
    assert "nobody is found" in notes[1]


@pytest.mark.parametrize("lines", [(), ("1,1,0,0,9,9,0,1,1", "7,1,0,0,9,9,0,1,1")])
@pytest.mark.parametrize("benchmark", [None, "MOT15", "MOT17"])
def test_where_nobody_is_labelled_everybody_found_is_a_false_positive(
    lines: tuple[str, ...], benchmark: str | None, tmp_path: Path
) -> None:
    gt = write(tmp_path / "gt.txt", *lines)
    found = write(tmp_path / "found.txt", "7,4,50,50,9,9,1")
    notes: list[str] = []
    figures = evaluate_mot(gt, found, benchmark=benchmark, warn=notes.append)["found"]
    assert [figures[name] for name in ("MOTA", "HOTA", "IDF1", "FP")] == [0.0, 0.0, 0.0, 1]
    assert len(notes) == 1
    assert "gt.txt: nobody is labelled in it; is it the ground truth?" in notes[0]


def test_a_sequence_of_known_length_may_be_found_in_other_frames_alone(tmp_path: Path) -> None:
    gt = write(tmp_path / "walk" / "gt" / "gt.txt", "1,1,0,0,9,9,1,1,1")
    write(tmp_path / "walk" / "seqinfo.ini", "[Sequence]", "seqLength=9")
    notes: list[str] = []
    figures = evaluate_mot(gt, write(tmp_path / "found.txt", "7,4,0,0,9,9,1"), warn=notes.append)["found"]
    assert (figures["FP"], figures["FN"], figures["frames"]) == (1, 1, 9)
    assert len(notes) == 1
    assert "none of its frames 7 to 7 is labelled" in notes[0]


def test_boxes_in_other_units_or_as_corners_are_told(tmp_path: Path) -> None:
    """Both would give figures near 0, or half, without a word."""
    gt = write(tmp_path / "gt.txt", "1,1,10,10,20,40,1,1,1", "2,1,12,10,20,40,1,1,1")
    shares = write(tmp_path / "shares.txt", "1,1,0.1,0.1,0.2,0.4,1", "2,1,0.1,0.1,0.2,0.4,1")
    with pytest.raises(
        InputError, match=r"shares.txt: width, height: expected pixels, got numbers of at most 0.4"
    ):
        evaluate_mot(gt, shares)
    notes: list[str] = []
    corners = write(tmp_path / "corners.txt", "1,1,10,10,30,50,1", "2,1,12,10,32,50,1")
    evaluate_mot(gt, corners, warn=notes.append)
    assert [note.partition(": ")[2][:70] for note in notes] == [
        "the boxes fit the labels better as left, top, right, bottom than as le"
    ]
    evaluate_mot(
        gt, write(tmp_path / "good.txt", "1,1,10,10,20,40,1", "2,1,12,10,21,41,1"), warn=notes.append
    )
    assert len(notes) == 1


def test_labels_as_corners_and_boxes_that_meet_nobody_are_told(tmp_path: Path) -> None:
    lines = ["1,1,100,100,20,40,1,1,1", "2,1,102,100,20,40,1,1,1"]
    gt = write(tmp_path / "gt.txt", *lines)
    corners = write(tmp_path / "corners.txt", "1,1,100,100,120,140,1,1,1", "2,1,102,100,122,140,1,1,1")
    good = write(tmp_path / "good.txt", "1,1,100,100,20,40,1", "2,1,102,100,20,40,1")
    centres = write(tmp_path / "centres.txt", "1,1,110,120,20,40,1", "2,1,112,120,20,40,1")
    notes: list[str] = []
    evaluate_mot(gt, good, warn=notes.append)
    assert notes == []
    evaluate_mot(corners, good, warn=notes.append)
    assert notes[-1].startswith(f"{corners}: the boxes fit the results better as left, top, right, bottom")
    evaluate_mot(gt, centres, warn=notes.append)
    assert notes[-1].startswith(
        f"{centres}: none of its 2 boxes overlaps a labelled one of its frame by half"
    )
    assert len(notes) == 2


def test_labels_without_pedestrians_are_told(tmp_path: Path) -> None:
    """As those of VisDrone, whose classes have other numbers, and those whose column 7 is a detector's score."""
    found = write(tmp_path / "found.txt", "1,1,100,100,20,40,1")
    notes: list[str] = []
    others = write(tmp_path / "others.txt", "1,1,100,100,20,40,1,4,1")
    assert evaluate_mot(others, found, warn=notes.append)["found"]["FN"] == 0
    assert "others.txt: nobody in it is a pedestrian, class 1 in column 8" in notes[0]
    scores = write(tmp_path / "scores.txt", "1,1,100,100,20,40,0.9,1,1")
    evaluate_mot(scores, found, warn=notes.append)
    assert "None of its 1 boxes counts, which 1 in column 7 says" in notes[1]
    assert len(notes) == 2
