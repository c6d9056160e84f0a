"""The search for block sizes, in Triton's interpreter and with times that are made up."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Ran
from torch import Tensor

from translate import kernels
from translate.kernels import _configs, _uses, tune
from translate.kernels._uses import Use

CPU = torch.device("cpu")
SMALL = {"tile": (64, 128, 100), "num_warps": (4, 8)}


@pytest.fixture(autouse=True)
def no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, triton_device: str) -> Iterator[None]:
    if triton_device != "cpu":
        pytest.skip("is run in the interpreter")
    monkeypatch.setenv("TRANSLATE_CONFIGS", str(tmp_path / "own"))
    monkeypatch.setattr("translate.kernels.timing.MOST_SETS", 2)
    monkeypatch.setitem(tune.CHOICES, "quantise", SMALL)
    _configs.forget()
    yield
    _configs.forget()


def fastest_with(**wanted: int) -> Callable[..., float]:
    """Times by which each of these numbers gains a quarter."""

    def seconds(calls: Sequence[Callable[[], Any]], device: torch.device) -> float:
        ((_, tried),) = _configs._tried.items()
        assert len(calls) == 2
        return 0.75 ** sum(tried[name] == number for name, number in wanted.items())

    return seconds


def quantise(channels: int = 3) -> Use:
    return Use(kernels.quantise, ((channels, 4, 5),), ("quantise",))


def found(use: Use, seconds: Callable[..., float]) -> list[Any]:
    return list(tune.tune(CPU, time.time() + 60, [use], [torch.float32], seconds))


def test_the_fastest_wins_and_what_does_not_run_is_refused() -> None:
    (one,) = found(quantise(), fastest_with(tile=128, num_warps=8))
    assert one.question == ("quantise", "channels_last 32 bit", (("channels", 3), ("pixels", 20)))
    assert one.blocks == {"tile": 128, "num_warps": 8}
    assert one.seconds == pytest.approx(0.75**2)
    assert one.default_seconds == 1
    assert one.tried == 5
    assert "power of 2" in one.refused[json.dumps({"tile": 100, "num_warps": 4})]


def test_what_is_hardly_faster_does_not_replace_the_default() -> None:
    (one,) = found(quantise(), lambda calls, device: 0.99 if _configs._tried["quantise"]["tile"] == 64 else 1.0)
    assert one.blocks == {"tile": 1024, "num_warps": 4}


def test_what_is_wrong_may_not_win() -> None:
    def op(x: Tensor, backend: kernels.Backend) -> Tensor:
        y = kernels.bias_leaky_relu(x, backend=backend)
        return y * 1.001 if _configs._tried.get("bias_leaky_relu", {}).get("tile") == 1024 else y

    use = Use(op, ((3, 4, 5),), ("bias_leaky_relu",))
    (one,) = found(use, fastest_with(tile=1024, each=8))
    assert one.blocks["tile"] == 2048
    assert one.blocks["each"] == 8
    assert [reason for blocks, reason in one.refused.items() if json.loads(blocks)["tile"] == 1024] == [
        "ValueError: its relative error is 1.0e-03"
    ]

    def broken(x: Tensor, backend: kernels.Backend) -> Tensor:
        return kernels.bias_leaky_relu(x, backend=backend) * (1.2 if backend == "triton" else 1)

    (failed,) = found(Use(broken, ((3, 4, 5),), ("bias_leaky_relu",)), fastest_with())
    assert failed.kernels == ("bias_leaky_relu",)
    assert "bias_leaky_relu is wrong on this device: its relative error is 2" in failed.why


@pytest.mark.parametrize("use", [use for use in _uses.uses() if use.batches == (1, 8)][::3], ids=lambda use: use.tuned)
def test_every_kind_of_use_asks_for_what_it_tunes(use: Use, monkeypatch: pytest.MonkeyPatch) -> None:
    channels = min(use.shapes[0][0], 4)
    shapes = tuple(
        (channels, 6, 5) if len(shape) == 3 else tuple(channels if n > 4 else n for n in shape) for shape in use.shapes
    )
    monkeypatch.setattr(tune, "CHOICES", {name: {"tile": (256,), "BLOCK_M": (64,)} for name in use.tuned})
    planes = {"instance_norm": 32768, "instance_norm_grad": 16384}.get(use.tuned[0], 0)
    monkeypatch.setattr("translate.kernels._instance_norm_launch_triton.PLANES", planes)
    small = Use(use.op, shapes, use.tuned, use.backward, (1, 2))
    results = found(small, lambda calls, device: float(len(calls)))
    assert {one.question.kernel for one in results} == set(use.tuned)
    assert all(one.tried == 2 and not one.refused for one in results)


def test_every_kernel_with_choices_has_a_use() -> None:
    assert {name for use in _uses.uses() for name in use.tuned} == set(tune.CHOICES)


def test_no_time_no_result() -> None:
    assert list(tune.tune(CPU, time.time() - 1, [quantise()], [torch.float32], fastest_with())) == []


def test_the_file_is_used_and_keeps_what_else_it_has(tmp_path: Path) -> None:
    path = _configs.own_file("cpu")
    tune.write(path, CPU, found(quantise(), fastest_with(tile=64)))
    tune.write(path, CPU, found(quantise(1), fastest_with(tile=128)))
    tune.write(path, CPU, found(quantise(1), fastest_with(tile=64)))
    content = json.loads(path.read_text())
    assert content["torch"] == torch.__version__
    assert [one["shape"]["channels"] for one in content["kernels"]["quantise"]] == [3, 1]
    assert _configs.blocks("quantise", torch.ones(1), "channels_last 32 bit", {"tile": 1}, channels=3, pixels=20) == {
        "tile": 64
    }
    assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch) -> None:
    """The command takes the interpreter for a GPU, and there is one small thing to measure."""
    own = tune.tune
    monkeypatch.setattr("translate.device.choose_device", lambda wanted: None)
    monkeypatch.setattr(_configs, "device_name", lambda device: "Test Card 9")
    monkeypatch.setattr(tune, "_target", lambda device: "sm_90")
    monkeypatch.setattr(_uses, "uses", lambda: [quantise()])
    monkeypatch.setattr(
        tune, "tune", lambda device, until, wanted: own(CPU, until, wanted, [torch.float32], fastest_with(tile=64))
    )


@pytest.mark.usefixtures("card")
def test_the_command_writes_the_user_s_own_file(run: Callable[..., Ran], tmp_path: Path) -> None:
    ran = run("tune", "--minutes", "1")
    assert ran.code == 0
    assert ran.lines[1].startswith("quantise, channels_last 32 bit, channels 3 pixels 20: ")
    path = tmp_path / "own" / "test-card-9.json"
    assert ran.lines[2] == f"{path}: 1 measured, 1 faster than by default"
    assert json.loads(path.read_text())["device"] == "Test Card 9"
    assert run("tune", "--minutes", "0", "--out", tmp_path / "b.json").code == 1
    assert not (tmp_path / "b.json").exists()


@pytest.mark.usefixtures("card")
def test_a_kernel_that_fails_is_named_and_the_rest_goes_on(
    run: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def op(x: Tensor, backend: kernels.Backend) -> Tensor:
        if backend == "triton":
            raise RuntimeError("no such instruction\nhere")
        return x

    monkeypatch.setattr(_uses, "uses", lambda: [Use(op, ((3, 4, 5),), ("conv_up2",)), quantise()])
    ran = run("tune", "--out", tmp_path / "a.json")
    assert (ran.code, ran.err) == (1, "failed: conv_up2: RuntimeError: no such instruction\n")
    assert list(json.loads((tmp_path / "a.json").read_text())["kernels"]) == ["quantise"]


def test_what_was_measured_is_kept_where_another_kernel_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of one use that asks for two."""
    search = tune.search

    def half(question: Any, *others: Any) -> Any:
        if dict(question[2])["channels"] == 4:
            raise RuntimeError("no such instruction")
        return search(question, *others)

    monkeypatch.setattr(tune, "search", half)

    def both(x: Tensor, backend: kernels.Backend) -> Tensor:
        kernels.quantise(x, backend=backend)
        return kernels.quantise(torch.cat([x, x[:, :1]], 1), backend=backend)

    good, bad = found(Use(both, ((3, 4, 5),), ("quantise",)), fastest_with(tile=128))
    assert good.blocks["tile"] == 128
    assert bad == tune.Failed(("quantise",), "RuntimeError: no such instruction")


