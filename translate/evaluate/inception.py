"""The network whose features FID and KID are taken of: Inception v3 as it was published for TensorFlow in 2015.

Szegedy et al., *Rethinking the Inception Architecture for Computer Vision*, CVPR 2016. The weights are those that
pytorch-fid has converted, and the protocol is that of pytorch-fid, so that figures can be compared with its own: a
picture of any size is scaled to 299 × 299 by bilinear interpolation, without averaging where it gets smaller, and
stretched if it is no square. (torch-fidelity and clean-fid scale in two other ways, and their figures differ.) Two
things are our own: EXIF turns a picture upright first, and one of 16 bit is not cut down to 8.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from translate.evaluate.fidelity import Pixels
from translate.models.layers import BatchNorm
from translate.tensorfiles import read_tensors
from translate.weights import measuring

SIDE = 299


class Layer(NamedTuple):
    """One convolution: outputs, kernel (height, width), stride; at stride 1, zeros keep the size unless `bare`."""

    outputs: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    bare: bool = False


Branch = tuple[Layer | tuple[Layer, Layer], ...]  # one after the other; a pair at the end stands side by side


class Parts(NamedTuple):
    """What a block computes of its input, side by side.

    Attributes:
        branches: by their names in the published file.
        pool: of 3 × 3 pixels: "mean", which leaves padding out, "max", or "halve", the maximum at every second pixel.
        pooled: channels that a convolution makes of what was pooled; 0 for none.
    """

    branches: Mapping[str, Branch]
    pool: Literal["mean", "max", "halve"]
    pooled: int = 0


THREE, FIVE = (3, 3), (5, 5)
ROW_3, COLUMN_3, ROW_7, COLUMN_7 = (1, 3), (3, 1), (1, 7), (7, 1)
FORK = (Layer(384, ROW_3), Layer(384, COLUMN_3))


def _fine(pooled: int) -> Parts:
    """Of 35 × 35 pixels: figure 5 of the paper, but for one 5 × 5 that was kept."""
    double = Layer(64), Layer(96, THREE), Layer(96, THREE)
    branches = {"branch1x1": (Layer(64),), "branch5x5": (Layer(48), Layer(64, FIVE)), "branch3x3dbl": double}
    return Parts(branches, "mean", pooled)


def _middle(width: int) -> Parts:
    """Of 17 × 17 pixels: figure 6."""
    single = Layer(width), Layer(width, ROW_7), Layer(192, COLUMN_7)
    double = Layer(width), Layer(width, COLUMN_7), Layer(width, ROW_7), Layer(width, COLUMN_7), Layer(192, ROW_7)
    return Parts({"branch1x1": (Layer(192),), "branch7x7": single, "branch7x7dbl": double}, "mean", 192)


def _coarse(pool: Literal["mean", "max"]) -> Parts:
    """Of 8 × 8 pixels: figure 7; the published graph pools its two blocks of this kind differently."""
    double = Layer(448), Layer(384, THREE), FORK
    return Parts({"branch1x1": (Layer(320),), "branch3x3": (Layer(384), FORK), "branch3x3dbl": double}, pool, 192)


STEM = {
    "Conv2d_1a_3x3": Layer(32, THREE, 2),
    "Conv2d_2a_3x3": Layer(32, THREE, bare=True),
    "Conv2d_2b_3x3": Layer(64, THREE),
    "Conv2d_3b_1x1": Layer(80),
    "Conv2d_4a_3x3": Layer(192, THREE, bare=True),
}
HALVED_AFTER = ("Conv2d_2b_3x3", "Conv2d_4a_3x3")
BLOCKS = {
    "Mixed_5b": _fine(32),
    "Mixed_5c": _fine(64),
    "Mixed_5d": _fine(64),
    "Mixed_6a": Parts(
        {"branch3x3": (Layer(384, THREE, 2),), "branch3x3dbl": (Layer(64), Layer(96, THREE), Layer(96, THREE, 2))},
        "halve",
    ),
    "Mixed_6b": _middle(128),
    "Mixed_6c": _middle(160),
    "Mixed_6d": _middle(160),
    "Mixed_6e": _middle(192),
    "Mixed_7a": Parts(
        {
            "branch3x3": (Layer(192), Layer(320, THREE, 2)),
            "branch7x7x3": (Layer(192), Layer(192, ROW_7), Layer(192, COLUMN_7), Layer(192, THREE, 2)),
        },
        "halve",
    ),
    "Mixed_7b": _coarse("mean"),
    "Mixed_7c": _coarse("max"),
}


class Conv(nn.Module):
    """Convolution, batch norm, ReLU."""

    def __init__(self, inputs: int, layer: Layer) -> None:
        super().__init__()
        height, width = (0, 0) if layer.bare or layer.stride > 1 else (side // 2 for side in layer.kernel)
        self.conv = nn.Conv2d(inputs, layer.outputs, layer.kernel, layer.stride, (height, width), bias=False)
        self.bn = BatchNorm(layer.outputs, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, O, H', W')."""
        return functional.relu(self.bn(self.conv(x)))


