"""What only a GPU can show: every dtype at real sizes, CUDA graphs, and tensors of more than 2³¹ elements."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from translate import kernels

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU"),
]

TOLERANCE = {torch.float32: 1e-4, torch.float16: 4e-3, torch.bfloat16: 3e-2}
FORMATS = (torch.contiguous_format, torch.channels_last)


def definition(x: Tensor, residual: Tensor) -> Tensor:
    var, mean = torch.var_mean(x, dim=(2, 3), correction=0, keepdim=True)
    return ((x - mean) / torch.sqrt(var + 1e-5) + residual).relu()


def pair(shape: tuple[int, ...], dtype: torch.dtype, memory_format: torch.memory_format) -> tuple[Tensor, Tensor]:
    torch.manual_seed(0)
    x, residual = (torch.randn(shape, device="cuda", dtype=dtype) for _ in range(2))
    return x.add_(3).contiguous(memory_format=memory_format), residual.contiguous(memory_format=memory_format)


@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", [(2, 64, 256, 256), (16, 256, 64, 64), (3, 200, 31, 31), (1, 3, 1080, 1920)])
def test_instance_norm(shape: tuple[int, ...], dtype: torch.dtype, memory_format: torch.memory_format) -> None:
    inputs = [t.requires_grad_() for t in pair(shape, dtype, memory_format)]
    wide = [t.detach().double().requires_grad_() for t in inputs]
    y = kernels.instance_norm(inputs[0], residual=inputs[1], activation="relu", backend="triton")
    expected = definition(*wide)
    tolerance = TOLERANCE[dtype]
    torch.testing.assert_close(y.double(), expected, rtol=tolerance, atol=tolerance)
    grad = torch.where(expected < 8 * tolerance, 0, torch.randn_like(y))  # rounding may take these across the kink
    results = [torch.autograd.grad(y, inputs, grad, retain_graph=True) for _ in range(2)]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))
    for a, b in zip(results[0], torch.autograd.grad(expected, wide, grad.double()), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=4 * tolerance, atol=4 * tolerance)


@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
def test_more_than_two_to_the_31_elements(memory_format: torch.memory_format) -> None:
    shape = (17, 64, 1080, 1920)
    if torch.cuda.mem_get_info()[0] < 24 * 2**30:
        pytest.skip("needs 24 GiB of GPU memory")
    x = torch.empty(shape, device="cuda", dtype=torch.float16, memory_format=memory_format).normal_()
    y = kernels.instance_norm(x, activation="relu", backend="triton")
    wanted = kernels.instance_norm(x[-1:].clone(memory_format=memory_format), activation="relu", backend="triton")
    assert torch.equal(y[-1:], wanted)
    assert torch.equal(kernels.bias_leaky_relu(x, backend="triton")[-1:], torch.nn.functional.leaky_relu(x[-1:], 0.2))


@pytest.mark.parametrize("memory_format", FORMATS, ids=str)
@pytest.mark.parametrize("side", [64, 512])
def test_a_cuda_graph_replays_it(side: int, memory_format: torch.memory_format) -> None:
    x, residual = pair((2, 64, side, side), torch.float16, memory_format)
    calls: list[Callable[[], Tensor]] = [
        lambda: kernels.instance_norm(x, residual=residual, activation="relu", backend="triton"),
        lambda: kernels.bias_leaky_relu(x, residual[0, :, 0, 0].contiguous(), backend="triton"),
    ]
    for call in calls:
        call()  # compiles it
        torch.cuda.synchronize()
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            y = call()
        x.normal_()
        graph.replay()
        assert torch.equal(y, call())
