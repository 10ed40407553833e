"""A top-down network as a pose estimator: a detector's boxes, crops of several frames together, joints mapped back."""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from fastpose_mtn.config import CfgNode
from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators.frames import check_frames
from fastpose_mtn.ops.person_crops import crop_matrix, crop_regions, warp_person
from fastpose_mtn.ops.pose_nms import PoseNMS
from fastpose_mtn.protocols import PersonDescriber, PoseEstimator
from fastpose_mtn.runtime.cuda_graphs import CudaGraphs
from fastpose_mtn.runtime.fuse import fuse
from fastpose_mtn.runtime.memory import keep_freed_memory
from fastpose_mtn.runtime.precision import (
    cancelling_parts,
    convert_weights,
    keep_float32,
    resolve_device,
    resolve_precision,
)
from fastpose_mtn.runtime.streams import in_streams
from fastpose_mtn.structures import PersonDetections
from fastpose_mtn.systems.topdown.codecs import DecodedJoints
from fastpose_mtn.systems.topdown.detectors import build_detector
from fastpose_mtn.systems.topdown.network import TopDownNetwork

SCORES = ("product", "oks", "box")
_SEEN = 0.2  # confidence from which a joint counts for a person's score


class _Person(NamedTuple):
    """One person to look at: the frame, the crop's region of it (4,) xyxy, and the box's (width, height) in cells."""

    frame: np.ndarray
    region: np.ndarray
    cells: np.ndarray


