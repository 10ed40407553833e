"""The command line, with an estimator that finds coloured rectangles in the place of the network: sources and results."""

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
from rectangles import ColourTracker, moving, scene, write_video
from result_files import frame_lines, names

from fastpose_mtn.video.video_source import VideoSource


def test_a_video_becomes_results_and_an_overlay_of_its_length(run, tmp_path):
    times = [0.0, 0.1, 0.15, 0.4, 1.0, 1.05]
    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(6)], times)
    done = run("--input", "walk.mp4", "--formats", "posetrack,jsonl,csv,mot,coco", "--save-detections")
    assert done.status == 0
    assert names("output") == [
        "walk.coco.json", "walk.csv", "walk.detections.npz", "walk.json", "walk.jsonl", "walk.mp4", "walk.txt",
    ]  # fmt: skip
    result = json.loads(Path("output/walk.json").read_text())
    assert len(result["images"]) == 6
    assert len(result["annotations"]) == 12
    lines = frame_lines("output/walk.jsonl")
    np.testing.assert_allclose([line["time"] for line in lines], times, atol=1e-3)
    assert len(Path("output/walk.txt").read_text().splitlines()) == 12
    assert len(json.loads(Path("output/walk.coco.json").read_text())) == 12
    with av.open("output/walk.mp4") as overlay:
        np.testing.assert_allclose([f.time for f in overlay.decode(video=0)], times, atol=1e-3)
    header, row = done.out.splitlines()[:2]
    assert header.split()[:6] == ["source", "frames", "boxes", "people", "tracks", "frames/s"]
    assert row.split()[:5] == ["walk", "6", "12", "2", "2"]
    assert "6/6" in done.err


def test_the_overlay_shows_the_people(run, tmp_path):
    write_video(tmp_path / "walk.mp4", [scene((240, 320), red=(100, 50, 160, 200))] * 3)
    run("--input", "walk.mp4")
    (plain, *_), (drawn, *_) = (list(VideoSource(p, name="x")) for p in ("walk.mp4", "output/walk.mp4"))
    changed = np.abs(plain.image.astype(int) - drawn.image).max(axis=2) > 60
    assert changed[100:150, 120:140].any()
    assert not changed[:, 220:].any()


def test_folders_images_and_several_inputs(run, tmp_path):
    videos, images = tmp_path / "videos", tmp_path / "images"
    videos.mkdir()
    images.mkdir()
    for name in ("a", "b"):
        write_video(videos / f"{name}.mp4", [moving(i) for i in range(3)])
    for i in range(4):
        cv2.imwrite(str(images / f"{i:06d}.png"), moving(i)[..., ::-1])
    done = run("--input", videos, images, images / "000002.png", "--quiet")
    assert done.status == 0
    assert (done.out, done.err) == ("", "")
    expected = [
        "000002.jpg",
        "000002.json",
        *(f"{n}.{e}" for n in ("a", "b", "images") for e in ("json", "mp4")),
    ]
    assert names("output") == sorted(expected)
    assert len(json.loads(Path("output/images.json").read_text())["images"]) == 4


def test_a_file_lists_sources(run, tmp_path):
    for name in ("a b", "c"):
        write_video(tmp_path / f"{name}.mp4", [moving(i) for i in range(3)])
    (tmp_path / "list.txt").write_text("\ufeffa b.mp4\r\n\nno.mp4\nc.mp4\n", encoding="utf-8")
    done = run("@list.txt", "--quiet")
    assert (done.status, names("output")) == (2, ["a b.json", "a b.mp4", "c.json", "c.mp4"])
    assert done.err.startswith("error: no.mp4: ")


def test_a_list_that_is_none_is_told_and_others_go_on(run, tmp_path):
    write_video(tmp_path / "@c.mp4", [moving(i) for i in range(3)])
    (tmp_path / "empty.txt").write_text("\n")
    done = run("@empty.txt", "@missing.txt", "@@c.mp4", "@c.mp4", "--quiet")
    assert (done.status, names("output")) == (2, ["@c.json", "@c.mp4"])
    assert done.err.splitlines() == [
        "error: @empty.txt: expected sources, one a line; empty.txt is empty",
        "error: @missing.txt: expected a text file of sources, one a line: No such file or directory: missing.txt",
        "error: @@c.mp4: expected a text file of sources, one a line: not text: @c.mp4",
    ]


