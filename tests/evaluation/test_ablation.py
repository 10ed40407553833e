"""The strategies' comparison: its interval by hand, its table, and the command on drawn people."""

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from fastpose_mtn.build import build_tracker
from fastpose_mtn.commands.retrack import main
from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.synthetic import SceneConfig, SyntheticScene, write_dataset
from fastpose_mtn.evaluation.ablation import (
    SwitchReduction,
    ablation_table,
    bootstrap_reduction,
    run_ablation,
)
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.detections_file import SavedFrame, load, save
from fastpose_mtn.tracking.flow import FlowTracker
from fastpose_mtn.tracking.retrack import Retracking
from fastpose_mtn.video.sources import open_source


def test_reduction_of_all_sequences_together():
    """40 switches become 25: 37.5 % fewer, whatever the sequences' own shares."""
    reduction = bootstrap_reduction(np.array([30.0, 10.0]), np.array([20.0, 5.0]))
    assert reduction.percent == pytest.approx(37.5)
    # resampling two sequences gives the first twice (1/3 fewer), the second twice (1/2) or both
    assert reduction.low == pytest.approx(100 / 3)
    assert reduction.high == pytest.approx(50.0)


def test_nothing_to_reduce():
    assert bootstrap_reduction(np.zeros(3), np.zeros(3)).percent is None


def saved_truth(path, seed, frames):
    """The drawn people as a network without error would find them, with a vector for each identity."""
    scene = SyntheticScene(seed, SceneConfig(size_wh=(320, 180), frame_count=frames, people=3))
    vectors = np.eye(128, dtype=np.float32)

    def found():
        for index in range(frames):
            targets = scene.frame(index).targets
            people = targets[~targets.ignore]
            joints = people.keypoints.copy()
            joints[..., 2] = people.keypoints[..., 2] == 2
            scores = np.ones(len(people), np.float32)
            yield SavedFrame(
                number=index,
                time_s=index / 30,
                image_size_hw=(180, 320),
                detections=PersonDetections(people.boxes, scores, joints, vectors[people.identities]),
            )

    save(path, found(), source=path.name.removesuffix(".detections.npz"), skeleton=POSETRACK15)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    config = SceneConfig(size_wh=(320, 180), frame_count=12, people=3)
    names = write_dataset(folder, sequences=2, frames=12, seed=40, config=config)
    for number, name in enumerate(names):
        saved_truth(folder / f"{name}.detections.npz", 40 + number, 12)
    return folder, names


def test_the_command_compares_the_strategies(drawn, tmp_path, capsys):
    folder, _names = drawn
    main(
        [
            "--detections",
            str(folder),
            "--gt",
            str(folder / "annotations"),
            "--ablation",
            "--output",
            str(tmp_path),
        ]
    )
    out = capsys.readouterr().out
    assert out.splitlines()[0].split() == ["strategy", "mAP", "MOTA", "FP", "FN", "IDS", "IDF1", "HOTA"]
    ablation = json.loads((tmp_path / "ablation.json").read_text())
    assert list(ablation["strategies"]) == ["iou", "reid", "occlusion_aware", "msim"]
    for metrics in ablation["strategies"].values():
        assert metrics["ap"]["total"] == pytest.approx(100.0)
        assert metrics["num_false_positives"] == metrics["num_misses"] == 0
        assert len(metrics["sequences"]) == 2
    nothing = {"percent": None, "low": None, "high": None, "sequences": 2}
    assert ablation["switch_reduction"] == {"iou": nothing, "reid": nothing, "msim": nothing}
    page = (tmp_path / "ablation.html").read_text(encoding="utf-8")
    assert "Switches of occlusion_aware alone: 0, of iou alone: 0, of both: 0." in page
    assert 'aria-label="Similarities of the same person and of different people"' in page


def test_no_change_has_no_sign_of_less(drawn):
    folder, _names = drawn
    files = sorted(folder.glob("*.detections.npz"))
    retracking = Retracking(lambda skeleton: build_tracker(get_cfg(), skeleton))
    ablation = run_ablation(files, folder / "annotations", lambda row: retracking)
    equal = SwitchReduction(percent=0.0, low=-0.0, high=0.04, sequences=2)
    text = ablation_table(replace(ablation, switch_reduction={"iou": equal}))
    assert "against iou: +0.0 % (95 % confidence: +0.0 to +0.0 %, 2 sequences)" in text


