"""ResNet generators of other projects: CycleGAN's, CUT's, and other people's names."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from comparing import randomised, same
from public_networks import affine_norm, refusal, saved
from safetensors.torch import save_file
from torch import Tensor, nn

from translate.checkpoints import load

pytestmark = pytest.mark.usefixtures("seeded")


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
