import cv2
import numpy as np
import pytest

from fastpose_mtn.data.crops.folder import read_crop_folder
from fastpose_mtn.data.problems import Problems
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.video.crops import CropWriter
from fastpose_mtn.video.frame import Frame

LEVELS = {3: 200, 7: 90}


def frame(index, boxes, file_name=None, *, image=True):
    """Each id's box filled with its level, and people there."""
    picture = np.zeros((48, 64, 3), np.uint8)
    for track_id, (x1, y1, x2, y2) in boxes.items():
        picture[max(0, y1) : max(0, y2), max(0, x1) : max(0, x2)] = LEVELS[track_id]
    n = len(boxes)
    detections = PersonDetections(
        np.array(list(boxes.values()), np.float32).reshape(n, 4) + np.float32([0.2, 0.2, -0.2, -0.2]),
        np.full(n, 0.9, np.float32),
        np.zeros((n, 15, 3), np.float32),
    )
    people = TrackedPersons(detections, np.array(list(boxes), np.int64))
    shown = picture if image else None
    return Frame(index, index, index / 25, 1 / 25, shown, (48, 64), file_name=file_name), people


def names(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_everybody_has_a_folder_and_a_picture_a_frame(tmp_path):
    writer = CropWriter(tmp_path / "walk", independent=False)
    writer.write(*frame(0, {3: (10, 5, 30, 45), 7: (40, 5, 50, 25)}))
    writer.write(*frame(1, {7: (-5, 40, 8, 60)}))  # half outside
    writer.write(*frame(2, {7: (-30, 5, -10, 40)}))  # outside
    writer.write(*frame(3, {3: (10, 5, 30, 45)}, image=False))
    assert not (tmp_path / "walk").exists()
    writer.close(True)
    assert names(tmp_path) == ["walk/0003/000000.jpg", "walk/0007/000000.jpg", "walk/0007/000001.jpg"]
    for name, shape, level in (("0003/000000", (40, 20), 200), ("0007/000001", (8, 8), 90)):
        crop = cv2.imread(str(tmp_path / "walk" / f"{name}.jpg"))
        assert crop.shape == (*shape, 3)
        assert abs(crop.mean() - level) < 2
    crops = read_crop_folder(tmp_path / "walk", None, "walk", Problems())
    assert [crop.identity for crop in crops] == [0, 1, 1]


def test_of_unrelated_photographs_nobody_shares_a_folder(tmp_path):
    writer = CropWriter(tmp_path / "friends", independent=True)
    for i, name in enumerate(("anna.png", "bob.jpg")):
        writer.write(*frame(i, {3: (10, 5, 30, 45)}, name))
    writer.close(True)
    assert names(tmp_path) == ["friends/anna.png-0003/anna.jpg", "friends/bob.jpg-0003/bob.jpg"]


def test_images_of_one_stem_do_not_overwrite_each_other(tmp_path):
    writer = CropWriter(tmp_path / "walk", independent=False)
    for i, name in enumerate(("1.png", "1.jpg")):
        writer.write(*frame(i, {3: (10, 5, 30, 45)}, name))
    writer.close(True)
    assert names(tmp_path) == ["walk/0003/1.jpg", "walk/0003/1.jpg.jpg"]


def test_what_is_incomplete_is_plainly_partial_and_goes_with_the_next_run(tmp_path):
    writer = CropWriter(tmp_path / "walk", independent=False)
    writer.write(*frame(0, {3: (10, 5, 30, 45)}))
    writer.close(False)
    assert names(tmp_path) == ["walk.partial/0003/000000.jpg"]
    writer = CropWriter(tmp_path / "walk", independent=False)
    writer.write(*frame(1, {7: (10, 5, 30, 45)}))
    writer.close(True)
    assert names(tmp_path) == ["walk/0007/000001.jpg"]


def test_crops_of_an_earlier_run_are_not_mixed_with_these(tmp_path):
    (tmp_path / "walk").mkdir()
    CropWriter(tmp_path / "walk", independent=False).close(True)  # nothing is in it
    (tmp_path / "walk" / "0000").mkdir()
    with pytest.raises(
        ValueError, match=r"--save-crops: .*walk is there already; remove it or choose another"
    ):
        CropWriter(tmp_path / "walk", independent=False)
