"""What becomes of label files that exporters write in their own ways: repaired, left out, refused, and always told."""

import copy
import json
import random

import pytest

from fastpose_mtn.data.coco.dataset import read_records
from fastpose_mtn.data.coco.ground_truth import read_coco_labels
from fastpose_mtn.data.coco.records import CocoJsonFormat
from fastpose_mtn.data.problems import Problems
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import COCO17, skeleton_of

NAN = float("nan")
CATEGORY = {"id": 1, "name": "person", "keypoints": list(COCO17.joints)}
JOINTS = [value for joint in range(17) for value in (40 + joint, 30 + 4 * joint, 2)]


def person(number=1, image_id=1, **changes):
    record = {
        "id": number, "image_id": image_id, "category_id": 1, "bbox": [35, 25, 30, 75], "area": 1200, "iscrowd": 0,
        "num_keypoints": 17, "keypoints": JOINTS,
    }  # fmt: skip
    return {**record, **changes}


def content(*people, **changes):
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 200, "height": 120} for i in (1, 2)]
    return {"images": images, "annotations": list(people) or [person()], "categories": [CATEGORY], **changes}


def without(record, field):
    return {name: value for name, value in record.items() if name != field}


class Read:
    """A file as training and as evaluation have it, which must agree, and what is told of it."""

    def __init__(self, folder, data, form=CocoJsonFormat()):  # noqa: B008 (frozen)
        path = folder / "labels.json"
        path.write_text(json.dumps(data))
        for image in data["images"] if isinstance(data.get("images"), list) else ():
            if (
                isinstance(image, dict)
                and isinstance(image.get("file_name"), str)
                and "\0" not in image["file_name"]
            ):
                file = folder / image["file_name"].replace("\\", "/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(b"")
        problems = Problems()
        reader, self.records = read_records(
            "mine", path, folder, form, problems, filter_empty=False, skip_missing=True
        )
        self.skeleton = skeleton_of(reader.joints)
        self.told = {(problem.severity, problem.kind): problem.count for problem in problems}
        self.places = [place for problem in problems for place in problem.places]
        self.people = [p for record in self.records for p in record.people if not p.ignore]
        self.joints = sum(int((p.keypoints[:, 2] > 0).sum()) for p in self.people)
        self.labels = read_coco_labels(path, form, Problems())
        measured = [label for label in self.labels.dataset["annotations"] if not label["iscrowd"]]
        assert len(measured) == len(self.people)
        assert sum(label.get("num_keypoints", 0) for label in measured) == self.joints
        ids = [label["id"] for label in self.labels.dataset["annotations"]]
        assert len(set(ids)) == len(ids)
        assert 0 not in ids


def test_a_file_in_order_is_read_without_a_word(tmp_path):
    read = Read(tmp_path, content(person(1), person(2, 2, iscrowd=True), person(3, 2, iscrowd=False)))
    assert (len(read.people), read.joints, read.told) == (2, 34, {})


REPAIRED = [
    ({"category_id": "1"}, "records whose category_id is text or a float, read as a whole number"),
    ({"category_id": 1.0}, "records whose category_id is text or a float, read as a whole number"),
    ({"category_id": None}, "annotations without a category_id, of the file's only category"),
    ({"category_id": "1.0"}, "records whose category_id is text or a float, read as a whole number"),
    ({"image_id": "1"}, "records whose image_id is text or a float, read as a whole number"),
    ({"image_id": 1.0}, "records whose image_id is text or a float, read as a whole number"),
    ({"track_id": "5"}, "records whose track_id is text or a float, read as a whole number"),
    ({"iscrowd": "0"}, "annotations whose iscrowd is text, read as 0 or 1"),
    ({"iscrowd": "false"}, "annotations whose iscrowd is text, read as 0 or 1"),
    ({"num_keypoints": 0}, "annotations whose num_keypoints is not how many joints they label, counted anew"),
    ({"num_keypoints": "17"}, "annotations whose num_keypoints is not how many joints they label, counted anew"),
    ({"bbox": None}, "annotations with joints but no box, which is drawn around them"),
    ({"bbox": [0, 0, 0, 0]}, "annotations with a box without area beside joints, drawn around them"),
    ({"bbox": [65, 100, -30, -75]}, "annotations with a box without area beside joints, drawn around them"),
    ({"bbox": [NAN, 25, 30, 75]}, "annotations with a box that is not finite beside joints, drawn around them"),
    ({"bbox": [1e30, 25, 1e30, 75]}, "annotations with a box that is not finite beside joints, drawn around them"),
    ({"bbox": [None] * 4}, "annotations with a box that is not finite beside joints, drawn around them"),
    ({"bbox": [500, 25, 30, 75]}, "annotations with a box outside the image beside joints, drawn around them"),
    ({"id": None}, "annotations without an id, which are numbered"),
    ({"id": [1]}, "annotations without an id, which are numbered"),
    ({"area": 0}, "annotations whose area is no number above 0, evaluated with a share of the box"),
    ({"area": "big"}, "annotations whose area is no number above 0, evaluated with a share of the box"),
    ({"keypoints": [JOINTS[i : i + 3] for i in range(0, 51, 3)]},
     "annotations whose keypoints are a list for each joint, read as one list"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "kind"), REPAIRED)
def test_what_can_only_mean_one_thing_is_repaired_and_counted(tmp_path, change, kind):
    read = Read(tmp_path, content(person(**change)))
    assert (len(read.people), read.joints) == (1, 17)
    assert read.told == {("repaired", kind): 1}
    assert "labels.json: annotations[0]" in read.places[0]


def test_a_box_of_no_use_becomes_the_one_around_the_joints(tmp_path):
    drawn = Read(tmp_path, content(person(bbox=[0, 0, 0, 0]))).people[0].box
    assert drawn == pytest.approx([40.5 - 2.4, 30.5 - 9.6, 56.5 + 2.4, 94.5 + 9.6])
    level = [value for joint in range(17) for value in (40 + joint, 60, 2)]  # joints on one line
    assert Read(tmp_path, content(person(bbox=None, keypoints=level))).people[0].box == pytest.approx(
        [38.1, 58.1, 58.9, 62.9]
    )


LEFT_OUT = [
    ({"category_id": 7}, "annotations whose category_id no category has (the file's are 1 person)"),
    ({"category_id": "dog"}, "annotations whose category_id no category has (the file's are 1 person)"),
    ({"image_id": 77}, "annotations whose image_id no image has"),
    ({"image_id": "seven"}, "annotations whose image_id no image has"),
    ({"bbox": [0, 0, 0, 0], "keypoints": [0] * 51, "num_keypoints": 0}, "annotations with a box without area"),
    ({"bbox": [NAN] * 4, "keypoints": [], "num_keypoints": 0}, "annotations with a box that is not finite"),
    ({"bbox": [], "keypoints": [9, 9, 2] + [0] * 48, "num_keypoints": 1},
     "annotations with joints that give no box, and no box of their own"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "kind"), LEFT_OUT)
def test_whom_nothing_can_be_made_of_is_left_out_and_counted(tmp_path, change, kind):
    read = Read(tmp_path, content(person(1), person(2, **change)))
    assert len(read.people) == 1
    assert read.told == {("left out", kind): 1}


@pytest.mark.parametrize(("change", "kind"), LEFT_OUT)
def test_a_file_of_which_everybody_is_left_out_is_refused(tmp_path, change, kind):
    with pytest.raises(InputError, match="none of its 1 annotations can be used"):
        Read(tmp_path, content(person(**change)))


def test_joints_that_are_not_finite_are_left_out_alone(tmp_path):
    read = Read(tmp_path, content(person(keypoints=[NAN, 1, 2, 1e300, 5, 2, None, None, 0, *JOINTS[9:]])))
    assert (len(read.people), read.joints) == (1, 14)
    assert (
        read.told["left out", "annotations with joints that are not finite (the joints alone are left out)"]
        == 1
    )


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"category_id": [1]}, r"category_id: expected one of the file's categories \(1 person\), got \[1\]"),
        ({"category_id": 1.5}, r"category_id: expected one of .*, got 1\.5"),
        ({"image_id": None}, "image_id: expected the id of one of the file's images, got null"),
        ({"image_id": True}, "image_id: expected .*, got true"),
        ({"iscrowd": 2}, "iscrowd: expected 0 or 1, got 2"),
        ({"iscrowd": "maybe"}, 'iscrowd: expected 0 or 1, got "maybe"'),
        ({"person_id": {}}, "person_id: expected a whole number or text, got an object"),
        (
            {"keypoints": [1, 2, 2] * 15},
            "keypoints: expected 51 numbers, .* 17 joints of the category, got 45",
        ),
        ({"keypoints": [1, 2] * 17}, "keypoints: expected 51 numbers, .*, got 34"),
        ({"keypoints": ["40", *JOINTS[1:]]}, r'keypoints\[0\]: expected a number, got "40"'),
        ({"keypoints": [40, 30, 3, *JOINTS[3:]]}, "keypoints: expected v of 0, 1 or 2, got 3"),
        ({"bbox": [1, 2, 3, "4"]}, r'bbox\[3\]: expected a number, got "4"'),
        ({"bbox": {"x": 1}}, "bbox: expected 4 numbers, x, y, width, height, got an object with x"),
    ],
)
def test_what_could_mean_anything_is_refused_with_place_field_and_value(tmp_path, change, text):
    with pytest.raises(InputError, match=r"labels\.json: annotations\[1\] \(id 2\): " + text):
        Read(tmp_path, content(person(1), person(2, **change)))


