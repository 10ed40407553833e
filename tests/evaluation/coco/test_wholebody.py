"""AP of whole bodies by part: by hand, and the numbers of the benchmarks' own APIs."""

import json
import math

import numpy as np
import pytest

from fastpose_mtn.commands.evaluate import main
from fastpose_mtn.data.coco.wholebody import PART_FIELDS
from fastpose_mtn.errors import InputError
from fastpose_mtn.evaluation.coco.wholebody import evaluate_wholebody_files, joints_of_parts
from fastpose_mtn.skeletons import COCO17, COCO_WHOLEBODY133, HALPE26, HALPE136

FIELDS = (("keypoints", 17), *PART_FIELDS)


def person(number, **changes):
    record = {
        "id": number,
        "image_id": 1,
        "category_id": 1,
        "iscrowd": 0,
        "bbox": [100 * number, 100, 80, 80],
    }
    record |= {"area": 6400, "num_keypoints": 17}
    record |= {field: [100 * number + 40, 140, 2] * count for field, count in FIELDS}
    return {**record, **changes}


def result(number, score=0.9, **changes):
    record = {"image_id": 1, "category_id": 1, "score": score}
    record |= {field: [100 * number + 40, 140, 0.8] * count for field, count in FIELDS}
    return {**record, **changes}


def evaluate(tmp_path, people, results):
    path = tmp_path / "gt.json"
    content = {"images": [{"id": 1, "width": 900, "height": 400}], "annotations": people}
    path.write_text(json.dumps({**content, "categories": [{"id": 1, "name": "person"}]}))
    return evaluate_wholebody_files(path, results)


def test_each_part_is_measured_alone(tmp_path):
    far = [900, 400, 0.8] * 21
    metrics = evaluate(
        tmp_path,
        [person(1), person(2, foot_kpts=[0] * 18)],
        [result(1), result(2, score=0.5, lefthand_kpts=far)],
    )
    assert [metrics[f"{part}/AP"] for part in ("body", "foot", "face", "righthand")] == pytest.approx([1] * 4)
    assert metrics["lefthand/AR"] == 0.5  # one of two found
    assert metrics["wholebody/AP50"] == pytest.approx(1.0)
    assert metrics["wholebody/AR"] < 1.0
    assert len(metrics) == 6 * 10


def test_a_part_that_nobody_has_labelled_is_not_measured(tmp_path):
    metrics = evaluate(tmp_path, [person(1, face_kpts=[0] * 204)], [result(1)])
    assert math.isnan(metrics["face/AP"])
    assert metrics["wholebody/AP"] == pytest.approx(1.0)


def test_parts_may_have_scores_and_zeros_are_no_detection(tmp_path):
    """A false hand ahead of the true one halves its precision, unless the part's score puts it behind."""
    wrong = result(5, score=0.95)
    people = [person(1)]
    assert evaluate(tmp_path, people, [result(1), wrong])["lefthand/AP"] == pytest.approx(0.5)
    behind = {**wrong, "lefthand_score": 0.1}
    assert evaluate(tmp_path, people, [result(1), behind])["lefthand/AP"] == pytest.approx(1.0)
    assert evaluate(tmp_path, people, [result(1), behind])["righthand/AP"] == pytest.approx(0.5)
    nothing = {**wrong, "lefthand_kpts": [0] * 63}
    assert evaluate(tmp_path, people, [result(1), nothing])["lefthand/AP"] == pytest.approx(1.0)


def test_all_joints_in_one_list_are_the_same(tmp_path):
    flat = {"image_id": 1, "category_id": 1, "score": 0.9, "keypoints": [140.7, 140.7, 0.8] * 133}
    apart = {**flat, **{field: [140.7, 140.7, 0.8] * count for field, count in FIELDS}}
    expected = evaluate(tmp_path, [person(1)], [apart])
    assert evaluate(tmp_path, [person(1)], [flat]) == pytest.approx(expected, nan_ok=True)
    assert 0 < expected["face/AP"] < expected["body/AP"]


