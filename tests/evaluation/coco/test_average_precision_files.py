"""Box and keypoint AP of COCO's files: equality with pycocotools used directly, and what is said of bad files."""

import contextlib
import io
import json
import math

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from fastpose_mtn.evaluation.coco.average_precision import (
    CocoEvaluator,
    evaluate_coco_files,
)
from fastpose_mtn.skeletons import COCO17, POSETRACK15
from fastpose_mtn.structures import PersonDetections, PersonTargets


def directly(gt_json, results, iou_type, sigmas=None):
    """pycocotools as its own demo uses it."""
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO(str(gt_json))
        evaluation = COCOeval(gt, gt.loadRes(str(results)), iou_type)
        if sigmas is not None:
            evaluation.params.kpt_oks_sigmas = np.array(sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return [float("nan") if s < 0 else s for s in evaluation.stats]


def random_people(seed, joints=17, images=6):
    """COCO annotations and noisy results with misses, false positives, crowds and ties."""
    rng = np.random.default_rng(seed)
    gt = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}
    results = []
    for image in range(images):
        gt["images"].append({"id": image + 10, "height": 480, "width": 640})
        for _ in range(rng.integers(0, 6)):
            x, y, w, h = rng.uniform([0, 0, 20, 30], [400, 300, 200, 250])
            points = np.c_[
                rng.uniform(x, x + w, joints), rng.uniform(y, y + h, joints), rng.integers(0, 3, joints)
            ]
            points[points[:, 2] == 0] = 0
            gt["annotations"].append({
                "id": len(gt["annotations"]) + 1, "image_id": image + 10, "category_id": 1,
                "bbox": [x, y, w, h], "area": w * h * rng.uniform(0.3, 0.9), "iscrowd": int(rng.random() < 0.15),
                "keypoints": points.ravel().tolist(), "num_keypoints": int((points[:, 2] > 0).sum()),
            })  # fmt: skip
            for _ in range(rng.integers(0, 3)):
                noise = rng.choice([1.0, 4.0, 15.0])
                moved = points + np.c_[rng.normal(0, noise, (joints, 2)), np.zeros(joints)]
                results.append({
                    "image_id": image + 10, "category_id": 1, "score": round(float(rng.random()), 1),
                    "bbox": [float(v) for v in np.array([x, y, w, h]) + rng.normal(0, noise, 4)],
                    "keypoints": moved.ravel().tolist(),
                })  # fmt: skip
    return gt, results


def write(tmp_path, gt, results):
    gt_json, results_json = tmp_path / "gt.json", tmp_path / "results.json"
    gt_json.write_text(json.dumps(gt))
    results_json.write_text(json.dumps(results))
    return gt_json, results_json


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("skeleton", [COCO17, POSETRACK15], ids=lambda s: s.name)
def test_files_equal_pycocotools_on_every_number(tmp_path, seed, skeleton):
    paths = write(tmp_path, *random_people(seed, joints=len(skeleton)))
    metrics = evaluate_coco_files(*paths, skeleton)
    expected = directly(*paths, "bbox") + directly(*paths, "keypoints", skeleton.sigmas)
    assert list(metrics.values()) == pytest.approx(expected, abs=0, nan_ok=True)
    assert len(metrics) == 22


