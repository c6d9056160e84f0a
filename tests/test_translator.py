"""One picture through networks whose answers are known: sizes, precision, memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import FP32, RNG, Fake, flat, ready
from torch import Tensor, nn

from translate import device, memory, translator
from translate.checkpoints import load
from translate.device import choose_device, choose_precision
from translate.engine import Translator
from translate.errors import ImageError, InputError
from translate.images import Picture
from translate.images.scale import resized
from translate.models import Model

# One picture


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3), (15, 17), (16, 16), (33, 21)])
@pytest.mark.parametrize(("scale", "multiple", "minimum"), [(1, 4, 16), (4, 1, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_size_comes_back_whole(
    size: tuple[int, int], scale: int, multiple: int, minimum: int, dtype: Any
) -> None:
    fake = Fake(scale)
    bounds = (-1.0, 1.0) if scale == 1 else (0.0, 1.0)
    translate = ready(fake, multiple_of=multiple, minimum=minimum, value_range=bounds)
    picture = flat(*size, dtype=dtype, exif=b"Exif\0\0x", icc=b"profile")
    ((result, remark),) = translate([picture])
    wanted = picture.pixels.repeat(scale, 0).repeat(scale, 1)
    np.testing.assert_array_equal(result.pixels, wanted)
    assert (result.pixels.dtype, result.exif, result.icc, remark) == (dtype, picture.exif, picture.icc, None)
    for side, fed in zip(size, fake.sizes[0][2:], strict=True):
        assert fed % multiple == 0
        assert max(side, minimum) <= fed < max(side, minimum) + multiple


def test_padding_is_a_reflection() -> None:
    fed: list[Tensor] = []
    network = Fake()
    network.register_forward_pre_hook(lambda _, x: fed.append(x[0]))
    translate = ready(network, multiple_of=4)
    translate._network.placed["fp32"] = network
    picture = flat(3, 6)
    translate([picture])
    seen = fed[0][0].permute(1, 2, 0).mul(255).round().numpy()
    np.testing.assert_array_equal(seen, np.pad(picture.pixels, ((0, 1), (0, 2), (0, 0)), mode="reflect"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_is_kept_or_enlarged(dtype: Any) -> None:
    top = np.iinfo(dtype).max
    alpha = np.zeros((8, 12), dtype)
    alpha[:, 6:] = top
    ((same, _),) = ready(Fake())([flat(8, 12, dtype=dtype, alpha=alpha)])
    np.testing.assert_array_equal(same.alpha, alpha)
    ((large, _),) = ready(Fake(4))([flat(8, 12, dtype=dtype, alpha=alpha)])
    assert large.alpha is not None
    assert (large.alpha.shape, large.alpha.dtype) == ((32, 48), dtype)
    assert (large.alpha[:, :20] == 0).all()
    assert (large.alpha[:, 28:] == top).all()


class Tint(nn.Module):
    """Adds red."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        y = x.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3) * 0.8
        y[:, 0] += 0.1
        return y


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("scale", [1, 4])
def test_grey_stays_grey_when_it_is_enlarged(scale: int, grey: bool) -> None:
    pixels = np.repeat(RNG.integers(0, 255, (5, 7, 1), dtype=np.uint8), 3, axis=2)
    ((result, _),) = ready(Tint(scale))([Picture(pixels, grey=grey)])
    is_grey = bool((result.pixels == result.pixels[..., :1]).all())
    assert (result.grey, is_grey) == ((True, True) if grey and scale > 1 else (False, False))
    wanted = pixels.repeat(scale, 0).repeat(scale, 1) * 0.8 + (255 * 0.1 / 3)
    assert np.abs(result.pixels.mean(2) - wanted.mean(2)).max() < 1


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_values_beyond_the_range_are_clipped(precision: str) -> None:
    class Wild(Tint):
        def forward(self, x: Tensor) -> Tensor:
            return (x - 0.5) * 1e4

    ((result, _),) = ready(Wild(1), precision)([flat(red=True)])
    assert set(np.unique(result.pixels)) <= {0, 255}
    assert result.pixels[0, 0].tolist() == [255, 255, 255]


# Precision


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_is_computed_again_in_fp32_and_said(precision: str, value: float) -> None:
    fake = Fake(spoil=lambda weight: value if weight.dtype != torch.float32 else 0.5)
    results = ready(fake, precision)([flat(), flat(red=True), flat()])
    assert [remark for _, remark in results] == [
        None, f"{precision} gave NaN or infinity; computed again in fp32", None
    ]  # fmt: skip
    assert results[1][0].pixels[1, 1, 0] == 128
    assert [size[0] for size in fake.sizes] == [3, 1]  # only the one that was spoilt


