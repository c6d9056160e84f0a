"""The recipe of the style-based generator (Karras et al. 2019, arXiv:1812.04948; 2020, arXiv:1912.04958)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from translate.errors import TrainingError
from translate.features import FeatureNetwork
from translate.models import across
from translate.models.layers import placed
from translate.models.stylegan import StyleDiscriminator, StyleGenerator
from translate.train import adversarial
from translate.train.labelled import Pictures
from translate.train.options import StyleGAN
from translate.train.projected import ProjectedDiscriminator
from translate.train.state import Step

SIZES = (32, 64, 128, 256)
FEATURES_SIZE = 128  # what smaller pictures are enlarged to, for a projected discriminator


def train(config: StyleGAN, out: Path, **run: Any) -> Iterator[Step]:
    """Train; see `adversarial.train` for what is written and for `resume`, `init` and `minutes`."""
    torch.manual_seed(config.seed)
    pictures = Pictures(Path(config.src), config.size, mirror=config.mirror)
    shape = {"size": pictures.size, "channels": pictures.channels}
    if pictures.size not in SIZES:
        raise TrainingError(f"{config.src}: a side of {pictures.size} is none of {SIZES}; choose a --size")

    def generator() -> StyleGenerator:
        uniform = config.prior == "uniform"
        return StyleGenerator(
            config.latent, config.width, style=config.style, layers=config.layers, uniform=uniform, **shape
        )

    def discriminator() -> nn.Module:
        if config.discriminator == "projected":
            features = placed(FeatureNetwork(), config.device)
            return ProjectedDiscriminator(features, config.discriminator_width, max(1, FEATURES_SIZE // pictures.size))
        return StyleDiscriminator(config.discriminator_width, **shape)

    path_length = PathLength(config.path_length) if config.path_length else None
    return adversarial.train(
        config, out, pictures, generator, discriminator, betas=(0.0, 0.99), regulariser=path_length, **run
    )


class PathLength(nn.Module):
    """A step in w is to change the picture equally much everywhere (arXiv:1912.04958, section 3.2).

    Args:
        weight: of the loss.
    """

    mean: Tensor

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = weight
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, generator: nn.Module, z: Tensor) -> Tensor:
        """(B, latent) -> how far the lengths are from their running mean, squared."""
        network = cast(StyleGenerator, generator)
        ws = network.mapping(z)[:, None].expand(-1, network.styles, -1)
        picture = network.synthesise(ws)
        whole = across.total(len(picture)), *picture.shape[1:]
        direction = across.own(torch.randn(whole, device=picture.device)) / network.size
        (slope,) = torch.autograd.grad((picture * direction).sum(), ws, create_graph=True)
        length = slope.float().square().sum(2).mean(1).sqrt()
        self.mean.lerp_(across.mean(length.detach().mean()), 0.01)
        loss: Tensor = self.weight * (length - self.mean).square().mean()
        return loss
