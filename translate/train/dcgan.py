"""The recipe of DCGAN (Radford et al. 2016, arXiv:1511.06434, section 4)."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from translate.errors import TrainingError
from translate.models.dcgan import DCDiscriminator, DCGenerator, base
from translate.train import adversarial
from translate.train.labelled import Pictures
from translate.train.options import DCGAN
from translate.train.state import Step


def train(config: DCGAN, out: Path, **run: Any) -> Iterator[Step]:
    """Train; see `adversarial.train` for what is written and for `resume`, `init` and `minutes`."""
    torch.manual_seed(config.seed)
    pictures = Pictures(Path(config.src), config.size, mirror=config.mirror)
    shape = shape_of(pictures, config.src)

    def generator() -> DCGenerator:
        return DCGenerator(config.latent, config.width, uniform=config.prior == "uniform", **shape)

    def discriminator() -> DCDiscriminator:
        return DCDiscriminator(config.discriminator_width, **shape)

    return adversarial.train(config, out, pictures, generator, discriminator, **run)


def shape_of(pictures: Pictures, source: str) -> dict[str, int]:
    """Size and channels of the networks for these pictures; `TrainingError` where no such pictures can be made."""
    try:
        base(pictures.size)
    except ValueError as error:
        raise TrainingError(f"{source}: {error}; choose such a --size") from None
    return {"size": pictures.size, "channels": pictures.channels}
