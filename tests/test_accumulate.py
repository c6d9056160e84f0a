from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import assert_close, needs_features, run
from torch import nn

from translate.train.accumulate import backward, passes
from translate.train.options import SRGAN, CycleGAN, Run
from translate.train.state import CHECKPOINT, read_checkpoint


def assert_accumulated_is_whole(config: Run, tmp_path: Path) -> None:
    """Two passes of half the batch, in losses, weights, moments, averages and pools."""
    whole = list(run(replace(config, batch=4, steps=2), tmp_path / "whole"))
    halves = list(run(replace(config, batch=2, accumulate=2, steps=2), tmp_path / "halves"))
    for expected, step in zip(whole, halves, strict=True):
        assert step.losses == pytest.approx(expected.losses, rel=1e-5, abs=1e-5)
    states = [read_checkpoint(tmp_path / name / CHECKPOINT) for name in ("halves", "whole")]
    for state in states:
        del state["config"]
    assert_close(*states, 1e-5)


@pytest.mark.parametrize("options", [{}, {"gan": "wgan-gp", "diffaugment": True}, {"gan": "hinge", "r1": 0.5}])
def test_accumulated_cyclegan_is_the_larger_batch(two: CycleGAN, tmp_path: Path, options: dict[str, Any]) -> None:
    """With most other seeds rounding turns the sign of some pixel's difference, and its gradient, within two steps."""
    assert_accumulated_is_whole(replace(two, seed=3, **options), tmp_path)


def test_accumulated_srgan_is_the_larger_batch(one: SRGAN, tmp_path: Path) -> None:
    assert_accumulated_is_whole(one, tmp_path)


@needs_features
def test_accumulated_adversarial_srgan_is_near_the_larger_batch(one: SRGAN, tmp_path: Path) -> None:
    """Not the same: a spectral norm gets better with every pass."""
    one = replace(one, gan_steps=2, steps=3)
    whole = list(run(replace(one, batch=4), tmp_path / "whole"))
    halves = list(run(replace(one, batch=2, accumulate=2), tmp_path / "halves"))
    for expected, step in zip(whole, halves, strict=True):
        assert step.losses == pytest.approx(expected.losses, rel=1e-2)
        assert step.losses.get("feature", 0) == pytest.approx(expected.losses.get("feature", 0), rel=1e-4)


def test_backward_adds_up_weighted_losses_and_their_means() -> None:
    layer, means = nn.Linear(1, 1, bias=False), dict[str, torch.Tensor]()
    x = torch.tensor([[1.0], [3.0], [5.0], [7.0]])
    with torch.no_grad():
        layer.weight.fill_(2.0)
    for (part,) in passes(2, x):
        backward({"a": layer(part).mean(), "b": layer(part).square().mean()}, means, 2, {"a": 10.0})
    assert {name: mean.item() for name, mean in means.items()} == {"a": 8.0, "b": 84.0}
    assert not any(mean.requires_grad for mean in means.values())
    assert layer.weight.grad is not None
    assert layer.weight.grad.item() == 10 * 4 + 2 * 2 * 21
