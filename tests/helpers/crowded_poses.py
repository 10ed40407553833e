"""Labelled people who stand close, each found well and again beside it, as a detector with a low threshold finds them."""

import numpy as np

from fastpose_mtn.evaluation.coco.repeated import LabelledPeople
from fastpose_mtn.skeletons import COCO17
from fastpose_mtn.structures import PersonDetections, PersonTargets

SIZE_WH = np.array([60.0, 160.0])


def crowded_image(rng, people=5, *, apart=25.0, off=9.0, frame_hw=(240, 400)):
    """An image of people ``apart`` pixels from each other, and twice as many found.

    The first half of those found is exact; each has a double whose joints are all off by ``off`` pixels in some direction,
    and whose score is a little lower.
    """
    pose = rng.random((17, 2)) * SIZE_WH
    corner = np.column_stack((20 + apart * np.arange(people), np.full(people, 40.0))) + rng.uniform(
        -3, 3, (people, 2)
    )
    joints = np.dstack((corner[:, None] + pose, np.full((people, 17), 2.0)))
    boxes = np.concatenate((corner, corner + SIZE_WH), axis=1).astype(np.float32)
    targets = PersonTargets(boxes, joints.astype(np.float32), np.full(people, -1), np.zeros(people, bool))
    angle = rng.uniform(0, 2 * np.pi, (people, 1))
    shift = off * np.dstack((np.cos(angle), np.sin(angle)))
    doubles = np.dstack((joints[..., :2] + shift, np.full((people, 17), 0.5)))
    exact = np.dstack((joints[..., :2], np.full((people, 17), 0.9)))
    scores = np.outer([1, 0.95], rng.uniform(0.3, 0.9, people)).ravel()
    found = PersonDetections(
        np.tile(boxes, (2, 1)), scores.astype(np.float32), np.concatenate((exact, doubles)).astype(np.float32)
    )
    return LabelledPeople(found, targets, None, frame_hw)


def coco_labels(images):
    """COCO's labels of such images, called 1.jpg and so on."""
    annotations = []
    for number, image in enumerate(images, 1):
        for box, joints in zip(image.targets.boxes.tolist(), image.targets.keypoints, strict=True):
            index = np.where(joints[:, 2:] > 0, joints - [0.5, 0.5, 0], 0)
            annotations.append(
                {
                    "id": len(annotations) + 1, "image_id": number, "category_id": 1, "iscrowd": 0,
                    "bbox": [box[0], box[1], box[2] - box[0], box[3] - box[1]],
                    "area": 0.53 * (box[2] - box[0]) * (box[3] - box[1]),
                    "keypoints": index.ravel().tolist(), "num_keypoints": int((joints[:, 2] > 0).sum()),
                }
            )  # fmt: skip
    return {
        "images": [
            {"id": n, "file_name": f"images/{n}.jpg", "height": i.size_hw[0], "width": i.size_hw[1]}
            for n, i in enumerate(images, 1)
        ],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
    }
