"""What becomes of people that exporters label in their own ways: repaired, left out, refused, and always told."""

import copy
import random

import pytest
from label_files import JOINTS, NAN, Read, content, person

from fastpose_mtn.errors import InputError


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
