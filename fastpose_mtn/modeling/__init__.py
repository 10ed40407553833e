"""Parts of networks that several systems share: backbone, pyramid, proposals, box head."""

from fastpose_mtn import libraries  # noqa: F401  (first: what follows imports torchvision and timm)
