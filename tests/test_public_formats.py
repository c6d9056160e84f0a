"""Checkpoints of other projects: each network written out from its layer list with torch's own layers, and loaded."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from translate.checkpoints import load
from translate.errors import CheckpointError
from translate.evaluate.fidelity import compare
from translate.models import Model

DATA = Path(os.environ.get("TRANSLATE_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def randomised(network: nn.Module) -> nn.Module:
    """With weights and statistics that let every layer be seen in the output."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            inputs = module.weight[0].numel() if isinstance(module, nn.Conv2d) else module.in_channels * 4
            nn.init.normal_(module.weight, 0, (2 / inputs) ** 0.5)
            if module.bias is not None:
                nn.init.normal_(module.bias, 0, 0.1)
        elif isinstance(module, nn.PReLU):
            nn.init.uniform_(module.weight, 0.1, 0.9)
        elif getattr(module, "affine", False):
            nn.init.uniform_(module.weight, 0.5, 1.5)  # type: ignore[arg-type]
            nn.init.normal_(module.bias, 0, 0.3)  # type: ignore[arg-type]
        if getattr(module, "running_mean", None) is not None:
            nn.init.normal_(module.running_mean, 0, 0.3)  # type: ignore[arg-type]
            nn.init.uniform_(module.running_var, 0.5, 2)  # type: ignore[arg-type]
    return network.eval()


def saved(folder: Path, content: object, name: str = "net.pth") -> Path:
    torch.save(content, folder / name)
    return folder / name


def refusal(path: Path) -> str:
    with pytest.raises(CheckpointError) as caught:
        load(path)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def same(model: Model, public: nn.Module, x: Tensor) -> None:
    """In double precision, so that only a real difference shows."""
    expected, y = public.double()(x.double()), model.network.double()(x.double())
    assert expected.std() > 0.05  # not the trivial image
    assert y.shape == expected.shape
    assert (y - expected).abs().max() < 1e-5


def far(model: Model, size: int) -> int:
    """How many input pixels away the farthest one lies that an output pixel of the middle one depends on."""
    network = model.network.double()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.abs_().mul_(0.1).add_(1e-3)  # nothing cancels, and no tanh is flat
    x = torch.rand(1, 3, size, size, dtype=torch.float64, requires_grad=True)
    middle = size // 2 // model.multiple_of * model.multiple_of
    reach = 0
    for at in (middle, middle + model.multiple_of - 1):  # the two ends of what is unshuffled into one pixel
        cell = slice(at * model.scale, (at + 1) * model.scale)
        (grad,) = torch.autograd.grad(network(x)[..., cell, cell].sum(), x)
        rows = grad.sum((0, 1, 3)).nonzero().flatten()
        assert rows.min() > 0
        assert rows.max() < size - 1
        reach = max(reach, at - int(rows.min()), int(rows.max()) - at)
    return reach


# ResNet generators: CycleGAN's, CUT's, and other people's names


class Block(nn.Module):
    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class Down(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        line = torch.tensor([1.0, 2, 1])
        self.register_buffer("filt", (torch.outer(line, line) / 16).repeat(width, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, [1] * 4, mode="reflect"), self.filt, stride=2, groups=len(self.filt))


class Up(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        line = torch.tensor([1.0, 3, 3, 1])
        self.register_buffer("filt", (torch.outer(line, line) / 16).repeat(width, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)  # what the filter amounts to


def resnet(
    width: int = 4,
    blocks: int = 2,
    dropout: bool = False,
    norm: Callable[[int], nn.Module] = nn.InstanceNorm2d,
    blur_down: bool = False,
    blur_up: bool = False,
) -> nn.Sequential:
    layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), norm(width), nn.ReLU()]
    for n in (width, width * 2):
        layers += [nn.Conv2d(n, n * 2, 3, 1 if blur_down else 2, 1), norm(n * 2), nn.ReLU()]
        layers += [Down(n * 2)] * blur_down
    n = width * 4
    for _ in range(blocks):
        conv, again = ([nn.ReflectionPad2d(1), nn.Conv2d(n, n, 3), norm(n)] for _ in range(2))
        layers += [Block([*conv, nn.ReLU(), *[nn.Dropout(0.5)] * dropout, *again])]
    for n in (width * 2, width):
        if blur_up:
            layers += [Up(n * 2), nn.Conv2d(n * 2, n, 3, 1, 1), norm(n), nn.ReLU()]
        else:
            layers += [nn.ConvTranspose2d(n * 2, n, 3, 2, 1, output_padding=1), norm(n), nn.ReLU()]
    return nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())


