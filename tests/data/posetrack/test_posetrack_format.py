"""PoseTrack17's and PoseTrack18's files: what is read, what is written, and what is said of bad ones."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from fastpose_mtn.data.json_fields import box_xywh
from fastpose_mtn.data.posetrack.files import PoseTrackWarning, read_posetrack, write_posetrack
from fastpose_mtn.data.posetrack.sequence import NO_TRACK_ID, POSETRACK18_SLOTS
from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import POSETRACK15

NOSE, ANKLE = POSETRACK15.index("nose"), POSETRACK15.index("right_ankle")
SCORES = [round(0.01 * i, 2) for i in range(17)]


def joints18(**places: list[float]) -> list[float]:
    """17 slots, all absent but those named."""
    return [value for slot in POSETRACK18_SLOTS for value in places.get(slot, [0, 0, 0])]


FILE18: dict[str, Any] = {
    "images": [
        {
            "id": 10000010000, "file_name": "images/val/000001_mpii_test/000000.jpg", "is_labeled": True, "nframes": 2,
            "vid_id": "000001", "height": 720, "width": 1280, "mask_file": "mask/000000.jpg",
            "ignore_regions_x": [[1, 2.5, 3]], "ignore_regions_y": [[4, 5, 9]],
        },
        {
            "id": 10000010001, "file_name": "images/val/000001_mpii_test/000001.jpg", "is_labeled": False, "nframes": 2,
            "vid_id": "000001", "height": 720, "width": 1280,
            "ignore_regions_x": [], "ignore_regions_y": [],
        },
    ],
    "annotations": [
        {
            "id": 1, "image_id": 10000010001, "track_id": 7, "category_id": 1, "iscrowd": False, "num_keypoints": 2,
            "keypoints": joints18(nose=[10.5, 20, 2], right_ankle=[30, 40.25, 0]), "scores": [],
            "bbox": [0.1, 0.2, 51.2, 100], "bbox_head": [346, 337, 296, 237],
        },
        {
            "id": 2, "image_id": 10000010000, "track_id": 3, "category_id": 1, "iscrowd": False, "num_keypoints": 1,
            "keypoints": joints18(nose=[1, 2, 1], left_ear=[5, 6, 1]), "scores": SCORES, "score": 0.75,
            "bbox": [1, 2, 3, 4],
        },
    ],
    "categories": [
        {"supercategory": "person", "id": 1, "name": "person", "keypoints": list(POSETRACK18_SLOTS), "skeleton": [[1, 2]]}
    ],
}  # fmt: skip

FILE17: dict[str, Any] = {
    "annolist": [
        {
            "image": [{"name": "images/bonn_5sec/000342_mpii/00000001.jpg"}], "imgnum": [1], "is_labeled": [1],
            "ignore_regions": [{"point": [{"x": [0], "y": [1]}, {"x": [9], "y": [1]}, {"x": [9.5], "y": [8]}]}],
            "annorect": [
                {
                    "x1": [625], "y1": [94], "x2": [681], "y2": [178], "score": [0.9], "track_id": [0],
                    "annopoints": [{"point": [
                        {"id": [0], "x": [394], "y": [173.5], "is_visible": [0]},
                        {"id": [13], "x": [400], "y": [100], "is_visible": [1], "score": [0.7]},
                    ]}],
                },
                {"x1": [1], "y1": [2], "x2": [3], "y2": [4], "track_id": [5]},
                {"x1": [1], "y1": [2], "x2": [3], "y2": [4], "track_id": [6], "annopoints": []},
                {"track_id": [8], "annopoints": [{"point": []}]},
            ],
        },
        {"image": [{"name": "images/bonn_5sec/000342_mpii/00000002.jpg"}], "imgnum": [2], "is_labeled": [0], "annorect": []},
    ]
}  # fmt: skip


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def changed(content: dict[str, Any], *keys: Any, to: Any) -> dict[str, Any]:
    """A copy with the value at ``keys`` replaced."""
    out: Any = copy.deepcopy(content)
    place = out
    for key in keys[:-1]:
        place = place[key]
    place[keys[-1]] = to
    return out


def test_posetrack18_is_read_by_frame_and_joint(tmp_path: Path) -> None:
    sequence = read_posetrack(write(tmp_path / "000001_mpii_test.json", FILE18))
    assert (sequence.name, len(sequence)) == ("000001_mpii_test", 2)
    assert sequence.track_ids.tolist() == [3, 7]  # by frame, not by annotation
    assert sequence.people_per_frame.tolist() == [1, 1]
    assert [frame.is_labeled for frame in sequence.frames] == [True, False]
    assert sequence.frames[0].size_hw == (720.0, 1280.0)
    assert sequence.frames[0].ignore_regions[0].tolist() == [[1, 4], [2.5, 5], [3, 9]]
    assert sequence.frames[1].ignore_regions == ()
    assert sequence.has_joint.sum(axis=1).tolist() == [1, 2]  # the ear is no joint of PoseTrack
    assert sequence.keypoints[1, ANKLE].tolist() == [30.0, 40.25]  # with v = 0, but not at 0, 0: it is there
    assert sequence.visibility[1, [NOSE, ANKLE]].tolist() == [2.0, 0.0]
    assert np.isnan(sequence.visibility[0, ANKLE])
    assert sequence.joint_scores[0, NOSE] == SCORES[0]
    assert np.isnan(sequence.joint_scores[1]).all()
    assert sequence.head_boxes_xyxy[1].tolist() == [346, 337, 642, 574]
    assert np.isnan(sequence.head_boxes_xyxy[0]).all()
    assert sequence.boxes_xyxy[0].tolist() == [1, 2, 4, 6]
    assert sequence.scores[0] == 0.75
    assert np.isnan(sequence.scores[1])


def test_posetrack17_is_read_into_the_same_arrays(tmp_path: Path) -> None:
    sequence = read_posetrack(write(tmp_path / "000342_mpii.json", FILE17))
    assert sequence.people_per_frame.tolist() == [4, 0]
    assert sequence.track_ids.tolist() == [0, 5, 6, 8]
    assert sequence.has_points.tolist() == [True, False, False, True]
    assert sequence.has_joint.sum(axis=1).tolist() == [2, 0, 0, 0]
    assert sequence.keypoints[0, ANKLE].tolist() == [394, 173.5]
    assert sequence.visibility[0, [ANKLE, NOSE]].tolist() == [0, 1]
    assert sequence.joint_scores[0, NOSE] == 0.7
    assert np.isnan(sequence.joint_scores[0, ANKLE])
    assert sequence.head_boxes_xyxy[0].tolist() == [625, 94, 681, 178]
    assert np.isnan(sequence.head_boxes_xyxy[3]).all()
    assert sequence.frames[0].ignore_regions[0].tolist() == [[0, 1], [9, 1], [9.5, 8]]
    assert [frame.is_labeled for frame in sequence.frames] == [True, False]


def test_posetrack18_survives_posetrack17(tmp_path: Path) -> None:
    path = write(tmp_path / "000001_mpii_test.json", FILE18)
    write_posetrack(path, read_posetrack(path, keep_extra=True), year=2017)
    assert "annolist" in json.loads(path.read_text())
    write_posetrack(path, read_posetrack(path, keep_extra=True), year=2018)
    back = json.loads(path.read_text())
    for image in back["images"]:
        assert image.pop("imgnum") in ([1], [2])  # PoseTrack17's own, which the conversion added
    back["annotations"].sort(key=lambda a: a["id"])
    assert back == FILE18


def test_posetrack17_survives_posetrack18(tmp_path: Path) -> None:
    path = write(tmp_path / "000342_mpii.json", FILE17)
    write_posetrack(path, read_posetrack(path, keep_extra=True), year=2018)
    converted = json.loads(path.read_text())
    assert [image["id"] for image in converted["images"]] == [10003420001, 10003420002]
    assert converted["annotations"][0]["keypoints"][:3] == [400, 100, 1]
    assert converted["annotations"][0]["bbox_head"] == [625, 94, 56, 84]
    write_posetrack(path, read_posetrack(path, keep_extra=True), year=2017)
    back = json.loads(path.read_text())
    del back["categories"]
    for entry in back["annolist"]:
        for key in ("id", "nframes", "vid_id"):  # PoseTrack18's own, which the conversion added
            del entry[key]
        for person in entry["annorect"]:
            del person["category_id"], person["id"]
    points = back["annolist"][0]["annorect"][0]["annopoints"][0]["point"]
    assert points[0].pop("score") == [
        -9999
    ]  # PoseTrack18 scores all joints or none; this is poseval's for none
    assert back == FILE17


def test_written_arrays_are_the_ones_read(tmp_path: Path) -> None:
    path = write(tmp_path / "000342_mpii.json", FILE17)
    first = read_posetrack(path)
    write_posetrack(path, first, year=2017)
    again = read_posetrack(path)
    for name in (
        "keypoints",
        "has_joint",
        "visibility",
        "joint_scores",
        "head_boxes_xyxy",
        "scores",
        "has_points",
    ):
        np.testing.assert_array_equal(getattr(again, name), getattr(first, name), err_msg=name)


def test_a_box_keeps_its_digits() -> None:
    for x, w in ((0.1, 51.2), (648, 138), (214.25, 1358.5), (167.77146757999992, 751.43225404)):
        assert box_xywh((x, x, x + w, x + w)) == [x, x, w, w]


def test_real_annotations_are_read_and_survive_conversion(real_data: Path, tmp_path: Path) -> None:
    for source in sorted((real_data / "posetrack18" / "annotations" / "val").glob("*.json")):
        content = json.loads(source.read_text())
        sequence = read_posetrack(source, keep_extra=True)
        assert sequence.has_joint.sum(axis=1).tolist() == [a["num_keypoints"] for a in content["annotations"]]
        path = tmp_path / source.name
        write_posetrack(path, sequence, year=2017)
        write_posetrack(path, read_posetrack(path, keep_extra=True), year=2018)
        back = json.loads(path.read_text())
        for image in back["images"]:
            del image["imgnum"]
        assert back == content


FRAME = r"000001_mpii_test\.json: sequence 000001_mpii_test, frame 0 \(images/val/000001_mpii_test/000000\.jpg\), "
FRAME17 = r"000342_mpii\.json: sequence 000342_mpii, frame 0 \(images/bonn_5sec/000342_mpii/00000001\.jpg\), "


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        (("annotations", 1, "keypoints", 4), "1", r'annotations\[1\] \(id 2\): keypoints\[4\]: expected a number, got "1"'),
        (("annotations", 1, "keypoints"), [1, 2, 3], r"000001_mpii_test\.json: annotations\[1\] \(id 2\): keypoints: expected 51 numbers, .*, got 3"),
        (("annotations", 1, "scores"), [0.5] * 15, FRAME + r"annotations\[1\]\.scores: expected a list of 17 numbers or more.*, got a list of 15"),
        (("annotations", 1, "scores", 2), None, FRAME + r"annotations\[1\]\.scores\[2\]: expected a number, got null"),
        (("annotations", 1, "track_id"), 1.5, r"000001_mpii_test\.json: annotations\[1\] \(id 2\): track_id: expected a whole number or text, got 1\.5"),
        (("annotations", 1, "bbox"), [1, 2, 3], r"000001_mpii_test\.json: annotations\[1\] \(id 2\): bbox: expected 4 numbers, .*, got 3"),
        (("annotations", 1, "bbox_head"), [1, 2, 3, {}], FRAME + r"annotations\[1\]\.bbox_head\[3\]: expected a number"),
        (("annotations", 1, "image_id"), [1], r"000001_mpii_test\.json: annotations\[1\] \(id 2\): image_id: expected the id of one of the file's images, got \[1\]"),
        (("annotations", 1), 5, r"annotations\[1\]: expected an object, got 5"),
        (("annotations",), None, r"000001_mpii_test\.json: annotations: expected a list, got null"),
        (("images", 0, "ignore_regions_x", 0, 1), "3", r"images\[0\] \(id 10000010000\): ignore_regions_x\[0\]\[1\]: expected a number, got \"3\""),
        (("images", 0, "ignore_regions_x"), [1, 2], r"images\[0\] \(id 10000010000\): ignore_regions_x\[0\]: expected a list, got 1"),
        (("images", 0, "file_name"), 3, r"images\[0\] \(id 10000010000\): file_name: expected the image's name, got 3"),
        (("images", 0, "id"), None, r"images\[0\]: id: expected a whole number or text, got null"),
        (("categories",), [], r"categories: expected a list that says what is annotated, got \[\]"),
        (("categories", 0, "keypoints", 1), "left_eye", r"categories: keypoints: expected the joints nose.* got none named head_bottom but left_eye"),
        (("images",), "x", r"images: expected a list, got \"x\""),
    ],
)  # fmt: skip
def test_a_wrong_field_of_posetrack18_is_named(keys: Any, value: Any, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "000001_mpii_test.json", changed(FILE18, *keys, to=value))
    with pytest.raises(InputError, match=message):
        read_posetrack(path)


POINT = ("annolist", 0, "annorect", 0, "annopoints", 0, "point", 1)


@pytest.mark.parametrize(
    ("keys", "value", "message"),
    [
        ((*POINT, "x"), [float("inf")], FRAME17 + r"annorect\[0\]\.annopoints\[0\]\.point\[1\]\.x: expected a finite number, got Infinity"),
        ((*POINT, "x"), 5, FRAME17 + r"annorect\[0\]\.annopoints\[0\]\.point\[1\]\.x: expected a list with one value, got 5"),
        ((*POINT, "score"), [], FRAME17 + r"annorect\[0\]\.annopoints\[0\]\.point\[1\]\.score: expected a list with one value, got \[\]"),
        ((*POINT, "score"), [None], FRAME17 + r"annorect\[0\]\.annopoints\[0\]\.point\[1\]\.score: expected a number, got null"),
        (POINT, 7, FRAME17 + r"annorect\[0\]\.annopoints\[0\]\.point\[1\]: expected an object, got 7"),
        (POINT[:-1], 7, FRAME17 + r"annorect\[0\]\.annopoints\[0\]\.point: expected a list, got 7"),
        (("annolist", 0, "annorect", 0, "track_id"), 7, FRAME17 + r"annorect\[0\]\.track_id: expected a list with one value, got 7"),
        (("annolist", 0, "annorect", 0, "x1"), ["a"], FRAME17 + r"annorect\[0\]\.x1: expected a number, got \"a\""),
        (("annolist", 0, "annorect"), None, FRAME17 + r"annorect: expected a list, got null"),
        (("annolist", 0, "ignore_regions", 0, "point", 0, "y"), [], FRAME17 + r"ignore_regions\[0\]\.point\[0\]\.y: expected a list with one value, got \[\]"),
        (("annolist", 1), [], r"sequence 000342_mpii, frame 1: expected an object, got \[\]"),
        (("annolist",), 1, r"sequence 000342_mpii, annolist: expected a list, got 1"),
    ],
)  # fmt: skip
def test_a_wrong_field_of_posetrack17_is_named(keys: Any, value: Any, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "000342_mpii.json", changed(FILE17, *keys, to=value))
    with pytest.raises(InputError, match=message):
        read_posetrack(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (json.dumps(FILE18)[:200], r"s\.json: expected JSON, got 200 bytes that stop making sense at line 1.*is the file whole\?"),
        ("", r"s\.json: expected JSON, got 0 bytes"),
        ("[1, 2]", r's\.json: sequence s: expected an object with "images" .*"annolist".*, got \[1, 2\]'),
        ("[" * 100_000, r"s\.json: expected JSON that can be read"),
        ('{"images": ' + "9" * 5000 + "}", r"s\.json: expected JSON that can be read"),
    ],
)  # fmt: skip
def test_a_file_that_is_none_is_named(content: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_text(content)
    with pytest.raises(InputError, match=message):
        read_posetrack(path)


def test_text_that_is_no_utf8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "s.json"
    path.write_bytes(b'{"images": "\xff\xfe"}')
    with pytest.raises(InputError, match=r"s\.json: expected JSON in UTF-8, got byte 12"):
        read_posetrack(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (changed(FILE18, "annotations", 0, "image_id", to=5), r"left out 1 annotations whose image_id no image has, first .*annotations\[0\] \(id 1\), got 5"),
        (changed(FILE18, "annotations", 1, "keypoints", 4, to=float("nan")), r"left out 1 annotations with joints that are not finite"),
        (changed(FILE18, "annotations", 1, "keypoints", to=None), r"kept 1 annotations without keypoints, first .*annotations\[1\] \(id 2\)"),
        (changed(FILE18, "annotations", 1, "bbox", to=[0, 0, 0, 0]), r"repaired 1 annotations with a box without area, which is taken as none"),
        (changed(FILE18, "annotations", 1, "track_id", to="7"), r"repaired 1 records whose track_id is text or a float.*, got \"7\""),
        (changed(FILE18, "annotations", 1, "category_id", to=2), r"left out 1 annotations whose category_id no category has .*, got 2"),
        (changed(FILE18, "images", 1, "file_name", to="images/000002_mpii_test/000001.jpg"), r"images of 2 folders; only the 1 of the first"),
        (changed(FILE18, "categories", 0, "keypoints", 3, to="tail"), r"keypoints: unknown joints \"tail\" are left out"),
        (changed(FILE18, "images", 0, "ignore_regions_y", 0, to=[4, 5]), r"left out 1 images whose ignore_regions_x and _y differ in length"),
        (changed(FILE17, *POINT, "id", to=[15]), r"point\[1\]\.id: expected 0 to 14, got 15; the joint is left out"),
        (changed(FILE17, *POINT, "id", to=[0]), r"point\[1\]\.id: expected each joint once, got right_ankle again"),
    ],
)  # fmt: skip
@pytest.mark.filterwarnings("ignore::fastpose_mtn.data.posetrack.files.PoseTrackWarning")
def test_what_poseval_lets_pass_is_read_with_a_warning(content: Any, message: str, tmp_path: Path) -> None:
    path = write(tmp_path / "000001_mpii_test.json", content)
    with pytest.warns(PoseTrackWarning, match=message):
        read_posetrack(path)


def test_fields_that_are_not_needed_may_be_missing(tmp_path: Path) -> None:
    content = copy.deepcopy(FILE18)
    for key in ("track_id", "scores", "bbox", "bbox_head"):
        for person in content["annotations"]:
            person.pop(key, None)
    for image in content["images"]:
        for key in ("is_labeled", "height", "ignore_regions_x", "ignore_regions_y", "file_name"):
            del image[key]
    sequence = read_posetrack(write(tmp_path / "s.json", content))
    assert sequence.track_ids.tolist() == [NO_TRACK_ID] * 2
    assert np.isnan(sequence.boxes_xyxy).all()
    assert [frame.is_labeled for frame in sequence.frames] == [True, True]
    assert sequence.frames[0].size_hw is None


def test_a_year_that_has_no_format_is_refused(tmp_path: Path) -> None:
    sequence = read_posetrack(write(tmp_path / "s.json", FILE18))
    with pytest.raises(ValueError, match="year: expected 2017 or 2018, got 2021"):
        write_posetrack(tmp_path / "t.json", sequence, year=2021)  # type: ignore[arg-type]
