"""AlphaPose's results as detections."""

import json

import numpy as np
import pytest

from fastpose_mtn.commands.retrack import main
from fastpose_mtn.skeletons import COCO17, HALPE26, POSETRACK15, SKELETONS
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.tracking.alphapose_file import read_alphapose
from fastpose_mtn.tracking.detections_file import SavedFrame, save
from fastpose_mtn.tracking.retrack import find_detections
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.writers import open_writer


def people(count, *, skeleton=COCO17, at=0.0, seed=0):
    rng = np.random.default_rng(seed)
    corner = np.column_stack((at + 90 * np.arange(count) + rng.random(count), 20 + rng.random(count)))
    boxes = np.concatenate((corner, corner + rng.uniform([40, 90], [60, 120], (count, 2))), axis=1)
    joints = corner[:, None] + rng.random((count, len(skeleton), 2)) * 60
    keypoints = np.dstack((joints, rng.uniform(0.3, 1, (count, len(skeleton)))))
    return PersonDetections(
        boxes.astype(np.float32),
        rng.uniform(0.7, 0.95, count).astype(np.float32),
        keypoints.astype(np.float32),
    )


def written(folder, frames, *, skeleton=COCO17, names=None):
    """The file that ``--formats alphapose`` writes of these frames' people."""
    writer = open_writer("alphapose", folder, sequence="walk", skeleton=skeleton)
    for index, found in enumerate(frames):
        tracked = TrackedPersons(found, np.arange(len(found)))
        name = None if names is None else names[index]
        image = np.zeros((240, 320, 3), np.uint8)
        writer.write(Frame(index, index, index / 25, 0.04, image, (240, 320), file_name=name), tracked)
    writer.close(True)
    return writer.path


def test_what_is_written_is_read_again(tmp_path):
    """To a thousandth of a pixel; of frames without people those before the last."""
    frames = [people(2), PersonDetections.empty(17), people(0), people(3, seed=1), people(0)]
    frames[3].keypoints[1, 4] = 0  # left out
    saved = read_alphapose(written(tmp_path, frames), frame_rate=25.0)
    assert (saved.source, saved.skeleton.name, saved.independent) == ("walk", "COCO17", False)
    assert [(f.number, f.time_s, f.file_name) for f in saved] == [(n, n / 25, None) for n in range(4)]
    for frame, found in zip(saved, frames[:4], strict=True):
        assert frame.detections.boxes == pytest.approx(found.boxes, abs=1e-3)
        assert frame.detections.keypoints[..., :2] == pytest.approx(found.keypoints[..., :2], abs=1e-3)
        assert frame.detections.keypoints[..., 2] == pytest.approx(found.keypoints[..., 2], abs=1e-3)
        assert frame.detections.scores == pytest.approx(found.scores, abs=2e-3)
    corners = [points for f in frames for points in (f.boxes[:, 2:], f.keypoints[..., :2].reshape(-1, 2))]
    right, bottom = np.concatenate(corners).max(axis=0)
    assert saved.frames[0].image_size_hw == (np.ceil(bottom), np.ceil(right))


def test_images_keep_their_names_and_come_in_their_order(tmp_path):
    """In a file that was sorted by score, time would go to and fro."""
    path = written(
        tmp_path, [people(1), people(2), people(0), people(3)], names=["f10.png", "f9.png", "x", "07.png"]
    )
    assert [(f.number, f.file_name, len(f.detections)) for f in read_alphapose(path)] == [
        (0, "07.png", 3),
        (1, "f9.png", 2),
        (2, "f10.png", 1),
    ]


@pytest.mark.parametrize("skeleton", SKELETONS.values(), ids=lambda s: s.name)
def test_joints_are_told_by_how_many_there_are(tmp_path, skeleton):
    assert (
        read_alphapose(written(tmp_path, [people(1, skeleton=skeleton)], skeleton=skeleton)).skeleton
        == skeleton
    )


