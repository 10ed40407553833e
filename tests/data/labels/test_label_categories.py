"""Whose labels the people of a label file are: names of categories and of joints."""

import pytest
from label_files import CATEGORY, Read, content, person, without

from fastpose_mtn.data.coco.records import CocoJsonFormat
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import COCO17

DOG = {"id": 2, "name": "dog"}
UNNAMED = without(CATEGORY, "keypoints")


@pytest.mark.parametrize("name", ["Person", "PEOPLE", " human ", "pedestrian", "woman"])
def test_people_are_known_by_many_names_and_dogs_never_train(tmp_path, name):
    dog = person(2, category_id=2, keypoints=[], num_keypoints=0)
    read = Read(tmp_path, content(person(1), dog, categories=[{**CATEGORY, "name": name}, DOG]))
    assert (len(read.people), read.joints) == (1, 17)
    assert read.told == {("left out", "annotations of categories that are not people's"): 1}
    assert read.places[0].endswith("annotations[1] (id 2), got dog")


@pytest.mark.parametrize(
    "spelled",
    [
        str.upper,
        lambda name: f" {name}",
        lambda name: name.replace("_", " ").title(),
        lambda name: name.replace("_", "-"),
        lambda name: name.replace("_", "."),
        lambda name: "".join(word.title() for word in name.split("_")),
        lambda name: "_".join(reversed(name.split("_"))),
        lambda name: name.replace("left_", "l_").replace("right_", "r_"),
        lambda name: name.replace("left_", "L").replace("right_", "R"),
        lambda name: name.replace("_", ""),
    ],
)
def test_joints_are_known_however_they_are_spelled(tmp_path, spelled):
    category = {**CATEGORY, "keypoints": [spelled(name) for name in COCO17.joints]}
    read = Read(tmp_path, content(categories=[category]))
    assert read.skeleton is COCO17
    kind = "names of joints in another spelling, read as the usual one"
    assert read.told == {
        ("repaired", kind): sum(a != b for a, b in zip(category["keypoints"], COCO17.joints, strict=True))
    }
    with pytest.raises(InputError, match="two joints of the file have the same name"):
        Read(
            tmp_path,
            content(categories=[{**category, "keypoints": ["nose", spelled("left_eye"), "left_eye"]}]),
        )


def test_joints_that_nobody_knows_keep_their_names(tmp_path):
    names = [f"Spine {k}" for k in range(17)]
    read = Read(tmp_path, content(categories=[{**CATEGORY, "keypoints": names}]))
    assert (read.told, read.skeleton.joints) == ({}, tuple(names))


def test_a_category_with_joints_is_taken_for_people_and_it_is_said(tmp_path):
    read = Read(tmp_path, content(categories=[{**CATEGORY, "name": "player"}, DOG]))
    assert len(read.people) == 1
    assert read.told == {("kept", "categories that are taken as people's, for they have joints"): 1}


@pytest.mark.parametrize(
    ("categories", "text"),
    [
        (None, "categories: expected a list that says what is annotated, got null"),
        ([], r"categories: expected a list that says what is annotated, got \[\]"),
        ({}, "categories: expected a list that says what is annotated"),
        ({"1": "person"}, "categories: expected a list, got an object with 1"),
        ([5], r"categories\[0\]: expected an object with id and name, got 5"),
        ([{"name": "person"}], r"categories\[0\]: id: expected a whole number, got null"),
        ([CATEGORY, {**DOG, "id": 1}], r"categories\[1\]: id: expected an id of its own, got 1, which is person's too"),
        ([UNNAMED], r"categories\[0\] \(person\): keypoints: expected the names of the joints that 1 annotations label"),
        ([{**CATEGORY, "keypoints": 17}], r"categories\[0\]: keypoints: expected a list of joint names, got 17"),
        ([{**CATEGORY, "keypoints": ["nose"] * 17}], "two joints of the file have the same name"),
        ([{"id": 1, "name": "dog"}], "expected one called person .*, got dog; say which are people: .*category=NAME"),
        ([{**CATEGORY, "name": "dog"}], "expected one called person .*, got dog with 17 joints"),
        ([{**CATEGORY, "name": "quadruped", "keypoints": ["tail_end", "left_paw"]}], "got quadruped with 2 joints"),
        ([{**CATEGORY, "name": "home"}, {**CATEGORY, "id": 2, "name": "guest"}], "got home with 17 joints, guest"),
        ([UNNAMED, {**CATEGORY, "id": 2, "name": "pose"}], "got person, pose with 17 joints"),
    ],
)  # fmt: skip
def test_categories_that_do_not_tell_who_is_a_person_are_refused(tmp_path, categories, text):
    with pytest.raises(InputError, match=text):
        Read(tmp_path, content(categories=categories))
    with pytest.raises(InputError, match="categories"):
        Read(tmp_path, without(content(), "categories"))


def test_who_is_asked_says_which_categories_are_people(tmp_path):
    categories = [{**CATEGORY, "name": "home"}, {**CATEGORY, "id": 2, "name": "guest"}, {**DOG, "id": 3}]
    people = [person(i, category_id=i) for i in (1, 2, 3)]
    read = Read(tmp_path, content(*people, categories=categories), CocoJsonFormat(people=("home", "2")))
    assert len(read.people) == 2
    with pytest.raises(
        InputError, match="expected one called away, as category= asks, got home with 17 joints"
    ):
        Read(tmp_path, content(*people, categories=categories), CocoJsonFormat(people=("away",)))


def test_boxes_alone_need_no_names_of_joints(tmp_path):
    form = CocoJsonFormat(tasks=frozenset({"boxes"}))
    read = Read(tmp_path, content(categories=[UNNAMED]), form)
    assert (len(read.people), read.joints) == (1, 0)
    assert read.told == {("left out", "annotations with joints that no category names (the joints alone)"): 1}


def test_boxes_that_do_not_say_what_they_are_of_are_taken_as_people_and_it_is_said(tmp_path):
    box = {"id": 1, "image_id": 1, "bbox": [35, 25, 30, 75]}
    read = Read(tmp_path, without(content(box), "categories"))
    assert len(read.people) == 1
    assert read.told["kept", "files of boxes without any category, which are taken as people's"] == 1
    with pytest.raises(InputError, match="categories: expected a list"):
        Read(tmp_path, without(content(box, {**box, "category_id": 18}), "categories"))


def test_one_category_without_its_list_is_read(tmp_path):
    read = Read(tmp_path, content(categories=CATEGORY))
    assert (len(read.people), read.joints) == (1, 17)
    assert read.told == {("repaired", "categories that are one object, read as a list of one"): 1}


def test_ids_of_categories_may_be_any(tmp_path):
    """Evaluation gives everybody COCO's number of a person, whatever the file's is."""
    read = Read(
        tmp_path, content(person(category_id=0), categories=[{**CATEGORY, "id": 0}, {**DOG, "id": 1}])
    )
    assert read.labels.dataset["annotations"][0]["category_id"] == 1
    assert (read.labels.people, read.labels.others) == ({0}, {1})
