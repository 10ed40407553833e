import cv2
import numpy as np
import pytest
from rectangles import ColourTracker, RectangleEstimator, moving, write_video

import fastpose_mtn
from fastpose_mtn.api import FastPose
from fastpose_mtn.build import PoseTracking
from fastpose_mtn.config import get_cfg


@pytest.fixture
def pose():
    return FastPose(PoseTracking(get_cfg(), RectangleEstimator(), ColourTracker, 2))


def test_the_package_offers_it_without_importing_it_first():
    assert fastpose_mtn.FastPose is FastPose
    with pytest.raises(AttributeError, match="no attribute 'SlowPose'"):
        fastpose_mtn.SlowPose  # noqa: B018


def test_a_video_is_tracked_frame_by_frame(pose, tmp_path):
    path = write_video(tmp_path / "walk.mp4", [moving(i) for i in range(7)])
    frames = list(pose.track(path, max_frames=5))
    assert [f.index for f in frames] == [0, 1, 2, 3, 4]
    np.testing.assert_allclose([f.time_s for f in frames], np.arange(5) / 30, atol=1e-3)
    people = frames[3].people
    assert people.track_ids.tolist() == [1, 2]
    assert people.boxes.shape == (2, 4)
    assert people.keypoints.shape == (2, len(pose.skeleton), 3)
    assert frames[3].image.shape == (48, 64, 3)


def test_arrays_are_tracked_at_their_frame_rate(pose):
    frames = list(pose.track([moving(i) for i in range(4)], frame_rate=10))
    assert [f.time_s for f in frames] == [0.0, 0.1, 0.2, 0.3]


def test_two_videos_at_once_do_not_share_a_tracker(pose):
    made = []
    pose._tracking = PoseTracking(
        pose.cfg, RectangleEstimator(), lambda: made.append(ColourTracker()) or made[-1], 1
    )
    first, second = pose.track([moving(0)] * 3), pose.track([moving(0)] * 3)
    for _ in range(3):
        next(first), next(second)
    assert len(made) == 2
    assert made[0].times == made[1].times


def test_people_are_found_in_files_and_arrays_of_any_size(pose, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), moving(0, (60, 80))[..., ::-1])
    found = pose.detect([moving(0), tmp_path / "a.png", np.zeros((5, 9, 3), np.uint8)])
    assert [len(people) for people in found] == [2, 2, 0]
    np.testing.assert_array_equal(found[0].boxes[0], [0, 8, 12, 40])
    assert pose.detect([]) == []


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            [np.zeros((4, 4), np.uint8)],
            r"image 0: expected an RGB image \(H, W, 3\) uint8, got \(4, 4\) uint8",
        ),
        (np.zeros((4, 4, 3), np.uint8), "expected a list of images, got a single one"),
        ("a.png", "expected a list of images, got a single one"),
        (["absent.png"], "absent.png: cannot read the image: No such file or directory"),
    ],
)
def test_bad_images_are_named(pose, images, message):
    with pytest.raises(ValueError, match=message):
        pose.detect(images)


def test_bad_sources_are_named_by_the_call_itself(pose, tmp_path):
    with pytest.raises(ValueError, match=r"absent\.mp4: no such file or folder"):
        pose.track("absent.mp4")
    for name in ("a", "b"):
        write_video(tmp_path / f"{name}.mp4", [moving(0)])
    with pytest.raises(ValueError, match="a folder of 2 videos; track one after the other"):
        pose.track(tmp_path)


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_has_at_least_one_image(pose, size):
    for call in (
        lambda: pose.detect([moving(0)], batch_size=size),
        lambda: pose.track([moving(0)], batch_size=size),
    ):
        with pytest.raises(ValueError, match=f"batch_size: expected 1 or more, .* got {size}"):
            call()
    with pytest.raises(ValueError, match="max_frames: expected 0 or more, .* got -3"):
        pose.track([moving(0)], max_frames=-3)


def test_a_video_that_is_cut_off_says_so_behind_its_last_frame(pose, tmp_path):
    noise = np.random.default_rng(0)
    images = [noise.integers(0, 255, (48, 64, 3), np.uint8) for _ in range(60)]
    path = write_video(tmp_path / "a.mp4", images, options={"movflags": "faststart"})
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    seen = []
    with pytest.raises(ValueError, match="the video is cut off"):
        seen.extend(frame.index for frame in pose.track(path))
    assert len(seen) > 20
