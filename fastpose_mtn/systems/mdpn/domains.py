"""Domains: ways of labelling people, each with a head that has its joints, and the datasets that they are learned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fastpose_mtn.config.node import CfgNode
from fastpose_mtn.errors import InputError, did_you_mean
from fastpose_mtn.skeletons import COCO17, CROWDPOSE14, MPII16, POSETRACK15, Skeleton, get_skeleton

if TYPE_CHECKING:
    from fastpose_mtn.data.dataset import PoseDataset

KNOWN = {"coco": COCO17, "mpii": MPII16, "posetrack": POSETRACK15, "crowdpose": CROWDPOSE14}


def domain_skeletons(cfg: CfgNode) -> dict[str, Skeleton]:
    """The joints of each head of ``MODEL.MDPN.DOMAINS``, in order.

    Raises:
        ValueError: there is none, a name is unknown or none, or ``MODEL.MDPN.UNION`` lacks a joint.
    """
    union = get_skeleton(cfg.MODEL.MDPN.UNION, "MODEL.MDPN.UNION")
    heads: dict[str, Skeleton] = {}
    for entry in cfg.MODEL.MDPN.DOMAINS:
        name, _, skeleton = str(entry).partition(":")
        if not name.isidentifier() or name in heads or not (skeleton or name in KNOWN):
            raise ValueError(
                f"MODEL.MDPN.DOMAINS: expected different names of {', '.join(KNOWN)}, or NAME:SKELETON, got {entry!r}"
            )
        heads[name] = get_skeleton(skeleton, f"MODEL.MDPN.DOMAINS {entry}") if skeleton else KNOWN[name]
        lacking = [joint for joint in heads[name].joints if not union.has(joint)]
        if lacking:
            raise ValueError(
                f"MODEL.MDPN.UNION {union.name} lacks joints of domain {name}: {', '.join(lacking)}; name a skeleton that "
                f"has the joints of all MODEL.MDPN.DOMAINS"
            )
    if not heads:
        raise ValueError("MODEL.MDPN.DOMAINS: expected a domain or more, got none")
    return heads


def per_domain(values: Sequence[float], heads: Sequence[str], key: str) -> dict[str, float]:
    """A number of each head; 1 where there are none.

    Args:
        values: in the order of the heads, or [].
        heads: their names.
        key: of ``MODEL.MDPN``, for messages.

    Raises:
        ValueError: there are not as many, or one is below 0.
    """
    if len(values) not in (0, len(heads)) or any(not value >= 0 for value in values):
        raise ValueError(
            f"MODEL.MDPN.{key}: expected a number from 0 for each of {', '.join(heads)}, or [], got {list(values)}"
        )
    return dict(zip(heads, map(float, values or [1.0] * len(heads)), strict=True))


def skeletons_to_train(cfg: CfgNode, datasets: Sequence[PoseDataset]) -> list[Skeleton]:
    """The joints that are learned from each dataset, its head's.

    Raises:
        InputError: a part that trains is no head; a dataset is of no head, names none of its head's joints, or trains
            nothing; or a head that trains has no dataset.
    """
    heads = domain_skeletons(cfg)
    parts = list(cfg.SOLVER.TRAINED_PARTS)
    for part in parts:
        if part.startswith("heads.") and part.split(".")[1] not in heads:
            near = did_you_mean(part, [f"heads.{head}" for head in heads])
            raise InputError(
                f"SOLVER.TRAINED_PARTS: there is no {part}; MODEL.MDPN.DOMAINS has {', '.join(heads)}{near}"
            )
    trained = [head for head in heads if not parts or "heads" in parts or f"heads.{head}" in parts]
    features_train = not parts or any(part.partition(".")[0] == "backbone" for part in parts)
    for dataset in datasets:
        domain = dataset.domain
        if domain not in heads:
            raise InputError(
                f"dataset {dataset.name}: its domain is {domain}, and MODEL.MDPN.DOMAINS has {', '.join(heads)}: add "
                f"?domain=NAME to the dataset's name, or &domain=NAME behind its other parts, of the domain whose people "
                f"are labelled alike, or add the domain"
            )
        if not dataset.skeleton.shares_joints(heads[domain]):
            raise InputError(
                f"dataset {dataset.name}: of its joints ({', '.join(dataset.skeleton.joints)}) domain {domain} has none; it "
                f"has {', '.join(heads[domain].joints)}: name the joints so, or give the dataset another ?domain="
            )
        if domain not in trained and not features_train:
            raise InputError(
                f"dataset {dataset.name}: trains nothing: SOLVER.TRAINED_PARTS {parts} has neither the backbone nor "
                f"heads.{domain}; leave it out of DATASETS.TRAIN"
            )
    given = {dataset.domain for dataset in datasets}
    for head in trained:
        if head not in given:
            raise InputError(
                f"MODEL.MDPN.DOMAINS {head}: no dataset of DATASETS.TRAIN is of this domain, so its head would learn "
                f"nothing: add one (?domain={head}), leave the domain out, or name the parts that train in "
                f"SOLVER.TRAINED_PARTS"
            )
    return [heads[dataset.domain] for dataset in datasets]
