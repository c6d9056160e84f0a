"""What a training run depends on: the options of each recipe, their defaults and their help."""

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

from translate.errors import InputError


class About(NamedTuple):
    """What an option means, and its bounds."""

    text: str
    min: float | None = None
    max: float | None = None


Folder = Annotated[str, About("Folder of images, searched recursively.")]
Weight = Annotated[float, About("Weight of this loss; 0 leaves it out.", 0)]
Rate = Annotated[float, About("Learning rate of Adam.", 0)]
Width = Annotated[int, About("Channels of the generator's first layer.", 1)]
Blocks = Annotated[int, About("Residual blocks of the generator.", 1)]
Steps = Annotated[int, About("Optimiser steps.", 1)]
Batch = Annotated[int, About("Images at a time, of all processes together.", 1)]
Size = Annotated[int, About("Side of the random crops, in pixels.", 32)]
Load = Annotated[tuple[int, int], About("Smallest and largest short side that an image is resized to before cropping.")]
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
    skip: Annotated[bool, About("Add the input: keeps detail where only the light changes.")] = False
    discriminator: Judge = "patch"
    cycle: Weight = 10.0
    identity: Annotated[float, About("Weight of the identity loss, as a fraction of --cycle; 0 saves time.", 0)] = 0.5
    photorealism: Annotated[float, About("Weight of the loss against shapes that the source does not have.", 0)] = 0.0
    pool: Annotated[int, About("Fakes kept for the discriminators.", 1)] = 50

    def __post_init__(self) -> None:
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
    width: Width = 64
    blocks: Blocks = 16
    tail: Annotated[Literal["direct", "staged"], About("direct: quick; staged: as in the paper.")] = "direct"
    gan: Gan = "hinge"
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
        if self.gan_steps > self.steps:
            raise InputError(f"--gan-steps {self.gan_steps} are more than --steps {self.steps}")


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
        Literal["unet", "resnet"], About("unet: the paper's; resnet: CycleGAN's, for pictures of any size.")
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
        if [bool(self.a and self.b), bool(self.pairs), bool(self.photos)].count(True) != 1:
            raise InputError("give the pairs in one way: --a and --b, or --pairs, or --photos")
        _fits(self.size, self.load)
        if self.generator == "unet" and self.size.bit_count() != 1:
            raise InputError(f"--size {self.size} must be a power of two for a U-Net; or take --generator resnet")


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
    uniform: Annotated[float, About("0: rare colours count far more than frequent ones; 1: alike.", 0, 1)] = 0.8
    temperature: Annotated[float, About("1 takes the mean colour, 0 the likeliest: lower is bolder.", 0, 1)] = 0.4

    def __post_init__(self) -> None:
        _fits(self.size, self.load)
        if self.size % 32:
            raise InputError(f"--size {self.size} must be a multiple of 32")


@dataclass(frozen=True, kw_only=True)
class Restore(Run):
    """Learn to make old photographs new, from photographs in good condition alone, which are aged at random."""

    photos: Annotated[tuple[str, ...], About("Folder of good photographs; may be given several times.")]
    batch: Batch = 16
    size: Size = 128
    load: Load = (128, 288)
    width: Annotated[int, About("Channels at full size.", 1)] = 16
    lr: Rate = 3e-4
    grey: Annotated[float, About("Share of the photographs that are made grey before they age.", 0, 1)] = 0.4
    feature: Annotated[float, About("Weight of the distance in ImageNet features; 0 leaves it out.", 0)] = 0.0

    def __post_init__(self) -> None:
        _fits(self.size, self.load)
        if self.size % 8:
            raise InputError(f"--size {self.size} must be a multiple of 8")


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


def _fits(size: int, load: tuple[int, int]) -> None:
    if size % 4 or not size <= load[0] <= load[1]:
        raise InputError(f"--size {size} must be a multiple of 4, and --load {load[0]} {load[1]} must not be below it")
