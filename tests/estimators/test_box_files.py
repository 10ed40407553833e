"""Boxes in files in place of a detector."""

import json

import numpy as np
import pytest

from fastpose_mtn.estimators.box_files import BoxesFromFile
from fastpose_mtn.protocols import FrameName, NamedFrameEstimator
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.detections_file import SavedFrame, save

FRAME = np.zeros((60, 80, 3), np.uint8)


def coco(tmp_path, *entries):
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(list(entries)))
    return BoxesFromFile(path)


def of(detector, index, number=None, file_name=None):
    (found,) = detector.estimate_named(
        [FRAME], [FrameName(index, index if number is None else number, file_name)]
    )
    return found


def test_results_of_coco_by_number_and_by_name(tmp_path):
    detector = coco(
        tmp_path,
        {"image_id": 7, "category_id": 1, "bbox": [1, 2, 10, 20], "score": 0.5},
        {"image_id": 7, "category_id": 1, "bbox": [5, 5, 10, 20], "score": 0.75},
        {"image_id": 7, "category_id": 3, "bbox": [0, 0, 5, 5], "score": 0.9},
        {"image_id": "a.jpg", "category_id": 1, "bbox": [3, 3, 4, 4]},
    )
    assert isinstance(detector, NamedFrameEstimator)
    found = of(detector, 0, number=7)
    assert found.boxes.tolist() == [[5, 5, 15, 25], [1, 2, 11, 22]]
    assert found.scores.tolist() == [0.75, 0.5]
    assert of(detector, 3, number=9, file_name="a.jpg").scores.tolist() == [1.0]
    assert of(detector, 3, number=7, file_name="b.jpg").scores.tolist() == [0.75, 0.5]
    assert len(of(detector, 5)) == 0
    with pytest.raises(ValueError, match="boxes in a file are those of a source's frames"):
        detector.estimate([FRAME])


def test_motchallenges_detections_count_frames_from_one(tmp_path):
    path = tmp_path / "det.txt"
    path.write_text("1,-1,4,6,10,20,40,-1,-1,-1\n\n2,-1,5,6,10,20,10\n2,-1,7,6,10,20,-1\n")
    detector = BoxesFromFile(path)
    assert of(detector, 0, number=17).boxes.tolist() == [[4, 6, 14, 26]]
    assert of(detector, 1).scores.tolist() == [1.0, 0.25]  # of 40, the largest; -1 is not known
    path.write_bytes(
        b"\xef\xbb\xbf1 -1 4 6 10 20 1\r\n2 -1 5 6 10 20 0.25\r\n"
    )  # as Windows writes, with spaces
    detector = BoxesFromFile(path)
    assert of(detector, 0).boxes.tolist() == [[4, 6, 14, 26]]
    assert of(detector, 1).scores.tolist() == [0.25]
    for line in ("0,-1,1,1,2,2,1", "1,-1,x", "1,-1,1,1,-2,2,1", "inf,-1,1,1,2,2,1", "1,-1,1,1,inf,2,1",
                 "1,-1,1,1e30,2,2,1", "1,-1,1,1,2,2,nan", "1;-1;1;1;2;2;1"):  # fmt: skip
        path.write_text(f"1,-1,4,6,10,20,1\n{line}\n")
        with pytest.raises(ValueError, match=r"det\.txt: line 2: expected frame,id,left,top,.* from 1, got"):
            BoxesFromFile(path)


def test_saved_detections_bring_their_vectors_and_the_frames_size(tmp_path):
    people = PersonDetections(
        boxes=np.float32([[1, 1, 9, 30]]), scores=np.float32([0.5]), keypoints=np.zeros((1, 15, 3), np.float32),
        embeddings=np.ones((1, 4), np.float32),
    )  # fmt: skip
    path = tmp_path / "a.detections.npz"
    frames = [SavedFrame(0, 0.0, (60, 80), people), SavedFrame(1, 0.1, (30, 40), people)]
    save(path, frames, source="a", skeleton=POSETRACK15)
    detector = BoxesFromFile(path)
    assert detector.embedding_dim == 4
    assert of(detector, 0).embeddings.tolist() == [[1, 1, 1, 1]]
    assert of(detector, 9).embeddings.shape == (0, 4)
    with pytest.raises(ValueError, match=r"frame 1 is 40x30 there, and 80x60 here"):
        of(detector, 1)


