"""The loop of the recipes that make pictures from noise; each of them brings its two networks."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from translate.device import PRECISIONS
from translate.models.layers import placed
from translate.train import distributed
from translate.train.accumulate import backward, passes
from translate.train.augment import DRAWS, diffaugment
from translate.train.collapse import Diversity, alike
from translate.train.guard import Guard
from translate.train.labelled import Pictures
from translate.train.losses import discriminator_loss, generator_loss, penalty
from translate.train.options import FromNoise
from translate.train.sheet import save_sheet
from translate.train.state import Checkpoint, Ema, Step, read_checkpoint, restore
from translate.weights.files import save_weights

ROWS, COLUMNS = 10, 8  # at most, of the sheet
EVERY = 4  # steps between two uses of the regulariser


def train(
    config: FromNoise,
    out: Path,
    pictures: Pictures,
    generator: Callable[[], Any],
    discriminator: Callable[[], nn.Module],
    *,
    betas: tuple[float, float] = (0.5, 0.999),
    regulariser: nn.Module | None = None,
    resume: bool = False,
    init: str | Path | None = None,
    minutes: float = 5.0,
) -> Iterator[Step]:
    """Train a generator against a discriminator; yields after every step.

    Writes `checkpoint.pt` every `minutes` and at the end, and with it the averaged `generator.safetensors` and a sheet
    of its pictures, `samples.png`: a row a class, or four rows without classes, always of the same noise.

    Args:
        config: of the run.
        out: folder of the run.
        pictures: the real ones.
        generator: builds one; called as `network(z, labels)`.
        discriminator: builds one; called as `network(pictures, labels)`.
        betas: of Adam.
        regulariser: called as `regulariser(generator, z)` at every fourth step: a loss of the generator.
        resume: go on exactly where `out` stopped.
        init: checkpoint of another run to take the networks from.
        minutes: between two checkpoints.
    """
    device = torch.device(config.device)
    make, judge = placed(generator(), device), placed(discriminator(), device)
    optimise_g = torch.optim.Adam(make.parameters(), config.lr, betas)
    optimise_d = torch.optim.Adam(judge.parameters(), config.lr, betas)
    ema, diversity = Ema(make, placed(generator(), device), config.ema), Diversity()
    networks = {"generator": make, "discriminator": judge}
    state: dict[str, Any] = {"ema": ema, "optimise_g": optimise_g, "optimise_d": optimise_d, "diversity": diversity}
    if regulariser is not None:
        state["regulariser"] = regulariser.to(device)
    if init is not None:
        restore(networks | {"ema": ema}, read_checkpoint(Path(init)), Path(init))
        ema.updates = 0
    checkpoint = Checkpoint(out, asdict(config), networks | state, minutes)

    def noise(count: int) -> Tensor:
        z = torch.rand(count, config.latent) * 2 - 1 if config.prior == "uniform" else torch.randn(count, config.latent)
        return z.to(device)

    rows = min(len(pictures.classes), ROWS) or 4
    sample_z, sample_labels = noise(rows * COLUMNS), torch.arange(rows).repeat_interleave(COLUMNS).to(device)
    start = checkpoint.load() if resume else 0

    def finish(step: int) -> None:
        checkpoint.save(step)
        save_weights(out / "generator.safetensors", ema.network)
        with torch.no_grad():
            sheet = ema.network(sample_z, sample_labels)
        save_sheet(out / "samples.png", list(sheet.expand(-1, 3, -1, -1).split(COLUMNS)), value_range=(-1, 1))

    def seen(images: Tensor, draws: Tensor) -> Tensor:
        return diffaugment(images, draws) if config.diffaugment else images

    count, share = config.batch * config.accumulate, distributed.share(config.batch, config.accumulate)
    guard = Guard(("discriminator",), config.gan, config.label_smoothing)
    autocast = torch.autocast(device.type, PRECISIONS[config.precision], enabled=config.precision != "fp32")
    for step in range(start, config.steps):
        began = time.perf_counter()
        real, labels = (batch.to(device) for batch in pictures.batch(count, share))
        z, views, mix = noise(count)[share], torch.rand(count, 2, DRAWS)[share], torch.rand(count)[share]
        losses: dict[str, Tensor] = {}

        # Generator: be taken for real.
        judge.requires_grad_(False)
        optimise_g.zero_grad()
        fakes = list[Tensor]()
        for image, label, latent, view in passes(config.accumulate, real, labels, z, views):
            with autocast:
                fake = make(latent, label)
                now = {"generator": generator_loss(judge(seen(fake, view[:, 1]), label), config.gan)}
                if config.diverse:
                    now["alike"] = config.diverse * alike(image, fake, label)
                if regulariser is not None and step % EVERY == 0:
                    now["regulariser"] = regulariser(make, latent)
            backward(now, losses, config.accumulate)
            fakes.append(fake.detach())
        distributed.average_gradients(optimise_g)
        optimise_g.step()

        # Discriminator: tell them apart.
        judge.requires_grad_(True)
        optimise_d.zero_grad()
        fake = torch.cat(fakes)
        for image, made, label, view, where in passes(config.accumulate, real, fake, labels, views, mix):
            judged = partial(judge, labels=label)
            with autocast:
                image, made = seen(image, view[:, 0]), seen(made, view[:, 1])
                scores = judged(image), judged(made)
                now = {"discriminator": discriminator_loss(*scores, config.gan, config.label_smoothing)}
                if config.penalised:
                    now["penalty"] = penalty(judged, image, made, where, config.gan, config.r1)
            backward(now, losses, config.accumulate)
        distributed.average_gradients(optimise_d)
        optimise_d.step()

        ema.update()
        values = distributed.average(losses)
        guard.check(step + 1, values, checkpoint.path)
        values["diversity"] = diversity.update(real, fake, labels)
        saved_now = checkpoint.due(step + 1 == config.steps)
        if saved_now:
            finish(step + 1)
        yield Step(step + 1, config.steps, values, time.perf_counter() - began, saved_now)
