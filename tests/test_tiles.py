"""Large pictures in parts: the result is that of the whole picture, in bounded memory."""

import errno
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import Tensor

from translate import memory, scratch, translator
from translate.bands import in_bands
from translate.errors import ImageError, InputError
from translate.images import Picture
from translate.models import ARCHITECTURES, Model, srgan
from translate.models.compact import SRVGGNetCompact
from translate.models.cyclegan import ResnetGenerator
from translate.models.rrdb import RRDBNet
from translate.models.srgan import SRResNet
from translate.models.srgan_bn import SRGAN
from translate.scratch import Rows
from translate.tiles import in_tiles
from translate.translator import Translator

GENERATORS = [
    {"skip": True},
    {"transposed": True},
    {"affine": True, "skip": True},
    {"transposed": True, "affine": True},
    {"blur_down": True, "blur_up": True},
    {"blur_down": True, "affine": True, "skip": True},
]


def generator(**options: Any) -> ResnetGenerator:
    """One whose norms have something to do: activations far from mean 0 and variance 1."""
    torch.manual_seed(1)
    network = ResnetGenerator(8, 2, **options).eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.normal_(0.05, 0.2) if parameter.dim() > 1 else parameter.normal_(1, 0.3)
    network.head.weight.normal_(0, 0.01)  # so that the tanh is not at its ends
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


def pixels(height: int, width: int) -> Tensor:
    torch.manual_seed(2)
    slope = torch.linspace(-1, 1, height).view(-1, 1) + torch.linspace(-0.5, 0.5, width)  # no part is like another
    return (slope + torch.rand(1, 3, height, width) * 0.5).clamp(-1, 1)


def source_of(x: Tensor) -> Callable[[int, int, int, int], Tensor]:
    return lambda top, bottom, left, right: x[:, :, top:bottom, left:right]


def joined(parts: Any, like: Tensor) -> Tensor:
    """The parts put together; each pixel has to be given exactly once."""
    result, given = torch.zeros_like(like), torch.zeros(like.shape[2:])
    for top, left, part in parts:
        result[:, :, top : top + part.shape[2], left : left + part.shape[3]] = part
        given[top : top + part.shape[2], left : left + part.shape[3]] += 1
    assert (given == 1).all()
    return result