def affine_norm(width: int) -> nn.Module:
    return nn.InstanceNorm2d(width, affine=True)


@pytest.mark.parametrize("blur_up", [False, True])
@pytest.mark.parametrize("norm", [nn.InstanceNorm2d, affine_norm])
@pytest.mark.parametrize("dropout", [False, True])
def test_cut(tmp_path: Path, blur_up: bool, norm: Callable[[int], nn.Module], dropout: bool) -> None:
    public = randomised(nn.ModuleDict({"model": resnet(4, 3, dropout, norm, True, blur_up)}))
    model = load(saved(tmp_path, public.state_dict()))
    assert (model.architecture, model.multiple_of, model.halo) == ("ResnetGenerator", 4, None)
    same(model, public["model"], torch.rand(2, 3, 24, 20) * 2 - 1)
    assert not any("other names" in note for note in model.notes)


def test_cut_with_another_filter_uses_that_one(tmp_path: Path) -> None:
    public = randomised(resnet(blur_down=True))
    for module in public.modules():
        if isinstance(module, Down):
            module.filt.copy_(torch.rand(module.filt.shape))
    same(load(saved(tmp_path, public.state_dict())), public, torch.rand(1, 3, 16, 20))


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("prefix", ["", "netG.", "module.", "model.model.", "module.netG.model.", "net.gen."])
def test_bare_sequence_and_prefixes(tmp_path: Path, dropout: bool, prefix: str) -> None:
    public = randomised(resnet(dropout=dropout))
    model = load(saved(tmp_path, {prefix + key: tensor for key, tensor in public.state_dict().items()}))
    same(model, public, torch.rand(1, 3, 20, 16) * 2 - 1)
    assert any("dropout" in note for note in model.notes) == dropout


def test_other_attribute_names_and_a_file_that_is_sorted(tmp_path: Path) -> None:
    public = randomised(resnet(4, 4, norm=affine_norm))
    state = public.state_dict()
    numbers = {"1": "initial.conv", "2": "initial.norm", "4": "enc.0.0", "5": "enc.0.1", "7": "enc.1.0", "8": "enc.1.1"}
    numbers |= {"14": "out.0", "15": "out.1", "17": "out.3", "18": "out.4", "21": "last"}
    renamed = {}
    for key, tensor in state.items():
        number, _, rest = key.partition(".")
        renamed[f"{numbers[number]}.{rest}" if number in numbers else f"res.{number}.{rest}"] = tensor
    model = load(saved(tmp_path, renamed))
    assert any("recognised by their order" in note for note in model.notes)
    same(model, public, torch.rand(1, 3, 16, 16) * 2 - 1)
    save_file(state, tmp_path / "net.safetensors")  # sorted as text: 10 before 4
    same(load(tmp_path / "net.safetensors"), public, torch.rand(1, 3, 16, 16) * 2 - 1)


def test_generator_beside_a_discriminator(tmp_path: Path) -> None:
    public = randomised(resnet())
    both = nn.ModuleDict({"netG": nn.ModuleDict({"model": public}), "netD": nn.Conv2d(3, 4, 3)})
    same(load(saved(tmp_path, {"state_dict": both.state_dict(), "epoch": 3})), public, torch.rand(1, 3, 16, 16))


def test_one_wrapper_of_any_name_and_several_networks(tmp_path: Path) -> None:
    public = randomised(resnet())
    state = public.state_dict()
    same(load(saved(tmp_path, {"G_A2B_weights": state, "step": 1})), public, torch.rand(1, 3, 16, 16))
    said = refusal(saved(tmp_path, {"G_A2B": state, "G_B2A": state}))
    assert "several networks (G_A2B, G_B2A)" in said


def test_one_input_channel_is_said(tmp_path: Path) -> None:
    state = resnet().state_dict()
    state["1.weight"] = state["1.weight"][:, :1].clone()
    assert "'1.weight' is (4, 1, 7, 7) where the other layers ask for (4, 3, 7, 7)" in refusal(saved(tmp_path, state))


# pix2pix


class Level(nn.Module):
    """One level of the public U-Net: what is inside it, and its input beside that, but for the outermost."""

    def __init__(self, layers: list[nn.Module], outermost: bool) -> None:
        super().__init__()
        self.model, self.outermost = nn.Sequential(*layers), outermost

    def forward(self, x: Tensor) -> Tensor:
        y = self.model(x)
        return y if self.outermost else torch.cat([x, y], 1)


