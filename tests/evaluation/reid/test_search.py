"""Person search: worked examples, and a plain re-telling of the protocol as the reference."""

import math

import numpy as np
import pytest
import torch

from fastpose_mtn.data.dataset import PersonSearchQuery
from fastpose_mtn.evaluation.reid.search import (
    PersonSearchGallery,
    average_precision,
    evaluate_person_search,
    overlap_threshold,
)
from fastpose_mtn.structures import PersonDetections

BOX = np.array([100.0, 100.0, 200.0, 300.0])
FAR = np.array([400.0, 100.0, 500.0, 300.0])


def people(boxes, embeddings, scores=None):
    n = len(boxes)
    return PersonDetections(
        boxes=np.array(boxes, np.float32).reshape(-1, 4),
        scores=np.full(n, 0.9, np.float32) if scores is None else np.array(scores, np.float32),
        keypoints=np.zeros((n, 0, 3), np.float32),
        embeddings=np.array(embeddings, np.float32).reshape(n, -1) if n else None,
    )


def at(degrees, length=1.0):
    """An identity vector at this angle from the query's: similarity falls as the angle grows."""
    return [length * math.cos(math.radians(degrees)), length * math.sin(math.radians(degrees))]


QUERY_VECTOR = np.array([at(0)])


def search(detections, matches, gallery=None, **options):
    query = PersonSearchQuery("query", BOX, tuple(detections) if gallery is None else gallery, matches)
    return evaluate_person_search([query], QUERY_VECTOR, PersonSearchGallery(detections, **options))


def test_ranks_and_precisions_by_hand():
    # By similarity: a's right one (10), b's stranger (20), b's right one (30), c's stranger (40).
    detections = {
        "a": people([BOX, FAR], [at(10), at(50)]),
        "b": people([FAR, BOX], [at(20), at(30)]),
        "c": people([FAR], [at(40)]),
    }
    result = search(detections, {"a": BOX, "b": BOX})
    assert result.mean_average_precision == pytest.approx((1 / 1 + 2 / 3) / 2)
    assert result.first_correct_rank.tolist() == [1]
    assert result.cmc == {1: 1.0, 5: 1.0, 10: 1.0}


def test_a_missed_person_scales_ap_by_recall():
    detections = {"a": people([BOX], [at(10)]), "b": people([FAR], [at(60)]), "c": people([], [])}
    result = search(detections, {"a": BOX, "b": BOX, "c": BOX})
    assert result.mean_average_precision == pytest.approx(1 / 3)


def test_of_two_overlapping_detections_only_the_more_similar_is_right():
    detections = {"a": people([BOX, BOX + 1, FAR], [at(30), at(20), at(10)])}
    # The stranger leads, the better of the two is second, the other one is wrong and third.
    result = search(detections, {"a": BOX})
    assert result.mean_average_precision == pytest.approx(1 / 2)
    assert result.first_correct_rank.tolist() == [2]
    assert result.cmc == {1: 0.0, 5: 1.0, 10: 1.0}


def test_top_k_counts_queries():
    strangers = people([FAR] * 7, [at(5)] * 7)
    detections = {"a": people([BOX], [at(10)]), "b": people([BOX], [at(1)]), "c": strangers}
    queries = [
        PersonSearchQuery("q0", BOX, ("a", "c"), {"a": BOX}),  # rank 8
        PersonSearchQuery("q1", BOX, ("b", "c"), {"b": BOX}),  # rank 1
        PersonSearchQuery("q2", BOX, ("c",), {"c": BOX}),  # never
    ]
    result = evaluate_person_search(queries, np.repeat(QUERY_VECTOR, 3, 0), PersonSearchGallery(detections))
    assert result.first_correct_rank.tolist() == [8, 1, 0]
    assert result.cmc == {1: pytest.approx(1 / 3), 5: pytest.approx(1 / 3), 10: pytest.approx(2 / 3)}
    assert result.average_precision.tolist() == pytest.approx([1 / 8, 1.0, 0.0])
    assert result.as_dict() == {
        "search/mAP": pytest.approx((1 / 8 + 1) / 3),
        "search/top1": pytest.approx(1 / 3),
        "search/top5": pytest.approx(1 / 3),
        "search/top10": pytest.approx(2 / 3),
    }


