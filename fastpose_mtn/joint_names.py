"""Names of joints: which mean the same joint, which are mirror images, and to what part of a person each belongs."""

from __future__ import annotations

import re
from collections.abc import Set

# One joint, several names: each dataset's own name -> the common one used for matching.
_SAME_JOINT = {
    "top_head": "head_top",
    "head": "head_top",
    "neck": "head_bottom",
    "upper_neck": "head_bottom",
    "hip": "pelvis",
}
FINGERS = ("thumb", "forefinger", "middle_finger", "ring_finger", "pinky_finger")
# Halpe calls the root of each hand a wrist too; a second joint of that name could not be told from the body's.
HAND = ("hand_root", *(f"{finger}{i}" for finger in FINGERS for i in range(1, 5)))
FOOT = ("big_toe", "small_toe", "heel")

_SIDES = {"left": "left", "l": "left", "right": "right", "r": "right"}


def common_name(joint: str) -> str:
    """The name under which a joint is matched between skeletons."""
    return _SAME_JOINT.get(joint, joint)


def part_of(joint: str) -> str:
    """``body``, ``foot``, ``face`` or ``hands``."""
    one_side = joint.removeprefix("left_").removeprefix("right_")
    if one_side.startswith("face_"):
        return "face"
    return "foot" if one_side in FOOT else "hands" if one_side in HAND else "body"


# The 68 points of a face in the iBUG order (jaw, brows, nose, eyes, mouth), by their mirror image.
_FACE_MIRROR = (
    *range(16, -1, -1), *range(26, 16, -1), 27, 28, 29, 30, 35, 34, 33, 32, 31, 45, 44, 43, 42, 47, 46,
    39, 38, 37, 36, 41, 40, 54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55, 64, 63, 62, 61, 60, 67, 66, 65,
)  # fmt: skip


def mirrored_name(joint: str) -> str:
    """The joint on the other side; itself in the middle."""
    if joint.startswith("left_"):
        return "right_" + joint[5:]
    if joint.startswith("right_"):
        return "left_" + joint[6:]
    if joint.startswith("face_"):
        return f"face_{_FACE_MIRROR[int(joint[5:])]}"
    return joint


def respelled(joint: str, known: Set[str]) -> str:
    """A joint's name as ``known`` has it, where only the spelling differs; otherwise as it is.

    Spelling is case, white space, the sign between words, and how the side is said: ``Left Shoulder``,
    ``leftShoulder``, ``shoulder-left``, ``l_shoulder`` and ``LShoulder`` are ``left_shoulder``.

    Args:
        joint: the name.
        known: common names, see ``common_name``.
    """
    if common_name(joint) in known:
        return joint
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", joint)
    words = [word for word in re.split(r"[\W_]+", spaced.lower()) if word]
    plain = "_".join(words)
    names = [plain]
    if sides := [_SIDES[word] for word in words if word in _SIDES]:
        names.append("_".join([*sides[:1], *(word for word in words if word not in _SIDES)]))
    elif glued := re.fullmatch("(left|right|l|r)(.+)", plain):
        names.append(f"{_SIDES[glued[1]]}_{glued[2]}")
    return next((name for name in names if common_name(name) in known), joint)
