"""Top-down networks as one of the systems of ``registry.SYSTEMS``: ``MODEL.META_ARCHITECTURE TopDownPose``."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from fastpose_mtn.config.node import CfgNode
from fastpose_mtn.errors import InputError
from fastpose_mtn.registry import Registry
from fastpose_mtn.skeletons import Skeleton, get_skeleton
from fastpose_mtn.systems.mdpn.config import add_mdpn_config
from fastpose_mtn.systems.mspn.config import add_mspn_config
from fastpose_mtn.systems.mtn.config import with_identities
from fastpose_mtn.systems.topdown.config import add_topdown_config

if TYPE_CHECKING:  # torch takes seconds to import, and configurations do without it
    import numpy as np
    from torch import nn

    from fastpose_mtn.data.dataset import PoseDataset
    from fastpose_mtn.data.transforms.augment import Augmentation
    from fastpose_mtn.estimators.exported import ExportedNetwork
    from fastpose_mtn.estimators.portable import RoundedLayers
    from fastpose_mtn.estimators.runtimes import Feed
    from fastpose_mtn.modeling.size import NetworkSize
    from fastpose_mtn.systems.topdown.estimator import TopDownEstimator
    from fastpose_mtn.systems.topdown.network import TopDownNetwork
    from fastpose_mtn.systems.topdown.portable import PortableTopDown


_DESCRIBES = "DUCPose"  # the network that can have an identity branch
# what the networks of an ensemble have in common
_SHARED = (
    "MODEL.META_ARCHITECTURE", "MODEL.SKELETON", "MODEL.TOPDOWN.INPUT_SIZE", "MODEL.TOPDOWN.LOSS",
    "MODEL.TOPDOWN.HEATMAP_PEAK", "MODEL.TOPDOWN.COORDINATES", "MODEL.TOPDOWN.PADDING", "MODEL.TOPDOWN.MARGINS",
)  # fmt: skip


class TopDownSystem:
    """A detector's boxes, crops, and a network that looks at one person at a time; see ``system_protocols.System``."""

    detector_key = "MODEL.TOPDOWN.DETECTOR.WEIGHTS"
    free_keys = ("MODEL.TOPDOWN.DETECTOR.", "MODEL.TOPDOWN.POSE_BATCH")

    def add_config(self, cfg: CfgNode) -> None:
        """Adds the keys of these networks, and their defaults, to ``cfg``."""
        add_topdown_config(cfg)
        add_mspn_config(cfg)
        add_mdpn_config(cfg)

    def training_config(self, cfg: CfgNode, *, num_identities: int, world_size: int) -> CfgNode:
        """The configuration to train with: the identity branch classifies as many identities as the data have.

        Raises:
            InputError: the configuration names fewer, or the branch's own backbone normalises over all processes: it
                runs only where a step has identities, and would wait for ever for a process that has none.
        """
        if not cfg.MODEL.REID_ON:
            return cfg
        if world_size > 1 and not cfg.MODEL.TOPDOWN.REID.SHARED and cfg.MODEL.BACKBONE.NORM == "SyncBN":
            raise InputError(
                f"MODEL.BACKBONE.NORM is SyncBN, which a second backbone for identities cannot train with in {world_size} "
                f"processes: not every one has identities in every step; use BN, or MODEL.TOPDOWN.REID.SHARED True"
            )
        return with_identities(cfg, num_identities)

    def training_skeleton(self, cfg: CfgNode) -> Skeleton:
        """``MODEL.SKELETON``, or MDPN's union of its heads' joints."""
        if cfg.MODEL.TOPDOWN.NAME == "MDPN":
            return get_skeleton(cfg.MODEL.MDPN.UNION, "MODEL.MDPN.UNION")
        return get_skeleton(cfg.MODEL.SKELETON)

    def training_data(
        self, cfg: CfgNode, datasets: Sequence[PoseDataset]
    ) -> tuple[list[PoseDataset], list[Augmentation]]:
        """People one by one, cropped and changed as ``INPUT.CROP`` and ``INPUT.AUG`` say.

        Raises:
            InputError: a dataset has nobody to learn from, or MDPN's heads and the datasets' domains do not fit.
        """
        from fastpose_mtn.data.person_crops import PersonCrops
        from fastpose_mtn.data.transforms.augment import build_crop_augmentations
        from fastpose_mtn.systems.mdpn.domains import skeletons_to_train

        skeleton = self.training_skeleton(cfg)
        learned = [skeleton] * len(datasets)
        if cfg.MODEL.TOPDOWN.NAME == "MDPN":
            learned = skeletons_to_train(cfg, datasets)
        tasks = frozenset({"keypoints", *(["identities"] if cfg.MODEL.REID_ON else [])})
        people: list[PoseDataset] = [
            PersonCrops(dataset, own, tasks) for dataset, own in zip(datasets, learned, strict=True)
        ]
        return people, build_crop_augmentations(cfg, skeleton)

    def build_network(self, cfg: CfgNode) -> TopDownNetwork:
        """The network that ``MODEL.TOPDOWN.NAME`` names, with initial weights.

        Raises:
            ValueError: there is none, or the configuration contradicts itself.
        """
        build = NETWORKS.get(cfg.MODEL.TOPDOWN.NAME)
        if cfg.MODEL.REID_ON and cfg.MODEL.TOPDOWN.NAME != _DESCRIBES:
            raise InputError(
                f"MODEL.REID_ON True: {cfg.MODEL.TOPDOWN.NAME} describes nobody, its detector does; set it False, or "
                f"MODEL.TOPDOWN.NAME {_DESCRIBES}"
            )
        return build(cfg)

    def build_estimator(
        self,
        cfg: CfgNode,
        network: nn.Module | None = None,
        *,
        device: str | None = None,
        precision: str = "auto",
    ) -> TopDownEstimator:
        """The network as a pose estimator on a device, with the detector that ``MODEL.TOPDOWN.DETECTOR`` names.

        Raises:
            TypeError: ``network`` is not a ``TopDownNetwork``.
            ValueError: no weights are named, or they do not fit the configuration.
        """
        from fastpose_mtn.systems.topdown.estimator import TopDownEstimator
        from fastpose_mtn.systems.topdown.locator import NetworkLocator

        others: list[TopDownNetwork] = []
        if network is None:
            network, device = self._loaded(cfg), cfg.MODEL.DEVICE if device is None else device
            others = [self._member(cfg, source) for source in cfg.MODEL.TOPDOWN.ENSEMBLE]
        locator = NetworkLocator(
            self._own(network),
            others=others,
            flip_test=cfg.MODEL.TOPDOWN.FLIP_TEST,
            device=device,
            precision=precision,
        )
        return TopDownEstimator.from_config(cfg, locator, device=str(locator.device), precision=precision)

    def count(
        self,
        cfg: CfgNode,
        network: nn.Module,
        *,
        image_size_hw: tuple[int, int],
        proposals: int | None,
        people: int,
    ) -> NetworkSize:
        """The size of a network, of people's crops; the image's does not count."""
        from fastpose_mtn.modeling.size import NetworkSize
        from fastpose_mtn.systems.topdown.size import parts_of

        own = self._own(network)
        shape = "x".join(map(str, own.size_hw))
        title = f"{cfg.MODEL.TIMM.NAME}, {people} crops of {shape}; G: 10^9 multiply-additions"
        return NetworkSize(title, parts_of(own, people=people))

    def build_portable(
        self, network: nn.Module, cfg: CfgNode, *, given_boxes: bool, min_score: bool
    ) -> PortableTopDown:
        """The network in the form that runtimes can hold; people are given in any case, and none is left out.

        Raises:
            InputError: there are several, or it has layers that no runtime holds.
        """
        from fastpose_mtn.systems.topdown.portable import PortableTopDown

        if cfg.MODEL.TOPDOWN.ENSEMBLE:
            raise InputError("MODEL.TOPDOWN.ENSEMBLE: an export is of one network; set it []")
        return PortableTopDown(self._own(network), flip_test=cfg.MODEL.TOPDOWN.FLIP_TEST)

    def calibration(self, network: ExportedNetwork, images: Sequence[np.ndarray]) -> list[Feed]:
        """The crops of each image's people, whom ``MODEL.TOPDOWN.DETECTOR`` finds."""
        from fastpose_mtn.systems.topdown.estimator import TopDownEstimator
        from fastpose_mtn.systems.topdown.locator import ExportedLocator

        locator = ExportedLocator(network)
        estimator = TopDownEstimator.from_config(network.cfg, locator, device="cpu")
        looks = (estimator.crops_of(image) for image in images)
        return [locator.inputs_of(crops, people_wh) for crops, people_wh in looks if len(crops)]

    def rounded_layers(self, cfg: CfgNode) -> RoundedLayers:
        """All but those that stay in float32."""
        from fastpose_mtn.systems.topdown.portable import rounded_layers

        return rounded_layers(self.build_network(cfg).exact_layers)

    def build_exported(self, network: ExportedNetwork, *, device: str) -> TopDownEstimator:
        """An exported network as a pose estimator, with its detector on a device.

        Raises:
            ValueError: the detector's weights cannot be used.
        """
        from fastpose_mtn.systems.topdown.estimator import TopDownEstimator
        from fastpose_mtn.systems.topdown.locator import ExportedLocator

        locator = ExportedLocator(network)
        return TopDownEstimator.from_config(network.cfg, locator, device=device)

    def _own(self, network: nn.Module) -> TopDownNetwork:
        from fastpose_mtn.systems.topdown.network import TopDownNetwork

        if not isinstance(network, TopDownNetwork):
            raise TypeError(f"network: expected a TopDownNetwork, got {type(network).__name__}")
        return network

    def _member(self, cfg: CfgNode, source: str) -> TopDownNetwork:
        """A further network of an ensemble; where its file carries no configuration, it is built as the first one.

        Raises:
            InputError: its maps are of other joints, sizes or meanings than the first one's.
            ValueError: the weights cannot be used.
        """
        from fastpose_mtn.checkpoints.loading import inference_config, read_metadata, weights_file

        own = cfg.clone()
        if read_metadata(weights_file(source)).get("config"):
            own = inference_config(source)
        own.MODEL.WEIGHTS = source
        for key in _SHARED:
            theirs, ours = operator.attrgetter(key)(own), operator.attrgetter(key)(cfg)
            if theirs != ours:
                raise InputError(
                    f"MODEL.TOPDOWN.ENSEMBLE {source}: its {key} is {theirs}, the first network's {ours}: maps of an ensemble "
                    f"are averaged, and must mean the same"
                )
        return self._loaded(own)

    def _loaded(self, cfg: CfgNode) -> TopDownNetwork:
        from fastpose_mtn.checkpoints.loading import load_network

        return load_network(cfg, self.build_network)


# makes the network that a configuration describes, with initial weights
NetworkFactory = Callable[[CfgNode], "TopDownNetwork"]
NETWORKS: Registry[NetworkFactory] = Registry(
    "MODEL.TOPDOWN.NAME",
    {
        "DUCPose": "fastpose_mtn.systems.alphapose.network:build_duc_pose",
        "MSPN": "fastpose_mtn.systems.mspn.network:build_mspn",
        "MDPN": "fastpose_mtn.systems.mdpn.network:build_mdpn",
    },
)
TOPDOWN_SYSTEM = TopDownSystem()
