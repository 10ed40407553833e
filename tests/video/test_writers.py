import contextlib
import csv
import io
import json

import numpy as np
import pytest
from pycocotools.coco import COCO

from fastpose_mtn.data.posetrack.records import posetrack18_image_id
from fastpose_mtn.skeletons import (
    COCO17,
    COCO_WHOLEBODY133,
    CROWDPOSE14,
    HALPE26,
    MPII16,
    PERSON19,
    POSETRACK15,
)
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.writers import FORMATS, open_writer


def people(ids, skeleton=POSETRACK15):
    """Person i: box (10 i, 20, 10 i + 5, 40), joint k at (10 i + k, 20 + k) with confidence 0.5."""
    n, k = len(ids), len(skeleton)
    boxes = np.array([[10 * i, 20, 10 * i + 5, 40] for i in ids], np.float32).reshape(n, 4)
    joint = np.arange(k)
    keypoints = np.array(
        [np.stack([10 * i + joint, 20 + joint, np.full(k, 0.5)], axis=1) for i in ids], np.float32
    )
    detections = PersonDetections(boxes, np.full(n, 0.75, np.float32), keypoints.reshape(n, k, 3))
    return TrackedPersons(detections, np.array(ids, np.int64))


def frame(index, *, number=None, image=True, file_name=None):
    return Frame(
        index=index,
        number=index if number is None else number,
        time_s=index / 25,
        duration_s=1 / 25,
        image=np.zeros((48, 64, 3), np.uint8) if image else None,
        image_size_hw=(48, 64),
        file_name=file_name,
    )


def write(tmp_path, form, frames, *, sequence="walk", skeleton=POSETRACK15, complete=True):
    writer = open_writer(form, tmp_path, sequence=sequence, skeleton=skeleton)
    for one, who in frames:
        writer.write(one, who)
    assert not writer.path.exists()  # its name is given when it is whole
    writer.close(complete)
    return writer.path


THREE = [(frame(0), people([3, 7])), (frame(1), people([])), (frame(2), people([7]))]


def test_json_lines_hold_every_frame(tmp_path):
    path = write(tmp_path, "jsonl", [*THREE, (frame(3, number=12, image=False), people([]))])
    assert path.name == "walk.jsonl"
    header, *lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert (header["source"], header["skeleton"]) == ("walk", "POSETRACK15")
    assert header["joints"] == list(POSETRACK15.joints)
    assert ["left_knee", "left_ankle"] in header["limbs"]
    assert len(header["limbs"]) == len(POSETRACK15.limbs)
    assert [line["frame"] for line in lines] == [0, 1, 2, 3]
    assert [line["time"] for line in lines] == [0.0, 0.04, 0.08, 0.12]
    assert [len(line["people"]) for line in lines] == [2, 0, 1, 0]
    assert ["skipped" in line for line in lines] == [False, False, False, True]
    assert lines[3]["number"] == 12
    person = lines[0]["people"][1]
    assert (person["track_id"], person["score"], person["box"]) == (7, 0.75, [70, 20, 75, 40])
    assert person["joints"][14] == [84, 34]
    assert person["confidences"] == [0.5] * 15


def test_images_keep_their_file_names_in_every_format_that_has_names(tmp_path):
    frames = [(frame(0, file_name="anna.png"), people([1])), (frame(1, file_name="bob.jpg"), people([1, 2]))]
    content = json.loads(write(tmp_path, "posetrack", frames, sequence="friends").read_text())
    assert [i["file_name"] for i in content["images"]] == [
        "images/friends/anna.png",
        "images/friends/bob.jpg",
    ]
    lines = write(tmp_path, "jsonl", frames).read_text().splitlines()[1:]
    assert [json.loads(line)["file_name"] for line in lines] == ["anna.png", "bob.jpg"]
    results = json.loads(write(tmp_path, "coco", frames).read_text())
    assert [person["file_name"] for person in results] == ["anna.png", "bob.jpg", "bob.jpg"]
    frames[0] = (frame(0, file_name='anna, "7".png'), people([1]))
    with open(write(tmp_path, "csv", frames), newline="") as file:
        assert [row["file_name"] for row in csv.DictReader(file)] == ['anna, "7".png', "bob.jpg", "bob.jpg"]


