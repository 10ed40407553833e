"""The network: backbone, proposals, heads and their assembly."""

from fastpose_mtn.modeling.network import ALL_TASKS, MTN, build_model

__all__ = ["ALL_TASKS", "MTN", "build_model"]
