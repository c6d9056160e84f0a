import os
import pickle
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional

from translate.checkpoints import load, read_tensors
from translate.errors import CheckpointError
from translate.models.cyclegan import ResnetGenerator
from translate.models.srgan import SRResNet
from translate.weights.files import save_weights

# The two public networks, written out from their papers' layer lists with nothing but torch's own layers.


class PublicBlock(nn.Module):
    def __init__(self, width: int, dropout: bool, norm: Callable[[int], nn.Module], bias: bool) -> None:
        super().__init__()
        conv = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), norm(width)]
        again = [nn.ReflectionPad2d(1), nn.Conv2d(width, width, 3, bias=bias), norm(width)]
        self.conv_block = nn.Sequential(*conv, nn.ReLU(), *[nn.Dropout(0.5)] * dropout, *again)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class PublicCycleGan(nn.Module):
    def __init__(
        self,
        width: int = 8,
        blocks: int = 2,
        dropout: bool = False,
        norm: Callable[[int], nn.Module] = nn.InstanceNorm2d,
        bias: bool = True,
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7, bias=bias), norm(width), nn.ReLU()]
        for n in (width, width * 2):
            layers += [nn.Conv2d(n, n * 2, 3, 2, 1, bias=bias), norm(n * 2), nn.ReLU()]
        layers += [PublicBlock(width * 4, dropout, norm, bias) for _ in range(blocks)]
        for n in (width * 2, width):
            layers += [nn.ConvTranspose2d(n * 2, n, 3, 2, 1, output_padding=1, bias=bias), norm(n), nn.ReLU()]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class PublicSrBlock(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width, width, 3, 1, 1)
        self.conv2 = nn.Conv2d(width, width, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv2(functional.relu(self.conv1(x)))


class PublicSrResNet(nn.Module):
    def __init__(self, width: int = 8, blocks: int = 2, scale: int = 4) -> None:
        super().__init__()
        self.scale, factor = scale, 3 if scale == 3 else 2
        self.conv_first = nn.Conv2d(3, width, 3, 1, 1)
        self.body = nn.Sequential(*[PublicSrBlock(width) for _ in range(blocks)])
        self.upconv1 = nn.Conv2d(width, width * factor**2, 3, 1, 1)
        if scale == 4:
            self.upconv2 = nn.Conv2d(width, width * 4, 3, 1, 1)
        self.conv_hr = nn.Conv2d(width, width, 3, 1, 1)
        self.conv_last = nn.Conv2d(width, 3, 3, 1, 1)
        self.shuffle, self.act = nn.PixelShuffle(factor), nn.LeakyReLU(0.1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.body(self.act(self.conv_first(x)))
        y = self.act(self.shuffle(self.upconv1(y)))
        if self.scale == 4:
            y = self.act(self.shuffle(self.upconv2(y)))
        y = self.conv_last(self.act(self.conv_hr(y)))
        return y + nn.Upsample(scale_factor=self.scale, mode="bilinear", align_corners=False)(x)


def affine_norm(width: int) -> nn.Module:
    return nn.InstanceNorm2d(width, affine=True)


def tracking_norm(width: int) -> nn.Module:
    return nn.InstanceNorm2d(width, track_running_stats=True)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


def randomised(network: nn.Module) -> nn.Module:
    """With weights that let every layer be seen in the output: norms and biases are not 1 and 0."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape) * (0.15 if parameter.dim() == 4 else 0.5))
    return network.eval()


def saved(folder: Path, content: object, name: str = "net.pth", **options: bool) -> Path:
    torch.save(content, folder / name, **options)
    return folder / name


def refusal(path: Path) -> str:
    """What `load` says when it refuses; always one line that names the file."""
    with pytest.raises(CheckpointError) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    assert len(message) < 300
    return message


# Public files


def test_the_independent_networks_are_the_published_ones() -> None:
    with torch.device("meta"):
        generator = PublicCycleGan(64, 9).state_dict()
        upscaler = PublicSrResNet(64, 16).state_dict()
    assert (len(generator), sum(t.numel() for t in generator.values())) == (48, 11_378_179)
    assert (len(upscaler), sum(t.numel() for t in upscaler.values())) == (74, 1_517_571)
    shapes = {
        "model.1.weight": (64, 3, 7, 7),
        "model.18.conv_block.5.weight": (256, 256, 3, 3),
        "model.19.weight": (256, 128, 3, 3),
        "model.22.bias": (64,),
        "model.26.weight": (3, 64, 7, 7),
    }
    assert {key: tuple(generator[key].shape) for key in shapes} == shapes
    assert "model.16.conv_block.6.weight" in PublicCycleGan(8, 9, dropout=True).state_dict()
    assert upscaler["upconv2.weight"].shape == (256, 64, 3, 3)


@pytest.mark.parametrize("blocks", [1, 2, 6])
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("norm", [nn.InstanceNorm2d, affine_norm])
def test_public_cyclegan_gives_the_same_images(
    tmp_path: Path, blocks: int, dropout: bool, norm: Callable[[int], nn.Module]
) -> None:
    public = randomised(PublicCycleGan(8, blocks, dropout, norm))
    model = load(saved(tmp_path, public.state_dict()))
    x = torch.rand(2, 3, 24, 16) * 2 - 1
    assert (model.network(x) - public(x)).abs().max() < 1e-4
    assert public(x).std() > 0.1  # not the trivial image
    affine = norm is affine_norm
    assert model.network.config == {"width": 8, "blocks": blocks, "transposed": True, "affine": affine, "skip": False}
    assert model.architecture == "ResnetGenerator"
    assert (model.scale, model.multiple_of, model.minimum) == (1, 4, 16)
    assert (model.value_range, model.halo) == ((-1.0, 1.0), None)
    assert "conv biases before instance norm dropped: they have no effect" in model.notes
    assert any("dropout" in note for note in model.notes) == dropout


def test_cyclegan_from_before_torch_04(tmp_path: Path) -> None:
    old, new = PublicCycleGan(norm=tracking_norm), PublicCycleGan()
    randomised(new)
    old.load_state_dict(new.state_dict(), strict=False)
    state = old.state_dict()
    assert "model.11.conv_block.6.running_var" in state
    assert "model.2.num_batches_tracked" in state
    model = load(saved(tmp_path, state, _use_new_zipfile_serialization=False))
    x = torch.rand(1, 3, 16, 20) * 2 - 1
    assert (model.network(x) - new(x)).abs().max() < 1e-4
    assert any("running statistics" in note for note in model.notes)


def test_cyclegan_with_batch_norm_is_another_network(tmp_path: Path) -> None:
    public = PublicCycleGan(norm=nn.BatchNorm2d, bias=False)
    assert "'model.2.running_mean'" in refusal(saved(tmp_path, public.state_dict()))


@pytest.mark.parametrize("scale", [2, 4])
@pytest.mark.parametrize("wrapper", ["params", "params_ema"])
def test_public_srresnet_gives_the_same_images(tmp_path: Path, scale: int, wrapper: str) -> None:
    public = randomised(PublicSrResNet(8, 3, scale))
    model = load(saved(tmp_path, {wrapper: public.state_dict()}))
    x = torch.rand(2, 3, 9, 7)
    assert (model.network(x) - public(x)).abs().max() < 1e-4
    assert model.network.config == {"width": 8, "blocks": 3, "scale": scale, "tail": "staged"}
    assert (model.architecture, model.scale, model.multiple_of, model.minimum) == ("SRResNet", scale, 1, 1)
    assert (model.value_range, model.notes) == ((0.0, 1.0), ())


# Our own files


@pytest.mark.parametrize(
    "network",
    [
        ResnetGenerator(8, 2),
        ResnetGenerator(12, 3, transposed=True),
        ResnetGenerator(8, 1, skip=True),
        ResnetGenerator(8, 1, affine=True),
        ResnetGenerator(8, 0, transposed=True, affine=True),
        SRResNet(8, 2, 4, "direct"),
        SRResNet(8, 1, 3, "direct"),
        SRResNet(6, 2, 4),
        SRResNet(6, 2, 8),
    ],
    ids=lambda network: "-".join(map(str, network.config.values())),
)
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_own_files(tmp_path: Path, network: nn.Module, suffix: str) -> None:
    randomised(network)
    if suffix == ".pth":
        path = saved(tmp_path, network.state_dict())
    else:
        save_weights(path := tmp_path / "net.safetensors", network)
        network.load_state_dict({key: tensor.half().float() for key, tensor in network.state_dict().items()})
    model = load(path)
    assert model.network.config == network.config
    assert type(model.network) is type(network)
    x = torch.rand(1, 3, 16, 16)
    assert (model.network(x) - network(x)).abs().max() < 1e-4
    assert model.notes == ()


def test_is_ready_to_run(tmp_path: Path) -> None:
    path = saved(tmp_path, {key: t.double() for key, t in SRResNet(8, 1).state_dict().items()})
    network = load(path).network
    assert not network.training
    for parameter in network.parameters():
        assert (parameter.dtype, parameter.device.type, parameter.requires_grad) == (torch.float32, "cpu", False)
        assert parameter.dim() != 4 or parameter.is_contiguous(memory_format=torch.channels_last)


def test_does_not_hold_on_to_the_file(tmp_path: Path) -> None:
    save_file(SRResNet(8, 1).state_dict(), path := tmp_path / "net.safetensors")
    network = load(path).network
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


def test_neither_draws_random_numbers_nor_imports_the_compiler(tmp_path: Path) -> None:
    path = saved(tmp_path, ResnetGenerator(8, 1).state_dict())
    code = (
        "import sys, torch; from translate.checkpoints import load; seed = torch.get_rng_state();"
        f"load({str(path)!r}); assert torch.equal(seed, torch.get_rng_state()); assert 'sympy' not in sys.modules"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)


@pytest.mark.parametrize("tail", ["staged", "direct"])
@pytest.mark.parametrize("scale", [2, 4, 8])
def test_halo_is_what_an_output_pixel_sees(tmp_path: Path, tail: str, scale: int) -> None:
    network = SRResNet(4, 1, scale, tail)  # type: ignore[arg-type]
    state = {key: tensor.abs() + 0.01 for key, tensor in network.state_dict().items()}  # nothing cancels
    model = load(saved(tmp_path, state))
    assert model.halo is not None
    middle = model.halo + 2
    x = torch.rand(1, 3, 2 * middle + 1, 2 * middle + 1, requires_grad=True)
    cell = slice(middle * scale, (middle + 1) * scale)
    model.network(x)[..., cell, cell].sum().backward()
    assert x.grad is not None
    rows = x.grad.sum((0, 1, 3)).nonzero().flatten()
    assert (rows.min().item(), rows.max().item()) == (middle - model.halo, middle + model.halo)


# Wrappers and prefixes


@pytest.mark.parametrize("wrapper", ["params_ema", "params", "state_dict", "model", "generator"])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_wrappers_and_prefix(tmp_path: Path, wrapper: str, prefix: str) -> None:
    state = {prefix + key: tensor for key, tensor in SRResNet(8, 1).state_dict().items()}
    path = saved(tmp_path, {"epoch": 3, wrapper: state, "optimizer": {"lr": 1e-4}})
    assert read_tensors(path).keys() == SRResNet(8, 1).state_dict().keys()
    assert load(path).architecture == "SRResNet"


def test_moving_average_goes_first_and_wrappers_nest(tmp_path: Path) -> None:
    raw, average = SRResNet(8, 1).state_dict(), SRResNet(8, 1).state_dict()
    state = load(saved(tmp_path, {"state_dict": {"params": raw, "params_ema": average}})).network.state_dict()
    assert torch.equal(state["head.weight"], average["head.weight"])
    assert not torch.equal(state["head.weight"], raw["head.weight"])


def test_a_wrapper_that_holds_itself(tmp_path: Path) -> None:
    content: dict[str, object] = {}
    content["params"] = content
    assert "holds no network's tensors" in refusal(saved(tmp_path, content))


@pytest.mark.parametrize("suffix", [".pth", ".pt", ".bin", ".PTH"])
@pytest.mark.parametrize("zipped", [False, True])
def test_suffixes_and_both_kinds_of_pickle(tmp_path: Path, suffix: str, zipped: bool) -> None:
    state = SRResNet(8, 1).state_dict()
    path = saved(tmp_path, state, f"net{suffix}", _use_new_zipfile_serialization=zipped)
    assert path.read_bytes().startswith(b"PK") == zipped
    read = read_tensors(path)
    assert read.keys() == state.keys()
    assert all(torch.equal(read[key], state[key]) for key in state)


# Files that must not run


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, (f"echo > {self.marker}",)


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("inside", ["alone", "beside"])
def test_code_in_a_pickle_does_not_run(tmp_path: Path, zipped: bool, inside: str) -> None:
    bomb = Bomb(tmp_path / "ran")
    state = {**SRResNet(8, 1).state_dict(), "extra": bomb} if inside == "beside" else bomb
    path = saved(tmp_path, state, _use_new_zipfile_serialization=zipped)
    message = refusal(path)
    assert "holds Python objects, which could run code" in message
    assert "system" in message
    assert "convert it to safetensors" in message
    assert not bomb.marker.exists()
    torch.load(path, weights_only=False)
    assert bomb.marker.exists()  # it was live


@pytest.mark.parametrize("protocol", range(6))
def test_code_in_a_bare_pickle_does_not_run(tmp_path: Path, protocol: int) -> None:
    bomb = Bomb(tmp_path / "ran")
    (path := tmp_path / "net.pth").write_bytes(pickle.dumps(bomb, protocol))
    assert "Python objects" in refusal(path) or "not a checkpoint" in refusal(path)
    assert not bomb.marker.exists()
    pickle.loads(path.read_bytes())
    assert bomb.marker.exists()


def test_whole_modules_are_refused(tmp_path: Path) -> None:
    path = saved(tmp_path, nn.Linear(2, 2))
    assert "Python objects" in refusal(path)
    assert "Linear" in refusal(path)


def test_torchscript_is_refused(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.jit.save(torch.jit.script(nn.Linear(2, 2)), tmp_path / "net.pt")
    assert "Python objects, which could run code when they are read (TorchScript)" in refusal(tmp_path / "net.pt")


def test_torchs_own_warnings_are_kept_quiet(tmp_path: Path) -> None:
    (path := tmp_path / "net.pth").write_bytes(pickle.dumps({"a": 1}, 4))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        refusal(path)
    assert not caught


# Files that are damaged, or none


def test_missing_folder_and_suffix(tmp_path: Path) -> None:
    assert "is missing" in refusal(tmp_path / "net.pth")
    (tmp_path / "folder.pth").mkdir()
    assert "is a folder" in refusal(tmp_path / "folder.pth")
    (tmp_path / "net.jpg").write_bytes(b"x")
    assert "known are .safetensors, .pth" in refusal(tmp_path / "net.jpg")


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
@pytest.mark.parametrize(
    "content", [b"", b"hello, world\n" * 9, b"\x89PNG\r\n\x1a\n" + bytes(99), b"PK\x03\x04", b"\x80"]
)
def test_not_a_checkpoint(tmp_path: Path, suffix: str, content: bytes) -> None:
    (path := tmp_path / f"net{suffix}").write_bytes(content)
    assert ("truncated" if content else "empty") in refusal(path)


@pytest.mark.parametrize("name", ["zipped.pth", "legacy.pth", "net.safetensors"])
@pytest.mark.parametrize("share", [0.001, 0.01, 0.3, 0.7, 0.99])
def test_truncated(tmp_path: Path, name: str, share: float) -> None:
    state, path = SRResNet(8, 1).state_dict(), tmp_path / name
    if path.suffix == ".safetensors":
        save_file(state, path)
    else:
        saved(tmp_path, state, name, _use_new_zipfile_serialization=name.startswith("zipped"))
    whole = path.read_bytes()
    path.write_bytes(whole[: int(len(whole) * share)])
    assert "is truncated" in refusal(path)


@pytest.mark.parametrize("content", [[1, 2], {}, {"epoch": 3}, {"params": {"epoch": 3}}, torch.ones(2)])
def test_no_tensors(tmp_path: Path, content: object) -> None:
    assert "holds no network's tensors" in refusal(saved(tmp_path, content))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite(tmp_path: Path, value: float) -> None:
    state = PublicSrResNet().state_dict()
    state["body.1.conv2.weight"][3, 2, 1, 0] = value
    assert "'body.1.conv2.weight' holds values that are not finite" in refusal(saved(tmp_path, state))


def test_weights_that_are_no_plain_tensors(tmp_path: Path) -> None:
    state = SRResNet(8, 1).state_dict()
    whole = {**state, "head.weight": state["head.weight"].to(torch.int8)}
    assert "'head.weight' as torch.int8" in refusal(saved(tmp_path, whole))
    for tensor in (torch.ones(1).expand(10**5, 3, 3, 3), torch.empty(10**9, 0), torch.empty(8, 3, device="meta")):
        assert "no plain tensor" in refusal(saved(tmp_path, {**state, "head.weight": tensor}))


# Other networks, other sizes


def test_keys_of_one_network_with_shapes_of_another(tmp_path: Path) -> None:
    for one, other, key, found, needed in (
        (PublicCycleGan(8), PublicCycleGan(4), "model.4.weight", (8, 4, 3, 3), (16, 8, 3, 3)),
        (ResnetGenerator(8, 2), ResnetGenerator(4, 2), "down.0.conv.weight", (8, 4, 3, 3), (16, 8, 3, 3)),
        (PublicSrResNet(8), PublicSrResNet(4), "conv_first.bias", (4,), (8,)),
        (SRResNet(8, 1), SRResNet(6, 1), "head.bias", (6,), (8,)),
    ):
        state = other.state_dict()
        first = next(iter(state))
        state[first] = one.state_dict()[first]  # where the width is read
        message = refusal(saved(tmp_path, state))
        assert f"{key!r} is {found} where the other layers ask for {needed}" in message


def test_upsampling_by_three(tmp_path: Path) -> None:
    message = refusal(saved(tmp_path, {"params": PublicSrResNet(8, 1, 3).state_dict()}))
    assert "'upconv1.weight' is (72, 8, 3, 3) where the other layers ask for (32, 8, 3, 3)" in message


def test_upsampling_of_neither_kind(tmp_path: Path) -> None:
    state = {**ResnetGenerator(8, 1).state_dict(), "up.1.weight": torch.ones(16, 8, 3, 3)}
    assert "'up.1.weight' is (16, 8, 3, 3)" in refusal(saved(tmp_path, state))


@pytest.mark.parametrize(
    ("network", "removed", "added", "said"),
    [
        (PublicCycleGan(), "model.19.weight", "", "nearest is ResnetGenerator, with 10 of 11 keys"),
        (PublicCycleGan(), "model.19.weight", "", "lacks 'model.19.weight'"),
        (PublicCycleGan(), "", "model.5.filt", "has 'model.5.filt' besides"),
        (ResnetGenerator(8, 2), "head.bias", "", "lacks 'head.bias'"),
        (
            PublicSrResNet(),
            "conv_hr.bias",
            "conv_body.weight",
            "lacks 'conv_hr.bias' and has 'conv_body.weight' besides",
        ),
        (PublicSrResNet(), "body.0.conv1.weight", "", "nearest is SRResNet"),
        (SRResNet(8, 1), "up.0.weight", "", "lacks 'up.0.weight'"),
        (SRResNet(8, 1), "", "weight", "has 'weight' besides"),
    ],
)
def test_names_the_nearest_network(tmp_path: Path, network: nn.Module, removed: str, added: str, said: str) -> None:
    state = network.state_dict()
    state.pop(removed, None)
    if added:
        state[added] = torch.ones(3)
    assert said in refusal(saved(tmp_path, state))


def test_names_what_is_known(tmp_path: Path) -> None:
    message = refusal(saved(tmp_path, {"encoder.0.weight": torch.ones(64, 3, 4, 4)}))
    assert (
        "fits no known network (ResnetGenerator, UNetGenerator, SRResNet, SRGAN, RRDBNet, SRVGGNetCompact, " in message
    )
    assert "'encoder.0.weight'" in message
