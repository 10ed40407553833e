"""What MDPN leaves out afterwards: short tracks, and joints below a confidence, which PoseTrack's MOTA counts."""

import json
from collections import Counter

import numpy as np
import pytest
from posetrack_helpers import file_content, person

from fastpose_mtn.commands.retrack import main
from fastpose_mtn.evaluation.posetrack.evaluation import evaluate_posetrack
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections, TrackedPersons
from fastpose_mtn.tracking.detections_file import SavedFrame, save
from fastpose_mtn.tracking.prune import prune_tracks

NAME = "000001_mpii_test"
WRIST = POSETRACK15.index("left_wrist")


def people(*places):
    """Somebody at each place, all joints at it but for a left wrist of little confidence 200 pixels below."""
    joints = np.full((len(places), 15, 3), 0.9, np.float32)
    joints[..., :2] = np.array([[x, 100] for x in places], np.float32).reshape(-1, 1, 2)
    joints[:, WRIST] += (0, 200, -0.8)
    centres = np.array(places, np.float32)
    boxes = np.stack([centres - 20, 0 * centres + 50, centres + 20, 0 * centres + 150], axis=1)
    return PersonDetections(boxes, np.full(len(places), 0.9, np.float32), joints)


@pytest.fixture
def detections(tmp_path):
    """Two people for six frames, and one who is seen once."""
    frames = [
        SavedFrame(i, i / 10, (480, 640), people(100 + i, 300 + i, *([500] if i == 2 else [])))
        for i in range(6)
    ]
    save(tmp_path / f"{NAME}.detections.npz", frames, source=NAME, skeleton=POSETRACK15)
    return tmp_path / f"{NAME}.detections.npz"


def retracked(detections, folder, *arguments):
    main(["--detections", str(detections), "--output", str(folder), *arguments])
    return json.loads((folder / f"{NAME}.json").read_text())


def test_short_tracks_are_left_out_as_by_hand(detections, tmp_path, capsys):
    whole = retracked(detections, tmp_path / "whole")
    lengths = Counter(annotation["track_id"] for annotation in whole["annotations"])
    assert sorted(lengths.values()) == [1, 6, 6]
    pruned = retracked(detections, tmp_path / "pruned", "--min-track-length", "2")
    wanted = [annotation for annotation in whole["annotations"] if lengths[annotation["track_id"]] >= 2]
    for annotations in (pruned["annotations"], wanted):
        for annotation in annotations:
            annotation.pop("id")  # counted anew
    assert pruned["annotations"] == wanted
    assert pruned["images"] == whole["images"]
    assert "6 frames, 12 boxes, 2 tracks" in capsys.readouterr().out


def test_nothing_is_left_of_what_is_too_short():
    frames = [(None, TrackedPersons(people(100)[:count], np.arange(count))) for count in (1, 0, 1)]
    assert [len(kept) for _, kept in prune_tracks(frames, 2)] == [1, 0, 1]
    assert [len(kept) for _, kept in prune_tracks(frames, 3)] == [0, 0, 0]
    assert prune_tracks([], 2) == []


def test_joints_below_the_threshold_are_absent_and_no_false_positives(detections, tmp_path):
    (tmp_path / "gt").mkdir()
    truth = file_content([[person(0, 100 + i), person(1, 300 + i)] for i in range(6)])
    (tmp_path / "gt" / f"{NAME}.json").write_text(json.dumps(truth))
    numbers = {}
    for name, arguments in (("all", []), ("sure", ["TRACKER.JOINT_OUTPUT_THRESH", "0.4"])):
        content = retracked(detections, tmp_path / name, "--min-track-length", "2", *arguments)
        slot = content["categories"][0]["keypoints"].index("left_wrist")
        wrists = {tuple(a["keypoints"][3 * slot : 3 * slot + 3]) for a in content["annotations"]}
        assert (wrists == {(0, 0, 0)}) == (name == "sure")
        numbers[name] = evaluate_posetrack(tmp_path / "gt", tmp_path / name).to_json()
    mota = {name: own["mota"] for name, own in numbers.items()}
    assert mota["all"]["left_wrist"] == pytest.approx(-100)  # each is missed, and found where it is not
    assert mota["sure"]["left_wrist"] == pytest.approx(0)  # missed alone
    assert mota["all"]["right_wrist"] == mota["sure"]["right_wrist"] == pytest.approx(100)
    assert numbers["all"]["precision"]["left_wrist"] == 0
    assert numbers["sure"]["precision"]["total"] > numbers["all"]["precision"]["total"]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--min-track-length", "0"], "--min-track-length 0: expected 1 frame or more"),
        (["--min-track-length", "2", "--gt", ".", "--ablation"], "--min-track-length: --ablation compares whole tracks"),
    ],
)  # fmt: skip
def test_lengths_that_mean_nothing(detections, tmp_path, arguments, text, capsys):
    with pytest.raises(SystemExit):
        main(["--detections", str(detections), "--output", str(tmp_path), *arguments])
    assert text in capsys.readouterr().err
