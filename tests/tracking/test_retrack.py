import dataclasses
import functools
import json
import os
from dataclasses import replace

import numpy as np
import pytest

from fastpose_mtn.build import build_tracker
from fastpose_mtn.commands.retrack import main
from fastpose_mtn.config import get_cfg
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.skeletons import COCO17, HALPE136, POSETRACK15
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.detections_file import DetectionsWriter, SavedDetections, SavedFrame, load, save
from fastpose_mtn.tracking.occlusion_aware import OcclusionAwareTracker
from fastpose_mtn.tracking.parameters import STRATEGIES, TrackerParameters
from fastpose_mtn.tracking.retrack import Retracking, check_sources, find_detections, track_file, track_saved
from fastpose_mtn.video.frame import Frame
from fastpose_mtn.video.writers import PoseTrack18Writer

FIELDS = ("boxes", "scores", "keypoints", "embeddings")


def walkers(count, frames, *, skeleton=POSETRACK15, first_number=0):
    rng = np.random.default_rng(3)
    looks = np.eye(8, dtype=np.float32)[:count]
    for i in range(frames):
        x = 100.0 * np.arange(count, dtype=np.float32) + 3 * i
        boxes = np.stack([x, x * 0 + 50, x + 40, x * 0 + 150], 1)
        joints = rng.uniform(0.3, 1.0, (count, len(skeleton), 3)).astype(np.float32)
        joints[..., :2] = boxes[:, None, :2] + 40 * joints[..., :2]
        nobody = i == 2
        detections = PersonDetections(boxes, rng.uniform(0.75, 1, count).astype(np.float32), joints, looks)
        yield SavedFrame(first_number + i, i / 8, (480, 640), detections[:0] if nobody else detections)


@pytest.mark.parametrize(("independent", "ids"), [(True, [0, 1, 0]), (False, [0, 1, 1])])
def test_saved_photographs_keep_their_names_and_are_not_tracked_through(tmp_path, independent, ids):
    """The second of two people is in the second picture too."""
    first, second = walkers(2, 2)
    path = tmp_path / "friends.detections.npz"
    writer = DetectionsWriter(path, source="friends", skeleton=POSETRACK15, independent=independent)
    writer.write(replace(first, file_name="anna.png"))
    writer.write(replace(second, file_name="bob.png", detections=second.detections[1:]))
    writer.close()
    video = track_file(path, tmp_path, Retracking(lambda skeleton: OcclusionAwareTracker(skeleton=skeleton)))
    content = json.loads(video.path.read_text())
    assert [image["file_name"] for image in content["images"]] == [
        "images/friends/anna.png",
        "images/friends/bob.png",
    ]
    assert [person["track_id"] for person in content["annotations"]] == ids
    assert video.tracks == (0 if independent else 2)


@pytest.mark.parametrize(
    ("name", "skeleton", "first"),
    [("walk", POSETRACK15, 0), ("000012_mpii_test", POSETRACK15, 7), ("street", COCO17, 0)],
)
def test_the_file_is_the_one_that_track_video_writes(tmp_path, name, skeleton, first):
    frames = list(walkers(3, 5, skeleton=skeleton, first_number=first))
    writer = PoseTrack18Writer(tmp_path / "expected.json", sequence=name, skeleton=skeleton)
    tracker = OcclusionAwareTracker(skeleton=skeleton)
    for i, saved in enumerate(frames):
        frame = Frame(i, saved.number, saved.time_s, 1 / 8, None, saved.image_size_hw)
        writer.write(frame, tracker.update(saved.detections, saved.time_s))
    writer.close(True)

    save(tmp_path / f"{name}.detections.npz", frames, source=name, skeleton=skeleton)
    # a tracker that has seen another video begins anew
    video = track_file(tmp_path / f"{name}.detections.npz", tmp_path, Retracking(lambda skeleton: tracker))
    assert (video.source, video.frames, video.boxes, video.tracks) == (name, 5, 12, 3)
    assert video.path == tmp_path / f"{name}.json"
    assert video.path.read_text() == (tmp_path / "expected.json").read_text()
    content = json.loads(video.path.read_text())
    assert len(content["images"]) == 5
    assert {a["track_id"] for a in content["annotations"]} == {0, 1, 2}
    assert not [n for n in os.listdir(tmp_path) if "partial" in n]


