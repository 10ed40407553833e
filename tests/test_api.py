import functools
import pickle
import warnings
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from PIL import Image
from rectangles import ColourTracker, RectangleEstimator, moving, scene, write_video

import fastpose_mtn
from fastpose_mtn.api import FastPose
from fastpose_mtn.build import PoseTracking, build_tracker
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
            r"image 0: expected an RGB image \(H, W, 3\) uint8, .*, got \(4, 4\) uint8",
        ),
        (np.zeros((4, 4, 3), np.uint8), "expected a list of images, got a single one"),
        ("a.png", "expected a list of images, got a single one"),
        (Image.fromarray(np.zeros((4, 4, 3), np.uint8)), "expected a list of images, got a single one"),
        (torch.zeros(3, 4, 4, dtype=torch.uint8), "expected a list of images, got a single one"),
        (None, "detect: expected a list of images, got None"),
        (3, "detect: expected a list of images, got 3"),
        ({"a": 1}, "detect: expected a list of images, got dict"),
        ({"a.png"}, "detect: expected a list of images, got set"),  # it has no order
        ([moving(0), None], "image 1: expected an RGB image .*, got None, which cv2.imread gives"),
        ((image for image in [moving(0), 3]), "image 1: expected an RGB image .*, got int"),
        (["absent.png"], "absent.png: cannot read the image: No such file or directory"),
    ],
)
def test_bad_images_are_named(pose, images, message):
    with pytest.raises(ValueError, match=message):
        pose.detect(images)


def test_a_bad_image_of_a_list_is_told_before_any_is_looked_at(pose):
    images = [moving(0)] * 5 + ["absent.png"]
    with pytest.raises(ValueError, match="absent.png: cannot read the image"):
        pose.detect(images)
    assert pose._tracking.estimator.batches == []


def test_images_of_every_kind_are_looked_at(pose, tmp_path):
    cv2.imwrite(str(tmp_path / "a.png"), moving(0)[..., ::-1])
    kinds = [moving(0), Image.fromarray(moving(0)), torch.from_numpy(moving(0)), tmp_path / "a.png",
             torch.from_numpy(moving(0)).permute(2, 0, 1), str(tmp_path / "a.png")]  # fmt: skip
    several = (kinds, tuple(kinds), (kind for kind in kinds), np.stack([moving(0)] * 3), [])
    for images, count in zip(several, (6, 6, 6, 3, 0), strict=True):
        found = pose.detect(images, batch_size=4)
        assert [len(people) for people in found] == [2] * count
    assert pose._tracking.estimator.batches == [4, 2] * 3 + [3]
    frames = list(pose.track(kinds, frame_rate=5))
    assert [len(frame.people) for frame in frames] == [2] * 6
    assert all(frame.image.shape == (48, 64, 3) for frame in frames)


def test_people_below_the_trackers_threshold_are_left_out(pose):
    """The rectangles' scores are 0.9 and 0.3."""
    estimate = pose._tracking.estimator.estimate
    pose._tracking.estimator.estimate = lambda frames, min_score: [
        replace(people, scores=np.array([0.9, 0.3], np.float32)) for people in estimate(frames, min_score)
    ]
    for least, count in ((None, 1), (0, 2), (0.3, 2), (np.float32(0.31), 1), (1, 0)):
        assert [len(people) for people in pose.detect([moving(0)], min_score=least)] == [count]
    pose.cfg.TRACKER.MIN_SCORE = 0.2
    assert len(pose.detect([moving(0)])[0]) == 2
    for wrong in (-0.1, 1.5, float("nan"), "0.5", True, [0.5]):
        with pytest.raises(ValueError, match="min_score: expected a number"):
            pose.detect([moving(0)], min_score=wrong)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "track: expected a video, a folder, a camera's number or frames, got None"),
        (1.5, "track: expected a video, .* got 1.5"),
        (True, "track: expected a video, .* got True"),
        (b"a.mp4", "track: expected a video, .* got bytes"),
        ({"a": 1}, "track: expected a video, .* got dict"),
        (np.zeros((4, 4, 3), np.uint8), "track: expected a list of frames, got a single one"),
        ([moving(0), None], "frame 1: expected an RGB image .*, got None"),
        ([moving(0), "absent.png"], "absent.png: cannot read the image"),
        (-1, "track: expected a camera's number, 0 or more, got -1"),
        (["walk.mp4"], r"frame 0: expected an image, got the video walk.mp4; track\(VIDEO\) takes one"),
        ("", "'': no such file or folder"),
    ],
)
def test_what_cannot_be_tracked_is_named_by_the_call_itself(pose, source, message):
    with pytest.raises(ValueError, match=message):
        pose.track(source)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"frame_rate": 0}, "frame_rate: expected frames a second, more than 0, got 0"),
        ({"frame_rate": -5.0}, "frame_rate: expected frames a second, more than 0, got -5"),
        ({"frame_rate": float("inf")}, "frame_rate: expected frames a second"),
        ({"frame_rate": "25"}, "frame_rate: expected a number, got '25'"),
        ({"batch_size": 2.5}, "batch_size: expected 1 or more, or None for the device's own, got 2.5"),
        ({"batch_size": True}, "batch_size: expected 1 or more, .* got True"),
        ({"max_frames": "3"}, "max_frames: expected 0 or more, or None for all, got '3'"),
        ({"live": True}, "live: choose from .*, got True"),
        ({"images": None}, "images: choose from .*, got None"),
    ],
)
def test_bad_arguments_are_named_by_the_call_itself(pose, arguments, message):
    with pytest.raises(ValueError, match=message):
        pose.track([moving(0)], **arguments)


