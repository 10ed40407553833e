import numpy as np
import pytest
import torch

pytest.importorskip("detectron2", reason="Detectron2 is not installed")

from detectron2.config import get_cfg
from detectron2.data import DatasetCatalog, MetadataCatalog, build_detection_train_loader
from detectron2.structures import Boxes, BoxMode, Instances

from fastpose_mtn.commands.draw import main as draw
from fastpose_mtn.detectron2 import (
    FastPoseMapper,
    FastPoseTrainer,
    PoseEvaluator,
    PoseTrackEvaluator,
    ReIDEvaluator,
    add_fastpose_config,
    register_dataset,
)
from fastpose_mtn.detectron2.data import dataset_of
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.tracking.occlusion_aware import OcclusionAwareTracker
from fastpose_mtn.tracking.parameters import TrackerParameters

DRAWN = "synthetic://catalog?seeds=1-2&frames=2&size=96x64&people=2"


@pytest.fixture
def cfg():
    cfg = get_cfg()
    add_fastpose_config(cfg)
    cfg.merge_from_list(
        ["INPUT.MIN_SIZE_TRAIN", "(64,)", "INPUT.MAX_SIZE_TRAIN", "96", "INPUT.MIN_SIZE_TEST", "32"]
    )
    return cfg


@pytest.fixture(scope="module")
def sequences(tmp_path_factory):
    """A dataset of PoseTrack18 files on disk."""
    folder = tmp_path_factory.mktemp("drawn")
    draw(["--output", str(folder), "--sequences", "2", "--frames", "6", "--size", "96x64", "--people", "2"])
    return f"json://{folder / 'annotations'}?images={folder}&format=posetrack"


def test_catalogs():
    register_dataset(DRAWN, POSETRACK15)
    register_dataset(DRAWN, POSETRACK15)
    records = DatasetCatalog.get(DRAWN)
    assert len(records) == 4
    assert {r["image_id"] for r in records} == {0, 1, 2, 3}
    meta = MetadataCatalog.get(DRAWN)
    assert meta.thing_classes == ["person"]
    assert meta.keypoint_names == list(POSETRACK15.joints)
    assert ("left_ankle", "right_ankle") in meta.keypoint_flip_map
    assert len(meta.keypoint_connection_rules) == len(POSETRACK15.limbs)
    assert meta.keypoint_oks_sigmas == list(POSETRACK15.sigmas)


def test_the_mapper_in_training(cfg):
    register_dataset(DRAWN, POSETRACK15)
    mapper = FastPoseMapper.from_config(cfg)
    out = mapper(DatasetCatalog.get(DRAWN)[0])
    people = out["instances"]
    assert out["image"].dtype == torch.uint8
    assert people.image_size == tuple(out["image"].shape[1:])
    assert people.gt_tasks.tasks == {"boxes", "keypoints", "identities"}
    assert people.gt_keypoints.tensor.shape[1:] == (15, 3)
    cfg.merge_from_list(["INPUT.SIFP.ENABLED", "True", "INPUT.FORMAT", "BGR"])
    mapper = FastPoseMapper.from_config(cfg)
    sizes = {tuple(mapper(record)["image"].shape) for record in DatasetCatalog.get(DRAWN) * 3}
    assert sizes == {(3, 64, 96)}  # every level of the pyramid has the base image's size

    loader = build_detection_train_loader(
        DatasetCatalog.get(DRAWN),
        mapper=mapper,
        total_batch_size=2,
        num_workers=0,
        aspect_ratio_grouping=False,
    )
    assert [len(x["instances"]) >= 0 for x in next(iter(loader))] == [True, True]


def test_the_mapper_at_test_time_and_on_detectron2s_records(cfg, sequences):
    register_dataset(sequences, POSETRACK15)
    record = DatasetCatalog.get(sequences)[0]
    out = FastPoseMapper.from_config(cfg, is_train=False)(record)
    assert tuple(out["image"].shape) == (3, 32, 48)
    assert (out["height"], out["width"]) == (64, 96)
    assert len(out["targets"]) == len(record["annotations"]) > 0
    plain = {k: v for k, v in record.items() if k not in ("dataset", "index")}
    again = FastPoseMapper.from_config(cfg, is_train=False)(plain)
    assert (again["targets"].keypoints == out["targets"].keypoints).all()
    assert record["annotations"][0]["bbox_mode"] == BoxMode.XYXY_ABS
    cfg.merge_from_list(["MODEL.SKELETON", "COCO17"])
    with pytest.raises(ValueError, match=r"a person has 15 joints, but MODEL.SKELETON COCO17 has 17"):
        FastPoseMapper.from_config(cfg, is_train=False)(plain)


def perfect(record):
    """What a perfect network would say."""
    targets = record["targets"]
    people = Instances((record["height"], record["width"]))
    people.pred_boxes = Boxes(torch.as_tensor(targets.boxes))
    people.scores = torch.full((len(targets),), 0.99)
    people.pred_classes = torch.zeros(len(targets), dtype=torch.int64)
    joints = torch.as_tensor(targets.keypoints).clone()
    joints[..., 2] = 1.0
    people.pred_keypoints = joints
    identities = torch.as_tensor(targets.identities)
    vectors = torch.where(identities < 0, 39, identities)  # nobody's own
    people.pred_embeddings = torch.nn.functional.one_hot(vectors, 40).float()
    return {"instances": people}


