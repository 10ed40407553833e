"""The pose network of a top-down system as it runs: crops in, joints out, in PyTorch or as an exported file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from fastpose_mtn.config import CfgNode
from fastpose_mtn.estimators.exported import CROPS, PEOPLE, Runtime
from fastpose_mtn.runtime.cuda_graphs import CudaGraphs
from fastpose_mtn.runtime.inference import at_its_fastest, converted_autocast
from fastpose_mtn.runtime.precision import resolve_device, resolve_precision
from fastpose_mtn.runtime.streams import in_streams
from fastpose_mtn.skeletons import Skeleton, get_skeleton
from fastpose_mtn.systems.topdown.network import TopDownNetwork


class JointLocator(Protocol):
    """Locates the joints of people in their crops.

    Attributes:
        skeleton: what the K joints are.
        size_hw: of the crops.
        fill_rgb: colour of what lies outside the frame, 0 to 255.
    """

    skeleton: Skeleton
    size_hw: tuple[int, int]
    fill_rgb: tuple[float, float, float]

    def __call__(self, crops: np.ndarray, people_wh: np.ndarray) -> np.ndarray:
        """The joints (N, K, 4) float32: x and y as shares of the crop, confidences, and the OKS expected of them.

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
        others: networks whose maps are averaged with its own: an ensemble.
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
        self.skeleton, self.size_hw = network.skeleton, network.size_hw
        self.fill_rgb = network.mean_rgb
        self._flip_test = flip_test
        if others and not network.codec.averages_maps:
            raise ValueError(
                "MODEL.TOPDOWN.ENSEMBLE: maps of MODEL.TOPDOWN.LOSS integral have no mean; leave it empty"
            )
        self._networks = [self._prepared(one) for one in (network, *others)]
        self._maps: list[Callable[[Tensor], Tensor]] = [
            CudaGraphs(one.maps, kept=8) if self.device.type == "cuda" else one.maps for one in self._networks
        ]

    def _prepared(self, network: TopDownNetwork) -> TopDownNetwork:
        """A copy, at its fastest."""
        return at_its_fastest(
            network,
            device=self.device,
            dtype=self.dtype,
            trunk=lambda own: own.trunk,
            exact=lambda own: [(own, network.exact_layers)],  # little work
        )

    def __call__(self, crops: np.ndarray, people_wh: np.ndarray) -> np.ndarray:
        """See ``JointLocator``; on a CPU in parallel streams."""
        if self.device.type == "cpu":
            rows = in_streams(lambda part: list(self._look(crops[part], people_wh[part])), range(len(crops)))
            return np.stack(rows)
        # numbers of crops are powers of two, so that the kernels of a few sizes can be launched at once
        spare = (1 << (len(crops) - 1).bit_length()) - len(crops)
        padded = [np.concatenate((a, np.repeat(a[:1], spare, axis=0))) for a in (crops, people_wh)]
        return self._look(*padded)[: len(crops)]

    def _look(self, crops: np.ndarray, people_wh: np.ndarray) -> np.ndarray:
        with torch.inference_mode(), converted_autocast(self.device, self.dtype):
            images = torch.from_numpy(crops).permute(0, 3, 1, 2)
            people = torch.from_numpy(people_wh).to(self.device)
            sides = [self._mean_maps(images, mirrored) for mirrored in (False, True)[: 1 + self._flip_test]]
            return self._networks[0].joints(sides[0], people, *sides[1:]).cpu().numpy()

    def _mean_maps(self, images: Tensor, mirrored: bool) -> Tensor:
        """(N, K, h, w) float32 of images (N, 3, H, W), or of their mirror images."""
        total: Tensor | None = None
        for network, maps in zip(self._networks, self._maps, strict=True):
            pixels = network.preprocess(images)
            own = maps(pixels.flip(-1) if mirrored else pixels).float()
            # a graph's result lasts until the next call
            total = own.clone() if total is None else total + own
        assert total is not None
        return total / len(self._networks)


class ExportedLocator:
    """A network from a file that ``python -m fastpose_mtn.export`` wrote; see ``JointLocator``.

    Args:
        runtime: the file, opened.
        cfg: that the file carries.
    """

    def __init__(self, runtime: Runtime, cfg: CfgNode) -> None:
        self._run, self._inputs = runtime.run, runtime.inputs
        self.skeleton = get_skeleton(cfg.MODEL.SKELETON)
        height, width = cfg.MODEL.TOPDOWN.INPUT_SIZE
        self.size_hw = (height, width)
        mean = list(cfg.MODEL.PIXEL_MEAN)
        red, green, blue = mean if cfg.INPUT.FORMAT == "RGB" else mean[::-1]
        self.fill_rgb = (red, green, blue)

    def __call__(self, crops: np.ndarray, people_wh: np.ndarray) -> np.ndarray:
        """See ``JointLocator``."""
        feed = {CROPS: crops, PEOPLE: people_wh}  # whom only decoding by the expected OKS looks at
        ((joints,),) = self._run([{name: feed[name] for name in self._inputs}])
        # 8 bits' rounding can leave a probability a little outside
        return np.concatenate((joints[..., :2], joints[..., 2:].clip(0.0, 1.0)), axis=-1)