def test_boxes_of_other_frames_are_told_of(tmp_path, caplog):
    detector = coco(tmp_path, {"image_id": 0, "bbox": [100, 5, 10, 10], "score": 0.5})
    assert len(of(detector, 0)) == 1
    assert "boxes of frame 0 lie outside it, 80x60 pixels: are they of other frames?" in caplog.text


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ({"bbox": [0, 0, 1, 1]}, r"boxes\.json: \[0\]\.image_id: expected a number or a file's name, got"),
        ({"image_id": 1, "bbox": [0, 0, -1, 1]}, r"\[0\]\.bbox: expected \[x, y, width, height\] in pixels"),
        (
            {"image_id": 1, "bbox": [0, 0, 1e39, 1]},
            r"\[0\]\.bbox: expected \[x, y, width, height\] in pixels",
        ),
        (
            {"image_id": 1, "bbox": [0, 0, 1, 1], "score": 2},
            r"\[0\]\.score: expected a number in \[0, 1\], got 2",
        ),
    ],
)
def test_entries_that_are_none(tmp_path, entry, message):
    with pytest.raises(ValueError, match=message):
        coco(tmp_path, entry)
    with pytest.raises(ValueError, match=r"--detector .*absent\.json: no such file"):
        BoxesFromFile(tmp_path / "absent.json")


@pytest.mark.parametrize("box", [[5, 5, 0, 0], [5, 5, 1, 1], [5, 5, 20, 0]])
def test_boxes_without_an_extent_are_told_of_once(tmp_path, caplog, box):
    entries = [{"image_id": i, "bbox": box} for i in range(2)]
    detector = coco(tmp_path, *entries, {"image_id": 0, "bbox": [5, 5, 20, 40]})
    assert len(of(detector, 0)) == 2
    assert len(of(detector, 1)) == 1
    (told,) = caplog.records
    assert "1 of 2 boxes of frame 0 are a pixel wide or high, or less" in told.getMessage()


@pytest.mark.parametrize(
    ("corners", "words"), [(True, ["5 of 5 boxes reach over their frames"]), (False, [])]
)
def test_boxes_that_seem_to_be_corners_are_told_of(tmp_path, caplog, corners, words):
    """Of frames of 80x60 pixels, somebody of 20x30 in each."""
    boxes = [[40 + i, 25, 60 + i if corners else 20, 55 if corners else 30] for i in range(6)]
    detector = coco(tmp_path, *({"image_id": i, "bbox": box} for i, box in enumerate(boxes)))
    for index in range(6):
        of(detector, index)
    assert len(caplog.records) == len(words)
    assert all(word in caplog.text for word in words)


def test_a_second_video_is_told_of(tmp_path, caplog):
    """Its frames have the same numbers; images are known by their names."""
    detector = coco(tmp_path, *({"image_id": name, "bbox": [1, 2, 9, 9]} for name in (0, 1, "a.jpg")))
    for index in (0, 1):
        of(detector, index)
    for _ in range(2):
        of(detector, 0, file_name="a.jpg")
    assert not caplog.records
    of(detector, 0)
    (told,) = caplog.records
    assert "boxes.json: a second video is given its boxes; a file has those of one" in told.getMessage()


