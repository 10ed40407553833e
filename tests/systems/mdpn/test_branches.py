"""One set of joints of several heads: which head gives which joint, means, and what no head has."""

import pytest
import torch

from fastpose_mtn.skeletons import COCO17, MPII16, POSETRACK15, UNION21
from fastpose_mtn.systems.mdpn.branches import BranchCombination
from fastpose_mtn.systems.topdown.codecs import DecodedJoints

HEADS = {"coco": COCO17, "mpii": MPII16, "posetrack": POSETRACK15}
ALIKE = dict.fromkeys(HEADS, 1.0)
# a head's map of joint j is its own hundred and j everywhere
MAPS = {
    name: (hundred + torch.arange(float(len(HEADS[name])))).view(1, -1, 1, 1).expand(1, -1, 2, 3)
    for name, hundred in (("coco", 100), ("mpii", 200), ("posetrack", 300))
}


def combined(method, skeleton=POSETRACK15, weights=ALIKE):
    branches = BranchCombination(method, HEADS, skeleton, weights=weights)
    maps = branches([MAPS[name] for name in branches.names])
    assert maps.shape == (1, len(skeleton), 2, 3)
    assert (maps == maps[..., :1, :1]).all()
    return dict(zip(skeleton.joints, maps[0, :, 0, 0].tolist(), strict=True)), branches


def source(name, joint):
    return {"coco": 100, "mpii": 200, "posetrack": 300}[name] + HEADS[name].index(joint)


@pytest.mark.parametrize("method", ["A", "coco+mpii"])
def test_a_takes_the_body_from_coco_and_the_head_from_mpii(method):
    found, branches = combined(method)
    assert branches.names == ("coco", "mpii")
    for joint in POSETRACK15.joints:
        head = "mpii" if joint in ("head_bottom", "head_top") else "coco"
        assert found[joint] == source(head, joint), joint
    assert found["head_bottom"] == 200 + MPII16.joints.index("upper_neck")


@pytest.mark.parametrize("method", ["B", "voting"])
def test_voting_is_the_mean_of_exactly_those_heads_that_have_the_joint(method):
    found, branches = combined(method)
    assert branches.names == ("coco", "mpii", "posetrack")
    assert found["nose"] == pytest.approx((source("coco", "nose") + source("posetrack", "nose")) / 2)
    for joint in ("head_bottom", "head_top"):
        assert found[joint] == pytest.approx((source("mpii", joint) + source("posetrack", joint)) / 2)
    for joint in ("left_wrist", "right_ankle"):
        assert found[joint] == pytest.approx(sum(source(name, joint) for name in HEADS) / 3)


def test_heads_vote_with_their_weights():
    found, branches = combined("B", weights={"coco": 3.0, "mpii": 0.0, "posetrack": 1.0})
    assert branches.names == ("coco", "posetrack")  # the other one need not be computed
    assert found["left_hip"] == pytest.approx(
        (3 * source("coco", "left_hip") + source("posetrack", "left_hip")) / 4
    )
    assert found["head_top"] == source("posetrack", "head_top")


def test_votes_are_of_b_alone():
    found, _ = combined("A", weights={"coco": 0.0, "mpii": 1.0, "posetrack": 0.0})
    assert found["left_hip"] == source("coco", "left_hip")


@pytest.mark.parametrize("method", ["posetrack", "coco+posetrack"])
def test_posetracks_own_branch(method):
    found, _ = combined(method)
    for joint in POSETRACK15.joints:
        head = "posetrack" if method == "posetrack" or joint.startswith("head_") else "coco"
        assert found[joint] == source(head, joint)


def test_all_joints_come_out_of_a_vote():
    found, branches = combined("B", UNION21)
    assert branches.estimated == ()
    assert found["pelvis"] == source("mpii", "pelvis")
    assert found["left_ear"] == source("coco", "left_ear")


def joints_at(**places):
    positions, confidences = torch.zeros(1, 15, 2), torch.ones(1, 15)
    for joint, (x, y, confidence) in places.items():
        positions[0, POSETRACK15.index(joint)] = torch.tensor([x, y])
        confidences[0, POSETRACK15.index(joint)] = confidence
    return DecodedJoints(positions, confidences, None)


def test_cocos_branch_takes_the_head_from_nose_and_shoulders():
    _, branches = combined("coco")
    assert branches.estimated == ("head_bottom", "head_top")
    # the shoulders' middle is (10, 20), the nose 8 above it and 2 beside
    before = joints_at(left_shoulder=(14, 21, 0.6), right_shoulder=(6, 19, 0.9), nose=(12, 12, 0.7))
    after = branches.estimate_missing(before)
    for joint, wanted in (("head_bottom", (11, 16)), ("head_top", (14, 4))):
        assert after.positions[0, POSETRACK15.index(joint)].tolist() == pytest.approx(wanted)
        assert after.confidences[0, POSETRACK15.index(joint)].item() == pytest.approx(0.6)
    assert torch.equal(after.positions[:, 3:], before.positions[:, 3:])
    assert (before.positions[0, 1] == 0).all()


def test_mpiis_branch_takes_the_nose_from_the_head():
    """Where it would be if the head had been taken from it."""
    _, branches = combined("mpii")
    assert branches.estimated == ("nose",)
    after = branches.estimate_missing(joints_at(head_bottom=(11, 16, 0.8), head_top=(14, 4, 0.5)))
    assert after.positions[0, 0].tolist() == pytest.approx([12, 12])
    assert after.confidences[0, 0].item() == 0.5


@pytest.mark.parametrize(
    ("method", "skeleton", "text"),
    [
        ("A+B", POSETRACK15, "BRANCH 'A.B': no head 'A', 'B'; MODEL.MDPN.DOMAINS has coco, mpii, posetrack"),
        ("mpii", COCO17, "BRANCH mpii: none of its heads has nose of MODEL.SKELETON COCO17; name a head"),
        ("posetrack", UNION21, "none of its heads has left_eye of MODEL.SKELETON UNION21"),
    ],
)
def test_what_cannot_be_combined(method, skeleton, text):
    with pytest.raises(ValueError, match=text):
        BranchCombination(method, HEADS, skeleton, weights=ALIKE)
    with pytest.raises(ValueError, match="VOTE_WEIGHTS: expected a number above 0 among them, got none"):
        BranchCombination("B", HEADS, POSETRACK15, weights=dict.fromkeys(HEADS, 0.0))
    with pytest.raises(ValueError, match=r"HEAD_INTERPOLATION: expected two different shares, got \[1, 1\]"):
        BranchCombination("A", HEADS, POSETRACK15, weights=ALIKE, shares=[1, 1])