def test_what_alphapose_itself_writes(tmp_path):
    """Ids that are lists, confidences above 1, a folder before a name, no box in early versions; other categories."""
    path = tmp_path / "alphapose-results.json"
    joints = np.tile([10.0, 20.0, 1.02], (26, 1))
    joints[0] = 40, 80, 0.5
    mean = (25 + 0.5) / 26
    person = {
        "image_id": "frames/0.jpg", "category_id": 1, "keypoints": joints.ravel().tolist(),
        "score": mean + 0.6 + 1.25, "box": [5, 6, 50, 100], "idx": [0.0],
    }  # fmt: skip
    early = {key: value for key, value in person.items() if key not in ("box", "idx")}
    path.write_text(json.dumps([person, {**early, "image_id": 2}, {**person, "category_id": 3}]))
    saved = read_alphapose(path)
    assert (saved.source, saved.skeleton, len(saved)) == ("alphapose-results", HALPE26, 3)
    first, _, last = (frame.detections for frame in saved)
    assert first.boxes.tolist() == [[5, 6, 55, 106]]
    assert first.scores == pytest.approx([0.6], abs=1e-5)
    assert first.keypoints[0, :2].tolist() == [[40.5, 80.5, 0.5], [10.5, 20.5, 1.0]]
    assert last.boxes.tolist() == [[10.5, 20.5, 40.5, 80.5]]


def test_who_was_interpolated_was_not_found(tmp_path):
    path = written(tmp_path, [people(2)])
    content = json.loads(path.read_text())
    content[0]["interpolated"] = True
    path.write_text(json.dumps(content))
    assert [len(frame.detections) for frame in read_alphapose(path)] == [1]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"image_id": None}, r"\[1\]\.image_id: expected a file's name, got null"),
        ({"keypoints": [1, 2, 3]}, r"\[1\]\.keypoints: expected a list of 51 numbers, got \[1, 2, 3\]"),
        ({"keypoints": [float("nan")] * 51}, r"\[1\]\.keypoints\[0\]: expected a finite number, got NaN"),
        ({"score": "high"}, r'\[1\]\.score: expected a number, got "high"'),
        ({"box": [1, 2]}, r"\[1\]\.box: expected a list of 4 numbers, got \[1, 2\]"),
        (
            {"box": [9, 9, -3, 4]},
            r"\[1\]\.box: expected \[x, y, width, height\], sizes of 0 or more, got \[9, 9, -3, 4\]",
        ),
    ],
)
def test_what_is_wrong_is_named(tmp_path, change, problem):
    path = written(tmp_path, [people(2)])
    content = json.loads(path.read_text())
    content[1].update(change)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=problem):
        read_alphapose(path)


def walk_across(box):
    """Somebody of 40x100 pixels with joints in two corners of the box, five times, as ``box`` writes it."""
    entries = []
    for x in (60, 80, 100, 120, 140):
        joints = np.tile([x + 2.0, 42.0, 0.9], (17, 1))
        joints[1::2, :2] = x + 38, 138
        entries.append(
            {"image_id": f"a{x}.png", "keypoints": joints.ravel().tolist(), "score": 2.5, "box": box(x)}
        )
    return entries


def test_boxes_in_another_order_are_refused(tmp_path):
    path = tmp_path / "walk.json"
    path.write_text(json.dumps(walk_across(lambda x: [x, 40, 40, 100])))
    assert read_alphapose(path).frames[0].detections.boxes.tolist() == [[60, 40, 100, 140]]
    for box, problem in (
        (lambda x: [x, 40, x + 40, 140], "got such as hold people's joints as x1, y1, x2, y2; subtract"),
        (lambda x: [x + 20, 90, 40, 100], "got the centre's x and y, width, height"),
    ):
        path.write_text(json.dumps(walk_across(box)))
        with pytest.raises(ValueError, match=problem) as told:
            read_alphapose(path)
        assert str(told.value).startswith(str(path))
    # in the upper left corner the two readings are nearly one, and nothing is said
    corner = [{**e, "box": [2, 1, 44, 103]} for e in walk_across(lambda x: [])]
    for entry in corner:
        entry["keypoints"] = (np.array([5, 3, 0.9] * 8 + [43, 101, 0.9] * 9)).tolist()
    path.write_text(json.dumps(corner))
    assert len(read_alphapose(path)) == 5