def test_saved_detections_of_another_video_are_told_of(tmp_path, caplog):
    """It may be as large and as long; images are known by their names."""
    people = PersonDetections(
        boxes=np.float32([[1, 1, 9, 30]]),
        scores=np.float32([0.5]),
        keypoints=np.zeros((1, 15, 3), np.float32),
    )
    path = tmp_path / "a.npz"
    save(path, [SavedFrame(0, 0.0, (60, 80), people)], source="a", skeleton=POSETRACK15)
    detector = BoxesFromFile(path)
    detector.estimate_named([FRAME], [FrameName(0, 0, None, "a")])
    detector.estimate_named([FRAME], [FrameName(1, 1, None)])
    detector.estimate_named([FRAME], [FrameName(2, 0, "0.jpg", "b")])
    assert not caplog.records
    for index in (1, 2):
        detector.estimate_named([FRAME], [FrameName(index, index, None, "b")])
    (told,) = caplog.records
    assert "a.npz: its boxes are those of a, and these are the frames of b" in told.getMessage()


def test_entries_of_other_categories_are_not_called_nobody(tmp_path, caplog):
    coco(tmp_path, {"image_id": 0, "bbox": [1, 2, 9, 9], "category_id": 0})
    (told,) = caplog.records
    assert "none of its 1 entries is of a person, category_id 1" in told.getMessage()


def test_alphaposes_results_by_frame_and_by_name(tmp_path):
    path = tmp_path / "walk.alphapose.json"
    joints = [10, 10, 0.5] * 17
    person = {
        "category_id": 1,
        "keypoints": joints,
        "score": 0.5 + 0.6 + 1.25 * 0.5,
        "box": [1, 2, 10, 20],
        "idx": 4,
    }
    path.write_text(
        json.dumps([{"image_id": "3.jpg", **person}, {"image_id": "3.jpg", **person, "score": 1.225}])
    )
    detector = BoxesFromFile(path)
    assert of(detector, 3).boxes.tolist() == [[1, 2, 11, 22]] * 2
    assert of(detector, 3).scores == pytest.approx([0.6, 0.1], abs=1e-6)
    assert len(of(detector, 2)) == 0
    path.write_text(json.dumps([{"image_id": "anna.png", **person}]))
    assert len(of(BoxesFromFile(path), 7, file_name="anna.png")) == 1


def test_boxes_of_other_frames_are_told_of_once(tmp_path, caplog):
    """A first frame that the file does not name may be empty, or the file another source's."""
    boxes = [{"image_id": f"{name}.jpg", "category_id": 1, "bbox": [1, 2, 3, 4]} for name in "wxyz"]
    detector = coco(tmp_path, *boxes)
    assert len(of(detector, 0, file_name="a.jpg")) == len(of(detector, 1, file_name="b.jpg")) == 0
    assert len(caplog.records) == 1
    assert (
        "has nobody for frame a.jpg and those after it; its 4 frames with people are called w.jpg, x.jpg, y.jpg ..."
        in caplog.text
    )
    assert "are they of other frames?" in caplog.text
    caplog.clear()
    known = coco(tmp_path, *boxes)
    names = [FrameName(0, 0, "a.jpg"), FrameName(1, 1, "x.jpg")]
    assert [len(found) for found in known.estimate_named([FRAME, FRAME], names)] == [0, 1]
    assert not caplog.records


@pytest.mark.parametrize(("name", "content"), [("det.txt", "\n"), ("boxes.json", "[]")])
def test_a_file_of_nobody_is_told_of(tmp_path, caplog, name, content):
    (tmp_path / name).write_text(content)
    assert len(of(BoxesFromFile(tmp_path / name), 0)) == 0
    assert [record.getMessage() for record in caplog.records] == [
        f"{tmp_path / name}: nobody is in it, so that nobody will be found"
    ]


def test_shares_of_the_image_are_refused(tmp_path):
    told = r"boxes: expected pixels, got numbers of at most 0\.75 throughout; multiply shares"
    with pytest.raises(ValueError, match=told):
        coco(tmp_path, {"image_id": 7, "category_id": 1, "bbox": [0.25, 0.25, 0.5, 0.5], "score": 0.5})
    (tmp_path / "det.txt").write_text("1,-1,0.25,0.25,0.5,0.5,1\n")
    with pytest.raises(ValueError, match=told):
        BoxesFromFile(tmp_path / "det.txt")
