"""pix2pix's generator, a U-Net (Isola et al. 2017, arXiv:1611.07004, section 6.1.1)."""

from collections.abc import Iterable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate import kernels
from translate.models.keys import STATISTICS, count, joined, length, rename, split
from translate.models.layers import Affine, BatchNorm, init_normal, normalise

Norm = Affine | BatchNorm | None


class UNetGenerator(nn.Module):
    """Halves the size down to a few pixels and doubles it again; each step up also sees the step down of its size.

    Images are (B, 3, H, W) in [-1, 1]; H and W multiples of 2^depth.

    Args:
        width: channels after the first layer (64 in the paper); three doublings at most.
        depth: how often the size is halved (8 for 256×256, 7 for 128×128 in the public project).
        norm: "plain", instance norm; "affine", instance norm with a learned scale and shift, which batch norm is when
            it takes the statistics of the one image itself; or "batch", with the statistics of training.
        bias: of the outermost and innermost convolutions, which no norm follows.
    """

    def __init__(self, width: int = 64, depth: int = 8, norm: str = "affine", bias: bool = False) -> None:
        super().__init__()
        self.config = {"width": width, "depth": depth, "norm": norm, "bias": bias}
        self.multiple_of = 2**depth
        sizes = [min(width << n, width * 8) for n in range(depth)]
        inner = [False] + [True] * (depth - 2) + [False]
        self.down = nn.ModuleList(
            Down(inputs, outputs, norm if normed else "none", bias=bias and not normed)
            for inputs, outputs, normed in zip([3, *sizes], sizes, inner, strict=False)
        )
        doubled = [size * 2 for size in sizes[:-1]] + sizes[-1:]  # all but the innermost also see the step down
        self.up = nn.ModuleList(Up(doubled[n], sizes[n - 1], norm) for n in range(depth - 1, 0, -1))
        self.head = nn.ConvTranspose2d(doubled[0], 3, 4, 2, 1)
        init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> the same, float32 whatever the dtype of the weights."""
        x = x.to(self.head.weight.dtype)
        seen: list[Tensor] = []
        for down in self.down:
            x = down(x if not seen else F.leaky_relu(x, 0.2))
            seen.append(x)
        x = seen.pop()
        for up in self.up:
            x = torch.cat([seen.pop(), up(F.relu(x))], 1)
        y = kernels.conv_transpose2d(F.relu(x), self.head.weight, self.head.bias)
        return torch.tanh(y.float())


class Down(nn.Module):
    """A convolution that halves the size, and a norm, without activation."""

    def __init__(self, inputs: int, outputs: int, norm: str, *, bias: bool) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=bias)
        self.norm = _norm(norm, outputs)
        self.normed = norm != "none"

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, O, H/2, W/2)."""
        y: Tensor = self.conv(x)
        return _normalised(y, self.norm) if self.normed else y


class Up(nn.Module):
    """A transposed convolution that doubles the size, and a norm, without activation."""

    def __init__(self, inputs: int, outputs: int, norm: str) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(inputs, outputs, 4, 4))
        nn.init.normal_(self.weight, 0.0, 0.02)
        self.norm = _norm(norm, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, I, H, W) -> (B, O, 2H, 2W)."""
        return _normalised(kernels.conv_transpose2d(x, self.weight), self.norm)


def _norm(norm: str, channels: int) -> Norm:
    return BatchNorm(channels) if norm == "batch" else Affine(channels) if norm == "affine" else None


def _normalised(x: Tensor, norm: Norm) -> Tensor:
    return norm(x) if isinstance(norm, BatchNorm) else normalise(x, norm, "none")


def public_names(keys: Iterable[str]) -> dict[str, str]:
    """Layer names of the pix2pix project's `unet_128` and `unet_256` -> ours; each level is inside the one before."""
    depth = len({key.count(".model.") for key in keys if key.startswith("model.model.")})
    names = {"model.model.0": "down.0.conv", "model.model.3": "head"}
    level = "model.model.1.model"
    for n in range(1, depth):
        down, up = f"down.{n}", f"up.{depth - 1 - n}"
        if n < depth - 1:
            names |= {f"{level}.1": f"{down}.conv", f"{level}.2": f"{down}.norm"}
            names |= {f"{level}.5": up, f"{level}.6": f"{up}.norm"}
            level += ".3.model"
        else:
            names |= {f"{level}.1": f"{down}.conv", f"{level}.3": up, f"{level}.4": f"{up}.norm"}
    return names


def convert(
    state: Mapping[str, Tensor], names: Mapping[str, str], *, trained: bool = False
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Return the tensors under our keys, without those that have no effect, and notes on what was assumed.

    The public project runs its batch norm with the statistics of the image at hand, as in training, and leaves dropout
    on; so the statistics of training are left out, unless `trained` is true, and dropout too, which only adds noise.
    """
    tensors, notes = rename(state, names)
    if not names:
        return tensors, notes
    innermost = f"down.{count(tensors, 'down.') - 1}.conv"
    without_effect = [
        key
        for key in tensors
        if key.endswith(".bias") and ".norm" not in key and split(key)[0] not in ("head", "down.0.conv", innermost)
    ]
    statistics = [key for key in tensors if split(key)[1] in STATISTICS and ".norm." in key]
    if trained:
        without_effect += [key for key in statistics if key.endswith(STATISTICS[-1])]
    else:
        without_effect += statistics
        if statistics:
            notes += ("running statistics dropped: the norms take those of the image itself, as in the public project",)
    for key in without_effect:
        del tensors[key]
    return tensors, (*notes, "dropout, if trained with it, is off: the same image always gives the same result")


def build(shapes: Mapping[str, torch.Size]) -> UNetGenerator:
    """The generator whose tensors have these shapes, as far as there is one."""
    norm = "batch" if "down.1.norm.running_mean" in shapes else "affine" if "down.1.norm.weight" in shapes else "plain"
    depth = max(2, count(shapes, "down."))
    return UNetGenerator(length(shapes, "down.0.conv.weight"), depth, norm, joined("down.0.conv", "bias") in shapes)
