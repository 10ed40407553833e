"""What datasets are told to train, and photographs without people."""

import json
import logging
import math

import cv2
import numpy as np
import pytest
from crop_folders import write_crops

from fastpose_mtn.engine.train import train
from fastpose_mtn.engine.training_data import training_images
from fastpose_mtn.skeletons import COCO17

DRAWN = "synthetic://drawn?seeds=1&frames=2&size=96x64&people=2"


def write(folder, people, joints=COCO17.joints, images=2):
    """A dataset of its own: images of 96x64, of which the first has these people."""
    folder.mkdir(exist_ok=True)
    content = {
        "images": [{"id": i, "file_name": f"{i}.png", "width": 96, "height": 64} for i in range(images)],
        "annotations": [
            {"id": n + 1, "image_id": 0, "category_id": 1, "bbox": [10, 5, 30, 50], "iscrowd": 0, **person}
            for n, person in enumerate(people)
        ],
        "categories": [{"id": 1, "name": "person", "keypoints": list(joints)}],
    }
    (folder / "labels.json").write_text(json.dumps(content))
    rng = np.random.default_rng(0)
    for i in range(images):
        cv2.imwrite(str(folder / f"{i}.png"), rng.integers(0, 255, (64, 96, 3), np.uint8))
    return f"json://{folder}/labels.json?images={folder}"


def told(cfg, names, caplog, **keys):
    """Warnings and other messages of beginning to train on these datasets."""
    cfg.DATASETS.TRAIN = tuple(names)
    cfg.DATALOADER.FILTER_EMPTY_ANNOTATIONS = False
    cfg.merge_from_list([item for pair in keys.items() for item in (pair[0].replace("__", "."), pair[1])])
    with caplog.at_level(logging.INFO, "fastpose_mtn"):
        training_images(cfg, 0)
    return [
        [r.getMessage() for r in caplog.records if (r.levelno >= logging.WARNING) == warns]
        for warns in (True, False)
    ]


def test_datasets_without_joints_are_no_news(tmp_path, cfg, caplog):
    named = [0.0] * 51
    names = [
        write(tmp_path / "boxes", [{"keypoints": named}]),
        write(tmp_path / "nobody", []),
        write(tmp_path / "other", [{"keypoints": [5.0, 6.0, 2] * 2, "person_id": 3}], ["tail", "wing"])
        + "&tasks=boxes+identities",
        f"crops://{write_crops(tmp_path / 'crops', [2, 2])}",
        f"{DRAWN}&tasks=boxes",
    ]
    warnings, lines = told(cfg, names, caplog)
    assert warnings == []
    ends = ["images train boxes"] * 2 + [
        "images train boxes, identities",
        "images train identities",
        "train boxes",
    ]
    for name, end in zip(names, ends, strict=True):
        assert any(line.startswith(f"dataset {name}: ") and line.endswith(end) for line in lines)


def test_joints_that_are_wanted_and_do_not_fit_are_told(tmp_path, cfg, caplog):
    other = write(tmp_path, [{"keypoints": [5.0, 6.0, 2] * 2}], ["tail", "wing"])
    warnings, _ = told(cfg, [other], caplog)
    (warning,) = warnings
    assert "trains no joints: of its joints (tail, wing) POSETRACK15 has none; name them as" in warning
    caplog.clear()
    assert told(cfg, [other], caplog, MODEL__KEYPOINT_ON=False)[0] == []


@pytest.mark.parametrize("task", ["keypoints", "identities"])
def test_what_is_asked_for_and_labelled_nowhere_is_told(tmp_path, cfg, caplog, task):
    name = f"{write(tmp_path, [{}])}&tasks=boxes+{task}"
    warnings, lines = told(cfg, [name], caplog)
    assert warnings == [f"dataset {name}: trains no {task}, as it is asked to: nobody in it has any"]
    assert f"dataset {name}: 2 images train boxes" in lines


@pytest.mark.parametrize(
    ("parts", "keys", "text"),
    [
        (
            "&tasks=identities",
            {"MODEL__REID_ON": False},
            r"its images train identities, which the network does not learn; set MODEL.REID_ON True, or leave it out",
        ),
        (
            "&tasks=keypoints+identities",
            {"MODEL__REID_ON": False, "MODEL__KEYPOINT_ON": False},
            r"set MODEL.REID_ON True and MODEL.KEYPOINT_ON True, or leave it out of DATASETS.TRAIN",
        ),
        ("&tasks=masks", {}, "tasks are"),
    ],
)
def test_a_dataset_that_trains_nothing(cfg, caplog, parts, keys, text):
    with pytest.raises(ValueError, match=text):
        told(cfg, [DRAWN + parts], caplog, **keys)
    if keys:  # beside another one it is a warning
        caplog.clear()
        (warning,), _ = told(cfg, [DRAWN, DRAWN + parts], caplog)
        assert warning.startswith(f"dataset {DRAWN}{parts}: trains nothing: ")


def test_a_dataset_without_the_labels_that_it_is_asked_for_trains_nothing(tmp_path, cfg, caplog):
    name = f"{write(tmp_path, [{}])}&tasks=identities"
    with pytest.raises(
        ValueError, match=r"trains nothing: nothing that it is asked to train .*; choose its tasks"
    ):
        told(cfg, [name], caplog)


def test_one_person_is_nobody_to_tell_apart(tmp_path, cfg, caplog):
    """The classifier of one identity is always right: the loss would be 0 in every step."""
    one = f"crops://{write_crops(tmp_path / 'one', [2])}"
    with pytest.raises(
        ValueError, match="trains nothing: its people are one person, and identities are told"
    ):
        told(cfg, [one], caplog)
    caplog.clear()
    one = f"crops://{write_crops(tmp_path / 'two', [2, 1])}"
    _, lines = told(cfg, [one], caplog)
    assert any(line.endswith("images train identities") for line in lines)


def test_photographs_without_people_are_trained_on_and_evaluated(tmp_path, cfg):
    """Alone in a batch, beside people, and in testing."""
    nobody = write(tmp_path / "nobody", [])
    joints = [value for k in range(17) for value in (12.0 + k, 10.0 + 2 * k, 2)]
    somebody = write(tmp_path / "somebody", [{"keypoints": joints, "person_id": 1}])
    cfg.merge_from_list(
        ["OUTPUT_DIR", str(tmp_path / "run"), "SEED", 1, "MODEL.DEVICE", "cpu", "DATALOADER.NUM_WORKERS", 0,
         "DATASETS.TRAIN", (nobody, somebody), "DATASETS.TEST", (nobody, somebody), "SOLVER.IMS_PER_BATCH", 1,
         "DATALOADER.FILTER_EMPTY_ANNOTATIONS", False, "SOLVER.MAX_ITER", 4, "SOLVER.BASE_LR", 0.001,
         "SOLVER.WARMUP_ITERS", 0, "INPUT.MIN_SIZE_TRAIN", (64,), "INPUT.AUG.PASTE", 0.0, "TEST.EVAL_PERIOD", 0]
    )  # fmt: skip
    train(cfg)
    metrics = json.loads((tmp_path / "run" / "evaluation.json").read_text())
    assert metrics[nobody]["box/AP"] is None  # there was nobody to find
    assert not math.isnan(metrics[somebody]["box/AP"])


def test_only_photographs_without_people_need_a_word(tmp_path, cfg):
    cfg.DATASETS.TRAIN = (write(tmp_path, []),)
    with pytest.raises(
        ValueError, match=r"no image with people in .*; DATALOADER.FILTER_EMPTY_ANNOTATIONS False"
    ):
        training_images(cfg, 0)
