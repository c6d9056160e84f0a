"""Old photographs made new: a U-Net that sees the neighbourhood, told by a glance at the whole how it has faded."""

from collections.abc import Callable, Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate import kernels
from translate.models.colouriser import luma
from translate.models.keys import length
from translate.models.unet import Block

LEVELS = 4  # sizes that the U-Net works at: the whole, a half, a quarter and an eighth
TERMS = 10  # of a polynomial of the second degree in red, green and blue
THUMBNAIL = 64  # pixels on the side of what the glance sees
QUANTILES = 32  # of each of red, green, blue, luma, and the spread between the channels


class Restorer(nn.Module):
    """Undoes fading, yellowing, blur and grain everywhere, and paints over what is destroyed.

    Scratches and stains are local, but how far a print has faded shows in the whole of it. So two small networks glance
    at a thumbnail: one corrects the tones by a polynomial of red, green and blue, the other scales the features of a
    U-Net of convolutions (FiLM: Perez et al. 2018, arXiv:1709.07871). The U-Net gives the picture made new, how surely
    each pixel is destroyed, and what was there; the result mixes the two (compare Wan et al. 2020, arXiv:2004.09484,
    which use two networks).

    Args:
        width: channels at full size; doubled at each of three halvings.
        repairs: paint over what is destroyed; off, only tones, blur and grain change.
    """

    multiple_of = 2 ** (LEVELS - 1)

    def __init__(self, width: int = 16, *, repairs: bool = True) -> None:
        super().__init__()
        self.config = {"width": width}
        self.repairs = repairs
        sizes = [width << level for level in range(LEVELS)]
        self.tones = Tones()
        self.glimpse = Glimpse([*sizes, *reversed(sizes[:-1])])
        self.stem = nn.Conv2d(3, width, 3, padding=1)
        self.down = nn.ModuleList(nn.Conv2d(n, n * 2, 4, 2, 1) for n in sizes[:-1])
        self.enter = nn.ModuleList(Block(n) for n in sizes)
        self.deep = nn.ModuleList(Block(sizes[-1]) for _ in range(2))
        self.up = nn.ModuleList(nn.Conv2d(n * 2, n, 3, padding=1) for n in reversed(sizes[:-1]))
        self.leave = nn.ModuleList(Block(n) for n in reversed(sizes[:-1]))
        self.head = nn.Conv2d(width, 7, 3, padding=1)
        nn.init.zeros_(self.head.weight)
        nn.init.constant_(self.head.bias, 0.0)  # type: ignore[arg-type]

    def forward(self, x: Tensor, film: list[Tensor] | None = None) -> Tensor:
        """(B, 3, H, W) sRGB in [0, 1], H and W multiples of 8 -> the same, float32; `film` is that of the whole."""
        toned, destroyed, painted = self.parts(x, film)
        return toned + destroyed * (painted - toned) if self.repairs else toned

    def parts(self, x: Tensor, film: list[Tensor] | None = None) -> tuple[Tensor, Tensor, Tensor]:
        """The picture in new tones, how surely each pixel is destroyed (B, 1, H, W), and what was there."""
        tone, *scales = self.glance(thumbnail(x)) if film is None else film
        x = corrected(x.float(), tone)
        y = self.stem(x.to(self.stem.weight.dtype))
        seen: list[Tensor] = []
        for level, enter in enumerate(self.enter):
            if level:
                y = kernels.bias_leaky_relu(self.down[level - 1](y))
            y = enter(y, scales.pop(0))
            seen.append(y)
        for deep in self.deep:
            y = deep(y)
        seen.pop()
        for up, leave in zip(self.up, self.leave, strict=True):
            y = kernels.upsample_conv2d(y, up.weight, up.bias) + seen.pop()  # type: ignore[arg-type]
            y = leave(y, scales.pop(0))
        change, destroyed, painted = self.head(y).float().split([3, 1, 3], 1)
        return x + change, torch.sigmoid(destroyed - 3), x + change + painted

    def glance(self, small: Tensor) -> list[Tensor]:
        """What the thumbnail (B, 3, 64, 64) of a whole picture says of its tones; for `forward`."""
        return [self.tones(small), *self.glimpse(small)]


