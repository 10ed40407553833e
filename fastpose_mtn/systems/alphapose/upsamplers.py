"""From a backbone's last features to heatmaps of a quarter of the crop's size.

``DUC`` is the network that AlphaPose's paper calls FastPose (section 5.2), ``DeepDUC`` one that its release has besides,
``Deconvolutions`` the one of Xiao et al. (*Simple Baselines for Human Pose Estimation*, 2018).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence

from torch import Tensor, nn

from fastpose_mtn.modeling.layers import msra_init
from fastpose_mtn.systems.topdown.layers import doubling_deconv, heatmap_conv


def _dense_upsampling(in_channels: int, out_channels: int) -> nn.Sequential:
    """Dense upsampling convolution (Wang et al. 2018): (B, in, H, W) to (B, out, 2H, 2W)."""
    conv = nn.Conv2d(in_channels, 4 * out_channels, 3, padding=1, bias=False)
    msra_init(conv)
    return nn.Sequential(
        OrderedDict(
            conv=conv,
            bn=nn.BatchNorm2d(4 * out_channels),
            relu=nn.ReLU(inplace=True),
            shuffle=nn.PixelShuffle(2),
        )
    )


class DUC(nn.Module):
    """A pixel shuffle, two dense upsampling convolutions and a 3x3 convolution: eight times as fine.

    The paper draws three DUCs and a 1x1 convolution; this has its operations, as the released networks do.

    Args:
        in_channels: of the features, a multiple of 4.
        joints: K.
        dim: channels after the first DUC.
        conv_dim: channels after the second.
    """

    def __init__(self, in_channels: int, joints: int, *, dim: int = 256, conv_dim: int = 128) -> None:
        super().__init__()
        self.shuffle = nn.PixelShuffle(2)
        self.duc1 = _dense_upsampling(in_channels // 4, dim)
        self.duc2 = _dense_upsampling(dim, conv_dim)
        self.output = heatmap_conv(conv_dim, joints, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, K, 8H, 8W) of (B, in, H, W)."""
        return self.output(self.duc2(self.duc1(self.shuffle(x))))


class DeepDUC(nn.Module):
    """Three stages, each a pixel shuffle and convolutions, and a 3x3 convolution: eight times as fine.

    Args:
        in_channels: of the features, a multiple of 16; stages leave a half, a quarter and an eighth of them.
        joints: K.
        convs: 3x3 convolutions of each stage; the released networks' names call it 421.
    """

    def __init__(self, in_channels: int, joints: int, *, convs: Sequence[int] = (4, 2, 1)) -> None:
        super().__init__()
        channels = in_channels
        for stage, count in enumerate(convs, start=1):
            width, channels = channels // 4, channels // 2
            layers: list[nn.Module] = [nn.PixelShuffle(2)]
            for out in [width] * (count - 1) + [channels]:
                conv = nn.Conv2d(width, out, 3, padding=1, bias=False)
                msra_init(conv)
                layers += [conv, nn.BatchNorm2d(out), nn.ReLU(inplace=True)]
            self.add_module(f"stage{stage}", nn.Sequential(*layers))
        self.output = heatmap_conv(channels, joints, 3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, K, 8H, 8W) of (B, in, H, W)."""
        for layer in self.children():
            x = layer(x)
        return x


class Deconvolutions(nn.Module):
    """Three transposed convolutions and a 1x1 convolution: eight times as fine.

    Args:
        in_channels: of the features.
        joints: K.
        dim: channels of each transposed convolution.
    """

    def __init__(self, in_channels: int, joints: int, *, dim: int = 256) -> None:
        super().__init__()
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        for index, channels in enumerate((in_channels, dim, dim), start=1):
            layers[f"deconv{index}"] = doubling_deconv(channels, dim)
            layers[f"bn{index}"] = nn.BatchNorm2d(dim)
            layers[f"relu{index}"] = nn.ReLU(inplace=True)
        self.layers = nn.Sequential(layers)
        self.output = heatmap_conv(dim, joints, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, K, 8H, 8W) of (B, in, H, W)."""
        return self.output(self.layers(x))


def build_upsampler(kind: str, in_channels: int, joints: int, *, dim: int, conv_dim: int) -> nn.Module:
    """The upsampler that ``MODEL.TOPDOWN.UPSAMPLER`` names.

    Args:
        kind: its name.
        in_channels: of the features.
        joints: K.
        dim: ``MODEL.TOPDOWN.UPSAMPLER_DIM``.
        conv_dim: ``MODEL.TOPDOWN.CONV_DIM``.

    Raises:
        ValueError: there is none of this name.
    """
    if kind == "duc":
        return DUC(in_channels, joints, dim=dim, conv_dim=conv_dim)
    if kind == "duc_deep":
        return DeepDUC(in_channels, joints)
    if kind == "deconv":
        return Deconvolutions(in_channels, joints, dim=dim)
    raise ValueError(f"MODEL.TOPDOWN.UPSAMPLER: expected duc, duc_deep or deconv, got {kind!r}")