def unet(width: int, depth: int, norm: Callable[[int], nn.Module], bias: bool, dropout: bool = False) -> nn.Module:
    sizes = [min(width * 2**n, width * 8) for n in range(depth)]
    inner: list[nn.Module] = []
    for n in range(depth - 1, 0, -1):
        down = [nn.LeakyReLU(0.2), nn.Conv2d(sizes[n - 1], sizes[n], 4, 2, 1, bias=bias)]
        down += [norm(sizes[n])] * bool(inner)
        up = [nn.ReLU(), nn.ConvTranspose2d(sizes[n] * (1 + bool(inner)), sizes[n - 1], 4, 2, 1, bias=bias)]
        up += [norm(sizes[n - 1]), *[nn.Dropout(0.5)] * (dropout and 3 < n < depth - 1)]
        inner = [Level([*down, *inner, *up], False)]
    ends = [nn.ReLU(), nn.ConvTranspose2d(sizes[0] * 2, 3, 4, 2, 1), nn.Tanh()]
    level = Level([nn.Conv2d(3, sizes[0], 4, 2, 1, bias=bias), *inner, *ends], True)
    network = nn.Module()
    network.model = level
    return network


def test_the_unet_is_the_published_one() -> None:
    with torch.device("meta"):
        state = unet(64, 8, nn.BatchNorm2d, False, True).state_dict()
    assert len(state) == 82
    parameters = [key for key in state if not key.endswith(("running_mean", "running_var", "num_batches_tracked"))]
    assert sum(state[key].numel() for key in parameters) == 54_413_955
    assert state["model.model.0.weight"].shape == (64, 3, 4, 4)
    assert state["model.model.3.weight"].shape == (128, 3, 4, 4)


@pytest.mark.parametrize("depth", [3, 5, 7, 8])
@pytest.mark.parametrize("norm", [nn.BatchNorm2d, nn.InstanceNorm2d, affine_norm])
def test_pix2pix(tmp_path: Path, depth: int, norm: Callable[[int], nn.Module]) -> None:
    batch = norm is nn.BatchNorm2d
    public = randomised(unet(2, depth, norm, bias=not batch, dropout=True))
    model = load(saved(tmp_path, public.state_dict()))
    assert (model.architecture, model.multiple_of, model.value_range) == ("UNetGenerator", 2**depth, (-1.0, 1.0))
    assert any("dropout" in note for note in model.notes)
    assert any("running statistics" in note for note in model.notes) == batch
    for module in public.modules():  # batch norm with the statistics of the batch, which is one image
        module.train(isinstance(module, nn.BatchNorm2d))
    same(model, public.model, torch.rand(1, 3, 2**depth, 2**depth * 2) * 2 - 1)  # type: ignore[arg-type]


def test_pix2pix_with_the_statistics_of_training(tmp_path: Path) -> None:
    public = randomised(unet(2, 4, nn.BatchNorm2d, False, dropout=True)).eval()
    model = load(saved(tmp_path, public.state_dict()), trained=True)
    assert not any("running statistics" in note for note in model.notes)
    same(model, public.model, torch.rand(1, 3, 16, 32) * 2 - 1)  # type: ignore[arg-type]
    without = unet(2, 4, affine_norm, True).state_dict()
    with pytest.raises(
        CheckpointError, match="has no batch norm with statistics of training, as --statistics training"
    ):
        load(saved(tmp_path, without), trained=True)


def test_statistics_by_command(tmp_path: Path, run: Any, photo: Any) -> None:
    file = saved(tmp_path, randomised(unet(2, 4, nn.BatchNorm2d, False)).state_dict())
    photo(tmp_path / "in.png", 32, 32)
    results = []
    for statistics in ("image", "training"):
        assert run("weights", "add", file, "--name", statistics, "--statistics", statistics).code == 0
        for n, options in enumerate((["--weights", file, "--statistics", statistics], ["--weights", statistics])):
            out = tmp_path / f"{statistics}{n}.png"
            assert run("cyclegan", "--src", tmp_path / "in.png", "--out", out, *options).code == 0
            results.append(out.read_bytes())
    assert results[0] == results[1] != results[2] == results[3]
    assert "'batch' is not one of 'image', 'training'" in run("weights", "add", file, "--statistics", "batch").err


