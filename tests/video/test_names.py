"""Names of results that a file system does not take."""

from pathlib import Path

import cv2
import pytest
from rectangles import moving, write_video

from fastpose_mtn.errors import InputError
from fastpose_mtn.video.names import check_names
from fastpose_mtn.video.sources import open_source

WHAT = {"formats": ["posetrack"], "overlays": [".mp4"], "detections": False, "crops": False}


def test_what_is_written_longest_tells_whether_a_name_fits(tmp_path):
    clip = write_video(tmp_path / "clip.mp4", [moving(i) for i in range(2)])
    for longest, what in [
        (255 - len(".json.annotations.partial"), {}),
        (255 - len(".mp4.partial"), {"formats": ["mot"]}),
        (255 - len(".txt.partial"), {"formats": ["mot"], "overlays": []}),
        (255 - len(".detections.npz.partial"), {"formats": ["mot"], "detections": True}),
        (255 - len("_000000000000_keypoints.json"), {"formats": ["openpose"]}),
        (255 - len(".overlay.partial"), {"formats": ["mot"], "overlays": [".overlay"]}),
    ]:
        source = open_source(str(clip))
        check_names(tmp_path, "x" * longest, source, **{**WHAT, **what})
        with pytest.raises(InputError, match=r"clip\.mp4: its name is too long .*shorten it by 2 bytes"):
            check_names(tmp_path, "x" * longest + "é", source, **{**WHAT, **what})
        source.close()


def test_images_names_are_parts_of_names_too(tmp_path):
    folder = Path(tmp_path / "friends")
    folder.mkdir()
    for name in ("anna", "b" * 244):
        cv2.imwrite(str(folder / f"{name}.png"), moving(0))
    source = open_source(str(folder), images="independent")
    check_names(tmp_path, "friends", source, **{**WHAT, "overlays": []})
    for what in (
        {"overlays": [""]},
        {"overlays": [], "formats": ["openpose"]},
        {"overlays": [], "crops": True},
    ):
        with pytest.raises(
            InputError, match=r"bbb\.png: its name is too long for results: bbbb.*shorten it by"
        ):
            check_names(tmp_path, "friends", source, **{**WHAT, **what})
