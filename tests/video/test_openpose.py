"""OpenPose's folder: its joints by name, a file a frame, and what becomes of an earlier run's."""

import json

import numpy as np
import pytest

from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import COCO17, COCO_WHOLEBODY133, HALPE26, HALPE136, MPII16
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.openpose import OpenPoseWriter


def person(skeleton):
    """One person, whose joint k is at (k, 100 + k) with confidence (k + 1) / 200."""
    k = np.arange(len(skeleton), dtype=np.float32)
    keypoints = np.stack([k, 100 + k, (k + 1) / 200], axis=1)[None]
    detections = PersonDetections(np.float32([[0, 0, 9, 9]]), np.float32([0.5]), keypoints)
    return TrackedPersons(detections, np.int64([42]))


def frame(index, file_name=None):
    return Frame(index, index, index / 25, 1 / 25, None, (48, 64), file_name=file_name)


def write(tmp_path, skeleton, people=None):
    writer = OpenPoseWriter(tmp_path / "walk.openpose", sequence="walk", skeleton=skeleton)
    writer.write(frame(7), people or person(skeleton))
    writer.close(True)
    (file,) = (tmp_path / "walk.openpose").iterdir()
    assert file.name == "walk_000000000007_keypoints.json"
    content = json.loads(file.read_text())
    assert content["version"] == 1.3
    (only,) = content["people"]
    return only


def joints(values):
    return np.reshape(values, (-1, 3))


def test_a_body_without_feet_is_cocos_eighteen(tmp_path):
    only = write(tmp_path, COCO17)
    assert only["person_id"] == [42]
    body = joints(only["pose_keypoints_2d"])
    order = [0, None, 6, 8, 10, 5, 7, 9, 12, 14, 16, 11, 13, 15, 2, 1, 4, 3]  # of COCO's 17; None: the neck
    assert [None if x == 5.5 else int(x) for x in body[:, 0]] == order
    np.testing.assert_allclose(
        body[1], [5.5, 105.5, 6 / 200]
    )  # between the shoulders, as sure as the less sure
    assert (
        only["face_keypoints_2d"] == only["hand_left_keypoints_2d"] == only["hand_right_keypoints_2d"] == []
    )


def test_whole_bodies_are_body_25_with_a_face_and_hands(tmp_path):
    for skeleton in (HALPE136, COCO_WHOLEBODY133):
        only = write(tmp_path, skeleton)
        x = joints(only["pose_keypoints_2d"])[:, 0]
        assert len(x) == 25
        assert x[1] == 5.5  # not Halpe's joint 17, its head, nor 18, which is under the chin
        assert x[8] == (19 if skeleton is HALPE136 else 11.5)
        feet = [skeleton.joints[int(i)] for i in x[19:]]
        assert feet == [f"{s}_{j}" for s in ("left", "right") for j in ("big_toe", "small_toe", "heel")]
        face = joints(only["face_keypoints_2d"])
        assert [skeleton.joints[int(i)] for i in face[:68, 0]] == [f"face_{i}" for i in range(68)]
        assert face[68:].tolist() == [[0, 0, 0], [0, 0, 0]]
        for side in ("left", "right"):
            hand = [skeleton.joints[int(i)] for i in joints(only[f"hand_{side}_keypoints_2d"])[:, 0]]
            assert (len(hand), hand[0], hand[8], hand[20]) == (
                21, f"{side}_hand_root", f"{side}_forefinger4", f"{side}_pinky_finger4",
            )  # fmt: skip


def test_a_hip_that_is_not_there_is_made_of_both(tmp_path):
    who = person(HALPE26)
    who.keypoints[0, HALPE26.index("hip")] = 0
    np.testing.assert_allclose(
        joints(write(tmp_path, HALPE26, who)["pose_keypoints_2d"])[8], [11.5, 111.5, 12 / 200]
    )


def test_what_the_network_lacks_or_left_out_is_zero(tmp_path):
    body = joints(write(tmp_path, MPII16)["pose_keypoints_2d"])
    assert not body[[0, 14, 15, 16, 17]].any()  # MPII has no face
    who = person(COCO17)
    who.keypoints[0, COCO17.index("left_shoulder")] = 0
    body = joints(write(tmp_path, COCO17, who)["pose_keypoints_2d"])
    assert not body[[1, 5]].any()  # nor a neck without a shoulder
    assert body[2].any()


def test_every_frame_has_a_file_under_its_images_name(tmp_path):
    writer = OpenPoseWriter(tmp_path / "friends.openpose", sequence="friends", skeleton=COCO17)
    nobody = TrackedPersons(PersonDetections.empty(17), np.zeros(0, np.int64))
    for index, (name, people) in enumerate(
        [("anna.png", person(COCO17)), ("anna.jpg", nobody), ("bob.jpg", nobody)]
    ):
        writer.write(frame(index, name), people)
    assert [f.name for f in tmp_path.iterdir()] == ["friends.openpose.partial"]
    writer.close(True)
    files = {f.name: json.loads(f.read_text()) for f in (tmp_path / "friends.openpose").iterdir()}
    assert {name: len(content["people"]) for name, content in files.items()} == {
        "anna_keypoints.json": 1, "anna.jpg_keypoints.json": 0, "bob_keypoints.json": 0,
    }  # fmt: skip


def test_an_earlier_folder_is_replaced_when_the_new_one_is_whole(tmp_path):
    folder = tmp_path / "walk.openpose"
    folder.mkdir()
    (folder / "walk_000000000099_keypoints.json").write_text("{}")
    writer = OpenPoseWriter(folder, sequence="walk", skeleton=COCO17)
    writer.write(frame(0), person(COCO17))
    assert [f.name for f in folder.iterdir()] == ["walk_000000000099_keypoints.json"]
    writer.close(True)
    assert [f.name for f in folder.iterdir()] == ["walk_000000000000_keypoints.json"]
    assert [f.name for f in tmp_path.iterdir()] == ["walk.openpose"]


def test_a_folder_of_anything_else_is_not_removed(tmp_path):
    folder = tmp_path / "walk.openpose"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    with pytest.raises(
        InputError, match="walk.openpose would be replaced, but notes.txt is no file of OpenPose"
    ):
        OpenPoseWriter(folder, sequence="walk", skeleton=COCO17)
    assert (folder / "notes.txt").read_text() == "mine"
