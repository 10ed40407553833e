"""Reading the frames of saved detections again, from images of 32 x 24 pixels."""

from fractions import Fraction

import cv2
import numpy as np
import pytest
from rectangles import write_video

from fastpose_mtn.errors import InputError
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.tracking.detections_file import SavedDetections, SavedFrame
from fastpose_mtn.video.saved_frames import find_video, images_again


def saved(*numbers, people=1, size_hw=(24, 32), names=True):
    boxes = np.tile(np.float32([1, 1, 9, 9]), (people, 1))
    found = PersonDetections(boxes, np.ones(people, np.float32), np.ones((people, 15, 3), np.float32))
    return SavedDetections(
        "walk",
        POSETRACK15,
        tuple(SavedFrame(n, n / 30, size_hw, found, f"{n:06d}.png" if names else None) for n in numbers),
    )


@pytest.fixture
def walk(tmp_path):
    folder = tmp_path / "walk"
    folder.mkdir()
    for number in range(4):
        cv2.imwrite(str(folder / f"{number:06d}.png"), np.full((24, 32, 3), 50 * number, np.uint8))
    return folder


@pytest.mark.parametrize("names", [True, False])
def test_the_frames_that_were_looked_at_come_in_order(walk, names):
    """Of a live source some were passed over."""
    images = list(images_again(saved(0, 2, 3, names=names), walk))
    assert [int(image[0, 0, 0]) for image in images] == [0, 100, 150]


def test_what_cannot_be_read_again_is_named(walk):
    with pytest.raises(InputError, match="walk: it ends before frame 4 of walk; give --images the video"):
        list(images_again(saved(0, 4), walk))
    with pytest.raises(
        InputError, match="walk: frame 0 is 32x24 pixels, but the people were found in 64x48; give"
    ):
        list(images_again(saved(0, size_hw=(48, 64)), walk))
    (walk / "000001.png").write_bytes(b"no picture")
    with pytest.raises(
        InputError, match="walk: frame 1 cannot be decoded, but people were found in it; give"
    ):
        list(images_again(saved(0, 1), walk))
    assert [image is None for image in images_again(saved(0, 1, people=0), walk)] == [False, True]


def test_a_video_of_another_frame_rate_is_told_of(tmp_path, caplog):
    images = [np.full((24, 32, 3), 50 * number, np.uint8) for number in range(4)]
    for rate in (30, 25):
        write_video(tmp_path / f"{rate}.mp4", images, [k / rate for k in range(4)], base=Fraction(1, rate))
    assert len(list(images_again(saved(0, 1, 3, names=False), tmp_path / "30.mp4"))) == 3
    assert not caplog.records
    write_video(tmp_path / "10.mp4", images, [k / 10 for k in range(4)], base=Fraction(1, 10))
    assert len(list(images_again(saved(0, 2, 3, names=False), tmp_path / "10.mp4"))) == 3
    (told,) = caplog.records
    assert "10.mp4: frame 2 comes at 0.20 s, but at 0.07 s in walk" in told.getMessage()


def test_videos_are_found_by_name(walk, tmp_path):
    (tmp_path / "run.mp4").touch()
    assert find_video(tmp_path, "walk", alone=False) == walk
    assert find_video(tmp_path, "run", alone=False) == tmp_path / "run.mp4"
    assert find_video(walk, "walk", alone=False) == walk
    assert find_video(walk, "another", alone=True) == walk
    assert find_video(tmp_path / "run.mp4", "another", alone=True) == tmp_path / "run.mp4"
    for images, name, alone in ((tmp_path, "no", True), (walk, "another", False)):
        with pytest.raises(
            InputError, match=rf"--images .*: expected {name}, a folder of images or a video, for {name}"
        ):
            find_video(images, name, alone=alone)
    with pytest.raises(InputError, match=r"--images .*absent: no such file or folder; give"):
        find_video(tmp_path / "absent", "walk", alone=True)
