import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from fastpose_mtn.tracking.similarity import (
    appearance_similarity,
    combined_similarity,
    count_visible_joints,
    embedding_distances,
    has_valid_embedding,
    height_ratio,
    match,
    proximity,
)


def confidences(*people):
    keypoints = np.zeros((len(people), len(people[0]), 3), np.float32)
    keypoints[..., 2] = people
    return keypoints


def valid(keypoints, share, body=None):
    joints = range(keypoints.shape[1]) if body is None else body
    return has_valid_embedding(keypoints, 0.2, share, body_joints=joints).tolist()


def test_distances_by_hand():
    a = np.array([[1, 0], [0.6, 0.8]], np.float32)
    b = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    np.testing.assert_allclose(
        embedding_distances(a, b), [[0, 2**0.5, 2], [0.8**0.5, 0.4**0.5, 3.2**0.5]], atol=1e-7
    )


def test_an_embedding_is_at_no_distance_from_itself_where_single_precision_would_err():
    embedding = np.full((1, 128), 1000.1, np.float32)
    assert embedding_distances(embedding, embedding)[0, 0] == 0.0


def test_a_joint_counts_above_gamma_not_at_it():
    assert count_visible_joints(confidences([0.2, 0.21, 1.0, 0.0]), 0.2).tolist() == [2]


def test_an_embedding_is_valid_above_ten_of_fifteen_joints_not_at_ten():
    ten, eleven = [1.0] * 10 + [0.0] * 5, [1.0] * 11 + [0.0] * 4
    assert valid(confidences(ten, eleven), 10 / 15) == [False, True]


def test_the_share_holds_for_other_skeletons():
    # two thirds of 17 joints are 11.3, of 3 joints 2
    eleven, twelve = [1.0] * 11 + [0.0] * 6, [1.0] * 12 + [0.0] * 5
    assert valid(confidences(eleven, twelve), 2 / 3) == [False, True]
    assert valid(confidences([1, 1, 0], [1, 1, 1]), 2 / 3) == [False, True]


def test_an_embedding_is_valid_by_the_bodys_joints_whatever_else_the_skeleton_has():
    """Two thirds of a body of 6 joints are 4; the face's 10 count neither for nor against."""
    five_of_body = [1.0] * 5 + [0.0] + [0.0] * 10
    face_alone = [1.0] * 4 + [0.0] * 2 + [1.0] * 10
    people = confidences(five_of_body, face_alone)
    assert valid(people, 2 / 3, body=range(6)) == [True, False]
    assert valid(people[:, ::-1], 2 / 3, body=range(10, 16)) == [True, False]
    assert valid(people[:, :0], 2 / 3, body=()) == [False, False]


def test_appearance_is_1_for_equal_embeddings_and_0_from_sigma_on():
    np.testing.assert_allclose(appearance_similarity(np.array([0, 0.5, 1.0, 1.7]), 1.0), [1, 0.5, 0, 0])


def test_equation_2_by_hand():
    iou, distance = np.array([[0.8, 0.8]]), np.array([[0.3, 0.3]])
    comparable = np.array([[True, False]])
    appearance = appearance_similarity(distance, 1.2)  # 0.75
    similarity = combined_similarity(iou, appearance, comparable, position_weight=0.4)
    np.testing.assert_allclose(similarity, [[0.4 * 0.8 + 0.6 * 0.75, 0.8]])


def test_the_more_similar_person_has_the_higher_similarity():
    """As printed in the paper, equation 2 would prefer the unlike one."""
    appearance = appearance_similarity(np.array([[0.1, 0.9]]), 1.0)
    like, unlike = combined_similarity(
        np.full((1, 2), 0.5), appearance, appearance > -1, position_weight=0.5
    )[0]
    assert like > unlike


def test_proximity_by_hand():
    expected = np.array([[0, 0, 10, 100]], float)  # centre (5, 50)
    boxes = np.array([[0, 0, 10, 100], [30, 40, 40, 140], [45, 0, 55, 200]], float)
    # offsets 0, (30, 40) = 50 px and (45, 50) px; reach half of 100, 100 and 200 px
    wanted = [1.0, 0.0, 1 - np.hypot(45, 50) / 100]
    np.testing.assert_allclose(proximity(expected, boxes, np.array([0.5])), wanted, atol=1e-12)
    flat = np.zeros((1, 4))
    assert proximity(flat, flat, np.array([0.5]))[0] == 1.0


def test_height_ratio_by_hand():
    a, b = np.array([[0, 0, 1, 50]], float), np.array([[0, 0, 1, 100], [0, 10, 1, 35], [0, 0, 1, 0]], float)
    np.testing.assert_allclose(height_ratio(a[:, None], b[None]), [[0.5, 0.5, 0.0]])


@pytest.mark.parametrize(
    ("similarity", "pairs"),
    [
        ([[0.9, 0.8], [0.8, 0.1]], [(0, 1), (1, 0)]),  # greedy would take 0.9 and leave the other alone
        ([[0.6, 0.29], [0.59, 0.0]], [(0, 0)]),  # the gate comes first
        ([[0.29, 0.1]], []),
        ([[0.3]], [(0, 0)]),
        ([[0.1, 0.5], [0.2, 0.6], [0.3, 0.7]], [(1, 1), (2, 0)]),
    ],
)
def test_matching_by_hand(similarity, pairs):
    rows, columns = match(np.array(similarity), 0.3)
    assert set(zip(rows.tolist(), columns.tolist(), strict=True)) == set(pairs)


def test_matching_nobody():
    for shape in ((0, 3), (3, 0), (0, 0)):
        rows, columns = match(np.zeros(shape), 0.3)
        assert len(rows) == len(columns) == 0


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(st.integers(0, 4), st.integers(0, 4)).flatmap(
        lambda shape: arrays(np.float64, shape, elements=st.integers(0, 10).map(lambda tenth: tenth / 10))
    ),
    st.sampled_from([0.1, 0.3, 0.7]),
)
def test_matching_is_the_best_of_all_above_the_gate(similarity, gate):
    rows, columns = match(similarity, gate)
    assert (similarity[rows, columns] >= gate).all()
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == len(rows)
    wide = similarity if similarity.shape[0] <= similarity.shape[1] else similarity.T
    worth = np.where(wide >= gate, wide, 0.0)
    count = len(worth)
    best = max(
        worth[range(count), list(chosen)].sum()
        for chosen in itertools.permutations(range(wide.shape[1]), count)
    )
    assert similarity[rows, columns].sum() == pytest.approx(best)
