"""Five small datasets that train different tasks, of images of varying sizes: what a network trained together meets."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np

from fastpose_mtn.skeletons import COCO17

TASKS = {
    "everything": "boxes+keypoints",
    "joints": "keypoints",
    "identities": "identities",
    "nobody": "boxes",
    "boxes": "boxes",
}


def write_mixed_datasets(folder: Path, *, images: int, sides: tuple[int, int], seed: int = 0) -> list[str]:
    """Writes noise with boxes of people, and gives the datasets' names for ``DATASETS.TRAIN``.

    Args:
        images: of each dataset.
        sides: least and greatest, pixels; both of an image are drawn.
    """
    rng = np.random.default_rng(seed)
    names = []
    for name, tasks in TASKS.items():
        (folder / name).mkdir(parents=True)
        records, people = [], []
        for number in range(1, images + 1):
            width, height = (int(side) for side in rng.integers(sides[0], sides[1] + 1, 2))
            file = f"{number}.jpg"
            cv2.imwrite(str(folder / name / file), rng.integers(0, 256, (height, width, 3), dtype=np.uint8))
            records.append({"id": number, "file_name": file, "width": width, "height": height})
            for _ in range(0 if name == "nobody" else int(rng.integers(1, 3))):
                people.append(_person(rng, len(people) + 1, number, width, height))
        categories = [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}]
        labels = {"images": records, "annotations": people, "categories": categories}
        file_name = folder / f"{name}.json"
        file_name.write_text(json.dumps(labels))
        names.append(f"json://{file_name}?images={folder / name}&tasks={tasks}")
    return names


def _person(rng: np.random.Generator, number: int, image: int, width: int, height: int) -> dict[str, object]:
    """An annotation of a person from a quarter of the image to nearly all of it."""
    size = rng.uniform(0.25, 0.95, 2) * (width, height)
    corner = rng.uniform(0, 1, 2) * ((width, height) - size)
    joints = np.full((len(COCO17), 3), 2.0)
    joints[:, :2] = corner + rng.uniform(0.1, 0.9, (len(COCO17), 2)) * size
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [*corner.tolist(), *size.tolist()],
        "area": float(size.prod()),
        "keypoints": joints.flatten().tolist(),
        "num_keypoints": len(joints),
        "person_id": number % 4,
    }
