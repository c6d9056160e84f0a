"""The recipe of the restorer: photographs age at random, and become as they were (Wan et al., arXiv:2004.09484)."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.device import PRECISIONS
from translate.models.colouriser import luma
from translate.models.layers import placed
from translate.models.restorer import THUMBNAIL, Restorer, corrected, paint_for, painted
from translate.train import distributed
from translate.train.accumulate import backward, passes
from translate.train.begin import begin_with
from translate.train.damage import damage
from translate.train.data import Crops, Share
from translate.train.guard import Guard
from translate.train.options import Restore
from translate.train.sheet import save_sheet
from translate.train.state import Checkpoint, Ema, Step, cosine
from translate.train.taught import taught
from translate.weights.files import save_weights

MEASURED = 64  # pictures, to tell what is usual of them
SHOWN = 0.5  # of the encoder's features, each time others, to the network of the tones: it would learn them by heart


def train(
    config: Restore, out: Path, *, resume: bool = False, init: str | Path | None = None, minutes: float = 5.0
) -> Iterator[Step]:
    """Train; yields after every step.

    How far a print has faded is told from squares of the smallest `load`, and marks and grain from crops of them.

    Writes `checkpoint.pt` every `minutes` and at the end, and with it the averaged network `restore.safetensors` and a
    sheet of samples, `samples.png`: aged, restored, and as it was.

    Args:
        config: of the run.
        out: folder of the run.
        resume: go on exactly where `out` stopped.
        init: the checkpoint of another run, or weights, a name or a file, to take the network from.
        minutes: between two checkpoints.
    """
    torch.manual_seed(config.seed)
    device = torch.device(config.device)
    count, share = config.batch * config.accumulate, distributed.share(config.batch, config.accumulate)
    photos = Crops.of_folders([Path(folder) for folder in config.photos], config.load[0], config.load)
    network = placed(taught(Restorer(config.width)), device)

    def draw(count: int, share: Share = slice(None)) -> tuple[Tensor, ...]:
        """Aged, good and in between, changed in tone alone, (B, 3, S, S) in [0, 1]; what is destroyed (B, 1, S, S).

        At last the features that are shown, (B, F), twice as large, so that they say as much as all of them.
        """
        good = (photos.batch(count, share) + 1) / 2
        grey, seeds = torch.rand(count, 1, 1, 1)[share] < config.grey, torch.randint(2**62, (count,))[share]
        good = torch.where(grey, luma(good), good)
        aged, toned, destroyed = damage(good, seeds)
        shown = (torch.rand(count, network.tones.seen.in_features)[share] < SHOWN) / SHOWN
        return tuple(x.to(device) for x in (aged, good, toned, destroyed, shown))

    network.measure(draw(MEASURED)[0])
    ema = Ema(network, placed(Restorer(config.width), device), config.ema)
    learning = [weight for weight in network.parameters() if weight.requires_grad]
    optimiser = torch.optim.Adam(learning, config.lr, betas=(0.9, 0.99))
    if init is not None:
        begin_with(init, network, ema)
    checkpoint = Checkpoint(out, asdict(config), {"network": network, "ema": ema, "optimiser": optimiser}, minutes)
    samples = draw(6)
    start = checkpoint.load() if resume else 0
    autocast = torch.autocast(device.type, PRECISIONS[config.precision], enabled=config.precision != "fp32")

    def finish(step: int) -> None:
        checkpoint.save(step)
        save_weights(out / "restore.safetensors", ema.network)
        with torch.no_grad():
            save_sheet(out / "samples.png", [samples[0], ema.network(samples[0]), samples[1]])

    weights = {"found": 10.0, "overlap": 1.0, "grain": 10.0, "tone": 0.1}  # of a like size once it has learnt
    guard = Guard()
    for step in range(start, config.steps):
        began = time.perf_counter()
        for group in optimiser.param_groups:
            group["lr"] = config.lr * cosine(step, config.steps)
        losses: dict[str, Tensor] = {}
        optimiser.zero_grad()
        top, left = torch.randint(config.load[0] - config.size + 1, (2,)).tolist()
        part = ..., slice(top, top + config.size), slice(left, left + config.size)
        for aged, good, toned, destroyed, shown in passes(config.accumulate, *draw(count, share)):
            near, marks = aged[part].contiguous(memory_format=torch.channels_last), destroyed[part]
            with autocast:
                scores = network.decoded(2 * near - 1)
                with torch.no_grad():
                    paint, surely = paint_for(near, scores)
                    repaired = painted(near, paint, surely)
                    features = network.features(aged)
                lacking = network.denoiser(repaired, surely)
            tone = network.tones(F.adaptive_avg_pool2d(aged, THUMBNAIL), shown * features)
            now = {
                "found": F.binary_cross_entropy_with_logits(scores, marks),
                "overlap": _dice_loss(torch.sigmoid(scores), marks),
                "grain": _rms(repaired + lacking - toned[part]),
                "tone": _psnr_loss((corrected(aged, tone) - good) * (1 - destroyed)),
            }
            backward(now, losses, config.accumulate, weights)
        distributed.average_gradients(optimiser)
        torch.nn.utils.clip_grad_norm_(learning, 1.0)
        optimiser.step()
        ema.update()
        values = distributed.average(losses)
        guard.check(step + 1, values, checkpoint.path)
        saved_now = checkpoint.due(step + 1 == config.steps)
        if saved_now:
            finish(step + 1)
        yield Step(step + 1, config.steps, values, time.perf_counter() - began, saved_now)


def _dice_loss(found: Tensor, true: Tensor) -> Tensor:
    """1 - Dice's coefficient, so that the few pixels of thin marks count (arXiv:1606.04797)."""
    both, either = (found * true).sum((1, 2, 3)), (found.square() + true.square()).sum((1, 2, 3))
    return (1 - (2 * both + 1) / (either + 1)).mean()


def _rms(error: Tensor) -> Tensor:
    """The root mean square of each picture, so that the worst count most but do not drown the others; their mean."""
    return (error.square().mean((1, 2, 3)) + 1e-5).sqrt().mean()


def _psnr_loss(error: Tensor) -> Tensor:
    """The mean of minus the PSNR in dB: a picture that is nearly right counts as much as one that is far from it."""
    return 10 * (error.square().mean((1, 2, 3)) + 1e-4).log10().mean()
