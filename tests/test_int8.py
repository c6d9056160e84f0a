"""Residual blocks in 8 bit: near float32, exactly what they say, and for nothing else."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

import translate
from translate.errors import InputError
from translate.images import Picture
from translate.models import Model
from translate.models.cyclegan import ResnetGenerator
from translate.models.ensemble import ensembled
from translate.models.int8 import Int8Block, Int8Conv, Watched, examples, in_int8, possible
from translate.models.srgan import ResidualBlock, SRResNet
from translate.translator import Translator

here = pytest.mark.skipif(not possible(SRResNet(4, 1), "cpu"), reason="this processor has no AVX512-VNNI")


def scene(height: int, width: int) -> Any:
    y, x = np.mgrid[:height, :width] / 9
    return (127 + 60 * np.stack([np.sin(x) + np.sin(y), np.sin(x * y / 5), np.cos(x - y)], 2)).astype(np.uint8)


def learnt(blocks: int = 3, tail: str = "direct", scale: int = 2) -> SRResNet:
    torch.manual_seed(1)
    network = SRResNet(16, blocks, scale, tail)
    for block in network.modules():
        if isinstance(block, ResidualBlock):
            nn.init.normal_(block.second.weight, 0, 0.1)
            nn.init.normal_(block.first.bias, 0, 0.1)  # type: ignore[arg-type]
    return network.to(memory_format=torch.channels_last).eval()  # type: ignore[call-overload,no-any-return]


@here
@pytest.mark.parametrize("name", ["srresnet-x4-real", "srgan-x4", "srresnet-x2-real"])
def test_shipped_weights_are_nearly_what_they_are_in_fp32(name: str) -> None:
    picture = Picture(scene(70, 90))
    [(exact, _)] = translate.load(name, "cpu", "fp32")([picture])
    [(quick, remark)] = translate.load(name, "cpu", "int8")([picture])
    assert remark is None
    assert 45 < cv2.PSNR(exact.pixels, quick.pixels) < 70


@here
@pytest.mark.parametrize("bias", [True, False])
def test_a_convolution_multiplies_exactly_what_was_rounded(bias: bool) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(16, 24, 3, padding=1, bias=bias)
    x = torch.randint(0, 256, (2, 16, 7, 5), dtype=torch.uint8).to(memory_format=torch.channels_last)
    step, zero = 0.03, 97
    steps = conv.weight.abs().amax((1, 2, 3), keepdim=True) / 127
    rounded = (conv.weight / steps).round() * steps
    exact = F.conv2d((x.double() - zero) * step, rounded.double(), None, padding=1)
    exact += conv.bias.double()[:, None, None] if conv.bias is not None else 0
    ours = Int8Conv(conv, step, zero)
    to = torch.randn(2, 24, 7, 5).to(memory_format=torch.channels_last)
    wanted = to + exact
    with torch.inference_mode():
        torch.testing.assert_close(ours.added(x, to), wanted.float(), atol=1e-4, rtol=1e-4)
        out = ours(x, 0.05)
    assert out.dtype == torch.uint8
    assert (out.double() * 0.05 - exact.clamp(0, 255 * 0.05)).abs().max() <= 0.0251


@here
@torch.inference_mode()
def test_ranges_are_those_of_the_examples() -> None:
    block = learnt(1).blocks[0]
    watched = Watched(block)
    x = torch.randn(1, 16, 9, 9)
    torch.testing.assert_close(watched(x), block(x))
    watched(3 * x)
    assert (watched.low, watched.high) == (float(3 * x.min()), float(3 * x.max()))
    assert watched.top == float(F.relu(block.first(3 * x)).max())
    ours = Int8Block(watched)
    low = -ours.zero * ours.first.step
    assert low == pytest.approx(1.25 * watched.low, abs=ours.first.step)
    assert low + 255 * ours.first.step == pytest.approx(1.25 * watched.high, abs=ours.first.step)
    assert 255 * ours.second.step == pytest.approx(1.25 * watched.top)
    y = ours((5 * x).clone())  # beyond the range is its end
    cut = (5 * x).clamp(low, low + 255 * ours.first.step)
    wanted = 5 * x + block.second(F.relu(block.first(cut)).clamp(max=255 * ours.second.step))
    assert (y - wanted).abs().max() < 0.05 * wanted.abs().max()


def test_examples_are_always_the_same_and_use_the_whole_range() -> None:
    first = examples()
    torch.manual_seed(5)
    assert torch.equal(first, examples())
    assert (float(first.min()), float(first.max())) == (0, 1)
    assert first.flatten(1).std(1).min() > 0.15


@here
@pytest.mark.parametrize(("tail", "scale"), [("direct", 3), ("staged", 4)])
@pytest.mark.parametrize("size", [(1, 1), (1, 7), (23, 18)])
def test_sizes_tails_and_batches(tail: str, scale: int, size: tuple[int, int]) -> None:
    network = learnt(tail=tail, scale=scale if tail == "staged" else 2)
    quick = in_int8(copy.deepcopy(network))
    x = torch.rand(3, 3, *size)
    with torch.inference_mode():
        exact, ours, one = network(x), quick(x), quick(x[1:2])
    assert ours.shape == exact.shape
    assert 0 < (ours - exact).abs().max() < 0.05
    torch.testing.assert_close(ours[1:2], one, atol=1e-5, rtol=0)


@here
def test_parts_give_what_the_whole_gives() -> None:
    picture = Picture(scene(150, 110))
    model = Model(learnt(), "SRResNet", scale=2, halo=8)
    [(whole, _)] = Translator(model, "cpu", "int8", tile="off")([picture])
    [(parts, _)] = Translator(model, "cpu", "int8", tile=64)([picture])
    assert np.abs(whole.pixels.astype(int) - parts.pixels).max() <= 1
    assert not any(isinstance(module, Int8Block) for module in model.network.modules())  # a copy was changed


@here
def test_with_self_ensemble() -> None:
    model = Model(learnt(), "SRResNet", scale=2, halo=8)
    picture = Picture(scene(40, 32))
    [(exact, _)] = Translator(ensembled(model), "cpu", "fp32")([picture])
    [(quick, _)] = Translator(ensembled(model), "cpu", "int8")([picture])
    assert 40 < cv2.PSNR(exact.pixels, quick.pixels) < 90


def test_what_it_is_not_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: True)
    assert possible(SRResNet(4, 1), "cpu")
    assert not possible(SRResNet(4, 1), "cuda")
    said = "--precision int8 is for SRResNet, on a processor that has AVX512-VNNI, and not for ResnetGenerator here"
    with pytest.raises(InputError, match=said):
        Translator(Model(ResnetGenerator(4, 1), "ResnetGenerator", 1, 4, 16, (-1, 1)), "cpu", "int8")
    monkeypatch.setattr(torch.cpu, "_is_vnni_supported", lambda: False)
    assert not possible(SRResNet(4, 1), "cpu")
    with pytest.raises(InputError, match="a processor that has AVX512-VNNI, and not for SRResNet here"):
        Translator(Model(learnt(), "SRResNet", scale=2, halo=8), "cpu", "int8")


@pytest.mark.parametrize("precision", ["int8", "fp16"])
def test_not_for_training(precision: str, run: Callable[..., Any], tmp_path: Path) -> None:
    ran = run("train", "srgan", "--hr", str(tmp_path), "--out", "runs", "--precision", precision)
    assert (ran.code, f"--precision {precision} is for translating; train in fp32 or bf16" in ran.err) == (2, True)