def test_results_that_were_tracked_are_told_from_detections(tmp_path):
    path = tmp_path / "walk.json"
    path.write_text('{"images": [], "annotations": [], "categories": []}')
    with pytest.raises(
        ValueError, match=r"walk\.json: expected what was found before tracking, got labels or results"
    ):
        read_alphapose(path)


def test_what_are_no_results_of_alphapose(tmp_path):
    path = tmp_path / "x.json"
    for content, problem in (
        ([], "nobody is in it"),
        (
            [{"image_id": 1, "bbox": [1, 2, 3, 4], "keypoints": [0] * 51}],
            r"\[0\]: expected a person as AlphaPose writes",
        ),
        ({"images": []}, "expected a list, got an object"),
        (
            [{"image_id": "0.jpg", "keypoints": [0] * 60}],
            r"x, y and confidence of 14 \(CROWDPOSE14\), 15 .*, got a list of 60",
        ),
    ):
        path.write_text(json.dumps(content))
        with pytest.raises(ValueError, match=problem):
            read_alphapose(path)
    with pytest.raises(ValueError, match="no such file"):
        read_alphapose(tmp_path / "none.json")


def test_people_are_tracked_anew_as_saved_detections_are(tmp_path, capsys):
    walk = [people(2, at=4.0 * n, skeleton=POSETRACK15) for n in range(8)]
    folders = [tmp_path / name for name in ("npz", "json", "from_npz", "from_json")]
    for folder in folders[:2]:
        folder.mkdir()
    frames = [SavedFrame(n, n / 20, (240, 320), found) for n, found in enumerate(walk)]
    save(folders[0] / "walk.detections.npz", frames, source="walk", skeleton=POSETRACK15)
    path = written(folders[1], walk, skeleton=POSETRACK15)
    assert find_detections(folders[1]) == [path]
    for detections, output in zip(folders[:2], folders[2:], strict=True):
        main(["--detections", str(detections), "--output", str(output), "--formats", "jsonl,posetrack",
              "VIDEO.FOLDER_FRAME_RATE", "20"])  # fmt: skip
    lines = [
        [json.loads(line) for line in (f / "walk.jsonl").read_text().splitlines()[1:]] for f in folders[2:]
    ]
    for one, other in zip(*lines, strict=True):
        assert one["time"] == other["time"]
        assert [p["track_id"] for p in one["people"]] == [p["track_id"] for p in other["people"]] == [0, 1]
    assert "walk.jsonl: 8 frames, 16 boxes, 2 tracks" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(
            [
                "--detections",
                str(path),
                "--output",
                str(tmp_path),
                "--images",
                str(tmp_path),
                "TRACKER.NAME",
                "flow",
            ]
        )
    assert "AlphaPose's results do not say how large frames are" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda e: e.update(category_id=2), "none of its 2 entries is a person who was found: expected category_id 1, got 2"),
        (
            lambda e: e.update(box=[v / 1000 for v in e["box"]]),
            r"box: expected pixels, got numbers of at most 0\.\d+ throughout",
        ),
        (
            lambda e: e.update(keypoints=[v if i % 3 == 2 else v / 1000 for i, v in enumerate(e["keypoints"])]),
            "keypoints: expected pixels, got numbers of at most 0",
        ),
    ],
)  # fmt: skip
def test_a_file_of_nobody_or_of_shares_is_refused(tmp_path, change, problem):
    path = written(tmp_path, [people(2)])
    content = json.loads(path.read_text())
    for entry in content:
        change(entry)
    path.write_text(json.dumps(content))
    with pytest.raises(ValueError, match=problem):
        read_alphapose(path)


def test_two_videos_in_a_file_are_refused(tmp_path):
    """Their first frames have one name, and their people would be in one frame."""
    path = written(tmp_path, [people(2)])
    content = json.loads(path.read_text())
    for entry, folder in zip(content, ("a", "b"), strict=True):
        entry["image_id"] = f"{folder}/0.jpg"
    path.write_text(json.dumps(content))
    with pytest.raises(
        ValueError,
        match=r"\[1\]\.image_id: expected 0\.jpg of one folder, 'a' \(a file for each video\), got",
    ):
        read_alphapose(path)