def test_offline_is_a_row_of_its_own(drawn, tmp_path, capsys):
    folder, _names = drawn
    labels = str(folder / "annotations")
    main(["--detections", str(folder), "--gt", labels, "--ablation", "--offline", "--output", str(tmp_path)])
    out = capsys.readouterr().out
    assert [line.split()[0] for line in out.splitlines() if line[:1].isalpha()][1:6] == [
        "iou", "reid", "occlusion_aware", "msim", "offline",
    ]  # fmt: skip
    ablation = json.loads((tmp_path / "ablation.json").read_text())
    assert ablation["strategies"]["offline"]["num_switches"] == 0
    assert ablation["offline_reduction"]["sequences"] == 2


def test_detections_of_other_frames_are_named(drawn, tmp_path, capsys):
    folder, names = drawn
    other = tmp_path / f"{names[0]}.detections.npz"
    whole = load(folder / other.name)
    save(other, whole.frames[:3], source=whole.source, skeleton=whole.skeleton)
    with pytest.raises(SystemExit):
        main(["--detections", str(other), "--gt", str(folder / "annotations"), "--ablation"])
    assert f"error: {other}: sequence {names[0]}: expected 12 frames" in capsys.readouterr().err


def test_what_is_odd_is_told_once_and_of_the_files_that_were_given(drawn, tmp_path, recwarn, capsys):
    """Labels of another video under the same name, nobody among them, and detections without looks."""
    folder, names = drawn
    mine = tmp_path / f"{names[0]}.detections.npz"
    with np.load(folder / mine.name) as archive:
        arrays = dict(archive)
    arrays["embeddings"][:] = 0
    np.savez(mine, **arrays)
    labels = json.loads((folder / "annotations" / f"{names[1]}.json").read_text())
    (tmp_path / "gt").mkdir()
    (tmp_path / "gt" / f"{names[0]}.json").write_text(json.dumps({**labels, "annotations": []}))
    main(["--detections", str(mine), "--gt", str(tmp_path / "gt"), "--ablation"])
    told = [line for line in capsys.readouterr().err.splitlines() if line.startswith("warning: ")]
    assert not recwarn.list
    assert len(told) == len(set(told)) == 3
    assert all(any(text in line for line in told) for text in (
        f"{mine}: embeddings: those of", f"{mine}: sequence {names[0]}: its frames lie in a folder", "nobody is labelled",
    ))  # fmt: skip


def test_the_command_tracks_again(drawn, tmp_path, capsys):
    folder, names = drawn
    main(
        [
            "--detections",
            str(folder / f"{names[0]}.detections.npz"),
            "--output",
            str(tmp_path),
            "--strategy",
            "iou",
        ]
    )
    assert [path.name for path in tmp_path.iterdir()] == [f"{names[0]}.json"]
    assert "12 frames" in capsys.readouterr().out


def test_with_the_frames_the_flow_tracker_is_compared_too(drawn, tmp_path, capsys):
    folder, names = drawn
    arguments = ["--detections", str(folder), "--gt", str(folder / "annotations"), "--ablation", "--output"]
    main([*arguments, str(tmp_path), "--images", str(folder / "images")])
    rows = ["iou", "reid", "occlusion_aware", "msim", "flow", "flow_none"]
    ablation = json.loads((tmp_path / "ablation.json").read_text())
    assert list(ablation["strategies"]) == rows
    for metrics in ablation["strategies"].values():
        assert metrics["num_misses"] == 0
    capsys.readouterr()

    # frames that cannot be read again cost the flow tracker's row alone
    images = tmp_path / "images"
    for name in names:
        shutil.copytree(folder / "images" / name, images / name)
    (images / names[1] / "000007.jpg").unlink()
    with pytest.raises(SystemExit) as ended:
        main([*arguments, str(tmp_path), "--images", str(images)])
    assert ended.value.code == 2
    printed = capsys.readouterr()
    assert "occlusion_aware" in printed.out
    assert f"{images / names[1]}: it ends before frame 7 of {names[1]}; give --images" in printed.err
    ablation = json.loads((tmp_path / "ablation.json").read_text())
    assert list(ablation["strategies"]) == [*rows[:4], "flow_none"]


