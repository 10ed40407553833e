"""What a dataset of COCO-style files gives: joints, boxes, identities, and who is left out."""

import logging

import pytest
from coco_files import JOINTS, person, read, write

from fastpose_mtn.data.coco.dataset import CocoJsonDataset
from fastpose_mtn.data.coco.records import CocoJsonFormat


def test_joints_are_the_files_own_and_moved_to_pixel_centres(tmp_path):
    dataset = read(write(tmp_path, [person()]))
    image = dataset[0]
    assert (image.image_id, image.file_name, len(dataset)) == (1, "1.png", 2)
    assert image.image.shape == (80, 100, 3)
    assert image.image[0, 0].tolist() == [255, 0, 0]
    assert image.targets.boxes.tolist() == [[10, 20, 40, 60]]
    assert dataset.skeleton.joints == tuple(JOINTS)
    assert image.targets.keypoints[0].tolist() == [[12.5, 22.5, 2], [14.5, 24.5, 1], [16.5, 26.5, 2]]
    assert image.targets.identities.tolist() == [-1]
    assert dataset.tasks == {"boxes", "keypoints"}
    assert len(dataset[1].targets) == 0


def test_continuous_joints_stay_where_they_are(tmp_path):
    dataset = read(write(tmp_path, [person()]), CocoJsonFormat(joint_offset=0.0))
    assert dataset[0].targets.keypoints[0, 0].tolist() == [12, 22, 2]


def test_labels_without_hidden_joints_count_as_visible(tmp_path):
    dataset = read(write(tmp_path, [person(keypoints=[12, 22, 1, 14, 24, 1, 0, 0, 0])]))
    assert sorted(dataset[0].targets.keypoints[0, :, 2].tolist())[-2:] == [2, 2]


def test_crowds_regions_and_unlabelled_people_are_ignored(tmp_path):
    images = [
        {
            "id": 1, "file_name": "1.png", "width": 100, "height": 80,
            "ignore_regions_x": [[1, 5, 9], [50, 120, 60]], "ignore_regions_y": [[2, 12, 3], [10, 20, 30]],
        }
    ]  # fmt: skip
    people = [person(1), person(2, iscrowd=1), person(3, keypoints=[0] * 9)]
    path = write(tmp_path, people, images)
    posetrack = read(path, CocoJsonFormat(ignore_unlabelled=True))[0].targets
    assert posetrack.boxes[:2].tolist() == [[1, 2, 9, 12], [50, 10, 100, 30]]  # the second cut to the image
    assert posetrack.ignore.tolist() == [True, True, False, True, True]
    assert read(path)[0].targets.ignore.tolist() == [True, True, False, True, False]


def test_one_region_without_its_outer_list(tmp_path):
    image = {"id": 1, "file_name": "1.png", "ignore_regions_x": [1, 5], "ignore_regions_y": [2, 8]}
    assert read(write(tmp_path, [], [image]))[0].targets.boxes.tolist() == [[1, 2, 5, 8]]


def test_identities_count_over_files_and_tracks_are_a_videos_own(tmp_path):
    folder = tmp_path / "annotations"
    folder.mkdir()
    for video in ("a", "b"):
        images = [{"id": 1, "file_name": f"{video}/1.png", "vid_id": video}]
        write(folder, [person(1, track_id=0), person(2, track_id=5)], images, name=f"{video}.json")
    dataset = CocoJsonDataset("mine", folder, folder)
    assert dataset.num_identities == 4
    assert [dataset[i].targets.identities.tolist() for i in (0, 1)] == [[0, 1], [2, 3]]
    assert dataset.tasks == {"boxes", "keypoints", "identities"}

    same = write(tmp_path, [person(1, person_id=8), person(2, 2, person_id=8), person(3, person_id=-2)])
    dataset = read(same)
    assert dataset.num_identities == 1
    assert dataset[0].targets.identities.tolist() == [0, -1]
    assert dataset[1].targets.identities.tolist() == [0]


def test_a_person_without_a_box_gets_one_around_the_joints(tmp_path):
    joints = [20, 30, 2, 40, 50, 2, 0, 0, 0]
    dataset = read(write(tmp_path, [person(bbox=[], keypoints=joints)]), CocoJsonFormat(joint_offset=0.0))
    assert dataset[0].targets.boxes.tolist() == [[17, 27, 43, 53]]  # 20 x 20 and 15 % more on each side


