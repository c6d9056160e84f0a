"""The networks, and the table by which a checkpoint's keys are recognised as one of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from translate.models import colouriser, compact, cyclegan_keys, pix2pix, pretrained, restorer, rrdb, srgan, srgan_bn
from translate.models.cgan import ConditionalGenerator
from translate.models.dcgan import DCGenerator
from translate.models.gan import MLPGenerator
from translate.models.keys import rename
from translate.models.stylegan import StyleGenerator

Convert = Callable[[Mapping[str, Tensor], Mapping[str, str]], tuple[dict[str, Tensor], tuple[str, ...]]]


@dataclass(frozen=True)
class Model:
    """A network that is ready to run, and what has to be known to feed it.

    Attributes:
        network: takes and gives (B, 3, H, W).
        architecture: the name of the network's class.
        scale: output side / input side.
        multiple_of: both input sides must be multiples of this.
        minimum: smallest input side in pixels.
        value_range: of input and output.
        halo: input pixels, in each direction, that an output pixel can depend on; None if it depends on all of them.
        notes: what was assumed about the checkpoint, one line each.
    """

    network: nn.Module
    architecture: str
    scale: int = 1
    multiple_of: int = 1
    minimum: int = 1
    value_range: tuple[float, float] = (0.0, 1.0)
    halo: int | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Architecture:
    """One network and how its checkpoints are read.

    Attributes:
        name: of the network's class.
        names: a checkpoint -> the public project's layer names in it, and ours; our own keys need none.
        convert: a checkpoint and those names -> its tensors under our keys, and notes on what was dropped.
        convert_trained: the same where norms shall take the statistics of training and the file leaves the choice.
        build: shapes of the converted tensors -> the network of those sizes, with weights still to be loaded.
        multiple_of: of every such network; one whose depth decides it has a `multiple_of` of its own.
        halo: the network -> `Model.halo`.
    """

    name: str
    names: Callable[[Mapping[str, Tensor]], dict[str, str]]
    convert: Convert
    build: Callable[[Mapping[str, torch.Size]], nn.Module]
    multiple_of: int = 1
    minimum: int = 1
    value_range: tuple[float, float] = (0.0, 1.0)
    halo: Callable[[Any], int] | None = None
    convert_trained: Convert | None = None

    def model(self, network: nn.Module, notes: tuple[str, ...] = ()) -> Model:
        """The loaded network with what is known of it."""
        return Model(
            network,
            self.name,
            scale=int(getattr(network, "scale", 1)),
            multiple_of=int(getattr(network, "multiple_of", self.multiple_of)),
            minimum=self.minimum,
            value_range=self.value_range,
            halo=self.halo(network) if self.halo else None,
            notes=notes,
        )


ARCHITECTURES = (
    Architecture(
        "ResnetGenerator",
        cyclegan_keys.public_names,
        cyclegan_keys.convert,
        cyclegan_keys.build,
        multiple_of=4,  # halved twice
        minimum=16,  # the blocks reflect at a quarter of the size
        value_range=(-1.0, 1.0),
    ),
    Architecture(
        "UNetGenerator",
        pix2pix.public_names,
        pix2pix.convert,
        pix2pix.build,
        value_range=(-1.0, 1.0),
        convert_trained=partial(pix2pix.convert, trained=True),
    ),
    Architecture("SRResNet", srgan.public_names, rename, srgan.build, halo=srgan.halo),
    Architecture("SRGAN", srgan_bn.public_names, srgan_bn.convert, srgan_bn.build, halo=srgan_bn.halo),
    Architecture("RRDBNet", rrdb.public_names, rename, rrdb.build, halo=rrdb.halo),
    Architecture("SRVGGNetCompact", compact.public_names, rename, compact.build, halo=compact.halo),
    Architecture("Restorer", restorer.public_names, rename, restorer.build),
    Architecture("Colouriser", colouriser.public_names, rename, colouriser.build),
    Architecture("PretrainedGenerator", pretrained.public_names, rename, pretrained.build, value_range=(-1.0, 1.0)),
)

# Generators that start from noise and take no picture. Only our own training makes such files, and their header says
# which network they hold. Each has `latent`, `size`, `channels`, `classes` and `uniform`, as its docstring tells, and
# is called as `network(z, labels)`.
FROM_NOISE: dict[str, type[nn.Module]] = {
    network.__name__: network for network in (MLPGenerator, DCGenerator, ConditionalGenerator, StyleGenerator)
}

__all__ = ["ARCHITECTURES", "FROM_NOISE", "Architecture", "Model"]
