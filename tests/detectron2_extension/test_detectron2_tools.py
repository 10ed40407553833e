"""Detectron2's own tools on our model: tracing, predictor, visualizer, COCO's evaluator, augmentation at test time."""

import json

import numpy as np
import pytest
import torch
from detectron2_helpers import random_image

pytest.importorskip("detectron2", reason="Detectron2 is not installed")

from detectron2 import model_zoo
from detectron2.data import DatasetCatalog, MetadataCatalog
from detectron2.engine import DefaultPredictor
from detectron2.evaluation import COCOEvaluator, inference_on_dataset
from detectron2.export import TracingAdapter
from detectron2.modeling import GeneralizedRCNNWithTTA, build_model
from detectron2.tracking.base_tracker import build_tracker_head
from detectron2.utils.visualizer import Visualizer

from fastpose_mtn.detectron2 import Detectron2Estimator, FastPoseWithTTA, register_dataset
from fastpose_mtn.detectron2.config import get_cfg
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.skeletons import POSETRACK15
from fastpose_mtn.systems.mtn.estimator import MTNEstimator


@pytest.mark.parametrize("sampling", ["0", "2"])
@pytest.mark.parametrize("decoder", ["subpixel", "resize"])
def test_a_trace_serves_other_image_sizes(small, decoder, sampling):
    options = [
        "MODEL.ROI_KEYPOINT_HEAD.DECODER", decoder, "MODEL.ROI_KEYPOINT_HEAD.POOLER_SAMPLING_RATIO", sampling,
        "MODEL.ROI_BOX_HEAD.POOLER_SAMPLING_RATIO", sampling, "MODEL.ROI_REID_HEAD.POOLER_SAMPLING_RATIO", sampling,
    ]  # fmt: skip
    _, model, _ = small(*options)
    model.eval()

    def infer(model, image):
        return model.inference([{"image": image}], do_postprocess=False)[0]

    adapter = TracingAdapter(model, random_image(96, 128), infer)
    with torch.no_grad():
        traced = torch.jit.trace(adapter, adapter.flattened_inputs, check_trace=False)
        for seed, (height, width) in enumerate([(64, 160), (130, 70)]):
            image = random_image(height, width, seed)
            wanted = infer(model, image)
            got = adapter.outputs_schema(traced(image))
            assert len(got) == len(wanted) > 0
            torch.testing.assert_close(got.pred_boxes.tensor, wanted.pred_boxes.tensor, rtol=0, atol=0.01)
            torch.testing.assert_close(got.scores, wanted.scores, rtol=0, atol=1e-4)
            torch.testing.assert_close(
                got.pred_keypoints[..., :2], wanted.pred_keypoints[..., :2], rtol=0, atol=0.01
            )
            torch.testing.assert_close(
                got.pred_keypoints[..., 2], wanted.pred_keypoints[..., 2], rtol=0, atol=1e-4
            )
            torch.testing.assert_close(got.pred_embeddings, wanted.pred_embeddings, rtol=0, atol=1e-4)


def test_predictor_and_visualizer(small, tmp_path):
    _, model, cfg = small("INPUT.MIN_SIZE_TEST", "96")
    torch.save({"model": model.state_dict()}, tmp_path / "model.pth")
    cfg.MODEL.WEIGHTS = str(tmp_path / "model.pth")
    image = random_image(64, 96).permute(1, 2, 0).numpy()[:, :, ::-1]  # BGR, as the predictor takes it
    people = DefaultPredictor(cfg)(image)["instances"]
    assert len(people) > 0
    assert people.image_size == (64, 96)
    assert people.pred_embeddings.shape == (len(people), 16)
    name = "synthetic://drawn?seeds=1&frames=1&size=96x64"
    register_dataset(name, POSETRACK15)
    drawn = Visualizer(image[:, :, ::-1], MetadataCatalog.get(name)).draw_instance_predictions(people)
    assert (drawn.get_image() != np.ascontiguousarray(image[:, :, ::-1])).any()


