import json
import logging
import re

import cv2
import numpy as np
import pytest

from fastpose_mtn.data.catalog import DATASETS, build_dataset, register_coco_json
from fastpose_mtn.data.coco.dataset import CocoJsonDataset
from fastpose_mtn.data.coco.records import CocoJsonFormat
from fastpose_mtn.data.posetrack.sequence import POSETRACK18_SLOTS
from fastpose_mtn.skeletons import (
    COCO17,
    COCO_WHOLEBODY133,
    CROWDPOSE14,
    HALPE136,
    PERSON19,
    POSETRACK15,
    skeleton_of,
)

POSETRACK18 = skeleton_of(POSETRACK18_SLOTS)
CROWDPOSE = skeleton_of((*CROWDPOSE14.joints[:12], "head", "neck"))  # as its files spell them
JOINTS = ["left_wrist", "top_head", "left_ear"]


def person(number=1, image_id=1, **changes):
    record = {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "bbox": [10, 20, 30, 40],
        "keypoints": [12, 22, 2, 14, 24, 1, 16, 26, 2],
        "iscrowd": 0,
    }
    return {**record, **changes}


def write(folder, annotations, images=None, categories=None, name="labels.json"):
    """A file with images 1 and 2, each 100x80, of which the second has no people unless given."""
    images = images or [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 80} for i in (1, 2)]
    categories = categories or [{"id": 1, "name": "person", "keypoints": JOINTS}]
    for image in images:
        if "file_name" in image:
            path = folder / image["file_name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.zeros((80, 100, 3), np.uint8)
            pixels[..., 2] = 255  # OpenCV's order: red
            cv2.imwrite(str(path), pixels)
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / name).write_text(json.dumps(content))
    return folder / name


def read(path, form=None, **options):
    return CocoJsonDataset("mine", path, path.parent, form=form, **options)


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


def test_files_that_are_not_datasets(tmp_path):
    with pytest.raises(ValueError, match="dataset mine: annotations not found: .*absent.json"):
        read(tmp_path / "absent.json")
    (tmp_path / "cut.json").write_text('{"images": [')
    with pytest.raises(ValueError, match="cut.json: expected JSON, got 12 bytes that stop making sense"):
        read(tmp_path / "cut.json")
    (tmp_path / "list.json").write_text("[]")
    with pytest.raises(ValueError, match="list.json: expected COCO-style JSON"):
        read(tmp_path / "list.json")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ValueError, match=r"dataset mine: no \.json file in .*empty"):
        read(tmp_path / "empty")
    path = write(tmp_path, [], [{"id": 1, "file_name": "1.png"}, {"id": 1, "file_name": "2.png"}])
    with pytest.raises(ValueError, match=r"images\[1\] \(id 1\): an id that appears twice, got 1"):
        read(path)


def test_images_that_are_missing_broken_or_others(tmp_path):
    path = write(tmp_path, [person()])
    (tmp_path / "2.png").unlink()
    with pytest.raises(ValueError, match=r"1 of 2 images are missing, the first is .*2.png \(image id 2\)"):
        read(path)
    (tmp_path / "2.png").write_bytes(b"not an image")
    dataset = read(path)
    with pytest.raises(ValueError, match=r"2.png: expected an image, got 12 bytes that cannot be decoded"):
        dataset[1]
    cv2.imwrite(str(tmp_path / "2.png"), np.zeros((50, 60, 3), np.uint8))
    with pytest.raises(ValueError, match=r"is 60x50, but dataset mine says 100x80 \(image id 2\)"):
        dataset[1]
    (tmp_path / "2.png").unlink()
    with pytest.raises(ValueError, match=r"2.png: cannot read the image: No such file or directory"):
        dataset[1]


@pytest.mark.parametrize("name", ["1.PNG", "images/1.png", "{folder}/1.png"])
def test_where_a_missing_image_lies_is_told(tmp_path, name):
    """Labels made on Windows do not know capitals; others name the folder of the images too, or another one."""
    path = write(tmp_path, [], [{"id": 1, "file_name": "1.png"}])
    path.write_text(path.read_text().replace("1.png", name.format(folder=tmp_path.name)))
    there = f"{tmp_path / '1.png'} is there; DATALOADER"
    with pytest.raises(ValueError, match=rf"1 of 1 images are missing, .*\(image id 1\); {re.escape(there)}"):
        read(path)


def test_missing_images_can_be_left_out(tmp_path, caplog):
    path = write(tmp_path, [person()])
    (tmp_path / "2.png").unlink()
    dataset = read(path, skip_missing=True)
    assert [dataset[i].image_id for i in range(len(dataset))] == [1]
    assert (
        f"dataset mine: left out 1 images that are missing, first {tmp_path}/2.png (image id 2)"
        in caplog.messages
    )
    (tmp_path / "1.png").unlink()
    with pytest.raises(ValueError, match="dataset mine: no labelled image"):
        read(path, skip_missing=True)


