"""Which block sizes a kernel is given."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import torch

from translate.kernels import _configs

DEFAULT = {"tile": 2048, "num_warps": 4}
x = torch.ones(1)


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Write the user's own file of this device, or that which is shipped with `shipped=True`."""
    monkeypatch.setenv("TRANSLATE_CONFIGS", str(tmp_path / "own"))
    monkeypatch.setattr(_configs, "SHIPPED", tmp_path / "shipped")

    def write(content: Any, shipped: bool = False) -> Path:
        path = (tmp_path / "shipped" if shipped else tmp_path / "own") / "cpu.json"
        path.parent.mkdir(exist_ok=True)
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        _configs.forget()
        return path

    _configs.forget()
    yield write
    _configs.forget()


def record(tile: int, channels: int = 64, pixels: int = 4096, kind: str = "32 bit") -> dict[str, Any]:
    return {"kind": kind, "shape": {"channels": channels, "pixels": pixels}, "blocks": {"tile": tile, "unknown": 2}}


def ask(channels: int, pixels: int, kind: str = "32 bit") -> dict[str, int]:
    return _configs.blocks("op", x, kind, DEFAULT, channels=channels, pixels=pixels)


def test_without_a_file_it_is_the_default(own: Any) -> None:
    assert ask(64, 4096) == DEFAULT


def test_the_nearest_shape_of_the_same_kind_counts(own: Any) -> None:
    own({"kernels": {"op": [record(256), record(512, 64, 65536), record(1024, 64, 4096, "16 bit")]}})
    assert ask(64, 4096) == {"tile": 256, "num_warps": 4}
    assert ask(64, 5000)["tile"] == 256
    assert ask(100, 40000)["tile"] == 512
    assert ask(64, 4096, "16 bit")["tile"] == 1024
    assert ask(64, 64) == DEFAULT  # nothing is near
    assert ask(64, 4096, "64 bit") == DEFAULT
    assert _configs.blocks("other", x, "32 bit", DEFAULT, channels=64, pixels=4096) == DEFAULT


def test_a_record_counts_up_to_three_doublings_away(own: Any) -> None:
    own({"kernels": {"op": [record(256)]}})
    assert ask(64, 8 * 4096)["tile"] == ask(128, 1024)["tile"] == 256
    assert ask(64, 16 * 4096) == ask(256, 1024) == DEFAULT


def test_the_user_s_own_file_wins(own: Any) -> None:
    own({"kernels": {"op": [record(256)]}}, shipped=True)
    assert ask(64, 4096)["tile"] == 256
    own({"kernels": {"op": [record(512)]}})
    assert ask(64, 4096)["tile"] == 512


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "holds no block sizes (Expecting property name"),
        ("[]", "holds no block sizes (list indices"),
        ("{}", "there is no 'kernels'"),
        ({"kernels": {"op": [{"kind": "32 bit"}]}}, "there is no 'shape'"),
        ({"kernels": {"op": [record(100)]}}, "tile is 100, not a power of two"),
        ({"kernels": {"op": [record(0)]}}, "tile is 0"),
        ({"kernels": {"op": [record(256, channels=0)]}}, "channels is 0"),
        ({"kernels": {"op": [record("256")]}}, "tile is '256'"),  # type: ignore[arg-type]
    ],
)
def test_a_bad_file_is_named_once_and_not_used(
    own: Any, content: Any, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    own({"kernels": {"op": [record(256)]}}, shipped=True)
    path = own(content)
    with caplog.at_level(logging.WARNING):
        assert ask(64, 4096)["tile"] == ask(64, 4097)["tile"] == 256
    (line,) = caplog.messages
    assert str(path) in line
    assert message in line
    assert "\n" not in line


def test_trying_and_listening(own: Any) -> None:
    own({"kernels": {"op": [record(256)]}})
    with _configs.listen() as asked, _configs.trying("op", {"tile": 32}):
        assert ask(64, 4096) == {"tile": 32, "num_warps": 4}
    assert asked == {("op", "32 bit", (("channels", 64), ("pixels", 4096))): DEFAULT}
    assert ask(64, 4096)["tile"] == 256


def test_every_shipped_file_is_sound() -> None:
    for path in _configs.SHIPPED.glob("*.json"):
        assert _configs.read(path), path


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_kernels_take_them_and_the_batch_changes_no_bits(
    own: Any, triton_device: str, layout: torch.memory_format
) -> None:
    from translate import kernels

    if triton_device != "cpu":
        pytest.skip("writes the file of the interpreter's device")
    shape = {"channels": 5, "pixels": 12 * 11}
    kind = ("channels_last" if layout == torch.channels_last else "contiguous") + " 32 bit"
    entries = {"planes": 0, "tile": 64, "programs": 2, "columns": 2, "each": 4}
    names = ("instance_norm", "instance_norm_grad", "instance_statistics", "normalise", "bias_leaky_relu")
    own({"kernels": {name: [{"kind": kind, "shape": shape, "blocks": entries}] for name in names}})
    torch.manual_seed(0)
    images = torch.randn(3, 5, 12, 11).contiguous(memory_format=layout)

    def run(part: torch.Tensor) -> tuple[torch.Tensor, ...]:
        part = part.detach().requires_grad_()
        y = kernels.instance_norm(part, activation="relu", backend="triton")
        return y, *torch.autograd.grad((y * part.detach()).sum(), part)

    with _configs.listen() as asked:
        together, alone = run(images), run(images[1:2])
    assert {question.kernel for question in asked} >= {"instance_norm", "instance_norm_grad", "normalise"}
    for whole, one in zip(together, alone, strict=True):
        assert torch.equal(whole[1:2], one)
    torch.testing.assert_close(together[0], torch.nn.functional.instance_norm(images).relu(), atol=1e-5, rtol=1e-4)
    y = kernels.bias_leaky_relu(images, backend="triton")
    torch.testing.assert_close(y, torch.nn.functional.leaky_relu(images, 0.2))
