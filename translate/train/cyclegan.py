"""The CycleGAN recipe: two folders of photographs, no pairs (Zhu et al. 2017, arXiv:1703.10593, section 4)."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor, nn

from translate.device import PRECISIONS
from translate.errors import InputError
from translate.features import FeatureNetwork
from translate.models.cyclegan import ResnetGenerator
from translate.models.layers import placed
from translate.models.patchgan import PatchDiscriminator
from translate.models.pretrained import PretrainedGenerator
from translate.train import distributed
from translate.train.accumulate import backward, passes
from translate.train.augment import DRAWS, diffaugment
from translate.train.begin import begin_with, saved_run
from translate.train.data import Crops
from translate.train.guard import Guard
from translate.train.losses import changed, discriminator_loss, generator_loss, penalty, photorealism
from translate.train.options import CycleGAN
from translate.train.projected import ProjectedDiscriminator
from translate.train.sheet import save_sheet
from translate.train.state import Checkpoint, Ema, ImagePool, Step, restore
from translate.train.taught import taught
from translate.weights.files import save_weights


def train(
    config: CycleGAN, out: Path, *, resume: bool = False, init: str | Path | None = None, minutes: float = 5.0
) -> Iterator[Step]:
    """Train both directions at once; yields after every step.

    Writes `checkpoint.pt` every `minutes` and at the end, and with it the averaged generators `a2b.safetensors` and
    `b2a.safetensors` and a sheet of samples, `samples.png`.

    Args:
        config: of the run.
        out: folder of the run.
        resume: go on exactly where `out` stopped.
        init: of another run its checkpoint, to take the networks from, or weights for the generator from a to b: a name
            or a file.
        minutes: between two checkpoints.
    """
    count, share = config.batch * config.accumulate, distributed.share(config.batch, config.accumulate)
    torch.manual_seed(config.seed)
    device = torch.device(config.device)
    if Path(config.a).resolve() == Path(config.b).resolve():
        raise InputError(f"the same folder is given twice: {config.a}, {config.b}")
    real = (
        Crops.of_folders([Path(config.a)], config.size, config.load),
        Crops.of_folders([Path(config.b)], config.size, config.load),
    )

    def generator() -> nn.Module:
        if config.generator == "pretrained":
            return placed(taught(PretrainedGenerator(config.width)), device)
        return placed(ResnetGenerator(config.width, config.blocks, skip=config.skip), device)

    def discriminator() -> nn.Module:
        if features is not None:
            return placed(ProjectedDiscriminator(features, config.discriminator_width), device)
        return placed(PatchDiscriminator(3, config.discriminator_width), device)

    features = placed(FeatureNetwork(), device) if config.discriminator == "projected" else None
    a2b, b2a, judge_a, judge_b = generator(), generator(), discriminator(), discriminator()
    _match_colours(a2b, *real)
    _match_colours(b2a, *reversed(real))
    judges = [*judge_a.parameters(), *judge_b.parameters()]
    optimise_g = torch.optim.Adam([*a2b.parameters(), *b2a.parameters()], config.lr, (0.5, 0.999))
    optimise_d = torch.optim.Adam(judges, config.lr, (0.5, 0.999))
    ema_a2b, ema_b2a = Ema(a2b, generator(), config.ema), Ema(b2a, generator(), config.ema)
    pool_a, pool_b = ImagePool(config.pool), ImagePool(config.pool)
    networks = {"a2b": a2b, "b2a": b2a, "judge_a": judge_a, "judge_b": judge_b}
    state = {"ema_a2b": ema_a2b, "ema_b2a": ema_b2a, "optimise_g": optimise_g, "optimise_d": optimise_d}
    pools = {"pool_a": pool_a, "pool_b": pool_b}
    if init is not None and (saved := saved_run(init)) is None:
        begin_with(init, a2b, ema_a2b)
    elif init is not None and saved is not None:
        restore(networks, saved, Path(init))
        ema_a2b.network.load_state_dict(saved["ema_a2b"]["network"])
        ema_b2a.network.load_state_dict(saved["ema_b2a"]["network"])
    checkpoint = Checkpoint(out, asdict(config), networks | state | pools, minutes)
    samples = [domain.batch(4).to(device) for domain in real]
    start = checkpoint.load() if resume else 0

    def finish(step: int) -> None:
        checkpoint.save(step)
        save_weights(out / "a2b.safetensors", ema_a2b.network)
        save_weights(out / "b2a.safetensors", ema_b2a.network)
        with torch.no_grad():
            save_sheet(
                out / "samples.png",
                [samples[0], ema_a2b.network(samples[0]), samples[1], ema_b2a.network(samples[1])],
                value_range=(-1, 1),
            )

    def seen(images: Tensor, draws: Tensor) -> Tensor:
        return diffaugment(images, draws) if config.diffaugment else images

    guard = Guard(("judge_a", "judge_b"), config.gan, config.label_smoothing)
    autocast = torch.autocast(device.type, PRECISIONS[config.precision], enabled=config.precision != "fp32")
    for step in range(start, config.steps):
        began = time.perf_counter()
        for group in itertools.chain(optimise_g.param_groups, optimise_d.param_groups):
            group["lr"] = config.lr * min(1.0, 2 - 2 * step / config.steps)  # constant, then linear to zero
        real_a, real_b = (domain.batch(count, share).to(device) for domain in real)
        views_a, views_b = torch.rand(2, count, 2, DRAWS)[:, share]  # how the judges see the real image and the fake
        mix_a, mix_b = torch.rand(2, count)[:, share]
        losses: dict[str, Tensor] = {}

        # Generators: fool the judges, come back to the start, leave alone what is in the target domain already.
        _require_grad(judges, False)
        optimise_g.zero_grad()
        fakes_a, fakes_b = list[Tensor](), list[Tensor]()
        for a, b, view_a, view_b in passes(config.accumulate, real_a, real_b, views_a, views_b):
            with autocast:
                fake_b, fake_a = a2b(a), b2a(b)
                now = {
                    "gan_a2b": generator_loss(judge_b(seen(fake_b, view_b[:, 1])), config.gan),
                    "gan_b2a": generator_loss(judge_a(seen(fake_a, view_a[:, 1])), config.gan),
                    "cycle": ((b2a(fake_b) - a).abs().mean() + (a2b(fake_a) - b).abs().mean()) * config.cycle,
                }
                if config.identity:
                    same = (b2a(a) - a).abs().mean() + (a2b(b) - b).abs().mean()
                    now["identity"] = same * config.cycle * config.identity
                if config.photorealism:
                    now["photorealism"] = (photorealism(a, fake_b) + photorealism(b, fake_a)) * config.photorealism
                if config.sparsity:
                    now["sparsity"] = (changed(a, fake_b) + changed(b, fake_a)) * config.sparsity
            backward(now, losses, config.accumulate)
            fakes_a.append(fake_a.detach())
            fakes_b.append(fake_b.detach())
        distributed.average_gradients(optimise_g)
        optimise_g.step()

        # Discriminators: tell real images from fakes of now and before.
        _require_grad(judges, True)
        optimise_d.zero_grad()
        for name, judge, pool, images, fakes, views, mix in (
            ("a", judge_a, pool_a, real_a, fakes_a, views_a, mix_a),
            ("b", judge_b, pool_b, real_b, fakes_b, views_b, mix_b),
        ):
            pooled = pool.swap(distributed.gather(torch.cat(fakes), config.accumulate))[share]
            for image, fake, view, where in passes(config.accumulate, images, pooled, views, mix):
                with autocast:
                    image, fake = seen(image, view[:, 0]), seen(fake, view[:, 1])
                    scores = judge(image), judge(fake)
                    now = {f"judge_{name}": discriminator_loss(*scores, config.gan, config.label_smoothing)}
                    if config.penalised:
                        now[f"penalty_{name}"] = penalty(judge, image, fake, where, config.gan, config.r1)
                backward(now, losses, config.accumulate)
        distributed.average_gradients(optimise_d)
        optimise_d.step()

        ema_a2b.update()
        ema_b2a.update()
        values = distributed.average(losses)
        guard.check(step + 1, values, checkpoint.path)
        saved_now = checkpoint.due(step + 1 == config.steps)
        if saved_now:
            finish(step + 1)
        yield Step(step + 1, config.steps, values, time.perf_counter() - began, saved_now)


def _match_colours(generator: nn.Module, source: Crops, target: Crops) -> None:
    """Start a generator with a skip at the colour transfer of Reinhard et al. 2001 ("Color Transfer between Images").

    Each channel gets the target's mean and deviation, over all images. The two directions are then each other's
    inverse, so the cycle loss starts near 0 and the adversarial one can begin with what is left to learn.
    """
    if not isinstance(generator, ResnetGenerator) or generator.skip is None or generator.head.bias is None:
        return
    (mean, std), (target_mean, target_std) = source.colours(), target.colours()
    with torch.no_grad():
        generator.skip.copy_(target_std / std)
        generator.head.bias.copy_(target_mean - mean * target_std / std)


def _require_grad(parameters: list[nn.Parameter], value: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(value)
