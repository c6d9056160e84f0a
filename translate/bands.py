"""Large pictures through networks with instance norm: bands of rows, with the statistics of the whole picture.

Instance norm makes every output pixel depend on every input pixel, but only through the mean and the variance of each
channel. One pass over the picture for each norm finds these, merged over the bands (Chan et al. 1979, "Updating
formulae and a pairwise algorithm for computing sample variances"); then they are constants, and the layers up to the
next norm are convolutions, for which a band with a halo gives what the whole picture would.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from typing import Protocol, cast

import torch
from torch import Tensor

from translate import kernels
from translate.models.cut import BlurDown, BlurUp
from translate.models.cyclegan import ResidualBlock, ResnetGenerator
from translate.models.layers import ConvNorm, UpNorm
from translate.models.smoothing import smoothing
from translate.scratch import Rows
from translate.tiles import Piece, Source

# Rows that a row of the result needs above and below; the larger where CUT's blurs see further.
ENCODER_HALO = 8, 12  # of the picture, multiples of 4
BLOCK_HALO = 1
DECODER_HALO = 2, 4  # of the blocks

_Layer = ConvNorm | UpNorm | BlurUp


class _Field(Protocol):
    """What can be read in rows: the picture, or the activations that are kept."""

    height: int

    def read(self, top: int, bottom: int) -> Tensor: ...


class _Picture:
    def __init__(self, source: Source, height: int, width: int) -> None:
        self.source, self.height, self.width = source, height, width

    def read(self, top: int, bottom: int) -> Tensor:
        return self.source(top, bottom, 0, self.width)


def in_bands(
    network: ResnetGenerator, source: Source, height: int, width: int, *, rows: int, memory: int
) -> Iterator[Piece]:
    """Run a generator of CycleGAN or CUT on a picture in bands; the pieces are those of the whole result.

    Kept of the whole picture is only what the residual blocks hold, at a quarter of the resolution. The encoder and the
    decoder hold more numbers but compute little, so each of their passes begins at the picture, or at the blocks' end.
    Time and memory grow linearly with the picture.

    Args:
        network: in eval mode.
        source: gives a part of the picture, in the network's range.
        height: of the picture, a multiple of 4.
        width: of the picture, a multiple of 4.
        rows: of a band, about.
        memory: bytes for what is kept; if that is more, it goes into a temporary file.

    Raises:
        ImageError: the disk has no room for the file.
    """
    run = _Run(network, max(1, rows // 4))
    picture, weight = _Picture(source, height, width), network.head.weight
    encoder = [network.stem, *cast(Sequence[ConvNorm], network.down)]
    decoder = cast(Sequence[UpNorm | BlurUp], network.up)
    encoder_halo = ENCODER_HALO[isinstance(encoder[-1], BlurDown)]
    decoder_halo = DECODER_HALO[isinstance(decoder[-1], BlurUp)]
    with ExitStack() as stack:
        kept = (Rows(height // 4, width // 4, network.width * 4, weight.dtype, memory // 3) for _ in range(3))
        stream, inner, raw = (stack.enter_context(rows) for rows in kept)
        for depth in range(1, len(encoder)):
            run.measure(picture, encoder[:depth], encoder_halo)
        if isinstance(encoder[-1], BlurDown):  # twice the size before its blur
            run.measure(picture, encoder, encoder_halo)
            for top, bottom in run.bands(picture):
                x = run.through(picture, top, bottom, encoder_halo, lambda x: run.normalised(encoder, x))
                stream.write(top // 4, x)
        else:
            run.measure(picture, encoder, encoder_halo, into=raw)
            run.settle(encoder[-1], raw, into=stream)
        for block in cast(Sequence[ResidualBlock], network.blocks):
            run.measure(stream, [block.first], BLOCK_HALO, into=raw)
            run.settle(block.first, raw, into=inner)
            run.measure(inner, [block.second], BLOCK_HALO, into=raw)
            run.settle(block.second, raw, into=stream, residual=stream)
        for depth in range(1, len(decoder) + 1):
            run.measure(stream, decoder[:depth], decoder_halo)
        for top, bottom in run.bands(stream):
            drawn = run.through(stream, top, bottom, decoder_halo, lambda x: network.draw(run.normalised(decoder, x)))
            yield top * 4, 0, network.finish(drawn, picture.read(top * 4, bottom * 4))


class _Run:
    """One picture on its way: which bands, and the statistics that are known so far."""

    def __init__(self, network: ResnetGenerator, rows: int) -> None:
        self.like, self.rows = network.head.weight, rows
        self.known: dict[_Layer, kernels.Statistics] = {}  # of what a layer's convolution gives

    def bands(self, field: _Field) -> Iterator[tuple[int, int]]:
        """Top and bottom of each band, in rows of the field."""
        rows = self.rows * 4 if isinstance(field, _Picture) else self.rows
        return ((top, min(top + rows, field.height)) for top in range(0, field.height, rows))

    def through(self, field: _Field, top: int, bottom: int, halo: int, function: Callable[[Tensor], Tensor]) -> Tensor:
        """What the function gives for these rows of the field, when it sees `halo` more above and below."""
        above, below = max(0, top - halo), min(bottom + halo, field.height)
        x = field.read(above, below).to(self.like)
        y = function(x.contiguous(memory_format=torch.channels_last))
        return y[:, :, (top - above) * y.shape[2] // x.shape[2] : (bottom - above) * y.shape[2] // x.shape[2]]

    def measure(self, field: _Field, layers: Sequence[_Layer], halo: int, into: Rows | None = None) -> None:
        """Learn the statistics of the last layer's convolution, and keep its result if there is a place for it."""
        done, found = 0, []
        for top, bottom in self.bands(field):
            y = self.through(field, top, bottom, halo, lambda x: layers[-1].convolve(self.normalised(layers[:-1], x)))
            found.append(kernels.instance_statistics(y))
            if into is not None:
                into.write(done, y)
            done += y.shape[2]
        whole, over_time = kernels.merge_statistics(found), smoothing()
        self.known[layers[-1]] = over_time.add(whole) if over_time else whole

    def normalised(self, layers: Sequence[_Layer], x: Tensor) -> Tensor:
        """x through layers whose statistics are known."""
        for layer in layers:
            x = self.normalise(layer, layer.convolve(x))
            if isinstance(layer, BlurDown):
                x = layer.shrink(x)
        return x

    def settle(self, layer: _Layer, raw: Rows, *, into: Rows, residual: Rows | None = None) -> None:
        """Normalise what a layer's convolution gave."""
        for top, bottom in self.bands(raw):
            before = None if residual is None else residual.read(top, bottom).to(self.like)
            into.write(top, self.normalise(layer, raw.read(top, bottom).to(self.like), before))

    def normalise(self, layer: _Layer, x: Tensor, residual: Tensor | None = None) -> Tensor:
        """The layer's norm, affine and activation with the statistics of the whole picture."""
        weight, bias = (None, None) if layer.norm is None else (layer.norm.weight, layer.norm.bias)
        return kernels.normalise(x, self.known[layer], weight, bias, residual=residual, activation=layer.activation)