class TopDownEstimator:
    """A top-down network with its detector, without gradients and at its fastest; see ``protocols.PoseEstimator``.

    The network is copied, so training may go on with the one given. Boxes, and identity vectors where the detector gives
    any, are the detector's.

    Args:
        network: locates joints.
        detector: finds people; None: they are always given.
        padding: factor on boxes, see ``ops.person_crops.crop_regions``.
        pose_batch: crops that go through the network together at most.
        flip_test: look at mirror images too.
        score: one of ``SCORES``, see ``MODEL.TOPDOWN.SCORE``.
        min_box_score: boxes scored lower are left out.
        max_people: of a frame at most, the best.
        pose_nms: leaves people found twice out; None: they are reported.
        device: auto, cpu, cuda or cuda:N; None: the network's.
        precision: auto, fp32, bf16 or fp16.

    Raises:
        ValueError: there is no such device, it cannot compute in that precision, or a value is out of range.
    """

    def __init__(
        self,
        network: TopDownNetwork,
        detector: PoseEstimator | None,
        *,
        padding: float = 1.25,
        pose_batch: int = 64,
        flip_test: bool = False,
        score: str = "product",
        min_box_score: float = 0.1,
        max_people: int = 100,
        pose_nms: PoseNMS | None = None,
        device: str | None = None,
        precision: str = "auto",
    ) -> None:
        if score not in SCORES:
            raise ValueError(f"MODEL.TOPDOWN.SCORE: expected one of {', '.join(SCORES)}, got {score!r}")
        if pose_batch < 1:
            raise ValueError(f"MODEL.TOPDOWN.POSE_BATCH: expected 1 or more crops, got {pose_batch}")
        self.device = network.device if device is None else resolve_device(device)
        self.dtype = resolve_precision(precision, self.device)
        self.skeleton, self.detector = network.skeleton, detector
        self._padding, self._pose_batch, self._flip_test = padding, pose_batch, flip_test
        self._score, self._min_box_score, self._max_people = score, min_box_score, max_people
        self._pose_nms = pose_nms
        if self.device.type == "cpu":
            keep_freed_memory()
        own = copy.deepcopy(network).eval().requires_grad_(False)
        self._fill = own.pixel_mean.flatten().tolist()[:: -1 if own.reverses_channels else 1]
        cancelling = cancelling_parts(own.trunk, self.dtype)
        self._network = fuse(own, activations=self.device.type == "cpu").to(self.device)
        if self.dtype != torch.float32:
            keep_float32(self._network.trunk, cancelling)
            keep_float32(self._network.upsampler, ["output"])  # little work, and positions depend on it
            convert_weights(self._network, self.dtype)
        maps = self._network.maps
        self._maps = CudaGraphs(maps, kept=8) if self.device.type == "cuda" else maps

    @classmethod
    def from_config(
        cls,
        cfg: CfgNode,
        network: TopDownNetwork,
        *,
        device: str | None = None,
        precision: str = "auto",
    ) -> TopDownEstimator:
        """The estimator that ``MODEL.TOPDOWN`` describes, with its detector.

        Raises:
            ValueError: the detector's weights cannot be used, or a value is out of range.
        """
        c, where = cfg.MODEL.TOPDOWN, str(network.device) if device is None else device
        return cls(
            network,
            build_detector(cfg, device=where, precision=precision),
            padding=c.PADDING,
            pose_batch=c.POSE_BATCH,
            flip_test=c.FLIP_TEST,
            score=c.SCORE,
            min_box_score=c.DETECTOR.SCORE_THRESH,
            max_people=c.DETECTOR.MAX,
            pose_nms=PoseNMS.from_config(cfg),
            device=device,
            precision=precision,
        )

    @property
    def embedding_dim(self) -> int | None:
        """Numbers of an identity vector, the detector's; None: it gives none."""
        return None if self.detector is None else self.detector.embedding_dim

    def estimate(self, frames: Sequence[np.ndarray]) -> list[PersonDetections]:
        """The people of each frame, best first, in its pixels, as NumPy arrays.

        Crops of all frames go through the network together.

        Raises:
            InputError: there is no detector.
        """
        check_frames(frames)
        if self.detector is None:
            raise InputError("no detector: MODEL.TOPDOWN.DETECTOR.WEIGHTS names nobody who finds people")
        found = [self._select(people) for people in self.detector.estimate(frames)]
        located = [people.best_first() for people in self._locate(frames, found)]
        return located if self._pose_nms is None else [self._pose_nms(people) for people in located]

    def estimate_given(
        self, frame: np.ndarray, boxes_xyxy: np.ndarray, scores: np.ndarray
    ) -> PersonDetections:
        """The people of given boxes, in their order, none left out; see ``protocols.GivenPersonEstimator``.

        Raises:
            ValueError: the frame is not an image, or boxes and scores are not such.
        """
        check_frames([frame])
        given = PersonDetections(
            boxes=np.require(boxes_xyxy, np.float32),
            scores=np.require(scores, np.float32),
            keypoints=np.zeros((len(boxes_xyxy), 0, 3), np.float32),
        )
        return self._locate([frame], [given])[0]

    def describe(self, frame: np.ndarray, boxes_xyxy: np.ndarray) -> np.ndarray:
        """The detector's identity vectors (N, E) of the people in given boxes (N, 4), in the frame's pixels.

        Raises:
            ValueError: the frame is not an image, or the detector describes nobody.
        """
        if not isinstance(self.detector, PersonDescriber):
            raise ValueError("the detector has no identity head")
        return self.detector.describe(frame, boxes_xyxy)

    def _select(self, people: PersonDetections) -> PersonDetections:
        """The people whose boxes are looked at."""
        return people[people.scores >= self._min_box_score].best_first()[: self._max_people]

    def _locate(
        self, frames: Sequence[np.ndarray], found: Sequence[PersonDetections]
    ) -> list[PersonDetections]:
        """The people of each frame, in their order, with their joints and their scores by them."""
        people = [
            person for frame, own in zip(frames, found, strict=True) for person in self._people(frame, own)
        ]
        joints = self._joints(people)
        regions = np.array([person.region for person in people], np.float32).reshape(-1, 1, 4)
        keypoints = joints[..., :3].copy()
        keypoints[..., :2] = regions[..., :2] + joints[..., :2] * (regions[..., 2:] - regions[..., :2])
        shares = self._shares(joints)
        located, start = [], 0
        for own in found:
            rows = slice(start, start + len(own))
            located.append(replace(own, keypoints=keypoints[rows], scores=own.scores * shares[rows]))
            start = rows.stop
        return located

    def _people(self, frame: np.ndarray, found: PersonDetections) -> list[_Person]:
        size_hw = self._network.size_hw
        regions = crop_regions(found.boxes, size_hw, self._padding)
        cells = np.array(self._network.map_size_hw[::-1], np.float32)
        shares = (found.boxes[:, 2:] - found.boxes[:, :2]) / (regions[:, 2:] - regions[:, :2])
        return [_Person(frame, region, share * cells) for region, share in zip(regions, shares, strict=True)]

    def _joints(self, people: Sequence[_Person]) -> np.ndarray:
        """(N, K, 4) float32: x, y as shares of the crops, confidences, and the OKS expected of them."""
        batches = [
            people[first : first + self._pose_batch] for first in range(0, len(people), self._pose_batch)
        ]
        look = self._look
        located = [
            row for batch in batches for row in (in_streams(look, batch) if self._on_cpu else look(batch))
        ]
        return np.array(located, np.float32).reshape(-1, len(self.skeleton), 4)

    @property
    def _on_cpu(self) -> bool:
        return self.device.type == "cpu"

    def _look(self, people: Sequence[_Person]) -> list[np.ndarray]:
        """The joints of each, as ``_joints`` gives them, from one pass through the network."""
        size_hw = self._network.size_hw
        # on a GPU numbers of crops are powers of two, so that the kernels of a few sizes can be launched at once
        count = len(people) if self._on_cpu else min(1 << (len(people) - 1).bit_length(), self._pose_batch)
        crops = np.zeros((count, *size_hw, 3), np.uint8)
        for crop, person in zip(crops, people, strict=False):
            matrix = crop_matrix(person.region, size_hw)
            crop[...] = warp_person(person.frame, matrix, size_hw, self._fill)
        cells = np.ones((count, 2), np.float32)
        cells[: len(people)] = [person.cells for person in people]
        with torch.inference_mode(), self._autocast():
            pixels = self._network.preprocess(torch.from_numpy(crops).permute(0, 3, 1, 2))
            joints = self._decode(pixels, torch.from_numpy(cells).to(self.device))
        height, width = self._network.map_size_hw
        shares = joints.positions / joints.positions.new_tensor([width, height])
        similarity = joints.confidences if joints.similarities is None else joints.similarities
        rows = torch.cat((shares, joints.confidences[..., None], similarity[..., None]), dim=-1)
        return list(rows[: len(people)].float().cpu().numpy())

    def _decode(self, pixels: Tensor, people_wh: Tensor) -> DecodedJoints:
        """The joints of preprocessed crops; with the flip test the mean of what both pictures say."""
        network = self._network
        maps = self._maps(pixels).float()
        if not self._flip_test:
            return network.decode(maps, people_wh)
        maps = maps.clone()  # a graph's result lasts until the next call
        mirrored = self._maps(pixels.flip(-1)).float().flip(-1)[:, list(self.skeleton.flip_permutation)]
        if network.codec.averages_maps:
            return network.decode((maps + mirrored) / 2, people_wh)
        first, second = network.decode(maps, people_wh), network.decode(mirrored, people_wh)
        return DecodedJoints(
            (first.positions + second.positions) / 2, (first.confidences + second.confidences) / 2, None
        )

    def _shares(self, joints: np.ndarray) -> np.ndarray:
        """(N,): what the people's joints leave of their boxes' scores."""
        if self._score == "box":
            return np.ones(len(joints), np.float32)
        if self._score == "oks":
            return joints[..., 3].mean(axis=1)
        confidence = joints[..., 2]
        seen = confidence > _SEEN
        return np.where(seen, confidence, 0).sum(axis=1) / np.maximum(seen.sum(axis=1), 1).astype(np.float32)

    def _autocast(self) -> contextlib.AbstractContextManager:
        if self.dtype == torch.float32:
            return contextlib.nullcontext()
        # weights are converted already, and a CUDA graph must not rely on a cache that is emptied
        return torch.autocast(self.device.type, self.dtype, cache_enabled=False)