class Tones(nn.Module):
    """A thumbnail -> the tones' polynomial, from how bright and how colourful its pixels are, not where they are.

    Blacks that are no longer black and whites that are no longer white are the ends of the sorted values, which a mean
    of convolutions does not see.
    """

    def __init__(self, width: int = 128) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5 * QUANTILES, width), nn.Linear(width, width)
        self.last = nn.Linear(width, 3 * TERMS)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, 64, 64) in [0, 1] -> (B, 30, 1, 1)."""
        spread = x.amax(1, keepdim=True) - x.amin(1, keepdim=True)
        ordered = torch.cat([x, luma(x), spread], 1).flatten(2).sort(2).values
        quantiles = ordered[..., torch.linspace(0, THUMBNAIL**2 - 1, QUANTILES).round().long()]
        y = (4 * quantiles.flatten(1) - 2).to(self.first.weight.dtype)
        for layer in (self.first, self.second):
            y = F.leaky_relu(layer(y), 0.2)
        return self.last(y)[:, :, None, None]  # type: ignore[no-any-return]


class Glimpse(nn.Module):
    """A thumbnail -> a scale and a shift for the channels of each level."""

    def __init__(self, channels: list[int], width: int = 32) -> None:
        super().__init__()
        self.convs = nn.ModuleList(nn.Conv2d(3 if not n else width << (n - 1), width << n, 4, 2, 1) for n in range(3))
        self.hidden = nn.Linear(width << 2, 128)
        self.films = nn.ModuleList(nn.Linear(128, 2 * n) for n in channels)
        for film in self.films:
            nn.init.zeros_(film.weight)  # type: ignore[arg-type]
            nn.init.zeros_(film.bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> list[Tensor]:
        """(B, 3, 64, 64) in [0, 1] -> one (B, 2C, 1, 1) a level."""
        y = x.to(self.hidden.weight.dtype)
        for conv in self.convs:
            y = kernels.bias_leaky_relu(conv(y))
        y = F.leaky_relu(self.hidden(y.mean((2, 3))), 0.2)
        return [film(y)[:, :, None, None] for film in self.films]


def corrected(x: Tensor, tone: Tensor) -> Tensor:
    """(B, 3, H, W) plus, for each channel, a polynomial of the three, whose coefficients are (B, 30, 1, 1)."""
    red, green, blue = x.unbind(1)
    products = red * red, green * green, blue * blue, red * green, red * blue, green * blue
    terms = torch.stack([red, green, blue, *products, torch.ones_like(red)], 1)
    weights = tone.float().view(-1, 3, TERMS)
    return x + torch.einsum("bct,bthw->bchw", weights, terms)


def thumbnail(x: Tensor) -> Tensor:
    """(B, 3, H, W) -> the means of 64 × 64 parts of it."""
    return F.adaptive_avg_pool2d(x.float(), THUMBNAIL)


def thumbnail_of_rows(rows: Callable[[int, int], Tensor], height: int) -> Tensor:
    """`thumbnail` of a picture that is never there as a whole.

    Args:
        rows: from and to -> (1, 3, n, W) of it.
        height: of the picture.
    """
    edges = [(n * height // THUMBNAIL, -(-(n + 1) * height // THUMBNAIL)) for n in range(THUMBNAIL)]
    return torch.cat([F.adaptive_avg_pool2d(rows(top, bottom).float(), (1, THUMBNAIL)) for top, bottom in edges], 2)


def halo(network: Restorer) -> int:
    """How far, in pixels, an output pixel sees in each direction, its glance at the whole apart."""
    reach = 2  # the stem and the head, at full size
    for level in range(LEVELS):
        blocks = 1 + len(network.deep) if level == LEVELS - 1 else 2
        reach += 2 * blocks * 2**level
        if level:  # into it a 4×4 convolution, and out of it nearest ×2 and a 3×3 one
            reach += 2 * 2 ** (level - 1) + 2**level
    return reach


def public_names(keys: Iterable[str]) -> dict[str, str]:
    """Nobody else has this network."""
    return {}


def build(shapes: Mapping[str, torch.Size]) -> Restorer:
    """The network whose tensors have these shapes, as far as there is one."""
    return Restorer(length(shapes, "stem.weight"))
