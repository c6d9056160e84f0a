"""CycleGAN's generator (Zhu et al. 2017, arXiv:1703.10593, section 7.1; after Johnson et al. 2016)."""

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.models.layers import ConvNorm, UpNorm, init_normal


class ResnetGenerator(nn.Module):
    """c7s1-64, d128, d256, residual blocks, u128, u64, c7s1-3, with instance norm throughout.

    Images are (B, 3, H, W) in [-1, 1]; H and W multiples of 4 and at least 16.

    Args:
        width: channels after the first layer (64 in the paper).
        blocks: residual blocks (6 for 128×128, 9 for 256×256 in the paper).
        transposed: upsample with transposed convolutions as the paper does, instead of nearest ×2 + 3×3.
        affine: learned scale and shift in the norms.
        skip: add the input before the tanh, so that the network learns a change of exposure and not the picture: fine
            detail is kept, and training starts at the identity. Not in the paper.
    """

    def __init__(
        self, width: int = 64, blocks: int = 9, *, transposed: bool = False, affine: bool = False, skip: bool = False
    ) -> None:
        super().__init__()
        self.config = {"width": width, "blocks": blocks, "transposed": transposed, "affine": affine, "skip": skip}
        self.width = width
        self.stem = ConvNorm(3, width, 7, reflect=3, affine=affine)
        self.down = nn.Sequential(
            ConvNorm(width, width * 2, 3, stride=2, affine=affine),
            ConvNorm(width * 2, width * 4, 3, stride=2, affine=affine),
        )
        self.blocks = nn.Sequential(*(ResidualBlock(width * 4, affine=affine) for _ in range(blocks)))
        self.up = nn.Sequential(
            UpNorm(width * 4, width * 2, transposed=transposed, affine=affine),
            UpNorm(width * 2, width, transposed=transposed, affine=affine),
        )
        self.head = nn.Conv2d(width, 3, 7)
        self.skip = nn.Parameter(torch.ones(3)) if skip else None
        init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> the same, float32 whatever the dtype of the weights."""
        y = self.stem(x.to(self.head.weight.dtype))
        return self.finish(self.draw(self.up(self.blocks(self.down(y)))), x)

    def draw(self, y: Tensor) -> Tensor:
        """The last convolution: (B, width, H, W) -> (B, 3, H, W) before the tanh."""
        drawn: Tensor = self.head(F.pad(y, [3] * 4, mode="reflect"))
        return drawn

    def finish(self, y: Tensor, x: Tensor) -> Tensor:
        """What is left to do, pixel by pixel, with the drawing `y` of the input `x`."""
        y = y.float()
        if self.skip is not None:
            y = y + self.skip.view(3, 1, 1) * torch.atanh(x.float().clamp(-0.99, 0.99))
        return torch.tanh(y)


class ResidualBlock(nn.Module):
    """Two reflected 3×3 convolutions with instance norm, added to their input."""

    def __init__(self, channels: int, *, affine: bool = False) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels, 3, reflect=1, affine=affine)
        self.second = ConvNorm(channels, channels, 3, reflect=1, activation="none", affine=affine)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        y: Tensor = self.second(self.first(x), residual=x)
        return y


def public_names(keys: Iterable[str]) -> dict[str, str]:
    """Layer names of the CycleGAN project's `resnet_Nblocks` -> ours, for as many blocks as the keys have."""
    keys = list(keys)
    blocks = len({key.split(".")[1] for key in keys if key.startswith("model.") and ".conv_block." in key})
    # A dropout layer in the middle of a block moves its second convolution from 5 to 6.
    second = 5 if any(key.endswith(".conv_block.5.weight") for key in keys) else 6
    names: dict[str, str] = {}
    for theirs, ours in ((1, "stem"), (4, "down.0"), (7, "down.1")):
        names |= {f"model.{theirs}": f"{ours}.conv", f"model.{theirs + 1}": f"{ours}.norm"}
    for block in range(blocks):
        for theirs, ours in ((1, "first"), (second, "second")):
            names[f"model.{10 + block}.conv_block.{theirs}"] = f"blocks.{block}.{ours}.conv"
            names[f"model.{10 + block}.conv_block.{theirs + 1}"] = f"blocks.{block}.{ours}.norm"
    for theirs, ours in ((10, "up.0"), (13, "up.1")):
        names |= {f"model.{theirs + blocks}": ours, f"model.{theirs + blocks + 1}": f"{ours}.norm"}
    return names | {f"model.{17 + blocks}": "head"}


def convert(state: Mapping[str, Tensor], names: Mapping[str, str]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors under our keys, without those that have no effect, and notes on what was left out.

    Running statistics are left out only where the convolutions have biases: without them they are those of a *batch*
    norm, which is another network, and their keys stay to say so.
    """
    tensors, biases, statistics = {}, {}, {}
    for key, tensor in state.items():
        layer, dot, leaf = key.rpartition(".")
        layer = names.get(layer, layer)
        if leaf == "bias" and (layer.endswith(".conv") or layer in ("up.0", "up.1")):
            biases[layer] = tensor
        elif leaf in ("running_mean", "running_var", "num_batches_tracked") and layer.endswith(".norm"):
            statistics[key] = tensor
        else:
            tensors[layer + dot + leaf] = tensor
    notes = []
    if biases:
        notes.append("conv biases before instance norm dropped: they have no effect")
    if statistics and biases:
        notes.append("running statistics dropped: instance norm takes those of the image itself")
    if any(theirs.endswith(".conv_block.6") and ours.endswith(".conv") for theirs, ours in names.items()) and biases:
        notes.append("trained with dropout, which is off here: the same image always gives the same result")
    return tensors | ({} if biases else statistics), tuple(notes)


def build(shapes: Mapping[str, torch.Size]) -> ResnetGenerator:
    """The generator whose tensors have these shapes, as far as there is one."""
    width = _length(shapes, "stem.conv.weight")
    return ResnetGenerator(
        width,
        len({key.split(".")[1] for key in shapes if key.startswith("blocks.")}),
        transposed=_length(shapes, "up.0.weight") == width * 4,
        affine="stem.norm.weight" in shapes,
        skip="skip" in shapes,
    )


def _length(shapes: Mapping[str, torch.Size], key: str) -> int:
    shape = shapes.get(key)
    return max(1, shape[0]) if shape else 1
