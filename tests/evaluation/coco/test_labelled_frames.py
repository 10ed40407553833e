"""Saved detections beside the labels of their frames."""

import json

import numpy as np
import pytest
from crowded_poses import coco_labels, crowded_image

from fastpose_mtn.evaluation.coco import labelled_frames
from fastpose_mtn.evaluation.coco.labelled_frames import read_frames
from fastpose_mtn.skeletons import COCO17, PERSON19, POSETRACK15
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.detections_file import SavedDetections, SavedFrame


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return [crowded_image(rng, people=2) for _ in range(3)]


def saved(images, names, *, skeleton=COCO17, source="photos"):
    frames = tuple(
        SavedFrame(
            number if name is None else n, n / 30, image.size_hw, image.found, None if name is None else name
        )
        for n, (image, (number, name)) in enumerate(zip(images, names, strict=True))
    )
    return SavedDetections(source, skeleton, frames)


def test_images_go_by_their_names_and_frames_of_videos_by_their_numbers(images, tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(coco_labels(images)))
    for names in ([(9, "2.jpg"), (9, "7.jpg"), (9, "1.jpg")], [(2, None), (7, None), (1, None)]):
        read = read_frames([saved(images, names)], path)
        assert len(read) == 2  # 7 is not labelled
        for one, labelled, found in zip(read, (images[1], images[0]), (images[0], images[2]), strict=True):
            assert one.targets.keypoints == pytest.approx(labelled.targets.keypoints, abs=1e-3)
            assert one.targets.boxes == pytest.approx(labelled.targets.boxes, abs=1e-3)
            assert one.areas == pytest.approx([0.53 * 60 * 160] * 2, rel=1e-4)
            assert one.found is found.found


def test_a_file_with_the_labels_of_several_detections_is_read_once(images, tmp_path, monkeypatch):
    path, files = tmp_path / "labels.json", []
    path.write_text(json.dumps(coco_labels(images)))
    read_coco_labels = labelled_frames.read_coco_labels
    monkeypatch.setattr(
        labelled_frames,
        "read_coco_labels",
        lambda file, *rest: files.append(file) or read_coco_labels(file, *rest),
    )
    both = [saved(images[:1], [(9, name)], source=name) for name in ("1.jpg", "2.jpg")]
    assert len(read_frames(both, path)) == 2
    assert files == [path]


def test_labels_come_in_the_skeleton_of_the_people_found(images, tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(coco_labels(images)))
    people = PersonDetections.empty(19)
    (one,) = read_frames(
        [SavedDetections("a", PERSON19, (SavedFrame(1, 0.0, (240, 400), people, "1.jpg"),))], path
    )
    assert one.targets.keypoints == pytest.approx(
        COCO17.convert(images[0].targets.keypoints, PERSON19), abs=1e-3
    )


def test_a_folder_has_posetracks_labels_of_each_video(tmp_path):
    joints = np.zeros((17, 3))
    joints[0] = 40.0, 50.0, 1
    labels = {
        "images": [{"id": 100, "file_name": "images/clip/000004.jpg", "vid_id": "clip", "is_labeled": True}],
        "annotations": [
            {"id": 1, "image_id": 100, "track_id": 0, "category_id": 1, "bbox": [20, 30, 60, 80],
             "bbox_head": [30, 30, 20, 20], "keypoints": joints.ravel().tolist()}
        ],
        "categories": [
            {"id": 1, "name": "person", "keypoints": [*POSETRACK15.joints[:3], "left_ear", "right_ear", *POSETRACK15.joints[3:]]}
        ],
    }  # fmt: skip
    (tmp_path / "clip.json").write_text(json.dumps(labels))
    frames = tuple(SavedFrame(n, n / 30, (120, 160), PersonDetections.empty(15)) for n in range(6))
    (one,) = read_frames([SavedDetections("clip", POSETRACK15, frames)], tmp_path)
    assert one.targets.keypoints[0, 0].tolist() == [40, 50, 1]  # continuous as they are
    with pytest.raises(ValueError, match=r"expected .*other\.json, ground truth of other\.detections\.npz"):
        read_frames([SavedDetections("other", POSETRACK15, frames)], tmp_path)
    with pytest.raises(ValueError, match=r"clip\.json: is PoseTrack18's, .* give the folder that it is in"):
        read_frames([SavedDetections("clip", POSETRACK15, frames)], tmp_path / "clip.json")


def test_labels_that_cannot_be_used(images, tmp_path):
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(coco_labels(images)))
    with pytest.raises(ValueError, match=r"none of its 3 images is a frame of photos.*, such as a\.jpg"):
        read_frames([saved(images[:1], [(1, "a.jpg")])], path)
    labels = coco_labels(images)
    labels["categories"][0]["keypoints"] = [f"joint{n}" for n in range(17)]
    path.write_text(json.dumps(labels))
    with pytest.raises(
        ValueError, match=r"expected joints of COCO17, the detections' skeleton, got joint0, joint1"
    ):
        read_frames([saved(images[:1], [(1, "1.jpg")])], path)
    with pytest.raises(ValueError, match="it is not there"):
        read_frames([saved(images[:1], [(1, "1.jpg")])], tmp_path / "none.json")