class Block(nn.Module):
    """Branches side by side, their outputs one after the other along the channels."""

    def __init__(self, inputs: int, parts: Parts) -> None:
        super().__init__()
        self.branches, self.pool, self.outputs = [], parts.pool, parts.pooled or inputs
        for name, branch in parts.branches.items():
            steps, channels = [], inputs
            for number, step in enumerate(branch, 1):
                convs = [Conv(channels, layer) for layer in ((step,) if isinstance(step, Layer) else step)]
                for letter, conv in zip(("a", "b") if len(convs) > 1 else ("",), convs, strict=True):
                    self.add_module(f"{name}_{number}{letter}" if len(branch) > 1 else name, conv)
                steps.append(convs)
                channels = sum(conv.conv.out_channels for conv in convs)
            self.branches.append(steps)
            self.outputs += channels
        self.branch_pool = Conv(inputs, Layer(parts.pooled)) if parts.pooled else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, H, W) -> (B, outputs, H', W')."""
        results = []
        for steps in self.branches:
            y = x
            for convs in steps:
                y = torch.cat([conv(y) for conv in convs], 1)
            results.append(y)
        if self.pool == "mean":
            pooled = functional.avg_pool2d(x, 3, 1, 1, count_include_pad=False)
        else:
            pooled = functional.max_pool2d(x, 3, *((2, 0) if self.pool == "halve" else (1, 1)))
        return torch.cat([*results, self.branch_pool(pooled)], 1)


class Inception(nn.Module):
    """Inception v3 with the layers, names and sizes of pytorch-fid's file; only the pooled features are computed."""

    def __init__(self) -> None:
        super().__init__()
        channels = 3
        for name, layer in STEM.items():
            self.add_module(name, Conv(channels, layer))
            channels = layer.outputs
        for name, parts in BLOCKS.items():
            self.add_module(name, block := Block(channels, parts))
            channels = block.outputs
        self.fc = nn.Linear(2048, 1008)  # in the file; classes are not asked for

    def embed(self, x: Tensor) -> Tensor:
        """(B, 3, 299, 299), RGB in [0, 1], to the pooled features (B, 2048)."""
        x = 2 * x - 1
        for name in STEM:
            x = self.get_submodule(name)(x)
            if name in HALVED_AFTER:
                x = functional.max_pool2d(x, 3, 2)
        for name in BLOCKS:
            x = self.get_submodule(name)(x)
        return x.mean(dim=(2, 3))


def load() -> Inception:
    """The network with the published weights, on the CPU, frozen.

    Raises:
        InputError: they have not been fetched yet.
        CheckpointError: the file is not the published one.
    """
    [path] = measuring.find("inception")
    network = Inception()
    network.load_state_dict({key: x for key, x in read_tensors(path).items() if not key.endswith("_tracked")})
    return network.eval().requires_grad_(False)


def scaled(pixels: Pixels) -> Pixels:
    """A picture (H, W, 3) in [0, 255] as (299, 299, 3), float32."""
    x = torch.from_numpy(pixels.astype(np.float32)).permute(2, 0, 1)[None]
    resized = functional.interpolate(x, (SIDE, SIDE), mode="bilinear", align_corners=False)
    square: Pixels = resized[0].permute(1, 2, 0).numpy()
    return square
