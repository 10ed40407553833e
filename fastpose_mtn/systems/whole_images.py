"""What systems share whose networks see whole images."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from fastpose_mtn.config.node import CfgNode
from fastpose_mtn.skeletons import Skeleton, get_skeleton

if TYPE_CHECKING:  # torch takes seconds to import, and configurations do without it
    from fastpose_mtn.data.dataset import PoseDataset
    from fastpose_mtn.data.transforms.augment import Augmentation
    from fastpose_mtn.estimators.exported import ExportedEstimator, ExportedNetwork
    from fastpose_mtn.estimators.runtimes import Feed


class WholeImageSystem:
    """A system that trains on whole images, in ``MODEL.SKELETON``; see ``system_protocols.System`` for the rest of it."""

    free_keys: tuple[str, ...] = ()

    def training_skeleton(self, cfg: CfgNode) -> Skeleton:
        """``MODEL.SKELETON``."""
        return get_skeleton(cfg.MODEL.SKELETON)

    def training_data(
        self, cfg: CfgNode, datasets: Sequence[PoseDataset]
    ) -> tuple[list[PoseDataset], list[Augmentation]]:
        """Whole images, changed as ``INPUT`` says."""
        from fastpose_mtn.data.transforms.augment import build_augmentations

        return list(datasets), build_augmentations(cfg)

    def calibration(self, network: ExportedNetwork, images: Sequence[np.ndarray]) -> list[Feed]:
        """The images with people: what describes them has nothing to measure in the others."""
        from fastpose_mtn.estimators.exported import ExportedEstimator
        from fastpose_mtn.estimators.frames import resize_to_test_size

        estimator, test = ExportedEstimator.of(network, device="cpu"), network.cfg.INPUT
        peopled = [image for image in images if len(estimator.estimate([image])[0])]
        sizes = test.MIN_SIZE_TEST, test.MAX_SIZE_TEST
        return [estimator.inputs_of(resize_to_test_size(image, *sizes)) for image in peopled]

    def build_exported(self, network: ExportedNetwork, *, device: str) -> ExportedEstimator:
        """An exported network as a pose estimator: its graph gives people as they are reported."""
        from fastpose_mtn.estimators.exported import ExportedEstimator

        return ExportedEstimator.of(network, device=device)