def test_no_results_and_parts_of_skeletons(tmp_path):
    assert evaluate(tmp_path, [person(1)], [])["wholebody/AP"] == 0.0
    assert joints_of_parts(COCO17) == {}
    assert list(joints_of_parts(HALPE26)) == ["body", "foot", "wholebody"]
    assert list(joints_of_parts(HALPE136)) == ["body", "foot", "face", "hand", "wholebody"]
    hands = joints_of_parts(COCO_WHOLEBODY133)
    assert (hands["lefthand"], hands["righthand"]) == (tuple(range(91, 112)), tuple(range(112, 133)))


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"foot_kpts": [1, 2, 3]}, r"results\[1\]: foot_kpts: expected 18 numbers \(3 for each of 6 joints\), got 3"),
        ({"face_kpts": None}, r"results\[1\]: face_kpts: expected 204 numbers .* got NoneType"),
        ({"image_id": 7}, r"results\[1\]: image_id: expected one of the ground truth's images, got 7"),
        ({"score": math.nan}, r"results\[1\]: score: expected a finite number"),
    ],
)  # fmt: skip
def test_results_that_are_none(tmp_path, wrong, expected):
    with pytest.raises(ValueError, match=expected):
        evaluate(tmp_path, [person(1)], [result(1), result(1, **wrong)])


def test_results_of_other_joints(tmp_path):
    with pytest.raises(
        InputError, match=r"results\[0\]: keypoints: expected a list of 78 \(HALPE26\), .* got 51"
    ):
        evaluate(tmp_path, [person(1)], [{"image_id": 1, "keypoints": [1, 2, 3] * 17}])


def noisy(annotations, fields):
    """The labels 1.5 px off, in the order of the generator's draws that the expected numbers were made with."""
    rng, results = np.random.default_rng(0), []
    for annotation in annotations:
        record = {"image_id": annotation["image_id"], "category_id": 1}
        for field in fields:
            rows = np.array(annotation[field], float).reshape(-1, 3)
            rows[:, :2] += rng.normal(0, 1.5, (len(rows), 2))
            rows[:, 2] = 0.9
            record[field] = rows.ravel().tolist()
        results.append({**record, "score": rng.uniform(0.3, 1)})
    return results


def rounded(metrics, names=("AP", "AP50", "AP75", "AR")):
    parts = dict.fromkeys(name.partition("/")[0] for name in metrics)
    return {part: [round(metrics[f"{part}/{name}"], 4) for name in names] for part in parts}


def test_halpes_own_numbers(real_data):
    """As halpecocotools gives them."""
    path = real_data / "halpe" / "test_halpe.json"
    results = noisy(json.loads(path.read_text())["annotations"], ["keypoints"])
    whole = rounded(evaluate_wholebody_files(path, results))
    assert whole == {
        "body": [0.8986, 0.9231, 0.9231, 0.9750], "foot": [0.8790, 0.9098, 0.9098, 1.0],
        "face": [0.4604, 0.8464, 0.6189, 0.5778], "hand": [0.4986, 0.7686, 0.5328, 0.7],
        "wholebody": [0.6166, 0.9231, 0.6686, 0.7333],
    }  # fmt: skip
    body = [{**record, "keypoints": record["keypoints"][: 26 * 3]} for record in results]
    of_26 = rounded(evaluate_wholebody_files(path, body))
    assert (of_26["body"], of_26["foot"]) == (whole["body"], whole["foot"])