def test_shares_of_the_image_are_no_pixels(tmp_path):
    with pytest.raises(
        InputError, match=r"annotations: bbox: expected pixels, got numbers of at most 0\.5 throughout"
    ):
        Read(tmp_path, content(person(bbox=[0.3, 0.2, 0.2, 0.5])))
    shares = [value / 200 if i % 3 < 2 else value for i, value in enumerate(JOINTS)]
    with pytest.raises(
        InputError, match=r"annotations: keypoints: expected pixels, got numbers of at most 0\.47"
    ):
        Read(tmp_path, content(person(keypoints=shares)))


def test_corners_are_no_sizes(tmp_path):
    corners = [
        [35, 25, 65, 100],
        [100, 60, 180, 118],
        [5, 70, 60, 119],
        [120, 20, 199, 110],
        [90, 90, 150, 119],
    ]
    people = [person(i, bbox=box, keypoints=[], num_keypoints=0) for i, box in enumerate(corners, 1)]
    with pytest.raises(
        InputError, match="bbox: expected x, y, width, height, got 5 of 5 boxes that reach over"
    ):
        Read(tmp_path, content(*people))
    few = Read(tmp_path, content(*people[:4]))  # of so few nothing is concluded: over the border they may be
    assert few.told == {("kept", "annotations with a box that reaches over the image's border, cut to it"): 4}


