"""`translate train`: the recipes."""

import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from translate.errors import InputError
from translate.train.options import SRGAN, CycleGAN

if TYPE_CHECKING:
    from translate.train.state import Step

app = typer.Typer(no_args_is_help=True)

Out = Annotated[Path, typer.Option(help="Folder of the run: checkpoint, weights, samples.")]
Steps = Annotated[int, typer.Option(min=1, help="Optimiser steps.")]
Batch = Annotated[int, typer.Option(min=1, help="Images a step.")]
Width = Annotated[int, typer.Option(min=1, help="Channels of the generator.")]
Blocks = Annotated[int, typer.Option(min=1, help="Residual blocks of the generator.")]
JudgeWidth = Annotated[int, typer.Option(min=1, help="Channels of the discriminator's first layer.")]
Rate = Annotated[float, typer.Option(min=0.0, help="Learning rate.")]
Weight = Annotated[float, typer.Option(min=0.0, help="Weight of this loss; 0 leaves it out.")]
Ema = Annotated[float, typer.Option(min=0.0, max=1.0, help="Decay of the averaged weights.")]
Seed = Annotated[int, typer.Option(help="Of every random number.")]
Precision = Annotated[str, typer.Option(help="auto, fp32 or bf16.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on exactly where this run stopped.")]
Init = Annotated[Path | None, typer.Option(help="Checkpoint of another run to take the networks from.")]
Minutes = Annotated[float, typer.Option(min=0.0, help="Between two checkpoints.")]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Write scalars for TensorBoard into the run's folder.")
]


@app.command()
def cyclegan(
    a: Annotated[Path, typer.Option(help="Folder of images of one kind.")],
    b: Annotated[Path, typer.Option(help="Folder of images of the other kind.")],
    out: Out,
    steps: Steps = CycleGAN.steps,
    batch: Batch = CycleGAN.batch,
    size: Annotated[int, typer.Option(min=32, help="Side of the random crops, a multiple of 4.")] = CycleGAN.size,
    load: Annotated[
        tuple[int, int], typer.Option(help="Short side before cropping: smallest, largest.")
    ] = CycleGAN.load,
    width: Width = CycleGAN.width,
    blocks: Blocks = CycleGAN.blocks,
    skip: Annotated[
        bool, typer.Option("--skip", help="Add the input: keeps detail where only the light changes.")
    ] = False,
    discriminator: Annotated[str, typer.Option(help="patch, or projected: far fewer steps.")] = CycleGAN.discriminator,
    discriminator_width: JudgeWidth = CycleGAN.discriminator_width,
    lr: Rate = CycleGAN.lr,
    cycle: Weight = CycleGAN.cycle,
    identity: Weight = CycleGAN.identity,
    photorealism: Weight = CycleGAN.photorealism,
    pool: Annotated[int, typer.Option(min=1, help="Fakes kept for the discriminators.")] = CycleGAN.pool,
    ema: Ema = CycleGAN.ema,
    seed: Seed = CycleGAN.seed,
    precision: Precision = "auto",
    device: Device = "auto",
    resume: Resume = False,
    init: Init = None,
    minutes: Minutes = 5.0,
    tensorboard: TensorBoard = False,
) -> None:
    """Learn to turn one kind of photograph into another and back, from two folders without pairs."""
    if size % 4 or not size <= load[0] <= load[1]:
        raise InputError(f"--size {size} must be a multiple of 4, and --load {load[0]} {load[1]} must not be below it")
    if discriminator not in ("patch", "projected"):
        raise InputError(f"--discriminator is {discriminator!r}; there are patch and projected")
    device, precision = _hardware(device, precision)
    config = CycleGAN(
        str(a), str(b), steps, batch, size, load, width, blocks, skip, discriminator, discriminator_width,
        lr, cycle, identity, photorealism, pool, ema, seed, precision, device,
    )  # fmt: skip
    from translate.train.cyclegan import train

    _show(train(config, out, resume=resume, init=init, minutes=minutes), out, resume, tensorboard)


