"""Files of whole bodies: COCO-WholeBody's, with feet, face and hands in fields of their own, and Halpe's."""

from __future__ import annotations

from fastpose_mtn.data.coco.records import CocoJsonFormat
from fastpose_mtn.skeletons import COCO_WHOLEBODY133, HALPE136

# The fields behind ``keypoints``, in the order of COCO_WHOLEBODY133's joints, and how many joints each has.
PART_FIELDS = (("foot_kpts", 6), ("face_kpts", 68), ("lefthand_kpts", 21), ("righthand_kpts", 21))
# Whole-body labels have shares between 0 and 1 for v; training takes these and above as labelled, as AlphaPose does.
LABELLED_FROM = 0.35

HALPE = CocoJsonFormat(joints=HALPE136.joints, labelled_from=LABELLED_FROM)
WHOLEBODY = CocoJsonFormat(
    joints=COCO_WHOLEBODY133.joints, part_fields=PART_FIELDS, labelled_from=LABELLED_FROM
)
