"""The stages of MSPN: each goes down four scales and up again, and hands its features to the next one.

Sums, activations and the order of resizing are those of the release (megvii-detection/MSPN) and of mmpose.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from timm.models.resnet import BasicBlock, Bottleneck, downsample_conv
from torch import Tensor, nn
from torch.nn import functional as F

from fastpose_mtn.modeling.layers import msra_init

SCALES = 4  # strides 4, 8, 16 and 32
_BLOCKS: dict[str, type[BasicBlock] | type[Bottleneck]] = {"basic": BasicBlock, "bottleneck": Bottleneck}


def conv_norm(
    in_channels: int, out_channels: int, kernel_size: int = 1, *, relu: bool = True, stride: int = 1
) -> nn.Sequential:
    """A convolution, batch normalisation, and ReLU if any."""
    conv = nn.Conv2d(
        in_channels, out_channels, kernel_size, stride=stride, padding=kernel_size // 2, bias=False
    )
    msra_init(conv)
    layers: OrderedDict[str, nn.Module] = OrderedDict(conv=conv, bn=nn.BatchNorm2d(out_channels))
    if relu:
        layers["relu"] = nn.ReLU(inplace=True)
    return nn.Sequential(layers)


def resize(x: Tensor, size_hw: tuple[int, int]) -> Tensor:
    """Bilinearly, corners on corners, as in the release."""
    return F.interpolate(x, size=size_hw, mode="bilinear", align_corners=True)


def size_of(x: Tensor) -> tuple[int, int]:
    """Height and width of maps."""
    return x.shape[-2], x.shape[-1]


class DownPath(nn.Module):
    """A ResNet's four layers, with its names: features of strides 4, 8, 16, 32.

    Args:
        block: ``basic`` or ``bottleneck``.
        blocks: on each scale.
        channels: read, at stride 4; layers have 1, 2, 4 and 8 times as many, bottlenecks 4 times those.

    Raises:
        ValueError: there is no such block, or another number of scales.
    """

    def __init__(self, block: str, blocks: Sequence[int], channels: int) -> None:
        super().__init__()
        if block not in _BLOCKS:
            raise ValueError(f"MODEL.MSPN.BLOCK: expected {' or '.join(_BLOCKS)}, got {block!r}")
        if len(blocks) != SCALES or any(count < 1 or count % 1 for count in blocks):
            raise ValueError(f"MODEL.MSPN.BLOCKS: expected {SCALES} whole numbers from 1, got {list(blocks)}")
        kind = _BLOCKS[block]
        self.out_channels = [channels * 2**scale * kind.expansion for scale in range(SCALES)]
        before = channels
        for scale, (count, after) in enumerate(zip(blocks, self.out_channels, strict=True)):
            planes, stride = channels * 2**scale, 1 if scale == 0 else 2
            shortcut = None
            if stride != 1 or before != after:
                shortcut = downsample_conv(before, after, kernel_size=1, stride=stride)
            layers: list[nn.Module] = [kind(before, planes, stride=stride, downsample=shortcut)]
            layers += [kind(after, planes) for _ in range(count - 1)]
            self.add_module(f"layer{scale + 1}", nn.Sequential(*layers))
            before = after
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                msra_init(module)

    def forward(self, x: Tensor, skips: Sequence[Tensor] = ()) -> list[Tensor]:
        """Features of the four scales, finest first; ``skips``, of the stage before, are added to what each layer gives."""
        features = []
        for scale in range(SCALES):
            x = self.get_submodule(f"layer{scale + 1}")(x)
            if skips:
                x = x + skips[scale]
            features.append(x)
        return features


class UpUnit(nn.Module):
    """One scale of the way up.

    Args:
        in_channels: of the way down on this scale.
        channels: of the way up.
        coarsest: there is no unit before.
        skips: hands features of this scale to the next stage.
        next_channels: that the next stage reads, of the finest unit; 0: it reads nothing of this one.
    """

    def __init__(
        self, in_channels: int, channels: int, *, coarsest: bool, skips: bool, next_channels: int
    ) -> None:
        super().__init__()
        self.lateral = conv_norm(in_channels, channels, relu=False)
        if not coarsest:
            self.up = conv_norm(channels, channels, relu=False)
        if skips:
            self.skip_down = conv_norm(in_channels, in_channels)
            self.skip_up = conv_norm(channels, in_channels)
        if next_channels:
            self.next = conv_norm(channels, next_channels)
        self._has_skips = skips

    def forward(self, x: Tensor, before: Tensor | None) -> Tensor:
        """This scale's features (N, C, h, w), of the way down's and of the coarser unit's."""
        out = self.lateral(x)
        if before is not None:
            out = out + self.up(resize(before, size_of(x)))
        return F.relu(out, inplace=True)

    def skip(self, x: Tensor, out: Tensor) -> Tensor | None:
        """What the next stage adds on this scale (paper, figure 3)."""
        return self.skip_down(x) + self.skip_up(out) if self._has_skips else None


