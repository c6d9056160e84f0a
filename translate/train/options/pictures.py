"""Options of the recipes that turn pictures into pictures."""

from dataclasses import dataclass
from typing import Annotated, Literal

from translate.errors import InputError
from translate.train.options.shared import (
    About,
    Adversarial,
    Batch,
    Blocks,
    Gan,
    Judge,
    Load,
    Rate,
    Run,
    Size,
    Steps,
    Weight,
    Width,
)

STRIDE = 16  # of the pretrained U-Net; what would tell imports torch


@dataclass(frozen=True, kw_only=True)
class CycleGAN(Adversarial):
    """Learn to turn one kind of photograph into another and back, from two folders without pairs.

    The defaults are the paper's (arXiv:1703.10593) where it gives them.
    """

    a: Annotated[str, About("Folder of images of one kind.")]
    b: Annotated[str, About("Folder of images of the other kind.")]
    size: Size = 256
    load: Load = (286, 286)
    width: Width = 64
    blocks: Blocks = 9
    generator: Annotated[
        Literal["resnet", "pretrained"],
        About("resnet: the paper's; pretrained: a U-Net on ImageNet features, which needs far fewer steps."),
    ] = "resnet"
    skip: Annotated[bool, About("Of a resnet: add the input: keeps detail where only the light changes.")] = False
    discriminator: Judge = "patch"
    cycle: Weight = 10.0
    identity: Annotated[float, About("Weight of the identity loss, as a fraction of --cycle; 0 saves time.", 0)] = 0.5
    photorealism: Annotated[float, About("Weight of the loss against shapes that the source does not have.", 0)] = 0.0
    sparsity: Annotated[float, About("Weight of the loss against changing more pixels than have to be.", 0)] = 0.0
    pool: Annotated[int, About("Fakes kept for the discriminators.", 1)] = 50

    def __post_init__(self) -> None:
        _suits(self.generator, self.size)
        _fits(self.size, self.load)


@dataclass(frozen=True, kw_only=True)
class SRGAN(Adversarial):
    """Learn to enlarge, from sharp photographs alone: for fidelity first, then for looks (arXiv:1609.04802)."""

    hr: Annotated[tuple[str, ...], About("Folder of sharp images; may be given several times.")]
    steps: Steps = 100_000
    gan_steps: Annotated[int, About("How many of the steps, the last, are adversarial.", 0)] = 0
    batch: Batch = 16
    patch: Annotated[int, About("Side of a small patch, in pixels.", 8)] = 32
    scale: Annotated[int, About("Enlargement: 2, 4 or 8.")] = 4
    degradation: Annotated[
        Literal["bicubic", "realistic"],
        About(
            "How photographs are made small. bicubic: cleanly, as in the benchmarks; realistic: with blur, noise and "
            "JPEG, at random."
        ),
    ] = "bicubic"
    clean: Annotated[
        float, About("With --degradation realistic: share of the patches that are made small by bicubic alone.", 0, 1)
    ] = 0.0
    width: Width = 64
    blocks: Blocks = 16
    tail: Annotated[Literal["direct", "staged"], About("direct: quick; staged: as in the paper.")] = "direct"
    gan: Gan = "hinge"
    distance: Annotated[
        Literal["l1", "l2"], About("Of pixels, before the adversarial steps: l1, or l2, which is what PSNR measures.")
    ] = "l1"
    lr: Rate = 5e-4
    gan_lr: Annotated[float, About("Learning rate of both networks in the adversarial steps.", 0)] = 2e-4
    pixel: Annotated[float, About("Weight of the pixel loss in the adversarial steps.", 0)] = 1.0
    feature: Weight = 1.0
    adversarial: Weight = 0.2
    grid: Annotated[float, About("Weight of the loss against patterns that repeat with the enlargement.", 0)] = 30.0
    discriminator: Annotated[
        Literal["unet", "projected"],
        About("unet: a verdict on every pixel; projected: heads on ImageNet features, which need far fewer steps."),
    ] = "projected"

    def __post_init__(self) -> None:
        if self.scale not in (2, 4, 8):
            raise InputError(f"--scale is {self.scale}; it is 2, 4 or 8")
        if self.clean and self.degradation != "realistic":
            raise InputError(f"--clean {self.clean} is for --degradation realistic")
        if self.gan_steps > self.steps:
            raise InputError(f"--gan-steps {self.gan_steps} are more than --steps {self.steps}")
        if self.gan_steps and self.discriminator == "unet" and self.patch * self.scale % 8:
            raise InputError(f"--patch {self.patch} × {self.scale} must be a multiple of 8 for --discriminator unet")