def test_small_boxes_need_less_overlap():
    # 10 x 20: 200 / (20 * 30) = 1/3; 100 x 200: 20000 / 23100, capped at 1/2.
    small = np.array([0.0, 0.0, 10.0, 20.0])
    assert overlap_threshold(np.stack([small, BOX])).tolist() == pytest.approx([1 / 3, 0.5])
    for wide, right in ((0.34, True), (0.32, False)):
        covering = [0, 0, 10, 20 * wide]  # lies within the box: IoU is its share
        result = search({"a": people([covering], [at(0)])}, {"a": small})
        assert result.mean_average_precision == float(right)
    for high, right in ((0.51, True), (0.49, False)):
        result = search({"a": people([[100, 100, 200, 100 + 200 * high]], [at(0)])}, {"a": BOX})
        assert result.mean_average_precision == float(right)


def test_low_scores_are_left_out_and_length_of_vectors_does_not_matter():
    detections = {"a": people([BOX, FAR, FAR], [at(10, 0.1), at(5), at(60, 100.0)], scores=[0.5, 0.49, 0.9])}
    assert search(detections, {"a": BOX}).mean_average_precision == pytest.approx(1.0)
    assert search(detections, {"a": BOX}, score_threshold=0.2).mean_average_precision == pytest.approx(0.5)


def test_only_the_querys_own_gallery_counts():
    detections = {"a": people([BOX], [at(10)]), "b": people([FAR], [at(5)])}
    assert search(detections, {"a": BOX}, gallery=("a",)).mean_average_precision == pytest.approx(1.0)
    assert search(detections, {"a": BOX}).mean_average_precision == pytest.approx(0.5)


def test_a_query_without_a_match_is_left_out_and_nothing_at_all_is_nan():
    detections = {"a": people([BOX], [at(10)])}
    queries = [PersonSearchQuery("q", BOX, ("a",), matches) for matches in ({}, {"a": BOX})]
    result = evaluate_person_search(queries, np.repeat(QUERY_VECTOR, 2, 0), PersonSearchGallery(detections))
    assert math.isnan(result.average_precision[0])
    assert (result.mean_average_precision, result.cmc[1]) == (1.0, 1.0)
    nothing = search(detections, {})
    assert math.isnan(nothing.mean_average_precision)
    assert math.isnan(nothing.cmc[10])
    empty = search({"a": people([], [])}, {"a": BOX})
    assert (empty.mean_average_precision, empty.cmc[10]) == (0.0, 0.0)


def test_equal_similarities_enter_ap_together_and_rank_last():
    # As scikit-learn: at the one threshold that there is, 1 of 3 is right.
    assert average_precision(np.array([0.5, 0.5, 0.5]), np.array([True, False, False])) == pytest.approx(
        1 / 3
    )
    assert average_precision(np.array([0.9, 0.5, 0.5]), np.array([True, True, False])) == pytest.approx(
        1 / 2 * 1 + 1 / 2 * 2 / 3
    )
    assert average_precision(np.array([0.9]), np.array([False])) == 0.0
    result = search({"a": people([BOX, FAR], [at(10), at(10)])}, {"a": BOX})
    assert result.first_correct_rank.tolist() == [2]


def retold(queries, vectors, detections):
    """The protocol with lists and loops."""
    precisions, accuracies = [], []
    for query, vector in zip(queries, vectors, strict=True):
        ranking, found = [], 0
        for image_id in query.gallery:
            det = detections[image_id]
            rows = [
                (float(vector @ e) / float(np.linalg.norm(vector) * np.linalg.norm(e)), box)
                for box, score, e in zip(det.boxes, det.scores, det.embeddings, strict=True)
                if score >= 0.5
            ]
            rows.sort(key=lambda row: -row[0])
            open_match = image_id in query.matches
            for similarity, box in rows:
                right = False
                if open_match:
                    gx1, gy1, gx2, gy2 = query.matches[image_id]
                    x1, y1, x2, y2 = (float(v) for v in box)
                    shared = max(0, min(x2, gx2) - max(x1, gx1)) * max(0, min(y2, gy2) - max(y1, gy1))
                    w, h = gx2 - gx1, gy2 - gy1
                    iou = shared / ((x2 - x1) * (y2 - y1) + w * h - shared)
                    right = iou >= min(0.5, w * h / ((w + 10) * (h + 10)))
                    open_match = not right
                    found += right
                ranking.append((similarity, right))
        ranking.sort(key=lambda row: -row[0])
        hits, area = 0, 0.0
        for place, (_, right) in enumerate(ranking, 1):
            hits += right
            area += right * hits / place
        precisions.append(area / found * found / len(query.matches) if found else 0.0)
        accuracies.append([any(right for _, right in ranking[:k]) for k in (1, 5, 10)])
    return float(np.mean(precisions)), np.mean(accuracies, axis=0)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("as_torch", [False, True])
