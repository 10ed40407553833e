import numpy as np
import pytest

from fastpose_mtn.skeletons import HALPE136, POSETRACK15, SKELETONS
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.visualization.overlay import SIDE_COLOURS, Overlay, identity_colour

GREY = 100


def person(track_id=1, box=(40, 30, 100, 170), *, confidence=0.9, joints=None, skeleton=POSETRACK15):
    """One person; ``joints`` gives places by name, the other joints have no confidence."""
    keypoints = np.zeros((1, len(skeleton), 3), np.float32)
    for name, (x, y) in (joints or {}).items():
        keypoints[0, skeleton.index(name)] = x, y, confidence
    detections = PersonDetections(np.array([box], np.float32), np.array([0.9], np.float32), keypoints)
    return TrackedPersons(detections, np.array([track_id], np.int64))


def draw(people, *, overlay=None, time_s=0.0, size_hw=(200, 300)):
    overlay = overlay or Overlay(POSETRACK15, joint_thresh=0.2)
    return overlay.draw(np.full((*size_hw, 3), GREY, np.uint8), people, time_s)


def is_colour(pixel, colour, tolerance=30):
    return np.abs(pixel.astype(int) - colour).max() <= tolerance


def test_the_box_has_the_identitys_colour_and_the_frame_is_not_changed():
    image = np.full((200, 300, 3), GREY, np.uint8)
    drawn = Overlay(POSETRACK15).draw(image, person(track_id=4), 0.0)
    assert (image == GREY).all()
    assert is_colour(drawn[100, 40], identity_colour(4))
    assert (drawn[100, 200] == GREY).all()


def test_limbs_have_their_sides_colour():
    joints = {
        "left_shoulder": (60.5, 60.5), "left_elbow": (60.5, 100.5),
        "right_shoulder": (80.5, 60.5), "right_elbow": (80.5, 100.5),
    }  # fmt: skip
    drawn = draw(person(joints=joints))
    assert is_colour(drawn[80, 60], SIDE_COLOURS["left"])
    assert is_colour(drawn[80, 80], SIDE_COLOURS["right"])
    assert is_colour(drawn[60, 70], SIDE_COLOURS["middle"])


def test_a_seen_joint_is_full_and_a_hidden_one_hollow():
    place = {"left_wrist": (70.5, 100.5)}
    box = (40, 30, 100, 500)  # a tall person, so that the joint has room for a hole
    seen = draw(person(joints=place, box=box), size_hw=(800, 900))
    hidden = draw(person(joints=place, box=box, confidence=0.1), size_hw=(800, 900))
    assert is_colour(seen[100, 70], SIDE_COLOURS["left"])
    assert (hidden[100, 70] == GREY).all()
    ring = hidden[90:112, 60:82].reshape(-1, 3)
    assert any(is_colour(pixel, SIDE_COLOURS["left"], 60) for pixel in ring)


def test_joints_without_confidence_are_not_drawn():
    with_none, bare = draw(person()), draw(person(joints={"left_wrist": (70, 100)}, confidence=0.0))
    np.testing.assert_array_equal(with_none, bare)


def test_a_trail_follows_the_feet_and_ends():
    overlay = Overlay(POSETRACK15, trail_s=1.0)
    draw(person(box=(10, 30, 30, 150)), overlay=overlay, time_s=0.0)
    moved = draw(person(box=(110, 30, 130, 150)), overlay=overlay, time_s=0.5)
    assert is_colour(moved[150, 70], identity_colour(1))
    late = draw(person(box=(110, 30, 130, 150)), overlay=overlay, time_s=1.6)
    assert (late[150, 70] == GREY).all()


def trail_is_drawn(*steps, cut=False):
    """Whether there is a trail half-way between the feet at x 20 and x 120, after these (box, time) steps."""
    overlay = Overlay(POSETRACK15)
    for box, time_s in steps:
        people = person(box=box) if box else person(track_id=2, box=(250, 30, 270, 150))
        if cut and time_s == steps[-1][1]:
            overlay.reset()
        drawn = draw(people, overlay=overlay, time_s=time_s)
    return is_colour(drawn[150, 70], identity_colour(1))


