"""Detectron2's ``Instances`` of people found, as ours; and the other way, of people given."""

from __future__ import annotations

import numpy as np
import torch
from detectron2.modeling import GeneralizedRCNN
from detectron2.modeling.roi_heads import StandardROIHeads
from detectron2.structures import Boxes, Instances

from fastpose_mtn.estimators.frames import image_to_frame_scale
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


@torch.no_grad()
def people_of_images(
    model: GeneralizedRCNN, inputs: list[dict[str, torch.Tensor]], min_score: float
) -> list[Instances]:
    """Finds each image's people, as the model's ``inference`` does without postprocessing.

    Args:
        model: in evaluation mode.
        inputs: as the model takes them.
        min_score: boxes that score lower are left out before anything else is computed of them. Heads that have no such
            step between report them all.
    """
    heads = model.roi_heads
    if not isinstance(heads, StandardROIHeads):
        return model.inference(inputs, do_postprocess=False)
    images = model.preprocess_image(inputs)
    features = model.backbone(images.tensor)
    proposals, _ = model.proposal_generator(images, features, None)
    found = heads._forward_box(features, proposals)
    return heads.forward_with_given_boxes(features, [one[one.scores >= min_score] for one in found])


@torch.no_grad()
def people_of_boxes(
    model: GeneralizedRCNN, image: torch.Tensor, boxes_xyxy: np.ndarray, scores: np.ndarray
) -> PersonDetections:
    """Joints and identities of given people, in their order.

    Args:
        model: in evaluation mode.
        image: (3, H, W), as the model takes it.
        boxes_xyxy: (N, 4) float32 in its pixels.
        scores: (N,) float32 of the boxes; our heads weigh them by the joints, Detectron2's leave them.
    """
    people = Instances((int(image.shape[1]), int(image.shape[2])))
    people.pred_boxes = Boxes(torch.as_tensor(boxes_xyxy).clone())
    people.scores = torch.as_tensor(scores).clone()
    people.pred_classes = torch.zeros(len(boxes_xyxy), dtype=torch.int64)
    (found,) = model.inference([{"image": image}], detected_instances=[people], do_postprocess=False)
    return to_detections(found)


def describe_boxes(
    model: GeneralizedRCNN, image: torch.Tensor, frame_size_hw: tuple[int, int], boxes_xyxy: np.ndarray
) -> np.ndarray:
    """Identity vectors (N, E) float32 of given people.

    Args:
        model: in evaluation mode.
        image: (3, H, W), as the model takes it.
        frame_size_hw: pixels of the image as it was before it was resized.
        boxes_xyxy: (N, 4) in these pixels.

    Raises:
        ValueError: the network has no identity head.
    """
    scale = image_to_frame_scale(image.shape[1:], frame_size_hw)
    boxes = np.asarray(boxes_xyxy, np.float32) / np.tile(scale, 2)
    people = people_of_boxes(model, image, boxes, np.ones(len(boxes), np.float32))
    if people.embeddings is None:
        raise ValueError("the network has no identity head: MODEL.REID_ON True")
    return people.embeddings