def photographs(folder):
    """The same two people walk through all of them; names say that they are unrelated."""
    folder.mkdir()
    for i, name in enumerate(("anna.jpg", "bob.png", "bob.jpg")):
        cv2.imwrite(str(folder / name), moving(4 * i)[..., ::-1])
    return folder


def test_photographs_keep_their_names_and_have_a_picture_and_ids_of_their_own(run, tmp_path):
    photographs(tmp_path / "friends")
    done = run("--input", "friends", "--formats", "posetrack,jsonl,coco", "--save-detections")
    assert done.status == 0
    assert "friends: 3 images, taken as unrelated photographs" in done.err
    result = json.loads(Path("output/friends.json").read_text())
    names_in_order = ["anna.jpg", "bob.jpg", "bob.png"]
    assert [Path(image["file_name"]).name for image in result["images"]] == names_in_order
    lines = frame_lines("output/friends.jsonl")
    assert [line["file_name"] for line in lines] == names_in_order
    assert names("output") == [
        "friends", "friends.coco.json", "friends.detections.npz", "friends.json", "friends.jsonl",
    ]  # fmt: skip
    assert names("output/friends") == ["anna.jpg", "bob.jpg", "bob.png.jpg"]
    drawn = cv2.imread("output/friends/anna.jpg")[..., ::-1]
    assert (np.abs(drawn.astype(int) - moving(0)).max(axis=2) > 60).any()


def test_nobody_is_followed_from_one_photograph_to_the_next(run, tmp_path, monkeypatch):
    photographs(tmp_path / "friends")
    resets = []
    monkeypatch.setattr(ColourTracker, "reset", lambda tracker: resets.append(len(tracker.times)))
    run("--input", "friends", "--quiet", "--no-video")
    assert resets == [0, 1, 2]  # before each
    run("--input", "friends", "--quiet", "--images", "sequence")
    assert len(resets) == 3
    assert "friends.mp4" in names("output")


def test_pictures_never_take_the_place_of_the_photographs(run, tmp_path):
    folder = photographs(tmp_path / "friends")
    before = (folder / "anna.jpg").read_bytes()
    done = run("--input", "friends", "--output", ".", "--quiet")
    assert done.status == 2
    assert "friends: its result would take its place; choose another folder with --output" in done.err
    assert (folder / "anna.jpg").read_bytes() == before


@pytest.mark.parametrize(
    ("name", "array"),
    [
        ("grey.png", np.full((40, 50), 80, np.uint8)),
        ("alpha.png", np.full((40, 50, 4), 80, np.uint8)),
        ("deep.png", np.full((40, 50, 3), 30_000, np.uint16)),
        ("odd.jpg", np.full((41, 51, 3), 80, np.uint8)),
    ],
)
def test_images_of_every_kind(run, tmp_path, name, array):
    cv2.imwrite(str(tmp_path / name), array)
    assert run("--input", name, "--quiet").status == 0
    height, width = array.shape[:2]
    (image,) = json.loads(Path("output", name).with_suffix(".json").read_text())["images"]
    assert (image["height"], image["width"]) == (height, width)


def test_a_turned_video_of_odd_size_is_tracked_upright(run, tmp_path):
    write_video(tmp_path / "phone.mp4", [moving(i, (47, 65)) for i in range(4)], rotation=90)
    assert run("--input", "phone.mp4").status == 0
    images = json.loads(Path("output/phone.json").read_text())["images"]
    assert {(image["height"], image["width"]) for image in images} == {(65, 47)}
    with av.open("output/phone.mp4") as overlay:
        assert (overlay.streams.video[0].height, overlay.streams.video[0].width) == (66, 48)


def test_two_inputs_of_one_name_do_not_overwrite_each_other(run, tmp_path):
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / "walk.mp4", [moving(i) for i in range(2)])
    assert run("--input", "a/walk.mp4", "--input", "b/walk.mp4", "--no-video").status == 0
    assert names("output") == ["walk.json", "walk_2.json"]


def test_a_folders_frame_rate_is_configured(run, tmp_path):
    (tmp_path / "f").mkdir()
    for i in range(3):
        cv2.imwrite(str(tmp_path / "f" / f"{i}.png"), moving(i))
    run("--input", "f", "--formats", "jsonl", "--no-video", "VIDEO.FOLDER_FRAME_RATE", "5.0")
    lines = frame_lines("output/f.jsonl")
    assert [line["time"] for line in lines] == [0.0, 0.2, 0.4]


