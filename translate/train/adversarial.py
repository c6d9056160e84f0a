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
from translate.train.collapse import Diversity, alike
from translate.train.labelled import Pictures
from translate.train.losses import discriminator_loss, generator_loss, penalty
from translate.train.options import FromNoise
from translate.train.sheet import save_sheet
from translate.train.state import Checkpoint, Ema, Step, read_checkpoint, restore
from translate.weights.files import save_weights

ROWS, COLUMNS = 10, 8  # at most, of the sheet


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
    init: Path | None = None,
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
        regulariser: called as `regulariser(generator, z)` at every fourth step, for a loss of the generator.
        resume: go on exactly where `out` stopped.
        init: checkpoint of another run to take the networks from.
        minutes: between two checkpoints.
    """
    out.mkdir(parents=True, exist_ok=True)
    device = torch.device(config.device)
    make, judge = placed(generator(), device), placed(discriminator(), device)
    optimise_g = torch.optim.Adam(make.parameters(), config.lr, betas)
    optimise_d = torch.optim.Adam(judge.parameters(), config.lr, betas)
    ema, diversity = Ema(make, placed(generator(), device), config.ema), Diversity()
    networks = {"generator": make, "discriminator": judge}
    state: dict[str, Any] = {"ema": ema, "optimise_g": optimise_g, "optimise_d": optimise_d, "diversity": diversity}
    if regulariser is not None:
        state["regulariser"] = regulariser.to(device)
    checkpoint = Checkpoint(out, asdict(config), networks | state, minutes)
    if init is not None:
        saved = read_checkpoint(init)
        restore(networks | {"ema": ema}, saved, init)

    def noise(count: int) -> Tensor:
        z = torch.rand(count, config.latent) * 2 - 1 if config.prior == "uniform" else torch.randn(count, config.latent)
        return z.to(device)

    rows = min(len(pictures.classes), ROWS) or 4
    sample_z, sample_labels = noise(rows * COLUMNS), torch.arange(rows).repeat_interleave(COLUMNS).to(device)
    start = checkpoint.load() if resume else 0
    autocast = torch.autocast(device.type, PRECISIONS[config.precision], enabled=config.precision != "fp32")

    def finish(step: int) -> None:
        checkpoint.save(step)
        save_weights(out / "generator.safetensors", ema.network)
        with torch.no_grad():
            sheet = ema.network(sample_z, sample_labels)
        save_sheet(out / "samples.png", list(sheet.expand(-1, 3, -1, -1).split(COLUMNS)), value_range=(-1, 1))

    for step in range(start, config.steps):
        began = time.perf_counter()
        real, labels = (batch.to(device) for batch in pictures.batch(config.batch))

        # Generator: be taken for real.
        judge.requires_grad_(False)
        with autocast:
            fake = make(noise(config.batch), labels)
            losses = {"generator": generator_loss(judge(fake, labels), config.gan)}
            if config.diverse:
                losses["alike"] = config.diverse * alike(real, fake, labels)
            if regulariser is not None and step % 4 == 0:
                losses["regulariser"] = regulariser(make, noise(max(2, config.batch // 2)))
        optimise_g.zero_grad()
        torch.stack(list(losses.values())).sum().backward()
        optimise_g.step()

        # Discriminator: tell them apart.
        judge.requires_grad_(True)
        with autocast:
            verdicts = judge(real, labels), judge(fake.detach(), labels)
            opinions = {"discriminator": discriminator_loss(*verdicts, config.gan, config.label_smoothing)}
            if config.penalised:
                judging = partial(judge, labels=labels)
                mix = torch.rand(config.batch)
                opinions["penalty"] = penalty(judging, real, fake, mix, config.gan, config.r1)
        optimise_d.zero_grad()
        torch.stack(list(opinions.values())).sum().backward()
        optimise_d.step()

        ema.update()
        values = {name: loss.item() for name, loss in (losses | opinions).items()}
        values["diversity"] = diversity.update(real, fake, labels)
        saved_now = checkpoint.due() or step + 1 == config.steps
        if saved_now:
            finish(step + 1)
        yield Step(step + 1, config.steps, values, time.perf_counter() - began, saved_now)
