"""Old photographs made new: what is destroyed is found and painted over, grain and blur go, and fading is undone."""

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.models.colouriser import luma
from translate.models.denoiser import Denoiser
from translate.models.efficientnet import tap_channels
from translate.models.keys import length
from translate.models.pretrained_unet import DEEPEST, PretrainedUNet, rows_of

TERMS = 10  # of a polynomial of the second degree in red, green and blue
THUMBNAIL = 64  # pixels on the side of what the tones are told from,
LOOK = 224  # and of what the encoder is shown for them
QUANTILES = 32  # of each of red, green, blue, luma, and the spread between the channels
REACH = 6  # how often the size is halved for painting over: holes of up to 64 pixels


class Restorer(PretrainedUNet):
    """Paints over scratches, dust, folds and tears, takes off grain and blur, and undoes fading and yellowing.

    Scratches are local: a U-Net on ImageNet features says for each pixel how surely it is destroyed (compare the first
    network of Wan et al. 2020, arXiv:2004.09484), and what is around it fills it. A few convolutions clean what comes
    of that. How far a print has faded shows in the whole of it: a small network tells a polynomial of red, green and
    blue from how its colours are distributed, and from what the encoder sees in it.

    Images are (B, 3, H, W) in [0, 1], of any size.

    Args:
        width: channels of the decoder at full size.
        repairs: paint over what is destroyed.
        cleans: take off grain and blur.
    """

    side = 768  # scratches are thin
    centre: Tensor
    spread: Tensor

    def __init__(self, width: int = 24, *, repairs: bool = True, cleans: bool = True) -> None:
        super().__init__(width, 1, finest=3)
        self.repairs, self.cleans = repairs, cleans
        self.denoiser = Denoiser()
        features = 2 * tap_channels(self.encoder.version)[DEEPEST]
        self.tones = Tones(features)
        self.register_buffer("centre", torch.zeros(features))
        self.register_buffer("spread", torch.ones(features))
        nn.init.constant_(self.head.bias, -3.0)  # type: ignore[arg-type]

    def look(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(B, 3, h, w) in [0, 1] -> the tones' polynomial, and (B, 7, h, w): what to paint, how surely, what to add."""
        x = x.float()
        tone = self.tones(F.adaptive_avg_pool2d(x, THUMBNAIL), self.features(x))
        paint, destroyed = paint_for(x, self.decoded(2 * x - 1)) if self.repairs else (x, torch.zeros_like(x[:, :1]))
        lacking = self.denoiser(painted(x, paint, destroyed), destroyed) if self.cleans else torch.zeros_like(x)
        return tone, torch.cat([paint, destroyed, lacking], 1)

    def features(self, x: Tensor) -> Tensor:
        """What the encoder sees in the whole of a picture, (B, 3, h, w) in [0, 1] -> (B, F), float32.

        Mean and deviation of its deepest channels at a size that it was trained at, beside those of other pictures.
        """
        return (self._deepest(x) - self.centre.float()) / self.spread.float()

    @torch.no_grad()
    def measure(self, x: Tensor) -> None:
        """Take these pictures, (B, 3, h, w) in [0, 1], for what pictures are like: it belongs to the training."""
        std, mean = torch.std_mean(self._deepest(x), 0)
        self.centre.copy_(mean)
        self.spread.copy_(std + 1e-3)

    def _deepest(self, x: Tensor) -> Tensor:
        x = F.interpolate(x, (LOOK, LOOK), mode="bilinear", align_corners=False, antialias=True)
        [deepest] = self.encoder(x.to(self.head.weight.dtype), [DEEPEST])
        std, mean = torch.std_mean(deepest.float(), (2, 3))
        return torch.cat([mean, std], 1)

    def applied(self, found: tuple[Tensor, Tensor], x: Tensor, times: int, top: int = 0) -> Tensor:
        """Paint over the rows x, in [0, 1], clean them, and change their tones."""
        tone, changes = found
        paint, destroyed, lacking = torch.split(rows_of(changes, times, top, *x.shape[2:]), [3, 1, 3], 1)
        return corrected(painted(x.float(), paint, destroyed) + lacking, tone)


class Tones(nn.Module):
    """A thumbnail -> the tones' polynomial, from how bright and how colourful its pixels are, not where they are.

    Blacks that are no longer black and whites that are no longer white are the ends of the sorted values, which a mean
    of convolutions does not see. How bright it should be depends on what there is in it, which the `features` tell.

    Args:
        features: how many there are.
        width: of the hidden layers.
    """

    def __init__(self, features: int, width: int = 192) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(5 * QUANTILES, width), nn.Linear(width, width)
        self.seen = nn.Linear(features, width, bias=False)
        self.last = nn.Linear(width, 3 * TERMS)
        nn.init.zeros_(self.last.weight)
        nn.init.zeros_(self.last.bias)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        """(B, 3, 64, 64) in [0, 1], and (B, F) -> (B, 30, 1, 1)."""
        spread = x.amax(1, keepdim=True) - x.amin(1, keepdim=True)
        ordered = torch.cat([x, luma(x), spread], 1).flatten(2).sort(2).values
        quantiles = ordered[..., torch.linspace(0, THUMBNAIL**2 - 1, QUANTILES).round().long()]
        dtype = self.first.weight.dtype
        y = self.first((4 * quantiles.flatten(1) - 2).to(dtype)) + self.seen(features.to(dtype))
        y = F.leaky_relu(self.second(F.leaky_relu(y, 0.2)), 0.2)
        return self.last(y)[:, :, None, None]  # type: ignore[no-any-return]


def corrected(x: Tensor, tone: Tensor) -> Tensor:
    """(B, 3, H, W) plus, for each channel, a polynomial of the three, whose coefficients are (B, 30, 1, 1)."""
    red, green, blue = x.unbind(1)
    products = red * red, green * green, blue * blue, red * green, red * blue, green * blue
    terms = torch.stack([red, green, blue, *products, torch.ones_like(red)], 1)
    weights = tone.float().view(-1, 3, TERMS)
    return x + torch.einsum("bct,bthw->bchw", weights, terms)


def paint_for(x: Tensor, scores: Tensor) -> tuple[Tensor, Tensor]:
    """What to paint over a picture, and where.

    Args:
        x: (B, 3, H, W).
        scores: the logarithm of the odds that a pixel is destroyed, (B, 1, H, W).

    Returns:
        x with what is destroyed filled, (B, 3, H, W), and how surely it is, (B, 1, H, W) in [0, 1].
    """
    destroyed = F.max_pool2d(torch.sigmoid(scores), 3, 1, 1)  # marks have blurred into their rims
    return filled(x, destroyed), destroyed


def painted(x: Tensor, paint: Tensor, destroyed: Tensor) -> Tensor:
    """(B, 3, H, W) with `paint` of that shape where it is `destroyed`, (B, 1, H, W) in [0, 1]."""
    return x + destroyed * (paint - x)


def filled(x: Tensor, destroyed: Tensor) -> Tensor:
    """What is not destroyed, brought into what is, from near to far.

    Means of the sound pixels at half the size, a quarter and so on, and back up again: where few are sound the larger
    neighbourhood counts (pull and push: Gortler et al., *The Lumigraph*, SIGGRAPH 1996).

    Args:
        x: (B, 3, H, W).
        destroyed: (B, 1, H, W) in [0, 1].

    Returns:
        (B, 3, H, W); where nothing near is sound, the mean of what was there.
    """
    sound = (1 - destroyed).square() + 1e-6
    sums, levels = x * sound, []
    for _ in range(REACH):
        levels.append((sums, sound))
        sums, sound = (F.avg_pool2d(t, 2, ceil_mode=True) for t in (sums, sound))
    y = sums / sound
    for sums, sound in reversed(levels):
        far = F.interpolate(y, sums.shape[2:], mode="bilinear", align_corners=False)
        y = far + sound * (sums / sound - far)
    return y


def public_names(keys: Iterable[str]) -> dict[str, str]:
    """Nobody else has this network."""
    return {}


def build(shapes: Mapping[str, torch.Size]) -> Restorer:
    """The network whose tensors have these shapes, as far as there is one."""
    return Restorer(length(shapes, "head.weight", 1))
