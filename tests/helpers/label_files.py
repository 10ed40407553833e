"""A COCO-style label file, and what training and evaluation read of it."""

import json

from fastpose_mtn.data.coco.dataset import read_records
from fastpose_mtn.data.coco.ground_truth import read_coco_labels
from fastpose_mtn.data.coco.records import CocoJsonFormat
from fastpose_mtn.data.problems import Problems
from fastpose_mtn.skeletons import COCO17, skeleton_of

NAN = float("nan")
CATEGORY = {"id": 1, "name": "person", "keypoints": list(COCO17.joints)}
JOINTS = [value for joint in range(17) for value in (40 + joint, 30 + 4 * joint, 2)]


def person(number=1, image_id=1, **changes):
    record = {
        "id": number, "image_id": image_id, "category_id": 1, "bbox": [35, 25, 30, 75], "area": 1200, "iscrowd": 0,
        "num_keypoints": 17, "keypoints": JOINTS,
    }  # fmt: skip
    return {**record, **changes}


def content(*people, **changes):
    images = [{"id": i, "file_name": f"{i}.jpg", "width": 200, "height": 120} for i in (1, 2)]
    return {"images": images, "annotations": list(people) or [person()], "categories": [CATEGORY], **changes}


def without(record, field):
    return {name: value for name, value in record.items() if name != field}


class Read:
    """A file as training and as evaluation have it, which must agree, and what is told of it."""

    def __init__(self, folder, data, form=CocoJsonFormat()):  # noqa: B008 (frozen)
        path = folder / "labels.json"
        path.write_text(json.dumps(data))
        for image in data["images"] if isinstance(data.get("images"), list) else ():
            if (
                isinstance(image, dict)
                and isinstance(image.get("file_name"), str)
                and "\0" not in image["file_name"]
            ):
                file = folder / image["file_name"].replace("\\", "/")
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(b"")
        problems = Problems()
        reader, self.records = read_records(
            "mine", path, folder, form, problems, filter_empty=False, skip_missing=True
        )
        self.skeleton = skeleton_of(reader.joints)
        self.told = {(problem.severity, problem.kind): problem.count for problem in problems}
        self.places = [place for problem in problems for place in problem.places]
        self.people = [p for record in self.records for p in record.people if not p.ignore]
        self.joints = sum(int((p.keypoints[:, 2] > 0).sum()) for p in self.people)
        self.labels = read_coco_labels(path, form, Problems())
        measured = [label for label in self.labels.dataset["annotations"] if not label["iscrowd"]]
        assert len(measured) == len(self.people)
        assert sum(label.get("num_keypoints", 0) for label in measured) == self.joints
        ids = [label["id"] for label in self.labels.dataset["annotations"]]
        assert len(set(ids)) == len(ids)
        assert 0 not in ids
