"""Skeletons: which joints there are, and everything that depends on it.

One declarative ``Skeleton`` serves the network, the readers, the augmentations, the evaluation and
the overlay. Joints are matched between skeletons *by name*.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np

from fastpose_mtn.joint_names import FINGERS, FOOT, HAND, common_name, mirrored_name, part_of

PARTS = ("body", "foot", "face", "hands")


@dataclass(frozen=True)
class Skeleton:
    """An ordered set of joints.

    Attributes:
        name: how configurations refer to it.
        joints: the K joint names, in the dataset's own order and spelling.
        limbs: pairs of joint names to draw.
        sigmas: K constants of object keypoint similarity (COCO's ``sigma_i``; OKS uses ``2 * sigma``
            as the standard deviation relative to the object's scale). (): a mere list of names, as a file of
            labels has it, which is converted by name and neither measured nor mirrored.
        source: where names, order and sigmas come from.
    """

    name: str
    joints: tuple[str, ...]
    limbs: tuple[tuple[str, str], ...]
    sigmas: tuple[float, ...]
    source: str

    def __post_init__(self) -> None:
        if len(set(self.joints)) != len(self.joints):
            raise ValueError(f"skeleton {self.name}: joint names must be unique")
        unknown = sorted({j for limb in self.limbs for j in limb} - set(self.joints))
        if unknown:
            raise ValueError(f"skeleton {self.name}: limbs name unknown joints {unknown}")
        if not self.sigmas:
            return
        if len(self.sigmas) != len(self.joints):
            raise ValueError(f"skeleton {self.name}: {len(self.joints)} joints but {len(self.sigmas)} sigmas")
        if any(s <= 0 for s in self.sigmas):
            raise ValueError(f"skeleton {self.name}: sigmas must be positive")
        for joint in self.joints:
            if mirrored_name(joint) not in self.joints:
                raise ValueError(
                    f"skeleton {self.name}: joint {joint} has no counterpart {mirrored_name(joint)}"
                )

    def __len__(self) -> int:
        return len(self.joints)

    def index(self, joint: str) -> int:
        """The position of a joint, under its own or its common name."""
        try:
            return self._index_of_common[common_name(joint)]
        except KeyError:
            raise ValueError(
                f"skeleton {self.name} has no joint {joint!r}; it has {', '.join(self.joints)}"
            ) from None

    def has(self, joint: str) -> bool:
        """Whether ``index`` finds this joint."""
        return common_name(joint) in self._index_of_common

    def shares_joints(self, other: Skeleton) -> bool:
        """Whether a joint of one is a joint of the other, so that conversion keeps anything."""
        return not self._index_of_common.keys().isdisjoint(other._index_of_common)

    @cached_property
    def _index_of_common(self) -> dict[str, int]:
        position = {joint: i for i, joint in enumerate(self.joints)}
        # Where a skeleton has a head and a head_top, as MPI-INF-3DHP, the second is the head_top.
        return {common_name(joint): i for joint, i in position.items()} | {
            joint: i for joint, i in position.items() if common_name(joint) == joint
        }

    @cached_property
    def parts(self) -> Mapping[str, tuple[int, ...]]:
        """Indices of the joints of each part: ``body``, ``foot``, ``face``, ``hands``; () where there are none.

        The body is what COCO's 17, PoseTrack's 15 and the like consist of, nose, eyes and ears included.
        A foot is its toes and heel, without the ankle, as in Halpe; they are told by their names.
        """
        names = [part_of(joint) for joint in self.joints]
        return {part: tuple(i for i, name in enumerate(names) if name == part) for part in PARTS}

    @cached_property
    def flip_pairs(self) -> tuple[tuple[str, str], ...]:
        """(left, right) names that change places when an image is mirrored."""
        return tuple(
            (j, mirrored_name(j)) for j in self.joints if j.startswith("left_") or j < mirrored_name(j)
        )

    @cached_property
    def flip_permutation(self) -> tuple[int, ...]:
        """``mirrored = keypoints[..., flip_permutation, :]``: joint i of a mirrored person was joint ``[i]``."""
        return tuple(self.joints.index(mirrored_name(joint)) for joint in self.joints)

    @cached_property
    def limb_indices(self) -> tuple[tuple[int, int], ...]:
        """The limbs as pairs of joint indices, in the order of ``limbs``."""
        return tuple((self.joints.index(a), self.joints.index(b)) for a, b in self.limbs)

    def side(self, joint: str) -> str:
        """``"left"``, ``"right"`` or ``"middle"``, of the person, not of the image."""
        return joint.split("_")[0] if joint.startswith(("left_", "right_")) else "middle"

    def convert(self, keypoints: Any, target: Skeleton) -> Any:
        """Keypoints (..., K, C) of this skeleton in the order of ``target``, (..., target K, C).

        Joints are matched by name; one that this skeleton lacks is all zeros: unlabelled, or of no
        confidence. NumPy arrays and torch tensors alike; the argument is not changed.
        """
        if keypoints.shape[-2] != len(self):
            raise ValueError(
                f"keypoints of skeleton {self.name}: expected {len(self)} joints in axis -2, got shape {tuple(keypoints.shape)}"
            )
        pairs = [
            (t, self._index_of_common[common_name(joint)])
            for t, joint in enumerate(target.joints)
            if common_name(joint) in self._index_of_common
        ]
        shape = (*keypoints.shape[:-2], len(target), keypoints.shape[-1])
        out = (
            keypoints.new_zeros(shape)
            if hasattr(keypoints, "new_zeros")  # a tensor; importing torch to ask would slow every command
            else np.zeros(shape, keypoints.dtype)
        )
        if pairs:
            to, frm = (list(column) for column in zip(*pairs, strict=True))
            out[..., to, :] = keypoints[..., frm, :]
        return out


def _both(*limbs: tuple[str, str]) -> tuple[tuple[str, str], ...]:
    """Each limb on the left and on the right; a name with a leading ``*`` has no side."""
    return tuple(
        tuple(n[1:] if n.startswith("*") else f"{side}_{n}" for n in limb)  # type: ignore[misc]
        for side in ("left", "right")
        for limb in limbs
    )


_ARMS_AND_LEGS = _both(("shoulder", "elbow"), ("elbow", "wrist"), ("hip", "knee"), ("knee", "ankle"))
_TRUNK = (
    ("left_shoulder", "right_shoulder"), ("left_hip", "right_hip"),
    ("left_shoulder", "left_hip"), ("right_shoulder", "right_hip"),
)  # fmt: skip
_LIMB_JOINTS = ("shoulder", "elbow", "wrist", "hip", "knee", "ankle")
_LIMB_SIGMAS = (0.079, 0.072, 0.062, 0.107, 0.087, 0.089)  # COCO's, for the joints above
_PAIRED = tuple(f"{side}_{joint}" for joint in _LIMB_JOINTS for side in ("left", "right"))
_PAIRED_SIGMAS = tuple(s for s in _LIMB_SIGMAS for _ in range(2))
_FACE = ("nose", "left_eye", "right_eye", "left_ear", "right_ear")
_FACE_SIGMAS = (0.026, 0.025, 0.025, 0.035, 0.035)
_FACE_LIMBS = (
    ("nose", "left_eye"),
    ("nose", "right_eye"),
    ("left_eye", "left_ear"),
    ("right_eye", "right_ear"),
)

COCO17 = Skeleton(
    name="COCO17",
    joints=_FACE + _PAIRED,
    limbs=(*_ARMS_AND_LEGS, *_TRUNK, *_FACE_LIMBS),
    sigmas=_FACE_SIGMAS + _PAIRED_SIGMAS,
    source="COCO person keypoints; pycocotools' kpt_oks_sigmas",
)

POSETRACK15 = Skeleton(
    name="POSETRACK15",
    joints=("nose", "head_bottom", "head_top", *_PAIRED),
    limbs=(*_ARMS_AND_LEGS, *_TRUNK, ("nose", "head_bottom"), ("nose", "head_top"),
           *_both(("*head_bottom", "shoulder"))),
    sigmas=(0.026, 0.025, 0.025, *_PAIRED_SIGMAS),
    source="PoseTrack18 without its two unlabelled ears; sigmas as mmpose gives them for PoseTrack18",
)  # fmt: skip

PERSON19 = Skeleton(
    name="PERSON19",
    joints=(*COCO17.joints, "head_top", "head_bottom"),
    limbs=(
        *COCO17.limbs,
        ("nose", "head_top"),
        ("nose", "head_bottom"),
        *_both(("*head_bottom", "shoulder")),
    ),
    sigmas=(*COCO17.sigmas, 0.079, 0.079),
    source="COCO's joints, and PoseTrack's two of the head: both benchmarks' results come out of one network; "
    "sigmas of COCO and, for these two, of CrowdPose's evaluation API",
)

MPII16 = Skeleton(
    name="MPII16",
    joints=("right_ankle", "right_knee", "right_hip", "left_hip", "left_knee", "left_ankle", "pelvis", "thorax",
            "upper_neck", "head_top", "right_wrist", "right_elbow", "right_shoulder", "left_shoulder", "left_elbow",
            "left_wrist"),
    limbs=(*_ARMS_AND_LEGS, ("upper_neck", "head_top"), ("thorax", "upper_neck"), ("pelvis", "thorax"),
           *_both(("*thorax", "shoulder"), ("*pelvis", "hip"))),
    sigmas=(0.089, 0.087, 0.107, 0.107, 0.087, 0.089, 0.107, 0.079, 0.025, 0.025, 0.062, 0.072, 0.079, 0.079, 0.072,
            0.062),
    source="MPII Human Pose; it defines no OKS: COCO's sigma for the nearest joint, PoseTrack's for the head",
)  # fmt: skip

UNION21 = Skeleton(
    name="UNION21",
    joints=(*COCO17.joints, "head_bottom", "head_top", "pelvis", "thorax"),
    limbs=(
        *COCO17.limbs,
        ("nose", "head_top"),
        ("nose", "head_bottom"),
        ("thorax", "head_bottom"),
        ("pelvis", "thorax"),
    ),
    sigmas=(*COCO17.sigmas, 0.025, 0.025, 0.107, 0.079),
    source="all joints of COCO, MPII and PoseTrack (MDPN, Guo et al. 2018): its 21; sigmas of COCO17 and MPII16",
)

CROWDPOSE14 = Skeleton(
    name="CROWDPOSE14",
    joints=(*_PAIRED, "top_head", "neck"),
    limbs=(*_ARMS_AND_LEGS, *_TRUNK, ("top_head", "neck"), *_both(("*neck", "shoulder"))),
    sigmas=(*_PAIRED_SIGMAS, 0.079, 0.079),
    source="CrowdPose; sigmas of its evaluation API",
)


def _line(*points: int) -> tuple[tuple[str, str], ...]:
    """Limbs from each of the face's points to the next."""
    return tuple((f"face_{a}", f"face_{b}") for a, b in pairwise(points))


_FACE_LINES = (
    *_line(*range(17)), *_line(*range(17, 22)), *_line(*range(22, 27)),  # jaw, brows
    *_line(*range(27, 31)), *_line(*range(31, 36)),  # nose
    *_line(*range(36, 42), 36), *_line(*range(42, 48), 42),  # eyes
    *_line(*range(48, 60), 48), *_line(*range(60, 68), 60),  # lips
)  # fmt: skip

HALPE136 = Skeleton(
    name="HALPE136",
    joints=(
        *_FACE, *_PAIRED, "head", "neck", "hip",
        *(f"{side}_{joint}" for joint in FOOT for side in ("left", "right")),
        *(f"face_{i}" for i in range(68)),
        *(f"{side}_{joint}" for side in ("left", "right") for joint in HAND),
    ),
    limbs=(
        *_ARMS_AND_LEGS, ("head", "neck"), ("neck", "hip"), *_both(("*neck", "shoulder"), ("*hip", "hip")), *_FACE_LIMBS,
        *_both(("ankle", "big_toe"), ("ankle", "small_toe"), ("ankle", "heel")),
        *_both(*(("hand_root", f"{finger}1") for finger in FINGERS)),
        *_both(*((f"{finger}{i}", f"{finger}{i + 1}") for finger in FINGERS for i in range(1, 4))), *_FACE_LINES,
    ),
    sigmas=(*_FACE_SIGMAS, *_PAIRED_SIGMAS, 0.08, 0.08, 0.08, *[0.089] * 6, *[0.015] * 110),
    source="Halpe Full-Body 136; sigmas of its evaluation API",
)  # fmt: skip


def _of_halpe(name: str, joints: tuple[str, ...]) -> Skeleton:
    """Some of Halpe's joints as a skeleton of their own."""
    limbs = tuple(limb for limb in HALPE136.limbs if set(limb) <= set(joints))
    sigmas = tuple(HALPE136.sigmas[HALPE136.joints.index(joint)] for joint in joints)
    return Skeleton(name=name, joints=joints, limbs=limbs, sigmas=sigmas, source=HALPE136.source)


HALPE26 = _of_halpe("HALPE26", HALPE136.joints[:26])  # body and feet
HALPE68 = _of_halpe("HALPE68", HALPE136.joints[:26] + HALPE136.joints[94:])  # and hands

_FACE_SIGMAS_68 = (
    .042, .043, .044, .043, .040, .035, .031, .025, .020, .023, .029, .032, .037, .038, .043, .041, .045, .013, .012, .011,
    .011, .012, .012, .011, .011, .013, .015, .009, .007, .007, .007, .012, .009, .008, .016, .010, .017, .011, .009, .011,
    .009, .007, .013, .008, .011, .012, .010, .034, .008, .008, .009, .008, .008, .007, .010, .008, .009, .009, .009, .007,
    .007, .008, .011, .008, .008, .008, .010, .008,
)  # fmt: skip
_HAND_SIGMAS_21 = (
    .029, .022, .035, .037, .047, .026, .025, .024, .035, .018, .024, .022, .026, .017, .021, .021, .032, .020, .019, .022,
    .031,
)  # fmt: skip

COCO_WHOLEBODY133 = Skeleton(
    name="COCO_WHOLEBODY133",
    joints=(
        *COCO17.joints,
        *(f"{side}_{joint}" for side in ("left", "right") for joint in FOOT),
        *HALPE136.joints[26:],
    ),
    limbs=(*COCO17.limbs, *(limb for limb in HALPE136.limbs if not {"head", "neck", "hip"} & set(limb)
                            and limb not in COCO17.limbs)),
    sigmas=(*COCO17.sigmas, .068, .066, .066, .092, .094, .094, *_FACE_SIGMAS_68, *_HAND_SIGMAS_21, *_HAND_SIGMAS_21),
    source="COCO-WholeBody; feet are one after the other, where Halpe's alternate; sigmas of its evaluation API",
)  # fmt: skip

SKELETONS: dict[str, Skeleton] = {
    s.name: s
    for s in (
        POSETRACK15, COCO17, PERSON19, MPII16, UNION21, CROWDPOSE14, HALPE136, HALPE26, HALPE68, COCO_WHOLEBODY133,
    )
}  # fmt: skip


def skeleton_of(joints: Sequence[str]) -> Skeleton:
    """The known skeleton with these joints in this order, else a mere list of these names.

    Raises:
        ValueError: a name appears twice.
    """
    names = tuple(joints)
    known = next((skeleton for skeleton in SKELETONS.values() if skeleton.joints == names), None)
    return known or Skeleton(
        name=", ".join(names) or "no joints", joints=names, limbs=(), sigmas=(), source="a file's own"
    )


def get_skeleton(name: str, key: str = "MODEL.SKELETON") -> Skeleton:
    """The skeleton of this name, which ``key`` of the configuration has.

    Raises:
        ValueError: there is none; the message names the key and lists those there are.
    """
    if name not in SKELETONS:
        raise ValueError(f"{key}: unknown skeleton {name!r}; known: {', '.join(SKELETONS)}")
    return SKELETONS[name]
