"""Parts of networks that several systems share: backbone, feature pyramid, region proposals, box head."""

from fastpose_mtn import libraries  # noqa: F401  (first: what follows imports torchvision and timm)
