import numpy as np

from fastpose_mtn.data.crops.folder import UNKNOWN_CAMERA
from fastpose_mtn.data.crops.search import SeenPerson, queries_across_cameras


def seen(image, identity, camera):
    return SeenPerson(
        image, identity, camera, np.array([image, identity, image + 9, identity + 9], np.float32)
    )


def asked(people, images=6, gallery_size=None):
    return [
        (q.image_id, q.identity, sorted(q.matches), sorted(q.gallery))
        for q in queries_across_cameras(people, images, gallery_size)
    ]


def test_a_person_is_searched_for_in_the_pictures_of_other_cameras():
    people = [seen(0, 7, 1), seen(1, 7, 1), seen(2, 7, 2), seen(3, 8, 1), seen(4, 8, 1)]
    assert asked(people) == [
        ("0", 7, ["2"], ["2", "3", "4", "5"]),  # image 1, of the same camera, is neither right nor wrong
        ("2", 7, ["0", "1"], ["0", "1", "3", "4", "5"]),
    ]  # person 8 was seen by one camera only
    (query, _) = queries_across_cameras(people, 6, None)
    assert query.box.tolist() == [0, 7, 9, 16]
    assert query.matches["2"].tolist() == [2, 7, 11, 16]


def test_without_cameras_every_other_picture_shows_the_person():
    people = [seen(i, 3, UNKNOWN_CAMERA) for i in (4, 1, 2)] + [seen(0, 5, UNKNOWN_CAMERA)]
    assert asked(people) == [("1", 3, ["2", "4"], ["0", "2", "3", "4", "5"])]


def test_the_gallery_has_so_many_images():
    people = [seen(i, 1, i) for i in range(4)]
    sizes = [len(q.gallery) for q in queries_across_cameras(people, 100, 20)]
    assert sizes == [20] * 4
    assert [len(q.gallery) for q in queries_across_cameras(people, 100, 2)] == [3] * 4
    first, again = (queries_across_cameras(people, 100, 20) for _ in range(2))
    assert [q.gallery for q in first] == [q.gallery for q in again]
