"""The calls of the networks that block sizes are measured with."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from translate import kernels
from translate.kernels.timing import Call, poison, relative_error, sets_past_cache


@dataclass(frozen=True)
class Use:
    """An operation as a network calls it.

    Args:
        op: takes the tensors and `backend=`.
        shapes: of the tensors; one of three numbers, (C, H, W), is that of images, and gets the batch before it.
        tuned: the kernels whose block sizes are sought with it.
        backward: whether its gradients are what is measured.
        batches: all of them count alike.
    """

    op: Callable[..., Tensor]
    shapes: tuple[tuple[int, ...], ...]
    tuned: tuple[str, ...]
    backward: bool = False
    batches: tuple[int, ...] = (1, 8)


def uses() -> list[Use]:
    """What CycleGAN's generator, SRResNet, RRDBNet and SRVGG call at the usual sizes, the most telling first."""
    parts, one = ("instance_statistics", "normalise"), (1,)
    return [
        *(_norm(*shape, parts) for shape in ((256, 64, 64), (64, 256, 256), (128, 128, 128))),
        *(_up(*shape) for shape in ((256, 64, 64, 128), (128, 128, 128, 64))),
        *(_norm(*shape, ("instance_norm_grad",), True) for shape in ((256, 64, 64), (64, 256, 256), (128, 128, 128))),
        *(_up(*shape, one) for shape in ((64, 270, 480, 64), (64, 540, 960, 64), (256, 270, 480, 128))),
        _dense(64, 270, 480, 32),
        _dense(64, 64, 64, 32, backward=True),
        *(_norm(*shape, parts, batches=one) for shape in ((64, 1080, 1920), (256, 270, 480))),
        *(_shuffle(*shape) for shape in ((64, 270, 480, 2), (64, 540, 960, 2), (3, 270, 480, 4))),
        *(Use(kernels.quantise, (shape,), ("quantise",), batches=one) for shape in ((3, 1080, 1920), (3, 256, 256))),
        *(_transposed(*shape) for shape in ((256, 64, 64, 128), (128, 128, 128, 64))),
        *(
            Use(kernels.bias_leaky_relu, ((64, *size), (64,)), ("bias_leaky_relu",))
            for size in ((270, 480), (256, 256))
        ),
        *(_norm(*shape, ("instance_norm",)) for shape in ((512, 16, 16), (256, 32, 32))),
    ]


def _norm(
    c: int, h: int, w: int, tuned: tuple[str, ...], backward: bool = False, batches: tuple[int, ...] = (1, 8)
) -> Use:
    def op(x: Tensor, residual: Tensor, backend: kernels.Backend) -> Tensor:
        return kernels.instance_norm(x, residual=residual, activation="relu", backend=backend)

    return Use(op, ((c, h, w), (c, h, w)), tuned, backward, batches)


def _up(c: int, h: int, w: int, outputs: int, batches: tuple[int, ...] = (1, 8)) -> Use:
    op = partial(kernels.upsample_conv2d, padding="replicate", activation="relu")
    return Use(op, ((c, h, w), (outputs, c, 3, 3)), ("conv_up2",), batches=batches)


def _dense(c: int, h: int, w: int, growth: int, backward: bool = False) -> Use:
    slope = 0.9 if backward else 0.2  # nearly straight: rounding takes some numbers across the kink

    def op(x: Tensor, *layers: Tensor, backend: kernels.Backend) -> Tensor:
        return kernels.dense_block(x, layers[:5], layers[5:], slope=slope, backend=backend)

    outputs = [growth] * 4 + [c]
    weights = [(o, c + n * growth, 3, 3) for n, o in enumerate(outputs)]
    shapes = ((c, h, w), *weights, *((o,) for o in outputs))
    if backward:
        return Use(op, shapes, ("dense_grad",), True, (8,))
    return Use(op, shapes, ("dense_conv",), batches=(1,))


def _transposed(c: int, h: int, w: int, outputs: int) -> Use:
    return Use(kernels.conv_transpose2d, ((c, h, w), (c, outputs, 3, 3)), ("conv_up2",))


def _shuffle(c: int, h: int, w: int, factor: int) -> Use:
    def op(x: Tensor, backend: kernels.Backend) -> Tensor:  # what follows the library's convolution
        if backend == "reference":
            return F.leaky_relu(F.pixel_shuffle(x, factor), 0.1)
        from translate.kernels._pixel_shuffle_triton import bias_shuffle

        y: Tensor = bias_shuffle(x, None, None, factor, "leaky_relu", 0.1)
        return y

    return Use(op, ((c * factor**2, h, w),), ("bias_shuffle",), batches=(1,))


class Work:
    """One use on a device: calls of it that are ready to be timed, a result, and that of the reference in float64."""

    def __init__(self, use: Use, device: torch.device, dtype: torch.dtype) -> None:
        self._use, self._device, self._dtype = use, device, dtype
        self._inputs = self._tensors(use.batches[0])
        wide = [tensor.detach().double().requires_grad_(use.backward) for tensor in self._inputs]
        y = use.op(*wide, backend="reference")
        self._grad = torch.where(y.abs() < 0.05, 0, torch.randn_like(y)) if use.backward else None  # off the kink
        self._grad = None if self._grad is None else self._grad.to(dtype)
        self.expected = self._finish(y, wide, self._grad)
        self.calls = [self._calls(batch) for batch in use.batches]

    def result(self) -> list[Tensor]:
        """What Triton makes of the first batch, with NaN wherever it writes nothing."""
        op = partial(self._use.op, *self._inputs, backend="triton")
        if self._grad is None:
            poison(self.expected, self._dtype)
            return [op()]
        y = op()
        poison(self.expected, self._dtype)
        return self._finish(y, self._inputs, self._grad)

    def error(self) -> float:
        """The largest relative error of the result's tensors."""
        return max(relative_error(a, b) for a, b in zip(self.result(), self.expected, strict=True))

    def _finish(self, y: Tensor, inputs: Sequence[Tensor], grad: Tensor | None) -> list[Tensor]:
        if grad is None:
            return [y]
        return list(torch.autograd.grad(y, inputs, grad.to(y.dtype), retain_graph=True))

    def _tensors(self, batch: int) -> list[Tensor]:
        found = []
        for shape in self._use.shapes:
            x = torch.randn((batch, *shape) if len(shape) == 3 else shape, device=self._device, dtype=self._dtype)
            if len(shape) == 3:
                x = x.contiguous(memory_format=torch.channels_last)
            elif len(shape) == 4:  # a weight: the results are to be of the order of one
                x /= (9 * shape[1]) ** 0.5
            found.append(x.requires_grad_(self._use.backward))
        return found

    def _calls(self, batch: int) -> list[Call]:
        count = sets_past_cache(
            self._device, sum(tensor.nbytes for tensor in self._inputs) * batch // self._use.batches[0]
        )
        op = partial(self._use.op, backend="triton")
        calls: list[Call] = []
        for _ in range(count):
            inputs = self._tensors(batch)
            if self._use.backward:
                y = op(*inputs)
                calls.append(partial(self._finish, y, inputs, torch.randn_like(y)))
            else:
                calls.append(partial(op, *inputs))
        return calls
