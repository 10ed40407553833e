"""Which videos a corpus has, and that no two have results of one name."""

import pytest
from PIL import Image

pytest.importorskip("fsspec", reason="fsspec is not installed: pip install -e '.[corpus]'")

import fsspec

from fastpose_mtn.corpus.place import Place
from fastpose_mtn.corpus.videos import Video, find_videos, name_videos


@pytest.fixture
def files(tmp_path):
    def make(*names):
        for name in names:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(name.encode(errors="replace"))

    return make


def find(tmp_path, *given, output="out"):
    videos, problems = find_videos([str(tmp_path / name) for name in given], Place.of(str(tmp_path / output)))
    return [video.source.removeprefix(f"{tmp_path}/") for video in videos], [
        str(problem).replace(f"{tmp_path}/", "") for problem in problems
    ]


def test_a_folder_is_all_videos_below_it_but_hidden_ones_and_results(files, tmp_path):
    files(
        "v/b.mp4", "v/a.MOV", "v/deep/er/c.avi", "v/notes.txt", "v/.trash/d.mp4", "v/._e.mp4", "v/out/b.mp4"
    )
    assert find(tmp_path, "v", output="v/out") == (["v/a.MOV", "v/b.mp4", "v/deep/er/c.avi"], [])


def test_animated_images_of_a_folder_are_videos_and_others_are_not(tmp_path):
    pictures = [Image.new("RGB", (8, 6), (level, 0, 0)) for level in (0, 200)]
    (tmp_path / "v").mkdir()
    for ending in ("gif", "webp"):
        pictures[0].save(tmp_path / f"v/moves.{ending}", save_all=True, append_images=pictures[1:])
        pictures[0].save(tmp_path / f"v/still.{ending}")
    assert find(tmp_path, "v") == (["v/moves.gif", "v/moves.webp"], [])


def test_a_name_that_is_no_text_is_told_and_does_not_stop_the_others(files, tmp_path):
    files("v/a.mp4", "v/caf\udce9.mp4")
    found, (problem,) = find(tmp_path, "v")
    assert found == ["v/a.mp4"]
    assert problem == "v/caf\\udce9.mp4: its name is no UTF-8, and has no place in the manifest; rename it"


def test_files_and_patterns_in_the_order_given_each_once(files, tmp_path):
    files("v/b.mp4", "v/a.mp4", "v/[1].mp4", "w.bin")
    assert find(tmp_path, "w.bin", "v/b.mp4", "v/*.mp4", "v/[1].mp4") == (
        ["w.bin", "v/b.mp4", "v/[1].mp4", "v/a.mp4"],
        [],
    )


def test_the_size_and_time_of_a_video_are_known(files, tmp_path):
    files("a.mp4")
    ((video,), _) = find_videos([str(tmp_path / "a.mp4")], Place.of(str(tmp_path / "out")))
    assert video == Video(f"{tmp_path}/a.mp4", 5, str((tmp_path / "a.mp4").stat().st_mtime))


def test_videos_in_memory(tmp_path):
    memory = fsspec.filesystem("memory")
    memory.pipe_file(f"{tmp_path}/v/a.mp4", b"content")
    (videos, problems) = find_videos([f"memory://{tmp_path}/v"], Place.of("memory://out"))
    assert ([video.source for video in videos], problems) == ([f"memory://{tmp_path}/v/a.mp4"], [])
    memory.rm("/", recursive=True)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("absent.mp4", "absent.mp4: no such file or folder; check the path"),
        (
            "images",
            "images: no videos in it; a corpus is made of files such as .mp4, .mov, .avi or .mkv (track_video.py "
            "reads folders of images)",
        ),
        ("images/*.mp4", "images/*.mp4: no videos in it; a corpus is made of"),
        (
            "out/walk.mp4",
            "out/walk.mp4: it lies in the folder of results, out, where results could take its place; choose another "
            "--output",
        ),
        ("out", "out: it lies in the folder of results, out, where"),
    ],
)
def test_a_place_without_videos_is_told_and_does_not_stop_the_others(files, tmp_path, given, message):
    files("images/1.png", "out/walk.mp4", "good.mp4")
    found, (problem,) = find(tmp_path, given, "good.mp4")
    assert found == ["good.mp4"]
    assert problem.startswith(message)


def video(source):
    return Video(source, 1, "")


def test_names_are_unique_and_those_of_an_earlier_run_stay():
    videos = [video(source) for source in ("/a/walk.mp4", "/b/walk.avi", "/c/Walk.mp4", "/d/run.mp4")]
    assert name_videos(videos, {"/b/walk.avi": "walk"}) == {
        "/a/walk.mp4": "walk_2", "/b/walk.avi": "walk", "/c/Walk.mp4": "Walk_3", "/d/run.mp4": "run",
    }  # fmt: skip


def test_no_two_names_share_a_file():
    # walk.coco.json is COCO's format of walk and PoseTrack's of walk.coco; A.mp4 is a.mp4 on some disks
    videos = [video(source) for source in ("walk.mp4", "walk.coco.mp4", "WALK.mp4", "walk_2.mp4")]
    assert list(name_videos(videos, {}).values()) == ["walk", "walk.coco_2", "WALK_2", "walk_2_2"]


def test_many_videos_of_one_name_are_named_at_once():
    names = name_videos([video(f"/{i}/video.mp4") for i in range(20_000)], {})
    assert len(set(names.values())) == 20_000
    assert names["/19999/video.mp4"] == "video_20000"
