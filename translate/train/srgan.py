"""The SRGAN recipe: photographs alone (Ledig et al. 2017, arXiv:1609.04802, section 2)."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.device import PRECISIONS
from translate.errors import InputError
from translate.features import FeatureNetwork
from translate.models.layers import placed
from translate.models.patchgan import UNetDiscriminator
from translate.models.srgan import SRResNet
from translate.train import distributed
from translate.train.accumulate import backward, passes
from translate.train.augment import DRAWS, diffaugment
from translate.train.begin import begin_with
from translate.train.guard import Guard
from translate.train.losses import discriminator_loss, generator_loss, grid, penalty
from translate.train.options import SRGAN
from translate.train.patches import SuperResolutionPatches
from translate.train.projected import ProjectedDiscriminator
from translate.train.sheet import save_sheet
from translate.train.state import Checkpoint, Ema, Step, cosine, read_checkpoint, restore
from translate.weights.files import save_weights

SHIFT = 8  # pixels, by fewer than which the adversarial losses see the pictures moved


def train(
    config: SRGAN, out: Path, *, resume: bool = False, init: str | Path | None = None, minutes: float = 5.0
) -> Iterator[Step]:
    """Train for fidelity, then for looks; yields after every step.

    Writes `checkpoint.pt` every `minutes` and at the end, and with it the averaged generator `srresnet.safetensors`
    (before the adversarial steps) or `srgan.safetensors` (in them) and a sheet of samples, `samples.png`.

    Args:
        config: of the run.
        out: folder of the run.
        resume: go on exactly where `out` stopped.
        init: of another run its checkpoint, to take the networks from, or weights for the generator: a name or a file.
        minutes: between two checkpoints.
    """
    count, share = config.batch * config.accumulate, distributed.share(config.batch, config.accumulate)
    torch.manual_seed(config.seed)
    device = torch.device(config.device)
    folders = [Path(folder) for folder in config.hr]
    patches = SuperResolutionPatches(folders, config.patch, config.scale, config.degradation, config.clean)

    def build() -> SRResNet:
        return placed(SRResNet(config.width, config.blocks, config.scale, config.tail), device)

    generator = build()
    ema = Ema(generator, build(), config.ema)
    optimise_g = torch.optim.Adam(generator.parameters(), config.lr, (0.9, 0.99))
    parts = {"generator": generator, "ema": ema, "optimise_g": optimise_g}
    if config.gan_steps:
        features = placed(FeatureNetwork(), device)
        judge = placed(discriminator(config, features), device)
        optimise_d = torch.optim.Adam(judge.parameters(), config.gan_lr, (0.9, 0.99))
        parts |= {"judge": judge, "optimise_d": optimise_d}
    if init is not None:
        saved = begin_with(init, generator, ema)
        if config.gan_steps and "judge" in saved:
            restore({"judge": judge}, saved, Path(init))
    checkpoint = Checkpoint(out, asdict(config), parts, minutes)
    sample_low, sample_high = (batch.to(device) for batch in patches.batch(6))
    if resume:
        _require_forwards(config, checkpoint.path)
    start = checkpoint.load(new=("judge", "optimise_d")) if resume else 0
    pixel_steps = config.steps - config.gan_steps
    autocast = torch.autocast(device.type, PRECISIONS[config.precision], enabled=config.precision != "fp32")

    def finish(step: int) -> None:
        checkpoint.save(step)
        name = "srresnet" if step <= pixel_steps else "srgan"
        save_weights(out / f"{name}.safetensors", ema.network)
        with torch.no_grad():
            enlarged = F.interpolate(sample_low, scale_factor=config.scale, mode="bicubic")
            save_sheet(out / "samples.png", [enlarged, ema.network(sample_low), sample_high])

    def seen(images: Tensor, draws: Tensor) -> Tensor:
        images = diffaugment(images, draws, (0, 1)) if config.diffaugment else images
        return 2 * images - 1 if config.discriminator == "projected" else images  # which takes [-1, 1]

    weights = {"pixel": config.pixel, "feature": config.feature, "grid": config.grid, "gan": config.adversarial}
    guard = Guard(("judge",), config.gan, config.label_smoothing)
    for step in range(start, config.steps):
        began = time.perf_counter()
        adversarial = step >= pixel_steps
        for group in optimise_g.param_groups:
            group["lr"] = config.gan_lr if adversarial else config.lr * cosine(step, pixel_steps)
        low, high = (batch.to(device) for batch in patches.batch(count, share))
        views, mix = torch.rand(count, 2, DRAWS)[share], torch.rand(count)[share]
        # Shifted at random, as the strides of the networks that look at it would else favour a grid of their own.
        crop = partial(cropped, corner=torch.randint(SHIFT, (2,)).tolist())
        losses: dict[str, Tensor] = {}

        # Generator: near the original in pixels, and then in features and to the judge's eye too.
        if adversarial:
            judge.requires_grad_(False)
        optimise_g.zero_grad()
        fakes = list[Tensor]()
        for small, large, view in passes(config.accumulate, low, high, views):
            with autocast:
                fake = generator(small)
                apart = fake - large
                squared = config.distance == "l2" and not adversarial
                now = {"pixel": (apart.square() if squared else apart.abs()).mean()}
                if adversarial:
                    now["feature"] = features.feature_loss(crop(fake), crop(large))
                    if config.grid:
                        now["grid"] = grid(fake, large, config.scale)
                    now["gan"] = generator_loss(judge(seen(crop(fake), view[:, 1])), config.gan)
            backward(now, losses, config.accumulate, weights if adversarial else None)
            fakes.append(fake.detach())
        distributed.average_gradients(optimise_g)
        optimise_g.step()

        if adversarial:
            judge.requires_grad_(True)
            optimise_d.zero_grad()
            for large, fake, view, where in passes(config.accumulate, high, torch.cat(fakes), views, mix):
                with autocast:
                    large, fake = seen(crop(large), view[:, 0]), seen(crop(fake), view[:, 1])
                    scores = judge(large), judge(fake)
                    now = {"judge": discriminator_loss(*scores, config.gan, config.label_smoothing)}
                    if config.penalised:
                        now["penalty"] = penalty(judge, large, fake, where, config.gan, config.r1)
                backward(now, losses, config.accumulate)
            distributed.average_gradients(optimise_d)
            optimise_d.step()

        ema.update()
        values = distributed.average(losses)
        guard.check(step + 1, values, checkpoint.path)
        saved_now = checkpoint.due(step + 1 in (pixel_steps, config.steps))
        if saved_now:
            finish(step + 1)
        yield Step(step + 1, config.steps, values, time.perf_counter() - began, saved_now)


def _require_forwards(config: SRGAN, path: Path) -> None:
    """Refuse to resume adversarial steps with steps for fidelity, which would cost the discriminator."""
    saved = read_checkpoint(path)
    before, step = saved.get("config", {}), int(saved["step"])
    fidelity = int(before.get("steps", 0)) - int(before.get("gan_steps", 0))
    if fidelity < step < config.steps - config.gan_steps:
        raise InputError(
            f"{path} has {step - fidelity} adversarial steps behind it, after {fidelity} for fidelity; "
            f"resume with --steps {config.steps} --gan-steps {max(0, config.steps - fidelity)}"
        )


def cropped(images: Tensor, corner: list[int]) -> Tensor:
    """(B, C, H, W) -> (B, C, H - SHIFT, W - SHIFT), from that corner on."""
    top, left = corner
    return images[..., top : top + images.shape[2] - SHIFT, left : left + images.shape[3] - SHIFT]


def discriminator(config: SRGAN, features: FeatureNetwork) -> nn.Module:
    """The one that the run asks for."""
    if config.discriminator == "projected":
        return ProjectedDiscriminator(features, config.discriminator_width)
    return UNetDiscriminator(config.discriminator_width)