def test_a_dataset_without_a_labelled_joint_trains_none(tmp_path, caplog):
    path = write(tmp_path, [person(keypoints=[0] * 9)])
    assert read(path).tasks == {"boxes"}
    assert caplog.text == ""
    assert read(path, CocoJsonFormat(tasks=frozenset({"boxes", "keypoints"}))).tasks == {"boxes"}
    assert "dataset mine: trains no keypoints, as it is asked to: nobody in it has any" in caplog.text


def test_files_with_other_joints_make_one_skeleton(tmp_path):
    """A joint counts once, whichever of its names a file has; people of the first file lack the second's."""
    folder = tmp_path / "annotations"
    folder.mkdir()
    for number, joints in enumerate((JOINTS, ["nose", "head_top"]), 1):
        images = [{"id": number, "file_name": f"{number}.png"}]
        categories = [{"id": 1, "name": "person", "keypoints": joints}]
        people = [person(image_id=number, keypoints=[number, 1, 2] * len(joints))]
        write(folder, people, images, categories, name=f"{number}.json")
    dataset = CocoJsonDataset("mine", folder, folder, form=CocoJsonFormat(joint_offset=0.0))
    assert dataset.skeleton.joints == (*JOINTS, "nose")
    first, second = (dataset[i].targets.keypoints[0] for i in (0, 1))
    assert first.tolist() == [[1, 1, 2]] * 3 + [[0, 0, 0]]
    assert second.tolist() == [[0, 0, 0], [2, 1, 2], [0, 0, 0], [2, 1, 2]]


def test_one_joint_under_two_names(tmp_path):
    """A head beside a head_top is a joint of its own; two names that both stand for head_top are not told apart."""
    categories = [{"id": 1, "name": "person", "keypoints": ["head", "head_top", "nose"]}]
    dataset = read(write(tmp_path, [person()], categories=categories))
    assert POSETRACK15.index("head_top") == 2
    assert dataset.skeleton.convert(dataset[0].targets.keypoints, POSETRACK15)[0, 2].tolist() == [
        14.5,
        24.5,
        1,
    ]
    categories[0]["keypoints"] = ["head", "top_head", "nose"]
    with pytest.raises(ValueError, match="two joints of the file have the same name: head, top_head, nose"):
        read(write(tmp_path, [person()], categories=categories))


def test_what_is_used_but_odd_is_told(tmp_path, caplog):
    joints = [20, 30, 2, 40, 50, 2, 0, 0, 0]
    with caplog.at_level(logging.INFO, "fastpose_mtn"):
        read(write(tmp_path, [person(bbox=[], keypoints=joints), person(), person(3, bbox=[80, 20, 30, 40])]))
    texts = "\n".join(caplog.messages)
    assert "repaired 1 annotations with joints but no box, which is drawn around them, first" in texts
    assert "repaired 1 annotations with an id that appears twice, which are numbered anew, first" in texts
    assert "kept 1 annotations with a box that reaches over the image's border, cut to it, first" in texts


def test_names_of_ones_own(tmp_path, monkeypatch):
    write(tmp_path, [person()])
    name = f"json://{tmp_path}/labels.json?images={tmp_path}"
    assert len(build_dataset(name, training=True, filter_empty=True)) == 1
    monkeypatch.setenv("FASTPOSE_DATASETS", str(tmp_path))
    monkeypatch.setitem(DATASETS, "other", None)
    with pytest.raises(ValueError, match="dataset name 'other' is taken"):
        register_coco_json("other", "labels.json", ".")
    register_coco_json("registered-in-a-test", "labels.json", ".")
    monkeypatch.delitem(DATASETS, "other")
    try:
        assert len(build_dataset("registered-in-a-test", training=False)) == 2
    finally:
        del DATASETS["registered-in-a-test"]


def test_the_address_says_which_categories_are_people(tmp_path):
    categories = [
        {"id": 1, "name": "player", "keypoints": JOINTS},
        {"id": 2, "name": "referee", "keypoints": JOINTS},
    ]
    write(tmp_path, [person(1), person(2, category_id=2)], categories=categories)
    name = f"json://{tmp_path}/labels.json?images={tmp_path}"
    with pytest.raises(
        ValueError, match="got player with 3 joints, referee with 3 joints; say which are people"
    ):
        build_dataset(name, training=True)
    assert len(build_dataset(f"{name}&category=player", training=True)[0].targets) == 1
    assert len(build_dataset(f"{name}&category=player,referee", training=True)[0].targets) == 2


def test_files_that_count_images_from_the_same_number_make_one_dataset(tmp_path):
    """Evaluation takes each image once, by its number."""
    folder = tmp_path / "annotations"
    folder.mkdir()
    for video in ("a", "b"):
        write(folder, [person()], [{"id": 1, "file_name": f"{video}/1.png"}], name=f"{video}.json")
    dataset = CocoJsonDataset("mine", folder, folder)
    assert [dataset.image_id(i) for i in range(2)] == [1, 2]


