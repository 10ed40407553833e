"""The network as a pose estimator: frames of any size in, people in the frames' pixels out."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from torch import Tensor

from fastpose_mtn.checkpoints.loading import load_weights
from fastpose_mtn.config import CfgNode
from fastpose_mtn.estimators.frames import check_frames, resize_to_test_size, to_frame
from fastpose_mtn.estimators.views import View, merge_views, mirror, views_from_config
from fastpose_mtn.runtime.cuda_graphs import CudaGraphs
from fastpose_mtn.runtime.fuse import fuse
from fastpose_mtn.runtime.memory import keep_freed_memory
from fastpose_mtn.runtime.precision import Float32Layer, convert_weights, resolve_device, resolve_precision
from fastpose_mtn.runtime.streams import in_streams
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.systems.mtn.network import MTN, build_model, to_detections


class MTNEstimator:
    """Resizes frames, runs the network without gradients, and maps people back.

    The network is copied, so training may go on with the one given; batch normalisation is folded
    into the copy's convolutions and their weights are kept in the precision that is used.

    Args:
        model: the network.
        min_size: pixels of the shorter side that frames are resized to; 0: as they are.
        max_size: of the longer side, which wins.
        views: further sizes, (min_size, max_size, mirrored), in place of the one above; people of all
            views are merged, see ``multi_scale.merge_views``. Each view costs as much as the one.
        device: auto, cpu, cuda or cuda:N; None: the model's.
        precision: auto, fp32, bf16 or fp16. auto is bf16 on CUDA and on CPUs that compute in it, else fp32.

    Raises:
        ValueError: there is no such device, or it cannot compute in that precision.
    """

    def __init__(
        self,
        model: MTN,
        *,
        min_size: int = 0,
        max_size: int = 0,
        views: Sequence[View] = (),
        device: str | None = None,
        precision: str = "auto",
    ) -> None:
        self.device = model.device if device is None else resolve_device(device)
        self.dtype = resolve_precision(precision, self.device)
        self.views = tuple(views) or (View(min_size, max_size),)
        self.skeleton = model.skeleton
        self.embedding_dim = model.embedding_dim
        if self.device.type == "cpu":
            keep_freed_memory()
        own = copy.deepcopy(model).eval().requires_grad_(False)
        self._model = fuse(own, activations=self.device.type == "cpu").to(self.device)
        if self.dtype != torch.float32:
            _locate_in_float32(self._model)
            convert_weights(self._model, self.dtype)
        trunk = self._model.trunk
        self._trunk = CudaGraphs(trunk) if self.device.type == "cuda" else trunk

    @classmethod
    def from_config(
        cls,
        cfg: CfgNode,
        model: MTN | None = None,
        *,
        weights: str | None = None,
        device: str | None = None,
        precision: str = "auto",
    ) -> MTNEstimator:
        """The estimator that a configuration describes.

        Args:
            cfg: the configuration.
            model: a network that is there already; None: built, with ``weights``.
            weights: see ``checkpoint.load_weights``; None: ``MODEL.WEIGHTS``.
            device: None: the model's, or ``MODEL.DEVICE`` for a network that is built here.
            precision: see above.

        Raises:
            ValueError: no weights are named, or they do not fit the configuration.
        """

        if model is None:
            source = weights or cfg.MODEL.WEIGHTS
            if not source:
                raise ValueError("no weights: set MODEL.WEIGHTS to a file, demo or torchvision://NAME")
            cfg = cfg.clone()
            cfg.MODEL.ROI_REID_HEAD.NUM_IDENTITIES = 0  # its classifier serves training only
            cfg.MODEL.TIMM.PRETRAINED = False
            model = build_model(cfg)
            load_weights(model, source)
            device = cfg.MODEL.DEVICE if device is None else device
        return cls(
            model,
            min_size=cfg.INPUT.MIN_SIZE_TEST,
            max_size=cfg.INPUT.MAX_SIZE_TEST,
            views=views_from_config(cfg),
            device=device,
            precision=precision,
        )

    def estimate(self, frames: Sequence[np.ndarray]) -> list[PersonDetections]:
        """The people of each frame, best first, in its pixels, as NumPy arrays.

        Args:
            frames: RGB uint8 images (H, W, 3), each of any size; all go through the network at once, on a
                CPU in streams, see ``streams.in_streams``.

        Raises:
            ValueError: a frame is not such an image.
        """
        check_frames(frames)
        if not frames:
            return []
        found = [self._estimate(frames, view) for view in self.views]
        if len(found) == 1:
            return found[0]
        predictor = self._model.roi_heads.box_predictor
        return [
            merge_views(people, nms_thresh=predictor.nms_thresh, count=predictor.detections_per_image)
            for people in zip(*found, strict=True)
        ]

    def describe(self, frame: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
        """Identity vectors (N, E) float32 of given people; of several views the first describes them.

        Args:
            frame: RGB uint8 image (H, W, 3).
            boxes_xyxy: (N, 4) in its pixels.

        Raises:
            ValueError: the frame is not such an image, or the network has no identity head.
        """
        check_frames([frame])
        if self.embedding_dim is None:
            raise ValueError("the network has no identity head: MODEL.REID_ON True")
        view = self.views[0]
        image = self._to_image(frame, view._replace(mirrored=False))
        scale = np.divide(image.shape[:0:-1], frame.shape[1::-1], dtype=np.float32)
        boxes = torch.from_numpy(boxes_xyxy * np.tile(scale, 2)).to(self.device)
        with torch.inference_mode(), self._autocast():
            batch, _ = self._model.preprocess([image])
            features = self._model.backbone(batch)
            people = self._model.roi_heads.describe(features, boxes, boxes.new_ones(len(boxes)), [len(boxes)])
        assert people.embeddings is not None
        return people.embeddings.float().cpu().numpy()

    def _estimate(self, frames: Sequence[np.ndarray], view: View) -> list[PersonDetections]:
        find = functools.partial(self._find_people, view)
        return in_streams(find, frames) if self.device.type == "cpu" else find(frames)

    def _find_people(self, view: View, frames: Sequence[np.ndarray]) -> list[PersonDetections]:
        images = [self._to_image(frame, view) for frame in frames]
        with torch.inference_mode(), self._autocast():
            batch, sizes = self._model.preprocess(images)
            people = self._model.describe_candidates(*self._trunk(batch), sizes)
        found = to_detections(people)
        if view.mirrored:
            found = [mirror(one, size[1], self.skeleton) for one, size in zip(found, sizes, strict=True)]
        return [
            to_frame(one, image_size_hw=size, frame_size_hw=(frame.shape[0], frame.shape[1]))
            for one, size, frame in zip(found, sizes, frames, strict=True)
        ]

    def _to_image(self, frame: np.ndarray, view: View) -> Tensor:
        frame = resize_to_test_size(frame, view.min_size, view.max_size)
        if view.mirrored:
            frame = np.ascontiguousarray(cv2.flip(frame, 1))
        image = torch.from_numpy(frame)
        if self.device.type == "cuda":
            image = image.pin_memory()  # so that its way to the GPU holds nothing up
        return image.permute(2, 0, 1)

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        # weights are converted already, and a CUDA graph must not rely on a cache that is emptied
        return torch.autocast(self.device.type, self.dtype, cache_enabled=False)


def _locate_in_float32(model: MTN) -> None:
    """Makes, in place, the layers that say where boxes are, and how sure, compute in float32 whatever the rest does.

    They are little work, and rounding their results to 8 bits would move small boxes, and change which of two boxes
    suppresses the other.
    """
    head, predictor = model.proposal_generator.rpn_head, model.roi_heads.box_predictor
    assert head.predictions is not None  # fused
    head.predictions = Float32Layer(head.predictions)
    predictor.cls_score = Float32Layer(predictor.cls_score)
    predictor.bbox_pred = Float32Layer(predictor.bbox_pred)
