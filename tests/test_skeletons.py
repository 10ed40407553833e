"""Skeletons: their order, their mirror images, conversion by name."""

import itertools
import json

import numpy as np
import pytest
import torch

from fastpose_mtn.skeletons import (
    COCO17,
    COCO_WHOLEBODY133,
    CROWDPOSE14,
    HALPE136,
    MPII16,
    PERSON19,
    POSETRACK15,
    SKELETONS,
    UNION21,
    Skeleton,
    get_skeleton,
)


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=SKELETONS)
def test_mirroring_twice_changes_nothing(skeleton):
    mirrored = list(skeleton.flip_permutation)
    assert [mirrored[i] for i in mirrored] == list(range(len(skeleton)))
    assert all(0 <= a < len(skeleton) and 0 <= b < len(skeleton) for a, b in skeleton.limb_indices)


def test_sizes_and_orders():
    assert [len(s) for s in (POSETRACK15, COCO17, MPII16, CROWDPOSE14, HALPE136)] == [15, 17, 16, 14, 136]
    assert COCO17.joints[:6] == ("nose", "left_eye", "right_eye", "left_ear", "right_ear", "left_shoulder")
    assert MPII16.joints[6:10] == ("pelvis", "thorax", "upper_neck", "head_top")
    assert COCO17.sigmas[9] == 0.062  # wrist


def test_parts():
    sizes = {part: len(joints) for part, joints in HALPE136.parts.items()}
    assert sizes == {"body": 20, "foot": 6, "face": 68, "hands": 42}
    assert sorted(itertools.chain.from_iterable(HALPE136.parts.values())) == list(range(136))
    assert {HALPE136.joints[i] for i in HALPE136.parts["body"]} == {*COCO17.joints, "head", "neck", "hip"}
    assert HALPE136.joints[HALPE136.parts["foot"][0]] == "left_big_toe"
    for skeleton in SKELETONS.values():
        if len(skeleton) < 26:  # a mere body
            assert skeleton.parts == {
                "body": tuple(range(len(skeleton))),
                "foot": (),
                "face": (),
                "hands": (),
            }


def test_a_face_is_mirrored_about_its_middle():
    """iBUG's 68 points: the jaw runs 0 to 16, the nose's bridge is the middle, eyes change places."""
    first = HALPE136.index("face_0")
    mirror = [i - first for i in HALPE136.flip_permutation[first : first + 68]]
    assert (mirror[0], mirror[8], mirror[16], mirror[27], mirror[36], mirror[48]) == (16, 8, 0, 27, 45, 54)


def test_joints_are_matched_by_name():
    """COCO has no head_top and no neck; MPII's upper neck is PoseTrack's head_bottom."""
    coco = np.ones((2, 17, 3), np.float32)
    coco[:, COCO17.index("left_wrist"), 0] = 7
    converted = COCO17.convert(coco, POSETRACK15)
    assert converted.shape == (2, 15, 3)
    assert converted[0, POSETRACK15.index("left_wrist"), 0] == 7
    assert converted[0, [1, 2]].tolist() == [[0, 0, 0], [0, 0, 0]]
    mpii = MPII16.convert(torch.arange(48.0).view(16, 3), POSETRACK15)
    assert mpii[POSETRACK15.index("head_bottom")].tolist() == [24, 25, 26]
    assert mpii[POSETRACK15.index("nose")].tolist() == [0, 0, 0]
    assert CROWDPOSE14.index("head_top") == CROWDPOSE14.index("top_head") == 12


def test_both_benchmarks_joints_are_read_from_one_skeleton():
    """Every joint of COCO and of PoseTrack is one of PERSON19's, under its own name; none is made up."""
    people = np.arange(2 * 19 * 3, dtype=np.float32).reshape(2, 19, 3) + 1
    for target in (COCO17, POSETRACK15):
        rows = [PERSON19.joints.index(joint) for joint in target.joints]
        np.testing.assert_array_equal(PERSON19.convert(people, target), people[:, rows])
    labels = COCO17.convert(np.ones((17, 3)), PERSON19)  # what a dataset does not name is unlabelled
    assert labels[:, 0].tolist() == [1] * 17 + [0, 0]
    assert PERSON19.sigmas == (*COCO17.sigmas, 0.079, 0.079)
    assert PERSON19.index("neck") == PERSON19.index("upper_neck") == 18


@pytest.mark.parametrize("own", [COCO17, MPII16, POSETRACK15], ids=lambda s: s.name)
def test_the_union_has_every_joint_of_three_datasets_once(own):
    people = np.arange(2 * len(own) * 3, dtype=np.float32).reshape(2, -1, 3) + 1
    there = own.convert(people, UNION21)
    np.testing.assert_array_equal(UNION21.convert(there, own), people)
    assert int((there[0, :, 0] > 0).sum()) == len(own)
    assert len(UNION21) == 21
    turned = list(UNION21.flip_permutation)
    assert [turned[i] for i in turned] == list(range(21))
    assert UNION21.index("thorax") != UNION21.index("upper_neck") == UNION21.index("head_bottom") == 17


def test_conversion_does_not_change_its_argument():
    keypoints = np.ones((15, 3))
    POSETRACK15.convert(keypoints, COCO17)[...] = 5
    assert (keypoints == 1).all()


