"""The pose network of a top-down system as it runs: crops in, joints out, in PyTorch or as an exported file."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeVar

import numpy as np
import torch
from torch import Tensor

from fastpose_mtn.errors import InputError
from fastpose_mtn.estimators.exported import ExportedNetwork, confidences_clipped
from fastpose_mtn.estimators.runtimes import CROPS, EXPORT_AGAIN, PEOPLE, Feed
from fastpose_mtn.ops.person_crops import crop_size
from fastpose_mtn.runtime.cuda_graphs import CudaGraphs
from fastpose_mtn.runtime.inference import at_its_fastest, converted_autocast
from fastpose_mtn.runtime.precision import resolve_device, resolve_precision
from fastpose_mtn.runtime.streams import in_streams
from fastpose_mtn.skeletons import Skeleton, get_skeleton
from fastpose_mtn.systems.topdown.network import TopDownNetwork

R = TypeVar("R")


class Located(NamedTuple):
    """The joints of N people in their crops, and their identity vectors.

    joints (N, K, 4) float32: x and y as shares of the crop, confidences, and the OKS expected of them; embeddings
    (N, E) float32 identity vectors, None where the network describes nobody.
    """

    joints: np.ndarray
    embeddings: np.ndarray | None


class JointLocator(Protocol):
    """Locates the joints of people in their crops, and describes the people where it can.

    Attributes:
        skeleton: what the K joints are.
        embedding_dim: numbers of an identity vector; None: it describes nobody.
        size_hw: of the crops.
        fill_rgb: colour of what lies outside the frame, 0 to 255.
    """

    skeleton: Skeleton
    embedding_dim: int | None
    size_hw: tuple[int, int]
    fill_rgb: tuple[float, float, float]

    def __call__(self, crops: np.ndarray, people_wh: np.ndarray) -> Located:
        """Joints and identity vectors.

        Args:
            crops: (N, H, W, 3) uint8 RGB, N from 1.
            people_wh: (N, 2) float32 sizes of the people's boxes, as shares of the crop.
        """
        ...


class NetworkLocator:
    """A network on a device, without gradients and at its fastest; see ``JointLocator``.

    The network is copied, so training may go on with the one given.

    Args:
        network: the network.
        others: networks whose maps are averaged with its own: an ensemble. Identity vectors are its own.
        flip_test: look at mirror images too.
        device: auto, cpu, cuda or cuda:N; None: the network's.
        precision: auto, fp32, bf16 or fp16.

    Raises:
        ValueError: there is no such device, or it cannot compute in that precision.
    """

    def __init__(
        self,
        network: TopDownNetwork,
        *,
        others: Sequence[TopDownNetwork] = (),
        flip_test: bool = False,
        device: str | None = None,
        precision: str = "auto",
    ) -> None:
        self.device = network.device if device is None else resolve_device(device)
        self.dtype = resolve_precision(precision, self.device)
        self.skeleton, self.embedding_dim = network.skeleton, network.embedding_dim
        self.size_hw = network.size_hw
        self.fill_rgb = network.mean_rgb
        self._flip_test = flip_test
        if others and not network.codec.averages_maps:
            raise ValueError(
                "MODEL.TOPDOWN.ENSEMBLE: maps of MODEL.TOPDOWN.LOSS integral have no mean; leave it empty"
            )
        self._networks = [
            at_its_fastest(one, device=self.device, dtype=self.dtype) for one in (network, *others)
        ]
        own = self._networks[0]
        self._maps = [self._repeated(one.maps) for one in self._networks]
        self._described = None if own.reid is None else self._repeated(own.maps_and_vectors)

    def _repeated(self, function: Callable[[Tensor], R]) -> Callable[[Tensor], R]:
        return CudaGraphs(function, kept=8) if self.device.type == "cuda" else function

    def __call__(self, crops: np.ndarray, people_wh: np.ndarray) -> Located:
        """See ``JointLocator``; on a CPU in parallel streams."""
        if self.device.type == "cpu":
            joints, vectors = zip(
                *in_streams(functools.partial(self._rows, crops, people_wh), range(len(crops))), strict=True
            )
            return Located(np.stack(joints), None if self.embedding_dim is None else np.stack(vectors))
        # numbers of crops are powers of two, so that the kernels of a few sizes can be launched at once
        spare = (1 << (len(crops) - 1).bit_length()) - len(crops)
        padded = [np.concatenate((a, np.repeat(a[:1], spare, axis=0))) for a in (crops, people_wh)]
        joints, vectors = self._look(*padded)
        return Located(joints[: len(crops)], None if vectors is None else vectors[: len(crops)])

    def _rows(
        self, crops: np.ndarray, people_wh: np.ndarray, part: Sequence[int]
    ) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """What there is to say of some of the people, one by one."""
        rows = slice(part[0], part[-1] + 1)
        joints, vectors = self._look(crops[rows], people_wh[rows])
        return list(zip(joints, [None] * len(joints) if vectors is None else vectors, strict=True))

    def _look(self, crops: np.ndarray, people_wh: np.ndarray) -> Located:
        with torch.inference_mode(), converted_autocast(self.device, self.dtype):
            images = torch.from_numpy(crops).permute(0, 3, 1, 2)
            people = torch.from_numpy(people_wh).to(self.device)
            pixels = [network.preprocess(images) for network in self._networks]
            vectors = None
            if self._described is None:
                first = self._maps[0](pixels[0])
            else:
                first, described = self._described(pixels[0])
                assert described is not None
                vectors = described.float().cpu().numpy()
            sides = [self._mean(first, pixels)]
            if self._flip_test:
                mirrored = [own.flip(-1) for own in pixels]
                sides.append(self._mean(self._maps[0](mirrored[0]), mirrored))
            joints = self._networks[0].joints(sides[0], people, *sides[1:])
            return Located(joints.cpu().numpy(), vectors)

    def _mean(self, first: Tensor, pixels: Sequence[Tensor]) -> Tensor:
        """(N, K, h, w) float32: the mean of the first network's maps and of the others', of each one's crops."""
        total = first.float().clone()  # a graph's results last until the next call
        for own, maps in zip(pixels[1:], self._maps[1:], strict=True):
            total = total + maps(own).float()
        return total / len(pixels)


