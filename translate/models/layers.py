"""The layers that several networks share: each holds weights and calls one fused operation of `translate.kernels`."""

from typing import TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from translate import kernels
from translate.models import across
from translate.models.smoothing import smoothing

N = TypeVar("N", bound=nn.Module)


def placed(network: N, device: str | torch.device = "cpu", dtype: torch.dtype = torch.float32) -> N:
    """Move a network to a device and dtype, its weights channels_last, which is the quicker layout everywhere."""
    network.to(device, dtype)
    return network.to(memory_format=torch.channels_last)  # type: ignore[call-overload,no-any-return]


class ConvNorm(nn.Module):
    """Convolution, instance norm and activation.

    The convolution has no bias: the norm that follows would subtract it again.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        kernel: int,
        *,
        stride: int = 1,
        reflect: int = 0,
        activation: kernels.Activation = "relu",
        affine: bool = False,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, 0 if reflect else kernel // 2, bias=False)
        self.norm = Affine(outputs) if affine else None
        self.reflect, self.activation = reflect, activation

    def forward(self, x: Tensor, *, pad: int = 0) -> Tensor:
        """(B, I, H, W) -> (B, O, H/stride + 2·pad, W/stride + 2·pad), reflected for the convolution that follows."""
        return normalise(self.convolve(x), self.norm, self.activation, pad=pad)

    def convolve(self, x: Tensor) -> Tensor:
        """The layer up to its norm."""
        if self.reflect:
            x = F.pad(x, [self.reflect] * 4, mode="reflect")
        y: Tensor = self.conv(x)
        return y


class UpNorm(nn.Module):
    """A convolution that doubles the resolution, instance norm and ReLU.

    `transposed` is the layer of the CycleGAN paper; otherwise nearest ×2 + 3×3, which leaves no checkerboard.
    """

    def __init__(self, inputs: int, outputs: int, *, transposed: bool = False, affine: bool = False) -> None:
        super().__init__()
        shape = (inputs, outputs, 3, 3) if transposed else (outputs, inputs, 3, 3)
        self.weight = nn.Parameter(torch.empty(shape))
        nn.init.normal_(self.weight, 0.0, 0.02)
        self.norm = Affine(outputs) if affine else None
        self.transposed = transposed
        self.activation: kernels.Activation = "relu"

    def forward(self, x: Tensor, *, pad: int = 0) -> Tensor:
        """(B, I, H, W) -> (B, O, 2H + 2·pad, 2W + 2·pad), reflected for the convolution that follows."""
        return normalise(self.convolve(x), self.norm, self.activation, pad=pad)

    def convolve(self, x: Tensor) -> Tensor:
        """The layer up to its norm."""
        if self.transposed:
            return kernels.conv_transpose2d(x, self.weight)
        return kernels.upsample_conv2d(x, self.weight, padding="replicate")


class Affine(nn.Module):
    """The learned scale and shift of a norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))


class BatchNorm(nn.Module):
    """Batch norm as it is after training: a fixed scale and shift of each channel (Ioffe and Szegedy 2015).

    Holds what decides the result and not the number of batches seen, which old files lack.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.eps = eps
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> the same shape."""
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)


class RunningBatchNorm(BatchNorm):
    """Batch norm that is trained: the batch's own statistics in training, their running averages afterwards.

    Where several processes share a batch, the statistics are those of all of it.
    """

    def forward(self, x: Tensor) -> Tensor:
        """(B, C) or (B, C, H, W) -> the same shape."""
        if not self.training or across.processes() == 1:
            return F.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, self.training, eps=self.eps
            )
        others = [0, *range(2, x.dim())]
        mean = across.mean(x.float().mean(others, keepdim=True))
        centred = x.float() - mean
        variance = across.mean(centred.square().mean(others, keepdim=True))
        with torch.no_grad():
            n = across.total(x.numel() // x.shape[1])
            self.running_mean.lerp_(mean.flatten(), 0.1)
            self.running_var.lerp_(variance.flatten() * (n / (n - 1)), 0.1)
        shape = mean.shape
        y = centred * ((variance + self.eps).rsqrt() * self.weight.view(shape)) + self.bias.view(shape)
        return y.to(x.dtype)


def normalise(
    x: Tensor,
    affine: Affine | None,
    activation: kernels.Activation,
    residual: Tensor | None = None,
    slope: float = 0.2,
    *,
    pad: int = 0,
) -> Tensor:
    """Instance norm with what follows it; `affine` may be None. In a video its statistics may be smoothed over time."""
    weight, bias = (affine.weight, affine.bias) if affine is not None else (None, None)
    if over_time := smoothing():
        statistics = over_time.add(kernels.instance_statistics(x))
        y = kernels.normalise(x, statistics, weight, bias, residual=residual, activation=activation, slope=slope)
        return F.pad(y, [pad] * 4, mode="reflect") if pad else y
    return kernels.instance_norm(x, weight, bias, residual=residual, activation=activation, slope=slope, pad=pad)


def init_normal(module: nn.Module, std: float = 0.02) -> None:
    """Draw every convolution's weight from N(0, std²), as CycleGAN and pix2pix do, and zero its bias."""
    for layer in module.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.normal_(layer.weight, 0.0, std)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)