@dataclass(frozen=True, kw_only=True)
class Pix2Pix(Adversarial):
    """Learn to turn one kind of picture into another from pairs (arXiv:1611.07004).

    The pairs are in --a and --b, files of the same name; or in --pairs, side by side in one file; or they are made from
    --photos, whose sources are drawn as sketches or made grey.
    """

    a: Annotated[str, About("Folder of sources.")] = ""
    b: Annotated[str, About("Folder of targets.")] = ""
    pairs: Annotated[str, About("Folder of files with A in the left half and B in the right.")] = ""
    direction: Annotated[Literal["AtoB", "BtoA"], About("Of --pairs: which half becomes the other.")] = "AtoB"
    photos: Annotated[tuple[str, ...], About("Folder of targets; may be given several times.")] = ()
    source: Annotated[Literal["sketch", "grey"], About("What is made of --photos.")] = "sketch"
    size: Size = 256
    load: Load = (256, 286)
    generator: Annotated[
        Literal["unet", "resnet", "pretrained"],
        About("unet: the paper's; resnet: CycleGAN's, for pictures of any size; pretrained: one on ImageNet features."),
    ] = "unet"
    width: Width = 64
    blocks: Annotated[int, About("Residual blocks of the resnet.", 1)] = 9
    discriminator: Judge = "patch"
    l1: Annotated[float, About("Weight of the L1 distance to the target.", 0)] = 100.0
    feature: Annotated[float, About("Weight of the distance in ImageNet features; 0 leaves it out.", 0)] = 0.0
    outline: Annotated[
        float,
        About("The same of the grey pictures: holds shapes, and leaves the colours to the others; 0 leaves it out.", 0),
    ] = 0.0
    adversarial: Weight = 1.0

    def __post_init__(self) -> None:
        two = bool(self.a), bool(self.b)
        if [any(two), bool(self.pairs), bool(self.photos)].count(True) != 1 or two[0] != two[1]:
            raise InputError("give the pairs in one way: --a and --b, or --pairs, or --photos")
        if self.generator == "unet" and self.size.bit_count() != 1:
            raise InputError(f"--size {self.size} must be a power of two for a U-Net; or take --generator resnet")
        _suits(self.generator, self.size)
        _fits(self.size, self.load)


@dataclass(frozen=True, kw_only=True)
class Colourise(Run):
    """Learn to colour grey photographs, from colour photographs alone (arXiv:1603.08511)."""

    photos: Annotated[tuple[str, ...], About("Folder of colour photographs; may be given several times.")]
    batch: Batch = 16
    size: Size = 192
    load: Load = (192, 288)
    width: Annotated[int, About("Channels of the decoder.", 1)] = 64
    lr: Rate = 4e-4
    encoder_lr: Annotated[float, About("Learning rate of the ImageNet encoder; 0 leaves it as it is.", 0)] = 1e-4
    uniform: Annotated[float, About("Low: rare colours count far more than frequent ones; 1: alike.", 0.01, 1)] = 0.8
    temperature: Annotated[float, About("1 takes the mean colour, near 0 the likeliest: bolder.", 0.01, 1)] = 0.4

    def __post_init__(self) -> None:
        _fits(self.size, self.load, 32)


@dataclass(frozen=True, kw_only=True)
class Restore(Run):
    """Learn to make old photographs new, from photographs in good condition alone, which are aged at random."""

    photos: Annotated[tuple[str, ...], About("Folder of good photographs; may be given several times.")]
    batch: Batch = 8
    size: Size = 128
    load: Load = (192, 288)
    width: Annotated[int, About("Channels of the decoder at full size.", 1)] = 24
    lr: Rate = 5e-4
    grey: Annotated[float, About("Share of the photographs that are made grey before they age.", 0, 1)] = 0.4

    def __post_init__(self) -> None:
        _fits(self.size, self.load, STRIDE)


def _fits(size: int, load: tuple[int, int], multiple: int = 4) -> None:
    if size % multiple:
        raise InputError(f"--size {size} must be a multiple of {multiple}")
    if load[0] > load[1]:
        raise InputError(f"--load {load[0]} {load[1]} must have the smaller side first")
    if load[0] < size:
        raise InputError(f"--load {load[0]} {load[1]} must not be below --size {size}")


def _suits(generator: str, size: int) -> None:
    if generator == "pretrained" and size % STRIDE:
        raise InputError(f"--size {size} must be a multiple of {STRIDE} for --generator pretrained")