def test_a_videos_clock_is_its_own(pose, tmp_path):
    video = write_video(tmp_path / "walk.mp4", [moving(i) for i in range(2)])
    with pytest.raises(ValueError, match=r"frame_rate 5: .*walk\.mp4 has a clock of its own; leave it out"):
        pose.track(video, frame_rate=5)
    assert len(list(pose.track(video, max_frames=10**30))) == 2


def test_frames_in_memory_may_be_unrelated_photographs():
    """Whoever is in two of them is nobody known in the second."""
    cfg = get_cfg()
    pose = FastPose(PoseTracking(cfg, RectangleEstimator(), functools.partial(build_tracker, cfg), 2))
    frames = [moving(0), scene(green=(50, 4, 60, 44))]
    ids = {
        images: [frame.people.track_ids.tolist() for frame in pose.track(frames, images=images)]
        for images in ("auto", "independent")
    }
    assert ids == {"auto": [[0, 1], [1]], "independent": [[0, 1], [0]]}


def test_a_frame_rate_of_the_configuration_is_named_by_its_key(pose):
    pose.cfg.VIDEO.FOLDER_FRAME_RATE = 0.0
    with pytest.raises(ValueError, match="VIDEO.FOLDER_FRAME_RATE: expected frames a second"):
        pose.track([moving(0)])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"weights": None}, "weights: expected a name or a path, got None"),
        ({"weights": ""}, "weights: expected a name or a path, got ''"),
        ({"weights": 3}, "weights: expected a name or a path, got 3"),
        ({"config_file": b"a.yaml"}, "config_file: expected a name or a path, got bytes"),
        ({"precision": "int8"}, "precision: choose from auto, fp32, bf16, fp16, got 'int8'"),
        ({"options": "TRACKER.MIN_SCORE 0.3"}, r'options: expected \["KEY", "VALUE", ...\], got \'TRACKER'),
        ({"options": {"TRACKER.MIN_SCORE": 0.3}}, r'options: expected \["KEY", "VALUE", ...\], got dict'),
        ({"options": [3, 4]}, r'options: expected \["KEY", "VALUE", ...\], got 3 for a key'),
        ({"options": ["TRACKER.MIN_SCORE", "much"]}, "TRACKER.MIN_SCORE: expected a number"),
        ({"image_size": "448"}, "image_size: expected 0 or more, or None for the configuration's, got '448'"),
        ({"image_size": np.int64(8)}, "--image-size 8: expected at least 32 pixels"),
    ],
)
def test_bad_arguments_of_loading_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        FastPose.from_pretrained(**{"weights": "drawn", **arguments})


def test_a_network_is_loaded_not_constructed():
    with pytest.raises(
        ValueError, match=r"FastPose: expected a PoseTracking, got 'people'; FastPose.from_pretrained"
    ):
        FastPose("people")


def test_what_was_loaded_can_be_pickled_and_a_read_only_image_costs_no_warning(tmp_path, monkeypatch):
    drawn = tmp_path / "mine.safetensors"
    drawn.write_bytes((Path(fastpose_mtn.__file__).parent / "weights" / "drawn.safetensors").read_bytes())
    monkeypatch.chdir(tmp_path)
    everything = ["TRACKER.MIN_SCORE", 0, "MODEL.ROI_HEADS.SCORE_THRESH_TEST", 0, "INPUT.MIN_SIZE_TEST", 0]
    pose = FastPose.from_pretrained(Path("mine.safetensors"), device="cpu", options=everything)
    monkeypatch.chdir("/")  # another process may run elsewhere
    again = pickle.loads(pickle.dumps(pose))
    assert again.cfg.TRACKER == pose.cfg.TRACKER
    image = np.asarray(Image.fromarray(moving(0, (64, 64))))
    image.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        first, second = (network.detect([image])[0] for network in (pose, again))
        first.to("cpu")
    assert len(first) > 0
    np.testing.assert_array_equal(first.boxes, second.boxes)


def test_results_can_be_pickled_and_what_cannot_says_so(pose):
    (frame,) = pose.track([moving(0)])
    (found,) = pose.detect([moving(0)])
    copies = pickle.loads(pickle.dumps((frame, found, pose.skeleton, pose.cfg)))
    np.testing.assert_array_equal(copies[0].people.track_ids, frame.people.track_ids)
    np.testing.assert_array_equal(copies[0].image, frame.image)
    np.testing.assert_array_equal(copies[1].keypoints, found.keypoints)
    assert copies[2:] == (pose.skeleton, pose.cfg)
    with pytest.raises(pickle.PicklingError, match=r"only what FastPose.from_pretrained made can be pickled"):
        pickle.dumps(pose)
    with pytest.raises(TypeError, match="cannot pickle 'generator'"):
        pickle.dumps(pose.track([moving(0)]))


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
