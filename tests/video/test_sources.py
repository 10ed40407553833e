import os
import subprocess
import sys

import cv2
import numpy as np
import pytest
from rectangles import moving, write_video

from fastpose_mtn.errors import InputError
from fastpose_mtn.video.sources import ArraySource, ImageSource, find_inputs, open_source


def folder_of(path, names, size_hw=(8, 12)):
    path.mkdir()
    for number, name in enumerate(names):
        cv2.imwrite(str(path / name), np.full((*size_hw, 3), number * 10, np.uint8))
    return path


def test_a_folder_of_images_is_one_sequence_in_natural_order(tmp_path):
    folder = folder_of(tmp_path / "walk", ["f0.png", "f1.png", "f2.png", "f10.png"])
    (folder / "walk.mp4").write_bytes(b"whatever lies beside the images")
    told = []
    assert find_inputs(str(folder), told.append) == [str(folder)]
    assert told == [f"{folder}: 4 images; 1 video beside them passed over"]
    source = open_source(str(folder), folder_frame_rate=10)
    frames = list(source)
    assert (source.name, source.frame_count, source.frame_rate) == ("walk", 4, 10)
    assert [int(f.image[0, 0, 0]) for f in frames] == [0, 10, 20, 30]
    assert [f.time_s for f in frames] == [0.0, 0.1, 0.2, 0.3]
    assert [f.number for f in frames] == [0, 1, 2, 3]
    assert frames[0].image_size_hw == (8, 12)


def test_the_images_names_tell_whether_they_are_a_sequence_unless_that_is_said(tmp_path):
    people = str(folder_of(tmp_path / "people", ["anna.png", "bob.png"]))
    walk = str(folder_of(tmp_path / "walk", ["f0.png", "f1.png", "f10.png"]))
    told = []
    assert open_source(people, report=told.append).independent
    assert not open_source(walk, report=told.append).independent
    assert told == [
        f"{people}: 2 images, taken as unrelated photographs: anna.png and bob.png differ by more than a number; "
        "--images sequence follows people through them",
        f"{walk}: 3 images, taken as one sequence: their names are numbered; --images independent takes each by itself",
    ]
    assert not open_source(people, images="sequence", report=told.append).independent
    assert open_source(walk, images="independent", report=told.append).independent
    assert len(told) == 2


def test_images_keep_their_names(tmp_path):
    folder = folder_of(tmp_path / "people", ["bob.png", "Anna K.jpg"])
    assert [frame.file_name for frame in open_source(str(folder))] == ["Anna K.jpg", "bob.png"]
    assert [frame.file_name for frame in open_source(str(folder / "bob.png"))] == ["bob.png"]


@pytest.mark.parametrize(
    "images", [["poster.jpg"], ["a.jpg", "b2.jpg"], ["thumb1.jpg", "thumb2.jpg"], list("xyz")]
)
def test_images_beside_videos_are_their_thumbnails(tmp_path, images):
    for name in ("a.mp4", "b2.mp4", *(name if "." in name else f"{name}.png" for name in images)):
        (tmp_path / name).touch()
    told = []
    assert find_inputs(str(tmp_path), told.append) == [str(tmp_path / "a.mp4"), str(tmp_path / "b2.mp4")]
    count = f"{len(images)} image{'s' if len(images) > 1 else ''}"
    assert told == [f"{tmp_path}: 2 videos; {count} beside them passed over"]


def test_numbered_images_keep_their_numbers(tmp_path):
    folder = folder_of(tmp_path / "coco", ["000000000785.jpg", "000000040083.jpg"])
    assert [(f.index, f.number) for f in open_source(str(folder))] == [(0, 785), (1, 40083)]


def test_one_image_is_a_source_of_one_still_frame(tmp_path):
    folder_of(tmp_path / "a", ["000012.png"])
    source = open_source(str(tmp_path / "a" / "000012.png"))
    assert isinstance(source, ImageSource)
    assert (source.name, source.still, source.frame_count) == ("000012", True, 1)
    assert [f.number for f in source] == [12]


def test_a_bad_single_image_is_told_at_once(tmp_path):
    (tmp_path / "a.png").write_text("hello")
    with pytest.raises(InputError, match="expected an image, got 5 bytes that cannot be decoded"):
        open_source(str(tmp_path / "a.png"))


def test_an_image_that_fails_in_the_middle_keeps_its_place(tmp_path):
    folder = folder_of(tmp_path / "walk", ["0.png", "1.png", "2.png"])
    (folder / "1.png").write_bytes(b"")
    source = open_source(str(folder))
    frames = list(source)
    assert [f.image is None for f in frames] == [False, True, False]
    assert frames[1].image_size_hw == (8, 12)
    assert source.skipped == [1]


def test_a_folder_whose_images_all_fail_is_an_error(tmp_path):
    folder = folder_of(tmp_path / "walk", ["0.png"])
    (folder / "0.png").write_bytes(b"")
    with pytest.raises(InputError, match="none of its 1 images can be decoded"):
        list(open_source(str(folder)))


