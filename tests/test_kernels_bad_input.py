"""What the operations refuse, and in which words: of all implementations, and of Triton alone."""

from collections.abc import Callable

import pytest
import torch
from kernel_cases import CALLS
from torch import Tensor

from translate import kernels

NAN = float("nan")
x, weight = torch.ones(1, 3, 4, 4), torch.ones(4, 3, 3, 3)


def norm(**options: object) -> Callable[[], Tensor]:
    return lambda: kernels.instance_norm(x, **options)  # type: ignore[arg-type]


def up(w: Tensor = weight, **options: object) -> Callable[[], Tensor]:
    return lambda: kernels.upsample_conv2d(x, w, **options)  # type: ignore[arg-type]


def transposed(*shape: int) -> Callable[[], Tensor]:
    return lambda: kernels.conv_transpose2d(x, torch.ones(shape))


def shuffle(*shape: int, **options: object) -> Callable[[], Tensor]:
    return lambda: kernels.conv_pixel_shuffle(x, torch.ones(shape), **options)  # type: ignore[arg-type]


def normalise(other: Tensor = x, **options: object) -> Callable[[], Tensor]:
    return lambda: kernels.normalise(other, kernels.instance_statistics(x), **options)  # type: ignore[arg-type]


REFUSED: list[tuple[Callable[[], object], str]] = [
    (norm(weight=torch.ones(4)), r"weight is \(4,\), but the input has 3 channels"),
    (norm(bias=torch.ones(1)), r"bias is \(1,\), but the input has 3 channels"),
    (norm(residual=x[..., :1]), r"residual is \(1, 3, 4, 1\).* is \(1, 3, 4, 4\)"),
    (norm(pad=4), r"pad is 4; it must be less than the sides of the input, \(1, 3, 4, 4\)"),
    (norm(pad=-1), "pad is -1; it must be"),
    (norm(activation="gelu"), "'gelu'; known are 'none', 'relu' and 'leaky_relu'"),
    (norm(activation="leaky_relu", slope=-0.1), "slope is -0.1; it must be positive"),
    (norm(activation="leaky_relu", slope=NAN), "slope is nan; it must be positive"),
    (norm(backend="cuda"), "backend is 'cuda'; known are"),
    (lambda: kernels.instance_norm(x[:, :, :1, :1]), "Expected more than 1 spatial element"),
    (lambda: kernels.instance_statistics(x[0]), r"at least one pixel, got \(3, 4, 4\)"),
    (lambda: kernels.instance_statistics(x[..., :0]), r"at least one pixel, got \(1, 3, 4, 0\)"),
    (lambda: kernels.merge_statistics([]), "no parts"),
    (normalise(x[:, :2]), r"got \(1, 2, 4, 4\), \(1, 3\)"),
    (normalise(bias=torch.ones(2)), r"bias is \(2,\), but the input has 3 channels"),
    (normalise(residual=x[..., :1]), r"residual is \(1, 3, 4, 1\).* is \(1, 3, 4, 4\)"),
    (normalise(activation="leaky_relu", slope=NAN), "slope is nan; it must be positive"),
    (lambda: kernels.bias_leaky_relu(x, torch.ones(4)), r"bias is \(4,\), but the input is \(1, 3, 4, 4\)"),
    (lambda: kernels.bias_leaky_relu(x, slope=NAN), "slope is nan"),
    (up(torch.ones(4, 2, 3, 3)), r"\(O, 3, 3, 3\), got \(4, 2, 3, 3\)"),
    (up(torch.ones(4, 3, 4, 4)), r"\(O, 3, 3, 3\), got \(4, 3, 4, 4\)"),
    (up(torch.ones(4)), r"\(O, 3, 3, 3\), got \(4,\)"),
    (up(padding="reflect"), "'reflect'; known are"),
    (up(activation="gelu"), "'gelu'; known are"),
    (up(activation="leaky_relu", slope=NAN), "slope is nan; it must be positive"),
    (transposed(2, 4, 3, 3), r"\(3, O, 3, 3\).*got \(2, 4, 3, 3\)"),
    (transposed(3, 4, 5, 5), r"got \(3, 4, 5, 5\)"),
    (transposed(3), r"got \(3,\)"),
    (shuffle(6, 3, 3, 3), r"\(n·4, 3, k, k\).*got \(6, 3, 3, 3\)"),
    (shuffle(8, 2, 3, 3), r"got \(8, 2, 3, 3\)"),
    (shuffle(8, 3, 2, 2), r"k odd, got \(8, 3, 2, 2\)"),
    (shuffle(8, 3, 3, 5), r"got \(8, 3, 3, 5\)"),
    (shuffle(8), r"got \(8,\)"),
    (shuffle(8, 3, 3, 3, activation="gelu"), "'gelu'; known are"),
    (shuffle(8, 3, 3, 3, activation="leaky_relu", slope=-0.1), "slope is -0.1; it must be positive"),
    (lambda: kernels.quantise(x, 1, 1), "low must be below high"),
    (lambda: kernels.quantise(x, 0, NAN), "low must be below high"),
    (lambda: kernels.quantise(x, bits=12), "bits is 12; it must be 8 or 16"),  # type: ignore[arg-type]
]


