"""What differs between label files and is not in them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LabelRules:
    """How a label file is read.

    Attributes:
        joints: names of the joints, whatever the file calls them (Halpe's files do not name them).
        people: the categories that are people's, by their names or ids; (): found out, see ``categories.py``.
        wants_joints: joints that nothing names are an error; otherwise they are left out, and counted.
        wants_files: an image without a file_name is an error; for numbers alone it need not have one.
        poseval: PoseTrack's protocol, which evaluates whoever is listed: nobody is left out for want of a box,
            boxes and joints may lie anywhere, and a joint's v may be any number.
        joint_offset: pixels from a joint's numbers to its continuous coordinates: 0.5 where they are pixel indices.
        part_fields: fields that hold joints besides ``keypoints``, and how many: the last of ``joints``, in this order.
        labelled_from: v may be any number from 0 to 2; joints of this v and above are labelled, from 1.5 visible. None:
            v is 0, 1 or 2.
    """

    joints: tuple[str, ...] | None = None
    people: tuple[str, ...] = ()
    wants_joints: bool = True
    wants_files: bool = True
    poseval: bool = False
    joint_offset: float = 0.5
    part_fields: tuple[tuple[str, int], ...] = ()
    labelled_from: float | None = None
