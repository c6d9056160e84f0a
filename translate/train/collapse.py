"""Mode collapse, seen early: how unlike each other the generated pictures are, beside the real ones."""

import logging
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from translate.models import across

log = logging.getLogger(__name__)

WARM_UP = 300  # steps before the first warning: a new generator draws hardly anything
MEMORY = 0.98  # of the running means: about 50 steps


class Diversity:
    """Mean distance between two pictures of one class, of fakes in units of real pictures: near 1 is as it should be.

    A warning is logged when it falls below half of its best, or never reaches 0.25.
    """

    def __init__(self) -> None:
        self.real = self.fake = self.best = 0.0
        self.updates = 0

    @torch.no_grad()
    def update(self, real: Tensor, fake: Tensor, labels: Tensor) -> float:
        """Take in two batches (B, C, H, W) with the same labels (B,), and return the diversity of the last steps."""
        real, fake, labels = (across.gather(part) for part in (real, fake, labels))
        if (pairs := _pairs(labels)).any():
            self.updates += 1
            rate = max(1 - MEMORY, 1 / self.updates)
            self.real += rate * (float(_distance(real, pairs)) - self.real)
            self.fake += rate * (float(_distance(fake, pairs)) - self.fake)
        now = self.fake / max(self.real, 1e-6)
        if self.updates > WARM_UP:
            self.best = max(self.best, now, 0.5)
            if now < self.best / 2:
                log.warning(
                    "mode collapse: the pictures have only %.2f of the real ones' diversity; go back to an earlier "
                    "checkpoint, or try --diverse 5, --diffaugment, a lower --lr or another --seed",
                    now,
                )
                self.updates, self.best = 0, 0.0  # one warning a fall
        return now

    def state_dict(self) -> dict[str, Any]:
        """The running means."""
        return vars(self).copy()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state_dict`."""
        vars(self).update(state)


def alike(real: Tensor, fake: Tensor, labels: Tensor) -> Tensor:
    """How much nearer to each other the fakes of one class are than the real pictures; 0 to 1, 0 where they are not.

    A loss for a generator that listens to the label alone, as conditional ones do at first. It is the mode-seeking loss
    (Mao et al. 2019, arXiv:1903.05628), but ends where the fakes are as diverse as the real pictures.

    Args:
        real: (B, C, H, W).
        fake: the same shape.
        labels: (B,) of both.
    """
    real, fake, labels = (across.gather(part) for part in (real, fake, labels))
    pairs = _pairs(labels)
    if not pairs.any():
        return fake.new_zeros(())
    return F.relu(1 - _distance(fake, pairs) / _distance(real, pairs).clamp_min(1e-6))  # 0: all drawn twice


def _pairs(labels: Tensor) -> Tensor:
    """Which two pictures are of one class, each pair once: (B, B)."""
    return (labels[:, None] == labels).triu(1)


def _distance(pictures: Tensor, pairs: Tensor) -> Tensor:
    """The mean over pairs."""
    x = pictures.flatten(1).float()
    return torch.cdist(x, x)[pairs].mean()
