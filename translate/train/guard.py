"""Notices when a run has gone wrong: numbers that are none, and a discriminator that has won."""

import logging
import math
from pathlib import Path

from translate.errors import TrainingError
from translate.train.options import Gan

log = logging.getLogger(__name__)

DRAW: dict[Gan, float] = {
    "lsgan": 0.25,
    "nonsaturating": 2 * math.log(2),
    "minimax": 2 * math.log(2),
    "hinge": 2.0,
}  # no idea which is which
WON = 0.05  # of the way from the least possible loss to a draw
WINDOW = 500  # steps


class Guard:
    """Looks at the losses of every step.

    Args:
        judges: names of the discriminators' losses.
        gan: the adversarial loss; a Wasserstein critic is meant to be ahead and is not watched.
        smoothing: of the labels, which raises the least possible loss.
    """

    def __init__(self, judges: tuple[str, ...] = (), gan: Gan = "wgan-gp", smoothing: float = 0.0) -> None:
        self.sums = dict.fromkeys(judges if gan in DRAW else (), 0.0)
        self.counts = dict.fromkeys(self.sums, 0)
        self.draw = DRAW.get(gan, 0.0)
        smoothed = gan in ("nonsaturating", "minimax") and smoothing > 0
        least = -sum(p * math.log(p) for p in (smoothing, 1 - smoothing)) if smoothed else 0.0
        self.limit = least + WON * (self.draw - least)

    def check(self, step: int, losses: dict[str, float], checkpoint: Path) -> None:
        """Say once of each discriminator if it has won.

        Raises:
            TrainingError: a loss is not finite.
        """
        for name, value in losses.items():
            if not math.isfinite(value):
                raise diverged(f"step {step}: the loss {name} is {value}", checkpoint)
        for name in [name for name in self.sums if name in losses]:
            self.sums[name] += losses[name]
            self.counts[name] += 1
            if self.counts[name] < WINDOW:
                continue
            mean = self.sums[name] / WINDOW
            self.sums[name], self.counts[name] = 0.0, 0
            if mean < self.limit:
                del self.sums[name]
                log.warning(
                    "step %d: %s has won, its loss was %.3g over %d steps where %.3g is a draw, so the generator "
                    "learns little from it; try --diffaugment, --r1 1 or a smaller --discriminator-width",
                    *(step, name, mean, WINDOW, self.draw),
                )


def diverged(what: str, checkpoint: Path) -> TrainingError:
    """The error that stops a run; the checkpoint is the last, from before."""
    todo = "start again with a lower --lr or --precision fp32"
    if checkpoint.exists():
        todo += f", into another --out, from the last good state: --init {checkpoint}"
    return TrainingError(f"{what}, so the run has diverged and stops; {todo}")