def test_sides():
    assert [COCO17.side(j) for j in ("left_eye", "right_hip", "nose")] == ["left", "right", "middle"]
    assert ("left_knee", "right_knee") in COCO17.flip_pairs


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"joints": ("nose", "nose")}, "joint names must be unique"),
        ({"sigmas": (0.1,)}, "2 joints but 1 sigmas"),
        ({"sigmas": (0.1, 0.0)}, "sigmas must be positive"),
        ({"limbs": (("nose", "tail"),)}, r"limbs name unknown joints \['tail'\]"),
        ({"joints": ("nose", "left_eye")}, "joint left_eye has no counterpart right_eye"),
    ],
)
def test_a_contradictory_skeleton(changes, expected):
    fields = {"name": "S", "joints": ("nose", "neck"), "limbs": (), "sigmas": (0.1, 0.1), "source": ""}
    with pytest.raises(ValueError, match=expected):
        Skeleton(**{**fields, **changes})


def test_unknown_names():
    with pytest.raises(ValueError, match="unknown skeleton 'COCO18'; known: POSETRACK15, COCO17"):
        get_skeleton("COCO18")
    with pytest.raises(ValueError, match="skeleton COCO17 has no joint 'tail'"):
        COCO17.index("tail")
    with pytest.raises(ValueError, match="expected 17 joints in axis -2"):
        COCO17.convert(np.zeros((15, 3)), POSETRACK15)


def test_whole_bodies_and_parts_of_halpe():
    counts = {name: [len(joints) for joints in get_skeleton(name).parts.values()] for name in
              ("HALPE26", "HALPE68", "COCO_WHOLEBODY133", "HALPE136")}  # fmt: skip
    assert counts == {
        "HALPE26": [20, 6, 0, 0], "HALPE68": [20, 6, 0, 42], "COCO_WHOLEBODY133": [17, 6, 68, 42],
        "HALPE136": [20, 6, 68, 42],
    }  # fmt: skip
    body, halpe = get_skeleton("COCO_WHOLEBODY133"), get_skeleton("HALPE136")
    assert body.joints[17:20] == ("left_big_toe", "left_small_toe", "left_heel")
    assert halpe.joints[20:22] == ("left_big_toe", "right_big_toe")
    assert len(set(body.limbs)) == len(body.limbs)
    points = np.arange(133, dtype=np.float32)[:, None].repeat(3, axis=1)
    moved = body.convert(points, halpe)[:, 0]
    assert moved[20:26].tolist() == [17, 20, 18, 21, 19, 22]  # feet by their names
    assert moved[26:].tolist() == list(range(23, 133))
    assert moved[17:20].tolist() == [0, 0, 0]  # no head, neck and hip


def test_a_faces_lines_are_closed_at_eyes_and_lips_and_mirror_into_themselves():
    for name in ("HALPE136", "COCO_WHOLEBODY133"):
        skeleton = get_skeleton(name)
        first = skeleton.index("face_0")
        lines = {
            frozenset(limb) for limb in skeleton.limb_indices if min(limb) >= first and max(limb) < first + 68
        }
        lines = {limb for limb in lines if all(skeleton.joints[i].startswith("face_") for i in limb)}
        assert len(lines) == 16 + 4 + 4 + 3 + 4 + 6 + 6 + 12 + 8
        assert {frozenset(skeleton.flip_permutation[i] for i in limb) for limb in lines} == lines
        assert {first + 36, first + 41} in lines  # the eye
        assert {first + 16, first + 17} not in lines  # jaw and brow are apart
    assert not any(joint.startswith("face_") for limb in get_skeleton("HALPE68").limbs for joint in limb)


def test_joints_of_whole_bodies_are_the_same_in_both_datasets_labels(real_data):
    """14 people whom Halpe and COCO-WholeBody both label: feet too lie in one place, which in AlphaPose's order they do not."""
    halpe, whole = (
        {person["id"]: person for person in json.loads((real_data / name).read_text())["annotations"]}
        for name in ("halpe/test_halpe.json", "coco/test_coco_wholebody.json")
    )
    fields = ("keypoints", "foot_kpts", "face_kpts", "lefthand_kpts", "righthand_kpts")
    distances: dict[str, list[float]] = {part: [] for part in HALPE136.parts}
    for number, person in halpe.items():
        theirs = np.concatenate([np.reshape(whole[number][field], (-1, 3)) for field in fields]).astype(float)
        mapped = COCO_WHOLEBODY133.convert(theirs, HALPE136)
        own = np.reshape(person["keypoints"], (-1, 3)).astype(float)
        size = max(person["bbox"][2:])
        for part, joints in HALPE136.parts.items():
            both = [j for j in joints if own[j, 2] > 0 and mapped[j, 2] > 0]
            distances[part] += (np.linalg.norm(own[both, :2] - mapped[both, :2], axis=1) / size).tolist()
    assert len(halpe) == 14
    median, most = ({part: np.percentile(d, q) for part, d in distances.items()} for q in (50, 90))
    assert median["body"] == 0
    assert median["foot"] <= 0.021
    assert most["foot"] < 0.045
    assert median["face"] < 0.01
    assert median["hands"] < 0.015
