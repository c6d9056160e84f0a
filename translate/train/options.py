"""What a training run depends on: the options of each recipe, with their defaults."""

from dataclasses import dataclass


@dataclass(frozen=True)
class CycleGAN:
    """Options of the CycleGAN recipe; the defaults are the paper's (arXiv:1703.10593) where it gives them.

    Args:
        a: folder of the images of one domain.
        b: folder of the images of the other.
        steps: optimiser steps; the learning rate falls linearly to zero over the second half.
        batch: images of each domain a step.
        size: side of the random crops, in pixels.
        load: smallest and largest short side that an image is resized to before it is cropped.
        width: channels of the generators' first layer.
        blocks: residual blocks of the generators.
        skip: the generators add their input, see `ResnetGenerator`; off for domains whose shapes differ.
        discriminator: "patch" for the paper's 70×70 PatchGAN, or "projected" for heads on ImageNet features, which
            need far fewer steps (`ProjectedDiscriminator`).
        discriminator_width: channels of the discriminators' first layer.
        lr: learning rate of Adam (0.5, 0.999).
        cycle: weight of the cycle loss.
        identity: weight of the identity loss, as a fraction of `cycle`; 0 leaves it out, and saves a third of the time.
        photorealism: weight of the loss against shapes that the source does not have (`losses.photorealism`).
        pool: fakes that are kept for the discriminators.
        ema: decay of the generators' averages.
        seed: of every random number.
        precision: "fp32" or "bf16".
        device: a name that torch knows.
    """

    a: str
    b: str
    steps: int = 20_000
    batch: int = 1
    size: int = 256
    load: tuple[int, int] = (286, 286)
    width: int = 64
    blocks: int = 9
    skip: bool = False
    discriminator: str = "patch"
    discriminator_width: int = 64
    lr: float = 2e-4
    cycle: float = 10.0
    identity: float = 0.5
    photorealism: float = 0.0
    pool: int = 50
    ema: float = 0.999
    seed: int = 0
    precision: str = "fp32"
    device: str = "cpu"


@dataclass(frozen=True)
class SRGAN:
    """Options of the SRGAN recipe (arXiv:1609.04802).

    Args:
        hr: folders of high-resolution images.
        steps: optimiser steps in all; the learning rate falls to zero in half a cosine over those of the pixel loss.
        gan_steps: how many of them, the last ones, are adversarial; before, the pixel loss is alone.
        batch: patches a step.
        patch: side of a low-resolution patch, in pixels.
        scale: enlargement, a power of two.
        width: channels of the generator.
        blocks: residual blocks of the generator.
        tail: "direct" or "staged", see `SRResNet`.
        discriminator_width: channels of the discriminator's first layer.
        lr: learning rate of Adam (0.9, 0.99) at the start of the pixel loss.
        gan_lr: learning rate of both networks in the adversarial steps.
        pixel: weight of the pixel loss in the adversarial steps.
        feature: weight of the feature loss.
        adversarial: weight of the adversarial loss.
        ema: decay of the generator's average.
        seed: of every random number.
        precision: "fp32" or "bf16".
        device: a name that torch knows.
    """

    hr: tuple[str, ...]
    steps: int = 100_000
    gan_steps: int = 0
    batch: int = 16
    patch: int = 32
    scale: int = 4
    width: int = 64
    blocks: int = 16
    tail: str = "direct"
    discriminator_width: int = 64
    lr: float = 5e-4
    gan_lr: float = 1e-4
    pixel: float = 0.1
    feature: float = 1.0
    adversarial: float = 0.05
    ema: float = 0.999
    seed: int = 0
    precision: str = "fp32"
    device: str = "cpu"
