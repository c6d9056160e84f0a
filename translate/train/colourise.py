"""The recipe of the colouriser: photographs lose their colour and get it back (Zhang et al., arXiv:1603.08511)."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.device import PRECISIONS
from translate.models.colouriser import FINEST, GRID, Colouriser, lightness_of, luma
from translate.models.layers import placed
from translate.train import distributed
from translate.train.accumulate import backward, passes
from translate.train.begin import begin_with
from translate.train.data import Crops, Share
from translate.train.guard import Guard
from translate.train.options import Colourise
from translate.train.sheet import save_sheet
from translate.train.state import Checkpoint, Ema, Step, cosine
from translate.train.taught import taught
from translate.weights.files import save_weights

STRIDE = 2 ** (FINEST + 1)  # pixels of the picture to one of the colours


def train(
    config: Colourise, out: Path, *, resume: bool = False, init: str | Path | None = None, minutes: float = 5.0
) -> Iterator[Step]:
    """Train; yields after every step.

    Writes `checkpoint.pt` every `minutes` and at the end, and with it the averaged network `colourise.safetensors` and
    a sheet of samples, `samples.png`: grey, coloured, and as it was.

    Args:
        config: of the run.
        out: folder of the run.
        resume: go on exactly where `out` stopped.
        init: the checkpoint of another run, or weights, a name or a file, to take the network from.
        minutes: between two checkpoints.
    """
    from kornia.color import rgb_to_lab

    torch.manual_seed(config.seed)
    device = torch.device(config.device)
    count, share = config.batch * config.accumulate, distributed.share(config.batch, config.accumulate)
    photos = Crops.of_folders([Path(folder) for folder in config.photos], config.size, config.load)

    network = placed(taught(Colouriser(config.width)), device)
    ema = Ema(network, placed(Colouriser(config.width), device), config.ema)
    decoder = [weight for name, weight in network.named_parameters() if not name.startswith("encoder.")]
    rates = [config.lr, config.encoder_lr]
    optimiser = torch.optim.Adam([{"params": decoder}, {"params": list(network.encoder.parameters())}], config.lr)
    if init is not None:
        begin_with(init, network, ema)
    checkpoint = Checkpoint(out, asdict(config), {"network": network, "ema": ema, "optimiser": optimiser}, minutes)
    network.temperature.fill_(config.temperature)

    def draw(count: int, share: Share = slice(None)) -> tuple[Tensor, Tensor]:
        """L (B, 1, S, S), and ab (B, 2, S/4, S/4) averaged over the pixels that one colour stands for."""
        rgb = (photos.batch(count, share).to(device) + 1) / 2
        return lightness_of(rgb), F.avg_pool2d(rgb_to_lab(rgb)[:, 1:], STRIDE)

    with torch.random.fork_rng(devices=[]):
        importance = _importance(network.bins, draw(256)[1], config.uniform)
        samples = (photos.batch(6).to(device) + 1) / 2
    start = checkpoint.load() if resume else 0
    autocast = torch.autocast(device.type, PRECISIONS[config.precision], enabled=config.precision != "fp32")

    def finish(step: int) -> None:
        checkpoint.save(step)
        save_weights(out / "colourise.safetensors", ema.network)
        with torch.no_grad():
            grey = luma(samples).expand(-1, 3, -1, -1)
            save_sheet(out / "samples.png", [grey, ema.network(samples), samples])

    guard = Guard()
    for step in range(start, config.steps):
        began = time.perf_counter()
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * cosine(step, config.steps)
        losses: dict[str, Tensor] = {}
        optimiser.zero_grad()
        for lightness, ab in passes(config.accumulate, *draw(count, share)):
            with autocast:
                scores = network.classify(network.look(lightness))
            truth = _soft_classes(ab, network.bins)
            rarity = importance[truth.argmax(1)]
            entropy = -(truth * scores.float().log_softmax(1)).sum(1)
            backward({"colour": (entropy * rarity).mean()}, losses, config.accumulate)
        distributed.average_gradients(optimiser)
        optimiser.step()
        ema.update()
        values = distributed.average(losses)
        guard.check(step + 1, values, checkpoint.path)
        saved_now = checkpoint.due(step + 1 == config.steps)
        if saved_now:
            finish(step + 1)
        yield Step(step + 1, config.steps, values, time.perf_counter() - began, saved_now)


def _soft_classes(ab: Tensor, bins: Tensor) -> Tensor:
    """(B, 2, h, w) -> how much each colour of the grid is like it, (B, Q, h, w), sums of 1 (section 2.2)."""
    distance = (ab[:, None] - bins.view(1, -1, 2, 1, 1)).square().sum(2)
    return (-distance / (2 * (GRID / 2) ** 2)).softmax(1)


def _importance(bins: Tensor, ab: Tensor, uniform: float) -> Tensor:
    """Weights (Q,) of the colours, larger for rarer ones, 1 on average (equation 4; `uniform` is its lambda)."""
    share = _soft_classes(ab, bins).mean((0, 2, 3))
    weights = 1 / ((1 - uniform) * share + uniform / len(bins))
    return weights / (weights * share).sum()
