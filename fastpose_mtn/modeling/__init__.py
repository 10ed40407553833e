"""The network: backbone, proposals, heads and their assembly."""

from fastpose_mtn.modeling import libraries  # noqa: F401  (first: what follows imports torchvision and timm)

# isort: split
from fastpose_mtn.modeling.network import ALL_TASKS, MTN, build_model

__all__ = ["ALL_TASKS", "MTN", "build_model"]
