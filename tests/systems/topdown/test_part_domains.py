"""Several datasets in one skeleton: what a dataset does not label gets no gradient at all, joint by joint."""

import json

import cv2
import numpy as np
import pytest
import torch
from tiny_topdown import topdown_config

from fastpose_mtn.build import build_network
from fastpose_mtn.config import get_cfg
from fastpose_mtn.data.catalog import DATASETS
from fastpose_mtn.data.loader import collate
from fastpose_mtn.engine.solver import build_optimizer, learning_rate_factor
from fastpose_mtn.engine.training_data import training_images
from fastpose_mtn.skeletons import COCO17, HALPE136

FACE, HANDS = (list(HALPE136.parts[part]) for part in ("face", "hands"))
BODY = [HALPE136.index(joint) for joint in COCO17.joints]


@pytest.fixture
def labelled(tmp_path):
    """Names of a dataset with one person who has some joints, on a circle."""

    def write(name, joints):
        folder = tmp_path / name
        folder.mkdir()
        image = np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)
        cv2.imwrite(str(folder / "a.png"), image)
        angles = np.linspace(0, 2 * np.pi, len(joints), endpoint=False)
        points = np.stack(
            [45 + 25 * np.cos(angles), 45 + 25 * np.sin(angles), np.full(len(joints), 2)], axis=1
        )
        content = {
            "images": [{"id": 1, "file_name": "a.png", "width": 90, "height": 90}],
            "annotations": [
                {"id": 1, "image_id": 1, "category_id": 1, "bbox": [15, 15, 60, 60], "iscrowd": 0,
                 "keypoints": points.ravel().tolist()}
            ],
            "categories": [{"id": 1, "name": "person", "keypoints": list(joints)}],
        }  # fmt: skip
        (folder / "labels.json").write_text(json.dumps(content))
        return f"json://{folder}/labels.json?images={folder}"

    return write


def names_of(indices):
    return [HALPE136.joints[i] for i in indices]


@pytest.mark.parametrize("loss", ["heatmap", "integral", "combined"])
def test_faces_alone_train_the_faces_maps_and_no_others(loss, labelled):
    cfg = topdown_config(
        "MODEL.SKELETON", "HALPE136", "MODEL.TOPDOWN.LOSS", loss, "MODEL.TOPDOWN.VISIBILITY_LOSS_WEIGHT", "0.0",
        "INPUT.CROP.HALF_BODY", "0", "INPUT.CROP.SCALE", "0", "INPUT.CROP.ROTATION", "0", "INPUT.PGPG.SAMPLER", "",
        "DATASETS.TRAIN", str([labelled("face", names_of(FACE)), labelled("body", COCO17.joints)]),
        "DATASETS.TRAIN_WEIGHTS", "[2, 1]",
    )  # fmt: skip
    images = training_images(cfg, seed=0)
    torch.manual_seed(0)
    network = build_network(cfg)
    for rows, trained in (([0, 0], FACE), ([1, 1], BODY), ([0, 1], FACE + BODY)):
        network.zero_grad()
        losses = network.losses(collate([images[row, number] for number, row in enumerate(rows)]))
        sum(losses.values()).backward()
        output = network.upsampler.output
        moved = (output.weight.grad.flatten(1).abs().amax(dim=1) > 0) | (output.bias.grad != 0)
        assert moved.nonzero().flatten().tolist() == sorted(trained)
        assert not set(HANDS) & set(moved.nonzero().flatten().tolist())


def test_the_file_for_several_datasets_trains_two_steps(labelled):
    cfg = get_cfg()
    cfg.merge_from_file("DUCPose-50-multidomain")
    assert {*cfg.DATASETS.TRAIN, *cfg.DATASETS.TEST} <= set(DATASETS)
    names = [
        labelled(name, names_of(own))
        for name, own in (("whole", range(136)), ("face", FACE), ("hand", HANDS[21:]))
    ]
    names.insert(1, labelled("body", COCO17.joints))
    cfg.merge_from_list(
        ["MODEL.TIMM.NAME", "resnet18", "MODEL.TIMM.PRETRAINED", False, "MODEL.TOPDOWN.SQUEEZE_EXCITATION", False,
         "MODEL.TOPDOWN.INPUT_SIZE", [64, 32], "MODEL.TOPDOWN.UPSAMPLER_DIM", 16, "MODEL.TOPDOWN.CONV_DIM", 16,
         "DATASETS.TRAIN", names, "INPUT.PGPG.FROM_ITER", 0]
    )  # fmt: skip
    images = training_images(cfg, seed=0)
    network = build_network(cfg)
    optimizer = build_optimizer(cfg, network)
    factor = learning_rate_factor(cfg)
    assert [factor(step) for step in (169999, 199999, 209999, 210000, 230000)] == pytest.approx(
        [1, 0.1, 0.01, 1, 0.1]
    )
    before = network.upsampler.output.weight.detach().clone()
    for step in range(2):
        optimizer.zero_grad()
        losses = network.losses(collate([images[row, 4 * step + row] for row in range(4)]))
        assert torch.isfinite(losses["loss_keypoint"])
        sum(losses.values()).backward()
        optimizer.step()
    assert (network.upsampler.output.weight != before).flatten(1).any(dim=1).all()