@pytest.mark.parametrize(("call", "message"), REFUSED, ids=[message for _, message in REFUSED])
def test_wrong_use_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_a_wrong_rank_and_whole_numbers(call: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match=r"takes \(B, [CI], H, W\).*, got \(3, 4, 4\)"):
        call(x[0])
    with pytest.raises(TypeError, match=r"takes floats, got torch\.int32"):
        call(x.int())


@pytest.mark.parametrize(
    "call",
    [
        lambda t: kernels.instance_norm(x, t[:3, 0, 0, 0]),
        lambda t: kernels.instance_norm(x, residual=t[:1, :, :1, :1].expand(1, 3, 4, 4)),
        lambda t: kernels.normalise(t[:1].expand(1, 3, 3, 3), kernels.instance_statistics(x)),
        lambda t: kernels.bias_leaky_relu(x, t[0, :, 0, 0]),
        lambda t: kernels.upsample_conv2d(x, t),
        lambda t: kernels.conv_transpose2d(x, t[:3]),
        lambda t: kernels.conv_pixel_shuffle(x, t),
        lambda t: kernels.dense_block(x, [t[:3]], [x[0, :, 0, 0]]),
    ],
)
def test_tensors_on_two_devices(call: Callable[[Tensor], Tensor]) -> None:
    with pytest.raises(ValueError, match=r"takes tensors on one device, got (cpu and meta|meta and cpu)"):
        call(weight.to("meta"))


TOO_LARGE = torch.ones(1).expand(2**12, 3, 2**9, 2**9)
STRICT: list[tuple[Callable[..., object], str]] = [
    (lambda **o: kernels.instance_norm(x[:0], **o), r"cannot run in Triton: \(0, 3, 4, 4\) is empty"),
    (
        lambda **o: kernels.normalise(x.clone().requires_grad_(), kernels.instance_statistics(x), **o),
        "a gradient is wanted",
    ),
    (lambda **o: kernels.bias_leaky_relu(x, gain=-1, **o), "slope 0.2 and gain -1 change the sign"),
    (lambda **o: kernels.bias_leaky_relu(x[:0], **o), "is empty"),
    (lambda **o: kernels.upsample_conv2d(x.half(), weight, **o), "dtypes differ: torch.float16, torch.float32"),
    (lambda **o: kernels.upsample_conv2d(x, weight, torch.ones(3), **o), r"the bias is \(3,\), not \(4,\)"),
    (lambda **o: kernels.upsample_conv2d(x[:0], weight, **o), "a tensor is empty"),
    (lambda **o: kernels.upsample_conv2d(TOO_LARGE, weight, **o), "too large"),
    (lambda **o: kernels.conv_transpose2d(x, weight[:3], torch.ones(4), **o), r"the bias is \(4,\), not \(3,\)"),
    (lambda **o: kernels.conv_pixel_shuffle(x, weight, torch.ones(3), **o), r"the bias is \(3,\), not \(4,\)"),
    (
        lambda **o: kernels.conv_pixel_shuffle(x, weight, activation="leaky_relu", slope=torch.ones(4), **o),
        r"the slopes are \(4,\), not \(1,\) or \(1,\)",
    ),
    (lambda **o: kernels.conv_pixel_shuffle(TOO_LARGE, weight, **o), "too large"),
    (lambda **o: kernels.dense_block(TOO_LARGE, [weight[:3]], [torch.ones(3)], **o), "too large"),
    (lambda **o: kernels.quantise(x[:, :, :0], **o), "the input is empty"),
    (lambda **o: kernels.quantise(TOO_LARGE, **o), "is too large"),
]


@pytest.mark.usefixtures("triton_device")
@pytest.mark.parametrize(("call", "message"), STRICT, ids=[message for _, message in STRICT])
def test_strictly_triton_says_what_is_in_the_way(call: Callable[..., object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call(backend="triton")


@pytest.mark.usefixtures("triton_device")
@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_no_kernel_takes_float64(call: Callable[..., Tensor]) -> None:
    with pytest.raises(ValueError, match=r"cannot run in Triton: torch\.float64 is not one of float32, float16"):
        call(x.double(), backend="triton")


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_left_to_itself_the_choice_is_the_reference_on_a_cpu(call: Callable[..., Tensor]) -> None:
    (line,) = kernels.explain(call, x)
    assert line.endswith(": reference, the tensors are on cpu")
