"""A generator that knows photographs before it is trained: a U-Net on ImageNet features."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor

from translate.models.keys import length
from translate.models.pretrained_unet import PretrainedUNet, rows_of


class PretrainedGenerator(PretrainedUNet):
    """Changes each pixel's brightness and colour by what EfficientNet-lite0 sees around it.

    The encoder can tell a horse from its meadow from the start. The decoder gives a shift s and a gain g in (0, 2) for
    each pixel, and the result is tanh(s + g · artanh(x)): training starts at s = 0 and g = 1, which is the picture
    itself, so a background need not be learnt. A gain near 0 forgets what was there.

    Images are (B, 3, H, W) in [-1, 1], of any size.

    Args:
        width: channels of the decoder at full size.
    """

    def __init__(self, width: int = 32) -> None:
        super().__init__(width, 4)

    def look(self, x: Tensor) -> Tensor:
        """(B, 3, h, w) in [-1, 1], h and w multiples of 16 -> shift and raw gain, (B, 4, h, w) float32."""
        return self.decoded(x)

    def applied(self, found: Tensor, x: Tensor, times: int, top: int = 0) -> Tensor:
        """Shift and stretch the rows x, in [-1, 1]."""
        changes = rows_of(found, times, top, *x.shape[2:])
        shift, gain = changes[:, :3], 2 * torch.sigmoid(changes[:, 3:])
        return torch.tanh(shift + gain * torch.atanh(x.float().clamp(-0.99, 0.99)))


def public_names(keys: Iterable[str]) -> dict[str, str]:
    """Nobody else has this network."""
    return {}


def build(shapes: Mapping[str, torch.Size]) -> PretrainedGenerator:
    """The network whose tensors have these shapes, as far as there is one."""
    return PretrainedGenerator(length(shapes, "head.weight", 1))
