"""Colours for grey photographs: a classifier of the ab plane (Zhang et al., arXiv:1603.08511) on ImageNet features."""

import math
from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate import kernels
from translate.models.efficientnet import TAPS, EfficientNetLite, tap_channels
from translate.models.keys import length
from translate.models.unet import Up

GRID = 10.0  # between two classes of colour, in units of a and b
NEAR, FAR = 256, 192  # short sides of what the network looks at: it was trained on pictures of such sizes
FINEST = 1  # the tap of the encoder whose resolution the colours have: stride 4
ALIKE, REACH = 0.15, 0.4  # of places whose colours agree: in the cosine of what is seen, and in longer sides
PLACES = 4096  # that are compared at most: 16 times as many as in a square
EDGES = 4.0  # standard deviation of L (0 to 100) within a window above which colours follow the edges of L


class Colouriser(nn.Module):
    """Finds the colours (a, b) for a grey photograph; the grey itself, at its full resolution, is not touched.

    The network sees the lightness L at a short side of 256 pixels and gives, at a quarter of that, how probable each
    colour of a grid over the ab plane is. Places that look alike agree on that, so that a wall has one colour. The
    annealed mean (section 2.3 of the paper), and that of the mirror image from further away, are brought to full size
    such that they follow the edges of L (the fast guided filter: He & Sun 2015, arXiv:1505.00996). So a picture of any
    size takes the same time but for the last step.

    Args:
        width: channels of the decoder.
        colours: classes; 222 are those of the grid that sRGB can show.
    """

    bytes_per_pixel = 230  # of memory, measured: the last step's, at full size
    bins: Tensor
    temperature: Tensor

    keeps_luma = True  # of its input, in every pixel

    def __init__(self, width: int = 64, colours: int | None = None) -> None:
        super().__init__()
        self.config = {"width": width}
        self.encoder = EfficientNetLite("lite2")
        channels = tap_channels(self.encoder.version)[FINEST:]
        self.deepest = nn.Conv2d(channels[-1], width * 2, 1)
        self.context = nn.Linear(channels[-1], width * 2)
        self.up = nn.ModuleList(Up(width * 2, skip, width * 2) for skip in reversed(channels[:-1]))
        self.last = nn.Conv2d(width * 2, width, 3, padding=1)
        bins = grid() if colours is None else torch.zeros(colours, 2)
        self.register_buffer("bins", bins)
        self.register_buffer("temperature", torch.tensor(0.4))
        self.head = nn.Conv2d(width, len(bins), 1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) sRGB in [0, 1], whose colours are ignored -> the same luma (BT.601) in colour, float32."""
        from kornia.color import lab_to_rgb  # here: it is slow to import

        grey, lightness = luma(x), lightness_of(x)
        near, far = (shrunk(lightness, side) for side in (NEAR, FAR))
        ab = guided_upsample(self.colours(near, far), near, lightness)
        rgb = lab_to_rgb(torch.cat([lightness, ab], 1))
        return (rgb + (grey - luma(rgb))).clamp(0, 1)

    def colours(self, near: Tensor, far: Tensor) -> Tensor:
        """L at two sizes, (B, 1, H, W) and (B, 1, h, w) in [0, 100], multiples of 32 -> ab (B, 2, H/4, W/4)."""
        ab = self._agreed_colours(near)
        mirrored = self._agreed_colours(far.flip(3)).flip(3)
        return (ab + F.interpolate(mirrored, ab.shape[2:], mode="bilinear", align_corners=False)) / 2

    def _agreed_colours(self, lightness: Tensor) -> Tensor:
        seen = self.look(lightness)
        return self.mean_colour(agreed(self.classify(seen), seen[1]))

    def look(self, lightness: Tensor) -> list[Tensor]:
        """L (B, 1, H, W) in [0, 100], H and W multiples of 32 -> what the encoder sees, of strides 4, 8, 16 and 32."""
        grey = (lightness / 100).expand(-1, 3, -1, -1).to(self.head.weight.dtype)
        return list(self.encoder(grey, range(FINEST, len(TAPS))))

    def classify(self, seen: list[Tensor]) -> Tensor:
        """What the encoder sees -> scores of the colours (B, Q, H/4, W/4)."""
        *skips, y = seen
        y = kernels.bias_leaky_relu(self.deepest(y) + self.context(y.mean((2, 3)))[..., None, None])
        for up, skip in zip(self.up, reversed(skips), strict=True):
            y = up(y, skip)
        scores: Tensor = self.head(kernels.bias_leaky_relu(self.last(y)))
        return scores

    def mean_colour(self, scores: Tensor) -> Tensor:
        """Scores (B, Q, h, w) -> ab (B, 2, h, w): the mean (temperature 1) up to the likeliest colour (near 0)."""
        shares = (scores.float() / self.temperature.float()).softmax(1)
        return torch.einsum("bqhw,qc->bchw", shares, self.bins.float())


def agreed(scores: Tensor, seen: Tensor) -> Tensor:
    """Scores (B, Q, h, w) whose mean over 4×4 (or more, of a very long picture) is that of all places that look alike.

    That is non-local means (Buades et al. 2005), of what is decided instead of pixels.

    Args:
        scores: of the colours.
        seen: (B, C, H, W), by which it is told how much two places are alike; of another size.
    """
    size = scores.shape[2:]
    side = max(4, math.ceil(math.sqrt(size.numel() / PLACES)))
    height, width = (math.ceil(n / side) for n in size)
    small = F.adaptive_avg_pool2d(scores.float(), (height, width))
    seen = F.adaptive_avg_pool2d(seen.float(), (height, width))
    seen = F.normalize((seen - seen.mean((2, 3), keepdim=True)).flatten(2), dim=1)
    place = torch.cartesian_prod(torch.arange(height), torch.arange(width)).to(seen) / (REACH * max(height, width))
    alike = seen.transpose(1, 2) @ seen / ALIKE - torch.cdist(place, place).square() / 2
    mean = (small.flatten(2) @ alike.softmax(1)).view_as(small)
    return scores + F.interpolate(mean - small, size, mode="bilinear", align_corners=False)


def shrunk(x: Tensor, side: int) -> Tensor:
    """(B, 1, H, W) with that short side, or its own if that is less, and sides that are multiples of 32."""
    scale = min(1.0, side / min(x.shape[2:]))
    size = [max(32, round(n * scale / 32) * 32) for n in x.shape[2:]]
    return F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)


def luma(x: Tensor) -> Tensor:
    """(B, 3, H, W) sRGB -> the grey (B, 1, H, W) that a television makes of it (BT.601)."""
    weights = torch.tensor([0.299, 0.587, 0.114], device=x.device).view(1, 3, 1, 1)
    return (x.float() * weights).sum(1, keepdim=True)


def lightness_of(x: Tensor) -> Tensor:
    """(B, 3, H, W) sRGB in [0, 1] -> L (B, 1, H, W) in [0, 100] of its luma."""
    from kornia.color import rgb_to_lab

    return rgb_to_lab(luma(x).expand(-1, 3, -1, -1))[:, :1]


def grid() -> Tensor:
    """The colours (Q, 2) of a grid over the ab plane, as far as some lightness of theirs is in sRGB."""
    from kornia.color import lab_to_rgb

    axis = torch.arange(-110.0, 111.0, GRID)
    lightness = torch.arange(2.0, 100.0, 2.0)
    lab = torch.cartesian_prod(lightness, axis, axis).T.reshape(1, 3, len(lightness), -1)
    rgb = lab_to_rgb(lab, clip=False)
    shown = ((rgb >= 0) & (rgb <= 1)).all(1)[0].any(0)
    return lab[0, 1:, 0, shown].T.contiguous()


def guided_upsample(ab: Tensor, small: Tensor, full: Tensor, radius: int = 2) -> Tensor:
    """Colours at the size of `full`, in each window a linear function of the lightness.

    Args:
        ab: (B, 2, h, w).
        small: the lightness (B, 1, h', w') that they were found for.
        full: the lightness (B, 1, H, W).
        radius: of the window, in pixels of `ab`.
    """
    guide = F.interpolate(small, ab.shape[2:], mode="area")

    def mean(x: Tensor) -> Tensor:
        return F.avg_pool2d(F.pad(x, [radius] * 4, mode="replicate"), 2 * radius + 1, 1)

    mean_guide, mean_ab = mean(guide), mean(ab)
    slope = (mean(guide * ab) - mean_guide * mean_ab) / (mean(guide * guide) - mean_guide**2 + EDGES**2)
    offset = mean(mean_ab - slope * mean_guide)
    slope, offset = (
        F.interpolate(t, full.shape[2:], mode="bilinear", align_corners=False) for t in (mean(slope), offset)
    )
    return slope * full + offset


def public_names(keys: Iterable[str]) -> dict[str, str]:
    """Nobody else has this network."""
    return {}


def build(shapes: Mapping[str, torch.Size]) -> Colouriser:
    """The network whose tensors have these shapes, as far as there is one."""
    return Colouriser(length(shapes, "last.weight"), length(shapes, "bins"))
