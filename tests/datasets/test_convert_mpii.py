import json

import numpy as np
import pytest
from convert_mpii import convert_mpii, main, person_box
from matlab_files import NOTHING, cells, draw, structs
from scipy.io import savemat

from fastpose_mtn.data.catalog import build_dataset
from fastpose_mtn.skeletons import MPII16, POSETRACK15

ANKLE, HEAD_TOP, NECK = (MPII16.index(name) for name in ("right_ankle", "head_top", "upper_neck"))


def point(joint, x, y, visible):
    return {"x": float(x), "y": float(y), "id": np.uint8(joint), "is_visible": visible}


def person(*points, head=(101, 31, 120, 60), scale=1.0, middle=(110, 100)):
    x1, y1, x2, y2 = head
    return {
        "x1": x1, "y1": y1, "x2": x2, "y2": y2, "scale": scale if scale else NOTHING,
        "objpos": structs({"x": middle[0], "y": middle[1]}) if middle else NOTHING,
        "annopoints": structs({"point": structs(*points)}) if points else NOTHING,
    }  # fmt: skip


@pytest.fixture
def mpii(tmp_path):
    """Two training images and a test image; the second person is in the middle of nowhere, the third without joints."""
    root = tmp_path / "mpii"
    people = structs(
        person(
            point(ANKLE, 100, 200, np.uint8(0)), point(HEAD_TOP, 110, 31, NOTHING), point(NECK, 111, 61, "1")
        ),
        person(middle=(50, 60), scale=0.2),
        {**person(scale=None, middle=None), **dict.fromkeys(("x1", "y1", "x2", "y2"), NOTHING)},
    )
    test = structs({"scale": 2.0, "objpos": structs({"x": 5, "y": 6})})
    annolist = structs(
        {"image": structs({"name": "a.jpg"}), "annorect": people, "frame_sec": NOTHING, "vididx": 3},
        {"image": structs({"name": "b.jpg"}), "annorect": test, "frame_sec": NOTHING, "vididx": 3},
        {"image": structs({"name": "c.jpg"}), "annorect": NOTHING, "frame_sec": NOTHING, "vididx": 3},
    )
    release = {"annolist": annolist, "img_train": np.array([[1, 0, 1]], np.uint8), "version": "12",
               "single_person": cells(1, NOTHING, NOTHING)}  # fmt: skip
    (root / "mpii_human_pose_v1_u12_2").mkdir(parents=True)
    savemat(root / "mpii_human_pose_v1_u12_2" / "mpii_human_pose_v1_u12_1.mat", {"RELEASE": structs(release)})
    draw(root / "images", "a.jpg", "c.jpg")
    return root


def test_what_is_written(mpii):
    path, summary = convert_mpii(mpii)
    content = json.loads(path.read_text())
    assert path == mpii / "mpii_train.json"
    assert [(i["file_name"], i["width"], i["height"]) for i in content["images"]] == [
        ("a.jpg", 320, 240), ("c.jpg", 320, 240),
    ]  # fmt: skip
    assert content["categories"][0]["keypoints"] == list(MPII16.joints)
    labelled, ignored = content["annotations"]
    joints = np.array(labelled["keypoints"]).reshape(16, 3)
    assert joints[ANKLE].tolist() == [99, 199, 1]  # MATLAB's pixel 100 is the 100th; hidden
    assert joints[HEAD_TOP].tolist() == [109, 30, 2]  # MPII says of no head joint whether it is visible
    assert joints[NECK].tolist() == [110, 60, 2]
    assert labelled["num_keypoints"] == 3
    assert labelled["bbox_head"] == [100, 30, 20, 30]
    # Joints' centres x 99.5 to 110.5, y 30.5 to 199.5; 6 % of 200 px around; the head's right edge is at 120.
    assert labelled["bbox"] == [87.5, 18.5, 35, 193]
    assert (ignored["iscrowd"], ignored["bbox"]) == (
        1,
        [29.5, 39.5, 40, 40],
    )  # a square of the person's height
    assert "2 images, 1 people, 1 ignored boxes" in summary
    assert "1 people without joints, written as ignored boxes, first" in summary
    assert "1 people left out who have neither joints nor a place, first" in summary
    assert "annolist(1) (a.jpg), annorect(3)" in summary


def test_the_training_reads_it(mpii, monkeypatch):
    monkeypatch.setenv("FASTPOSE_DATASETS", str(mpii.parent))
    main([])
    dataset = build_dataset("mpii_train", training=True, filter_empty=True)
    targets = dataset[0].targets
    assert len(dataset) == 1
    assert dataset.tasks == {"keypoints"}  # not everybody in an image has a box
    assert targets.ignore.tolist() == [False, True]
    assert dataset.skeleton is MPII16
    joints = MPII16.convert(targets.keypoints[0], POSETRACK15)
    assert joints[POSETRACK15.index("right_ankle")].tolist() == [99.5, 199.5, 1]
    assert joints[POSETRACK15.index("head_bottom")].tolist() == [110.5, 60.5, 2]


def test_a_box_without_a_scale_leans_on_the_joints():
    joints = np.zeros((16, 3))
    joints[:2] = [[9.5, 19.5, 2], [29.5, 119.5, 1]]
    assert person_box(joints, None, 0.0).tolist() == [4, 14, 36, 126]  # 6 % of 100 px
    assert person_box(joints, np.array([-3, 15, 20, 30.0]), 100.0).tolist() == [-3, 14, 36, 126]


def test_missing_images(mpii, capsys):
    (mpii / "images" / "c.jpg").unlink()
    with pytest.raises(
        ValueError, match=r"1 of 2 images cannot be read, the first: .*c\.jpg.*--skip-missing"
    ):
        convert_mpii(mpii)
    assert not (mpii / "mpii_train.json").exists()
    main(["--root", str(mpii), "--skip-missing"])
    printed = capsys.readouterr().out
    assert "1 images, 1 people" in printed
    assert "1 images that cannot be read, first" in printed


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"OTHER": 1}, "expected a MATLAB file with the variable RELEASE, got OTHER"),
        ({"RELEASE": 1}, "expected a structure, got an array"),
        ({"RELEASE": structs({"annolist": 1})}, "RELEASE to have the fields annolist and img_train"),
        (
            {"RELEASE": structs({"annolist": structs({"image": 1}), "img_train": np.array([[1, 0]])})},
            "img_train to have a number for each of 1 images, got 2",
        ),
        (
            {"RELEASE": structs({"annolist": structs({"image": 1}), "img_train": np.array([[1]])})},
            r"annolist\(1\): not as MPII documents it: expected a structure",
        ),
    ],
)
def test_files_that_are_something_else(tmp_path, content, text):
    savemat(tmp_path / "mpii_human_pose_v1_u12_1.mat", content)
    with pytest.raises(ValueError, match=text):
        convert_mpii(tmp_path)


def test_no_file(tmp_path, capsys):
    with pytest.raises(SystemExit):
        main(["--root", str(tmp_path)])
    assert "expected mpii_human_pose_v1_u12_1.mat here or in a folder below" in capsys.readouterr().err
    (tmp_path / "mpii_human_pose_v1_u12_1.mat").write_bytes(b"not MATLAB's" * 30)
    with pytest.raises(ValueError, match="not a MATLAB file, or a damaged one"):
        convert_mpii(tmp_path)
