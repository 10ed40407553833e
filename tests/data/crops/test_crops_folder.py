import cv2
import numpy as np
import pytest
from crop_folders import write_crops

from fastpose_mtn.data.crops.folder import UNKNOWN_CAMERA, read_background_folder, read_crop_folder
from fastpose_mtn.data.problems import Problems


def read(folder, split=None):
    problems = Problems(places=9)
    crops = read_crop_folder(folder, split, "crops://x", problems)
    return crops, {(p.severity, p.kind): p.count for p in problems}


def test_people_cameras_and_sizes(tmp_path):
    crops, problems = read(write_crops(tmp_path, [2, 3]))
    assert [crop.identity for crop in crops] == [0, 0, 1, 1, 1]
    assert [crop.camera for crop in crops] == [1, 2, 1, 1, 2]
    assert {crop.size_wh for crop in crops} == {(24, 48)}
    assert problems == {}


@pytest.mark.parametrize(
    ("name", "camera"),
    [
        ("0002_c1s1_000551_01.png", 1),
        ("0005_c12_f0046985.png", 12),
        ("c3_7.png", 3),
        ("1_2_a.png", UNKNOWN_CAMERA),
        ("musc1.png", UNKNOWN_CAMERA),
    ],
)
def test_cameras_in_names(tmp_path, name, camera):
    (tmp_path / "a").mkdir()
    cv2.imwrite(str(tmp_path / "a" / name), np.zeros((8, 4, 3), np.uint8))
    assert read(tmp_path)[0][0].camera == camera


def test_a_split_goes_by_position_and_counts_empty_folders(tmp_path):
    write_crops(tmp_path, [2, 0, 2, 2])
    first, _ = read(tmp_path, (0, 1))
    second, problems = read(tmp_path, (1, 3))
    assert {crop.path.parent.name for crop in first} == {"0000"}
    assert {crop.path.parent.name for crop in second} == {"0002", "0003"}
    assert sorted({crop.identity for crop in second}) == [0, 1]
    assert problems == {("left out", "people without a picture"): 1}


def test_what_is_no_picture_of_a_person_is_counted(tmp_path):
    write_crops(tmp_path, [1, 2, 0])
    (tmp_path / "README.txt").write_text("who is who")
    (tmp_path / "0001" / "notes.txt").write_text("nothing")
    (tmp_path / "0001" / "torn.jpg").write_bytes(b"no image")
    (tmp_path / "0002" / "empty.jpg").write_bytes(b"")
    (tmp_path / "0001" / ".hidden.png").write_bytes(b"")
    crops, problems = read(tmp_path)
    assert [crop.identity for crop in crops] == [0, 1, 1]
    assert problems == {
        ("kept", "people with one picture, who can be found in no other"): 1,
        ("left out", "people without a picture"): 1,
        ("left out", "files that are no images"): 3,
        ("left out", "files that lie in no person's folder"): 1,
    }


def test_folders_that_cannot_be_used(tmp_path):
    with pytest.raises(
        ValueError, match=r"dataset crops://x: no such folder, got .*absent; expected FOLDER/PERSON"
    ):
        read(tmp_path / "absent")
    with pytest.raises(ValueError, match=r"no person in .*; expected a folder for each person"):
        read(tmp_path)
    write_crops(tmp_path, [0, 0])
    with pytest.raises(ValueError, match="no picture of anybody in"):
        read(tmp_path)
    with pytest.raises(ValueError, match=r"split ends at person 2, but .* has 2, 0 to 1"):
        read(tmp_path, (0, 2))


def test_backgrounds(tmp_path):
    for name in ("b.png", "a.png"):
        cv2.imwrite(str(tmp_path / name), np.zeros((8, 4, 3), np.uint8))
    (tmp_path / "c.txt").write_text("")
    assert [path.name for path in read_background_folder(tmp_path, "d")] == ["a.png", "b.png"]
    for folder in (tmp_path / "absent", tmp_path / "c.txt"):
        with pytest.raises(ValueError, match="dataset d: backgrounds: expected a folder of pictures, got"):
            read_background_folder(folder, "d")
