"""Options of the recipes that make pictures from noise."""

from dataclasses import dataclass
from typing import Annotated, Literal

from translate.train.options.shared import (
    About,
    Adversarial,
    Batch,
    Diverse,
    Gan,
    JudgeWidth,
    Penalty,
    Rate,
    Smoothing,
    Width,
)


@dataclass(frozen=True, kw_only=True)
class FromNoise(Adversarial):
    """What every recipe has that makes pictures from noise."""

    src: Annotated[str, About("Folder of images, or of one folder a class, or an .npz of images (and labels).")]
    size: Annotated[int | None, About("Side of the pictures; by default that of the images, if square.", 8)] = None
    mirror: Annotated[bool, About("Mirror half of the images; not for digits.")] = False
    batch: Batch = 64
    latent: Annotated[int, About("Length of the noise z.", 1)] = 100
    prior: Annotated[Literal["normal", "uniform"], About("z from N(0, 1), or from U(-1, 1).")] = "normal"
    gan: Gan = "nonsaturating"
    label_smoothing: Smoothing = 0.1
    diverse: Diverse = 0.0
    width: Width = 64


@dataclass(frozen=True, kw_only=True)
class GAN(FromNoise):
    """Learn to make pictures from noise with two multi-layer perceptrons (arXiv:1406.2661)."""

    batch: Annotated[int, About("Images in a step; batch norm needs two.", 2)] = 64
    width: Width = 128
    discriminator_width: JudgeWidth = 128


@dataclass(frozen=True, kw_only=True)
class DCGAN(FromNoise):
    """Learn to make pictures from noise with convolutions (arXiv:1511.06434)."""


@dataclass(frozen=True, kw_only=True)
class CGAN(FromNoise):
    """Learn to make pictures of a class that is asked for, from labelled images (arXiv:1411.1784)."""

    diverse: Diverse = 5.0


@dataclass(frozen=True, kw_only=True)
class StyleGAN(FromNoise):
    """Learn to make pictures from noise, a style for every layer (arXiv:1812.04948, arXiv:1912.04958).

    The pictures are 32, 64, 128 or 256 pixels on a side; anything else wants a --size.
    """

    batch: Batch = 16
    lr: Rate = 2e-3
    label_smoothing: Smoothing = 0.0
    r1: Penalty = 1.0
    width: Annotated[int, About("Channels of both networks at the full size; twice as many at half of it.", 1)] = 32
    discriminator: Annotated[
        Literal["residual", "projected"],
        About(
            "residual: StyleGAN2's; projected: heads on ImageNet features, which need far fewer steps (with --r1 0)."
        ),
    ] = "residual"
    discriminator_width: JudgeWidth = 32
    style: Annotated[int, About("Length of w, which the styles are made of.", 1)] = 128
    layers: Annotated[int, About("Of the mapping from z to w.", 1)] = 4
    path_length: Annotated[float, About("Weight of the loss for even steps in w; 0 leaves it out.", 0)] = 0.0
