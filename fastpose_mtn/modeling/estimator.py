"""The network as a pose estimator: frames of any size in, people in the frames' pixels out."""

from __future__ import annotations

import contextlib
import copy
import functools
from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from torch import Tensor

from fastpose_mtn.config import CfgNode
from fastpose_mtn.memory import keep_freed_memory
from fastpose_mtn.modeling.checkpoint import load_weights
from fastpose_mtn.modeling.cuda_graphs import CudaGraphs
from fastpose_mtn.modeling.fuse import fuse
from fastpose_mtn.modeling.multi_scale import View, merge_views, mirror, views_from_config
from fastpose_mtn.modeling.network import MTN, build_model, to_detections
from fastpose_mtn.modeling.streams import in_streams
from fastpose_mtn.ops.boxes import clip_boxes, nonempty
from fastpose_mtn.structures import PersonDetections

_DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


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
            exact = _exact_modules(self._model)
            for module in exact:
                _compute_in_float32(module)
            _store_weights_as(self._model, self.dtype, besides=exact)
        if self.device.type == "cuda":
            self._model.trunk = CudaGraphs(self._model.trunk)  # type: ignore[method-assign,assignment]

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
            people = self._model.find_people(batch, sizes)
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


def check_frames(frames: Sequence[np.ndarray]) -> None:
    """Raises ValueError unless every frame is an RGB image (H, W, 3) uint8."""
    for index, frame in enumerate(frames):
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or 0 in frame.shape:
            raise ValueError(
                f"frame {index}: expected an RGB image (H, W, 3) of uint8, got {frame.shape} {frame.dtype}"
            )


def test_size(height: int, width: int, min_size: int, max_size: int) -> tuple[int, int]:
    """Detectron2's size (height, width) of an image at test time.

    The shorter side becomes ``min_size``, unless the longer side would exceed ``max_size`` (0: never),
    which it then becomes. ``min_size`` 0: as it is.
    """
    if min_size == 0:
        return height, width
    scale = min_size / min(height, width)
    if max_size and max(height, width) * scale > max_size:
        scale = max_size / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def resize_to_test_size(image: np.ndarray, min_size: int, max_size: int) -> np.ndarray:
    """The image (H, W, 3) as the network sees it at test time, see ``test_size``; contiguous."""
    height, width = test_size(image.shape[0], image.shape[1], min_size, max_size)
    if (height, width) != image.shape[:2]:
        # area averaging does not alias when it shrinks; linear does not blur when it enlarges
        how = cv2.INTER_AREA if height < image.shape[0] else cv2.INTER_LINEAR
        image = cv2.resize(image, (width, height), interpolation=how)
    return np.ascontiguousarray(image)


test_size.__test__ = False  # type: ignore[attr-defined]  # a name that pytest would collect


def to_frame(
    people: PersonDetections, *, image_size_hw: tuple[int, int], frame_size_hw: tuple[int, int]
) -> PersonDetections:
    """People of a resized image in the pixels of its frame; boxes are cut at the frame's borders."""
    scale = np.divide(frame_size_hw[::-1], image_size_hw[::-1], dtype=np.float32)
    keypoints = people.keypoints.copy()
    keypoints[..., :2] *= scale
    boxes = clip_boxes(torch.from_numpy(people.boxes * np.tile(scale, 2)), frame_size_hw)
    return PersonDetections(
        boxes=boxes.numpy(), scores=people.scores, keypoints=keypoints, embeddings=people.embeddings
    )[nonempty(boxes).numpy()]


def resolve_device(device: str) -> torch.device:
    """auto: CUDA where there is one.

    Raises:
        ValueError: the name is unknown, or there is no such device here.
    """
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if device == "auto":
        return torch.device("cuda" if count else "cpu")
    try:
        resolved = torch.device(device)
    except RuntimeError:
        resolved = torch.device("meta")
    if resolved.type not in ("cpu", "cuda"):
        raise ValueError(f"device {device!r}: choose from auto, cpu, cuda")
    if resolved.type == "cuda" and (resolved.index or 0) >= count:
        raise ValueError(f"device {device!r}: there are {count} CUDA devices here; use cpu, or auto")
    return resolved


def resolve_precision(precision: str, device: torch.device) -> torch.dtype:
    """What the convolutions compute in.

    Raises:
        ValueError: the name is unknown, or the device cannot.
    """
    if precision == "auto":
        if device.type == "cpu":
            return torch.bfloat16 if _cpu_computes_in("bf16") else torch.float32
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float16
    if precision not in _DTYPES:
        raise ValueError(f"precision {precision!r}: choose from auto, {', '.join(_DTYPES)}")
    if precision == "fp16" and device.type == "cpu" and not _cpu_computes_in("fp16"):
        raise ValueError("precision 'fp16': this CPU does not compute in it; use auto, bf16 or fp32")
    return _DTYPES[precision]


def _cpu_computes_in(precision: str) -> bool:
    """Has the CPU instructions for it? Not every PyTorch has oneDNN, which knows."""
    supported = getattr(torch.ops.mkldnn, f"_is_mkldnn_{precision}_supported", None)
    return supported is not None and supported()


def _store_weights_as(model: MTN, dtype: torch.dtype, *, besides: Sequence[torch.nn.Module]) -> None:
    """Converts the weights once that autocast would convert in every call, but for those of some modules."""
    kept = {layer for module in besides for layer in module.modules()}
    for module in model.modules():
        if module in kept:
            continue
        if isinstance(module, (torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.Linear)):
            for parameter in (module.weight, module.bias):
                if parameter is not None:
                    parameter.data = parameter.data.to(dtype)


def _exact_modules(model: MTN) -> list[torch.nn.Module]:
    """What computes in float32 whatever the rest does: the layers that say where boxes are, and how sure.

    They are little work, and rounding their results to 8 bits would move small boxes, and change which of two boxes
    suppresses the other.
    """
    predictions = model.proposal_generator.rpn_head.predictions
    assert predictions is not None  # fused
    return [predictions, model.roi_heads.box_predictor]


def _compute_in_float32(module: torch.nn.Module) -> None:
    """Keeps autocast out of a module with one input."""
    forward = module.forward

    def exact(x: Tensor) -> Any:
        with torch.autocast(x.device.type, enabled=False):
            return forward(x.float())

    module.forward = exact  # type: ignore[method-assign]