def test_nan_in_fp32_is_not_computed_again() -> None:
    fake = Fake(spoil=lambda _: float("nan"))
    with pytest.raises(ImageError, match="NaN or infinity for it, even in fp32"):
        ready(fake)([flat(red=True)])
    assert len(fake.sizes) == 1


@pytest.mark.parametrize(("asked", "used"), [("auto", torch.float32), ("bf16", torch.bfloat16)])
def test_16_bit_is_computed_in_fp32_unless_asked(asked: str, used: torch.dtype, monkeypatch: Any) -> None:
    monkeypatch.setattr(translator, "choose_precision", lambda *_: device.Choice("bf16", "for the test"))
    kinds = []

    class Note(Fake):
        def forward(self, x: Tensor) -> Tensor:
            kinds.append(self.weight.dtype)
            return x

        def __deepcopy__(self, memo: object) -> "Note":
            return Note()

    translate = ready(Note(), asked)
    translate([flat()])
    translate([flat(dtype=np.uint16)])
    assert kinds == [torch.bfloat16, used]


def test_wrong_device_and_precision() -> None:
    for name in ("gpu", "cuda:99", "meta", ""):
        with pytest.raises(InputError, match=f"device '{name}' cannot be used: .") as caught:
            choose_device(name)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="unknown precision 'half'; there are auto, fp32, bf16, fp16, int8"):
        choose_precision("half", "cpu")
    assert choose_device("cpu").value == "cpu"


@pytest.mark.parametrize(
    ("amx", "avx512", "value", "why"),
    [(True, True, "bf16", "AMX"), (False, True, "bf16", "AVX512-BF16"), (False, False, "fp32", "slower")],
)
def test_precision_on_a_processor(amx: bool, avx512: bool, value: str, why: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    for name in ("cpu", "cpu:0"):
        choice = choose_precision("auto", name)
        assert choice.value == value
        assert why in choice.why


# Memory


@pytest.mark.parametrize(("free", "fits"), [(10_000_000, True), (300_000, False), (None, True)])
def test_too_little_memory_is_said_before_computing(
    free: int | None, fits: bool, shelf: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: free)
    translate = Translator(load(shelf / "cyclegan-night.safetensors"), **FP32, tile="off")
    picture = flat(64, 96)
    if fits:
        assert translate([picture])[0][0].pixels.shape == (64, 96, 3)
        return
    monkeypatch.setattr(translate._network, "placed", {})  # nothing may be computed
    with pytest.raises(ImageError, match=r"needs about 0.0 GB of memory, 0.0 GB are free; .* --size (\d+)") as caught:
        translate([picture])
    side = int(str(caught.value).split("--size ")[1].split()[0])
    again = resized(picture, side, 10**6)
    monkeypatch.setattr(translate._network, "placed", {"fp32": Fake()})
    assert translate([again])[0][0].pixels.shape[0] == side  # the advice is good


def test_needed_memory_grows_with_width_scale_and_precision(shelf: Path) -> None:
    class Wide(Fake):
        def __init__(self, scale: int, **config: Any) -> None:
            super().__init__(scale)
            self.config = config
            self.full_size = 0 if config.get("tail") == "direct" else config["width"]

    def needed(scale: int, itemsize: int, **config: Any) -> int:
        return memory.bytes_per_pixel(Model(Wide(scale, **config), "Fake", scale=scale), itemsize)

    # What was measured, as resident memory at its peak, and how far above it the estimate may be.
    for measured, estimate in (
        (752, needed(1, 4, width=32)),
        (1613, needed(1, 4, width=64)),
        (686, needed(1, 2, width=64)),
        (716, needed(4, 4, width=32, tail="direct")),
        (1228, needed(4, 4, width=64, tail="direct")),
        (716, needed(4, 2, width=64, tail="direct")),
        (6479, needed(4, 4, width=32, tail="staged")),
        (12287, needed(4, 4, width=64, tail="staged")),
        (6472, needed(4, 2, width=64, tail="staged")),
    ):
        assert measured <= estimate <= 1.35 * measured


def test_available_memory(monkeypatch: Any) -> None:
    free = device.available_bytes()
    if Path("/proc/meminfo").exists():
        assert free is not None
        assert 10**6 < free < 10**14
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError()))
    assert device.available_bytes() is None
