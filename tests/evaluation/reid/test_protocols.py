"""The readers of CUHK-SYSU's and PRW's protocols, on files written in their structure."""

import json

import cv2
import numpy as np
import pytest
from person_search_files import write_cuhk_sysu, write_prw

from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.evaluation.measures.measure import EvaluatedImage
from fastpose_mtn.evaluation.measures.search import SearchMeasure
from fastpose_mtn.evaluation.reid.protocols import (
    evaluate_cuhk_sysu,
    queries_from_targets,
)
from fastpose_mtn.evaluation.reid.search import PersonSearchGallery, evaluate_person_search
from fastpose_mtn.structures import PersonDetections, PersonTargets


@pytest.fixture
def cuhk(tmp_path):
    return write_cuhk_sysu(tmp_path)


@pytest.fixture
def prw(tmp_path):
    return write_prw(tmp_path)


def found(box, vector):
    return PersonDetections(
        boxes=np.array([box], np.float32),
        scores=np.ones(1, np.float32),
        keypoints=np.zeros((1, 0, 3), np.float32),
        embeddings=np.array([vector], np.float32),
    )


def test_cuhk_sysu_by_gallery_size(cuhk):
    detections = PersonSearchGallery({
        "s2.jpg": found([5, 6, 45, 86], [1, 0]), "s3.jpg": found([0, 0, 9, 9], [0.9, 0.1]),
        "s4.jpg": found([300, 300, 400, 400], [0, 1]),
    })  # fmt: skip
    results = evaluate_cuhk_sysu(cuhk, np.eye(2), detections, gallery_sizes=(50, 100))
    assert results.keys() == {50, 100}
    # The first query is found at once; the second one's detection lies elsewhere.
    assert results[100].average_precision.tolist() == [1.0, 0.0]


def targets(*identities, ignore=None):
    n = len(identities)
    boxes = np.array([[100 * i, 0, 100 * i + 50, 100] for i in range(n)], np.float32).reshape(-1, 4)
    return PersonTargets(
        boxes=boxes,
        keypoints=np.zeros((n, 0, 3), np.float32),
        identities=np.array(identities, np.int64),
        ignore=np.zeros(n, bool) if ignore is None else np.array(ignore),
    )


def test_queries_from_any_labelled_images():
    images = {
        "a": targets(3, -1, 5), "b": targets(5, 3), "c": targets(9), "d": targets(3),
        "e": targets(5, ignore=[True]), "f": targets(),
    }  # fmt: skip
    third, fifth = queries_from_targets(images)
    assert (third.image_id, third.box.tolist()) == ("a", [0, 0, 50, 100])
    assert {k: v.tolist() for k, v in third.matches.items()} == {
        "b": [100, 0, 150, 100],
        "d": [0, 0, 50, 100],
    }
    assert set(third.gallery) == {"b", "c", "d", "e", "f"}
    assert set(fifth.matches) == {"b"}  # in e it is ignored
    small = queries_from_targets(images, gallery_size=3, seed=1)
    assert [len(q.gallery) for q in small] == [3, 3]
    assert set(small[0].gallery) >= {"b", "d"}
    again = queries_from_targets(images, gallery_size=3, seed=1)
    assert [q.gallery for q in small] == [q.gallery for q in again]
    # Perfect detections with one vector an identity: everybody is found.
    vectors = np.eye(10, dtype=np.float32)
    gallery_of = PersonSearchGallery({
        name: PersonDetections(t.boxes, np.ones(len(t), np.float32), t.keypoints, vectors[t.identities])
        for name, t in images.items()
    })  # fmt: skip
    result = evaluate_person_search(small, vectors[[3, 5]], gallery_of)
    assert result.cmc[1] == 1.0


def catalogued(name, root, folder, people, monkeypatch):
    """The dataset of this name in ``root``: rows of image, identity and box x, y, w, h."""
    (root / folder).mkdir(parents=True)
    images = sorted({image for image, _, _ in people})
    for image in images:
        cv2.imwrite(str(root / folder / image), np.zeros((400, 400, 3), np.uint8))
    content = {
        "images": [{"id": i, "file_name": image} for i, image in enumerate(images)],
        "annotations": [
            {"id": k, "image_id": images.index(image), "bbox": box, "person_id": identity}
            for k, (image, identity, box) in enumerate(people)
        ],
    }
    (root / f"{name}.json").write_text(json.dumps(content))
    (root / "all").mkdir()
    (root / "all" / name.rpartition("_")[0]).symlink_to(root)
    monkeypatch.setenv("FASTPOSE_DATASETS", str(root / "all"))
    return build_dataset(name, training=False)


def searched(dataset):
    """The numbers of a perfect network, and the boxes that it was asked to describe, by image."""
    measure, asked, entries = SearchMeasure(dataset), {}, []
    for index in range(len(dataset)):
        image = dataset[index]

        def vectors_of(boxes, targets=image.targets):
            nearest = np.abs(boxes[:, None] - targets.boxes[None]).sum(axis=2).argmin(axis=1)
            return np.eye(9, dtype=np.float32)[targets.identities[nearest]]

        def describe(boxes, file=image.file_name, vectors_of=vectors_of):
            asked[file] = boxes.tolist()
            return vectors_of(boxes)

        found = PersonDetections(
            boxes=image.targets.boxes,
            scores=np.ones(len(image.targets), np.float32),
            keypoints=np.zeros((len(image.targets), 15, 3), np.float32),
            embeddings=vectors_of(image.targets.boxes),
        )
        seen = EvaluatedImage(index, image.image_id, (400, 400), image.targets, describe=describe)
        entries.append(measure.entry(seen, found))
    return measure, entries, asked


def test_prws_own_queries_are_searched_for(prw, tmp_path, monkeypatch):
    people = [
        ("c1s1_000001.jpg", 7, [10.6, 0, 30, 57]), ("c1s1_000002.jpg", 7, [12, 5, 30, 60]),
        ("c2s1_000001.jpg", 7, [50, 50, 20.5, 40]), ("c2s1_000001.jpg", 8, [90, 50, 20, 40]),
        ("c2s1_000002.jpg", -1, [90, 50, 20, 40]),
    ]  # fmt: skip
    dataset = catalogued("prw_test", prw, "frames", people, monkeypatch)
    measure, entries, asked = searched(dataset)
    assert asked == {"c1s1_000001.jpg": [[10, 0, 40, 57]], "c2s1_000001.jpg": [[90, 50, 110, 90]]}
    assert measure.evaluate(entries)["search/mAP"] == 1.0  # of the first; the second is nowhere else
    with pytest.raises(ValueError, match=r"dataset prw_test: image c1s1_000001.jpg, of a query, is not part"):
        measure.evaluate(entries[1:])


def test_cuhk_sysus_own_queries_are_searched_for(cuhk, monkeypatch):
    people = [
        ("s1.jpg", 0, [10, 20, 30, 60]), ("s2.jpg", 0, [5, 6, 40, 80]), ("s3.jpg", 1, [1, 2, 30, 60]),
        ("s4.jpg", 1, [7, 8, 30, 60]), ("s5.jpg", 1, [7, 8, 30, 60]),
    ]  # fmt: skip
    measure, entries, asked = searched(catalogued("cuhk_sysu_test", cuhk, "Image/SSM", people, monkeypatch))
    assert asked == {"s1.jpg": [[10, 20, 40, 80]], "s3.jpg": [[1, 2, 31, 62]]}
    assert measure.evaluate(entries)["search/top1"] == 1.0