def test_joints_outside_their_own_box_are_told(tmp_path):
    read = Read(tmp_path, content(person(1), person(2, bbox=[150, 20, 30, 60])))
    assert read.told == {("kept", "annotations none of whose joints lies in their box"): 1}
    assert read.places == [f"{tmp_path / 'labels.json'}: annotations[1] (id 2)"]


def test_two_of_one_identity_in_one_image_are_told(tmp_path):
    people = [person(1, track_id=1), person(2, track_id=1, bbox=[34, 25, 30, 75]), person(3, 2, track_id=1)]
    read = Read(tmp_path, content(*people))
    assert read.told == {
        ("kept", "annotations with the person_id or track_id of somebody else in their image"): 1
    }


def test_a_person_who_is_there_twice_is_told(tmp_path):
    """Of another number, as where files were joined; nobody else whose box or joints alone are alike."""
    kind = "annotations with the box and the joints of another one of their image"
    other = [40, *JOINTS[1:-3], 59, 96, 2]
    people = [
        person(1),
        person(2),
        person(3, 2),
        person(4, keypoints=other),
        person(5, bbox=[35, 25, 30, 76]),
    ]
    read = Read(tmp_path, content(*people, person(6)))
    assert read.told == {("kept", kind): 2}
    assert read.places == [f"{tmp_path / 'labels.json'}: annotations[1] (id 2)"]  # the first
    assert len(read.people) == 6
    crowds = [person(1, iscrowd=1), person(2, iscrowd=1), person(3, bbox=[30, 25, 30, 75])]
    assert not Read(tmp_path, content(*crowds)).told