@pytest.mark.parametrize("seed", range(4))
def test_structures_equal_files_without_boxes_in_the_keypoint_results(tmp_path, seed):
    gt, results = random_people(seed)
    for annotation in gt["annotations"]:  # float32 throughout, so that both see the same numbers
        annotation["bbox"] = np.round(annotation["bbox"]).tolist()
        annotation["keypoints"] = np.round(annotation["keypoints"]).tolist()
    for record in results:
        box = np.round(record["bbox"])
        record["bbox"] = [*box[:2].tolist(), *np.maximum(box[2:], 1).tolist()]
        record["keypoints"] = np.round(record["keypoints"]).tolist()
        record["score"] = float(np.float32(record["score"]))
    evaluator = CocoEvaluator(COCO17)
    for image in gt["images"]:
        labels = [a for a in gt["annotations"] if a["image_id"] == image["id"]]
        records = [r for r in results if r["image_id"] == image["id"]]
        targets = PersonTargets(
            boxes=to_xyxy(labels), keypoints=to_joints(labels),
            identities=torch.full((len(labels),), -1), ignore=torch.tensor([a["iscrowd"] > 0 for a in labels], dtype=torch.bool),
        )  # fmt: skip
        joints = to_joints(records)
        joints[..., 2] = 1
        detections = PersonDetections(to_xyxy(records), torch.tensor([r["score"] for r in records]), joints)
        evaluator.add(image["id"], (480, 640), targets, detections, areas=[a["area"] for a in labels])
    metrics = evaluator.evaluate()
    gt_json, boxes_json = write(tmp_path, gt, [{k: r[k] for k in r if k != "keypoints"} for r in results])
    expected = directly(gt_json, boxes_json, "bbox")
    joints_json = tmp_path / "joints.json"
    joints_json.write_text(json.dumps([{k: r[k] for k in r if k != "bbox"} for r in results]))
    expected += directly(gt_json, joints_json, "keypoints")
    assert list(metrics.values()) == pytest.approx(expected, abs=1e-12, nan_ok=True)


def to_xyxy(records):
    boxes = torch.tensor([r["bbox"] for r in records], dtype=torch.float32).reshape(-1, 4)
    return torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], dim=1)


def to_joints(records):
    """COCO's joints as ours: 0.5 added to labelled ones."""
    joints = torch.tensor([r["keypoints"] for r in records], dtype=torch.float32).reshape(-1, 17, 3)
    joints[..., :2] += 0.5
    return joints


def test_files_without_joints_or_boxes_give_what_there_is(tmp_path):
    gt, results = random_people(1)
    for record in results:
        del record["keypoints"]
    boxes = evaluate_coco_files(*write(tmp_path, gt, results), COCO17)
    assert all(name.startswith("box/") for name in boxes)
    gt, results = random_people(1)
    for record in results:
        del record["bbox"]
    joints = evaluate_coco_files(*write(tmp_path, gt, results), COCO17)
    assert all(name.startswith("keypoint/") for name in joints)
    empty = evaluate_coco_files(*write(tmp_path, gt, []), COCO17)
    assert empty["box/AP"] == empty["keypoint/AP"] == 0.0
    gt["annotations"] = []
    nothing = evaluate_coco_files(*write(tmp_path, gt, results), COCO17)
    assert all(math.isnan(value) for value in nothing.values())


