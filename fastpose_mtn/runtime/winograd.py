"""3x3 convolutions with fewer multiplications, for CPUs (Winograd's F(2x2, 3x3); Lavin and Gray, CVPR 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fastpose_mtn.modeling.layers import ConvNorm
from fastpose_mtn.runtime.compat import ConvolutionOptions, convolution

# input channels times output channels: with fewer, the sums around the products take as long as what is saved
_FEWEST_PRODUCTS = 256 * 512
_TILES = 2048  # at a time: some 100 MB in bfloat16 for 512 channels
_GROUPED = ConvolutionOptions(groups=16)
# of a kernel, to its products with sums of four neighbours
_TRANSFORM = torch.tensor([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]])


def is_faster_by_winograd(conv: ConvNorm) -> bool:
    """Whether a convolution, its normalisation folded, is faster as a ``WinogradConv`` on this CPU.

    Only x86 CPUs were measured; elsewhere grouped convolutions may be slow.
    """
    if torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"):
        return False
    settings = (conv.kernel_size, conv.stride, conv.dilation, conv.groups)
    plain = settings == ((3, 3), (1, 1), (1, 1), 1)
    return plain and conv.in_channels * conv.out_channels >= _FEWEST_PRODUCTS


class WinogradConv(nn.Conv2d):
    """A 3x3 convolution of stride 1 with its ReLU, if it has one: 16 products for each 2x2 block of results, not 36.

    The map is cut into 4x4 tiles that overlap by two; sums of a tile's values are multiplied by sums of the kernel's,
    and sums of the products are the results. The products of all tiles are one grouped 1x1 convolution. In float32
    results agree with the ordinary convolution's to 6 digits; in bfloat16 rounding errors are about twice as large.
    """

    def __init__(self, conv: ConvNorm) -> None:
        # without initial weights, whose random numbers would take longer than all the rest
        super().__init__(16 * conv.in_channels, 16 * conv.out_channels, 1, groups=16, device="meta")
        kernels = conv.weight.detach()
        transform = _TRANSFORM.to(kernels)
        products = torch.einsum("ai,kcij,bj->abkc", transform, kernels, transform)
        self.weight = nn.Parameter(products.reshape(self.weight.shape), requires_grad=False)
        bias = kernels.new_zeros(4, 4, conv.out_channels)
        if conv.bias is not None:
            bias[1, 1] = conv.bias.detach()  # the product that all four results take in
        self.bias = nn.Parameter(bias.flatten(), requires_grad=False)
        self.relu = conv.relu

    def forward(self, x: Tensor) -> Tensor:
        """(B, out, H, W), channels last in memory, of (B, in, H, W)."""
        count, _, height, width = x.shape
        high, wide = -(-height // 2), -(-width // 2)
        padding = (0, 0, 1, 1 + width % 2, 1, 1 + height % 2)
        padded = F.pad(x.to(self.weight.dtype).permute(0, 2, 3, 1), padding)
        channels = self.out_channels // 16
        result = padded.new_empty(count, high, 2, wide, 2, channels)
        images, rows = max(1, _TILES // (high * wide)), max(1, _TILES // wide)
        for image in range(0, count, images):
            some = slice(image, image + images)
            for row in range(0, high, rows):
                end = min(row + rows, high)
                self._convolve(padded[some, 2 * row : 2 * end + 2], result[some, row:end])
        return result.view(count, 2 * high, 2 * wide, channels)[:, :height, :width].permute(0, 3, 1, 2)

    def _convolve(self, x: Tensor, out: Tensor) -> None:
        """Writes ``out`` (B, H/2, 2, W/2, 2, K) from ``x`` (B, H + 2, W + 2, C)."""
        count, high, _, wide, _, channels = out.shape
        rows = x.new_empty(count, high, 2 * wide + 2, 4, x.shape[-1])
        _tile(x[:, 0::2], x[:, 1::2], rows, axis=1)
        tiles = x.new_empty(count, high, wide, 4, 4, x.shape[-1])
        _tile(rows[:, :, 0::2], rows[:, :, 1::2], tiles, axis=2)
        flat = tiles.view(count, high, wide, -1).permute(0, 3, 1, 2)
        products = convolution(flat, self.weight, self.bias, _GROUPED).permute(0, 2, 3, 1)
        first, upper, lower, last = products.view(count, high, wide, 4, 4, channels).unbind(3)
        for row, line in enumerate(((upper + lower).add_(first), (upper - lower).sub_(last))):
            first_, left, right, last_ = line.unbind(3)
            for column, cell in enumerate(((left + right).add_(first_), (left - right).sub_(last_))):
                place = out[:, :, row, :, column]
                if self.relu:
                    torch.clamp_min(cell, 0, out=place)
                else:
                    place.copy_(cell)


def _tile(even: Tensor, odd: Tensor, out: Tensor, axis: int) -> None:
    """The four sums of each four neighbours along an axis, from every second one and those between."""
    count = even.shape[axis] - 1
    first, third = even.narrow(axis, 0, count), even.narrow(axis, 1, count)
    second, fourth = odd.narrow(axis, 0, count), odd.narrow(axis, 1, count)
    torch.sub(first, third, out=out[..., 0, :])
    torch.add(second, third, out=out[..., 1, :])
    torch.sub(third, second, out=out[..., 2, :])
    torch.sub(second, fourth, out=out[..., 3, :])