class _Perfect:
    """Describes the labelled people of the image that was asked for last."""

    def inference(self, records, detected_instances, do_postprocess):
        people = perfect(next(r for r in _Perfect.records if r["image"] is records[0]["image"]))["instances"]
        same = detected_instances[0].pred_boxes.tensor
        scale = records[0]["image"].shape[2] / people.image_size[1]
        distance = (same[:, None] / scale - people.pred_boxes.tensor[None]).abs().sum(dim=2)
        detected_instances[0].pred_embeddings = people.pred_embeddings[distance.argmin(dim=1)]
        return detected_instances


def entries(cfg, name):
    register_dataset(name, POSETRACK15)
    mapper = FastPoseMapper.from_config(cfg, is_train=False)
    _Perfect.records = [mapper(record) for record in DatasetCatalog.get(name)]
    return _Perfect.records


def test_evaluators(cfg, sequences, tmp_path):
    dataset = dataset_of(sequences, "POSETRACK15")
    records = entries(cfg, sequences)
    outputs = [perfect(record) for record in records]
    pose = PoseEvaluator(dataset, POSETRACK15)
    posetrack = PoseTrackEvaluator(
        dataset,
        POSETRACK15,
        lambda: OcclusionAwareTracker(TrackerParameters(birth_score=0.1, min_score=0.1)),
        output=tmp_path,
    )
    search = ReIDEvaluator(dataset, _Perfect())
    for evaluator in (pose, posetrack, search):
        evaluator.reset()
        for record, output in zip(records, outputs, strict=True):
            evaluator.process([record], [output])
    assert pose.evaluate()["box"]["AP"] == pytest.approx(1.0)
    assert pose.evaluate()["keypoint"]["AR"] == pytest.approx(1.0)
    metrics = posetrack.evaluate()["posetrack"]
    assert 0.9 < metrics["AP"] <= 1.0
    assert 0.5 < metrics["MOTA"] <= 1.0
    assert len(list(tmp_path.glob("*.json"))) == 2
    assert search.evaluate()["search"]["top1"] == pytest.approx(1.0)


def test_a_dataset_says_what_is_measured_on_it(cfg, sequences):
    for name in (sequences, "synthetic://measured?seeds=1-2&frames=4&size=160x120&people=2"):
        records = entries(cfg, name)
        evaluator = FastPoseTrainer.build_evaluator(cfg, name)
        evaluator.search_with(_Perfect())
        evaluator.reset()
        evaluator.process(records, [perfect(record) for record in records])
        metrics = evaluator.evaluate()
        assert set(metrics) == {"box", "keypoint", "posetrack", "search"}
        assert metrics["posetrack"]["AP"] > 0.9
        assert metrics["search"]["top1"] == pytest.approx(1.0)


def test_datasets_that_cannot_be_evaluated_so(cfg, sequences):
    drawn = dataset_of(DRAWN, "POSETRACK15")
    photographs = dataset_of(sequences.replace("&format=posetrack", ""), "POSETRACK15")
    with pytest.raises(ValueError, match="PoseTrack's evaluation needs PoseTrack18's JSON files"):
        PoseTrackEvaluator(photographs, POSETRACK15, OcclusionAwareTracker)
    without = dataset_of(f"{DRAWN}&tasks=boxes", "COCO17")
    with pytest.raises(ValueError, match="its people have no identities"):
        ReIDEvaluator(without, _Perfect())
    record = entries(cfg, DRAWN)[0]
    output = perfect(record)
    output["instances"].remove("pred_embeddings")
    evaluator = ReIDEvaluator(drawn, _Perfect())
    with pytest.raises(ValueError, match="identity vectors: MODEL.REID_ON True"):
        evaluator.process([record], [output])


def test_a_dataset_that_only_detectron2_knows(cfg, tmp_path):
    cv2 = pytest.importorskip("cv2")
    cv2.imwrite(str(tmp_path / "a.png"), np.full((64, 96, 3), 90, np.uint8))
    person = {
        "bbox": [10, 10, 40, 50], "bbox_mode": BoxMode.XYWH_ABS, "category_id": 0, "iscrowd": 0, "identity": 3,
        "keypoints": [20.5, 20.5, 2, 30.5, 40.5, 1],
    }  # fmt: skip
    record = {
        "file_name": str(tmp_path / "a.png"),
        "image_id": 7,
        "height": 64,
        "width": 96,
        "annotations": [person],
    }
    DatasetCatalog.register("ones_own", lambda: [record, {**record, "image_id": 8, "annotations": []}])
    MetadataCatalog.get("ones_own").set(keypoint_names=["left_ankle", "nose"])
    try:
        cfg.merge_from_list(["DATASETS.TRAIN", "('ones_own',)", "DATALOADER.NUM_WORKERS", "0"])
        cfg.merge_from_list(["SOLVER.IMS_PER_BATCH", "2", "INPUT.RANDOM_FLIP", "none"])
        batch = next(iter(FastPoseTrainer.build_train_loader(cfg)))
        assert [len(sample["instances"]) for sample in batch] == [1, 1]  # nobody to learn from in the other
        people = batch[0]["instances"]
        assert people.gt_boxes.tensor.tolist() == [[10, 10, 50, 60]]
        assert people.gt_identities.tolist() == [3]
        joints = people.gt_keypoints.tensor[0]
        assert joints[POSETRACK15.index("nose")].tolist() == [30.5, 40.5, 1]
        assert (joints[:, 2] > 0).sum() == 2
        assert [r["image_id"] for r in FastPoseTrainer.build_test_loader(cfg, "ones_own").dataset] == [7, 8]
        cfg.merge_from_list(["DATASETS.TRAIN", "('nobodys',)"])
        with pytest.raises(ValueError, match="unknown dataset 'nobodys'"):
            FastPoseTrainer.build_train_loader(cfg)
    finally:
        DatasetCatalog.remove("ones_own")
        MetadataCatalog.remove("ones_own")