def test_one_whose_box_is_in_shares_among_pixels_is_told(tmp_path):
    shares = [0.35, 0.25, 0.3, 0.75]
    read = Read(tmp_path, content(person(1), person(2, bbox=shares, keypoints=[], num_keypoints=0)))
    assert read.told == {("kept", "annotations with a box smaller than a pixel"): 1}
    assert read.places == [f"{tmp_path / 'labels.json'}: annotations[1] (id 2)"]


def test_joints_labelled_at_the_origin_are_told(tmp_path):
    read = Read(tmp_path, content(person(keypoints=[0, 0, 2, *JOINTS[3:]])))
    kind = "annotations that label joints at exactly 0, 0 (v of a joint that is not labelled is 0)"
    assert read.told == {("kept", kind): 1}


# --- categories ----------------------------------------------------------------------------------

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


# --- images and ids ------------------------------------------------------------------------------


@pytest.mark.parametrize("image_id", ["one", "007", 2**65, -5, 10**30])
def test_images_may_have_any_id_and_get_numbers(tmp_path, image_id):
    data = content(person(1, image_id), person(2, 2))
    data["images"][0]["id"] = image_id
    read = Read(tmp_path, data)
    assert [len(record.people) for record in read.records] == [1, 1]
    numbers = [record.image_id for record in read.records]
    assert len(set(numbers)) == 2
    assert [label["image_id"] for label in read.labels.dataset["annotations"]] == numbers
    assert read.labels.image_numbers == {image_id: numbers[0], 2: 2}


def test_images_are_looked_at_too(tmp_path):
    data = content(person(1, 1), person(2, 2))
    data["images"][0] |= {
        "id": "1",
        "file_name": "sub\\a.jpg",
        "width": "200",
        "height": 0,
        "is_labeled": "true",
    }
    data["images"].append(data["images"][1])
    read = Read(tmp_path, data)
    assert [record.file_name for record in read.records] == ["sub/a.jpg", "2.jpg"]
    assert len(read.people) == 2
    assert read.told == {
        ("left out", "images that are listed twice"): 1,
        ("repaired", "records whose image id is text or a float, read as a whole number"): 1,
        ("repaired", "images whose file_name has backslashes, read as slashes"): 1,
        ("repaired", "images whose width or height is not above 0, taken as unknown"): 1,
    }


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"id": None}, r"images\[1\]: id: expected a whole number or text, got null"),
        ({"id": 1}, r"images\[1\] \(id 1\): an id that appears twice, got 1"),
        ({"id": [2]}, r"images\[1\]: id: expected a whole number or text, got \[2\]"),
        ({"file_name": None}, r"images\[1\] \(id 2\): file_name: expected the image's name, got null"),
        ({"width": NAN}, r"images\[1\] \(id 2\): expected width and height in pixels, got NaN and 120"),
        ({"height": 1e300}, r"expected width and height in pixels, got 200 and 1e\+300"),
        ({"is_labeled": "perhaps"}, 'is_labeled: expected true or false, got "perhaps"'),
        ({"ignore_regions_x": 5}, "ignore_regions_x: expected a list, got 5"),
        (
            {"file_name": "1.jpg", "width": 77},
            "file_name: expected an image of its own or the same size, got 1.jpg",
        ),
    ],
)
def test_an_image_that_cannot_be_meant_is_refused(tmp_path, change, text):
    data = content()
    data["images"][1] |= change
    with pytest.raises(InputError, match=text):
        Read(tmp_path, data)


def test_an_image_with_two_ids_is_one_with_the_people_of_both(tmp_path):
    """Trained as two, it would show each half of its people as background."""
    other = person(
        2, 2, bbox=[100, 25, 30, 75], keypoints=[v + 60 if i % 3 == 0 else v for i, v in enumerate(JOINTS)]
    )
    data = content(person(1), other, person(3, 2))
    data["images"][1]["file_name"] = "./1.jpg"
    read = Read(tmp_path, data)
    assert [len(record.people) for record in read.records] == [2]
    assert read.told == {
        ("repaired", "images of one file, taken as one with the people of all"): 1,
        ("left out", "people that two images of one file have both"): 1,
    }


def test_the_same_annotation_counts_once_and_another_of_its_id_too(tmp_path):
    read = Read(tmp_path, content(person(1), person(1), person(1, 2)))
    assert len(read.people) == 2
    assert read.told == {
        ("left out", "annotations that are listed twice"): 1,
        ("repaired", "annotations with an id that appears twice, which are numbered anew"): 1,
    }