def test_the_files_skeleton_counts_not_the_configurations(tmp_path, capsys):
    """Two people of 136 joints, the bodies seen, change places: their embeddings must be valid to tell."""
    body = HALPE136.parts["body"]
    joints = np.zeros((2, 136, 3), np.float32)
    joints[:, body, 2] = 1.0
    here = np.array([[100, 50, 140, 150], [112, 50, 152, 150]], np.float32)
    joints[..., :2] = here[:, None, :2]
    looks = np.eye(2, dtype=np.float32)
    scores = np.array([0.9, 0.8], np.float32)
    frames = [
        SavedFrame(i, i / 8, (480, 640), PersonDetections(boxes, scores, joints, looks))
        for i, boxes in enumerate((here, here[::-1].copy()))
    ]
    save(tmp_path / "halpe.detections.npz", frames, source="halpe", skeleton=HALPE136)
    main(["--detections", str(tmp_path), "--output", str(tmp_path)])  # whose MODEL.SKELETON is POSETRACK15
    assert "2 frames, 4 boxes, 2 tracks" in capsys.readouterr().out
    people = json.loads((tmp_path / "halpe.json").read_text())["annotations"]
    assert [(a["bbox"][0], a["track_id"]) for a in people] == [(100, 0), (112, 1), (112, 0), (100, 1)]


