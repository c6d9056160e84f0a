import logging
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from runs import first, run
from torch import nn

from translate.errors import TrainingError
from translate.train import guard
from translate.train.guard import WINDOW, Guard
from translate.train.options import SRGAN, CycleGAN
from translate.train.state import CHECKPOINT, Checkpoint, read_checkpoint


def said(watch: Guard, losses: list[dict[str, float]], caplog: pytest.LogCaptureFixture) -> list[str]:
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        for step, values in enumerate(losses, start=1):
            watch.check(step, values, Path("checkpoint.pt"))
    return [record.getMessage() for record in caplog.records]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_stops_the_run(value: float, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.pt"
    with pytest.raises(TrainingError, match=r"step 7: the loss cycle is (nan|inf|-inf), .* a lower --lr") as before:
        Guard().check(7, {"gan": 1.0, "cycle": value}, path)
    assert "--init" not in str(before.value)
    path.touch()
    with pytest.raises(TrainingError, match=f"from the last good state: --init {path}"):
        Guard().check(7, {"gan": 1.0, "cycle": value}, path)


@pytest.mark.parametrize(
    ("gan", "smoothing", "won", "even"),
    [
        ("lsgan", 0.0, 0.01, 0.05),
        ("nonsaturating", 0.0, 0.05, 0.3),
        ("nonsaturating", 0.1, 0.33, 0.5),
        ("hinge", 0.0, 0.05, 0.5),
    ],
)
def test_a_discriminator_that_has_won_is_named_once(
    gan: Any, smoothing: float, won: float, even: float, caplog: pytest.LogCaptureFixture
) -> None:
    watch = Guard(("judge_a", "judge_b"), gan, smoothing)
    beaten = [{"judge_a": even, "judge_b": won, "cycle": 0.0}]
    assert said(watch, beaten * (WINDOW - 1), caplog) == []
    [line] = said(watch, beaten, caplog)
    assert "judge_b has won" in line
    assert "--diffaugment" in line
    assert said(watch, beaten * (3 * WINDOW), caplog) == []


def test_single_steps_of_a_low_loss_are_no_victory(caplog: pytest.LogCaptureFixture) -> None:
    losses = [{"judge": 0.0 if step % 2 else 0.1} for step in range(4 * WINDOW)]
    assert said(Guard(("judge",), "lsgan"), losses, caplog) == []


def test_a_wasserstein_critic_may_be_far_ahead(caplog: pytest.LogCaptureFixture) -> None:
    assert said(Guard(("judge",), "wgan-gp"), [{"judge": -50.0}] * (2 * WINDOW), caplog) == []


def test_recipes_watch_their_discriminators(
    two: CycleGAN, tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guard, "WINDOW", 2)
    monkeypatch.setattr(guard, "WON", 100)
    with caplog.at_level(logging.WARNING):
        list(run(two, tmp_path / "out"))
    assert sorted(r.getMessage().split(":")[1].split()[0] for r in caplog.records) == ["judge_a", "judge_b"]


def test_a_run_that_explodes_keeps_its_last_good_checkpoint(one: SRGAN, tmp_path: Path) -> None:
    """With weights of 1e30 the next step's loss is not finite any more."""
    out = tmp_path / "out"
    first(one, out, 2)
    good = (out / CHECKPOINT).read_bytes()
    state = read_checkpoint(out / CHECKPOINT)
    for weight in state["generator"].values():
        weight.mul_(1e30)
    torch.save(state, out / CHECKPOINT)
    bad = (out / CHECKPOINT).read_bytes()
    assert bad != good
    with pytest.raises(TrainingError, match=r"step 3: the loss pixel is (nan|inf)"):
        list(run(one, out, resume=True, minutes=0))
    assert (out / CHECKPOINT).read_bytes() == bad


def test_weights_that_are_no_numbers_are_not_saved(tmp_path: Path) -> None:
    network = nn.Linear(2, 2)
    checkpoint = Checkpoint(tmp_path, {}, {"a2b": network}, minutes=1)
    checkpoint.save(1)
    before = (tmp_path / CHECKPOINT).read_bytes()
    with torch.no_grad():
        network.weight[0, 1] = math.nan
    with pytest.raises(TrainingError, match="step 2: weights of a2b are not finite"):
        checkpoint.save(2)
    assert (tmp_path / CHECKPOINT).read_bytes() == before
