"""The first GAN: two multi-layer perceptrons (Goodfellow et al. 2014, arXiv:1406.2661, section 5)."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from translate import kernels
from translate.models import across
from translate.models.layers import RunningBatchNorm

DROPPED = 0.3  # share of the discriminator's hidden units, anew for every picture


class MLPGenerator(nn.Module):
    """Noise to pictures through three hidden layers.

    The batch norm between the layers is DCGAN's, a year younger: without it all pictures look alike for a long time.

    Args:
        latent: length of z.
        width: of the first hidden layer; the next two are twice and four times as wide.
        size: side of the pictures.
        channels: 1 for grey, 3 for RGB.
        uniform: z was drawn from U(-1, 1) and not N(0, 1) in training.
    """

    classes = ()

    def __init__(
        self, latent: int = 100, width: int = 128, size: int = 28, channels: int = 1, uniform: bool = False
    ) -> None:
        super().__init__()
        self.config = {"latent": latent, "width": width, "size": size, "channels": channels, "uniform": uniform}
        self.latent, self.size, self.channels, self.uniform = latent, size, channels, uniform
        widths = [latent, width, width * 2, width * 4]
        self.hidden = nn.ModuleList(nn.Linear(i, o, bias=False) for i, o in pairwise(widths))
        self.norms = nn.ModuleList(RunningBatchNorm(o) for o in widths[1:])
        self.last = nn.Linear(width * 4, channels * size * size)

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, latent) -> (B, channels, size, size) in [-1, 1]; there are no labels."""
        for linear, norm in zip(self.hidden, self.norms, strict=True):
            z = kernels.bias_leaky_relu(norm(linear(z)))
        return torch.tanh(self.last(z)).view(-1, self.channels, self.size, self.size)


class MLPDiscriminator(nn.Module):
    """Pictures to one score each, through two hidden layers with dropout."""

    def __init__(self, width: int = 128, size: int = 28, channels: int = 1) -> None:
        super().__init__()
        self.hidden = nn.ModuleList(
            nn.Linear(i, o) for i, o in pairwise([channels * size * size, width * 4, width * 2])
        )
        self.last = nn.Linear(width * 2, 1)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, channels, size, size) in [-1, 1] -> (B, 1), unbounded; larger is more real."""
        x = x.flatten(1)
        for linear in self.hidden:
            x = kernels.bias_leaky_relu(linear(x))
            if self.training:
                kept = across.own(torch.rand(across.total(len(x)), x.shape[1], device=x.device)) > DROPPED
                x = x * kept / (1 - DROPPED)
        y: Tensor = self.last(x)
        return y