def test_unusable_people_are_left_out_and_counted(tmp_path, caplog):
    people = [
        person(1),
        person(2, bbox=[60, 10, 1e-6, 5], keypoints=[0] * 9),  # less than single precision tells
        person(3, bbox=[200, 10, 5, 5], keypoints=[0] * 9),
        person(4, bbox=[float("nan"), 10, 5, 5], keypoints=[0] * 9),
        person(5, bbox=[10, 10, 5, -5], keypoints=[0] * 9),
        person(6, bbox=None, keypoints=[0] * 9),
        person(7, keypoints=[float("nan"), 1, 2, 14, 24, 2, 0, 0, 0]),
    ]
    with caplog.at_level(logging.WARNING, "fastpose_mtn"):
        targets = read(write(tmp_path, people))[0].targets
    assert len(targets) == 2
    assert (targets.keypoints[1, :, 2] > 0).sum() == 1
    texts = "\n".join(caplog.messages)
    assert "dataset mine: left out 2 annotations with a box without area, first" in texts
    assert "annotations[1] (id 2)" in texts
    assert "left out 1 annotations with a box outside the image" in texts
    assert "left out 1 annotations with a box that is not finite" in texts
    assert "neither a box nor a labelled joint" in texts
    assert "joints that are not finite" in texts


def test_boxes_are_cut_to_the_image(tmp_path):
    targets = read(write(tmp_path, [person(bbox=[-5, 70, 300, 30])]))[0].targets
    assert targets.boxes.tolist() == [[0, 70, 100, 80]]


def test_empty_and_unlabelled_images_can_be_left_out(tmp_path):
    images = [{"id": i, "file_name": f"{i}.png", "is_labeled": i != 3} for i in (1, 2, 3)]
    path = write(tmp_path, [person(1), person(2, 2, iscrowd=1), person(3, 3)], images)
    assert [read(path)[i].image_id for i in range(2)] == [1, 2]
    assert len(read(path)) == 2
    assert len(read(path, filter_empty=True)) == 1


def test_other_categories_are_not_people(tmp_path):
    categories = [{"id": 1, "name": "person", "keypoints": JOINTS}, {"id": 2, "name": "dog"}]
    assert (
        len(read(write(tmp_path, [person(1), person(2, category_id=2)], categories=categories))[0].targets)
        == 1
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (
            {"image_id": [77]},
            r"labels.json: annotations\[0\] \(id 1\): image_id: expected the id of one of the file's images, got \[77\]",
        ),
        (
            {"keypoints": [1, 2, 3, 4, 5, 6]},
            "expected 9 numbers, x, y, v for each of the 3 joints of the category, got 6",
        ),
        ({"keypoints": [1, 2, 3] * 3}, "expected v of 0, 1 or 2, got 3"),
        ({"keypoints": [1, 2, 2, "a"] + [0] * 5}, r'keypoints\[3\]: expected a number, got "a"'),
        ({"keypoints": "none"}, 'keypoints: expected 9 numbers, .*, got "none"'),
        ({"bbox": [1, 2, 3]}, "bbox: expected 4 numbers, x, y, width, height, got 3"),
        ({"bbox": 0}, "bbox: expected 4 numbers, x, y, width, height, got 0"),
        ({"track_id": 1.5}, "track_id: expected a whole number or text, got 1.5"),
        ({"iscrowd": 2}, "iscrowd: expected 0 or 1, got 2"),
        ({"category_id": [1]}, r"category_id: expected one of the file's categories \(1 person\), got \[1\]"),
    ],
)
def test_what_cannot_be_meant_is_an_error_that_names_the_record(tmp_path, change, text):
    path = write(tmp_path, [person(**change)])
    with pytest.raises(ValueError, match=text):
        read(path)


def test_a_dataset_without_a_labelled_joint_trains_none(tmp_path, caplog):
    path = write(tmp_path, [person(keypoints=[0] * 9)])
    assert read(path).tasks == {"boxes"}
    assert caplog.text == ""
    assert read(path, CocoJsonFormat(tasks=frozenset({"boxes", "keypoints"}))).tasks == {"boxes"}
    assert "dataset mine: trains no keypoints, as it is asked to: nobody in it has any" in caplog.text


def test_a_dataset_of_nobody_is_told_of(tmp_path, caplog):
    """A network that learns from it finds nobody, and what is measured on it is undefined; images without people among
    others are as they should be."""
    caplog.set_level(logging.INFO, "fastpose_mtn")
    dataset = read(write(tmp_path, []))
    assert f"dataset mine: nobody is labelled in its {len(dataset)} images" in caplog.text
    caplog.clear()
    read(write(tmp_path, [person()]))
    assert caplog.text == ""


def test_what_is_used_but_odd_is_told(tmp_path, caplog):
    joints = [20, 30, 2, 40, 50, 2, 0, 0, 0]
    with caplog.at_level(logging.INFO, "fastpose_mtn"):
        read(write(tmp_path, [person(bbox=[], keypoints=joints), person(), person(3, bbox=[80, 20, 30, 40])]))
    texts = "\n".join(caplog.messages)
    assert "repaired 1 annotations with joints but no box, which is drawn around them, first" in texts
    assert "repaired 1 annotations with an id that appears twice, which are numbered anew, first" in texts
    assert "kept 1 annotations with a box that reaches over the image's border, cut to it, first" in texts