def test_a_trail_ends_at_a_gap_a_jump_and_a_scene_cut():
    left, right = (10, 30, 30, 150), (110, 30, 130, 150)
    assert trail_is_drawn((left, 0.0), (right, 0.3))  # 100 px are 0.83 heights
    assert not trail_is_drawn((left, 0.0), (None, 0.1), (right, 0.3))
    assert not trail_is_drawn((left, 0.0), (right, 0.05))  # 0.83 heights at once
    assert not trail_is_drawn(((10, 130, 30, 150), 0.0), ((110, 130, 130, 150), 0.5))  # 5 heights
    assert not trail_is_drawn((left, 0.0), (right, 0.3), cut=True)


def test_a_trail_has_few_points_of_who_hardly_moves_and_leads_up_to_them():
    overlay = Overlay(POSETRACK15, trail_s=10.0)
    for i in range(101):  # half a pixel a frame, from x 20 to x 70
        drawn = draw(person(box=(10 + i / 2, 30, 30 + i / 2, 150)), overlay=overlay, time_s=i / 25)
    assert all(is_colour(drawn[150, x], identity_colour(1)) for x in (22, 45, 68))
    assert len(overlay._trails[1]) <= 26


def test_memory_of_trails_is_bounded():
    overlay = Overlay(POSETRACK15, trail_s=0.5)
    for i in range(200):
        draw(person(track_id=i), overlay=overlay, time_s=i * 0.1)
    assert len(overlay._trails) <= 6


def test_identities_have_stable_and_different_colours():
    assert identity_colour(3) == identity_colour(3)
    colours = [identity_colour(i) for i in range(12)]
    assert len(set(colours)) == 12
    apart = [np.abs(np.subtract(a, b)).sum() for i, a in enumerate(colours) for b in colours[i + 1 :]]
    assert min(apart) > 40


def test_nobody_leaves_the_frame_as_it_is():
    nobody = TrackedPersons(PersonDetections.empty(15), np.zeros(0, np.int64))
    assert (draw(nobody) == GREY).all()


def test_people_far_outside_the_frame_do_no_harm():
    draw(person(box=(-1e6, -1e6, 1e6, 1e6), joints={"nose": (-1e9, 1e9), "head_top": (1e9, 5)}))


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=list(SKELETONS))
def test_every_skeleton_is_drawn(skeleton):
    joints = {name: (50 + i % 40, 40 + i % 100) for i, name in enumerate(skeleton.joints)}
    drawn = draw(person(joints=joints, skeleton=skeleton), overlay=Overlay(skeleton))
    assert (drawn != GREY).any()


def test_faces_and_hands_are_fine():
    """A near person's wrist is a thick dot, a finger's joint a small one without an outline, its line thin."""
    box = (40, 30, 440, 730)

    def covered(joints):
        who = person(box=box, joints=joints, skeleton=HALPE136)
        bare = person(box=box, joints={}, skeleton=HALPE136)
        drawn, empty = (
            draw(p, overlay=Overlay(HALPE136), size_hw=(800, 900)).astype(int) for p in (who, bare)
        )
        return int((drawn != empty).any(axis=2).sum())

    wrist = covered({"left_wrist": (200, 300)})
    for joint in ("face_30", "left_thumb4"):
        assert 0 < covered({joint: (200, 300)}) < 0.3 * wrist
    arm = covered({"left_elbow": (100, 300), "left_wrist": (300, 300)})
    finger = covered({"left_thumb3": (100, 300), "left_thumb4": (300, 300)})
    jaw = covered({"face_3": (100, 300), "face_4": (300, 300)})
    assert jaw == finger < 0.6 * arm
