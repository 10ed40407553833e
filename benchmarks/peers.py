"""FastPose's networks and their peers behind one protocol, each with as many people as are wanted.

Weights are random, so no network finds anybody worth the name. Each runs all of its own steps, its box head and
suppression included; then the people found give way to the same given boxes, which all further steps work on. A
one-stage network computes everybody's joints whoever is there, so only what it reports is replaced.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from fastpose_mtn.skeletons import COCO17, POSETRACK15, Skeleton
from fastpose_mtn.structures import PersonDetections


def crowd(count: int, size_hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Boxes (N, 4) float32 of people between a tenth and six tenths of the picture's height."""
    rng = np.random.default_rng(seed)
    height = rng.uniform(0.1, 0.6, count) * size_hw[0]
    width = height * rng.uniform(0.3, 0.6, count)
    left, top = rng.uniform(0, size_hw[1] - width), rng.uniform(0, size_hw[0] - height)
    return np.stack([left, top, left + width, top + height], axis=1).astype(np.float32)


def poses_in(boxes_xyxy: torch.Tensor, joints: int) -> torch.Tensor:
    """(N, K, 2) of people in boxes (N, 4), all in the same pose: everybody's overlay has the same to draw."""
    place = torch.rand(joints, 2, generator=torch.Generator().manual_seed(0)).to(boxes_xyxy)
    return boxes_xyxy[:, None, :2] + place * (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2])[:, None]


def posed(boxes_xyxy: torch.Tensor, joints: int) -> PersonDetections:
    """People in boxes (N, 4) with ``poses_in`` them, all surely."""
    poses = poses_in(boxes_xyxy, joints)
    return _people(boxes_xyxy, torch.cat((poses, torch.ones_like(poses[..., :1])), dim=-1))


class Peer:
    """A pose estimator with a given number of people; see ``protocols.PoseEstimator``.

    Args:
        size_hw: of the frames.
        device: cpu or cuda.
        best: not as its users run it but as fast as it goes: channels-last, half precision, four frames at once.
    """

    skeleton: Skeleton = COCO17
    embedding_dim: int | None = None
    batches_at_once: int = 1

    def __init__(self, size_hw: tuple[int, int], device: str, best: bool) -> None:
        self.size_hw, self.device, self.best = size_hw, torch.device(device), best
        self.batch_size = 4 if best else 1
        self.boxes = torch.zeros(0, 4, device=device)

    def set_people(self, count: int) -> None:
        self.boxes = torch.from_numpy(crowd(count, self.size_hw)).to(self.device)

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        raise NotImplementedError

    def half(self) -> contextlib.AbstractContextManager:
        return torch.autocast(self.device.type, torch.bfloat16) if self.best else contextlib.nullcontext()

    def images(self, frames: Sequence[np.ndarray]) -> list[torch.Tensor]:
        """(3, H, W) uint8 each, on the device."""
        return [torch.from_numpy(frame).to(self.device).permute(2, 0, 1) for frame in frames]


class TorchvisionKeypointRCNN(Peer):
    def __init__(self, size_hw: tuple[int, int], device: str, best: bool) -> None:
        super().__init__(size_hw, device, best)
        from torchvision.models.detection import keypointrcnn_resnet50_fpn

        sizes: Any = {"min_size": min(size_hw), "max_size": max(size_hw)}
        model = keypointrcnn_resnet50_fpn(weights=None, weights_backbone=None, **sizes).eval().to(device)
        self.model = model.to(memory_format=torch.channels_last) if best else model
        find = model.roi_heads.postprocess_detections

        def given(*arguments: object) -> tuple[list, list, list]:
            images = len(find(*arguments)[0])
            ones = torch.ones(len(self.boxes), device=self.device)
            return [self.boxes] * images, [ones] * images, [ones.long()] * images

        model.roi_heads.postprocess_detections = given

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        with torch.inference_mode(), self.half():
            found = self.model([image.float() / 255 for image in self.images(frames)])
        return [_people(one["boxes"], one["keypoints"]) for one in found]


