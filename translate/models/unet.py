"""Parts of U-Nets without norms: a step up that is told what the encoder saw, and a residual block."""

from torch import Tensor, nn

from translate import kernels


class Up(nn.Module):
    """Doubles the size and adds what the encoder saw at that size, through a convolution of size `kernel`."""

    def __init__(self, inputs: int, skip: int, outputs: int, kernel: int = 1) -> None:
        super().__init__()
        self.up = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.skip = nn.Conv2d(skip, outputs, kernel, padding=kernel // 2, bias=False)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """(B, I, h, w) and (B, S, 2h, 2w) -> (B, O, 2h, 2w)."""
        y = kernels.upsample_conv2d(x, self.up.weight, self.up.bias)
        return kernels.bias_leaky_relu(y + self.skip(skip))


class Block(nn.Module):
    """Two convolutions, added to their input."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, 3, padding=1)
        self.second = nn.Conv2d(channels, channels, 3, padding=1)
        self.second.weight.data.mul_(0.1)  # a deep stack starts near the identity

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        changed: Tensor = x + self.second(kernels.bias_leaky_relu(self.first(x)))
        return changed
