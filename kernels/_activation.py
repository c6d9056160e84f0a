"""The activations that the fused operations take, by name."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

Activation = Literal["none", "relu", "leaky_relu"]


def activate_(x: Tensor, activation: Activation, slope: float) -> Tensor:
    """Apply `activation` to `x` in place and return it; `slope` is that of the negative side of leaky ReLU."""
    if activation == "none":
        return x
    if activation == "relu":
        return F.relu_(x)
    if activation == "leaky_relu":
        return F.leaky_relu_(x, slope)
    raise ValueError(f"activation is {activation!r}; known are 'none', 'relu' and 'leaky_relu'")


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