def test_a_folder_of_videos_is_each_of_them(tmp_path):
    for name in ("b10.mp4", "b2.MOV", ".hidden.mp4", "notes.txt"):
        (tmp_path / name).touch()
    assert find_inputs(str(tmp_path)) == [str(tmp_path / "b2.MOV"), str(tmp_path / "b10.mp4")]


def test_a_folder_of_folders_and_a_link_that_leads_nowhere_are_told(tmp_path):
    folder_of(tmp_path / "walk", ["a.jpg"])
    with pytest.raises(InputError, match=f"such as .jpg, .png or .mp4, for example {tmp_path}/walk"):
        find_inputs(str(tmp_path))
    (tmp_path / "clip.mp4").symlink_to(tmp_path / "gone.mp4")
    with pytest.raises(
        InputError, match=r"clip\.mp4: no such file or folder; it is a link that leads nowhere"
    ):
        find_inputs(str(tmp_path / "clip.mp4"))


def test_photographs_that_are_not_read_are_told(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pillow_heif", None)  # not installed
    for name in ("IMG_1.HEIC", "IMG_2.HEIC"):
        (tmp_path / name).write_bytes(b"0" * 64)
    with pytest.raises(
        InputError,
        match=r"2 photographs of kinds that are not read \(\.HEIC\); pip install pillow-heif, which reads HEIC, or convert them",
    ):
        find_inputs(str(tmp_path))
    cv2.imwrite(str(tmp_path / "IMG_3.jpg"), np.zeros((8, 12, 3), np.uint8))
    told = []
    assert find_inputs(str(tmp_path), told.append) == [str(tmp_path)]
    assert "2 photographs passed over, first IMG_" in told[0]
    for name in ("IMG_1.HEIC", "IMG_2.HEIC"):
        (tmp_path / name).rename((tmp_path / name).with_suffix(".CR2"))
    find_inputs(str(tmp_path), told.append)
    assert told[1].endswith(".CR2; convert them to JPEG")


def test_what_is_not_there_is_said(tmp_path):
    with pytest.raises(InputError, match=r"absent\.mp4: no such file or folder; check the path"):
        find_inputs(str(tmp_path / "absent.mp4"))
    with pytest.raises(
        InputError, match="a folder without images and videos; give one that holds files such as"
    ):
        find_inputs(str(tmp_path))


def test_numbers_and_addresses_are_not_looked_up_as_files():
    assert find_inputs("0") == ["0"]
    assert find_inputs("rtsp://host/stream") == ["rtsp://host/stream"]


def test_an_absent_camera_is_one_clear_error():
    """In a process of its own: what OpenCV prints by itself must not appear either."""
    code = (
        "from fastpose_mtn.errors import exit_on_error\n"
        "from fastpose_mtn.video.sources import open_source\n"
        "with exit_on_error(): open_source('63')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: camera 63: there is none, or it cannot be opened")
    assert done.stderr.count("\n") == 1


def test_a_stream_that_is_off_is_named_without_its_password():
    with pytest.raises(
        InputError, match="http://127.0.0.1:1/live/a.ts: the stream cannot be opened"
    ) as caught:
        open_source("http://user:secret@127.0.0.1:1/live/a.ts")
    assert "secret" not in str(caught.value)


def test_arrays_are_checked():
    frames = list(ArraySource([np.zeros((4, 6, 3), np.uint8)] * 3, frame_rate=5))
    assert [f.time_s for f in frames] == [0.0, 0.2, 0.4]
    with pytest.raises(
        ValueError, match=r"frame 0: expected an RGB image \(H, W, 3\) uint8, .*, got \(4, 6\) float64"
    ):
        list(ArraySource([np.zeros((4, 6))], frame_rate=5))


def test_a_pattern_that_no_shell_replaced_is_the_files_that_match(tmp_path):
    for name in ("b2.mp4", "b10.mp4", "a.mp4"):
        write_video(tmp_path / name, [moving(0)])
    assert find_inputs(str(tmp_path / "b*.mp4")) == [str(tmp_path / name) for name in ("b2.mp4", "b10.mp4")]
    (tmp_path / "b*.mp4").write_bytes(b"")  # a name may have a star
    assert find_inputs(str(tmp_path / "b*.mp4")) == [str(tmp_path / "b*.mp4")]
    with pytest.raises(
        InputError, match=r"c\*\.mp4: no such file or folder; no file there matches the pattern"
    ):
        find_inputs(str(tmp_path / "c*.mp4"))


def test_the_users_folder_is_found_where_no_shell_replaced_it(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    write_video(tmp_path / "walk.mp4", [moving(0)])
    assert find_inputs("~/walk.mp4") == [str(tmp_path / "walk.mp4")]


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_a_pipe_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "walk.mp4")
    with pytest.raises(
        InputError, match=r"walk\.mp4: expected a file or a folder, got a device or a pipe; write what"
    ):
        open_source(str(tmp_path / "walk.mp4"))
