"""SRGAN's generator as it was published (Ledig et al. 2017, arXiv:1609.04802, figure 4): batch norm and PReLU."""

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn

from translate import kernels
from translate.models.keys import count, length, rename, split
from translate.models.layers import BatchNorm


class SRGAN(nn.Module):
    """9×9 convolution, residual blocks, sub-pixel convolutions, 9×9 convolution and tanh.

    Images are (B, 3, H, W) in [0, 1].

    Args:
        width: channels (64 in the paper).
        blocks: residual blocks (16 in the paper).
        scale: enlargement, a power of two.
        merge: what follows the last convolution at low resolution: "norm" in the paper, "prelu" in some projects.
    """

    def __init__(self, width: int = 64, blocks: int = 16, scale: int = 4, merge: str = "norm") -> None:
        super().__init__()
        self.config = {"width": width, "blocks": blocks, "scale": scale, "merge": merge}
        self.scale = scale
        self.head = nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU())
        self.blocks = nn.Sequential(*(NormedBlock(width) for _ in range(blocks)))
        last = BatchNorm(width) if merge == "norm" else nn.PReLU()
        self.merge = nn.Sequential(nn.Conv2d(width, width, 3, padding=1), last)
        self.up = nn.Sequential(*(ShufflePReLU(width) for _ in range(scale.bit_length() - 1)))
        self.tail = nn.Conv2d(width, 3, 9, padding=4)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 3, scale·H, scale·W) in [0, 1], float32 whatever the dtype of the weights."""
        x = self.head(x.to(self.tail.weight.dtype))
        x = self.up(x + self.merge(self.blocks(x)))
        return (torch.tanh(self.tail(x).float()) + 1) / 2


class NormedBlock(nn.Module):
    """conv, batch norm, PReLU, conv, batch norm, added to the input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.first_norm = BatchNorm(channels)
        self.activation = nn.PReLU()
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.second_norm = BatchNorm(channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        y = self.activation(self.first_norm(self.first(x)))
        y = x + self.second_norm(self.second(y))
        return y  # type: ignore[no-any-return]


class ShufflePReLU(nn.Module):
    """A sub-pixel convolution that doubles the size, with PReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels * 4, 3, padding=1)
        self.prelu = nn.PReLU()

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2H, 2W)."""
        return kernels.conv_pixel_shuffle(
            x, self.conv.weight, self.conv.bias, factor=2, activation="leaky_relu", slope=self.prelu.weight
        )


def public_names(keys: Iterable[str]) -> dict[str, str]:
    """Layer names of the leftthomas/SRGAN project (`block1`, `block2.conv1` … `block8.2`) -> ours."""
    keys = list(keys)
    blocks = count((key for key in keys if key.startswith("block") and ".conv1." in key), "block")
    merge, tail = f"block{blocks + 2}", f"block{blocks + 3}"
    ups = len({key.split(".")[1] for key in keys if key.startswith(f"{tail}.") and ".conv." in key})
    names = {"block1.0": "head.0", "block1.1": "head.1", f"{merge}.0": "merge.0", f"{merge}.1": "merge.1"}
    for n in range(blocks):
        ours = ("first", "first_norm", "activation", "second", "second_norm")
        theirs = ("conv1", "bn1", "prelu", "conv2", "bn2")
        names |= {f"block{n + 2}.{t}": f"blocks.{n}.{o}" for t, o in zip(theirs, ours, strict=True)}
    for n in range(ups):
        names |= {f"{tail}.{n}.conv": f"up.{n}.conv", f"{tail}.{n}.prelu": f"up.{n}.prelu"}
    return names | {f"{tail}.{ups}": "tail"}


def convert(state: Mapping[str, Tensor], names: Mapping[str, str]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors under our keys; only the number of batches seen is left out, which has no effect."""
    return rename({key: state[key] for key in state if split(key)[1] != "num_batches_tracked"}, names)


def build(shapes: Mapping[str, torch.Size]) -> SRGAN:
    """The generator whose tensors have these shapes, as far as there is one."""
    merge = "norm" if "merge.1.running_mean" in shapes else "prelu"
    return SRGAN(length(shapes, "head.0.weight"), count(shapes, "blocks."), 2 ** count(shapes, "up."), merge)


def halo(network: SRGAN) -> int:
    """How far, in input pixels, an output pixel sees in each direction."""
    reach = 4
    for _ in network.up:  # what a pixel sees at the double size, seen from the single size, and the convolution's one
        reach = -(-reach // 2) + 1
    return reach + 1 + 2 * len(network.blocks) + 4