def made_up_people():
    """24 people of three sizes in six images, often without a part or found twice or not at all; draws of a frozen generator."""
    rng = np.random.RandomState(0)
    people, results = [], []
    for number in range(24):
        corner, height = (
            (rng.uniform(0, 400), rng.uniform(0, 200)),
            (60, 150, 400)[number % 3] * rng.uniform(0.9, 1.1),
        )
        joints = np.full((136, 3), 2.0)
        joints[:, :2] = rng.uniform(0, 1, (136, 2)) * (height / 2, height) + corner
        joints[rng.uniform(size=136) < 0.2] = 0
        part = (None, "foot", "face", "hands")[rng.randint(4)]
        joints[list(HALPE136.parts[part]) if part else []] = 0
        keypoints = {"image_id": 1 + number // 4, "category_id": 1}
        person = {
            "id": number + 1,
            "iscrowd": 0,
            "bbox": [*corner, height / 2, height],
            "area": height**2 / 4,
        }
        people.append(
            {
                **keypoints,
                **person,
                "num_keypoints": int((joints[:, 2] > 0).sum()),
                "keypoints": joints.ravel().tolist(),
            }
        )
        for _ in range(rng.randint(3)):
            found = joints + np.array([0, 0, -1.1])
            found[:, :2] += rng.normal(0, height / rng.choice([30.0, 80.0, 200.0]), (136, 2))
            score = rng.uniform(0.3, 1)
            results.append({**keypoints, "score": score, "keypoints": found.ravel().tolist()})
    return people, results


def test_made_up_people_have_halpes_numbers(tmp_path):
    """All of halpecocotools 0.0.1's, from the very same records."""
    images = [{"id": number, "width": 900, "height": 700} for number in range(1, 7)]
    people, results = made_up_people()
    content = {"images": images, "annotations": people, "categories": [{"id": 1, "name": "person"}]}
    (tmp_path / "gt.json").write_text(json.dumps(content))
    found = evaluate_wholebody_files(tmp_path / "gt.json", results)
    names = ("AP", "AP50", "AP75", "AP_medium", "AP_large", "AR", "AR50", "AR75", "AR_medium", "AR_large")
    wanted = {
        "body": [0.467929, 0.616723, 0.469706, 0.69604, 0.24548, 0.625, 0.708333, 0.666667, 0.7, 0.45],
        "foot": [0.507682, 0.551358, 0.551358, 1.0, 0.218506, 0.6625, 0.6875, 0.6875, 1.0, 0.4],
        "face": [0.103799, 0.282709, 0.065002, 0.389109, 0.01604, 0.305263, 0.578947, 0.263158, 0.3875, 0.1],
        "hand": [0.096685, 0.252889, 0.061817, 0.315842, 0.002446, 0.255556, 0.5, 0.222222, 0.314286, 0.04],
        "wholebody": [0.151722, 0.307737, 0.048185, 0.444554, 0.026884, 0.325, 0.541667, 0.208333, 0.444444, 0.1375],
    }  # fmt: skip
    assert len(found) == 50
    for part, numbers in wanted.items():
        assert [found[f"{part}/{name}"] for name in names] == pytest.approx(numbers, abs=1e-6)


COCO_WHOLEBODYS = {
    "body": [0.9245, 0.9807, 0.9807, 0.9667], "foot": [0.8711, 0.8711, 0.8711, 1.0],
    "face": [0.5937, 1.0, 0.4224, 0.6], "lefthand": [0.4894, 0.5869, 0.5869, 0.86],
    "righthand": [0.6535, 0.703, 0.703, 0.92], "wholebody": [0.7436, 0.9807, 0.8391, 0.8333],
}  # fmt: skip


def test_coco_wholebodys_own_numbers(real_data, tmp_path, capsys):
    """As xtcocotools 1.14.3 gives them."""
    path, out = real_data / "coco" / "test_coco_wholebody.json", tmp_path / "scores"
    results = tmp_path / "results.json"
    people = json.loads(path.read_text())["annotations"]
    results.write_text(json.dumps(noisy(people, [field for field, _ in FIELDS])))
    main(
        ["--format", "wholebody", "--gt", str(path), "--pred", str(results), "--output", str(out), "--quiet"]
    )
    figures = json.loads((out / "metrics.json").read_text())
    assert rounded(figures) == COCO_WHOLEBODYS
    assert f"{100 * figures['face/AP']:.1f}" in capsys.readouterr().out
