"""Augmentation of what a discriminator sees, so that it cannot learn a small set by heart (Zhao et al. 2020)."""

import torch
import torch.nn.functional as F
from torch import Tensor

DRAWS = 7  # random numbers an image: brightness, saturation, contrast, translation (2), cutout (2)


def diffaugment(x: Tensor, draws: Tensor, value_range: tuple[float, float] = (-1.0, 1.0)) -> Tensor:
    """DiffAugment (arXiv:2006.10738, section 3.2): colour, translation and cutout, with gradients to the images.

    Real images and fakes go through it alike, in the generator's step as in the discriminator's; nothing that it does
    can then be learnt by the generator as if it were part of the data. What moves in from outside and what is cut out
    is grey. A conditional discriminator's two images are augmented one after the other with the same draws.

    Args:
        x: (B, C, H, W).
        draws: (B, 7) uniform random numbers in [0, 1).
        value_range: of x; the result may leave it.

    Returns:
        The shape of x, channels_last.
    """
    low, high = value_range
    middle, half = (low + high) / 2, (high - low) / 2
    x = (x.float() - middle) / half
    brightness, saturation, contrast = draws[:, :3].to(x).T.reshape(3, -1, 1, 1, 1)
    x = x + brightness - 0.5
    x = x.mean(1, keepdim=True).lerp(x, 2 * saturation)
    x = x.mean((1, 2, 3), keepdim=True).lerp(x, contrast + 0.5)
    x = _cut_out(_translate(x, draws[:, 3:5]), draws[:, 5:])
    return (x * half + middle).contiguous(memory_format=torch.channels_last)


def _translate(x: Tensor, draws: Tensor) -> Tensor:
    """Move each image by up to an eighth of its sides; padding by a negative number crops."""
    sides = torch.tensor(x.shape[2:])
    most = (sides / 8).round()
    moves = (draws.cpu() * (2 * most + 1)).floor().sub(most).int().tolist()
    return torch.stack([F.pad(image, (dx, -dx, dy, -dy)) for image, (dy, dx) in zip(x, moves, strict=True)])


def _cut_out(x: Tensor, draws: Tensor) -> Tensor:
    """Blank a rectangle of half the height and width, its centre anywhere."""
    inside = []
    for side, centre in zip(x.shape[2:], draws.to(x.device).T, strict=True):
        distance = torch.arange(side, device=x.device) + 0.5 - centre[:, None] * side
        inside.append(distance.abs() < side / 4)
    rows, columns = inside
    return x.masked_fill((rows[:, :, None] & columns[:, None, :])[:, None], 0.0)