@pytest.mark.usefixtures("card")
def test_bad_files_are_not_written_over(run: Callable[..., Ran], tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("{}")
    for out in (other, tmp_path):
        ran = run("tune", "--out", out)
        assert (ran.code, len(ran.err.splitlines())) == (2, 1)
        assert str(out) in ran.err
    assert other.read_text() == "{}"


@pytest.mark.usefixtures("card")
def test_a_gpu_that_fails_ends_it_with_a_line(
    run: Callable[..., Ran], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = tune.tune

    def failing(*arguments: Any) -> Iterator[tune.Tuned]:
        yield from own(*arguments)
        raise RuntimeError("CUDA error: an illegal memory access\nmore")

    monkeypatch.setattr(tune, "tune", failing)
    ran = run("tune", "--out", tmp_path / "a.json")
    assert ran.code == 1
    assert ran.err == (
        "translate: the GPU ended it: CUDA error: an illegal memory access; "
        f"{tmp_path / 'a.json'} has the 1 found before\n"
    )


def test_without_a_gpu_it_says_so(run: Callable[..., Ran]) -> None:
    for device in ("cuda", "cpu"):
        ran = run("tune", "--device", device)
        assert (ran.code, ran.out, len(ran.err.splitlines())) == (2, "", 1)
        assert device in ran.err
