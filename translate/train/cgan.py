"""The recipe of the conditional GAN (Mirza & Osindero 2014, arXiv:1411.1784)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from translate.errors import TrainingError
from translate.models.cgan import ConditionalGenerator, ProjectionDiscriminator
from translate.train import adversarial
from translate.train.dcgan import shape_of
from translate.train.labelled import Pictures
from translate.train.options import CGAN
from translate.train.state import Step


def train(config: CGAN, out: Path, **run: Any) -> Iterator[Step]:
    """Train; see `adversarial.train` for what is written and for `resume`, `init` and `minutes`."""
    torch.manual_seed(config.seed)
    pictures = Pictures(Path(config.src), config.size, mirror=config.mirror)
    classes = pictures.classes
    if len(classes) < 2:
        found = f"one class only, {classes[0]}" if classes else "no labels"
        raise TrainingError(
            f"{config.src} has {found}; give one folder a class or an .npz with labels, or train a dcgan"
        )
    shape = shape_of(pictures, config.src)

    def generator() -> ConditionalGenerator:
        uniform = config.prior == "uniform"
        return ConditionalGenerator(classes, config.latent, config.width, uniform=uniform, **shape)

    def discriminator() -> ProjectionDiscriminator:
        return ProjectionDiscriminator(len(classes), config.discriminator_width, **shape)

    return adversarial.train(config, out, pictures, generator, discriminator, **run)
