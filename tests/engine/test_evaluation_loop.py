import json
import math
import pickle
import threading
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from crop_folders import write_crops
from torch import nn

from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.engine import evaluation
from fastpose_mtn.engine.evaluation import (
    evaluate_all,
    evaluate_dataset,
    evaluate_model,
    evaluation_batch_size,
    metrics_table,
    write_metrics,
)
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections

TINY = "synthetic://tiny?seeds=1-2&frames=8&size=160x120&people=2-3&stride=2"


class Oracle:
    """Finds and describes the labelled people of a dataset whose images come in order from ``first`` on.

    A stranger (``PersonDetections`` without embeddings) where ``embedding_dim`` is None.
    """

    skeleton = POSETRACK15

    def __init__(self, dataset, shift=0.0, first=0, embedding_dim=16):
        self._targets = (dataset[i].targets for i in range(first, len(dataset)))
        self._shift, self.embedding_dim, self.described = shift, embedding_dim, 0

    def estimate(self, frames, min_score=0.0):
        found = []
        for _, t in zip(frames, self._targets, strict=False):
            t = t[~t.ignore]
            joints = t.keypoints.copy()
            joints[..., 0] += self._shift
            joints[..., 2] = 0.5
            vectors = None if self.embedding_dim is None else self._vectors(t.identities)
            boxes = t.boxes + np.float32(self._shift)
            found.append(PersonDetections(boxes, np.ones(len(t), np.float32), joints, vectors))
            self._by_box = {} if len(found) == 1 else self._by_box
            self._by_box |= {box.tobytes(): i for box, i in zip(t.boxes, t.identities, strict=True)}
        return found

    def describe(self, frame, boxes_xyxy):
        self.described += 1
        return self._vectors([self._by_box[box.tobytes()] for box in boxes_xyxy])

    def _vectors(self, identities):
        return np.eye(self.embedding_dim, dtype=np.float32)[list(identities)]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_perfect_network_on_drawn_images(workers):
    dataset = build_dataset(TINY, training=False)
    metrics = evaluate_dataset(Oracle(dataset), dataset, batch_size=3, num_workers=workers)
    assert metrics["box/AP"] == pytest.approx(1.0)
    assert metrics["keypoint/AP"] == pytest.approx(1.0)
    for name in ("AP", "MOTA", "IDF1", "HOTA"):
        assert metrics[f"posetrack/{name}"] == pytest.approx(1.0)
    assert metrics["posetrack/num_switches"] == metrics["posetrack/num_misses"] == 0
    assert metrics["search/mAP"] == metrics["search/top1"] == pytest.approx(1.0)


def test_a_network_that_is_off():
    dataset = build_dataset(TINY, training=False)
    oracle = Oracle(dataset, shift=30.0, embedding_dim=None)
    shifted = evaluate_dataset(oracle, dataset, batch_size=3, num_workers=0)
    assert shifted["keypoint/AP"] == 0.0
    assert shifted["posetrack/AP"] < 0.05
    assert shifted["posetrack/MOTA"] < 0.0
    assert not any(name.startswith("search/") for name in shifted)  # it has no identity vectors
    assert oracle.described == 0


