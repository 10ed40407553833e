"""The parts of a person that labels show."""

import numpy as np

from fastpose_mtn.data.person_parts import part_boxes, shown_part
from fastpose_mtn.skeletons import HALPE136, POSETRACK15


def person(*parts):
    """Labelled joints of some parts, each on a diagonal of its own."""
    keypoints = np.zeros((136, 3))
    for number, part in enumerate(parts):
        joints = list(HALPE136.parts[part])
        along = np.linspace(0, 10, len(joints)) + 100 * number
        keypoints[joints] = np.column_stack((along, 2 * along, np.full(len(joints), 1)))
    return keypoints


def test_a_whole_person_has_boxes_of_all_parts_and_shows_no_single_one():
    keypoints = person("body", "foot", "face", "hands")
    boxes = part_boxes(keypoints, HALPE136)
    assert list(boxes) == ["foot", "face", "left_hand", "right_hand"]
    assert boxes["face"].tolist() == [200, 400, 210, 420]
    assert boxes["left_hand"][2] < boxes["right_hand"][0]
    assert shown_part(keypoints, HALPE136) is None


def test_labels_of_one_part_show_it():
    part, box = shown_part(person("face"), HALPE136)
    assert (part, box.tolist()) == ("face", [0, 0, 10, 20])
    keypoints = person("hands")
    assert shown_part(keypoints, HALPE136) is None  # two hands
    keypoints[list(HALPE136.parts["hands"][:21]), 2] = 0
    assert shown_part(keypoints, HALPE136)[0] == "right_hand"


def test_too_few_joints_and_joints_in_a_line_are_no_part():
    keypoints = person("foot")
    keypoints[list(HALPE136.parts["foot"][2:]), 2] = 0
    assert shown_part(keypoints, HALPE136) is None
    keypoints = person("foot")
    keypoints[:, 0] = 5
    assert part_boxes(keypoints, HALPE136) == {}
    assert shown_part(np.zeros((15, 3)), POSETRACK15) is None
    assert shown_part(np.ones((15, 3)), POSETRACK15) is None
