"""Mode collapse, seen early: how unlike each other the generated pictures are, beside the real ones."""

import logging
from typing import Any

import torch
from torch import Tensor

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
        same = (labels[:, None] == labels).triu(1)
        if same.any():
            self.updates += 1
            rate = max(1 - MEMORY, 1 / self.updates)
            self.real += rate * (_distance(real, same) - self.real)
            self.fake += rate * (_distance(fake, same) - self.fake)
        now = self.fake / max(self.real, 1e-6)
        if self.updates > WARM_UP:
            self.best = max(self.best, now, 0.5)
            if now < self.best / 2:
                log.warning(
                    "mode collapse: the pictures have only %.2f of the real ones' diversity; go back to an earlier "
                    "checkpoint, or try --augment, a lower --lr or another --seed",
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


def _distance(pictures: Tensor, pairs: Tensor) -> float:
    x = pictures.flatten(1).float()
    return float(torch.cdist(x, x)[pairs].mean())
