"""Detectron2's ``Instances`` of people found, as ours."""

from __future__ import annotations

import numpy as np
from detectron2.structures import Instances

from fastpose_mtn.structures import PersonDetections


def to_detections(instances: Instances) -> PersonDetections:
    """NumPy arrays in the instances' order; joints of Detectron2's own heads keep their scores, cut to [0, 1]."""

    def array(name: str) -> np.ndarray:
        return instances.get(name).detach().float().cpu().numpy()

    boxes = instances.pred_boxes.tensor.detach().float().cpu().numpy()
    keypoints = np.zeros((len(boxes), 0, 3), np.float32)
    if instances.has("pred_keypoints"):
        keypoints = array("pred_keypoints").copy()
        keypoints[..., 2] = keypoints[..., 2].clip(0.0, 1.0)
    return PersonDetections(
        boxes=boxes,
        scores=array("scores"),
        keypoints=keypoints,
        embeddings=array("pred_embeddings") if instances.has("pred_embeddings") else None,
    )