def test_frames_are_read_again_for_the_flow_tracker(drawn, tmp_path, capsys):
    """Of images and of a video of the same name; the ids are those of a tracker that saw them the first time."""
    folder, names = drawn
    saved = load(folder / f"{names[0]}.detections.npz")
    frames = [frame.image for frame in open_source(str(folder / "images" / names[0]))]
    tracker = FlowTracker()
    expected = [
        tracker.update(s.detections, s.time_s, image, scene_cut=s.scene_cut).track_ids.tolist()
        for s, image in zip(saved, frames, strict=True)
    ]
    for images in (folder / "images", folder / "videos", folder / "images" / names[0]):
        detections = str(folder / f"{names[0]}.detections.npz")
        into = ["--output", str(tmp_path), "--images", str(images)]
        main(["--detections", detections, *into, "TRACKER.NAME", "flow"])
        content = json.loads((tmp_path / f"{names[0]}.json").read_text())
        ids = [
            [a["track_id"] for a in content["annotations"] if a["image_id"] == i["id"]]
            for i in content["images"]
        ]
        assert ids == expected
    assert "is called otherwise" not in capsys.readouterr().err


def test_frames_of_a_video_of_another_name_are_told_and_a_broken_file_stops_no_other(drawn, tmp_path, capsys):
    folder, names = drawn
    mine = tmp_path / f"{names[0]}.detections.npz"
    shutil.copy(folder / mine.name, mine)
    other = folder / "videos" / f"{names[1]}.mp4"
    flow = ["--output", str(tmp_path), "TRACKER.NAME", "flow", "--images"]
    main(["--detections", str(mine), *flow, str(other)])
    assert f"--images {other}: is called otherwise than '{names[0]}'" in capsys.readouterr().err
    (tmp_path / f"{names[0]}.json").unlink()
    (tmp_path / f"{names[1]}.detections.npz").write_bytes(b"cut")
    with pytest.raises(SystemExit):
        main(["--detections", str(tmp_path), *flow, str(folder / "videos")])
    assert f"{names[1]}.detections.npz: not a readable file" in capsys.readouterr().err
    assert (tmp_path / f"{names[0]}.json").is_file()


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--ablation"], "--ablation needs --gt DIR"),
        (["--ablation", "--gt", "gt", "--strategy", "iou"], "leave one of the two out"),
        (["--ablation", "--gt", "gt", "--tracker", "msim"], "--tracker: --ablation compares all of them"),
        ([], "--output DIR is needed"),
        (["--output", "out", "TRACKER.MIN_SCOR", "0.1"], "did you mean TRACKER.MIN_SCORE?"),
        (
            ["--output", "out", "TRACKER.MIN_SCORE", "2.0"],
            "(TRACKER.MIN_SCORE): expected a number from 0 to 1",
        ),
        (["--ablation", "--gt", "{nowhere}"], "ground truth of"),
        (
            ["--output", "out", "--images", "."],
            "--images .: this tracker looks at no pixels; set TRACKER.NAME flow",
        ),
        (["--output", "out", "TRACKER.NAME", "flow"], "looks at the frames' pixels; add --images SOURCE"),
        (
            ["--ablation", "--gt", "gt", "--output", "out", "--images", "no"],
            "--images no: no such file or folder; give --images the video",
        ),
    ],
)
def test_a_bad_argument_is_one_line(drawn, tmp_path, monkeypatch, capsys, arguments, expected):
    monkeypatch.chdir(tmp_path)
    arguments = [a.replace("{nowhere}", str(tmp_path)) for a in arguments]
    with pytest.raises(SystemExit) as ended:
        main(["--detections", str(drawn[0]), *arguments])
    err = capsys.readouterr().err
    assert ended.value.code == 2
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert expected in err