def test_what_is_left_out_is_told_before_a_dataset_is_refused(tmp_path, caplog):
    path = write(tmp_path, [person(category_id=7)])
    with pytest.raises(
        ValueError, match=r"expected people in .*labels\.json, but none of its 1 annotations can be used"
    ):
        read(path)
    assert "left out 1 annotations whose category_id no category has (the file's are 1 person)" in caplog.text


def test_sequences_are_read_like_images(tmp_path):
    """The truth that tracks are compared with has the people that train, whatever their ids look like."""
    people = [
        person(1, "one", track_id="7", keypoints=[v for _ in POSETRACK18_SLOTS for v in (20, 30, 2)]),
        person(2, "one", category_id=2, keypoints=[]),
        person(3, "none", keypoints=[]),
    ]
    categories = [{"id": 1, "name": "people", "keypoints": list(POSETRACK18_SLOTS)}, {"id": 2, "name": "dog"}]
    path = write(tmp_path, people, [{"id": "one", "file_name": "v\\1.png"}], categories)
    assert path.name == "labels.json"
    (tmp_path / "v").mkdir()
    (tmp_path / "v\\1.png").rename(tmp_path / "v" / "1.png")
    dataset = build_dataset(f"json://{path}?images={tmp_path}&format=posetrack", training=False)
    notes = []
    [sequence] = dataset.sequences(warn=notes.append)
    assert sequence.indices == (0,)
    assert sequence.images[0]["id"] == 0
    assert sequence.truth.track_ids.tolist() == [7]
    assert len(dataset[0].targets) == 1


def test_files_whose_joints_the_network_has_are_official(tmp_path):
    path = write(tmp_path, [person()])
    assert read(path).annotations_file(POSETRACK15) is None
    for own, others in ((POSETRACK15, COCO17), (COCO17, POSETRACK15)):
        categories = [{"id": 1, "name": "person", "keypoints": list(own.joints)}]
        whole = read(write(tmp_path, [person(keypoints=[1, 2, 2] * len(own))], categories=categories))
        assert whole.skeleton is own
        assert whole.annotations_file(own) == whole.annotations_file(PERSON19) == path
        assert whole.annotations_file(others) is None


@pytest.mark.parametrize(
    ("name", "skeleton", "images", "people", "identities"),
    [
        ("json://{0}/coco/test_coco.json?images={0}/coco", COCO17, 4, 14, 0),
        ("json://{0}/crowdpose/test_crowdpose.json?images={0}/crowdpose", CROWDPOSE, 2, 5, 0),
        ("json://{0}/posetrack18/annotations/val?images={0}/posetrack18&format=posetrack",
         POSETRACK18, 2, 3, 3),
        ("json://{0}/halpe/test_halpe.json?images={0}/coco&format=halpe", HALPE136, 4, 14, 0),
        ("json://{0}/coco/test_coco_wholebody.json?images={0}/coco&format=wholebody", COCO_WHOLEBODY133, 4, 14, 0),
    ],
)  # fmt: skip
def test_real_files(real_data, name, skeleton, images, people, identities):
    dataset = build_dataset(name.format(real_data), training=False)
    found = [dataset[i] for i in range(len(dataset))]
    assert dataset.skeleton == skeleton
    assert len(found) == images
    assert sum(int((~image.targets.ignore).sum()) for image in found) == people
    assert dataset.num_identities == identities
    for image in found:
        labelled = image.targets.keypoints[..., 2] > 0
        inside = image.targets.keypoints[..., :2] <= [image.image.shape[1], image.image.shape[0]]
        assert inside[labelled].all()


def test_two_labellings_of_the_same_people_agree_joint_by_joint(real_data):
    """COCO-WholeBody's and Halpe's of 14 people, in shares of the box; feet in the wrong order would be 0.07 apart."""
    address = "json://{0}/{1}?images={0}/coco&format={2}"
    one = build_dataset(
        address.format(real_data, "coco/test_coco_wholebody.json", "wholebody"), training=False
    )
    other = build_dataset(address.format(real_data, "halpe/test_halpe.json", "halpe"), training=False)
    apart = {part: [] for part in HALPE136.parts}
    for index in range(len(one)):
        ours, theirs = one.targets(index), other.targets(index)
        moved = COCO_WHOLEBODY133.convert(ours.keypoints, HALPE136)
        sizes = (theirs.boxes[:, 2:] - theirs.boxes[:, :2]).max(axis=1)
        both = (moved[..., 2] > 0) & (theirs.keypoints[..., 2] > 0)
        shares = np.linalg.norm(moved - theirs.keypoints, axis=2) / sizes[:, None]
        for part, joints in HALPE136.parts.items():
            apart[part] += shares[:, joints][both[:, joints]].tolist()
    assert {part: len(values) for part, values in apart.items()} == {
        "body": 181, "foot": 34, "face": 177, "hands": 74,
    }  # fmt: skip
    assert max(apart["body"]) < 0.02
    assert np.median(apart["foot"]) < 0.021
    assert np.percentile(apart["foot"], 90) < 0.045
    assert max(np.median(apart["face"]), np.median(apart["hands"])) < 0.014