def test_people_of_images_that_say_they_are_not_labelled_are_told(tmp_path):
    data = content(person(1), person(2, 2))
    data["images"][1]["is_labeled"] = 0
    read = Read(tmp_path, data)
    assert len(read.people) == 1
    assert list(read.told.values()) == [1]


def test_regions_are_ignored_in_training_and_evaluation_alike(tmp_path):
    data = content()
    data["images"][0] |= {"ignore_regions_x": [[100, 150, 100], [1]], "ignore_regions_y": [[10, 10, 60]]}
    read = Read(tmp_path, data)
    crowds = [label["bbox"] for label in read.labels.dataset["annotations"] if label["iscrowd"]]
    assert crowds == [[100, 10, 50, 50]]
    assert sum(p.ignore for record in read.records for p in record.people) == 1
    assert [severity for severity, _ in read.told] == ["left out"]


# --- at random -----------------------------------------------------------------------------------

VALUES = [
    None, True, False, 0, -1, 1, 2, 1.0, 1.5, NAN, float("inf"), 1e308, 2**65, "", "1", "0", "x", "person", "a\\b", [],
    [1], [None], {}, {"a": 1}, [[1, 2, 3]], "true", [0, 0, 0, 0], [NAN] * 4, [0] * 51, [1] * 50,
]  # fmt: skip


@pytest.mark.parametrize("seed", range(150))
def test_any_change_of_a_file_is_told_or_loses_nothing(tmp_path, seed):
    """What is refused is refused by an ``InputError``; ``Read`` compares training and evaluation."""
    rng = random.Random(seed)
    data = copy.deepcopy(content(*(person(i, 1 + i % 2) for i in range(1, 5))))
    part = rng.choice(["images", "annotations", "annotations", "categories"])
    record = rng.choice(data[part])
    field = rng.choice(list(record))
    value = rng.choice(VALUES)
    if rng.random() < 0.2:
        del record[field]
    elif isinstance(record[field], list) and record[field] and rng.random() < 0.5:
        record[field][rng.randrange(len(record[field]))] = value
    else:
        record[field] = value
    read, refused = None, ""
    try:
        read = Read(tmp_path, data)
    except InputError as error:
        refused = str(error)
    assert read or "labels.json" in refused
    unlabelled = (
        part == "annotations" and field == "keypoints"
    )  # a list without joints is a label like others
    if read and not unlabelled:
        assert read.told or (len(read.people), read.joints) == (4, 68)


def people_in_boxes(boxes, **changes):
    """Somebody in each box, with joints from a tenth to nine tenths of it."""
    for number, (x, y, width, height) in enumerate(boxes, 1):
        joints = [[x + width * (k + 2) / 20, y + height * (k + 2) / 20, 2] for k in range(17)]
        yield person(number, bbox=[x, y, width, height], keypoints=joints, **changes)


BOXES = [(10 + 30 * i, 5 + i, 20, 80) for i in range(6)]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda p: p["bbox"].__setitem__(slice(2), [p["bbox"][i] + p["bbox"][i + 2] / 2 for i in (0, 1)]),
            "got the centre's x and y, width, height: only so .* subtract half the size from them",
        ),
        (
            lambda p: p.update(keypoints=[[y, x, v] for x, y, v in p["keypoints"]]),
            "got joints as y, x, v: only so do people's joints lie in their boxes; exchange the joints' x and y",
        ),
    ],
)
def test_boxes_and_joints_in_another_order_are_refused(tmp_path, change, message):
    people = list(people_in_boxes(BOXES))
    assert len(Read(tmp_path, content(*people)).people) == 6
    for one in people[1:]:
        change(one)
    assert len(Read(tmp_path, content(*people[:5])).people) == 5  # of so few little can be concluded
    change(people[0])
    with pytest.raises(InputError, match=f"labels.json: annotations: expected bbox as x, y, .*{message}"):
        Read(tmp_path, content(*people))


def test_true_is_no_visibility(tmp_path):
    """It would be 1, labelled and hidden."""
    joints = [bool(value) if i % 3 == 2 else value for i, value in enumerate(JOINTS)]
    with pytest.raises(InputError, match=r"keypoints\[2\]: expected a number, got true"):
        Read(tmp_path, content(person(keypoints=joints)))
