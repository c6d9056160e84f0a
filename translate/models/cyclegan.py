"""CycleGAN's generator (Zhu et al. 2017, arXiv:1703.10593, section 7.1; after Johnson et al. 2016)."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate.models.cut import BlurDown, BlurUp
from translate.models.layers import ConvNorm, UpNorm, init_normal, normalise


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
        blur_down: blur when the size is halved, and not only skip pixels, as CUT does.
        blur_up: interpolate when it is doubled again, as CUT does; `transposed` has no effect then.
    """

    def __init__(
        self,
        width: int = 64,
        blocks: int = 9,
        *,
        transposed: bool = False,
        affine: bool = False,
        skip: bool = False,
        blur_down: bool = False,
        blur_up: bool = False,
    ) -> None:
        super().__init__()
        self.config = {"width": width, "blocks": blocks, "transposed": transposed, "affine": affine, "skip": skip}
        self.width = width
        if blur_down or blur_up:
            self.config |= {"blur_down": blur_down, "blur_up": blur_up}
        self.stem = ConvNorm(3, width, 7, reflect=3, affine=affine)
        self.down = nn.Sequential(
            *(
                BlurDown(n, n * 2, affine=affine) if blur_down else ConvNorm(n, n * 2, 3, stride=2, affine=affine)
                for n in (width, width * 2)
            )
        )
        self.blocks = nn.Sequential(*(ResidualBlock(width * 4, affine=affine) for _ in range(blocks)))
        self.up = nn.Sequential(
            *(
                BlurUp(n * 2, n, affine=affine) if blur_up else UpNorm(n * 2, n, transposed=transposed, affine=affine)
                for n in (width * 2, width)
            )
        )
        self.head = nn.Conv2d(width, 3, 7)
        self.skip = nn.Parameter(torch.ones(3)) if skip else None
        init_normal(self)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, H, W) in [-1, 1] -> the same, float32 whatever the dtype of the weights."""
        return self.finish(self.drawn(self.stem(x.to(self.head.weight.dtype))), x)

    def drawn(self, y: Tensor) -> Tensor:
        """All layers behind the stem: (B, width, H, W) -> (B, 3, H, W) before the tanh."""
        (half, quarter), blocks = self.down, list(self.blocks)
        y = quarter(half(y), pad=1 if blocks else 0)
        for block in blocks:
            y = block(y, pad=0 if block is blocks[-1] else 1)
        half, full = self.up
        drawn: Tensor = self.head(full(half(y), pad=3))
        return drawn

    def draw(self, y: Tensor) -> Tensor:
        """The last of them: (B, width, H, W) -> (B, 3, H, W)."""
        drawn: Tensor = self.head(F.pad(y, [3] * 4, mode="reflect"))
        return drawn

    def finish(self, y: Tensor, x: Tensor) -> Tensor:
        """What is left to do, pixel by pixel, with the drawing `y` of the input `x`."""
        y = y.float()
        if self.skip is not None:
            y = y + self.skip.view(3, 1, 1) * torch.atanh(x.float().clamp(-0.99, 0.99))
        return torch.tanh(y)


class ResidualBlock(nn.Module):
    """Two 3×3 convolutions with instance norm, added to their input.

    Each writes its result with the reflection at its edges that the next one needs.
    """

    def __init__(self, channels: int, *, affine: bool = False) -> None:
        super().__init__()
        self.first = ConvNorm(channels, channels, 3, reflect=1, affine=affine)
        self.second = ConvNorm(channels, channels, 3, reflect=1, activation="none", affine=affine)

    def forward(self, x: Tensor, *, pad: int) -> Tensor:
        """(B, C, H + 2, W + 2), reflected by 1 -> (B, C, H + 2·pad, W + 2·pad), reflected by `pad`."""
        first, second = self.first, self.second
        y = normalise(first.conv(x), first.norm, first.activation, pad=1)
        return normalise(second.conv(y), second.norm, second.activation, x[:, :, 1:-1, 1:-1], pad=pad)