@pytest.mark.parametrize("rate", ["0", "-5"])
def test_a_frame_rate_without_time_is_refused_by_its_key(run, tmp_path, rate):
    cv2.imwrite(str(tmp_path / "0.png"), moving(0))
    cv2.imwrite(str(tmp_path / "1.png"), moving(1))
    done = run("--input", ".", "--no-video", "VIDEO.FOLDER_FRAME_RATE", rate)
    assert done.status == 2
    assert f"VIDEO.FOLDER_FRAME_RATE: expected frames a second, more than 0, got {float(rate)}" in done.err


def test_real_clips_frames_and_images(real_data, run):
    clips = sorted((real_data / "clips").glob("*.mp4"))
    folder = real_data / "posetrack18/videos/000001_mpiinew_test"
    done = run("--input", *clips, folder, real_data / "coco", "--max-frames", "3", "--quiet")
    assert (done.status, done.err) == (0, "")
    images = json.loads(Path("output/000001_mpiinew_test.json").read_text())["images"]
    assert [image["id"] for image in images] == [30000010000, 30000010001, 30000010002]
    assert len(names("output")) == 8


def test_a_recording_played_as_if_it_happened_now_tells_its_latency(run, tmp_path):
    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(3)], [0.0, 0.01, 0.02])
    done = run("--input", "walk.mp4", "--live", "on", "--no-video", "--formats", "jsonl")
    assert done.status == 0
    assert "latency ms  95 % below" in done.out
    assert frame_lines("output/walk.jsonl")


def test_the_overlay_as_pictures(run, tmp_path):
    write_video(tmp_path / "walk.mp4", [moving(i) for i in range(5)])
    (tmp_path / "output" / "walk").mkdir(parents=True)  # somebody's own pictures of the same video
    (tmp_path / "output" / "walk" / "000000.jpg").touch()
    run("--input", "walk.mp4", "--save-images", "--no-video")
    assert names("output") == ["walk", "walk.json", "walk.overlay"]
    folder = tmp_path / "output" / "walk.overlay"
    assert names(folder) == [f"{i:06d}.jpg" for i in range(5)]
    picture = cv2.imread(str(folder / "000000.jpg"))[..., ::-1].astype(int)
    assert picture.shape == (48, 64, 3)
    assert np.abs(picture - moving(0)).max(axis=2)[:8].max() > 60  # a label above the person
    run("--input", "walk.mp4", "--save-images", "--max-frames", "3")
    assert names("output") == ["walk", "walk.json", "walk.mp4", "walk.overlay"]
    assert names(folder) == [f"{i:06d}.jpg" for i in range(3)]
    assert (tmp_path / "output" / "walk" / "000000.jpg").stat().st_size == 0


def test_the_pictures_of_a_sequence_have_its_names_and_one_pictures_is_one(run, tmp_path):
    (tmp_path / "walk").mkdir()
    for i in range(3):
        cv2.imwrite(str(tmp_path / "walk" / f"frame_{i:04d}.png"), moving(i)[..., ::-1])
    run("--input", "walk", "walk/frame_0002.png", "--save-images", "--no-video", "--quiet")
    assert names("output/walk.overlay") == [f"frame_{i:04d}.jpg" for i in range(3)]
    assert names("output") == ["frame_0002.jpg", "frame_0002.json", "walk.json", "walk.overlay"]


def test_crops_of_the_people_in_folders_by_id(run, tmp_path):
    for name in ("walk", "run"):
        write_video(tmp_path / f"{name}.mp4", [moving(i) for i in range(2)])
    arguments = ("--input", "walk.mp4", "run.mp4", "--save-crops", "crops", "--no-video", "--quiet")
    assert run(*arguments).status == 0
    assert names("crops") == ["run", "walk"]
    files = sorted(str(f.relative_to("crops/walk")) for f in Path("crops/walk").rglob("*.jpg"))
    assert files == [f"{person}/{frame:06d}.jpg" for person in ("0001", "0002") for frame in range(2)]
    red = cv2.imread("crops/walk/0001/000001.jpg")[..., ::-1].astype(int)  # 2 to 14, 8 to 40
    assert np.abs(red.mean(axis=(0, 1)) - (255, 0, 0)).max() < 40
    again = run(*arguments)
    assert again.status == 2
    assert "--save-crops: crops/walk is there already; remove it or choose another folder" in again.err