def test_csv_has_a_line_a_person_and_frame(tmp_path):
    path = write(tmp_path, "csv", [*THREE, (frame(3, number=12), people([7]))])
    assert path.name == "walk.csv"
    with open(path, newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["frame"], row["number"], row["track_id"]) for row in rows] == [
        ("0", "0", "3"), ("0", "0", "7"), ("2", "2", "7"), ("3", "12", "7"),
    ]  # fmt: skip
    assert [float(row["time"]) for row in rows] == [0.0, 0.0, 0.08, 0.12]
    assert {row.pop("file_name") for row in rows} == {""}
    assert {row.pop("interpolated") for row in rows} == {"0"}
    row = {name: float(value) for name, value in rows[1].items()}
    assert [row[name] for name in ("score", "x1", "y1", "x2", "y2")] == [0.75, 70, 20, 75, 40]
    for k, joint in enumerate(POSETRACK15.joints):
        assert [row[f"{joint}_{value}"] for value in ("x", "y", "confidence")] == [70 + k, 20 + k, 0.5]
    assert len(row) == 9 + 3 * 15


def test_interpolated_people_are_marked_or_left_out(tmp_path):
    """The second of two; MOTChallenge's and OpenPose's formats have no place for a mark."""
    two = people([3, 7])
    frames = [(frame(0), TrackedPersons(two.detections, two.track_ids, np.array([False, True])))]
    marked = lambda records: [(person["track_id"], person.get("interpolated")) for person in records]  # noqa: E731
    _header, line = map(json.loads, write(tmp_path, "jsonl", frames).read_text().splitlines())
    assert marked(line["people"]) == [(3, None), (7, True)]
    content = json.loads(write(tmp_path, "posetrack", frames).read_text())
    assert marked(content["annotations"]) == [(3, None), (7, True)]
    assert marked(json.loads(write(tmp_path, "coco", frames).read_text())) == [(3, None), (7, True)]
    records = json.loads(write(tmp_path, "alphapose", frames).read_text())
    assert [(record["idx"], record.get("interpolated")) for record in records] == [(3, None), (7, True)]
    (file,) = write(tmp_path, "openpose", frames).iterdir()
    assert [person["person_id"] for person in json.loads(file.read_text())["people"]] == [[3]]
    rows = csv.DictReader(io.StringIO(write(tmp_path, "csv", frames).read_text()))
    assert [(row["track_id"], row["interpolated"]) for row in rows] == [("3", "0"), ("7", "1")]
    assert np.loadtxt(write(tmp_path, "mot", frames), delimiter=",", ndmin=2)[:, 1].tolist() == [3]


def test_motchallenge_rows_count_frames_from_one(tmp_path):
    path = write(tmp_path, "mot", THREE)
    rows = np.loadtxt(path, delimiter=",", ndmin=2)
    np.testing.assert_allclose(
        rows,
        [
            [1, 3, 30, 20, 5, 20, 0.75, -1, -1, -1],
            [1, 7, 70, 20, 5, 20, 0.75, -1, -1, -1],
            [3, 7, 70, 20, 5, 20, 0.75, -1, -1, -1],
        ],
    )


def test_motmetrics_reads_the_motchallenge_file(tmp_path):
    motmetrics = pytest.importorskip("motmetrics")
    table = motmetrics.io.loadtxt(str(write(tmp_path, "mot", THREE)), fmt="mot15-2D")
    assert list(table.index) == [(1, 3), (1, 7), (3, 7)]
    # motmetrics takes boxes to count pixels from 1, of ground truth and results alike
    assert table.loc[(1, 3), ["X", "Y", "Width", "Height"]].tolist() == [29, 19, 5, 20]


def coco_results(tmp_path, image_ids, skeleton=COCO17, sequence="walk", frames=None):
    frames = frames or [(frame(i, number=n), people([i + 1], skeleton)) for i, n in enumerate(image_ids)]
    path = write(tmp_path, "coco", frames, skeleton=skeleton, sequence=sequence)
    assert path.name == f"{sequence}.coco.json"
    return path


def test_pycocotools_reads_the_results_of_numbered_images(tmp_path):
    path = coco_results(tmp_path, [785, 40083])
    truth = COCO()
    truth.dataset = {"images": [{"id": 785}, {"id": 40083}], "annotations": [], "categories": [{"id": 1}]}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        results = truth.loadRes(str(path))
    (person,) = results.loadAnns(results.getAnnIds(imgIds=40083))
    assert person["bbox"] == [20, 20, 5, 20]
    assert person["keypoints"][:6] == [19.5, 19.5, 0.5, 20.5, 20.5, 0.5]  # pixel indices
    assert (person["score"], person["track_id"]) == (0.75, 2)


