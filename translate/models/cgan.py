"""The conditional GAN: the label goes into both networks (Mirza & Osindero 2014, arXiv:1411.1784).

The generator gets it as an embedding beside the noise. The discriminator gets it as a projection, the inner product of
the picture's features with the label's embedding (Miyato & Koyama 2018, arXiv:1802.05637).
"""

import torch
from torch import Tensor, nn

from translate.models.dcgan import DCDiscriminator, DCGenerator

EMBEDDING = 50  # numbers that stand for a label in the generator


class ConditionalGenerator(DCGenerator):
    """DCGAN's generator with an embedding of the label beside z.

    Args:
        classes: their names; a label is an index into them.
        latent: and the others, see `DCGenerator`.
    """

    def __init__(
        self,
        classes: tuple[str, ...] = ("0", "1"),
        latent: int = 100,
        width: int = 64,
        size: int = 64,
        channels: int = 3,
        uniform: bool = False,
    ) -> None:
        super().__init__(latent, width, size, channels, uniform)
        self.classes = tuple(classes)
        self.config["classes"] = list(classes)
        self.embedding = nn.Embedding(len(classes), EMBEDDING)

    @property
    def inputs(self) -> int:
        """How many numbers the first layer sees."""
        return self.latent + EMBEDDING

    def forward(self, z: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, latent) and labels (B,) in [0, classes) -> (B, channels, size, size) in [-1, 1]."""
        if labels is None:
            raise ValueError("a conditional generator needs labels")
        return super().forward(torch.cat([z, self.embedding(labels)], 1))


class ProjectionDiscriminator(DCDiscriminator):
    """DCGAN's discriminator, which also compares the picture's features with the label's embedding.

    Args:
        classes: how many.
        width: and the others, see `DCDiscriminator`.
    """

    def __init__(self, classes: int = 2, width: int = 64, size: int = 64, channels: int = 3) -> None:
        super().__init__(width, size, channels)
        self.embedding = nn.Embedding(classes, self.last.in_features)
        nn.init.normal_(self.embedding.weight, 0.0, 0.02)

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """(B, channels, size, size) in [-1, 1] and labels (B,) -> (B, 1), unbounded; larger is more real."""
        features = self.features(x)
        y: Tensor = self.last(features) + (features * self.embedding(labels)).sum(1, keepdim=True)
        return y
