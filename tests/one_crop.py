"""Folders whose pictures have one crop alone, so that a test can say what a training step has seen of them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from translate.train.losses import discriminator_loss
from translate.train.options import Gan

SIDE = 32


def save_one_crop(folder: Path, seed: int = 0) -> Tensor:
    """Two copies of a picture that is its own mirror image, however it is turned: (1, 3, 32, 32) in [-1, 1]."""
    folder.mkdir()
    corner = np.random.default_rng(seed).integers(0, 256, (SIDE // 2, SIDE // 2, 3))
    corner = (corner + corner.transpose(1, 0, 2)) // 2
    half = np.concatenate([corner, corner[:, ::-1]], axis=1)
    pixels = np.concatenate([half, half[::-1]]).astype(np.uint8)
    for copy in "01":
        Image.fromarray(pixels).save(folder / f"{copy}.png")
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1


def loaded(network: nn.Module, state: dict[str, Tensor]) -> Any:
    network.load_state_dict(state)
    return network


def assert_gradients(
    beta: float, loss: Tensor, network: nn.Module, after: dict[str, Any], before: dict[str, Any] | None = None
) -> None:
    """Whether Adam's first moment moved, from one saved state to the next, by the gradients of this loss."""
    parameters = list(network.parameters())
    for number, gradient in enumerate(torch.autograd.grad(loss, parameters)):
        old = before["state"][number]["exp_avg"] if before else torch.zeros_like(gradient)
        used = (after["state"][number]["exp_avg"] - beta * old) / (1 - beta)
        torch.testing.assert_close(used, gradient, rtol=1e-2, atol=1e-3 * float(gradient.abs().max()) + 1e-6)


def told_apart(recipe: Any, judge: type[nn.Module], monkeypatch: pytest.MonkeyPatch) -> list[tuple[Tensor, Tensor]]:
    """What a recipe calls real and what fake, as its discriminator, which then gives back what it is shown, sees it."""
    calls: list[tuple[Tensor, Tensor]] = []

    def record(real: Tensor, fake: Tensor, gan: Gan, smoothing: float) -> Tensor:
        calls.append((real.detach(), fake.detach()))
        return discriminator_loss(real, fake, gan, smoothing)

    monkeypatch.setattr(judge, "forward", lambda self, x: x + 0 * self.first.weight.sum())
    monkeypatch.setattr(recipe, "discriminator_loss", record)
    return calls
