"""The pix2pix recipe: pairs of pictures (Isola et al. 2017, arXiv:1611.07004, section 3)."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import cv2
import torch
from torch import Tensor, nn

from translate.device import PRECISIONS
from translate.features import FeatureNetwork
from translate.models.colouriser import luma
from translate.models.cyclegan import ResnetGenerator
from translate.models.layers import placed
from translate.models.patchgan import PatchDiscriminator
from translate.models.pix2pix import UNetGenerator
from translate.models.pretrained import PretrainedGenerator
from translate.train import distributed
from translate.train.accumulate import backward, passes
from translate.train.augment import DRAWS, diffaugment
from translate.train.begin import begin_with
from translate.train.data import Crops
from translate.train.files import Pixels
from translate.train.guard import Guard
from translate.train.losses import discriminator_loss, generator_loss, penalty
from translate.train.options import Pix2Pix
from translate.train.pairs import MadePairs, Pairs, of_two_folders, side_by_side
from translate.train.projected import ProjectedDiscriminator
from translate.train.sheet import save_sheet
from translate.train.sketch import sketch
from translate.train.state import Checkpoint, Ema, Step, restore
from translate.train.taught import taught
from translate.weights.files import save_weights


def train(
    config: Pix2Pix, out: Path, *, resume: bool = False, init: str | Path | None = None, minutes: float = 5.0
) -> Iterator[Step]:
    """Train; yields after every step.

    The generator has no dropout: the same picture always gives the same result. Writes `checkpoint.pt` every `minutes`
    and at the end, and with it the averaged generator `pix2pix.safetensors` and a sheet, `samples.png`.

    Args:
        config: of the run.
        out: folder of the run.
        resume: go on exactly where `out` stopped.
        init: of another run its checkpoint, to take the networks from, or weights for the generator: a name or a file.
        minutes: between two checkpoints.
    """
    torch.manual_seed(config.seed)
    device = torch.device(config.device)
    count, share = config.batch * config.accumulate, distributed.share(config.batch, config.accumulate)
    pairs = _pairs(config)

    def build() -> nn.Module:
        if config.generator == "unet":
            return placed(UNetGenerator(config.width, config.size.bit_length() - 1, "plain", bias=True), device)
        if config.generator == "pretrained":
            return placed(taught(PretrainedGenerator(config.width)), device)
        return placed(ResnetGenerator(config.width, config.blocks), device)

    generator = build()
    ema = Ema(generator, build(), config.ema)
    optimise_g = torch.optim.Adam(generator.parameters(), config.lr, (0.5, 0.999))
    networks = {"generator": generator}
    parts = {"ema": ema, "optimise_g": optimise_g}
    features = None
    if config.feature or config.outline or config.discriminator == "projected":
        features = placed(FeatureNetwork(), device)
    if config.adversarial:
        if config.discriminator == "projected" and features is not None:
            judge: nn.Module = placed(ProjectedDiscriminator(features, config.discriminator_width), device)
        else:
            judge = placed(PatchDiscriminator(6, config.discriminator_width), device)
        optimise_d = torch.optim.Adam(judge.parameters(), config.lr, (0.5, 0.999))
        networks["judge"] = judge
        parts["optimise_d"] = optimise_d
    if init is not None:
        saved = begin_with(init, generator, ema)
        if config.adversarial and "judge" in saved:
            restore({"judge": judge}, saved, Path(init))
    checkpoint = Checkpoint(out, asdict(config), networks | parts, minutes)
    samples = [batch.to(device) for batch in pairs.batch(6)]
    start = checkpoint.load() if resume else 0
    autocast = torch.autocast(device.type, PRECISIONS[config.precision], enabled=config.precision != "fp32")

    def finish(step: int) -> None:
        checkpoint.save(step)
        save_weights(out / "pix2pix.safetensors", ema.network)
        with torch.no_grad():
            save_sheet(out / "samples.png", [samples[0], ema.network(samples[0]), samples[1]], value_range=(-1, 1))

    def seen(source: Tensor, picture: Tensor, draws: Tensor) -> Tensor:
        """What the judge gets: the PatchGAN both, the projected one, which knows photographs, the picture alone."""
        pictures = [picture] if config.discriminator == "projected" else [source, picture]
        return torch.cat([diffaugment(p, draws) if config.diffaugment else p for p in pictures], 1)

    weights = {"l1": config.l1, "feature": config.feature, "outline": config.outline, "gan": config.adversarial}
    guard = Guard(("judge",), config.gan, config.label_smoothing)
    for step in range(start, config.steps):
        began = time.perf_counter()
        for group in [*optimise_g.param_groups, *(optimise_d.param_groups if config.adversarial else [])]:
            group["lr"] = config.lr * min(1.0, 2 - 2 * step / config.steps)  # constant, then linear to zero
        source, target = (batch.to(device) for batch in pairs.batch(count, share))
        views, mix = torch.rand(count, 2, DRAWS)[share], torch.rand(count)[share]
        losses: dict[str, Tensor] = {}

        # Generator: near the target, in pixels and in features, and a picture that the judge believes.
        if config.adversarial:
            judge.requires_grad_(False)
        optimise_g.zero_grad()
        fakes = list[Tensor]()
        for a, b, view in passes(config.accumulate, source, target, views):
            with autocast:
                fake = generator(a)
                now = {"l1": (fake - b).abs().mean()}
                if config.feature and features is not None:
                    now["feature"] = features.feature_loss((fake + 1) / 2, (b + 1) / 2)
                if config.outline and features is not None:
                    now["outline"] = features.feature_loss(_grey_of(fake), _grey_of(b))
                if config.adversarial:
                    now["gan"] = generator_loss(judge(seen(a, fake, view[:, 1])), config.gan)
            backward(now, losses, config.accumulate, weights)
            fakes.append(fake.detach())
        distributed.average_gradients(optimise_g)
        optimise_g.step()

        # Discriminator: tell the target from the result.
        if config.adversarial:
            judge.requires_grad_(True)
            optimise_d.zero_grad()
            for a, b, fake, view, where in passes(config.accumulate, source, target, torch.cat(fakes), views, mix):
                with autocast:
                    real, false = seen(a, b, view[:, 0]), seen(a, fake, view[:, 1])
                    scores = judge(real), judge(false)
                    now = {"judge": discriminator_loss(*scores, config.gan, config.label_smoothing)}
                    if config.penalised:
                        now["penalty"] = penalty(judge, real, false, where, config.gan, config.r1)
                backward(now, losses, config.accumulate)
            distributed.average_gradients(optimise_d)
            optimise_d.step()

        ema.update()
        values = distributed.average(losses)
        guard.check(step + 1, values, checkpoint.path)
        saved_now = checkpoint.due(step + 1 == config.steps)
        if saved_now:
            finish(step + 1)
        yield Step(step + 1, config.steps, values, time.perf_counter() - began, saved_now)


def _grey_of(x: Tensor) -> Tensor:
    """(B, 3, H, W) in [-1, 1] -> the same in grey, in [0, 1]."""
    return luma((x + 1) / 2).expand(-1, 3, -1, -1)


def _pairs(config: Pix2Pix) -> Pairs | MadePairs:
    if config.pairs:
        return side_by_side(Path(config.pairs), config.direction, config.size, config.load)
    if config.a:
        return of_two_folders(Path(config.a), Path(config.b), config.size, config.load)
    photos = Crops.of_folders([Path(folder) for folder in config.photos], config.size, config.load)
    return MadePairs(photos, _sketch if config.source == "sketch" else _grey)


def _sketch(pixels: Pixels, seed: int) -> Pixels:
    return sketch(pixels, seed=seed)


def _grey(pixels: Pixels, seed: int) -> Pixels:
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    return cv2.cvtColor(grey, cv2.COLOR_GRAY2RGB)  # type: ignore[return-value]
