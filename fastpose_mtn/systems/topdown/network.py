"""A network that looks at one person at a time: crops in, heatmaps and joints out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastpose_mtn.config import CfgNode
from fastpose_mtn.modeling.image_network import ImageNetwork
from fastpose_mtn.modeling.layers import involve
from fastpose_mtn.ops.crop_coordinates import CONTINUOUS, CropCoordinates, crop_coordinates
from fastpose_mtn.ops.integral import soft_maximum
from fastpose_mtn.ops.person_crops import crop_size
from fastpose_mtn.skeletons import SKELETONS, Skeleton
from fastpose_mtn.structures import Batch
from fastpose_mtn.systems.topdown.codecs import DecodedJoints, KeypointCodec
from fastpose_mtn.systems.topdown.identity import IdentityBranch

STRIDE = 4  # pixels of a crop to a cell of its maps
_SECOND = "reid.backbone."


class CropSettings(TypedDict):
    """How a network sees crops: their size, normalisation, channel order and coordinates; see ``TopDownNetwork``."""

    size_hw: tuple[int, int]
    pixel_mean: Sequence[float]
    pixel_std: Sequence[float]
    input_format: str
    coordinates: CropCoordinates


def crop_settings(cfg: CfgNode) -> CropSettings:
    """Those of ``MODEL.TOPDOWN``, ``MODEL.PIXEL_MEAN``, ``MODEL.PIXEL_STD`` and ``INPUT.FORMAT``.

    Raises:
        ValueError: see ``crop_size``; or there is no such convention of coordinates.
    """
    c = cfg.MODEL.TOPDOWN
    return CropSettings(
        size_hw=crop_size(c.INPUT_SIZE),
        pixel_mean=cfg.MODEL.PIXEL_MEAN,
        pixel_std=cfg.MODEL.PIXEL_STD,
        input_format=cfg.INPUT.FORMAT,
        coordinates=crop_coordinates(c.COORDINATES, decoder=c.DECODER),
    )


class LabelledPeople(NamedTuple):
    """What a network learns from of N people, one in each crop.

    positions (N, K, 2) float32 x, y in cells, also outside the maps; visibility (N, K), 0 unlabelled, 1 hidden, 2 visible;
    trains (N,) bool: whose joints count at all; identities (N,) int64, -1 of those whose identity does not; domains: whose
    way of labelling each has, see ``structures.Batch``.
    """

    positions: Tensor
    visibility: Tensor
    trains: Tensor
    identities: Tensor
    domains: Sequence[str] = ()

    @property
    def labelled(self) -> Tensor:
        """(N, K) bool: the joints that count."""
        return (self.visibility > 0) & self.trains[:, None]


class TopDownNetwork(ImageNetwork):
    """Backbone and upsampler, one heatmap a joint; what the heatmaps mean is the codec's.

    Args:
        backbone: crops (N, 3, H, W) to features; its ``bottom_up`` is the extractor.
        upsampler: features to maps (N, K, h, w); None: a subclass has it under another name.
        codec: trains and reads the maps.
        skeleton: what the joints are.
        size_hw: of the crops.
        pixel_mean, pixel_std: of the three channels, on 0..255, in the order of ``input_format``.
        input_format: order of the channels that the weights expect, RGB or BGR; crops are always given as RGB.
        loss_weight: of the positions.
        visibility_loss_weight: of the visibility of joints; 0: confidences are the codec's own.
        coordinates: what cells mean in pixels.
        reid: gives identity vectors; None: the network describes nobody.

    Attributes:
        loss_tasks: see ``system_protocols.TrainableNetwork``.
        training_skeleton: what the joints of its targets are.
        reverses_channels: whether the weights expect BGR.
    """

    exact_layers: Sequence[str] = ("upsampler.output",)
    loss_tasks: Mapping[str, str] = {"loss_keypoint": "keypoints", "loss_visibility": "keypoints"}

    def __init__(
        self,
        *,
        backbone: nn.Module,
        upsampler: nn.Module | None,
        codec: KeypointCodec,
        skeleton: Skeleton,
        size_hw: tuple[int, int],
        pixel_mean: Sequence[float],
        pixel_std: Sequence[float],
        input_format: str = "RGB",
        loss_weight: float = 1.0,
        visibility_loss_weight: float = 0.0,
        coordinates: CropCoordinates = CONTINUOUS,
        reid: IdentityBranch | None = None,
    ) -> None:
        super().__init__(
            skeleton=skeleton, pixel_mean=pixel_mean, pixel_std=pixel_std, input_format=input_format
        )
        self.backbone = backbone
        if upsampler is not None:
            self.upsampler = upsampler
        self.training_skeleton = skeleton
        self.codec, self.size_hw = codec, size_hw
        self._loss_weight, self._visibility_loss_weight = loss_weight, visibility_loss_weight
        self.coordinates = coordinates
        self.reid = reid
        if reid is not None:
            self.loss_tasks = {**self.loss_tasks, "loss_reid": "identities"}

    @property
    def embedding_dim(self) -> int | None:
        """Numbers of an identity vector; None: the network describes nobody."""
        return None if self.reid is None else self.reid.embedding_dim

    @property
    def trunks(self) -> Sequence[nn.Module]:
        """The extractors of features of the pose network and, where it is a second one, of the identity branch."""
        if self.reid is None or self.reid.backbone is None:
            return super().trunks
        return [*super().trunks, self.reid.backbone.get_submodule("bottom_up")]

    @property
    def map_size_hw(self) -> tuple[int, int]:
        """Height and width of the maps, cells."""
        return self.size_hw[0] // STRIDE, self.size_hw[1] // STRIDE

    @property
    def mean_rgb(self) -> tuple[float, float, float]:
        """The mean colour, 0 to 255: 0 once it is normalised."""
        mean = self.pixel_mean.flatten().tolist()
        red, green, blue = mean[::-1] if self.reverses_channels else mean
        return red, green, blue

    def forward(self, crops: Tensor) -> Tensor:
        """Maps (N, K, h, w) of crops (N, 3, H, W) RGB on 0..255."""
        return self.maps(self.preprocess(crops))

    def preprocess(self, crops: Tensor) -> Tensor:
        """The crops as the backbone takes them, normalised, (N, 3, H, W) float32."""
        crops = crops.to(self.device, non_blocking=True)
        crops = crops.flip(1) if self.reverses_channels else crops
        normal = (crops - self.pixel_mean) / self.pixel_std
        return normal.contiguous(memory_format=torch.channels_last)

    def maps(self, pixels: Tensor) -> Tensor:
        """Maps (N, K, h, w) of preprocessed crops: the same steps for all batches of a shape."""
        return self.upsampler(self.backbone(pixels))

    def maps_and_vectors(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        """Maps, and identity vectors (N, E) float32 where the network describes people, of preprocessed crops."""
        if self.reid is None:
            return self.maps(pixels), None
        features = self.backbone(pixels)
        maps = self.upsampler(features)
        return maps, self.reid(pixels, features, self.codec.heights(maps))

    def decode(self, maps: Tensor, people_wh: Tensor) -> DecodedJoints:
        """The joints of all people at once, in cells.

        Args:
            maps: (N, K, h, w).
            people_wh: (N, 2) sizes of their boxes, in cells.
        """
        joints = self.codec.decode(maps, people_wh)
        if self._visibility_loss_weight:
            joints = joints._replace(confidences=soft_maximum(maps).sigmoid())
        return joints

    def joints(self, maps: Tensor, people_wh: Tensor, mirrored: Tensor | None = None) -> Tensor:
        """Decodes maps for those who look at crops from outside.

        Args:
            maps: (N, K, h, w).
            people_wh: (N, 2) sizes of the people's boxes, as shares of the crops.
            mirrored: maps of the crops' mirror images, which have the same to say (the flip test); None: not looked at.

        Returns:
            (N, K, 4) float32: x and y as shares of the crops, confidences, and the OKS expected of them.
        """
        height, width = self.map_size_hw
        cells = torch.tensor([width, height], dtype=torch.float32, device=maps.device)
        people = people_wh * cells
        if mirrored is None:
            found = self.decode(maps, people)
        else:
            back = mirrored.flip(-1)[:, list(self.skeleton.flip_permutation)]
            # index i is W - 1 - i in the mirror image, cell j so nearly W / 4 - j
            if self.coordinates.shifts_mirrored:
                back = torch.cat((back[..., :1], back[..., :-1]), dim=-1)
            if self.codec.averages_maps:
                found = self.decode((maps + back) / 2, people)
            else:
                one, two = self.decode(maps, people), self.decode(back, people)
                positions = (one.positions + two.positions) / 2
                found = DecodedJoints(positions, (one.confidences + two.confidences) / 2, None)
        similarity = found.confidences if found.similarities is None else found.similarities
        both = torch.stack((found.confidences, similarity), dim=-1)
        size = torch.tensor(self.size_hw[::-1], dtype=torch.float32, device=maps.device)
        shares = self.coordinates.points(found.positions, self.size_hw, self.map_size_hw) / size
        return torch.cat((shares, both), dim=-1)

    def adapted(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The same tensors; a second backbone begins as the pose network's where the file has none for it."""
        if self.reid is None or self.reid.backbone is None or any(n.startswith(_SECOND) for n in tensors):
            return dict(tensors)
        first = {name: tensor for name, tensor in tensors.items() if name.startswith("backbone.")}
        return {**tensors, **{f"reid.{name}": tensor for name, tensor in first.items()}}

    def misfit(self, tensors: Mapping[str, Tensor]) -> str:
        """Whose joints a file's maps may be, where these are more or fewer; "" where they are not.

        See ``checkpoints.loading.AdaptsWeights``.
        """
        own = self.state_dict()
        for name, tensor in tensors.items():
            if not name.startswith(tuple(self.exact_layers)) or name not in own or own[name].ndim == 0:
                continue
            joints = len(tensor)
            if joints != len(own[name]):
                fit = [skeleton.name for skeleton in SKELETONS.values() if len(skeleton) == joints]
                return (
                    f"the file's maps are of {joints} joints, this network's of {self.skeleton.name}'s {len(own[name])}: set "
                    f"MODEL.SKELETON to theirs ({', '.join(fit) or 'none that is known has as many'}) to use them; in "
                    f"training the layers that give joints begin anew otherwise"
                )
        return ""

    def losses(self, batch: Batch) -> dict[str, Tensor]:
        """The weighted losses of a batch of crops with one person each, by the names of ``loss_tasks``.

        Raises:
            ValueError: a target is not one person of the network's skeleton, or crops are of another size.
        """
        self._check(batch)
        crops = torch.stack(list(batch.images))
        keypoints = torch.cat([target.keypoints for target in batch.targets]).to(self.device)
        joints, known = (
            torch.tensor([task in tasks for tasks in batch.tasks], device=self.device)
            for task in ("keypoints", "identities")
        )
        counts = ~torch.cat([target.ignore for target in batch.targets]).to(self.device)
        identities = torch.cat([target.identities for target in batch.targets]).to(self.device)
        people = LabelledPeople(
            self.coordinates.cells(keypoints[..., :2], self.size_hw, self.map_size_hw),
            keypoints[..., 2],
            joints & counts,
            torch.where(known & counts, identities, -1),
            batch.domains,
        )
        return involve(self.person_losses(crops, people), self.parameters())

    def person_losses(self, crops: Tensor, people: LabelledPeople) -> dict[str, Tensor]:
        """The weighted losses of crops (N, 3, H, W) RGB on 0..255, by the names of ``loss_tasks``."""
        pixels = self.preprocess(crops)
        features = self.backbone(pixels)
        maps = self.upsampler(features).float()
        keypoint = self.codec.loss(maps, people.positions, people.labelled)
        losses = {"loss_keypoint": self._loss_weight * keypoint}
        if self._visibility_loss_weight:
            losses["loss_visibility"] = self._visibility_loss_weight * self.visibility_loss(maps, people)
        if self.reid is not None:
            heights = self.codec.heights(maps.detach())
            losses |= self.reid.losses(pixels, features, heights, people.identities)
        return losses

    def visibility_loss(self, maps: Tensor, people: LabelledPeople) -> Tensor:
        """Visible against hidden or outside, by the maxima of maps (N, K, h, w)."""
        cells = torch.tensor([maps.shape[3], maps.shape[2]], device=maps.device)
        inside = ((people.positions >= 0) & (people.positions < cells)).all(dim=-1)
        visible = ((people.visibility == 2) & inside).float()
        entropy = F.binary_cross_entropy_with_logits(soft_maximum(maps), visible, reduction="none")
        count = people.labelled.sum().clamp(min=1)
        return torch.where(people.labelled, entropy, 0.0).sum() / count

    def _check(self, batch: Batch) -> None:
        for index, (image, target) in enumerate(zip(batch.images, batch.targets, strict=True)):
            if len(target) != 1 or target.keypoints.shape[1] != len(self.training_skeleton):
                raise ValueError(
                    f"TopDownNetwork.losses: target {index}: expected one person with the {len(self.training_skeleton)} "
                    f"joints of {self.training_skeleton.name}, got {len(target)} with {target.keypoints.shape[1]}"
                )
            if tuple(image.shape[1:]) != self.size_hw:
                raise ValueError(
                    f"TopDownNetwork.losses: crop {index} is {image.shape[1]}x{image.shape[2]}, expected "
                    f"{self.size_hw[0]}x{self.size_hw[1]}"
                )
