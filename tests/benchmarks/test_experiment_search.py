"""Person search within scenes, of experiments."""

import numpy as np
import pytest
from experiment_drawn import drawn_dataset
from experiment_figures import SeenImage, image_records, statistic

from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections, PersonTargets

FAR, NEAR, NEAREST = (0, 0, 10, 20), (50, 0, 60, 20), (54, 0, 64, 20)  # the last two share 0.6 of their boxes


def seen(scene, people, boxes=(FAR, NEAR)):
    """An image of given people: (identity, vector) each; an identity of None is an ignored box."""
    boxes = np.array(boxes[: len(people)], np.float32)
    identities = np.array([-1 if who is None else who for who, _ in people])
    ignore = np.array([who is None for who, _ in people])
    keypoints = np.zeros((len(people), 15, 3), np.float32)
    targets = PersonTargets(boxes=boxes, keypoints=keypoints, identities=identities, ignore=ignore)
    vectors = np.array([vector for who, vector in people if who is not None], np.float32).reshape(-1, 2)
    found = PersonDetections(boxes[~ignore], np.ones(len(vectors), np.float32), keypoints[~ignore], vectors)
    return SeenImage(scene, (100, 100), targets, found, np.ones(len(vectors)))


def figures(images, weights=None):
    records = image_records(images, POSETRACK15)
    weights = np.ones(len(images)) if weights is None else np.array(weights)
    names = ("search/mAP", "search/rank1", "search/mAP_overlapped", "search/mAP_apart")
    return [statistic(name, records)(weights) for name in names]


def test_people_are_looked_for_in_the_scenes_other_images():
    images = [
        seen(0, [(1, (1, 0)), (2, (0, 1))]),
        seen(0, [(2, (0.1, 0.9)), (1, (0.9, 0.1))], boxes=(NEAR, NEAREST)),
        seen(1, [(3, (1, 0)), (4, (0, 1))]),
        seen(1, [(3, (0, 1)), (4, (1, 0))]),  # taken for one another
        seen(2, [(5, (1, 0))]),  # nowhere else
    ]
    assert figures(images) == [pytest.approx(0.75), 0.5, 1.0, pytest.approx(4 / 6)]
    # a scene that is drawn twice counts twice
    assert figures(images, [1, 1, 2, 2, 1])[0] == pytest.approx((4 * 1 + 8 * 0.5) / 12)


def test_an_ignored_box_is_nobody_and_a_stranger_counts_as_wrong():
    images = [
        seen(0, [(None, (1, 0)), (1, (1, 0))]),
        seen(0, [(1, (0.8, 0.2)), (2, (1, 0))]),
    ]
    mean, rank1, *_ = figures(images)
    assert (mean, rank1) == (pytest.approx((0.5 + 1.0) / 2), 0.5)


def test_figures_of_search_need_described_people():
    one = seen(0, [(1, (1, 0))])
    bare = SeenImage(0, (100, 100), one.targets, one.found)
    with pytest.raises(ValueError, match="people in given boxes who are described"):
        statistic("search/mAP", image_records([bare], POSETRACK15))


def test_drawn_people_keep_their_identities_on_disk(tmp_path):
    address = "synthetic://people?seeds=3-4&frames=3&stride=2&size=160x96&people=2&tasks=keypoints"
    plain = build_dataset(drawn_dataset(address, tmp_path), training=True)
    assert plain.num_identities == 0
    drawn = build_dataset(address + "+identities", training=True)
    written = build_dataset(drawn_dataset(address + "+identities", tmp_path), training=True)
    pairs = set()
    for index in range(len(drawn)):
        one, other = drawn[index].targets, written[index].targets
        pairs |= set(
            zip(one.identities[~one.ignore].tolist(), other.identities[~one.ignore].tolist(), strict=True)
        )
    numbers = [set(own) for own in zip(*pairs, strict=True)]
    assert len(pairs) == len(numbers[0]) == len(numbers[1]) == written.num_identities > 1