class Stage(nn.Module):
    """A way down and a way up.

    Args:
        down: the way down.
        channels: of the way up.
        next_channels: that the next stage reads; 0: there is none.
        skips: features are aggregated across stages.
    """

    def __init__(self, down: DownPath, channels: int, *, next_channels: int, skips: bool) -> None:
        super().__init__()
        self.down = down
        self.up = nn.ModuleDict(
            {
                str(unit): UpUnit(
                    down.out_channels[SCALES - unit],
                    channels,
                    coarsest=unit == 1,
                    skips=skips and next_channels > 0,
                    next_channels=next_channels if unit == SCALES else 0,
                )
                for unit in range(1, SCALES + 1)
            }
        )
        self._hands_on = next_channels > 0

    def forward(self, x: Tensor, skips: Sequence[Tensor]) -> tuple[list[Tensor], Tensor | None, list[Tensor]]:
        """One stage.

        Args:
            x: (N, C, H, W) at stride 4.
            skips: of the stage before, finest first, or none.

        Returns:
            Features of its units, coarsest first; what the next stage reads, and what it adds, finest first.
        """
        features = self.down(x, skips)
        units: list[Tensor] = []
        given: list[Tensor] = []
        for unit, feature in zip(self.up.values(), reversed(features), strict=True):
            units.append(unit(feature, units[-1] if units else None))
            skip = unit.skip(feature, units[-1])  # type: ignore[operator]
            if skip is not None:
                given.append(skip)
        onwards = self.up[str(SCALES)].next(units[-1]) if self._hands_on else None  # type: ignore[operator]
        return units, onwards, given[::-1]


class MultiStageBackbone(nn.Module):
    """A stem and stages one after the other.

    Args:
        stages: how many.
        block, blocks, channels: of their ways down, see ``DownPath``.
        up_channels: of their ways up.
        skips: features are aggregated across stages.
    """

    def __init__(
        self, *, stages: int, block: str, blocks: Sequence[int], channels: int, up_channels: int, skips: bool
    ) -> None:
        super().__init__()
        for key, value in (("STAGES", stages), ("CHANNELS", channels), ("UP_CHANNELS", up_channels)):
            if value < 1:
                raise ValueError(f"MODEL.MSPN.{key}: expected 1 or more, got {value}")
        self.top = conv_norm(3, channels, 7, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stages = nn.ModuleList(
            Stage(
                DownPath(block, blocks, channels),
                up_channels,
                next_channels=channels if stage < stages - 1 else 0,
                skips=skips,
            )
            for stage in range(stages)
        )
        self.out_channels = up_channels

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H/4, W/4): the last unit of the last stage, all that inference needs, of (N, 3, H, W)."""
        return self.units(x)[-1][-1]

    def units(self, x: Tensor) -> list[list[Tensor]]:
        """Features of all stages' units, coarsest first."""
        feature: Tensor | None = self.pool(self.top(x))
        skips: list[Tensor] = []
        units = []
        for stage in self.stages:
            own, feature, skips = stage(feature, skips)
            units.append(own)
        return units


class MultiStageHead(nn.Module):
    """One heatmap a joint of each unit; normalised, so not bounded, and of the finest unit's size.

    Args:
        in_channels: of units.
        joints: K.
        stages: how many.
        spread: standard deviation of maps to begin with: the weight of their normalisation. An optimiser like Adam moves
            it by about the learning rate a step, so that far from the targets' it takes a short training to get there.
    """

    def __init__(self, in_channels: int, joints: int, stages: int, *, spread: float) -> None:
        super().__init__()
        self.predict = nn.ModuleList(
            nn.Sequential(conv_norm(in_channels, in_channels), conv_norm(in_channels, joints, 3, relu=False))
            for _ in range(stages * SCALES)
        )
        for head in self.predict:
            nn.init.constant_(head.get_submodule("1.bn").get_parameter("weight"), spread)

    def forward(self, x: Tensor) -> Tensor:
        """Maps (N, K, h, w) of the last unit's features."""
        return self.predict[-1](x)

    def all(self, units: Sequence[Sequence[Tensor]]) -> list[list[Tensor]]:
        """Maps (N, K, h, w) of all stages' units."""
        size_hw = size_of(units[-1][-1])
        heads = iter(self.predict)
        return [
            [
                out if size_of(out) == size_hw else resize(out, size_hw)
                for out in (next(heads)(x) for x in stage)
            ]
            for stage in units
        ]
