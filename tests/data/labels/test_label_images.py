"""Images and ids of a label file."""

import pytest
from label_files import JOINTS, NAN, Read, content, person

from fastpose_mtn.errors import InputError


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
