"""Configuration: the tree, and every key with its default."""

from fastpose_mtn.config.defaults import get_cfg
from fastpose_mtn.config.node import CfgNode

__all__ = ["CfgNode", "get_cfg"]
