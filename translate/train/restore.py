"""The recipe of the restorer: photographs age at random, and become as they were (Wan et al., arXiv:2004.09484)."""

import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor

from translate.device import PRECISIONS
from translate.features import FeatureNetwork
from translate.models.colouriser import luma
from translate.models.layers import placed
from translate.models.restorer import Restorer
from translate.train import distributed
from translate.train.accumulate import backward, passes
from translate.train.damage import damage_and_mask
from translate.train.data import Crops, Share
from translate.train.guard import Guard
from translate.train.options import Restore
from translate.train.sheet import save_sheet
from translate.train.state import Checkpoint, Ema, Step, cosine, read_checkpoint
from translate.train.state import restore as put_back
from translate.weights.files import save_weights


def train(
    config: Restore, out: Path, *, resume: bool = False, init: Path | None = None, minutes: float = 5.0
) -> Iterator[Step]:
    """Train; yields after every step.

    Writes `checkpoint.pt` every `minutes` and at the end, and with it the averaged network `restore.safetensors` and a
    sheet of samples, `samples.png`: aged, restored, and as it was.

    Args:
        config: of the run.
        out: folder of the run.
        resume: go on exactly where `out` stopped.
        init: checkpoint of another run to take the network from.
        minutes: between two checkpoints.
    """
    out.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(config.seed)
    device = torch.device(config.device)
    count, share = config.batch * config.accumulate, distributed.share(config.batch, config.accumulate)
    photos = Crops.of_folders([Path(folder) for folder in config.photos], config.size, config.load)
    network = placed(Restorer(config.width), device)
    ema = Ema(network, placed(Restorer(config.width), device), config.ema)
    optimiser = torch.optim.Adam(network.parameters(), config.lr)
    features = placed(FeatureNetwork(), device) if config.feature else None
    checkpoint = Checkpoint(out, asdict(config), {"network": network, "ema": ema, "optimiser": optimiser}, minutes)
    if init is not None:
        put_back({"ema": ema}, read_checkpoint(init), init)
        network.load_state_dict(ema.network.state_dict())
        ema.updates = 0

    def draw(count: int, share: Share = slice(None)) -> tuple[Tensor, Tensor, Tensor]:
        """Aged and good (B, 3, S, S) in [0, 1], and where the aged ones are destroyed (B, 1, S, S)."""
        good = (photos.batch(count, share) + 1) / 2
        grey, seeds = torch.rand(count, 1, 1, 1)[share] < config.grey, torch.randint(2**62, (count,))[share]
        good = torch.where(grey, luma(good), good)
        aged, destroyed = damage_and_mask(good, seeds)
        return aged.to(device), good.to(device), destroyed.to(device)

    samples = draw(6)
    start = checkpoint.load() if resume else 0
    autocast = torch.autocast(device.type, PRECISIONS[config.precision], enabled=config.precision != "fp32")

    def finish(step: int) -> None:
        checkpoint.save(step)
        save_weights(out / "restore.safetensors", ema.network)
        with torch.no_grad():
            save_sheet(out / "samples.png", [samples[0], ema.network(samples[0]), samples[1]])

    # "tone" as what is not destroyed has to be right with the repairs switched off, too.
    weights = {"tone": 0.5, "found": 0.05, "feature": config.feature}
    guard = Guard()
    for step in range(start, config.steps):
        began = time.perf_counter()
        for group in optimiser.param_groups:
            group["lr"] = config.lr * cosine(step, config.steps)
        losses: dict[str, Tensor] = {}
        optimiser.zero_grad()
        for aged, good, destroyed in passes(config.accumulate, *draw(count, share)):
            with autocast:
                toned, found, painted = network.parts(aged)
                restored = toned + found * (painted - toned)
                now = {
                    "pixel": (restored - good).abs().mean(),
                    "tone": ((toned - good).abs() * (1 - destroyed)).mean(),
                    "found": -(destroyed * _log(found) + (1 - destroyed) * _log(1 - found)).mean(),
                }
                if features is not None:
                    now["feature"] = features.feature_loss(restored, good)
            backward(now, losses, config.accumulate, weights)
        distributed.average_gradients(optimiser)
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        ema.update()
        values = distributed.average(losses)
        guard.check(step + 1, values, checkpoint.path)
        saved_now = checkpoint.due(step + 1 == config.steps)
        if saved_now:
            finish(step + 1)
        yield Step(step + 1, config.steps, values, time.perf_counter() - began, saved_now)


def _log(share: Tensor) -> Tensor:
    """The logarithm of a probability, finite for 0."""
    return share.float().clamp(min=1e-4).log()