def test_cocos_evaluator(small, tmp_path):
    cv2 = pytest.importorskip("cv2")
    _, model, cfg = small("MODEL.SKELETON", "COCO17", "MODEL.ROI_KEYPOINT_HEAD.NUM_KEYPOINTS", "17")
    images, annotations = [], []
    for i in range(2):
        cv2.imwrite(str(tmp_path / f"{i}.png"), random_image(64, 96, i).permute(1, 2, 0).numpy())
        images.append({"id": i + 1, "file_name": f"{i}.png", "width": 96, "height": 64})
        annotations.append(
            {
                "id": i + 1, "image_id": i + 1, "category_id": 1, "bbox": [10, 10, 40, 50], "area": 2000,
                "iscrowd": 0, "keypoints": [30, 30, 2] * 17, "num_keypoints": 17,
            }
        )  # fmt: skip
    names = "nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist"
    names += " right_wrist left_hip right_hip left_knee right_knee left_ankle right_ankle"
    category = {"id": 1, "name": "person", "keypoints": names.split(), "skeleton": []}
    text = json.dumps({"info": {}, "images": images, "annotations": annotations, "categories": [category]})
    (tmp_path / "a.json").write_text(text)
    name = f"json://{tmp_path / 'a.json'}?images={tmp_path}"
    cfg.merge_from_list(["DATASETS.TEST", [name], "DATALOADER.NUM_WORKERS", "0"])
    from fastpose_mtn.detectron2 import FastPoseTrainer

    loader = FastPoseTrainer.build_test_loader(cfg, name)
    records = DatasetCatalog.get(name)
    assert records[0]["annotations"][0]["keypoints"][:3] == [30.5, 30.5, 2]
    MetadataCatalog.get(name).set(json_file=str(tmp_path / "a.json"))
    tasks = ("bbox", "keypoints")
    evaluator = COCOEvaluator(name, tasks, False, str(tmp_path), kpt_oks_sigmas=[0.05] * 17)
    theirs = inference_on_dataset(model.eval(), loader, evaluator)
    ours = inference_on_dataset(model, loader, FastPoseTrainer.build_evaluator(cfg, name))
    assert theirs["bbox"]["AP"] == pytest.approx(100 * ours["box"]["AP"], abs=1e-6)
    assert set(theirs) == {"bbox", "keypoints"}


def test_augmentation_at_test_time(small):
    _, model, cfg = small()
    cfg.TEST.AUG.MIN_SIZES = (64, 96)
    record = {"image": random_image(64, 96), "height": 64, "width": 96}
    with torch.no_grad():
        people = FastPoseWithTTA(cfg, model.eval())([record])[0]["instances"]
    assert people.pred_keypoints.shape == (len(people), 15, 3)
    assert people.pred_embeddings.shape == (len(people), 16)
    assert model.roi_heads.keypoint_on
    assert model.roi_heads.reid_on
    cfg.MODEL.KEYPOINT_ON = False  # Detectron2's own does boxes
    with torch.no_grad():
        boxes = GeneralizedRCNNWithTTA(cfg, model)([record])[0]["instances"]
    torch.testing.assert_close(boxes.pred_boxes.tensor, people.pred_boxes.tensor)
    cfg.TEST.AUG.MAX_SIZES = (96, 128)
    with pytest.raises(
        ValueError, match=r"TEST.AUG.MAX_SIZES \[96, 128\]: Detectron2's .* set MAX_SIZES \(\)"
    ):
        FastPoseWithTTA(cfg, model)


def test_the_estimator_is_the_default_hosts(small):
    ours, theirs, cfg = small("INPUT.MIN_SIZE_TEST", "96", "INPUT.FORMAT", "BGR")
    frames = [
        random_image(64, 96, 3).permute(1, 2, 0).numpy(),
        random_image(110, 70, 4).permute(1, 2, 0).numpy(),
    ]
    mine = MTNEstimator.from_config(cfg, ours, precision="fp32").estimate(frames)
    other = Detectron2Estimator(theirs, cfg, precision="fp32").estimate(frames)
    for a, b in zip(mine, other, strict=True):
        assert len(a) == len(b) > 0
        np.testing.assert_allclose(a.boxes, b.boxes, atol=0.01)
        np.testing.assert_allclose(a.embeddings, b.embeddings, atol=1e-4)
    assert Detectron2Estimator(theirs, cfg, precision="fp32").estimate([]) == []
    with pytest.raises(ValueError, match=r"frame 0: expected an RGB image \(H, W, 3\) of uint8, got \("):
        Detectron2Estimator(theirs, cfg, precision="fp32").estimate([frames[0][..., 0]])


