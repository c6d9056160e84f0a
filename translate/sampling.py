"""Pictures from noise: latents that a seed decides, truncated or on the way from one to another."""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from translate import kernels
from translate.errors import InputError
from translate.models.stylegan import StyleGenerator

Pixels = npt.NDArray[np.uint8]

LEAST = 0.01  # of the truncation: below it, resampling would hardly ever end
BATCH = 64


def latents(network: Any, seed: int, count: int = 1, truncation: float | None = None) -> Tensor:
    """Draw z (count, latent) on the CPU; the first ones do not depend on how many there are.

    Args:
        network: the generator that they are for; its z was normal or uniform in training.
        seed: of the random numbers.
        count: how many.
        truncation: a number of z that is further from 0 is drawn again (Brock et al. 2019, arXiv:1809.11096, section
            3.1), so that the numbers that are near enough do not depend on it. A style-based generator is truncated in
            w instead, by `pictures`.
    """
    if truncation is not None and not truncation >= LEAST:
        raise InputError(f"the truncation is {truncation}; it takes a number from {LEAST} on")
    if not 0 <= seed < 1 << 63:
        raise InputError(f"the seed is {seed}; it takes a number from 0 to {(1 << 63) - 1}")
    random = torch.Generator().manual_seed(seed)
    bound = None if isinstance(network, StyleGenerator) else truncation

    def draw(length: int) -> Tensor:
        if network.uniform:
            return torch.rand(length, generator=random) * 2 - 1
        return torch.randn(length, generator=random)

    rows = []
    for _ in range(count):
        z = draw(network.latent)
        while bound is not None and (outside := z.abs() > bound).any():
            z[outside] = draw(int(outside.sum()))
        rows.append(z)
    return torch.stack(rows)


def truncations(network: Any) -> tuple[float, ...]:
    """Five settings from safe to varied; the last one leaves (nearly) everything as it is."""
    if network.uniform or isinstance(network, StyleGenerator):
        return 0.2, 0.4, 0.6, 0.8, 1.0
    return 0.25, 0.5, 1.0, 1.5, 2.5


def slerp(a: Tensor, b: Tensor, share: float) -> Tensor:
    """Go from a (0) to b (1) on the great circle between them; two latents of one length stay of that length.

    Straight ahead, a latent would get shorter half way than the network has ever seen one (Shoemake 1985, "Animating
    Rotation with Quaternion Curves"; White 2016, arXiv:1609.04468).
    """
    if a.shape != b.shape:
        raise InputError(f"a latent of {len(b)} numbers does not fit one of {len(a)}")
    angle = torch.acos(torch.dot(a / a.norm(), b / b.norm()).clamp(-1, 1))
    if angle.sin() < 1e-4:  # the same direction, or the opposite one
        return a.lerp(b, share)
    return (torch.sin((1 - share) * angle) * a + torch.sin(share * angle) * b) / torch.sin(angle)


def walk(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """The latents (steps, latent) from a to b, both among them.

    Raises:
        InputError: there are fewer than two.
    """
    if steps < 2:
        raise InputError(f"a walk of {steps} steps does not have its two ends; take 2 or more")
    return torch.stack([slerp(a, b, step / (steps - 1)) for step in range(steps)])


@torch.inference_mode()
def pictures(network: Any, z: Tensor, labels: Sequence[int] = (), truncation: float | None = None) -> Iterator[Pixels]:
    """Make a picture of each latent: RGB (size, size, 3) bytes, one after the other.

    Args:
        network: a generator from noise.
        z: (N, latent).
        labels: N indices into the network's classes, where it has any.
        truncation: of w, for a style-based generator; that of z is done already.

    Raises:
        InputError: the latents are of another length.
    """
    if z.dim() != 2 or z.shape[1] != network.latent:
        raise InputError(f"a latent has {z.shape[-1]} numbers, but the network takes {network.latent}")
    device = next(network.parameters()).device
    of_w = {"truncation": truncation} if truncation is not None and isinstance(network, StyleGenerator) else {}
    for first in range(0, len(z), BATCH):
        part = torch.tensor(labels[first : first + BATCH], device=device) if network.classes else None
        x = network(z[first : first + BATCH].to(device), part, **of_w)
        yield from kernels.quantise(x.expand(-1, 3, -1, -1), -1.0, 1.0).cpu().numpy()


def class_index(network: Any, name: str) -> int:
    """The label that a class has.

    Raises:
        InputError: there is no such class, or there are none at all.
    """
    if not network.classes:
        raise InputError("this generator knows no classes; leave --class and --dataset out, or take a conditional one")
    if name not in network.classes:
        raise InputError(f"there is no class {name!r}; there are {', '.join(network.classes)}")
    return int(network.classes.index(name))
