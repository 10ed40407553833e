"""A small COCO-style file with its images, and the dataset of it."""

import json

import cv2
import numpy as np

from fastpose_mtn.data.coco.dataset import CocoJsonDataset

JOINTS = ["left_wrist", "top_head", "left_ear"]


def person(number=1, image_id=1, **changes):
    record = {
        "id": number,
        "image_id": image_id,
        "category_id": 1,
        "bbox": [10, 20, 30, 40],
        "keypoints": [12, 22, 2, 14, 24, 1, 16, 26, 2],
        "iscrowd": 0,
    }
    return {**record, **changes}


def write(folder, annotations, images=None, categories=None, name="labels.json"):
    """A file with images 1 and 2, each 100x80, of which the second has no people unless given."""
    images = images or [{"id": i, "file_name": f"{i}.png", "width": 100, "height": 80} for i in (1, 2)]
    categories = categories or [{"id": 1, "name": "person", "keypoints": JOINTS}]
    for image in images:
        if "file_name" in image:
            path = folder / image["file_name"]
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.zeros((80, 100, 3), np.uint8)
            pixels[..., 2] = 255  # OpenCV's order: red
            cv2.imwrite(str(path), pixels)
    content = {"images": images, "annotations": annotations, "categories": categories}
    (folder / name).write_text(json.dumps(content))
    return folder / name


def read(path, form=None, **options):
    return CocoJsonDataset("mine", path, path.parent, form=form, **options)
