"""Files and images of a dataset: which may be missing, belong together, or be the official ones."""

import re

import cv2
import numpy as np
import pytest
from coco_files import JOINTS, person, read, write

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


@pytest.mark.parametrize("name", ["1.PNG", "images/1.png", "{folder}/1.png", "1", "1.jpg"])
def test_where_a_missing_image_lies_is_told(tmp_path, name):
    """Labels made on Windows do not know capitals; others name the folder of the images too, another one, or no ending."""
    path = write(tmp_path, [], [{"id": 1, "file_name": "1.png"}])
    path.write_text(path.read_text().replace("1.png", name.format(folder=tmp_path.name)))
    there = f"{tmp_path / '1.png'} is there; DATALOADER"
    with pytest.raises(ValueError, match=rf"1 of 1 images are missing, .*\(image id 1\); {re.escape(there)}"):
        read(path)


def test_a_name_longer_than_any_files_is_missing(tmp_path):
    path = write(tmp_path, [], [{"id": 1, "file_name": "1.png"}])
    path.write_text(path.read_text().replace("1.png", "a" * 300 + ".png"))
    with pytest.raises(
        ValueError, match=r"images are missing, the first is .*aaa\.png \(image id 1\); DATALOADER"
    ):
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
