# mypy: allow-untyped-defs, allow-incomplete-defs, allow-untyped-decorators
"""The activations inside a Triton kernel."""

import triton
import triton.language as tl


@triton.jit
def activated(y, slope, ACTIVATION: tl.constexpr):
    """`activation(y)`; a NaN stays one, as in torch. `slope` is a number, or a tensor that broadcasts to y."""
    if ACTIVATION == "relu":
        return tl.where(y < 0, 0.0, y)
    if ACTIVATION == "leaky_relu":
        return tl.where(y < 0, y * slope, y)
    return y
