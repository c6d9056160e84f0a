"""Bias + leaky ReLU and the public statistics, in Triton and in their references, against float64."""

import pytest
import torch
from kernel_cases import laid_out, normal
from torch import Tensor

from translate import kernels

FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
BACKENDS: tuple[kernels.Backend, ...] = ("reference", "triton")

pytestmark = pytest.mark.usefixtures("triton_device")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize("layout", FORMATS)
@pytest.mark.parametrize("shape", [(2, 5, 13, 11), (1, 20, 7, 9), (3, 17, 1, 1), (9, 5), (1, 2, 50, 61)])
@pytest.mark.parametrize("slope", [0.2, 0.0])
def test_bias_leaky_relu_and_its_gradients(
    triton_device: str, shape: tuple[int, ...], layout: str, dtype: torch.dtype, slope: float
) -> None:
    x, grad = (laid_out(normal(*shape, seed=seed).to(triton_device, dtype), layout) for seed in (0, 1))
    inputs = [x.requires_grad_(), normal(shape[1], seed=2).float().to(triton_device).requires_grad_()]
    wide = [t.detach().double().requires_grad_() for t in inputs]
    y = kernels.bias_leaky_relu(*inputs, slope=slope, gain=1.5, backend="triton")
    shifted = wide[0] + wide[1].view(-1, *[1] * (len(shape) - 2))
    expected = torch.where(shifted > 0, shifted, shifted * slope) * 1.5
    tolerance = 1e-5 if dtype == torch.float32 else 4e-3
    assert y.dtype == dtype
    assert y.stride() == x.stride()
    torch.testing.assert_close(y.double(), expected, rtol=tolerance, atol=tolerance)
    grad = torch.where(shifted.abs() < 1e-3, 0, grad)  # rounding may take these across the kink
    results = [torch.autograd.grad(y, inputs, grad, retain_graph=True) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    for a, b in zip(results[0], torch.autograd.grad(expected, wide, grad.double()), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=tolerance, atol=10 * tolerance)


def test_bias_leaky_relu_is_differentiable_twice(triton_device: str) -> None:
    x, bias = (normal(*shape).float().to(triton_device).requires_grad_() for shape in ((2, 3, 4, 5), (3,)))

    def penalty(backend: kernels.Backend) -> tuple[Tensor, ...]:
        y = kernels.bias_leaky_relu(x, bias, slope=0.3, gain=1.5, backend=backend)
        (grad,) = torch.autograd.grad(y.pow(3).sum(), x, create_graph=True)
        return torch.autograd.grad(grad.square().sum(), (x, bias))

    for a, b in zip(penalty("triton"), penalty("reference"), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


def test_bias_leaky_relu_keeps_torch_s_rules(triton_device: str) -> None:
    from translate.kernels import _bias_act_triton as op

    x, bias = (normal(*shape).float().to(triton_device).requires_grad_() for shape in ((2, 3, 4, 5), (3,)))
    torch.library.opcheck(op.bias_leaky_relu, (x, bias, 0.2, 1.5))
    torch.library.opcheck(op.bias_leaky_relu_grad, (x.detach(), x.detach(), 0.2, 1.5))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("layout", FORMATS)
def test_tiles_have_the_statistics_of_the_image(triton_device: str, backend: kernels.Backend, layout: str) -> None:
    x = laid_out(normal(2, 5, 16, 19).float() + 300, layout).to(triton_device)
    tiles = [tile for rows in x.split([7, 9], 2) for tile in rows.split([3, 11, 5], 3)]
    merged = kernels.merge_statistics([kernels.instance_statistics(tile, backend=backend) for tile in tiles])
    var, mean = torch.var_mean(x.double(), (2, 3), correction=0)
    assert merged.pixels == 16 * 19
    torch.testing.assert_close(merged.mean.double(), mean, rtol=1e-6, atol=0)
    torch.testing.assert_close(merged.m2.double(), var * merged.pixels, rtol=1e-4, atol=0)
    weight, bias = normal(2, 5).float().to(triton_device)
    pasted = torch.cat(
        [
            torch.cat(
                [
                    kernels.normalise(tile, merged, weight, bias, activation="relu", backend=backend)
                    for tile in rows.split([3, 11, 5], 3)
                ],
                3,
            )
            for rows in x.split([7, 9], 2)
        ],
        2,
    )
    whole = kernels.instance_norm(x, weight, bias, activation="relu", backend="reference")
    torch.testing.assert_close(pasted, whole, rtol=1e-4, atol=2e-4)