@app.command()
def srgan(
    hr: Annotated[list[Path], typer.Option(help="Folder of sharp images; may be given several times.")],
    out: Out,
    steps: Steps = SRGAN.steps,
    gan_steps: Annotated[int, typer.Option(min=0, help="How many of the steps, the last, are adversarial.")] = 0,
    batch: Batch = SRGAN.batch,
    patch: Annotated[int, typer.Option(min=8, help="Side of a small patch.")] = SRGAN.patch,
    scale: Annotated[int, typer.Option(help="Enlargement: 2, 4 or 8.")] = SRGAN.scale,
    width: Width = SRGAN.width,
    blocks: Blocks = SRGAN.blocks,
    tail: Annotated[str, typer.Option(help="direct (quick) or staged (as in the paper).")] = SRGAN.tail,
    discriminator_width: JudgeWidth = SRGAN.discriminator_width,
    lr: Rate = SRGAN.lr,
    gan_lr: Rate = SRGAN.gan_lr,
    pixel: Weight = SRGAN.pixel,
    feature: Weight = SRGAN.feature,
    adversarial: Weight = SRGAN.adversarial,
    ema: Ema = SRGAN.ema,
    seed: Seed = SRGAN.seed,
    precision: Precision = "auto",
    device: Device = "auto",
    resume: Resume = False,
    init: Init = None,
    minutes: Minutes = 5.0,
    tensorboard: TensorBoard = False,
) -> None:
    """Learn to enlarge, from sharp photographs alone: for fidelity first, then for looks."""
    if scale not in (2, 4, 8) or tail not in ("direct", "staged") or gan_steps > steps:
        raise InputError("--scale is 2, 4 or 8, --tail is direct or staged, and --gan-steps at most --steps")
    device, precision = _hardware(device, precision)
    config = SRGAN(
        tuple(map(str, hr)), steps, gan_steps, batch, patch, scale, width, blocks, tail, discriminator_width, lr,
        gan_lr, pixel, feature, adversarial, ema, seed, precision, device,
    )  # fmt: skip
    from translate.train.srgan import train

    _show(train(config, out, resume=resume, init=init, minutes=minutes), out, resume, tensorboard)


def _hardware(device: str, precision: str) -> tuple[str, str]:
    from translate.device import choose_device, choose_precision

    device = choose_device(device).value
    chosen = choose_precision(precision, device).value
    if chosen == "fp16":  # its gradients would vanish without a loss scaler
        if precision == "fp16":
            raise InputError("--precision fp16 is for translating; train in fp32 or bf16")
        chosen = "fp32"
    return device, chosen


def _show(steps: "Iterator[Step]", out: Path, resume: bool, tensorboard: bool) -> None:
    """Run a recipe: a line whenever it saves and every ten seconds, with mean losses, rate and time left."""
    if not resume and (out / "checkpoint.pt").exists():
        raise InputError(f"{out} holds a run already; go on with --resume, or choose another --out")
    writer: Any = _writer(out) if tensorboard else None
    sums: dict[str, float] = defaultdict(float)
    count, seconds, line_at = 0, 0.0, time.monotonic()
    for step in steps:
        count, seconds = count + 1, seconds + step.seconds
        for name, value in step.losses.items():
            sums[name] += value
            if writer:
                writer.add_scalar(name, value, step.number)
        if step.saved or time.monotonic() - line_at > 10:
            losses = "  ".join(f"{name} {total / count:.3f}" for name, total in sums.items())
            left = (step.of - step.number) * seconds / count / 60
            typer.echo(f"step {step.number}/{step.of}  {seconds / count:.2f} s/step  {left:.0f} min left  {losses}")
            if step.saved:
                typer.echo(f"saved to {out}")
            sums.clear()
            count, seconds, line_at = 0, 0.0, time.monotonic()
    sys.stdout.flush()


def _writer(out: Path) -> object:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError("--tensorboard needs a package: pip install translate-images[train]") from error
    return SummaryWriter(out)