class Detectron2KeypointRCNN(Peer):
    def __init__(self, size_hw: tuple[int, int], device: str, best: bool) -> None:
        super().__init__(size_hw, device, best)
        from detectron2 import model_zoo
        from detectron2.modeling import build_model
        from detectron2.structures import Boxes, Instances

        cfg = model_zoo.get_config("COCO-Keypoints/keypoint_rcnn_R_50_FPN_3x.yaml")
        cfg.MODEL.WEIGHTS, cfg.MODEL.DEVICE = "", device
        model = build_model(cfg).eval()
        # random heatmaps are so steep that their softmax is 0 / 0, at which its decoder stops
        torch.nn.init.normal_(model.roi_heads.keypoint_head.score_lowres.weight, std=1e-6)
        self.model = model.to(memory_format=torch.channels_last) if best else model
        find = model.roi_heads._forward_box

        def given(features: object, proposals: object) -> list:
            people = []
            for one in find(features, proposals):
                instances = Instances(one.image_size)
                instances.pred_boxes = Boxes(self.boxes)
                instances.scores = torch.ones(len(self.boxes), device=self.device)
                instances.pred_classes = torch.zeros(len(self.boxes), dtype=torch.int64, device=self.device)
                people.append(instances)
            return people

        model.roi_heads._forward_box = given

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        inputs = [{"image": image.flip(0)} for image in self.images(frames)]  # it takes BGR
        with torch.inference_mode(), self.half():
            found = [one["instances"] for one in self.model(inputs)]
        return [_people(one.pred_boxes.tensor, one.pred_keypoints) for one in found]