def test_people_of_low_scores_are_left_out_before_their_joints_are_located(small):
    ours, theirs, cfg = small("INPUT.MIN_SIZE_TEST", "96", "MODEL.ROI_HEADS.SCORE_THRESH_TEST", "0.0001")
    weights = [model.roi_heads.box_predictor.cls_score.weight for model in (ours, theirs)]
    torch.manual_seed(0)
    torch.nn.init.normal_(weights[0], std=6.0)  # boxes of all scores
    weights[1].data.copy_(weights[0].data)
    heads, scores, described = theirs.roi_heads, [], []
    forward_box = heads._forward_box

    def noting(*given):
        found = forward_box(*given)
        scores.append(found[0].scores)
        return found

    heads._forward_box = noting
    heads.keypoint_head.register_forward_hook(lambda _, args, __: described.append(len(args[0])))
    estimator = Detectron2Estimator(theirs, cfg, precision="fp32")
    frame = random_image(64, 96, 3).permute(1, 2, 0).numpy()
    (everyone,) = estimator.estimate([frame])
    least = float(scores[0][:2].mean())  # between the best box and the second
    (some,) = estimator.estimate([frame], least)
    assert described == [len(everyone), 1]
    (expected,) = MTNEstimator.from_config(cfg, ours, precision="fp32").estimate([frame], least)
    np.testing.assert_allclose(some.boxes, expected.boxes, atol=0.01)
    np.testing.assert_allclose(some.embeddings, expected.embeddings, atol=1e-4)
    (nobody,) = estimator.estimate([frame], 1.0)
    assert (len(nobody), nobody.keypoints.shape, nobody.embeddings.shape) == (0, (0, 15, 3), (0, 16))


def test_given_people_are_the_default_hosts(small):
    ours, theirs, cfg = small("INPUT.MIN_SIZE_TEST", "96")
    frame = random_image(64, 96, 3).permute(1, 2, 0).numpy()
    mine = MTNEstimator.from_config(cfg, ours, precision="fp32")
    other = Detectron2Estimator(theirs, cfg, precision="fp32")
    boxes = np.array([[40.0, 5, 80, 60], [-4, 2, 30, 50]])
    scores = np.array([0.25, 0.75])
    a, b = (estimator.estimate_given(frame, boxes, scores) for estimator in (mine, other))
    np.testing.assert_array_equal(b.boxes, boxes)
    np.testing.assert_allclose(b.scores, a.scores, atol=1e-4)
    np.testing.assert_allclose(b.keypoints[..., :2], a.keypoints[..., :2], atol=0.01)
    np.testing.assert_allclose(b.embeddings, a.embeddings, atol=1e-4)
    np.testing.assert_allclose(other.describe(frame, boxes), a.embeddings, atol=1e-4)
    assert other.describe(frame, boxes[:0]).shape == (0, 16)


def test_detectron2s_own_heads_locate_given_people():
    cfg = get_cfg()
    cfg.merge_from_file(model_zoo.get_config_file("COCO-Keypoints/keypoint_rcnn_R_50_FPN_1x.yaml"))
    cfg.merge_from_list(["MODEL.DEVICE", "cpu", "INPUT.MIN_SIZE_TEST", "96"])
    model = build_model(cfg)
    # an untrained ResNet's features are so large that Detectron2's own softmax of the heatmaps would divide 0 by 0
    torch.nn.init.zeros_(model.roi_heads.keypoint_head.score_lowres.weight)
    estimator = Detectron2Estimator(model, cfg, precision="fp32")
    frame = random_image(96, 128, 3).permute(1, 2, 0).numpy()
    boxes = np.array([[40.0, 5, 80, 60], [4, 2, 30, 50]])
    people = estimator.estimate_given(frame, boxes, np.array([0.25, 0.75]))
    assert people.keypoints.shape == (2, 17, 3)
    assert people.scores.tolist() == [0.25, 0.75]
    with pytest.raises(ValueError, match="no identity head"):
        estimator.describe(frame, boxes)


def test_the_estimators_views_are_the_default_hosts(small):
    aug = ["TEST.AUG.ENABLED", "True", "TEST.AUG.MIN_SIZES", "(64, 96)", "TEST.AUG.MAX_SIZE", "200"]
    ours, theirs, cfg = small(*aug)
    frame = random_image(64, 96, 3).permute(1, 2, 0).numpy()
    (a,) = MTNEstimator.from_config(cfg, ours, precision="fp32").estimate([frame])
    (b,) = Detectron2Estimator(theirs, cfg, precision="fp32").estimate([frame])
    assert len(a) == len(b) > 0
    np.testing.assert_allclose(b.boxes, a.boxes, atol=0.01)
    np.testing.assert_allclose(b.keypoints[..., :2], a.keypoints[..., :2], atol=0.01)


def test_the_tracker_head(small):
    _, model, cfg = small("TRACKER.BIRTH_SCORE", "0.0", "TRACKER.MIN_SCORE", "0.0")
    tracker = build_tracker_head(cfg)
    with torch.no_grad():
        people = model.eval()([{"image": random_image(96, 128)}])[0]["instances"]
    assert tracker.pose_nms == PoseNMS(POSETRACK15)
    first = tracker.update(people)
    assert 0 < len(first) <= len(people), "one person found twice is one person"
    assert sorted(first.ID) == list(range(len(first)))
    again = tracker.update(people)
    assert again.ID == first.ID
    assert len(tracker.update(people[:0])) == 0
    tracker.reset()
    assert tracker.update(people, 5.0).ID == first.ID
