"""AP and MOT: poseval's own numbers on stored cases, and each of its habits on a case by hand."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from posetrack_helpers import person, sequence

from fastpose_mtn.data.posetrack.files import PoseTrackWarning, read_posetrack, write_posetrack
from fastpose_mtn.evaluation.posetrack.evaluation import evaluate_posetrack, evaluate_sequence
from fastpose_mtn.evaluation.posetrack.events import EventKind
from fastpose_mtn.evaluation.posetrack.people import select_people
from fastpose_mtn.evaluation.posetrack.protocol import JOINT_NAMES, NAMES_AND_TOTAL

GOLDEN = json.loads((Path(__file__).parent / "golden" / "poseval.json").read_text())["cases"]
FIGURES = ("ap", "ap_precision", "ap_recall", "mota", "motp", "precision", "recall")
NAN = math.nan


def write_case(folder: Path, case: dict[str, Any]) -> None:
    for part in ("gt", "predictions"):
        (folder / part).mkdir()
        for name, content in case[part].items():
            (folder / part / name).write_text(json.dumps(content))


def assert_figures(
    metrics: dict[str, Any], expected: dict[str, Any], names: tuple[str, ...] = FIGURES
) -> None:
    assert set(expected) >= set(names) - {"ap"}
    for name in names:
        if name in expected:
            ours = [NAN if v is None else v for v in (metrics[name][joint] for joint in NAMES_AND_TOTAL)]
            theirs = [NAN if v is None else v for v in expected[name]]
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=1e-6, err_msg=name)


@pytest.mark.filterwarnings("ignore::fastpose_mtn.data.posetrack.files.PoseTrackWarning")
@pytest.mark.parametrize("case", GOLDEN, ids=[case["name"] for case in GOLDEN])
def test_every_figure_is_posevals(case: dict[str, Any], tmp_path: Path) -> None:
    write_case(tmp_path, case)
    metrics = evaluate_posetrack(tmp_path / "gt", tmp_path / "predictions").to_json()
    assert_figures(metrics, case["expected"])
    assert set(metrics["sequences"]) == {name.split(".")[0] for name in case["gt"]}
    for name, expected in case["expected"]["sequences"].items():
        assert_figures(metrics["sequences"][name], expected)


@pytest.mark.filterwarnings("ignore::fastpose_mtn.data.posetrack.files.PoseTrackWarning")
@pytest.mark.parametrize("year", [2017, 2018])
def test_a_converted_file_has_the_same_figures(year: Any, tmp_path: Path) -> None:
    case = next(case for case in GOLDEN if case["name"] == "posetrack18")
    write_case(tmp_path, case)
    for part in ("gt", "predictions"):
        for path in (tmp_path / part).glob("*.json"):
            write_posetrack(path, read_posetrack(path), year=year)
    assert_figures(evaluate_posetrack(tmp_path / "gt", tmp_path / "predictions").to_json(), case["expected"])


def test_two_workers_give_the_figures_of_one(tmp_path: Path) -> None:
    case = next(case for case in GOLDEN if case["name"] == "posetrack18")
    write_case(tmp_path, case)
    one, two = (
        evaluate_posetrack(tmp_path / "gt", tmp_path / "predictions", workers=n).to_json() for n in (1, 2)
    )
    assert one == two


def test_a_switch_costs_once_and_motp_counts_distances_again_and_again() -> None:
    labels = sequence([[person(0, 100)]] * 3)
    found = sequence([[person(7, 115)], [person(8, 115)], [person(8, 115)]])
    metrics = evaluate_sequence(labels, found).metrics
    # Two frames count, both matched at a quarter of the head; one switch.
    assert metrics.joint_figure("mota") == pytest.approx([50.0] * 16)
    # Each frame's distance as a pair and as a match, and the switch's a third time: 5 x 0.25 over 2 matches.
    assert metrics.joint_figure("motp") == pytest.approx([100 * (1 - 5 * 0.25 / 2)] * 16)
    assert metrics.ap == pytest.approx([100.0] * 16)
    assert metrics.joints is not None
    assert metrics.joints.total("num_switches") == 15
    assert metrics.joints.total("num_objects") == 30


def test_a_frame_without_predictions_counts_as_one_object_missed_and_one_false() -> None:
    two = [person(0, 100), person(1, 400)]
    labels = sequence([two, two, two])
    found = sequence([[], [person(5, 100), person(6, 400)], []])
    metrics = evaluate_sequence(labels, found).metrics
    assert metrics.joints is not None
    assert metrics.joints.num_objects.tolist() == [3.0] * 15  # 1 for the empty frame, 2 for the other
    assert metrics.joints.num_misses.tolist() == [1.0] * 15
    assert metrics.joints.num_false_positives.tolist() == [1.0] * 15
    assert metrics.joint_figure("mota")[-1] == pytest.approx(100 * (1 - 2 / 3))
    assert metrics.ap_recall[-1] == pytest.approx(100 * 2 / 6)  # AP knows of all six
    assert metrics.boxes is not None
    assert metrics.boxes.total("num_misses") == 2  # and so do the boxes


def test_the_last_labelled_frame_is_left_out_of_mot_and_counts_for_ap() -> None:
    labels = sequence([[person(0, 100)], [person(0, 100)], []])
    found = sequence([[person(0, 100)], [person(0, 900)], [person(0, 100)]])
    metrics = evaluate_sequence(labels, found).metrics
    assert metrics.joint_figure("mota")[-1] == 100.0
    assert metrics.ap_recall[-1] == 50.0
    assert metrics.num_labeled_frames == 2


def test_frames_without_labelled_people_do_not_count_whatever_their_flag_says() -> None:
    labels = sequence([[person(0, 100)], [], [person(0, 100)], [person(0, 100)]])
    quiet, noisy = (
        [[person(3, 100)]] * 4,
        [[person(3, 100)], [person(4, 900)], [person(3, 100)], [person(3, 100)]],
    )
    a, b = (evaluate_sequence(labels, sequence(found)).metrics for found in (quiet, noisy))
    assert a.ap_precision[-1] == b.ap_precision[-1] == 100.0
    assert a.joint_figure("mota")[-1] == b.joint_figure("mota")[-1] == 100.0


def test_the_distance_on_the_threshold_is_right_and_beyond_it_wrong() -> None:
    for offset, ap in ((30.0, 100.0), (30.001, 0.0)):
        labels, found = sequence([[person(0, 100)]]), sequence([[person(0, 100 + offset)]])
        assert evaluate_sequence(labels, found).metrics.ap[-1] == ap


def test_the_loser_of_a_person_is_wrong_even_where_its_joints_are_right() -> None:
    labels = sequence([[person(0, 100)]])
    half = person(1, 100)
    half["keypoints"] = [v if i < 27 else 0 for i, v in enumerate(half["keypoints"])]
    scores = [0.9] * 17, [0.5] * 17
    found = sequence([[{**half, "scores": scores[0]}, {**person(2, 101), "scores": scores[1]}]])
    result = evaluate_sequence(labels, found)
    metrics = dict(zip(NAMES_AND_TOTAL, result.metrics.ap_precision, strict=True))
    assert metrics["nose"] == 50.0  # of two, the one of the fuller pose
    assert metrics["left_ankle"] == 100.0
    assert result.metrics.ap[JOINT_NAMES.index("nose")] == pytest.approx(50.0)  # the wrong one ranks first
    assert result.prediction_of_gt.tolist() == [1]


def test_joints_in_ignore_regions_are_taken_from_both_sides_and_their_edge_is_outside() -> None:
    square = [[80, 80], [120, 80], [120, 120], [80, 120]]
    ignored, kept = person(0, 100), person(1, 120)  # the second stands on the edge
    labels = sequence([[ignored, kept]] * 2, regions={0: [square], 1: [square]})
    found = sequence([[person(5, 100, 90), person(6, 120)]] * 2)
    metrics = evaluate_sequence(labels, found).metrics
    assert metrics.ap_recall[-1] == metrics.ap_precision[-1] == 100.0
    assert metrics.joints is not None
    assert metrics.joints.num_objects.tolist() == [1.0] * 15


def test_that_all_labelled_people_lie_in_ignore_regions_is_said() -> None:
    whole = [[0, 0], [500, 0], [500, 500], [0, 500]]
    labels = sequence([[person(0, 100), person(1, 150)]] * 2, regions={0: [whole], 1: [whole]})
    found = sequence([[person(5, 100), person(6, 150)]] * 2)
    warnings: list[str] = []
    select_people(labels, found, tracking=True, warn=warnings.append)
    assert any("all labelled people lie in ignore regions; with them taken out" in text for text in warnings)


@pytest.mark.parametrize(
    ("joint", "bbox", "told"),
    [
        ((290, 90), [280, 50, 40, 100], []),
        ((90, 290), [280, 50, 40, 100], ["joints as y, x, v"]),
        ((290, 90), [300, 100, 40, 100], ["the centre's x and y, width, height"]),
    ],
)
def test_predictions_in_another_order_are_told(
    joint: tuple[int, int], bbox: list[int], told: list[str]
) -> None:
    """They are right nowhere, which figures alone do not explain."""
    labels = sequence([[person(0, 290, 90)]] * 5)
    found = sequence([[person(5, *joint, bbox=bbox)]] * 5)
    warnings: list[str] = []
    select_people(labels, found, tracking=True, warn=warnings.append)
    orders = [text for text in warnings if "people's joints lie in their boxes" in text]
    assert len(orders) == len(told)
    assert all(why in text for why, text in zip(told, orders, strict=True))


def test_a_joint_labelled_nowhere_drops_out_of_the_mean_if_it_is_predicted() -> None:
    blank = person(0, 100)
    blank["keypoints"] = [0 if i < 3 else v for i, v in enumerate(blank["keypoints"])]  # no nose
    metrics = evaluate_sequence(sequence([[blank]] * 2), sequence([[person(0, 100)]] * 2)).metrics
    nose = JOINT_NAMES.index("nose")
    assert np.isnan(metrics.ap[nose])
    assert np.isnan(metrics.joint_figure("mota")[nose])
    assert metrics.joint_figure("precision")[nose] == 0.0
    assert metrics.ap[-1] == 100.0
    neither = evaluate_sequence(sequence([[blank]] * 2), sequence([[blank]] * 2)).metrics
    assert neither.ap[nose] == 0.0  # predicted nowhere either: poseval's 0 stays in the mean
    assert neither.ap[-1] == pytest.approx(100 * 14 / 15)
    assert np.isnan(neither.joint_figure("precision")[nose])


def test_nobody_labelled_or_nobody_predicted_is_a_result_and_no_crash() -> None:
    people, nobody = sequence([[person(0, 100)]] * 3), sequence([[], [], []])
    unlabelled = evaluate_sequence(nobody, people).metrics
    assert unlabelled.num_labeled_frames == 0
    assert unlabelled.ap.tolist() == [0.0] * 16
    assert np.isnan(unlabelled.joint_figure("mota")).all()
    unseen = evaluate_sequence(people, nobody).metrics
    assert unseen.ap[-1] == unseen.ap_recall[-1] == 0.0
    assert unseen.joint_figure("mota")[-1] == -100.0  # by poseval's placeholder: a miss and a false positive
    single = evaluate_sequence(sequence([[person(0, 100)]]), sequence([[person(0, 100)]])).metrics
    assert single.ap[-1] == 100.0
    assert np.isnan(single.joint_figure("mota")[-1])
    whole = evaluate_posetrack([people], [sequence([])], warn=lambda text: None)
    assert whole.metrics.ap_recall[-1] == 0.0


def test_without_scores_joints_rank_last_and_a_warning_says_so() -> None:
    labels = sequence([[person(0, 100), person(1, 500)]])
    found = sequence([[person(0, 100), person(1, 900, scores=[0.1] * 17)]])
    with pytest.warns(PoseTrackWarning, match=r"frame 0 .*person 0, scores: .* 15 joints .* counts as -9999"):
        result = evaluate_posetrack([labels], [found])
    assert result.metrics.ap[-1] == pytest.approx(
        25.0
    )  # the wrong one first: half of the people at precision 1/2


def test_ids_are_not_needed_for_ap_alone() -> None:
    labels, found = sequence([[person(0, 100)]] * 2), sequence([[person(0, 100)]] * 2)
    found.track_ids[:] = np.iinfo(np.int64).min
    result = evaluate_posetrack([labels], [found], tracking=False, warn=lambda text: None)
    assert result.metrics.ap[-1] == 100.0
    assert result.to_json()["mota"]["total"] is None
    with pytest.raises(ValueError, match=r"frame 0 .*person 0, track_id: expected the person's id, got none"):
        evaluate_posetrack([labels], [found])


def test_events_name_what_happened_to_whom() -> None:
    labels = sequence([[person(0, 100), person(1, 400)]] * 3)
    moved = person(5, 100)
    moved["keypoints"][0] = 190  # the nose is elsewhere
    found = sequence([[moved], [person(6, 100), person(9, 800)], []])
    result = evaluate_sequence(labels, found)
    events = result.joint_events
    assert events is not None
    nose = events.joint == JOINT_NAMES.index("nose")
    happened = sorted(
        (int(f), int(g), int(p), EventKind(k).name, bool(s))
        for f, g, p, k, s in zip(
            events.frame[nose], events.gt[nose], events.prediction[nose], events.kind[nose], events.shifted[nose],
            strict=True,
        )
    )  # fmt: skip
    assert happened == [
        (0, -1, 0, "FALSE_POSITIVE", True),
        (0, 0, -1, "MISS", True),
        (0, 1, -1, "MISS", False),
        (1, -1, 2, "FALSE_POSITIVE", False),
        (1, 2, 1, "MATCH", False),
        (1, 3, -1, "MISS", False),
    ]
    people = result.person_events
    assert people is not None
    assert (people.kind == EventKind.SWITCH).sum() == 1
    assert people.joint.tolist() == [-1] * len(people)
    assert result.prediction_of_gt.tolist() == [0, -1, 1, -1, -1, -1]
    assert (events.kind[events.joint != JOINT_NAMES.index("nose")] == EventKind.SWITCH).sum() == 14


def test_unlabelled_people_excuse_the_boxes_predicted_on_them() -> None:
    unlabelled = person(1, 400, keypoints=[0] * 51)
    labels = sequence([[person(0, 100), unlabelled]] * 3)
    found = sequence([[person(0, 100), person(1, 401), person(2, 700)]] * 3)
    boxes = evaluate_sequence(labels, found).metrics.boxes
    assert boxes is not None
    assert boxes.total("num_objects") == 2
    assert boxes.total("num_false_positives") == 2  # the one at 700, in two frames
    assert boxes.mota[0] == 0.0


def test_sequences_add_up_rather_than_average() -> None:
    long = sequence([[person(0, 100)]] * 11)
    short, missed = sequence([[person(0, 100)]] * 3), sequence([[person(0, 800)]] * 3)
    object.__setattr__(short, "name", "short")
    object.__setattr__(missed, "name", "short")
    result = evaluate_posetrack([long, short], [long, missed], warn=lambda text: None)
    # 10 matches; 2 misses and 2 false positives: not the mean of 100 and -100.
    assert result.metrics.joint_figure("mota")[-1] == pytest.approx(100 * (1 - 4 / 12))
    assert result.to_json()["sequences"]["short"]["mota"]["total"] == -100.0
