"""The activations that the fused operations take, by name."""

from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

Activation = Literal["none", "relu", "leaky_relu"]


def check_activation(activation: Activation, slope: float) -> None:
    """Raise a ValueError for an unknown activation, and for a slope of leaky ReLU that is not positive."""
    if activation not in get_args(Activation):
        raise ValueError(f"activation is {activation!r}; known are 'none', 'relu' and 'leaky_relu'")
    if activation == "leaky_relu" and not slope > 0:  # of NaN, too
        raise ValueError(f"slope is {slope}; it must be positive")


def activate_(x: Tensor, activation: Activation, slope: float) -> Tensor:
    """Apply `activation` to `x` in place and return it; `slope` is that of the negative side of leaky ReLU."""
    if activation == "relu":
        return F.relu_(x)
    if activation == "leaky_relu":
        return F.leaky_relu_(x, slope)
    check_activation(activation, slope)
    return x


def activation_grad(grad: Tensor, y: Tensor, activation: Activation, slope: float) -> Tensor:
    """Gradient before the activation, from the gradient after it and the activation's *output* `y`.

    The output is enough, because neither ReLU nor a leaky ReLU with a positive slope changes the sign.
    """
    if activation == "none":
        return grad
    low = 0.0 if activation == "relu" else slope
    if torch.is_grad_enabled():  # someone differentiates the gradient: stay with differentiable operations
        return torch.where(y > 0, grad, grad * low)
    if low:
        return torch.ops.aten.leaky_relu_backward(grad, y, low, True)  # type: ignore[no-any-return]
    return torch.ops.aten.threshold_backward(grad, y, 0)  # type: ignore[no-any-return]
