"""The recipe of the first GAN (Goodfellow et al. 2014, arXiv:1406.2661)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from translate.models.gan import MLPDiscriminator, MLPGenerator
from translate.train import adversarial
from translate.train.labelled import Pictures
from translate.train.options import GAN
from translate.train.state import Step


def train(config: GAN, out: Path, **run: Any) -> Iterator[Step]:
    """Train; see `adversarial.train` for what is written and for `resume`, `init` and `minutes`."""
    torch.manual_seed(config.seed)
    pictures = Pictures(Path(config.src), config.size, mirror=config.mirror)
    shape = {"size": pictures.size, "channels": pictures.channels}

    def generator() -> MLPGenerator:
        return MLPGenerator(config.latent, config.width, uniform=config.prior == "uniform", **shape)

    def discriminator() -> MLPDiscriminator:
        return MLPDiscriminator(config.discriminator_width, **shape)

    return adversarial.train(config, out, pictures, generator, discriminator, **run)
