import json

import cv2
import numpy as np
import pytest
from crop_folders import write_crops

from fastpose_mtn.commands.check import main
from fastpose_mtn.data.check import check_dataset
from fastpose_mtn.data.posetrack.sequence import POSETRACK18_SLOTS
from fastpose_mtn.evaluation.measures.tracking import check_comparable
from fastpose_mtn.skeletons import POSETRACK15

JOINTS = ["left_wrist", "right_wrist", "nose", "left_ear"]
NAN = float("nan")


def person(number, image_id=1, **changes):
    return {
        "id": number, "image_id": image_id, "category_id": 1, "bbox": [10, 20, 30, 40],
        "keypoints": [12, 22, 2, 14, 24, 1, 16, 26, 2, 0, 0, 0], **changes,
    }  # fmt: skip


def write(folder, people, images=None, joints=JOINTS, name="labels.json"):
    images = images or [{"id": i, "file_name": f"{i}.jpg", "width": 100, "height": 80} for i in (1, 2, 3, 4)]
    category = {"id": 1, "name": "person", "keypoints": joints}
    (folder / name).write_text(
        json.dumps({"images": images, "annotations": people, "categories": [category]})
    )
    noise = np.random.default_rng(0).integers(0, 255, (80, 100, 3), np.uint8)
    for number in (1, 2, 3, 4):
        cv2.imwrite(str(folder / f"{number}.jpg"), noise)
    return f"json://{folder}/{name}?images={folder}"


def found(name, **options):
    """{(severity, kind): (count, places)} of a check."""
    report = check_dataset(name, POSETRACK15, **options)
    return report, {(p.severity, p.kind): (p.count, p.places) for p in report.problems}


def test_a_dataset_in_order(tmp_path):
    report, problems = found(write(tmp_path, [person(1), person(2, 2)], joints=[*JOINTS[:3], "right_ear"]))
    assert report.errors == 0
    assert problems == {
        ("kept", "joints that POSETRACK15 lacks, which train nothing"): (
            1,
            [f"{tmp_path}/labels.json: right_ear"],
        ),
        ("kept", "joints without a counterpart on the other side"): (
            1,
            [f"{tmp_path}/labels.json: right_ear"],
        ),
    }
    assert report.summary == (
        "4 images (2 of them empty: not trained on), 2 people, 0 ignored boxes, 6 joints, 0 identities; "
        "trains boxes, keypoints"
    )
    clean = check_dataset(
        write(tmp_path, [person(1, keypoints=[12, 22, 2] * 3)], joints=JOINTS[:3]), POSETRACK15
    )
    assert str(clean).endswith("\n  nothing is wrong")


