"""What is evaluated is what the file says: people as arrays, as records, and read again."""

import json
from dataclasses import fields

import numpy as np
import pytest

from fastpose_mtn.data.posetrack.file18 import PoseTrack18File
from fastpose_mtn.data.posetrack.files import read_posetrack
from fastpose_mtn.data.posetrack.people import PoseTrackPeople, sequence_of
from fastpose_mtn.data.posetrack.records import image_record, sequence_frame
from fastpose_mtn.skeletons import COCO17, POSETRACK15
from fastpose_mtn.structures import PersonDetections, TrackedPersons

NAME = "000001_mpii_test"
NOSE, HEAD_TOP = POSETRACK15.index("nose"), POSETRACK15.index("head_top")


def tracked(count, skeleton, seed=0):
    """People with all digits that float32 has; the first joint of the first is absent."""
    rng = np.random.default_rng(seed)
    corners = np.sort(rng.uniform(0, 900, (count, 2, 2)), axis=1).reshape(count, 4).astype(np.float32)
    joints = rng.uniform(0, 1, (count, len(skeleton), 3)).astype(np.float32)
    joints[..., :2] *= 1000
    joints[:1, 0] = 0
    people = PersonDetections(corners, rng.uniform(0, 1, count).astype(np.float32), joints)
    return TrackedPersons(people, np.arange(count, dtype=np.int64) + 7)


def labelled(count):
    people = tracked(count, POSETRACK15, seed=1)
    joints = people.keypoints.copy()
    joints[..., 2] = np.where(joints[..., :2].any(axis=2), 1 + (joints[..., 2] > 0.5), 0)
    return PoseTrackPeople.labelled(
        track_ids=people.track_ids, boxes_xyxy=people.boxes, joints=joints, head_boxes_xyxy=people.boxes / 3
    )


@pytest.mark.parametrize(
    "people",
    [
        {0: PoseTrackPeople.predicted(tracked(3, POSETRACK15), POSETRACK15), 2: labelled(2)},
        {1: PoseTrackPeople.predicted(tracked(40, COCO17), COCO17)},
        {1: PoseTrackPeople.predicted(tracked(0, COCO17), COCO17)},
        {},
    ],
    ids=["both", "other joints", "nobody found", "nobody"],
)
def test_arrays_are_what_reading_the_file_gives(tmp_path, people):
    frames = [sequence_frame(NAME, number, (720, 1280)) for number in range(3)]
    path = tmp_path / f"{NAME}.json"
    with PoseTrack18File(path) as file:
        for number, frame in enumerate(frames):
            own = people[number].records(frame.image_id, frame.image_id * 100) if number in people else ()
            file.add(image_record(frame, video_id="000001"), own)
    read, made = read_posetrack(path), sequence_of(NAME, frames, people)
    for field in fields(made):
        value = getattr(made, field.name)
        if isinstance(value, np.ndarray):
            np.testing.assert_array_equal(getattr(read, field.name), value, err_msg=field.name)
    assert [frame.name for frame in read.frames] == [frame.name for frame in made.frames]
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_person_in_the_file():
    joints = np.zeros((1, 15, 3), np.float32)
    joints[0, NOSE], joints[0, HEAD_TOP] = (12.5, 7.00049, 0.625), (0.1, 0, 0.3)
    person = PersonDetections(np.array([[1, 2, 30.1, 40.5]], np.float32), np.array([0.5], np.float32), joints)
    people = PoseTrackPeople.predicted(TrackedPersons(person, np.array([4])), POSETRACK15)
    (record,) = people.records(image_id=10000010000, first_id=1)
    assert record["bbox"] == [1, 2, 29.1, 38.5]
    assert record["keypoints"][:9] == [12.5, 7.0, 1, 0, 0, 0, 0.1, 0, 1]
    assert record["scores"][:3] == [0.625, 0, 0.3]
    assert list(record) == [
        "id", "image_id", "track_id", "category_id", "bbox", "keypoints", "iscrowd", "num_keypoints", "score", "scores",
    ]  # fmt: skip
    assert (record["id"], record["track_id"], record["num_keypoints"], record["score"]) == (1, 4, 2, 0.5)


def test_a_label_has_a_head_box_and_no_scores():
    (record, _) = labelled(2).records(image_id=5, first_id=500)
    assert record["scores"] == []
    assert "score" not in record
    assert len(record["bbox_head"]) == 4
    assert set(record["keypoints"][2::3]) <= {0, 1, 2}


def test_a_block_that_fails_leaves_no_file(tmp_path):
    def fail():
        with PoseTrack18File(tmp_path / "a.json") as file:
            file.add({"id": 1}, [{"id": 2}])
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_left_unfinished_is_plainly_partial(tmp_path):
    file = PoseTrack18File(tmp_path / "a.json", {"info": "mine"})
    file.add({"id": 1}, [{"id": 2}, {"id": 3}])
    assert json.loads((tmp_path / "a.json.partial").read_text() + "]}") == {"images": [{"id": 1}]}
    assert not (tmp_path / "a.json").exists()
    file.finish()
    content = {"images": [{"id": 1}], "annotations": [{"id": 2}, {"id": 3}], "info": "mine"}
    assert json.loads((tmp_path / "a.json").read_text()) == content