class LookingOracle(Oracle):
    """Describes people by the colour that it sees in the middle of their boxes."""

    def estimate(self, frames, min_score=0.0):
        return [
            replace(
                found,
                keypoints=np.zeros((len(found), 15, 3), np.float32),
                embeddings=self.describe(frame, found.boxes),
            )
            for frame, found in zip(frames, super().estimate(frames, min_score), strict=True)
        ]

    def describe(self, frame, boxes_xyxy):
        self.described += 1
        middles = ((boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2).astype(int)
        vectors = np.zeros((len(boxes_xyxy), self.embedding_dim), np.float32)
        vectors[:, :3] = frame[middles[:, 1], middles[:, 0]].astype(np.float32) - 128
        return vectors


@pytest.mark.parametrize(("cameras", "queries"), [(2, 8), (0, 4)])
def test_people_are_searched_for_in_collages_of_crops(tmp_path, cameras, queries):
    write_crops(tmp_path, [4, 3, 5, 2], cameras=cameras)
    name = f"crops://{tmp_path}?size=320x240&people=3"
    dataset = build_dataset(name, training=False)
    assert len(dataset.queries(None)) == queries
    metrics = evaluate_dataset(LookingOracle(dataset), dataset, batch_size=3, num_workers=0)
    assert metrics["search/mAP"] == metrics["search/top1"] == pytest.approx(1.0)
    assert metrics["box/AP"] == pytest.approx(1.0)
    wrong = LookingOracle(dataset)
    wrong.describe = lambda frame, boxes: -LookingOracle.describe(wrong, frame, boxes)
    right = iter(
        [p for i in range(len(dataset)) for p in LookingOracle(dataset, first=i).estimate([dataset[i].image])]
    )
    wrong.estimate = lambda frames, min_score=0.0: [next(right) for _ in frames]
    assert evaluate_dataset(wrong, dataset, batch_size=3, num_workers=0)["search/top1"] == 0.0


class Processes:
    """``torch.distributed`` among threads: each is a process."""

    def __init__(self, count):
        self.local, self.count, self.barrier = threading.local(), count, threading.Barrier(count, timeout=60)
        self.given = [None] * count

    def is_initialized(self):
        return True

    def get_rank(self):
        return self.local.rank

    def get_world_size(self):
        return self.count

    def gather_object(self, given, gathered=None):
        self.given[self.local.rank] = pickle.dumps(given)
        self.barrier.wait()
        if gathered is not None:
            gathered[:] = map(pickle.loads, self.given)
        self.barrier.wait()

    def broadcast_object_list(self, objects):
        if self.local.rank == 0:
            self.given[0] = pickle.dumps(objects)
        self.barrier.wait()
        objects[:] = pickle.loads(self.given[0])

    def run(self, function):
        results = [None] * self.count

        def process(rank):
            self.local.rank = rank
            results[rank] = function(rank)

        threads = [threading.Thread(target=process, args=(rank,)) for rank in range(self.count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return results


@pytest.mark.parametrize(("processes", "images"), [(None, 8), (1, 8), (4, 2), (16, 1)])
def test_the_batch_is_all_processes_together(monkeypatch, processes, images):
    """``IMS_PER_BATCH`` counts all devices, in testing as in training."""
    monkeypatch.setattr(evaluation.dist, "is_initialized", lambda: processes is not None)
    monkeypatch.setattr(evaluation.dist, "get_world_size", lambda: processes)
    cfg = get_cfg()
    cfg.SOLVER.IMS_PER_BATCH = 16
    assert evaluation_batch_size(cfg) == images


def test_several_processes_get_what_one_gets(monkeypatch):
    # Two scenes of four frames in three shares: sequences and people are cut apart.
    datasets = [build_dataset(TINY, training=False) for _ in range(3)]
    alone = evaluate_dataset(Oracle(datasets[0], shift=4.0), datasets[0], batch_size=3, num_workers=0)
    assert 0.0 < alone["posetrack/AP"] < 1.0
    processes = Processes(3)
    monkeypatch.setattr(evaluation, "dist", processes)

    def evaluate(rank):
        dataset = datasets[rank]
        oracle = Oracle(dataset, shift=4.0, first=rank * len(dataset) // 3)
        return evaluate_dataset(oracle, dataset, batch_size=2, num_workers=0)

    for metrics in processes.run(evaluate):
        assert metrics == pytest.approx(alone, nan_ok=True)


def labels(folder, area):
    cv2.imwrite(str(folder / "1.png"), np.zeros((80, 100, 3), np.uint8))
    joints = [v for i in range(15) for v in (20 + i, 30, 2)]
    person = {
        "id": 1, "image_id": 1, "category_id": 1, "bbox": [10, 10, 40, 60], "keypoints": joints,
        "num_keypoints": 15, "iscrowd": 0, "area": area,
    }  # fmt: skip
    content = {
        "images": [{"id": 1, "file_name": "1.png", "width": 100, "height": 80}],
        "annotations": [person],
        "categories": [{"id": 1, "name": "person", "keypoints": list(POSETRACK15.joints)}],
    }
    (folder / "labels.json").write_text(json.dumps(content))
    name = f"json://{folder}/labels.json?images={folder}"
    return build_dataset(name, training=False)


def test_a_file_with_the_networks_joints_is_measured_with_its_own_areas(tmp_path):
    # Joints 3 px off: OKS is the mean of exp(-9 / (2 area (2 sigma)^2)), 0.992 and 0.815 by the file's areas,
    # which passes all ten thresholds from 0.5 to 0.95, and the first seven.
    large, small = (
        evaluate_dataset(Oracle(d, shift=3.0), d, batch_size=1, num_workers=0)
        for d in (labels(tmp_path, area) for area in (60_000.0, 2_000.0))
    )
    assert large["keypoint/AP"] == pytest.approx(1.0)
    assert small["keypoint/AP"] == pytest.approx(0.7)
    assert large["box/AP50"] == pytest.approx(1.0)


def test_an_image_that_cannot_be_read_names_the_file(tmp_path):
    dataset = labels(tmp_path, 1000.0)
    oracle = Oracle(dataset)
    (tmp_path / "1.png").write_bytes(b"cut")
    for workers in (0, 1):
        with pytest.raises(ValueError, match="1.png: expected an image, got 3 bytes"):
            evaluate_dataset(oracle, dataset, batch_size=1, num_workers=workers)


def test_table_and_file(tmp_path, caplog):
    dataset = build_dataset(TINY, training=False)
    output = tmp_path / "new" / "evaluation.json"
    with caplog.at_level("INFO", "fastpose_mtn"):
        evaluate_all(Oracle(dataset), [dataset], batch_size=2, num_workers=0, output=output)
    assert "box/AP" in caplog.text
    assert "posetrack/num_switches" in caplog.text
    written = json.loads(output.read_text())
    assert written[TINY]["box/AP"] == pytest.approx(1.0)
    assert written[TINY]["box/AP_large"] is None  # nobody that large
    assert [p.name for p in output.parent.iterdir()] == ["evaluation.json"]


def test_the_table_in_per_cent():
    table = metrics_table({"a": {"box/AP": 0.1234, "keypoint/AP": math.nan}, "b": {"box/AP": 1.0}})
    rows = [line.split() for line in table.splitlines()]
    assert rows == [["box/AP", "keypoint/AP", "dataset"], ["12.3", "-", "a"], ["100.0", "-", "b"]]


def test_a_table_for_each_kind_of_numbers_and_counts_as_they_are():
    drawn = {"box/AP": 0.5, "posetrack/MOTA": -0.25, "posetrack/num_switches": 1234.0, "search/top1": 1.0}
    rows = [line.split() for line in metrics_table({"a": drawn, "b": {"box/AP": 0.1}}).splitlines()]
    assert rows == [
        ["box/AP", "dataset"], ["50.0", "a"], ["10.0", "b"],
        ["posetrack/MOTA", "posetrack/num_switches", "dataset"], ["-25.0", "1234", "a"],
        ["search/top1", "dataset"], ["100.0", "a"],
    ]  # fmt: skip


def test_numbers_are_whole_or_not_there(tmp_path):
    write_metrics(tmp_path / "m.json", {"a": {"x": math.nan, "y": 0.5}})
    assert json.loads((tmp_path / "m.json").read_text()) == {"a": {"x": None, "y": 0.5}}


def test_all_processes_evaluate_the_network_of_the_first(monkeypatch):
    """Running statistics are each process's own while it trains; IMS_PER_BATCH counts the images of all."""
    given, batches = [], []

    class SecondProcess:
        def is_initialized(self):
            return True

        def get_world_size(self):
            return 2

        def broadcast(self, tensor, src):
            assert src == 0
            tensor.fill_(7)

    def build(cfg, network, precision):
        given.append({name: buffer.clone() for name, buffer in network.named_buffers()})

    monkeypatch.setattr(evaluation, "dist", SecondProcess())
    monkeypatch.setattr(evaluation, "build_estimator", build)
    monkeypatch.setattr(
        evaluation,
        "evaluate_all",
        lambda estimator, datasets, *, batch_size, **options: batches.append(batch_size),
    )
    cfg = get_cfg()
    for count in (16, 2):
        cfg.SOLVER.IMS_PER_BATCH = count
        evaluate_model(cfg, [], Path("evaluation.json"), nn.BatchNorm1d(2))
    assert batches == [4, 1]
    assert given[0]["running_mean"].tolist() == [7, 7]
    assert int(given[0]["num_batches_tracked"]) == 7


class Given:
    """Says that everybody's joints are in the middle of the boxes that it is given."""

    skeleton, embedding_dim = POSETRACK15, None

    def estimate_given(self, frame, boxes_xyxy, scores):
        middle = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
        joints = np.concatenate((middle, np.ones((len(middle), 1))), axis=1)
        return PersonDetections(
            boxes_xyxy, scores, np.tile(joints[:, None], (1, 15, 1)).astype(np.float32), None
        )


def test_people_are_located_in_the_labels_boxes_where_that_is_asked_for():
    dataset = build_dataset(TINY, training=False)
    metrics = evaluate_dataset(Given(), dataset, batch_size=3, num_workers=0, given_boxes=True)
    assert metrics["box/AP"] == pytest.approx(1.0)
    assert metrics["keypoint/AP"] < 0.1
    describing = Given()
    describing.embedding_dim = 16  # of the detector, whose people nobody asked for
    describing.describe = lambda frame, boxes_xyxy: np.zeros((len(boxes_xyxy), 16), np.float32)
    again = evaluate_dataset(describing, dataset, batch_size=3, num_workers=0, given_boxes=True)
    assert again == pytest.approx(metrics, nan_ok=True)
    with pytest.raises(ValueError, match=r"TEST\.DETECTOR truth: this network locates nobody in given boxes"):
        evaluate_dataset(Oracle(dataset), dataset, batch_size=3, num_workers=0, given_boxes=True)
    cfg = get_cfg()
    cfg.TEST.DETECTOR = "people"
    with pytest.raises(ValueError, match=r"TEST\.DETECTOR: expected truth or nothing, got 'people'"):
        evaluate_model(cfg, [dataset], Path("never.json"))
