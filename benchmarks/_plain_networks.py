"""The networks as anyone would write them with torch's own modules: what ours are compared with.

Their layers come in the order of ours, so that the weights of ours can be loaded one by one.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.models.compact import SRVGGNetCompact
from translate.models.cyclegan import ResnetGenerator
from translate.models.rrdb import RRDBNet
from translate.models.srgan import SRResNet


def plain(network: nn.Module) -> nn.Module:
    """The same network in plain modules, with the same weights."""
    config = {name: value for name, value in network.config.items() if name in NAMES}
    made: nn.Module = PLAIN[type(network)](**config)
    theirs, ours = list(made.parameters()), list(network.parameters())
    if [p.shape for p in theirs] != [p.shape for p in ours]:
        raise ValueError(f"the layers of {type(network).__name__} and of its plain counterpart are not the same")
    with torch.no_grad():
        for target, source in zip(theirs, ours, strict=True):
            target.copy_(source)
    return made


def normed(inputs: int, outputs: int, kernel: int, stride: int = 1, pad: int = 0) -> list[nn.Module]:
    conv = nn.Conv2d(inputs, outputs, kernel, stride, pad, bias=False)
    return [conv, nn.InstanceNorm2d(outputs), nn.ReLU(inplace=True)]


class CycleGANBlock(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        first, second = (normed(channels, channels, 3) for _ in range(2))
        self.layers = nn.Sequential(nn.ReflectionPad2d(1), *first, nn.ReflectionPad2d(1), *second[:2])

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class CycleGAN(nn.Sequential):
    def __init__(self, width: int, blocks: int) -> None:
        layers = [nn.ReflectionPad2d(3), *normed(3, width, 7)]
        for n in (width, 2 * width):
            layers += normed(n, 2 * n, 3, 2, 1)
        layers += [CycleGANBlock(4 * width) for _ in range(blocks)]
        for n in (2 * width, width):
            layers += [nn.Upsample(scale_factor=2), nn.ReflectionPad2d(1), *normed(2 * n, n, 3)]
        super().__init__(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    return nn.Conv2d(inputs, outputs, 3, padding=1)


class Residual(nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(conv(channels, channels), nn.ReLU(inplace=True), conv(channels, channels))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class SRResNetPlain(nn.Module):
    def __init__(self, width: int, blocks: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        layers = [conv(3, width), nn.LeakyReLU(0.1), *(Residual(width) for _ in range(blocks))]
        for _ in range(scale.bit_length() - 1):
            layers += [conv(width, 4 * width), nn.PixelShuffle(2), nn.LeakyReLU(0.1)]
        self.layers = nn.Sequential(*layers, conv(width, width), nn.LeakyReLU(0.1), conv(width, 3))

    def forward(self, x: Tensor) -> Tensor:
        return F.interpolate(x, scale_factor=float(self.scale), mode="bilinear") + self.layers(x)


class Dense(nn.Module):
    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(width + n * growth, growth if n < 4 else width) for n in range(5))
        self.activation = nn.LeakyReLU(0.2, inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for layer in self.convs[:-1]:
            seen.append(self.activation(layer(torch.cat(seen, 1))))
        return x + 0.2 * self.convs[-1](torch.cat(seen, 1))


class RRDB(nn.Module):
    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(*(Dense(width, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        return x + 0.2 * self.layers(x)


class RRDBPlain(nn.Module):
    def __init__(self, width: int, growth: int, blocks: int, doublings: int) -> None:
        super().__init__()
        self.head = conv(3, width)
        self.body = nn.Sequential(*(RRDB(width, growth) for _ in range(blocks)), conv(width, width))
        layers = []
        for _ in range(doublings):
            layers += [nn.Upsample(scale_factor=2), conv(width, width), nn.LeakyReLU(0.2, inplace=True)]
        self.up = nn.Sequential(*layers, conv(width, width), nn.LeakyReLU(0.2, inplace=True), conv(width, 3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.head(x)
        return self.up(x + self.body(x))


class SRVGG(nn.Module):
    def __init__(self, width: int, layers: int, scale: int) -> None:
        super().__init__()
        self.scale = scale
        self.convs = nn.ModuleList(conv(width if n else 3, width) for n in range(layers))
        self.activations = nn.ModuleList(nn.PReLU(width) for _ in range(layers))
        self.last = nn.Sequential(conv(width, 3 * scale**2), nn.PixelShuffle(scale))

    def forward(self, x: Tensor) -> Tensor:
        y = x
        for layer, activation in zip(self.convs, self.activations, strict=True):
            y = activation(layer(y))
        return F.interpolate(x, scale_factor=float(self.scale), mode="nearest") + self.last(y)


NAMES = {"width", "growth", "blocks", "doublings", "layers", "scale"}
PLAIN = {ResnetGenerator: CycleGAN, SRResNet: SRResNetPlain, RRDBNet: RRDBPlain, SRVGGNetCompact: SRVGG}
