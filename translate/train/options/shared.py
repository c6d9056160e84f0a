"""Options that several recipes have."""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple


class About(NamedTuple):
    """What an option means, and its bounds."""

    text: str
    min: float | None = None
    max: float | None = None


Weight = Annotated[float, About("Weight of this loss; 0 leaves it out.", 0)]
Rate = Annotated[float, About("Learning rate of Adam.", 0)]
Width = Annotated[int, About("Channels of the generator's first layer.", 1)]
Blocks = Annotated[int, About("Residual blocks of the generator.", 1)]
Steps = Annotated[int, About("Optimiser steps.", 1)]
Batch = Annotated[int, About("Images at a time, of all processes together.", 1)]
Size = Annotated[int, About("Side of the random crops, in pixels.", 32)]
Load = Annotated[
    tuple[int, int], About("Two sides: the smallest and largest short one that an image is resized to before cropping.")
]
Gan = Annotated[
    Literal["lsgan", "nonsaturating", "minimax", "hinge", "wgan-gp"],
    About(
        "Adversarial loss. minimax is the theory of the first GAN and nonsaturating what it was trained with; wgan-gp "
        "brings its gradient penalty along."
    ),
]
Smoothing = Annotated[
    float,
    About("With --gan nonsaturating or minimax: real images need only be called real with 1 minus this.", 0, 0.5),
]
JudgeWidth = Annotated[int, About("Channels of the discriminator's first layer.", 1)]
Penalty = Annotated[
    float, About("Weight of the R1 penalty, which keeps the discriminator from overfitting; 0 leaves it out.", 0)
]
Diverse = Annotated[float, About("Weight of the loss against fakes that are more alike than real pictures.", 0)]
Judge = Annotated[
    Literal["patch", "projected"],
    About("patch: the 70×70 PatchGAN; projected: heads on ImageNet features, which need far fewer steps."),
]


@dataclass(frozen=True, kw_only=True)
class Run:
    """What every recipe has."""

    steps: Steps = 20_000
    batch: Batch = 1
    accumulate: Annotated[
        int, About("Batches a step: the result of one so many times larger, in the memory of one.", 1)
    ] = 1
    lr: Rate = 2e-4
    ema: Annotated[float, About("Decay of the averaged weights.", 0, 1)] = 0.999
    seed: Annotated[int, About("Of every random number.")] = 0
    precision: Annotated[str, About("auto, fp32 or bf16.")] = "fp32"
    device: Annotated[str, About("auto, cpu, cuda, cuda:1, mps.")] = "cpu"


@dataclass(frozen=True, kw_only=True)
class Adversarial(Run):
    """What every recipe with a discriminator has."""

    gan: Gan = "lsgan"
    label_smoothing: Smoothing = 0.0
    r1: Penalty = 0.0
    diffaugment: Annotated[
        bool,
        About("Show the discriminator real and made images in other colours, shifted, and in part: for small sets."),
    ] = False
    discriminator_width: JudgeWidth = 64

    @property
    def penalised(self) -> bool:
        """Whether the discriminator's loss has a penalty beside it."""
        return self.gan == "wgan-gp" or self.r1 > 0
