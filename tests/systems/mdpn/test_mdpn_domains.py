"""Which head learns from a dataset, and what is said where none does."""

import json

import cv2
import numpy as np
import pytest
from tiny_mdpn import mdpn_config

from fastpose_mtn.data.catalog import DATASETS, build_dataset
from fastpose_mtn.data.loader import collate
from fastpose_mtn.engine.training_data import training_images
from fastpose_mtn.skeletons import MPII16, POSETRACK15, UNION21
from fastpose_mtn.systems.mdpn.domains import skeletons_to_train

DRAWN = "synthetic://a?seeds=0&frames=2&size=96x64&people=2&domain=posetrack"


@pytest.fixture
def labelled(tmp_path):
    """Names of a dataset with one person who has some joints."""

    def write(domain, joints):
        folder = tmp_path / domain
        folder.mkdir()
        cv2.imwrite(str(folder / "a.png"), np.zeros((64, 48, 3), np.uint8))
        points = [value for i in range(len(joints)) for value in (5 + i, 10 + 2 * i, 2)]
        content = {
            "images": [{"id": 1, "file_name": "a.png", "width": 48, "height": 64}],
            "annotations": [
                {"id": 1, "image_id": 1, "category_id": 1, "bbox": [1, 2, 40, 60], "keypoints": points, "iscrowd": 0}
            ],
            "categories": [{"id": 1, "name": "person", "keypoints": list(joints)}],
        }  # fmt: skip
        (folder / "labels.json").write_text(json.dumps(content))
        query = f"&domain={domain}" if domain != "own" else ""
        return f"json://{folder}/labels.json?images={folder}{query}"

    return write


def check(*names, options=()):
    cfg = mdpn_config(*options)
    return skeletons_to_train(cfg, [build_dataset(name, training=True) for name in names])


def test_samples_come_in_the_union_with_their_domain(labelled):
    names = [labelled("mpii", MPII16.joints), DRAWN]
    cfg = mdpn_config(
        "MODEL.MDPN.DOMAINS", "[mpii, posetrack]", "MODEL.MDPN.BRANCH", "posetrack",
        "DATASETS.TRAIN", str(names), "INPUT.CROP.HALF_BODY", "0", "INPUT.RANDOM_FLIP", "none",
    )  # fmt: skip
    images = training_images(cfg, seed=0)
    batch = collate([images[0, 0], images[1, 1]])
    assert batch.domains == ["mpii", "posetrack"]
    shown = [
        {joint for joint, v in zip(UNION21.joints, target.keypoints[0, :, 2].tolist(), strict=True) if v}
        for target in batch.targets
    ]
    assert shown[0] == {
        "head_bottom" if joint == "upper_neck" else joint for joint in MPII16.joints
    }  # the same joint
    assert shown[1] <= set(POSETRACK15.joints)
    assert [part.domains for part in batch.split(2)] == [["mpii"], ["posetrack"]]


def test_public_datasets_know_their_domains():
    domains = {name: files.form.domain for name, files in DATASETS.items()}
    assert domains["keypoints_coco_2017_train"] == domains["coco_wholebody_val"] == "coco"
    assert (domains["mpii_train"], domains["crowdpose_test"]) == ("mpii", "crowdpose")
    assert domains["posetrack18_train"] == domains["posetrack17_val"] == "posetrack"


def test_each_dataset_is_learned_in_its_heads_joints(labelled):
    names = [labelled("mpii", MPII16.joints), DRAWN, labelled("coco", ["nose", "left_hip"])]
    assert [s.name for s in check(*names)] == ["MPII16", "POSETRACK15", "COCO17"]
    alone = ["MODEL.MDPN.DOMAINS", "['union:UNION21']", "MODEL.MDPN.BRANCH", "union"]
    assert [s.name for s in check(DRAWN.replace("posetrack", "union"), options=alone)] == ["UNION21"]


def test_a_dataset_whose_joints_no_domain_knows(labelled):
    name = labelled("own", ["snout", "tail"])
    with pytest.raises(
        ValueError, match=r"its domain is json://.*labels\.json, and MODEL\.MDPN\.DOMAINS has coco, mpii, posetrack: add"
    ):  # fmt: skip
        check(name)
    with pytest.raises(
        ValueError, match=r"of its joints \(snout, tail\) domain coco has none; it has nose, left_eye"
    ):
        check(name + "&domain=coco")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ([], r"DOMAINS coco: no dataset of DATASETS\.TRAIN is of this domain, .* add one \(\?domain=coco\)"),
        (["SOLVER.TRAINED_PARTS", "['heads.mpii']"], "a: trains nothing: .* has neither the backbone nor heads.posetrack"),
        (["SOLVER.TRAINED_PARTS", "['heads.coc']"], r"TRAINED_PARTS: there is no heads\.coc; .* did you mean heads\.coco\?"),
        (["SOLVER.TRAINED_PARTS", "['backbone', 'heads.mpii']"], r"DOMAINS mpii: no dataset"),
        (["SOLVER.TRAINED_PARTS", "['backbone', 'heads.posetrack']"], None),
        (["SOLVER.TRAINED_PARTS", "['backbone']"], None),
    ],
)  # fmt: skip
def test_a_domain_without_images_and_images_that_train_nothing(options, text):
    if text is None:
        assert check(DRAWN, options=options) == [POSETRACK15]
        return
    with pytest.raises(ValueError, match=text.replace("a: trains", ".*: trains")):
        check(DRAWN, options=options)