def test_coco_results_of_another_body_are_cocos_joints(tmp_path):
    (person,) = json.loads(coco_results(tmp_path, [5], MPII16).read_text())
    joints = np.reshape(person["keypoints"], (17, 3))
    assert (joints[:5] == 0).all()  # MPII has no face: no half pixel either
    wrist = MPII16.joints.index("right_wrist")
    np.testing.assert_allclose(joints[COCO17.joints.index("right_wrist")], [9.5 + wrist, 19.5 + wrist, 0.5])


def test_one_network_gives_cocos_and_posetracks_joints(tmp_path):
    """PERSON19's joint k is at (10 + k, 20 + k): each format gets its own joints, and none is made up."""
    frames = [(frame(5), people([1], PERSON19))]
    (person,) = json.loads(write(tmp_path, "coco", frames, skeleton=PERSON19).read_text())
    expected = [[9.5 + k, 19.5 + k, 0.5] for k in range(17)]
    np.testing.assert_allclose(np.reshape(person["keypoints"], (17, 3)), expected)

    content = json.loads(write(tmp_path, "posetrack", frames, skeleton=PERSON19).read_text())
    slots = content["categories"][0]["keypoints"]
    written = np.reshape(content["annotations"][0]["keypoints"], (17, 3))
    scores = content["annotations"][0]["scores"]
    for slot, joint, score in zip(slots, written, scores, strict=True):
        if slot in POSETRACK15.joints:
            k = PERSON19.joints.index(slot)
            assert (joint.tolist(), score) == ([10 + k, 20 + k, 1], 0.5)
        else:  # PoseTrack labels no ears
            assert (joint.tolist(), score) == ([0, 0, 0], 0)

    lines = write(tmp_path, "jsonl", frames, skeleton=PERSON19).read_text().splitlines()
    header, line = map(json.loads, lines)
    assert (header["skeleton"], len(line["people"][0]["joints"])) == ("PERSON19", 19)
    assert write(tmp_path, "mot", frames, skeleton=PERSON19).read_text().startswith("6,1,10.00,20.00")


def test_crowdpose_results_keep_crowdposes_joints(tmp_path):
    (person,) = json.loads(coco_results(tmp_path, [5], CROWDPOSE14).read_text())
    assert len(person["keypoints"]) == 14 * 3


def test_whole_bodies_results_are_in_their_benchmarks_fields(tmp_path):
    (person,) = json.loads(coco_results(tmp_path, [5], COCO_WHOLEBODY133).read_text())
    first = 0
    fields = (
        ("keypoints", 17),
        ("foot_kpts", 6),
        ("face_kpts", 68),
        ("lefthand_kpts", 21),
        ("righthand_kpts", 21),
    )
    for field, count in fields:
        x = np.reshape(person[field], (count, 3))[:, 0]
        assert x.tolist() == [9.5 + k for k in range(first, first + count)]
        first += count
    (person,) = json.loads(coco_results(tmp_path, [5], HALPE26, "feet").read_text())
    assert len(person["keypoints"]) == 26 * 3
    assert "foot_kpts" not in person


def test_alphaposes_results_have_every_joint_and_the_tracks_id(tmp_path):
    frames = [*THREE[:2], (frame(2), people([7]))]
    path = write(tmp_path, "alphapose", frames)
    assert path.name == "walk.alphapose.json"
    content = json.loads(path.read_text())
    assert [(person["image_id"], person["idx"]) for person in content] == [
        ("0.jpg", 3), ("0.jpg", 7), ("2.jpg", 7),
    ]  # fmt: skip
    assert all(type(person["idx"]) is int for person in content)
    person = content[1]
    joints = [[69.5 + k, 19.5 + k, 0.5] for k in range(15)]  # pixel indices
    np.testing.assert_allclose(np.reshape(person["keypoints"], (15, 3)), joints)
    assert (person["box"], person["category_id"]) == ([70, 20, 5, 20], 1)
    assert person["score"] == 0.5 + 0.75 + 1.25 * 0.5
    named = [(frame(0, file_name="anna.png"), people([1]))]
    friends = write(tmp_path, "alphapose", named, sequence="friends")
    assert json.loads(friends.read_text())[0]["image_id"] == "anna.png"