def test_records_are_accepted_and_left_alone_and_other_categories_do_not_count(tmp_path):
    gt, results = random_people(2)
    before = json.dumps(results)
    gt_json, _ = write(tmp_path, gt, results)
    metrics = evaluate_coco_files(gt_json, results, COCO17)
    assert json.dumps(results) == before
    gt["categories"].append({"id": 2, "name": "bicycle"})
    gt["annotations"].append({**gt["annotations"][0], "id": 999, "category_id": 2})
    gt_json, _ = write(tmp_path, gt, results)
    assert evaluate_coco_files(gt_json, results, COCO17) == pytest.approx(metrics, nan_ok=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda gt, r: gt.pop("images"), r"gt\.json: expected COCO-style JSON, an object with the lists images and annotations, got an object"),
        (lambda gt, r: gt["annotations"][1].update(bbox=[1, 2, 3]), r"gt\.json: annotations\[1\] \(id 2\): bbox: expected 4 numbers, x, y, width, height, got 3"),
        (lambda gt, r: gt["annotations"][0].update(keypoints=[1, 2, 2]), r"annotations\[0\] \(id 1\): keypoints: expected 51 numbers, x, y, v for each of the 17 joints of the category, got 3"),
        (lambda gt, r: r[3].update(score=float("nan")), r"results\.json\[3\]: score: expected a finite number, got nan"),
        (lambda gt, r: r[3].pop("score"), r"results\.json\[3\]: score: expected a finite number, got nothing"),
        (lambda gt, r: r[3].update(image_id=77), r"results\.json\[3\]: image_id: expected one of the ground truth's images, got 77"),
        (lambda gt, r: r[3].pop("bbox"), r"results\.json\[3\]: bbox: expected in all records or in none"),
        (lambda gt, r: r[2]["keypoints"].__setitem__(4, None), r"results\.json\[2\]: keypoints: expected finite numbers, got None"),
        (lambda gt, r: r[2].pop("category_id"), r"results\.json\[2\]: category_id: missing"),
        (lambda gt, r: [p.update(keypoints=[v / 1e4 for v in p["keypoints"]]) for p in r], r"results\.json: keypoints: expected pixels, got numbers of at most 0\.\d+ throughout; multiply shares"),
        (lambda gt, r: [p.update(bbox=[v / 1e4 for v in p["bbox"]]) for p in r], r"results\.json: bbox: expected pixels, got numbers"),
        (lambda gt, r: r.__setitem__(2, 5), r"results\.json\[2\]: expected an object, got 5"),
    ],
)  # fmt: skip
def test_bad_files_are_named_by_record_and_field(tmp_path, change, message):
    gt, results = random_people(3)
    change(gt, results)
    with pytest.raises(ValueError, match=message):
        evaluate_coco_files(*write(tmp_path, gt, results), COCO17)


def person_found(number):
    """A box on the picture's right, with joints in its upper half."""
    x, y = 300 + 20 * number, 50
    joints = [v for k in range(17) for v in (x + 5 + k, y + 5 + 2 * k, 0.9)]
    return {"image_id": 10, "category_id": 1, "score": 0.5, "bbox": [x, y, 60, 120], "keypoints": joints}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            lambda p: {"keypoints": np.reshape(p["keypoints"], (-1, 3))[:, [1, 0, 2]].ravel().tolist()},
            "joints as y, x, v",
        ),
        (
            lambda p: {"bbox": [p["bbox"][0] + 30, p["bbox"][1] + 60, 60, 120]},
            "the centre's x and y, width, height",
        ),
        (
            lambda p: {"bbox": [*p["bbox"][:2], p["bbox"][0] + 60, p["bbox"][1] + 120]},
            "6 of 6 boxes that reach over",
        ),
    ],
)
def test_results_in_another_order_are_refused(tmp_path, change, why):
    """They would be right nowhere, or hardly."""
    gt, _ = random_people(3)
    people = [person_found(number) for number in range(6)]
    evaluate_coco_files(*write(tmp_path, gt, people), COCO17)
    with pytest.raises(ValueError, match=rf"results\.json: (?:bbox: )?expected .*{why}"):
        evaluate_coco_files(*write(tmp_path, gt, [{**p, **change(p)} for p in people]), COCO17)


def test_files_of_windows_editors_begin_with_a_mark(tmp_path):
    files = write(tmp_path, *random_people(3))
    plain = evaluate_coco_files(*files, COCO17)
    for file in files:
        file.write_bytes(b"\xef\xbb\xbf" + file.read_bytes())
    assert evaluate_coco_files(*files, COCO17) == pytest.approx(plain, nan_ok=True)


def test_unreadable_files(tmp_path):
    gt_json, results_json = write(tmp_path, *random_people(3))
    with pytest.raises(ValueError, match=r"missing\.json: No such file"):
        evaluate_coco_files(tmp_path / "missing.json", results_json, COCO17)
    results_json.write_text(results_json.read_text()[:-40])
    with pytest.raises(
        ValueError, match=r"results\.json: expected JSON, got \d+ bytes that stop making sense"
    ):
        evaluate_coco_files(gt_json, results_json, COCO17)


