import logging

import cv2
import numpy as np
import pytest
from crop_folders import colour, write_crops

from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.data.loader import AugmentedImages
from fastpose_mtn.skeletons import POSETRACK15


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_crops(tmp_path_factory.mktemp("crops"), [4, 5, 3, 6])


def build(folder, parts="", training=True):
    return build_dataset(f"crops://{folder}?size=320x240{parts}", training=training)


def test_a_collage_shows_the_people_that_its_labels_say(folder):
    dataset = build(folder, "&people=4")
    assert (len(dataset), dataset.num_identities, dataset.tasks) == (5, 4, {"identities"})
    for index in range(len(dataset)):
        image = dataset[index]
        assert image.image.shape == (240, 320, 3)
        assert image.image.dtype == np.uint8
        assert dataset.image_size_wh(index) == (320, 240)
        assert len(image.targets) > 0
        for box, identity in zip(image.targets.boxes, image.targets.identities, strict=True):
            x1, y1, x2, y2 = box.round().astype(int)
            assert (np.abs(image.image[y1:y2, x1:x2].astype(int) - colour(identity)) <= 2).all()
            assert 55 <= y2 - y1 <= 240


def test_boxes_lie_a_little_inside_the_crops(folder):
    dataset = build(folder, "&people=1")
    ((x1, y1, x2, y2),) = dataset.targets(0).boxes.tolist()
    width, height = (x2 - x1) / 0.88, (y2 - y1) / 0.94
    assert height / width == pytest.approx(2, abs=0.1)
    assert (x1 - 0.06 * width) == pytest.approx(round(x1 - 0.06 * width), abs=1e-3)


def test_a_collage_follows_from_its_number_and_the_seed(folder):
    one, again, other = build(folder), build(folder), build(folder, "&seed=1")
    for index in (1, 0):
        first, second = one[index], again[index]
        np.testing.assert_array_equal(first.image, second.image)
        np.testing.assert_array_equal(first.targets.boxes, second.targets.boxes)
        np.testing.assert_array_equal(first.targets.boxes, one.targets(index).boxes)
    assert not np.array_equal(one[0].image, other[0].image)
    assert not np.array_equal(one[0].image, one[1].image)


def test_more_collages_than_crops_and_fewer(folder):
    assert len(build(folder, "&people=4&images=40")) == 40
    assert len(build(folder, "&people=4&images=40")[39].targets) > 0
    assert len(build(folder, "&people=4&images=2", training=False)) == 2
    searched = build(folder, "&people=4&images=400", training=False)
    shown = np.concatenate(searched._collages)
    assert sorted(shown.tolist()) == list(range(18))  # the same picture twice would be no search


def test_splits_share_nobody(folder):
    first, second = build(folder, "&split=0-2"), build(folder, "&split=3")
    assert (first.num_identities, second.num_identities) == (3, 1)
    people = [{crop.path.parent.name for crop in dataset.crops} for dataset in (first, second)]
    assert people == [{"0000", "0001", "0002"}, {"0003"}]
    images = AugmentedImages([first, second], [], seed=0, skeleton=POSETRACK15)
    assert images.num_identities == 4
    sample = images[len(first), 0]
    assert set(sample.targets.identities.tolist()) == {3}
    assert (sample.tasks, sample.targets.keypoints.shape[1:]) == ({"identities"}, (15, 3))
    assert (sample.targets.keypoints == 0).all()


def test_photographs_behind_the_people(folder, tmp_path):
    for name, size in (("wide", (90, 1200)), ("small", (30, 20))):
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((*size, 3), (0, 0, 200), np.uint8))
    for index in range(3):
        image = build(folder, f"&people=1&backgrounds={tmp_path}")[index]
        red = (image.image == (200, 0, 0)).all(axis=2)
        assert 0.4 < red.mean() < 1
    painted = build(folder, "&people=1")[0].image
    assert len(np.unique(painted.reshape(-1, 3), axis=0)) > 100


def test_who_is_searched_for(folder):
    dataset = build(folder, "&people=3", training=False)
    queries = dataset.queries(None)
    assert len(queries) == 8  # four people from two cameras
    for query in queries:
        for image, box in [(query.image_id, query.box), *query.matches.items()]:
            targets = dataset.targets(int(image))
            row = np.flatnonzero((targets.boxes == box).all(axis=1)).item()
            assert targets.identities[row] == query.identity
        assert query.image_id not in query.gallery


def test_tasks_and_domain(folder):
    dataset = build(folder, "&tasks=boxes&domain=market")
    assert (dataset.tasks, dataset.num_identities, dataset.domain) == ({"boxes"}, 0, "market")
    assert build(folder).domain == f"crops://{folder}"


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ("size=320", r"size: expected WIDTHxHEIGHT, got '320'; expected crops://FOLDER\[\?size=WxH\]"),
        ("size=ax240", "size: expected a whole number, got 'a'"),
        ("size=-5x240", "size: expected a whole number, got '-5'"),
        ("size=320x20", "size: expected at least 64x64 pixels, got 320x20"),
        ("people=0", "people: expected 1 or more in a collage, got 0"),
        ("people=two", "people: expected a whole number, got 'two'"),
        ("split=5-2", "split: expected FIRST-LAST, got '5-2'"),
        ("split=0-9", "split ends at person 9, but .* has 4, 0 to 3"),
        ("tasks=joints", r"tasks: tasks are \['joints'\], expected some of"),
        (
            "tasks=keypoints+boxes",
            "tasks: crops of people have no joints; expected boxes, identities or both",
        ),
        ("backgrounds=/absent", "backgrounds: expected a folder of pictures, got /absent"),
        ("camera=1", "unknown part 'camera'"),
        ("people", "expected crops://FOLDER"),
    ],
)
def test_names_that_mean_nothing(folder, parts, text):
    with pytest.raises(ValueError, match=text) as error:
        build_dataset(f"crops://{folder}?{parts}", training=True)
    assert str(error.value).startswith(f"dataset crops://{folder}?{parts}: ")


def test_no_folder_in_the_name():
    with pytest.raises(ValueError, match=r"dataset crops://: it names no folder; expected crops://FOLDER"):
        build_dataset("crops://", training=True)


def test_what_is_left_out_is_told(tmp_path, caplog):
    write_crops(tmp_path, [2, 0])
    with caplog.at_level(logging.WARNING, "fastpose_mtn"):
        build(tmp_path)
    assert "left out 1 people without a picture, first" in caplog.text


def test_a_picture_that_is_cut_short_is_named(tmp_path):
    write_crops(tmp_path, [1])
    path = tmp_path / "0000" / "big.jpg"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (64, 32, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:-200])
    dataset = build(tmp_path)
    with pytest.raises(ValueError, match=r"big.jpg: expected a whole image, got one that is cut short"):
        dataset[0]