def test_pycocotools_reads_alphaposes_results_of_numbered_images(tmp_path):
    path = write(
        tmp_path, "alphapose", [(frame(0, file_name="785.jpg"), people([4], COCO17))], skeleton=COCO17
    )
    records = [
        {**r, "image_id": int(r["image_id"].removesuffix(".jpg"))} for r in json.loads(path.read_text())
    ]
    truth = COCO()
    truth.dataset = {"images": [{"id": 785}], "annotations": [], "categories": [{"id": 1}]}
    with contextlib.redirect_stdout(io.StringIO()):
        truth.createIndex()
        (person,) = truth.loadRes(records).loadAnns([1])
    assert person["keypoints"][:3] == [39.5, 19.5, 0.5]


@pytest.mark.parametrize("form", ["coco", "alphapose"])
def test_joints_that_are_left_out_stay_zero(tmp_path, form):
    who = people([1], COCO17)
    who.keypoints[0, 4] = 0
    (person,) = json.loads(write(tmp_path, form, [(frame(0), who)], skeleton=COCO17).read_text())
    assert person["keypoints"][12:15] == [0, 0, 0]
    assert person["keypoints"][9:12] == [12.5, 22.5, 0.5]


def test_no_people_at_all_is_a_valid_file(tmp_path):
    frames = [(frame(0), people([]))]
    assert json.loads(write(tmp_path, "coco", frames).read_text()) == []
    assert json.loads(write(tmp_path, "posetrack", frames).read_text())["annotations"] == []
    assert write(tmp_path, "mot", frames).read_text() == ""
    assert write(tmp_path, "csv", frames).read_text().count("\n") == 1
    assert json.loads(write(tmp_path, "posetrack", [], sequence="none").read_text())["images"] == []


def test_posetrack18_holds_images_then_people(tmp_path):
    path = write(tmp_path, "posetrack", THREE, sequence="000012_mpii_test")
    assert path.name == "000012_mpii_test.json"
    content = json.loads(path.read_text())
    images = content["images"]
    assert [image["id"] for image in images] == [10000120000, 10000120001, 10000120002]
    assert images[2]["file_name"] == "images/000012_mpii_test/000002.jpg"
    assert (images[0]["height"], images[0]["width"], images[0]["vid_id"]) == (48, 64, "000012")
    assert [(a["image_id"] - 10000120000, a["track_id"]) for a in content["annotations"]] == [
        (0, 3),
        (0, 7),
        (2, 7),
    ]
    assert len({a["id"] for a in content["annotations"]}) == 3
    first = content["annotations"][0]
    assert first["keypoints"][:3] == [30, 20, 1]
    assert first["keypoints"][9:15] == [0] * 6  # the ears, which PoseTrack does not label
    assert first["scores"][:5] == [0.5, 0.5, 0.5, 0, 0]
    assert content["categories"][0]["keypoints"][1] == "head_bottom"
    assert not list(tmp_path.glob("*.partial"))


@pytest.mark.parametrize(
    ("sequence", "index", "expected"),
    [
        ("003418_mpii_test", 7, 10034180007),
        ("000001_mpiinew_test", 0, 30000010000),
        ("000015_bonn_train", 12, 20000150012),
        ("street_walk", 7, 7),
        ("003418_mpii_test", 10_000, 10_000),
    ],
)
def test_image_ids_are_posevals_where_the_name_is_posetracks(sequence, index, expected):
    assert posetrack18_image_id(sequence, index) == expected


@pytest.mark.parametrize("form", FORMATS)
def test_an_incomplete_file_stays_plainly_partial(tmp_path, form):
    path = write(tmp_path, form, THREE, complete=False)
    assert not path.exists()
    assert path.with_name(path.name + ".partial").exists()
    assert all(file.name.endswith(".partial") for file in tmp_path.iterdir())


@pytest.mark.parametrize("form", [form for form in FORMATS if form != "openpose"])  # whose folder has its own
def test_an_earlier_result_stays_until_the_new_one_is_whole(tmp_path, form):
    earlier = tmp_path / f"walk{FORMATS[form][1]}"
    earlier.write_text("earlier")
    writer = open_writer(form, tmp_path, sequence="walk", skeleton=POSETRACK15)
    writer.write(*THREE[0])
    assert earlier.read_text() == "earlier"
    writer.close(True)
    assert earlier.read_text() != "earlier"


def test_results_are_on_disk_as_they_come(tmp_path):
    writer = open_writer("jsonl", tmp_path, sequence="walk", skeleton=POSETRACK15)
    writer.write(*THREE[0])
    header, line = map(json.loads, (tmp_path / "walk.jsonl.partial").read_text().splitlines())
    assert (header["source"], line["frame"]) == ("walk", 0)
    writer.close(True)