def test_every_record_is_looked_at(tmp_path):
    """One of each kind in one file; training would stop at the first error, the check names them all."""
    people = [
        person(1),
        person(1, 2),
        person(3, bbox=[10, 10, 0, 5], keypoints=[0] * 12),
        person(4, bbox=[200, 10, 5, 5], keypoints=[0] * 12),
        person(5, bbox=[NAN, 10, 5, 5], keypoints=[0] * 12),
        person(6, bbox=[90, 10, 50, 5]),
        person(7, 77),
        person(8, keypoints=[1, 2, 3]),
        person(9, bbox=None),
        person(10, bbox=None, keypoints=[0] * 12),
        person(11, keypoints=[12, 300, 2] + [0] * 9),
        person(12, keypoints=[1, 2, 5] * 4),
        7,
    ]
    images = [
        {"id": 1, "file_name": "1.jpg", "width": 100, "height": 80},
        {"id": 1, "file_name": "2.jpg"},
        {"id": 2, "file_name": "2.jpg", "width": "wide", "height": 80},
        {"id": 3},
        {"file_name": "3.jpg"},
        {"id": 2, "file_name": "2.jpg", "width": 100, "height": 80},
    ]
    report, problems = found(write(tmp_path, people, images))
    labels = f"{tmp_path}/labels.json"
    assert problems["left out", "annotations whose image_id no image has"] == (
        1, [f"{labels}: annotations[6] (id 7), got 77"],
    )  # fmt: skip
    assert problems["error", "an id that appears twice"] == (
        1, [f"{labels}: images[1] (id 1), got 1; number images each by its own"],
    )  # fmt: skip
    assert problems["error", "expected width and height in pixels"] == (
        1, [f'{labels}: images[2] (id 2), got "wide" and 80'],
    )  # fmt: skip
    assert problems["error", "file_name: expected the image's name"] == (
        1, [f"{labels}: images[3] (id 3), got null"],
    )  # fmt: skip
    assert problems["error", "id: expected a whole number or text"] == (1, [f"{labels}: images[4], got null"])
    assert problems["error", "expected an object"] == (1, [f"{labels}: annotations[12], got 7"])
    assert problems["error", "keypoints: expected v of 0, 1 or 2"] == (
        1,
        [f"{labels}: annotations[11] (id 12), got 5"],
    )
    wrong_length = "keypoints: expected 12 numbers, x, y, v for each of the 4 joints of the category"
    assert problems["error", wrong_length] == (1, [f"{labels}: annotations[7] (id 8), got 3"])
    assert problems["left out", "annotations with a box without area"] == (
        1,
        [f"{labels}: annotations[2] (id 3)"],
    )
    assert problems["left out", "annotations with a box outside the image"][0] == 1
    assert problems["left out", "annotations with a box that is not finite"][0] == 1
    assert problems["left out", "annotations with neither a box nor a labelled joint"][0] == 1
    assert problems["repaired", "annotations with an id that appears twice, which are numbered anew"] == (
        1,
        [f"{labels}: annotations[1] (id 1)"],
    )
    assert problems["kept", "annotations with a box that reaches over the image's border, cut to it"][0] == 1
    assert problems["repaired", "annotations with joints but no box, which is drawn around them"][0] == 1
    assert problems["kept", "annotations with joints outside the image, which train nothing"][0] == 1
    assert report.errors == 7


def test_images(tmp_path):
    name = write(tmp_path, [person(1)])
    (tmp_path / "1.jpg").unlink()
    (tmp_path / "2.jpg").write_bytes(b"not an image")
    whole = (tmp_path / "3.jpg").read_bytes()
    (tmp_path / "3.jpg").write_bytes(whole[: len(whole) // 2])
    cv2.imwrite(str(tmp_path / "4.jpg"), np.zeros((50, 60, 3), np.uint8))
    for workers in (0, 1):
        report, problems = found(name, workers=workers)
        assert report.errors == 4
        assert problems["error", "images that are missing"] == (1, [f"{tmp_path}/1.jpg (image id 1)"])
        assert problems["error", "expected an image"] == (
            1, [f"{tmp_path}/2.jpg (image id 2), got 12 bytes that cannot be decoded; convert it to JPEG or PNG"],
        )  # fmt: skip
        assert problems["error", "expected a whole image"][1][0].startswith(
            f"{tmp_path}/3.jpg (image id 3), got one that is cut short at "
        )
        assert problems["error", "images of another size than their labels say"] == (
            1, [f"{tmp_path}/4.jpg (image id 4), got 60x50 instead of 100x80"],
        )  # fmt: skip
    assert found(name, decode=False)[0].errors == 1


def test_datasets_that_are_none(tmp_path):
    _, problems = found(f"json://{tmp_path}/absent.json?images=b")
    assert ("error", f"annotations not found: {tmp_path}/absent.json") in problems
    name = write(tmp_path, [], [])
    (tmp_path / "labels.json").write_text('{"images": [], "annotations": []}')
    assert ("error", f"no labelled image in {tmp_path}/labels.json") in found(name)[1]
    (tmp_path / "labels.json").write_text('{"images": [')
    assert any(kind.startswith("expected JSON") for _, kind in found(name)[1])
    assert check_dataset("synthetic://a?seeds=1", POSETRACK15).errors == 0
    with pytest.raises(ValueError, match="unknown dataset 'nonesuch'"):
        check_dataset("nonesuch", POSETRACK15)


def test_folders_of_crops(tmp_path):
    folder = write_crops(tmp_path / "people", [2, 1, 0])
    (folder / "0000" / "notes.txt").write_text("")
    path = folder / "0001" / "torn.jpg"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (64, 32, 3), np.uint8))
    path.write_bytes(path.read_bytes()[:-100])
    places = tmp_path / "places"
    places.mkdir()
    (places / "a.jpg").write_bytes(b"none")
    name = f"crops://{folder}?backgrounds={places}&people=3"
    report, problems = found(name)
    assert (
        report.summary == "2 collages of 4 crops, 2 identities, 2 cameras, 1 backgrounds; trains identities"
    )
    assert report.errors == 2
    assert problems["error", "expected a whole image"][1][0].startswith(
        f"{path}, got one that is cut short at "
    )
    assert problems["error", "expected an image"] == (
        1,
        [f"{places}/a.jpg, got 4 bytes that cannot be decoded; convert it to JPEG or PNG"],
    )
    assert problems["left out", "files that are no images"] == (1, [f"{folder}/0000/notes.txt"])
    assert problems["left out", "people without a picture"] == (1, [f"{folder}/0002"])
    assert found(name, decode=False)[0].errors == 0
    report, problems = found(f"crops://{tmp_path}/absent")
    assert report.errors == 1
    assert ("error", "no such folder") in problems
    assert "cannot be read" in str(report)


