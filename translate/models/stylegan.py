"""A style-based generator (Karras et al. 2019, arXiv:1812.04948) with the layers of StyleGAN2 (2020, arXiv:1912.04958).

Where this one is simpler: upsampling is nearest ×2 folded into the 3×3 convolution, and downsampling a mean of 2×2, in
place of the papers' longer filters.
"""

from itertools import pairwise
from math import sqrt
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate import kernels
from translate.models import across

BASE = 4  # side of the learned map that every picture begins with
WIDEST = 256  # channels
MIXED = 0.9  # share of the training pictures that get their styles from two latents
GAIN = sqrt(2)  # keeps the variance through a leaky ReLU


class EqualLinear(nn.Module):
    """A linear layer whose weights are stored at unit variance, so that all learn at one rate (arXiv:1710.10196)."""

    def __init__(self, inputs: int, outputs: int, *, bias: float = 0.0, rate: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / rate)
        self.bias = nn.Parameter(torch.full((outputs,), bias / rate))
        self.scale, self.rate = rate / sqrt(inputs), rate

    def forward(self, x: Tensor) -> Tensor:
        """(B, I) -> (B, O)."""
        return F.linear(x, self.weight * self.scale, self.bias * self.rate)

    def activated(self, x: Tensor) -> Tensor:
        """(B, I) -> (B, O) with leaky ReLU."""
        return kernels.bias_leaky_relu(F.linear(x, self.weight * self.scale), self.bias * self.rate, gain=GAIN)


