"""ESRGAN's generator (Wang et al. 2018, arXiv:1809.00219), also Real-ESRGAN's (arXiv:2107.10833) and BSRGAN's."""

from collections.abc import Iterable, Mapping
from math import isqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate import kernels
from translate.models.keys import count, length

SLOPE = 0.2


class RRDBNet(nn.Module):
    """Residual-in-residual dense blocks at low resolution, then nearest-neighbour enlargement with convolutions.

    Images are (B, 3, H, W) in [0, 1].

    Args:
        width: channels (64 in the paper).
        growth: channels that each dense convolution adds (32 in the paper).
        blocks: residual-in-residual blocks (23 in the paper).
        doublings: how often the size is doubled (2 in the paper).
        unshuffle: side of the pixel blocks that become channels first, so that the whole enlarges by
            2^doublings / unshuffle. Both input sides must be multiples of it.
    """

    def __init__(
        self, width: int = 64, growth: int = 32, blocks: int = 23, doublings: int = 2, unshuffle: int = 1
    ) -> None:
        super().__init__()
        self.config = {
            "width": width, "growth": growth, "blocks": blocks, "doublings": doublings, "unshuffle": unshuffle
        }  # fmt: skip
        self.scale, self.multiple_of = max(1, 2**doublings // unshuffle), unshuffle
        self.head = nn.Conv2d(3 * unshuffle**2, width, 3, padding=1)
        self.blocks = nn.Sequential(*(ResidualDenseBlocks(width, growth) for _ in range(blocks)))
        self.merge = nn.Conv2d(width, width, 3, padding=1)
        self.up = nn.Sequential(*(UpConv(width) for _ in range(doublings)))
        self.tail = nn.ModuleList([nn.Conv2d(width, width, 3, padding=1), nn.Conv2d(width, 3, 3, padding=1)])

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [0, 1] -> (B, 3, scale·H, scale·W), near [0, 1], always float32."""
        x = self.head(F.pixel_unshuffle(x.to(self.head.weight.dtype), self.multiple_of))
        x = self.up(x + self.merge(self.blocks(x)))
        refine, last = self.tail
        y: Tensor = last(F.leaky_relu_(refine(x), SLOPE))
        return y.float()


class ResidualDenseBlocks(nn.Module):
    """Three dense blocks in a row, a fifth of them added to the input."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        self.dense = nn.Sequential(*(DenseBlock(width, growth) for _ in range(3)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        first, second, third = self.dense
        y: Tensor = third(second(first(x)), residual=x)
        return y


class DenseBlock(nn.Module):
    """Five convolutions, each seeing what all before it gave; a fifth of the last is added to the input."""

    def __init__(self, width: int, growth: int) -> None:
        super().__init__()
        outputs = [growth] * 4 + [width]
        convs = [nn.Conv2d(width + growth * n, o, 3, padding=1) for n, o in enumerate(outputs)]
        self.convs: Iterable[nn.Conv2d] = nn.ModuleList(convs)  # type: ignore[assignment]

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """(B, C, H, W) -> the same shape; where there is a residual, a fifth of the result is added to it."""
        weights, biases = zip(*((conv.weight, conv.bias) for conv in self.convs), strict=True)
        return kernels.dense_block(x, weights, biases, slope=SLOPE, residual=residual)


class UpConv(nn.Conv2d):
    """Nearest-neighbour enlargement to the double size, a 3×3 convolution and leaky ReLU."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, 2H, 2W)."""
        return kernels.upsample_conv2d(x, self.weight, self.bias, activation="leaky_relu", slope=SLOPE)


def public_names(keys: Iterable[str]) -> dict[str, str]:
    """Layer names of BasicSR (`body.0.rdb1.conv1`), ESRGAN (`RRDB_trunk.0.RDB1.conv1`) or its first version -> ours."""
    keys = list(keys)
    if any(key.startswith("model.1.sub.") for key in keys):
        return _first_version(keys)
    trunk, dense = ("RRDB_trunk", "RDB") if any(key.startswith("RRDB_trunk.") for key in keys) else ("body", "rdb")
    names = {"conv_first": "head", "conv_last": "tail.1"}
    names |= (
        {"conv_body": "merge", "conv_hr": "tail.0"} if dense == "rdb" else {"trunk_conv": "merge", "HRconv": "tail.0"}
    )
    doublings = sum(key.startswith(("conv_up", "upconv")) and key.endswith(".weight") for key in keys)
    for n in range(doublings):
        names[f"conv_up{n + 1}" if dense == "rdb" else f"upconv{n + 1}"] = f"up.{n}"
    return names | _dense_names(f"{trunk}.{{}}.{dense}", count(keys, f"{trunk}."), "")


def _first_version(keys: list[str]) -> dict[str, str]:
    """`model.1.sub.0.RDB1.conv1.0`: an nn.Sequential, so that the numbers depend on how many layers there are."""
    blocks = count((key for key in keys if ".RDB" in key), "model.1.sub.")
    doublings = max(0, count(keys, "model.") - 4)
    names = {"model.0": "head", f"model.1.sub.{blocks}": "merge"}
    names |= {f"model.{3 + 3 * n}": f"up.{n}" for n in range(doublings)}
    names |= {f"model.{2 + 3 * doublings}": "tail.0", f"model.{4 + 3 * doublings}": "tail.1"}
    return names | _dense_names("model.1.sub.{}.RDB", blocks, ".0")


def _dense_names(block: str, blocks: int, end: str) -> dict[str, str]:
    return {
        f"{block.format(n)}{dense + 1}.conv{conv + 1}{end}": f"blocks.{n}.dense.{dense}.convs.{conv}"
        for n in range(blocks)
        for dense in range(3)
        for conv in range(5)
    }


def build(shapes: Mapping[str, torch.Size]) -> RRDBNet:
    """The generator whose tensors have these shapes, as far as there is one."""
    doublings = count(shapes, "up.")
    unshuffle = isqrt(length(shapes, "head.weight", 1) // 3)
    return RRDBNet(
        length(shapes, "head.weight"),
        length(shapes, "blocks.0.dense.0.convs.0.weight"),
        count(shapes, "blocks."),
        doublings,
        unshuffle if unshuffle and 2**doublings % unshuffle == 0 else 1,
    )


def halo(network: RRDBNet) -> int:
    """How far, in input pixels, an output pixel sees in each direction."""
    reach = 2
    for _ in network.up:  # each enlargement halves what was seen so far, and its convolution before it adds one
        reach = -(-(reach + 1) // 2)
    reach += 1 + 15 * len(network.blocks) + 1
    return reach * network.multiple_of  # only the last pixel of an unshuffled block sees that far to the right