def test_joints_of_another_kind(tmp_path):
    _, problems = found(write(tmp_path, [person(1)], joints=["l_hand", "r_hand", "face", "back"]))
    text = f"{tmp_path}/labels.json: l_hand, r_hand, face, back"
    kind = "datasets none of whose joints is one of POSETRACK15's: their joints train nothing"
    assert problems["left out", kind] == (1, [text])
    kind = "skeletons without flip pairs: no joint is called left_... or right_..."
    assert problems["kept", kind] == (1, [text])


def test_sequences_that_cannot_be_compared_are_told(tmp_path):
    slots = list(POSETRACK18_SLOTS)
    people = [person(1, keypoints=[20, 30, 1] * len(slots), track_id=1, bbox_head=[10, 20, 5, 5])]
    name = write(tmp_path, people, joints=slots) + "&format=posetrack"
    kind = ("kept", "datasets that PoseTrack's evaluation cannot compare with")
    assert kind not in found(name, comparable=check_comparable)[1]
    del people[0]["bbox_head"]
    write(tmp_path, people, joints=slots)
    report, problems = found(name, comparable=check_comparable)
    assert report.errors == 0
    assert "bbox_head" in problems[kind][1][0]


def test_only_so_many_places_are_named(tmp_path):
    report, _ = found(write(tmp_path, [person(i, 77) for i in range(5)]), places=2)
    assert "  left out: 5 annotations whose image_id no image has\n" in str(report)
    assert "but none of its 5 annotations can be used" in str(report)
    assert "    ... and 3 more" in str(report)


def test_the_command(tmp_path, capsys):
    good = write(tmp_path, [person(1)], name="good.json")
    bad = write(tmp_path, [person(1, 77)], name="bad.json")
    main([good, "--quiet", "--workers", "0"])
    config = tmp_path / "c.yaml"
    config.write_text(f"DATASETS:\n  TRAIN: ['{good}']\n  TEST: ['{bad}']\n")
    with pytest.raises(SystemExit) as stop:
        main(["--config-file", str(config), "--quiet", "--workers", "0", "--no-images"])
    assert stop.value.code == 1
    printed = capsys.readouterr().out
    assert printed.count("good.json") >= 2
    assert "left out: 1 annotations whose image_id no image has" in printed
    with pytest.raises(SystemExit) as stop:
        main([])
    assert stop.value.code == 2
    assert "error: expected the names of datasets" in capsys.readouterr().err


def test_real_files(real_data):
    report = check_dataset(f"json://{real_data}/coco/test_coco.json?images={real_data}/coco", POSETRACK15)
    assert report.errors == 0
    assert report.summary.startswith("4 images, 14 people")
