"""CrowdPose's keypoint AP, whole and by crowding, with the numbers of its own evaluation API.

The API (crowdpose-api in Jeff-sjtu/CrowdPose) is COCO's with these habits, all kept here:

* sigmas of CrowdPose's 14 joints;
* the area of a person is 0.53 of the box, whatever ``area`` the labels give;
* AP and AR over all sizes only, at most 20 people an image;
* images fall into three groups by their ``crowdIndex``, and AP is computed in each alone. The API
  parts them at 0.2 and 0.8 although the paper (Li et al., CVPR 2019) writes 0.1 and 0.8; published
  numbers come from the API, so its bounds are the default here. A bound belongs to the upper group.
* It rounds the three to 4 digits, which is not done here, and gives -1 for an empty group: NaN here.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from fastpose_mtn.data.json_fields import JsonObject
from fastpose_mtn.evaluation.coco.average_precision import evaluate_keypoints
from fastpose_mtn.evaluation.coco.files import read_coco_ground_truth, read_coco_results
from fastpose_mtn.ops.oks import AREA_PER_BOX
from fastpose_mtn.skeletons import CROWDPOSE14, Skeleton

CROWD_BOUNDS_API = (0.2, 0.8)
CROWD_BOUNDS_PAPER = (0.1, 0.8)

_ALL_SIZES = ("AP", "AP50", "AP75", "AR", "AR50", "AR75")


def evaluate_crowdpose_files(
    gt_json: str | Path,
    results: str | Path | Sequence[JsonObject],
    skeleton: Skeleton = CROWDPOSE14,
    crowd_bounds: tuple[float, float] = CROWD_BOUNDS_API,
) -> dict[str, float]:
    """CrowdPose's numbers for its annotations and results in COCO's format.

    Args:
        gt_json: annotations whose images have a ``crowdIndex`` (0 to 1; the labels hold a few above).
        results: a COCO keypoint results file, or its records (``detections_to_coco_results``).
        skeleton: the joints of both, with their sigmas.
        crowd_bounds: where medium and where hard begins.

    Returns:
        ``keypoint/AP``, ``AP50``, ``AP75``, ``AR``, ``AR50``, ``AR75`` and ``AP_easy``,
        ``AP_medium``, ``AP_hard``, each with the prefix, in [0, 1]; NaN where nobody is labelled.

    Raises:
        ValueError: a file cannot be read or does not have the format; names file, record and field.
    """
    labels = read_coco_ground_truth(gt_json, skeleton)
    dataset = labels.dataset
    for number, image in enumerate(dataset["images"]):
        index = image.get("crowdIndex")
        if not isinstance(index, (int, float)) or isinstance(index, bool) or not 0 <= index < math.inf:
            raise ValueError(
                f"{gt_json}: images[{number}]: crowdIndex: expected a number of 0 or more, got {index!r}; "
                "only CrowdPose's annotations can be measured by crowding"
            )
    for label in dataset["annotations"]:
        if "keypoints" not in label:
            raise ValueError(f"{gt_json}: annotations: keypoints: expected in some of them, got none")
        label["area"] = AREA_PER_BOX * label["bbox"][2] * label["bbox"][3]
    records = read_coco_results(results, skeleton, labels)
    if records and "keypoints" not in records[0]:
        raise ValueError(f"{_name(results)}[0]: keypoints: missing; these are results of boxes only")

    whole = evaluate_keypoints(dataset, records, skeleton.sigmas)
    metrics = {f"keypoint/{name}": whole[f"keypoint/{name}"] for name in _ALL_SIZES}
    for group, image_ids in _groups(dataset["images"], crowd_bounds).items():
        part = {
            **dataset,
            "images": [image for image in dataset["images"] if image["id"] in image_ids],
            "annotations": [label for label in dataset["annotations"] if label["image_id"] in image_ids],
        }
        found = [record for record in records if record["image_id"] in image_ids]
        metrics[f"keypoint/AP_{group}"] = evaluate_keypoints(part, found, skeleton.sigmas)["keypoint/AP"]
    return metrics


def _groups(images: list[JsonObject], bounds: tuple[float, float]) -> dict[str, set]:
    """The ids of the easy, medium and hard images."""
    groups: dict[str, set] = {"easy": set(), "medium": set(), "hard": set()}
    for image in images:
        index = image["crowdIndex"]
        name = "easy" if index < bounds[0] else "medium" if index < bounds[1] else "hard"
        groups[name].add(image["id"])
    return groups


def _name(results: object) -> str:
    return str(results) if isinstance(results, (str, Path)) else "results"
