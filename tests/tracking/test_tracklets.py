import numpy as np

from fastpose_mtn.tracking.parameters import TrackerParameters
from fastpose_mtn.tracking.tracklets import Tracklets


def box(x, y=100.0, width=40.0, height=100.0):
    return np.array([[x - width / 2, y - height / 2, x + width / 2, y + height / 2]])


def walk(positions, fps=10.0):
    people = Tracklets(2)
    rows = people.add(np.array([0]), box(positions[0]), 0.0)
    for i, x in enumerate(positions[1:], 1):
        people.update(rows, box(x), i / fps)
    return people


def test_who_stands_is_expected_there():
    people = walk([50.0] * 10)
    np.testing.assert_allclose(people.predicted_boxes(2.0), box(50.0))


def test_who_walks_is_expected_further_on():
    people = walk([100 + 10 * i for i in range(20)])  # 100 px a second
    x = people.predicted_boxes(1.9 + 0.2)[0, [0, 2]].mean()
    assert 290 + 17 < x < 290 + 21


def test_the_speed_of_who_is_not_seen_fades():
    people = walk([100 + 10 * i for i in range(20)])
    way = [people.predicted_boxes(1.9 + s)[0, [0, 2]].mean() - 290 for s in (1, 2, 4, 100)]
    assert way[0] > way[1] - way[0] > (way[2] - way[1]) / 2
    assert way[3] < 310  # three seconds' way at most


def test_motion_does_not_depend_on_the_size_of_the_picture():
    near, far = Tracklets(0), Tracklets(0)
    for people, scale in ((near, 1.0), (far, 8.0)):
        people.add(np.array([0]), scale * box(50.0), 0.0)
        for i in range(1, 6):
            people.update(np.array([0]), scale * box(50.0 + 7 * i), i / 10)
    np.testing.assert_allclose(8.0 * near.predicted_boxes(0.8), far.predicted_boxes(0.8))


def test_who_is_not_seen_is_lost():
    people = Tracklets(0)
    people.add(np.array([0, 1]), np.concatenate([box(50), box(200)]), 0.0)
    people.update(np.array([1]), box(201), 0.1)
    assert people.lost.tolist() == [True, False]
    assert people.last_seen_s.tolist() == [0.0, 0.1]
    np.testing.assert_allclose(people.boxes, np.concatenate([box(50), box(201)]))
    people.keep(np.array([False, True]))
    assert people.ids.tolist() == [1]
    assert len(people) == 1


def test_embeddings_are_averaged_on_the_circle():
    people = Tracklets(2, parameters=TrackerParameters(embedding_gain=0.5))
    rows = people.add(np.array([0]), box(50), 0.0)
    assert not people.has_embedding[0]
    people.update_embeddings(rows, np.array([[1.0, 0.0]], np.float32))
    np.testing.assert_allclose(people.embeddings, [[1, 0]])  # the first one is taken whole
    people.update_embeddings(rows, np.array([[0.0, 1.0]], np.float32))
    np.testing.assert_allclose(people.embeddings, [[0.5**0.5, 0.5**0.5]])
    assert people.has_embedding[0]


def test_embeddings_that_are_not_of_length_1_keep_their_length():
    people = Tracklets(2, parameters=TrackerParameters(embedding_gain=0.25))
    rows = people.add(np.array([0]), box(50), 0.0)
    people.update_embeddings(rows, np.array([[3.0, 0.0]]))
    people.update_embeddings(rows, np.array([[0.0, 5.0]]))
    np.testing.assert_allclose(np.linalg.norm(people.embeddings[0]), 0.75 * 3 + 0.25 * 5)


def test_opposite_embeddings_do_not_divide_by_zero():
    people = Tracklets(2, parameters=TrackerParameters(embedding_gain=0.5))
    rows = people.add(np.array([0]), box(50), 0.0)
    for embedding in ([[1.0, 0.0]], [[-1.0, 0.0]]):
        people.update_embeddings(rows, np.array(embedding))
    assert np.isfinite(people.embeddings).all()


def test_behind_a_scene_cut_motion_begins_anew():
    people = Tracklets(2)
    rows = people.add(np.array([0, 1]), np.concatenate([box(50), box(200)]), 0.0)
    people.update_embeddings(rows[1:], np.array([[1.0, 0.0]]))
    for i in range(1, 5):
        people.update(rows, np.concatenate([box(50), box(200 + 10 * i)]), i / 10)
    people.displace()
    assert people.ids.tolist() == [1]  # nothing is left to find the other by
    assert (people.lost.tolist(), people.placed.tolist()) == ([True], [False])
    people.update(np.array([0]), box(500, height=60), 0.5)
    assert (people.lost.tolist(), people.placed.tolist()) == ([False], [True])
    assert people.last_seen_s.tolist() == [0.5]
    np.testing.assert_allclose(people.predicted_boxes(1.5), box(500, height=60))
    np.testing.assert_allclose(people.boxes, box(500, height=60))
    as_new = Tracklets(2)
    as_new.add(np.array([1]), box(500, height=60), 0.5)
    for both in (people, as_new):
        both.update(np.array([0]), box(510, height=60), 0.6)
    np.testing.assert_allclose(people.predicted_boxes(1.0), as_new.predicted_boxes(1.0))