class UltralyticsPose(Peer):
    def __init__(self, size_hw: tuple[int, int], device: str, best: bool) -> None:
        super().__init__(size_hw, device, best)
        from ultralytics import YOLO

        self.model = YOLO("yolo11s-pose.yaml", task="pose")
        self.options: dict[str, Any] = {
            "imgsz": [-(-side // 32) * 32 for side in size_hw],
            "device": device,
            "half": best and device != "cpu",
            "verbose": False,
        }

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        on_cpu = self.half() if self.device.type == "cpu" else contextlib.nullcontext()
        with torch.inference_mode(), on_cpu:
            self.model.predict([frame[..., ::-1] for frame in frames], **self.options)
        return [posed(self.boxes, len(self.skeleton)) for _ in frames]


class Ours(Peer):
    """FastPose as ``track_video.py`` runs it; ``best`` is ``--precision auto``, otherwise fp32.

    ``options`` override the configuration.
    """

    def __init__(
        self, config_file: str, size_hw: tuple[int, int], device: str, best: bool, options: Sequence[str] = ()
    ) -> None:
        super().__init__(size_hw, device, best)
        from fastpose_mtn.systems.mtn.estimator import MTNEstimator

        model = _our_model(config_file, options)
        self.estimator = MTNEstimator(model, device=device, precision="auto" if best else "fp32")
        self.embedding_dim, self.skeleton = self.estimator.embedding_dim, self.estimator.skeleton
        heads: Any = self.estimator._model.roi_heads
        describe = heads.describe

        def given(features: object, boxes: object, scores: object, counts: Sequence[int]) -> Any:
            people = len(self.boxes)
            scores = torch.ones(people * len(counts), device=self.device)
            return describe(features, self.boxes.repeat(len(counts), 1), scores, [people] * len(counts))

        heads.describe = given
        self.estimate = self.estimator.estimate  # type: ignore[method-assign]


class OursExported(Peer):
    """FastPose in ONNX Runtime or OpenVINO (``form``), in the precision that the runtime picks, or 8 bits."""

    skeleton = POSETRACK15

    def __init__(
        self,
        config_file: str,
        form: str,
        int8: bool,
        folder: Path,
        size_hw: tuple[int, int],
        device: str,
        best: bool,
    ) -> None:
        super().__init__(size_hw, device, best)
        from fastpose_mtn.estimators.runtimes import OUTPUTS, open_runtime

        self.outputs, self.batch_size = OUTPUTS, 4  # track_video.py's
        model = _our_model(config_file)
        self.skeleton, self.embedding_dim = model.skeleton, model.embedding_dim
        kept = folder / f"{Path(config_file).stem}-{form}{'-int8' if int8 else ''}"
        path = kept / f"network{'.onnx' if form == 'onnx' else '.xml'}"
        if not path.exists():
            with tempfile.TemporaryDirectory(dir=folder) as draft:
                _export_with_given_people(model, Path(draft), form, int8, crowd(20, size_hw), size_hw)
                kept.mkdir()
                for file in Path(draft).iterdir():
                    file.rename(kept / file.name)
        runtime = open_runtime(path, device)
        self.run, self.batches_at_once = runtime.run, runtime.at_once

    def estimate(self, frames: Sequence[np.ndarray], min_score: float = 0.0) -> list[PersonDetections]:
        given = self.boxes.numpy()
        return [
            self._people(found) for found in self.run([{"image": frame, "given": given} for frame in frames])
        ]

    def _people(self, outputs: Sequence[np.ndarray]) -> PersonDetections:
        found = dict(zip(self.outputs, outputs, strict=False))
        ones = np.ones(len(self.boxes), np.float32)
        keypoints = np.nan_to_num(found["keypoints"])
        keypoints[..., 2] = keypoints[..., 2].clip(0, 1)
        return PersonDetections(self.boxes.numpy(), ones, keypoints, found.get("embeddings"))


def job(peer: Peer, clip: str) -> float:
    """Seconds a frame of a video's whole job: decode, network, tracking, overlay and JSON."""
    from whole_job import run_job

    from fastpose_mtn.build import build_tracker
    from fastpose_mtn.config import get_cfg
    from fastpose_mtn.video.sources import open_source

    cfg = get_cfg()
    summary = run_job(
        open_source(clip), peer, build_tracker(cfg, peer.skeleton), batch_size=peer.batch_size,
        min_score=cfg.TRACKER.MIN_SCORE,
    )  # fmt: skip
    return summary.seconds / summary.frames


def _our_model(config_file: str, options: Sequence[str] = ()) -> Any:
    from fastpose_mtn.config import get_cfg
    from fastpose_mtn.systems.mtn.network import build_model

    cfg = get_cfg()
    cfg.merge_from_file(config_file)
    cfg.merge_from_list(["MODEL.TIMM.PRETRAINED", "False", "INPUT.MIN_SIZE_TEST", "0", *options])
    torch.manual_seed(0)
    return build_model(cfg).eval()


def _export_with_given_people(
    model: Any, folder: Path, form: str, int8: bool, boxes: np.ndarray, size_hw: tuple[int, int]
) -> None:
    """Writes ``network.onnx`` or ``network.xml`` with the people as a second input."""
    from fastpose_mtn.deploy.formats import save_openvino
    from fastpose_mtn.deploy.quantize import quantize_onnx, quantize_openvino
    from fastpose_mtn.systems.mtn.portable import HEADS, PortableMTN

    class GivenPeople(PortableMTN):
        def forward(self, image: torch.Tensor, given: torch.Tensor) -> tuple[torch.Tensor, ...]:  # type: ignore[override]
            self.given = given
            return super().forward(image)

        def _find(
            self, features: object, proposals: object, limit: object
        ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
            found, scores, finite = super()._find(features, proposals, limit)
            # what was found still counts, or the graph would drop the work of finding it
            trace = (found.sum() + scores.sum()) * 1e-20
            return self.given + trace, torch.ones_like(self.given[:, 0]), finite

    network = GivenPeople(model)
    path = folder / "network.onnx"
    image = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), dtype=np.uint8)
    with torch.no_grad():
        torch.onnx.export(
            network,
            (torch.from_numpy(image), torch.from_numpy(boxes)),
            str(path),
            dynamo=False,
            opset_version=18,
            input_names=["image", "given"],
            output_names=list(network.outputs),
            dynamic_axes={"image": {0: "height", 1: "width"}, "given": {0: "people"}},
        )
    if form == "openvino":
        import openvino

        converted = openvino.convert_model(str(path))
        path.unlink()
        path = folder / "network.xml"
        save_openvino(path, converted, {}, network.coarse_layers)
    if int8:
        plain = folder / f"plain{path.suffix}"
        for file in list(folder.iterdir()):
            file.rename(folder / f"plain{file.suffix}")
        work = quantize_onnx if form == "onnx" else quantize_openvino
        work(plain, path, [{"image": image, "given": boxes}] * 4, {}, HEADS)


def _people(boxes: torch.Tensor, keypoints: torch.Tensor) -> PersonDetections:
    points = keypoints.float().cpu().numpy().copy()
    points[..., 2] = points[..., 2].clip(0, 1)
    xyxy = boxes.float().cpu().numpy()
    return PersonDetections(xyxy, np.ones(len(xyxy), np.float32), np.nan_to_num(points))