# SRGAN


class SrganBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)
        self.prelu = nn.PReLU()
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1), nn.BatchNorm2d(width)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.bn2(self.conv2(self.prelu(self.bn1(self.conv1(x)))))


class SrganUp(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv, self.prelu = nn.Conv2d(width, width * 4, 3, padding=1), nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        return self.prelu(F.pixel_shuffle(self.conv(x), 2))


class PublicSrgan(nn.Module):
    def __init__(self, width: int, blocks: int, ups: int, merge: str) -> None:
        super().__init__()
        self.block1 = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        self.trunk = [f"block{n + 2}" for n in range(blocks)]
        for name in self.trunk:
            self.add_module(name, SrganBlock(width))
        last = nn.PReLU() if merge == "prelu" else nn.BatchNorm2d(width)
        self.trunk.append(f"block{blocks + 2}")
        self.add_module(self.trunk[-1], nn.Sequential(nn.Conv2d(width, width, 3, padding=1), last))
        tail = nn.Sequential(*(SrganUp(width) for _ in range(ups)), nn.Conv2d(width, 3, 9, padding=4))
        self.add_module(f"block{blocks + 3}", tail)
        self.end = f"block{blocks + 3}"

    def forward(self, x: Tensor) -> Tensor:
        first = y = self.block1(x)
        for name in self.trunk:
            y = self.get_submodule(name)(y)
        return (torch.tanh(self.get_submodule(self.end)(first + y)) + 1) / 2


@pytest.mark.parametrize("merge", ["norm", "prelu"])
@pytest.mark.parametrize(("blocks", "ups"), [(5, 2), (1, 1), (10, 3)])
def test_srgan(tmp_path: Path, merge: str, blocks: int, ups: int) -> None:
    public = randomised(PublicSrgan(4, blocks, ups, merge))
    model = load(saved(tmp_path, public.state_dict()))
    assert (model.architecture, model.scale, model.value_range) == ("SRGAN", 2**ups, (0.0, 1.0))
    same(model, public, torch.rand(2, 3, 8, 9))
    if blocks == 1:
        assert far(model, 31) == model.halo


# RRDBNet in its three naming schemes


class Dense(nn.Module):
    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        for n in range(5):
            self.add_module(f"conv{n + 1}", nn.Conv2d(width + n * growth, growth if n < 4 else width, 3, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for n in range(4):
            seen.append(F.leaky_relu(self.get_submodule(f"conv{n + 1}")(torch.cat(seen, 1)), 0.2))
        return x + 0.2 * self.conv5(torch.cat(seen, 1))


class Rrdb(nn.Module):
    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.rdb1, self.rdb2, self.rdb3 = (Dense(width, growth) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.2 * self.rdb3(self.rdb2(self.rdb1(x)))


class PublicRrdb(nn.Module):
    def __init__(self, width: int = 6, growth: int = 4, blocks: int = 2, scale: int = 4) -> None:
        super().__init__()
        self.unshuffle = 4 // scale
        self.conv_first = nn.Conv2d(3 * self.unshuffle**2, width, 3, 1, 1)
        self.body = nn.Sequential(*(Rrdb(width, growth) for _ in range(blocks)))
        self.conv_body, self.conv_up1, self.conv_up2, self.conv_hr = (nn.Conv2d(width, width, 3, 1, 1) for _ in "abcd")
        self.conv_last = nn.Conv2d(width, 3, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_first(F.pixel_unshuffle(x, self.unshuffle))
        x = x + self.conv_body(self.body(x))
        for conv in (self.conv_up1, self.conv_up2):
            x = F.leaky_relu(conv(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(self.conv_hr(x), 0.2))


def esrgan_name(key: str, blocks: int) -> str:
    key = re.sub(r"body\.(\d+)\.rdb", r"RRDB_trunk.\1.RDB", key)
    for ours, theirs in (("conv_body", "trunk_conv"), ("conv_up", "upconv"), ("conv_hr", "HRconv")):
        key = key.replace(ours, theirs)
    return key


def first_name(key: str, blocks: int) -> str:
    key = re.sub(r"body\.(\d+)\.rdb(\d)\.conv(\d)", r"model.1.sub.\1.RDB\2.conv\3.0", key)
    layers = ("conv_first", "conv_body", "conv_up1", "conv_up2", "conv_hr", "conv_last")
    for layer, place in zip(layers, ("0", f"1.sub.{blocks}", "3", "6", "8", "10"), strict=True):
        key = key.replace(layer, f"model.{place}")
    return key


def test_the_dense_network_is_the_published_one() -> None:
    with torch.device("meta"):
        sizes = {n: PublicRrdb(64, 32, *n).state_dict() for n in ((23, 4), (23, 2), (6, 4))}
    counted = {n: (len(state), sum(t.numel() for t in state.values())) for n, state in sizes.items()}
    assert counted == {(23, 4): (702, 16_697_987), (23, 2): (702, 16_703_171), (6, 4): (192, 4_467_779)}
    assert first_name("body.22.rdb3.conv5.weight", 23) == "model.1.sub.22.RDB3.conv5.0.weight"


@pytest.mark.parametrize("name", [lambda key, blocks: key, esrgan_name, first_name], ids=["BasicSR", "ESRGAN", "first"])
@pytest.mark.parametrize("scale", [1, 2, 4])
@pytest.mark.parametrize("blocks", [1, 3])
def test_rrdb(tmp_path: Path, name: Callable[[str, int], str], scale: int, blocks: int) -> None:
    public = randomised(PublicRrdb(blocks=blocks, scale=scale))
    state = {name(key, blocks): tensor for key, tensor in public.state_dict().items()}
    model = load(saved(tmp_path, {"params_ema": state}))
    assert (model.architecture, model.scale, model.multiple_of) == ("RRDBNet", scale, 4 // scale)
    same(model, public, torch.rand(2, 3, 8, 12))
    if blocks == 1 and name is first_name:
        assert far(model, 61 * model.multiple_of) == model.halo


# SRVGGNetCompact


class PublicCompact(nn.Module):
    def __init__(self, width: int, convs: int, scale: int) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, 1, 1), nn.PReLU(width)]
        for _ in range(convs):
            layers += [nn.Conv2d(width, width, 3, 1, 1), nn.PReLU(width)]
        self.body = nn.ModuleList([*layers, nn.Conv2d(width, 3 * scale**2, 3, 1, 1)])
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer in self.body:
            y = layer(y)
        return F.pixel_shuffle(y, self.scale) + F.interpolate(x, scale_factor=self.scale, mode="nearest")


@pytest.mark.parametrize(("convs", "tensors", "parameters"), [(16, 53, 621_424), (32, 101, 1_213_296)])
def test_the_compact_network_is_the_published_one(convs: int, tensors: int, parameters: int) -> None:
    state = PublicCompact(64, convs, 4).state_dict()
    assert (len(state), sum(t.numel() for t in state.values())) == (tensors, parameters)


@pytest.mark.parametrize("scale", [1, 2, 3, 4])
@pytest.mark.parametrize("convs", [0, 2, 5])
def test_compact(tmp_path: Path, scale: int, convs: int) -> None:
    public = randomised(PublicCompact(5, convs, scale))
    model = load(saved(tmp_path, {"params": public.state_dict()}))
    assert (model.architecture, model.scale, model.multiple_of) == ("SRVGGNetCompact", scale, 1)
    same(model, public, torch.rand(2, 3, 7, 9))
    assert far(model, 21) == model.halo


# Real files


@pytest.mark.parametrize(
    ("name", "expected"),
    [("realesr-animevideov3-x4.fp16.pth", 28.25), ("srgan_leftthomas_x4_netG_epoch_100.pth", 30.70)],
)
def test_a_real_file_scores_what_it_did_elsewhere(name: str, expected: float) -> None:
    folder = DATA / "sr_bench" / "Set5"
    if not folder.is_dir() or not (DATA / "checkpoints" / name).is_file():
        pytest.skip(f"{DATA} lacks sr_bench/Set5 or checkpoints/{name}; TRANSLATE_DATA names the folder with both")
    model, figures = load(DATA / "checkpoints" / name), []
    for path in sorted((folder / "LRx4").glob("*.png")):
        with Image.open(path) as low, Image.open(folder / "HR" / path.name) as high:
            x = torch.from_numpy(np.array(low.convert("RGB"))).permute(2, 0, 1)[None] / 255
            y = (model.network(x)[0].permute(1, 2, 0) * 255).round().clamp(0, 255).byte().numpy()
            original = np.asarray(high.convert("RGB"))[: y.shape[0], : y.shape[1]]
            figures.append(compare(original, y, "y", 4)["psnr"])
    assert np.mean(figures) == pytest.approx(expected, abs=0.02)