class EqualConv(nn.Module):
    """A convolution of the same kind, with leaky ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.scale = 1 / sqrt(inputs * kernel * kernel)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, O, H, W)."""
        x = F.conv2d(x, self.weight * self.scale, padding=self.weight.shape[-1] // 2)
        return kernels.bias_leaky_relu(x, self.bias, gain=GAIN)


class Mapping(nn.Module):
    """z to w, through fully connected layers that learn a hundred times slower than the others."""

    mean: Tensor

    def __init__(self, latent: int, style: int, layers: int) -> None:
        super().__init__()
        sizes = [latent, *[style] * layers]
        self.layers = nn.ModuleList(EqualLinear(i, o, rate=0.01) for i, o in pairwise(sizes))
        self.register_buffer("mean", torch.zeros(style))

    def forward(self, z: Tensor) -> Tensor:
        """(B, latent) -> w (B, style); in training it keeps a running mean of w."""
        w = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
        for layer in self.layers:
            w = cast(EqualLinear, layer).activated(w)
        if self.training:
            self.mean.lerp_(across.mean(w.detach().mean(0).float()), 0.002)
        return w


class StyledConv(nn.Module):
    """A 3×3 convolution whose input channels the style scales, demodulated, with noise and leaky ReLU.

    Scaling the input and the output gives what the paper gets by scaling the weights of every picture apart, and all
    pictures go through one convolution.
    """

    noise: Tensor

    def __init__(self, inputs: int, outputs: int, style: int, side: int, *, up: bool = False) -> None:
        super().__init__()
        self.affine = EqualLinear(style, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.strength = nn.Parameter(torch.zeros(1))
        self.register_buffer("noise", torch.randn(1, 1, side, side))
        self.scale, self.up = 1 / sqrt(inputs * 9), up

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(B, I, H, W) and w (B, style) -> (B, O, H, W), twice the size with `up`.

        The noise is drawn anew in training; afterwards it is always the same.
        """
        style = self.affine(w)  # (B, I)
        weight = self.weight * self.scale
        x = x * style[..., None, None].to(x.dtype)
        x = kernels.upsample_conv2d(x, weight) if self.up else F.conv2d(x, weight, padding=1)
        power = style.float().square() @ weight.float().square().sum((2, 3)).t()  # (B, O)
        x = x * (power + 1e-8).rsqrt()[..., None, None].to(x.dtype)
        noise = self.noise
        if self.training:
            noise = across.own(torch.randn(across.total(len(x)), *noise.shape[1:], device=x.device))
        return kernels.bias_leaky_relu(x + (noise * self.strength).to(x.dtype), self.bias, gain=GAIN)


class ToPicture(nn.Module):
    """A 1×1 convolution to the colours, with styles but without demodulation."""

    def __init__(self, inputs: int, channels: int, style: int) -> None:
        super().__init__()
        self.affine = EqualLinear(style, inputs, bias=1.0)
        self.weight = nn.Parameter(torch.randn(channels, inputs, 1, 1))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        """(B, I, H, W) and w (B, style) -> (B, channels, H, W)."""
        style = self.affine(w) / sqrt(self.weight.shape[1])
        return F.conv2d(x * style[..., None, None].to(x.dtype), self.weight, self.bias)


class StyleGenerator(nn.Module):
    """Noise to pictures: a learned 4×4 map, doubled until it has the size asked for, with a style for every layer.

    Args:
        latent: length of z.
        width: channels at the full size; twice as many at each half of it, up to 256.
        size: side of the pictures: 32, 64, 128 or 256.
        channels: 1 for grey, 3 for RGB.
        style: length of w.
        layers: of the mapping network.
        uniform: z was drawn from U(-1, 1) and not N(0, 1) in training.
    """

    classes: tuple[str, ...] = ()

    def __init__(
        self,
        latent: int = 100,
        width: int = 32,
        size: int = 64,
        channels: int = 3,
        style: int = 128,
        layers: int = 4,
        uniform: bool = False,
    ) -> None:
        super().__init__()
        self.config = {"latent": latent, "width": width, "size": size, "channels": channels}
        self.config |= {"style": style, "layers": layers, "uniform": uniform}
        self.latent, self.size, self.channels, self.uniform = latent, size, channels, uniform
        widths = _widths(size, width)[::-1]
        sides = [BASE << level for level in range(len(widths))]
        self.mapping = Mapping(latent, style, layers)
        self.start = nn.Parameter(torch.randn(1, widths[0], BASE, BASE))
        self.first = StyledConv(widths[0], widths[0], style, BASE)
        self.up = nn.ModuleList(
            StyledConv(i, o, style, side, up=True) for (i, o), side in zip(pairwise(widths), sides[1:], strict=True)
        )
        self.convs = nn.ModuleList(StyledConv(o, o, style, s) for o, s in zip(widths[1:], sides[1:], strict=True))
        self.to_picture = nn.ModuleList(ToPicture(o, channels, style) for o in widths)
        self.styles = 2 * len(self.up) + 2

    def forward(self, z: Tensor, labels: Tensor | None = None, *, truncation: float = 1.0) -> Tensor:
        """(B, latent) -> (B, channels, size, size), near [-1, 1]; there are no labels.

        Args:
            z: noise.
            labels: not looked at.
            truncation: how far w may be from its mean: 1 as it is, 0 the mean (arXiv:1812.04948, appendix B).
        """
        w: Tensor = self.mapping(z)
        if truncation != 1:
            w = self.mapping.mean.lerp(w, truncation)
        ws = w[:, None].expand(-1, self.styles, -1)
        return self.synthesise(self._mixed(ws) if self.training else ws)

    def synthesise(self, ws: Tensor) -> Tensor:
        """One w for every layer, (B, styles, style) -> (B, channels, size, size)."""
        first, *pairs = ws.unbind(1)
        x = self.first(self.start.expand(len(ws), -1, -1, -1), first)
        picture: Tensor = self.to_picture[0](x, pairs[0])
        for level, (up, conv) in enumerate(zip(self.up, self.convs, strict=True)):
            x = conv(up(x, pairs[2 * level]), pairs[2 * level + 1])
            picture = F.interpolate(picture, scale_factor=2, mode="bilinear")
            picture = picture + self.to_picture[level + 1](x, pairs[2 * level + 2])
        return picture

    def _mixed(self, ws: Tensor) -> Tensor:
        """Style mixing: most pictures take the styles from a random layer on from the next picture of the batch."""
        ws = across.gather(ws)
        b, device = len(ws), ws.device
        first = torch.randint(1, self.styles, (b, 1), device=device)
        first = torch.where(torch.rand(b, 1, device=device) < MIXED, first, self.styles)
        return across.own(torch.where((torch.arange(self.styles, device=device) < first)[..., None], ws, ws.roll(1, 0)))


class StyleDiscriminator(nn.Module):
    """Pictures to one score each: residual blocks, and at the end how much the pictures of a batch differ.

    Args:
        width: channels at the full size.
        size: as of the generator.
        channels: as of the generator.
    """

    def __init__(self, width: int = 32, size: int = 64, channels: int = 3) -> None:
        super().__init__()
        widths = _widths(size, width)
        self.first = EqualConv(channels, widths[0], 1)
        self.convs = nn.ModuleList(nn.Sequential(EqualConv(i, i), EqualConv(i, o)) for i, o in pairwise(widths))
        self.skips = nn.ModuleList(nn.Conv2d(i, o, 1, bias=False) for i, o in pairwise(widths))
        self.mixed = EqualConv(widths[-1] + 1, widths[-1])
        self.hidden = EqualLinear(widths[-1] * BASE * BASE, widths[-1])
        self.last = EqualLinear(widths[-1], 1)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, channels, size, size) in [-1, 1] -> (B, 1), unbounded; larger is more real."""
        x = self.first(x)
        for convs, skip in zip(self.convs, self.skips, strict=True):
            # The mean comes first on the side path, which is the same and cheaper.
            x = (F.avg_pool2d(convs(x), 2) + skip(F.avg_pool2d(x, 2))) / GAIN
        variance = across.mean((x - across.mean(x.mean(0))).square().mean(0))
        spread = variance.add(1e-8).sqrt().mean()
        x = self.mixed(torch.cat([x, spread.expand(len(x), 1, BASE, BASE)], 1))
        y: Tensor = self.last(self.hidden.activated(x.flatten(1)))
        return y


def _widths(size: int, width: int) -> list[int]:
    """Channels at each side, from the full size to 4×4.

    Raises:
        ValueError: the size is another than 32, 64, 128 or 256.
    """
    if size not in (32, 64, 128, 256):
        raise ValueError(f"a style-based generator makes pictures of 32, 64, 128 or 256 pixels, not {size}")
    return [min(width << level, max(width, WIDEST)) for level in range((size // BASE).bit_length())]