def test_scene_cuts_are_where_the_frames_had_them(tmp_path):
    """Tracked again without the frames, the same people get the same ids; without the mark they would not."""
    rng = np.random.default_rng(1)
    scenes = [
        np.kron(rng.integers(0, 255, (9, 16, 1), np.uint8), np.ones((20, 20, 3), np.uint8)) for _ in "ab"
    ]
    frames, expected, tracker = [], [], OcclusionAwareTracker()
    for i, saved in enumerate(walkers(3, 10)):
        found = saved.detections
        if i >= 5:  # each stands in another's place, and cannot be seen well
            found = PersonDetections(
                found.boxes, found.scores, found.keypoints * np.float32([1, 1, 0]), found.embeddings
            )
        expected.append(tracker.update(found, saved.time_s, scenes[i // 5]).track_ids.tolist())
        frames.append(SavedFrame(i, saved.time_s, (180, 320), found, scene_cut=tracker.scene_cut))
    assert [frame.scene_cut for frame in frames] == [i == 5 for i in range(10)]
    assert sorted(expected[5]) == [3, 4, 5]
    path = tmp_path / "cut.detections.npz"
    save(path, frames, source="cut", skeleton=POSETRACK15)
    again = [people.track_ids.tolist() for _, people in track_saved(load(path), OcclusionAwareTracker())]
    assert again == expected


def test_nobody_in_a_video(tmp_path):
    path = tmp_path / "empty.detections.npz"
    save(
        path, [SavedFrame(0, 0.0, (48, 64), PersonDetections.empty(15))], source="empty", skeleton=POSETRACK15
    )
    video = track_file(path, tmp_path, Retracking(functools.partial(build_tracker, get_cfg())))
    content = json.loads(video.path.read_text())
    assert len(content["images"]) == 1
    assert content["annotations"] == []


def test_people_who_were_saved_twice_are_one_for_every_strategy(tmp_path):
    """As files have it that were written before estimators left such people out."""
    frames, aside = [], np.float32([2, 2, 0])
    for saved in walkers(2, 4):
        found = saved.detections
        worse = PersonDetections(
            found.boxes + 2, found.scores - 0.1, found.keypoints + aside, found.embeddings
        )
        both = PersonDetections(
            *(np.concatenate([getattr(p, name) for p in (worse, found)]) for name in FIELDS)
        )
        frames.append(SavedFrame(saved.number, saved.time_s, saved.image_size_hw, both))
    path = tmp_path / "twice.detections.npz"
    save(path, frames, source="twice", skeleton=POSETRACK15)
    for strategy in STRATEGIES:
        tracker = OcclusionAwareTracker(TrackerParameters(strategy=strategy))
        once = track_file(path, tmp_path, Retracking(lambda _, tracker=tracker: tracker, PoseNMS))
        assert (once.boxes, once.tracks) == (6, 2)
        assert track_file(path, tmp_path, Retracking(lambda _, tracker=tracker: tracker)).boxes > 6


def test_files_are_found_in_order(tmp_path):
    for name in ("b", "a"):
        save(tmp_path / f"{name}.detections.npz", [], source=name, skeleton=POSETRACK15)
    (tmp_path / "c.npz").touch()
    assert [path.name for path in find_detections(tmp_path)] == ["a.detections.npz", "b.detections.npz"]
    one = tmp_path / "b.detections.npz"
    assert find_detections(one) == [one]


def test_nothing_to_track(tmp_path):
    with pytest.raises(ValueError, match=r"no NAME\.detections\.npz in it; track_video.py --save-detections"):
        find_detections(tmp_path)
    with pytest.raises(ValueError, match=r"absent: no such file or folder"):
        find_detections(tmp_path / "absent")


def test_a_frame_that_cannot_be_tracked_is_named(tmp_path):
    first, second = list(walkers(2, 2))
    people = second.detections
    longer = PersonDetections(people.boxes, people.scores, people.keypoints, np.ones((2, 9), np.float32))
    frames = [first, SavedFrame(1, 1.0, (480, 640), longer)]
    saved = SavedDetections("walk", POSETRACK15, tuple(frames))
    with pytest.raises(ValueError, match="walk: frame 1: embeddings: 9 values a person, but 8"):
        list(track_saved(saved, OcclusionAwareTracker()))


def test_a_source_cannot_lead_out_of_the_folder(tmp_path):
    path = tmp_path / "a.detections.npz"
    save(path, [], source="../a", skeleton=POSETRACK15)
    with pytest.raises(
        ValueError, match=r"a\.detections\.npz: source: expected a plain file name, got '\.\./a'"
    ):
        track_file(path, tmp_path, Retracking(functools.partial(build_tracker, get_cfg())))


def test_offline_fills_a_frame_and_marks_it_in_every_format(tmp_path, capsys):
    """Nobody is found in the third of five frames."""
    save(tmp_path / "walk.detections.npz", walkers(3, 5), source="walk", skeleton=POSETRACK15)
    main(
        [
            "--detections",
            str(tmp_path),
            "--output",
            str(tmp_path),
            "--offline",
            "--formats",
            "posetrack,jsonl,mot",
        ]
    )
    assert "5 frames, 15 boxes, 3 tracks" in capsys.readouterr().out
    _header, *lines = [json.loads(line) for line in (tmp_path / "walk.jsonl").read_text().splitlines()]
    assert [len(line["people"]) for line in lines] == [3] * 5
    assert [[p.get("interpolated") for p in line["people"]] for line in lines[1:3]] == [
        [None] * 3,
        [True] * 3,
    ]
    assert not any("skipped" in line for line in lines)
    content = json.loads((tmp_path / "walk.json").read_text())
    assert sum(a.get("interpolated", False) for a in content["annotations"]) == 3
    assert len((tmp_path / "walk.txt").read_text().splitlines()) == 12
    main(["--detections", str(tmp_path), "--output", str(tmp_path)])
    assert len(json.loads((tmp_path / "walk.json").read_text())["annotations"]) == 12


def test_photographs_are_not_mended(tmp_path):
    path = tmp_path / "friends.detections.npz"
    writer = DetectionsWriter(path, source="friends", skeleton=POSETRACK15, independent=True)
    for frame in walkers(2, 5):
        writer.write(replace(frame, file_name=f"{frame.number}.png"))
    writer.close()
    main(["--detections", str(path), "--output", str(tmp_path), "--offline"])
    people = json.loads((tmp_path / "friends.json").read_text())["annotations"]
    assert len(people) == 8
    assert {person["track_id"] for person in people} == {0, 1}


def test_a_file_of_another_video_is_named(tmp_path, capsys):
    save(tmp_path / "street.detections.npz", walkers(1, 3), source="walk", skeleton=POSETRACK15)
    main(["--detections", str(tmp_path), "--output", str(tmp_path), "--offline"])
    streams = capsys.readouterr()
    assert (
        "street.detections.npz: holds the people of another video, 'walk', which names the results"
        in streams.err
    )
    assert (tmp_path / "walk.json").is_file()


def test_times_that_are_no_seconds_are_told(tmp_path, capsys):
    """Nobody is followed, and --offline would leave everybody out."""
    frames = [dataclasses.replace(f, time_s=1000 * f.time_s) for f in walkers(1, 3)]
    save(tmp_path / "walk.detections.npz", frames, source="walk", skeleton=POSETRACK15)
    main(["--detections", str(tmp_path), "--output", str(tmp_path)])
    streams = capsys.readouterr()
    assert "walk.json: 3 frames, 2 boxes, 2 tracks" in streams.out
    assert (
        f"warning: {tmp_path / 'walk.detections.npz'}: times_s: every frame is more than 1 s" in streams.err
    )


def test_two_files_of_one_video_do_not_write_over_each_other(tmp_path):
    for name in ("a", "b"):
        save(tmp_path / f"{name}.detections.npz", walkers(1, 3), source="walk", skeleton=POSETRACK15)
    with pytest.raises(
        ValueError, match=r"b\.detections\.npz: holds the people of 'walk', as .*a\.detections\.npz does"
    ):
        check_sources(find_detections(tmp_path))
    with pytest.raises(SystemExit):
        main(["--detections", str(tmp_path), "--output", str(tmp_path)])
    assert not (tmp_path / "walk.json").exists()


def test_a_broken_file_is_named_and_stops_no_other(tmp_path, capsys):
    """Its embeddings are no numbers; what was there of it before stays."""
    for name in ("a", "b"):
        save(tmp_path / f"{name}.detections.npz", walkers(2, 3), source=name, skeleton=POSETRACK15)
    with np.load(tmp_path / "a.detections.npz") as archive:
        arrays = dict(archive)
    arrays["embeddings"][3] = np.nan
    np.savez(tmp_path / "a.detections.npz", **arrays)
    (tmp_path / "a.json").write_text("before")
    with pytest.raises(SystemExit) as exit_info:
        main(["--detections", str(tmp_path), "--output", str(tmp_path), "--offline"])
    assert exit_info.value.code == 2
    assert (
        "a.detections.npz: frame 1: PersonDetections.embeddings: expected finite numbers"
        in capsys.readouterr().err
    )
    assert (tmp_path / "a.json").read_text() == "before"
    assert (tmp_path / "b.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--formats", "pdf"], "--formats: unknown format 'pdf'"),
        (["--formats", ","], "--formats: expected at least one format"),
        (["--gt", "labels"], "--gt labels: is what --ablation compares with; add it, or leave --gt out"),
        (["--workers", "0"], "--workers 0: expected 1 or more"),
        (
            ["--strategy", "iou", "TRACKER.STRATEGY", "reid"],
            "--strategy iou: TRACKER.STRATEGY reid says otherwise; give one of them",
        ),
        (["--tracker", "flow", "TRACKER.NAME", "msim"], "--tracker flow: TRACKER.NAME msim says otherwise"),
        (
            ["--ablation", "--gt", "absent", "TRACKER.STRATEGY", "reid"],
            "TRACKER.STRATEGY: --ablation compares all of them; leave one of the two out",
        ),
        (
            ["--offline", "TRACKER.OFFLINE.MAX_GAP_SECONDS", "-1"],
            "TRACKER.OFFLINE.MAX_GAP_SECONDS): expected 0 or more",
        ),
        (["VIDEO.FOLDER_FRAME_RATE", "0"], "VIDEO.FOLDER_FRAME_RATE: expected frames a second, more than 0"),
    ],
)
def test_a_bad_setting_is_told_before_any_work(tmp_path, capsys, arguments, expected):
    with pytest.raises(SystemExit):
        main(["--detections", str(tmp_path / "absent"), "--output", str(tmp_path), *arguments])
    assert expected in capsys.readouterr().err
