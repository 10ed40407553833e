"""What ``docs/formats.md`` says of each format, against what is written: every field, and no other."""

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest

from fastpose_mtn.data.coco.wholebody import PART_FIELDS
from fastpose_mtn.skeletons import PERSON19
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.tracking.detections_file import DetectionsWriter, SavedFrame
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.writers import FORMATS, open_writer

TEXT = (Path(__file__).parents[2] / "docs" / "formats.md").read_text(encoding="utf-8")


def section(title):
    return re.search(rf"^## {title}\n(.*?)(?=^## |\Z)", TEXT, re.S | re.M)[1]


def documented(title, heading):
    """The fields in the first column of a section's table that is headed so."""
    table = re.search(rf"^\| {heading} \| \|\n\|---\|---\|\n((?:\|.*\n)+)", section(title), re.M)[1]
    return {name for row in table.splitlines() for name in re.findall(r"`(\w+)`", row.split("|")[1])}


def people(count):
    boxes = np.tile(np.float32([10, 20, 30, 40]), (count, 1))
    keypoints = np.full((count, 19, 3), 0.5, np.float32)
    embeddings = np.ones((count, 4), np.float32)
    return PersonDetections(boxes, np.full(count, 0.75, np.float32), keypoints, embeddings)


def frames():
    """Numbered images of a folder, one of which cannot be decoded."""
    image = np.zeros((48, 64, 3), np.uint8)
    for index, shown in enumerate((image, None)):
        number = 5 + index
        yield Frame(index, number, index / 25, 1 / 25, shown, (48, 64), file_name=f"{number:06d}.jpg")


@pytest.fixture
def written(tmp_path):
    """Writes each format; gives the file's text, or the folder."""

    def write(form):
        writer = open_writer(form, tmp_path, sequence="walk", skeleton=PERSON19)
        for frame in frames():
            count = 0 if frame.image is None else 2
            writer.write(frame, TrackedPersons(people(count), np.arange(count), np.arange(count) == 1))
        writer.close(True)
        assert f"`NAME{FORMATS[form][1]}`" in section(form)
        return writer.path.read_text() if writer.path.is_file() else writer.path

    return write


def fields(records):
    return set().union(*records)


def test_every_format_has_a_section():
    assert [form for form in re.findall(r"^## (\w+)$", TEXT, re.M) if form in FORMATS] == [
        "jsonl", "csv", "posetrack", "mot", "coco", "alphapose", "openpose",
    ]  # fmt: skip
    assert len(FORMATS) == 7
    readme = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
    assert "docs/formats.md" in readme


def test_json_lines(written):
    header, *lines = map(json.loads, written("jsonl").splitlines())
    assert fields([header]) == documented("jsonl", "header")
    assert fields(lines) == documented("jsonl", "frame")
    assert fields(lines[0]["people"]) == documented("jsonl", "person")
    assert len(header["joints"]) == len(lines[0]["people"][0]["joints"]) == 19


def test_csv(written):
    heading = next(csv.reader([written("csv").splitlines()[0]]))
    plain = [name for name in heading if name.rsplit("_", 1)[0] not in PERSON19.joints]
    of_joints = {name.replace("left_wrist", "JOINT") for name in heading if name.startswith("left_wrist_")}
    assert {*plain, *of_joints} == documented("csv", "column") - {"left_wrist_x"}
    of_all = [f"{j}_{v}" for j in PERSON19.joints for v in ("x", "y", "confidence")]
    assert heading == [*plain[:-1], *of_all, plain[-1]]


def test_posetrack(written):
    content = json.loads(written("posetrack"))
    assert set(content) == {"images", "annotations", "categories"}
    assert fields(content["images"]) == documented("posetrack", "image")
    assert fields(content["annotations"]) == documented("posetrack", "annotation")


def test_mot(written):
    columns = re.search(r"without a heading: (.*)\.\n", section("mot"))[1].split(", ")
    assert {line.count(",") + 1 for line in written("mot").splitlines()} == {len(columns)}
    assert columns[-1] == "-1"


def test_coco(written):
    parts = {field for field, _ in PART_FIELDS}
    assert fields(json.loads(written("coco"))) == documented("coco", "result") - parts
    assert parts <= documented("coco", "result")


def test_alphapose(written):
    assert fields(json.loads(written("alphapose"))) == documented("alphapose", "person")


def test_openpose(written):
    files = [json.loads(file.read_text()) for file in sorted(written("openpose").iterdir())]
    assert [len(content["people"]) for content in files] == [1, 0]  # the second is interpolated
    assert fields(files) == documented("openpose", "file")
    assert fields(files[0]["people"]) == documented("openpose", "person")


def test_saved_detections(tmp_path):
    path = tmp_path / "walk.detections.npz"
    writer = DetectionsWriter(path, source="walk", skeleton=PERSON19, independent=True)
    for frame in frames():
        writer.write(SavedFrame(frame.number, frame.time_s, (48, 64), people(2), frame.file_name))
    writer.close()
    with np.load(path) as archive:
        assert set(archive.files) == documented("Saved detections", "array")
        assert str(archive["format"]) in section("Saved detections")
