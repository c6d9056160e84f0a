"""The two public networks, written out from their papers' layer lists with torch's own layers, and their files."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from translate.checkpoints import load
from translate.errors import CheckpointError, TranslateError


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


def randomised(network: nn.Module) -> nn.Module:
    """With weights that let every layer be seen in the output: norms and biases are not 1 and 0."""
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.copy_(torch.randn(parameter.shape) * (0.15 if parameter.dim() == 4 else 0.5))
    return network.eval()


def saved(folder: Path, content: object, name: str = "net.pth", **options: bool) -> Path:
    torch.save(content, folder / name, **options)
    return folder / name


def refusal(path: Path, error: type[TranslateError] = CheckpointError) -> str:
    """What `load` says when it refuses; always one line that names the file."""
    with pytest.raises(error) as caught:
        load(path)
    message = str(caught.value)
    assert "\n" not in message
    assert path.name in message
    assert len(message) < 300
    return message