def test_results_with_a_key_twice_are_refused(tmp_path):
    gt_json, results_json = write(tmp_path, *random_people(3))
    results_json.write_text(results_json.read_text().replace('{"', '{"score": 0.25, "', 1))
    with pytest.raises(ValueError, match=r'results\.json\[0\]: expected each key once, got "score" twice'):
        evaluate_coco_files(gt_json, results_json, COCO17)


def test_an_annotation_numbered_zero_counts_like_any_other(tmp_path):
    """pycocotools takes the id 0 for "no match": annotations are numbered anew."""
    gt, results = random_people(3)
    paths = write(tmp_path, gt, results)
    expected = directly(*paths, "bbox")
    gt["annotations"][0]["id"] = 0
    metrics = evaluate_coco_files(*write(tmp_path, gt, results), COCO17)
    assert list(metrics.values())[:12] == pytest.approx(expected, nan_ok=True)


def test_ids_may_be_written_in_another_way_and_a_person_may_have_another_number(tmp_path, caplog):
    gt, results = random_people(3)
    expected = evaluate_coco_files(*write(tmp_path, gt, results), COCO17)
    for image in gt["images"]:
        image["id"] = f"image {image['id']}"
    for record in gt["annotations"]:
        record.update(
            image_id=f"image {record['image_id']}",
            category_id=4,
            num_keypoints=0,
            iscrowd=str(record["iscrowd"]),
        )
        del record["id"]
    for record in results:
        record.update(image_id=f"image {record['image_id']}", category_id="4")
    gt["categories"] = [{"id": 1, "name": "dog"}, {"id": 4, "name": "Person"}]
    dog = {**results[0], "category_id": 1, "score": 1.0}
    metrics = evaluate_coco_files(*write(tmp_path, gt, [*results, dog]), COCO17)
    assert list(metrics.values()) == pytest.approx(list(expected.values()), abs=0, nan_ok=True)
    assert f"repaired {len(gt['annotations'])} annotations without an id, which are numbered" in caplog.text
    assert "left out 1 results of categories that are not people's" in caplog.text
    with pytest.raises(
        ValueError, match=r"results\.json\[0\]: category_id: expected 4, a person's in the ground truth"
    ):
        evaluate_coco_files(*write(tmp_path, gt, [dog]), COCO17)


def test_joints_in_another_order_are_refused(tmp_path):
    gt, results = random_people(3)
    gt["categories"][0]["keypoints"] = [*COCO17.joints[1:], COCO17.joints[0]]
    with pytest.raises(ValueError, match="keypoints: expected the joints of COCO17 in its order"):
        evaluate_coco_files(*write(tmp_path, gt, results), COCO17)


def test_real_boxes_equal_pycocotools(real_data):
    paths = real_data / "coco" / "test_coco.json", real_data / "coco" / "test_coco_det_AP_H_56.json"
    metrics = evaluate_coco_files(*paths, COCO17)
    assert list(metrics.values()) == pytest.approx(directly(*paths, "bbox"), abs=0, nan_ok=True)
    assert metrics["box/AP"] > 0.5


def test_real_joints_equal_pycocotools(real_data, tmp_path):
    gt = json.loads((real_data / "coco" / "test_coco.json").read_text())
    rng = np.random.default_rng(0)
    results = []
    for annotation in gt["annotations"]:
        if annotation["num_keypoints"]:
            joints = np.array(annotation["keypoints"], float).reshape(-1, 3)
            joints[:, :2] += rng.normal(0, 4, (17, 2))
            results.append({"image_id": annotation["image_id"], "category_id": 1,
                            "keypoints": joints.ravel().tolist(), "score": float(rng.random())})  # fmt: skip
    results_json = tmp_path / "results.json"
    results_json.write_text(json.dumps(results))
    metrics = evaluate_coco_files(real_data / "coco" / "test_coco.json", results_json, COCO17)
    expected = directly(real_data / "coco" / "test_coco.json", results_json, "keypoints")
    assert list(metrics.values()) == pytest.approx(expected, abs=0, nan_ok=True)
    assert 0.1 < metrics["keypoint/AP"] < 0.95
