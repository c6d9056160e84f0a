"""What only a GPU can show: every dtype at real sizes, CUDA graphs, and tensors of more than 2³¹ elements."""

from collections.abc import Callable

import pytest
import torch
from kernel_cases import activate, assert_near, laid_out, normal, upsampled
from torch import Tensor

from translate import kernels
from translate.kernels.timing import relative_error

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.usefixtures("triton_device"),
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
@pytest.mark.parametrize("pad", [1, 3])
def test_instance_norm_reflected(pad: int, memory_format: torch.memory_format) -> None:
    x, residual = pair((2, 64, 135, 241), torch.float16, memory_format)
    wide = x.double().requires_grad_()
    y = kernels.instance_norm(x.requires_grad_(), residual=residual, activation="relu", pad=pad, backend="triton")
    expected = torch.nn.functional.pad(definition(wide, residual.double()), [pad] * 4, mode="reflect")
    torch.testing.assert_close(y.double(), expected, rtol=4e-3, atol=4e-3)
    grad = torch.where(expected < 0.05, 0, torch.randn_like(y))  # rounding may take these across the kink
    (actual,) = torch.autograd.grad(y, x, grad)
    (wanted,) = torch.autograd.grad(expected, wide, grad.double())
    torch.testing.assert_close(actual.double(), wanted, rtol=2e-2, atol=2e-2)


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
    dense = dense_block(64, torch.float16)
    calls: list[Callable[[], Tensor]] = [
        lambda: kernels.instance_norm(x, residual=residual, activation="relu", backend="triton"),
        lambda: kernels.bias_leaky_relu(x, residual[0, :, 0, 0].contiguous(), backend="triton"),
        lambda: kernels.dense_block(x, *dense, backend="triton"),
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


def dense_block(channels: int, dtype: torch.dtype) -> tuple[list[Tensor], list[Tensor]]:
    """Weights and biases of a dense block that grows by 32."""
    torch.manual_seed(0)
    shapes = [(32 if n < 4 else channels, channels + 32 * n, 3, 3) for n in range(5)]
    weights = [torch.randn(shape, device="cuda", dtype=dtype) / (9 * shape[1]) ** 0.5 for shape in shapes]
    weights = [weight.contiguous(memory_format=torch.channels_last) for weight in weights]
    return weights, [torch.randn(shape[0], device="cuda", dtype=dtype) for shape in shapes]


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", [(1, 64, 270, 480), (2, 64, 31, 31), (1, 40, 1, 1)])
@torch.inference_mode()
def test_dense_block(shape: tuple[int, ...], dtype: torch.dtype) -> None:
    weights, biases = dense_block(shape[1], dtype)
    x, residual = pair(shape, dtype, torch.channels_last)
    y, again = (kernels.dense_block(x, weights, biases, residual=residual, backend="triton") for _ in range(2))
    assert torch.equal(y, again)
    wide = [[t.double() for t in kind] for kind in ([x], weights, biases, [residual])]
    expected = kernels.dense_block(wide[0][0], *wide[1:3], residual=wide[3][0], backend="reference")
    torch.testing.assert_close(y.double(), expected, rtol=TOLERANCE[dtype], atol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("shape", [(4, 64, 64, 64), (2, 64, 31, 31), (1, 40, 1, 1)])
def test_the_gradients_of_a_dense_block(
    shape: tuple[int, ...], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The slope is near one, as rounding takes some of what is before a leaky ReLU across its kink."""
    monkeypatch.setattr(torch.backends.cudnn, "deterministic", True)
    weights, biases = dense_block(shape[1], dtype)
    x, residual = pair(shape, dtype, torch.channels_last)
    inputs = [t.requires_grad_() for t in (x, residual, *weights, *biases)]
    wide = [t.detach().double().requires_grad_() for t in inputs]
    grad = torch.randn_like(x)

    def gradients(x: Tensor, residual: Tensor, *layers: Tensor, backend: kernels.Backend) -> tuple[Tensor, ...]:
        options = {"slope": 0.9, "residual": residual, "backend": backend}
        y = kernels.dense_block(x, layers[:5], layers[5:], **options)  # type: ignore[arg-type]
        return torch.autograd.grad(y, [x, residual, *layers], grad.to(y.dtype))

    found, again = (gradients(*inputs, backend="triton") for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(found, again, strict=True))
    for a, b in zip(found, gradients(*wide, backend="reference"), strict=True):
        assert relative_error(a, b) < 4 * TOLERANCE[dtype]


@torch.inference_mode()
def test_a_dense_block_of_more_than_two_to_the_31_elements() -> None:
    if torch.cuda.mem_get_info()[0] < 24 * 2**30:
        pytest.skip("needs 24 GiB of GPU memory")
    weights, biases = dense_block(64, torch.float16)
    x = torch.empty((6, 64, 1080, 1920), device="cuda", dtype=torch.float16).normal_()  # 192 channels in the buffer
    x = x.contiguous(memory_format=torch.channels_last)
    y = kernels.dense_block(x, weights, biases, backend="triton")
    assert torch.equal(y[-1:], kernels.dense_block(x[-1:], weights, biases, backend="triton"))


@pytest.mark.parametrize("dtype", list(TOLERANCE))
@pytest.mark.parametrize("size", [(2, 256, 64, 64, 128), (1, 128, 135, 241, 64), (1, 64, 31, 31, 3)])
def test_upsample_conv2d(dtype: torch.dtype, size: tuple[int, ...]) -> None:
    inputs, outputs = size[1], size[4]
    x = laid_out(normal(*size[:4]).to("cuda", dtype), "channels_last")
    weight, bias = (normal(outputs, inputs, 3, 3, seed=1) / (3 * inputs**0.5)).to(x), normal(outputs).to(x)
    y = kernels.upsample_conv2d(x, weight, bias, padding="replicate", activation="relu", backend="triton")
    assert_near(y, activate(upsampled(x, weight, bias, "replicate"), "relu", 0))


def test_an_upsampled_tensor_of_more_than_two_to_the_31_elements() -> None:
    x = torch.randn(5, 64, 1080, 1920, device="cuda", dtype=torch.float16)
    x = x.contiguous(memory_format=torch.channels_last)
    weight = torch.randn(64, 64, 3, 3, device="cuda", dtype=torch.float16) / 24
    y = kernels.upsample_conv2d(x, weight, backend="triton")
    assert y.numel() > 2**31
    assert torch.equal(y[4:], kernels.upsample_conv2d(x[4:], weight, backend="triton"))
    assert torch.equal(kernels.quantise(y)[4:], kernels.quantise(y[4:]))
    shuffled = kernels.conv_pixel_shuffle(x, weight.repeat(4, 1, 1, 1), factor=2, backend="triton")
    alone = kernels.conv_pixel_shuffle(x[4:], weight.repeat(4, 1, 1, 1), factor=2, backend="triton")
    torch.testing.assert_close(shuffled[4:], alone)  # the library's convolution may sum in another order


@torch.inference_mode()
def test_a_cuda_graph_captures_the_end_of_a_network() -> None:
    x, weight = torch.randn(1, 64, 32, 32, device="cuda"), torch.randn(64, 64, 3, 3, device="cuda") / 24

    def network() -> Tensor:
        y = kernels.upsample_conv2d(x, weight, padding="replicate", backend="triton")
        return kernels.quantise(kernels.conv_pixel_shuffle(y, weight, backend="triton"), backend="triton")

    expected = network()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        captured = network()
    captured.zero_()
    graph.replay()
    assert torch.equal(captured, expected)
