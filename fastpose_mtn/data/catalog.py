"""Datasets by the names that ``DATASETS.TRAIN`` and ``DATASETS.TEST`` use."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from fastpose_mtn.config import CfgNode
from fastpose_mtn.data.loader import PoseDataset
from fastpose_mtn.data.synthetic_dataset import SyntheticDataset, SyntheticSpec
from fastpose_mtn.skeletons import Skeleton, get_skeleton

# (name, skeleton of the network, for training) -> the dataset
Builder = Callable[[str, Skeleton, bool], PoseDataset]


def _synthetic(name: str, skeleton: Skeleton, training: bool) -> PoseDataset:
    return SyntheticDataset(name, SyntheticSpec.parse(name), skeleton=skeleton, training=training)


SCHEMES: dict[str, Builder] = {"synthetic": _synthetic}
DATASETS: dict[str, Builder] = {}


def build_dataset(name: str, skeleton: Skeleton, *, training: bool) -> PoseDataset:
    """The dataset of this name.

    Raises:
        ValueError: there is none, or its files cannot be used.
    """
    scheme = name.partition("://")[0]
    if "://" in name and scheme in SCHEMES:
        return SCHEMES[scheme](name, skeleton, training)
    if name in DATASETS:
        return DATASETS[name](name, skeleton, training)
    known = [*DATASETS, *(f"{scheme}://..." for scheme in SCHEMES)]
    raise ValueError(f"unknown dataset {name!r}; known: {', '.join(known)}")


def build_datasets(cfg: CfgNode, names: Sequence[str], *, training: bool) -> list[PoseDataset]:
    """The datasets of these names in the network's skeleton."""
    skeleton = get_skeleton(cfg.MODEL.SKELETON)
    return [build_dataset(name, skeleton, training=training) for name in names]