@pytest.mark.parametrize("options", GENERATORS, ids=lambda options: "-".join(options))
@pytest.mark.parametrize(("height", "width", "rows"), [(64, 20, 16), (52, 36, 20), (36, 16, 4), (16, 16, 1000)])
@pytest.mark.parametrize("kept", [1 << 30, 0], ids=["memory", "file"])
def test_bands_with_instance_norm_are_exact(
    options: dict[str, bool], height: int, width: int, rows: int, kept: int
) -> None:
    network, x = generator(**options), pixels(height, width)
    whole = network(x)
    parts = joined(in_bands(network, source_of(x), height, width, rows=rows, memory=kept), whole)
    torch.testing.assert_close(parts, whole, rtol=0, atol=1e-4)
    if height > 16:  # half of the picture, by itself, gives something else
        half = network(x[:, :, : height // 8 * 4])
        assert (half - whole[:, :, : half.shape[2]]).abs().mean() > 1e-2


def test_statistics_survive_a_mean_far_from_zero() -> None:
    network = generator()
    network.stem.conv.weight.mul_(1e-3).add_(1)
    x = pixels(64, 32) * 1e-3 + 0.9
    double = generator().double()
    double.load_state_dict(network.state_dict())
    y = double.stem.conv(torch.nn.functional.pad(x.double(), [3] * 4, mode="reflect"))
    y = torch.relu((y - y.mean((2, 3), keepdim=True)) / (y.var((2, 3), correction=0, keepdim=True) + 1e-5).sqrt())
    expected = double.finish(double.drawn(y), x.double())
    parts = joined(in_bands(network, source_of(x), 64, 32, rows=16, memory=1 << 30), x)
    torch.testing.assert_close(parts, expected.float(), rtol=0, atol=2e-2)


CONVOLUTIONS = {
    "direct": lambda: SRResNet(8, 2, tail="direct"),
    "staged": lambda: SRResNet(8, 2, tail="staged"),
    "compact": lambda: SRVGGNetCompact(8, 3),
    "srgan": lambda: SRGAN(8, 2),
    "rrdb": lambda: RRDBNet(8, 4, 1),
    "rrdb x2": lambda: RRDBNet(8, 4, 1, unshuffle=2),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize(("height", "width", "side"), [(40, 24, 16), (18, 50, 13), (6, 4, 64), (70, 2, 8)])
def test_tiles_of_convolutions_are_exact(name: str, height: int, width: int, side: int) -> None:
    torch.manual_seed(0)
    network = CONVOLUTIONS[name]().eval().requires_grad_(False)
    for parameter in network.parameters():
        parameter.add_(torch.randn_like(parameter) * 0.05)  # some begin at 0
    (architecture,) = (kind for kind in ARCHITECTURES if kind.name == type(network).__name__)
    model = architecture.model(network)
    assert model.halo is not None
    x = pixels(height, width)
    whole = network(x)
    parts = in_tiles(
        network,
        source_of(x),
        height,
        width,
        side=side,
        halo=model.halo,
        multiple=model.multiple_of,
        scale=model.scale,
    )
    torch.testing.assert_close(joined(parts, whole), whole, rtol=0, atol=1e-5 * float(whole.abs().max()))


def test_a_smaller_halo_would_be_seen() -> None:
    torch.manual_seed(0)
    network, x = SRResNet(8, 2, tail="direct").eval().requires_grad_(False), pixels(40, 40)
    whole = network(x)
    parts = in_tiles(network, source_of(x), 40, 40, side=16, halo=2, scale=4)
    assert (joined(parts, whole) - whole).abs().max() > 1e-4


def test_tiles_keep_to_the_sides_that_the_network_takes() -> None:
    sides = set()

    def network(x: Tensor) -> Tensor:
        sides.update(side % 4 for side in x.shape[2:])
        return x

    x = pixels(44, 60)
    parts = in_tiles(network, source_of(x), 44, 60, side=19, halo=3, multiple=4)  # type: ignore[arg-type]
    torch.testing.assert_close(joined(parts, x), x)
    assert sides == {0}


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_a_picture_in_parts_is_the_picture(precision: str, dtype: Any) -> None:
    networks = (Model(generator(skip=True), "ResnetGenerator", multiple_of=4, minimum=16, value_range=(-1, 1)),)
    torch.manual_seed(0)
    small = SRResNet(8, 2, tail="direct").eval().requires_grad_(False)
    networks += (Model(small, "SRResNet", scale=4, halo=srgan.halo(small)),)
    top = np.iinfo(dtype).max
    picture = Picture((np.asarray(pixels(75, 41)[0].permute(1, 2, 0)) * top / 2 + top / 2).astype(dtype))
    for model in networks:
        results = [
            Translator(model, "cpu", precision, tile)([picture])[0][0].pixels.astype(np.int64)
            for tile in ("off", 20, "auto")
        ]
        for other in results[1:]:
            assert results[0].shape == other.shape
            assert np.abs(results[0] - other).max() <= (1 if precision == "fp32" and dtype == np.uint8 else 0.01 * top)


def test_auto_takes_what_fits(monkeypatch: Any) -> None:
    model = Model(generator(), "ResnetGenerator", multiple_of=4, minimum=16, value_range=(-1, 1))
    picture = Picture(np.zeros((400, 32, 3), np.uint8))
    for free, bands in ((10**9, 0), (400 * 32 * 248, 1)):
        monkeypatch.setattr(memory, "available_bytes", lambda free=free: free)
        used = []
        monkeypatch.setattr(translator, "in_bands", lambda *a, used=used, **k: used.append(k) or in_bands(*a, **k))
        assert Translator(model, "cpu", "fp32")([picture] * 2)[1][0].pixels.shape == (400, 32, 3)
        assert len(used) == bands * 2
        assert all(k["rows"] < 400 for k in used)


def test_out_of_memory_halves_the_parts(monkeypatch: Any) -> None:
    model = Model(ResnetGenerator(4, 1).eval(), "ResnetGenerator", multiple_of=4, minimum=16)
    asked = []

    def short(*arguments: Any, rows: int, **options: Any) -> Any:
        asked.append(rows)
        if rows > 100:
            raise torch.OutOfMemoryError("for the test")
        return in_bands(*arguments, rows=rows, **options)

    translate = Translator(model, "cpu", "fp32")
    monkeypatch.setattr(translator, "in_bands", short)
    monkeypatch.setattr(memory, "tile_side", lambda *_: 300)
    picture = Picture(np.zeros((400, 320, 3), np.uint8))
    assert translate([picture])[0][0].pixels.shape == (400, 320, 3)
    assert asked == [300, 150, 75]
    monkeypatch.setattr(memory, "SMALLEST", 500)
    with pytest.raises(torch.OutOfMemoryError):
        translate([picture])


def test_out_of_memory_for_a_batch_takes_one_at_a_time() -> None:
    class Short(torch.nn.Conv2d):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) > 1:
                raise torch.OutOfMemoryError("for the test")
            return x

    pictures = [Picture(np.full((8, 8, 3), n, np.uint8)) for n in range(3)]
    results = Translator(Model(Short(3, 3, 1), "Short", halo=0), "cpu", "fp32")(pictures)
    assert [int(result.pixels[0, 0, 0]) for result, _ in results] == [0, 1, 2]


def test_a_network_that_needs_the_whole_picture() -> None:
    model = Model(torch.nn.Conv2d(3, 3, 1), "UNet")
    with pytest.raises(InputError, match="--tile 64: a UNet needs the whole picture; leave --tile out"):
        Translator(model, "cpu", "fp32", 64)


def test_scratch_file_leaves_nothing_and_says_when_there_is_no_room(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(scratch.tempfile, "gettempdir", lambda: str(tmp_path))
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    for dtype in (torch.float32, torch.bfloat16):
        x = torch.randn(1, 3, 10, 7).to(dtype)
        with Rows(10, 7, 3, dtype, 0) as rows:
            rows.write(0, x[:, :, :6])
            rows.write(6, x[:, :, 6:])
            assert torch.equal(rows.read(0, 10), x)
            assert torch.equal(rows.read(5, 8), x[:, :, 5:8])
            assert list(tmp_path.iterdir()) == []  # it has no name, so no crash can leave it
    usage = shutil.disk_usage(tmp_path)._replace(free=100)
    monkeypatch.setattr(scratch.shutil, "disk_usage", lambda _: usage)
    with pytest.raises(ImageError, match=r"needs 0.0 GB in .*, where 0.0 GB are free; make room, .*--size"):
        Rows(10, 7, 3, torch.float32, 0)


def test_what_is_kept_has_its_room_from_the_start(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(scratch.tempfile, "tempdir", str(tmp_path))
    with Rows(10, 7, 3, torch.float32, 0) as rows:
        if hasattr(os, "posix_fallocate"):  # or three of them would each be shown the same room
            assert os.fstat(rows._file.fileno()).st_size == 10 * 7 * 3 * 4
        full = OSError(errno.ENOSPC, "No space left on device")
        with monkeypatch.context() as disk:
            disk.setattr(rows, "_file", Mock(write=Mock(side_effect=full)))
            with pytest.raises(ImageError, match=r"cannot be kept in .* \(No space left .*\); make room, .*--size"):
                rows.write(0, torch.zeros(1, 3, 2, 7))


def test_parts_are_made_where_nobody_knows_how_much_is_free(monkeypatch: Any) -> None:
    model = Model(SRResNet(64, 16, tail="direct"), "SRResNet", scale=4, halo=34)
    monkeypatch.setattr(memory, "available_bytes", lambda: None)
    assert memory.tile_side(model, 4, (1, 9000, 12000), memory.budget("cpu", model)) is not None
    assert memory.tile_side(model, 4, (1, 256, 256), memory.budget("cpu", model)) is None


def test_command(run: Any, photo: Any, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    photo(Path("in/a.png"), 90, 50)
    for tile, out in (("off", "whole"), ("32", "parts")):
        for command in ("cyclegan --src in --to night", "upscale in"):
            name = f"{out}-{command.split()[0]}"
            assert run(*command.split(), "--tile", tile, "--out", name, "--precision", "fp32").code == 0
    from translate import images

    for name in ("cyclegan", "upscale"):
        whole, parts = (images.read(f"{kind}-{name}/a.png").pixels.astype(int) for kind in ("whole", "parts"))
        assert np.abs(whole - parts).max() <= 1
    for tile in ("0", "-1", "all", "15"):
        ran = run("upscale", "in", "--tile", tile)
        assert ran.code == 2
        assert f"--tile is {tile!r}; it takes auto, off, or a number of pixels from 16" in ran.err