class ExportedLocator:
    """A network from a file that ``python -m fastpose_mtn.export`` wrote; see ``JointLocator``.

    Args:
        network: the file, opened.

    Raises:
        InputError: it takes no crops.
    """

    def __init__(self, network: ExportedNetwork) -> None:
        cfg, self._network = network.cfg, network
        self._run, self._inputs = network.runtime.run, network.runtime.inputs
        if not {CROPS} <= set(self._inputs) <= {CROPS, PEOPLE}:
            raise InputError(
                f"{network.path}: it takes {' and '.join(self._inputs)}, not crops of people; {EXPORT_AGAIN}"
            )
        self.skeleton = get_skeleton(cfg.MODEL.SKELETON)
        self.embedding_dim = network.embedding_dim
        self.size_hw = crop_size(cfg.MODEL.TOPDOWN.INPUT_SIZE)
        mean = list(cfg.MODEL.PIXEL_MEAN)
        red, green, blue = mean if cfg.INPUT.FORMAT == "RGB" else mean[::-1]
        self.fill_rgb = (red, green, blue)

    def inputs_of(self, crops: np.ndarray, people_wh: np.ndarray) -> Feed:
        """The network's inputs; see ``JointLocator``. Sizes of people matter to decoding by the expected OKS alone."""
        feed = {CROPS: crops, PEOPLE: people_wh}
        return {name: feed[name] for name in self._inputs}

    def __call__(self, crops: np.ndarray, people_wh: np.ndarray) -> Located:
        """See ``JointLocator``."""
        (outputs,) = self._run([self.inputs_of(crops, people_wh)])
        self._network.check(outputs, ((len(self.skeleton), 4),))
        joints, *vectors = outputs
        return Located(confidences_clipped(joints), vectors[0] if vectors else None)