def test_equals_the_protocol_told_in_loops(seed, as_torch):
    rng = np.random.default_rng(seed)
    looks = rng.normal(size=(20, 8))
    detections, labels = {}, {}
    for number in range(60):
        image_id = f"s{number}.jpg"
        here = rng.choice(20, size=rng.integers(1, 5), replace=False)
        corner = rng.uniform(0, 400, (len(here), 2))
        boxes = np.c_[corner, corner + rng.uniform(8, 120, (len(here), 2))]
        labels[image_id] = dict(zip(here.tolist(), boxes, strict=True))
        twice = np.repeat(np.arange(len(here)), 2)
        noisy = boxes[twice] + rng.normal(0, 6, (len(twice), 4))
        noisy[:, 2:] = np.maximum(noisy[:, 2:], noisy[:, :2] + 1)
        detections[image_id] = people(
            noisy, looks[here[twice]] + rng.normal(0, 1.2, (len(twice), 8)), rng.uniform(0.3, 1, len(twice))
        )
        if as_torch:
            detections[image_id] = detections[image_id].to("cpu")
            assert isinstance(detections[image_id].boxes, torch.Tensor)
    queries = []
    for identity in range(20):
        where = [i for i in labels if identity in labels[i]]
        if len(where) > 1:
            others = [i for i in labels if i != where[0]]
            queries.append(PersonSearchQuery(
                where[0], labels[where[0]][identity], tuple(rng.permutation(others).tolist()),
                {i: labels[i][identity] for i in where[1:]},
            ))  # fmt: skip
    vectors = rng.normal(size=(len(queries), 8))
    result = evaluate_person_search(queries, vectors, PersonSearchGallery(detections))
    expected_map, expected_cmc = retold(queries, vectors, {i: d.numpy() for i, d in detections.items()})
    assert result.mean_average_precision == pytest.approx(expected_map, abs=1e-9)
    assert list(result.cmc.values()) == pytest.approx(expected_cmc.tolist())
    assert 0.01 < expected_map < 0.9


def test_errors_name_query_and_image():
    detections = {"a": people([BOX], [at(10)])}
    gallery = PersonSearchGallery(detections)

    def ask(image_id="q", searched=("a",), matches=None, vectors=QUERY_VECTOR):
        query = PersonSearchQuery(image_id, BOX, searched, {"a": BOX} if matches is None else matches)
        return evaluate_person_search([query], vectors, gallery)

    with pytest.raises(
        ValueError, match=r"query 0 \('q'\): gallery image 'b' was not searched; give its detections"
    ):
        ask(searched=("a", "b"))
    with pytest.raises(ValueError, match=r"query 0 \('q'\): its gallery names an image twice"):
        ask(searched=("a", "a"))
    with pytest.raises(ValueError, match=r"query 0 \('a'\): its own image is one of its matches"):
        ask(image_id="a")
    with pytest.raises(ValueError, match=r"match in 'z', which is not part of its gallery"):
        ask(matches={"z": BOX})
    with pytest.raises(ValueError, match=r"match in 'a': expected a box x1 y1 x2 y2"):
        ask(matches={"a": BOX[[2, 1, 0, 3]]})
    with pytest.raises(
        ValueError, match=r"query_embeddings: expected shape \(1, 2\), one row a query, got \(1, 3\)"
    ):
        ask(vectors=np.ones((1, 3)))
    with pytest.raises(ValueError, match=r"NaN or infinity for query 0"):
        ask(vectors=np.full((1, 2), np.nan))
    bare = PersonDetections(detections["a"].boxes, detections["a"].scores, detections["a"].keypoints)
    with pytest.raises(ValueError, match=r"gallery image 'x': detections have no identity vectors"):
        PersonSearchGallery({"x": bare})
    with pytest.raises(ValueError, match=r"gallery image 'y': identity vectors of 3 numbers, others have 2"):
        PersonSearchGallery({"x": people([BOX], [at(1)]), "y": people([BOX], [[1, 2, 3]])})
