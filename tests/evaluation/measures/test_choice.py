"""What is measured on a dataset, and that it is what the evaluation of files gives."""

import functools
import json
import logging
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pytest

from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.data.coco.wholebody import PART_FIELDS
from fastpose_mtn.data.synthetic import write_dataset
from fastpose_mtn.data.transforms.joints import convert_people
from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.coco.wholebody import evaluate_wholebody_files
from fastpose_mtn.evaluation.measures.choice import PoseMeasure, dataset_measures
from fastpose_mtn.evaluation.measures.measure import EvaluatedImage
from fastpose_mtn.evaluation.measures.search import SearchMeasure
from fastpose_mtn.evaluation.measures.tracking import TrackingMeasure
from fastpose_mtn.evaluation.posetrack.evaluation import evaluate_posetrack
from fastpose_mtn.skeletons import COCO17, COCO_WHOLEBODY133, HALPE136, PERSON19, POSETRACK15
from fastpose_mtn.structures import PersonDetections, PersonTargets
from fastpose_mtn.tracking.flow import FlowTracker
from fastpose_mtn.tracking.occlusion_aware import OcclusionAwareTracker
from fastpose_mtn.tracking.parameters import TrackerParameters

DRAWN = "synthetic://drawn?seeds=5&frames=6&size=160x120&people=3&occlusion=0.4"


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The scene of DRAWN as files."""
    spec = build_dataset(DRAWN, training=False).spec
    folder = tmp_path_factory.mktemp("written")
    write_dataset(folder, 1, spec.frames, 5, config=spec.scene(5))
    return folder


def files(folder, annotations="annotations", **options):
    name = f"json://{folder / annotations}?images={folder}&format=posetrack"
    return build_dataset(name, training=False, **options)


def imperfect(dataset):
    """Each image, and people a little beside the labelled ones, some of them missed."""
    for index in range(len(dataset)):
        image = convert_people(dataset[index], dataset.skeleton, POSETRACK15)
        rng = np.random.default_rng(index)
        targets = image.targets[~image.targets.ignore]
        joints = targets.keypoints + rng.normal(0, 1.0, targets.keypoints.shape).astype(np.float32)
        joints[..., 2] = rng.uniform(0.1, 1.0, joints.shape[:2])
        found = PersonDetections(targets.boxes, np.ones(len(targets), np.float32), joints)
        seen = EvaluatedImage(
            index, image.image_id, image.image.shape[:2], image.targets, posetrack=image.posetrack
        )
        yield seen, found[rng.random(len(found)) > 0.2]


def tracked(dataset, people, **options):
    measure = TrackingMeasure(dataset, POSETRACK15, OcclusionAwareTracker, **options)
    return measure.evaluate([measure.entry(image, found) for image, found in people])


def test_drawn_scenes_their_files_and_the_evaluation_of_files_agree(written, tmp_path):
    drawn = build_dataset(DRAWN, training=False)
    people = list(imperfect(drawn))
    metrics = tracked(drawn, people)
    assert 0.2 < metrics["posetrack/AP"] < 1.0
    assert tracked(files(written), people, output=tmp_path / "results") == metrics
    expected = evaluate_posetrack(written / "annotations", tmp_path / "results").metrics.to_json()
    for ours, theirs in (("AP", "ap"), ("MOTA", "mota"), ("MOTP", "motp")):
        assert metrics[f"posetrack/{ours}"] == pytest.approx(expected[theirs]["total"] / 100)
    for ours, theirs in (("IDF1", "idf1"), ("HOTA", "hota"), ("DetA", "deta"), ("AssA", "assa")):
        assert metrics[f"posetrack/{ours}"] == pytest.approx(expected[theirs] / 100)
    for name in ("num_switches", "num_fragmentations", "num_misses", "num_false_positives"):
        assert metrics[f"posetrack/{name}"] == expected[name]
    assert expected["num_misses"] > 0
    with pytest.raises(ValueError, match=r"got none of image 5 \(sequence 000005_mpii_test\)"):
        tracked(drawn, people[:-1])


def test_a_network_of_all_joints_gets_each_benchmarks_numbers(written, tmp_path):
    """PERSON19's people are measured as the people of a network of the labels' joints would be."""
    rng, person = np.random.default_rng(0), {"category_id": 1, "iscrowd": 0}
    joints = rng.uniform(20, 90, (4, 17, 3))
    joints[..., 2] = 2
    content = {
        "images": [{"id": 1, "file_name": "1.png", "width": 100, "height": 100}],
        "categories": [{"id": 1, "name": "person", "keypoints": list(COCO17.joints)}],
        "annotations": [
            {**person, "id": i + 1, "image_id": 1, "bbox": [10, 10, 80, 80], "area": 900.0, "keypoints": k}
            for i, k in enumerate((joints - [0.5, 0.5, 0]).reshape(4, -1).tolist())
        ],
    }
    (tmp_path / "labels.json").write_text(json.dumps(content))
    cv2.imwrite(str(tmp_path / "1.png"), np.zeros((100, 100, 3), np.uint8))
    name = f"json://{tmp_path}/labels.json?images={tmp_path}"
    found = joints + rng.normal(0, 2.0, joints.shape)
    found[..., 2] = 0.5
    metrics = []
    for skeleton in (COCO17, PERSON19):
        dataset = build_dataset(name, training=False)
        keypoints = COCO17.convert(found, skeleton).astype(np.float32)
        keypoints[:, 17:] = 1e4, 1e4, 1.0  # a head far away says nothing about COCO's joints
        people = PersonDetections(
            np.full((4, 4), [10, 10, 90, 90], np.float32), np.ones(4, np.float32), keypoints
        )
        measure = PoseMeasure(dataset, skeleton)
        seen = EvaluatedImage(0, 1, (100, 100), dataset.targets(0))
        metrics.append(measure.evaluate([measure.entry(seen, people)]))
    assert metrics[0] == pytest.approx(metrics[1], nan_ok=True)
    assert 0.2 < metrics[0]["keypoint/AP"] < 1

    people = list(imperfect(files(written)))
    more = [(seen, replace(p, keypoints=POSETRACK15.convert(p.keypoints, PERSON19))) for seen, p in people]
    measure, expected = (
        TrackingMeasure(
            files(written),
            skeleton,
            functools.partial(OcclusionAwareTracker, TrackerParameters(strategy="iou"), skeleton=skeleton),
        )
        for skeleton in (PERSON19, POSETRACK15)
    )
    assert measure.evaluate([measure.entry(*pair) for pair in more]) == expected.evaluate(
        [expected.entry(*pair) for pair in people]
    )


class Clock:
    """Notes when it is called."""

    def __init__(self):
        self.times = []
        clocks.append(self)

    def update(self, detections, time_s, frame=None):
        self.times.append(time_s)
        return OcclusionAwareTracker().update(detections, time_s)

    def reset(self):
        raise AssertionError


clocks: list[Clock] = []


@pytest.mark.parametrize(
    ("name", "expected"),
    [("seeds=5-6&frames=5&stride=2", [[0, 2, 4], [0, 2, 4]]), ("seeds=5&frames=2", [[0, 1]])],
)
def test_frames_with_a_stride_are_further_apart(name, expected):
    dataset = build_dataset(f"synthetic://a?size=96x64&people=1&{name}", training=False)
    clocks.clear()
    measure = TrackingMeasure(dataset, POSETRACK15, Clock)
    measure.evaluate([measure.entry(*pair) for pair in imperfect(dataset)])
    for clock, frames in zip(clocks, expected, strict=True):
        np.testing.assert_allclose(clock.times, np.array(frames) / 30)


def test_frames_without_labels_are_not_looked_at_and_take_time(written, tmp_path):
    content = json.loads(next((written / "annotations").iterdir()).read_text())
    gone = content["images"][1]
    gone["is_labeled"] = False
    content["annotations"] = [p for p in content["annotations"] if p["image_id"] != gone["id"]]
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "000005_mpii_test.json").write_text(json.dumps(content))
    shutil.copytree(written / "images", tmp_path / "images")
    dataset = files(tmp_path, "a")
    assert len(dataset) == 5
    clocks.clear()
    measure = TrackingMeasure(dataset, POSETRACK15, Clock, frame_rate=10.0)
    measure.evaluate([measure.entry(*pair) for pair in imperfect(dataset)])
    np.testing.assert_allclose(clocks[0].times, [0, 0.2, 0.3, 0.4, 0.5])


def test_the_flow_tracker_sees_the_frames_again():
    """Entries hold no pixels: whoever it is, drawn images are drawn again; what it sees is what it would in a video."""
    dataset = build_dataset("synthetic://a?size=160x96&people=2&seeds=5&frames=3", training=False)
    people = list(imperfect(dataset))
    tracker, seen = FlowTracker(), []
    watched = tracker.update
    tracker.update = lambda found, time_s, frame: seen.append(frame) or watched(found, time_s, frame)
    measure = TrackingMeasure(dataset, POSETRACK15, lambda: tracker)
    metrics = measure.evaluate([measure.entry(*pair) for pair in people])
    assert [np.array_equal(frame, dataset[i].image) for i, frame in enumerate(seen)] == [True] * 3
    assert metrics["posetrack/AP"] > 0

    tracker.update = watched
    measure._dataset = build_dataset("synthetic://a?size=128x96&people=2&seeds=5&frames=3", training=False)
    tracker.reset()
    tracker.update(people[0][1], 0.0, dataset[0].image)
    with pytest.raises(
        InputError, match=r"sequence 000005_mpii_test: frame 0: frame: 128x96 pixels, but 160x96"
    ):
        measure.evaluate([measure.entry(*pair) for pair in people])


def kinds(dataset, describes=True):
    measures = dataset_measures(dataset, POSETRACK15, new_tracker=OcclusionAwareTracker, describes=describes)
    return [type(measure).__name__ for measure in measures]


def test_the_dataset_says_what_applies(written):
    drawn = "synthetic://a?seeds=1&frames=2&size=96x64&people=1"
    assert kinds(build_dataset(drawn, training=False)) == [
        "PoseMeasure", "TrackingMeasure", "SearchMeasure",
    ]  # fmt: skip
    boxes = build_dataset(f"{drawn}&tasks=boxes", training=False)
    assert kinds(boxes) == ["PoseMeasure"]
    assert kinds(files(written), describes=False) == ["PoseMeasure", "TrackingMeasure"]
    photographs = f"json://{written / 'annotations'}?images={written}"
    assert kinds(build_dataset(photographs, training=False)) == ["PoseMeasure", "SearchMeasure"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda content: [p.pop("bbox_head") for p in content["annotations"]],
            "bbox_head .*expected a head box",
        ),
        (
            lambda content: [p.pop("track_id") for p in content["annotations"]],
            "track_id: expected the person's id",
        ),
        (
            lambda content: content["images"][3].update(file_name="images/other/000000.jpg"),
            "expected one sequence a file, got images of several folders",
        ),
    ],
    ids=["head", "track", "merged"],
)
def test_labels_that_cannot_be_compared_are_told_before_the_network_runs(
    change, message, written, tmp_path, caplog
):
    content = json.loads(next((written / "annotations").iterdir()).read_text())
    change(content)
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "000005_mpii_test.json").write_text(json.dumps(content))
    shutil.copytree(written / "images", tmp_path / "images")
    (tmp_path / "images" / "other").mkdir()
    shutil.copy(next(tmp_path.glob("images/*/000000.jpg")), tmp_path / "images" / "other")
    dataset = files(tmp_path, "a")
    with pytest.raises(ValueError, match=message):
        TrackingMeasure(dataset, POSETRACK15, OcclusionAwareTracker)
    with caplog.at_level(logging.WARNING, "fastpose_mtn"):
        assert "TrackingMeasure" not in kinds(dataset)
    assert "not evaluated by PoseTrack: " in caplog.text


def test_only_the_first_image_of_a_person_is_described():
    boxes = np.float32([[0, 0, 10, 20], [20, 0, 30, 20], [40, 0, 50, 20]])  # the third is ignored
    asked = []

    def image(index, identities):
        def describe(given):
            asked.append((index, given[:, 0].tolist()))
            return vectors[(given[:, 0] / 20).astype(int)]

        targets = PersonTargets(
            boxes, np.zeros((3, 15, 3), np.float32), np.array(identities), np.array([False, False, True])
        )
        seen = EvaluatedImage(index, index, (64, 64), targets, describe=describe)
        vectors = np.eye(8, dtype=np.float32)[identities]
        found = PersonDetections(
            boxes, np.float32([0.9, 0.9, 0.3]), np.zeros((3, 15, 3), np.float32), vectors
        )
        return seen, found

    measure = SearchMeasure(build_dataset(DRAWN, training=False))
    pairs = [image(0, [4, -1, 5]), image(1, [4, 6, -1]), image(2, [-1, 6, 5])]
    entries = [measure.entry(*pair) for pair in pairs]
    assert asked == [(0, [0.0]), (1, [20.0])]
    metrics = measure.evaluate(entries)
    assert metrics["search/mAP"] == metrics["search/top1"] == 1.0
    assert all(len(found) == 2 for _, _, found, _ in entries)  # the weak one is no part of a gallery
    assert measure.evaluate(entries[:1]) == {}  # nobody is seen twice
    measure.reset()
    measure.entry(*pairs[0])
    assert asked[-1] == (0, [0.0])
    with pytest.raises(ValueError, match="identity vectors: MODEL.REID_ON True"):
        measure.entry(replace(pairs[0][0], describe=None), pairs[0][1])


def test_whole_bodies_are_measured_by_part(tmp_path):
    """With more joints than the labels' too: the same as for a file of results."""
    rng = np.random.default_rng(0)
    joints = np.column_stack([rng.uniform(20, 80, (133, 2)), np.full(133, 2)])
    label = {"id": 1, "image_id": 7, "category_id": 1, "iscrowd": 0, "bbox": [10, 10, 80, 80], "area": 6000}
    first = 0
    for field, count in (("keypoints", 17), *PART_FIELDS):
        label[field] = joints[first : first + count].ravel().tolist()
        first += count
    content = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 100, "height": 100}],
        "annotations": [label],
    }
    path = tmp_path / "labels.json"
    path.write_text(json.dumps({**content, "categories": [{"id": 1, "name": "person"}]}))
    cv2.imwrite(str(tmp_path / "a.jpg"), np.zeros((100, 100, 3), np.uint8))
    dataset = build_dataset(f"json://{path}?images={tmp_path}&format=wholebody", training=False)

    moved = (
        joints + np.array([0.5, 0.5, 0]) + np.column_stack([rng.normal(0, 1.5, (133, 2)), np.full(133, -1.2)])
    )
    keypoints = COCO_WHOLEBODY133.convert(moved[None].astype(np.float32), HALPE136)
    box, score = np.float32([[10, 10, 90, 90]]), np.float32([0.9])
    found = PersonDetections(box, score, keypoints)
    measure = PoseMeasure(dataset, HALPE136)
    seen = EvaluatedImage(0, 7, (100, 100), dataset.targets(0))
    figures = measure.evaluate([measure.entry(seen, found)])
    flat = (moved - np.array([0.5, 0.5, 0])).astype(np.float32).ravel().tolist()
    result = {"image_id": 7, "category_id": 1, "bbox": [10, 10, 80, 80], "keypoints": flat, "score": 0.9}
    expected = evaluate_wholebody_files(path, [result])
    assert {name: figures[name] for name in expected} == pytest.approx(expected, nan_ok=True)
    assert 0 < figures["wholebody/AP"] < figures["body/AP"]
    assert figures["keypoint/AP"] == figures["wholebody/AP"]
