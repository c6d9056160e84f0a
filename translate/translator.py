"""A network that is ready to translate pictures: padding, precision, parts, and back to whole numbers."""

import copy
import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from math import prod
from typing import Any, Literal, TypeVar

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from translate import kernels, memory
from translate.bands import in_bands
from translate.device import PRECISIONS, choose_device, choose_precision
from translate.errors import ImageError, InputError
from translate.images import Picture
from translate.metadata import Pixels
from translate.models import Model
from translate.models.cyclegan import ResnetGenerator
from translate.models.layers import placed
from translate.models.restorer import Restorer, thumbnail_of_rows
from translate.models.smoothing import begin_pass
from translate.tiles import in_tiles

T = TypeVar("T")


class Translator:
    """A network, ready to translate pictures of any size on one device in one precision.

    Args:
        model: from `translate.checkpoints.load`.
        device: "auto", or a name that torch knows.
        precision: "auto", "fp32", "bf16" or "fp16". With "auto", 16-bit pictures are computed in fp32.
        tile: "auto" computes a picture that is too large for the memory in parts, with the result of the whole; "off"
            never does; a number of pixels is the side of the parts (for networks with instance norm, the rows).

    Raises:
        InputError: the device or the precision is not there, or the network cannot work in parts of a given size.
    """

    def __init__(
        self, model: Model, device: str = "auto", precision: str = "auto", tile: Literal["auto", "off"] | int = "auto"
    ) -> None:
        if isinstance(tile, int) and not memory.can_tile(model):
            raise InputError(f"--tile {tile}: a {model.architecture} needs the whole picture; leave --tile out")
        self.model = model
        self.tile = tile
        self.device = choose_device(device).value
        self.precision = choose_precision(precision, self.device).value
        self._asked = precision != "auto"
        self._networks = {self.precision: self._network(self.precision)}

    @property
    def scale(self) -> int:
        """Side of a result / side of its picture."""
        return self.model.scale

    @property
    def keeps_luma(self) -> bool:
        """Whether every pixel of a result has the luma (BT.601) of its picture."""
        return bool(getattr(self.model.network, "keeps_luma", False))

    @torch.inference_mode()
    def __call__(self, pictures: list[Picture]) -> list[tuple[Picture, str | None]]:
        """Translate pictures of one size and dtype; each result comes with a remark, or None.

        Raises:
            ImageError: there is too little memory, or the network gives NaN or infinity even in float32.
        """
        height, width = (n * self.model.scale for n in pictures[0].pixels.shape[:2])

        def whole(strips: Iterator[Picture]) -> Picture:
            return _put_together(strips, height, width)

        if len(pictures) == 1 or (together := self._together(pictures)) is None:
            return [self.strips(picture, whole) for picture in pictures]
        return [
            self._tried(picture, whole, ["fp32"])
            if pixels is None
            else (whole(self._finished(picture, iter([pixels]))), None)
            for picture, pixels in zip(pictures, together, strict=True)
        ]

    def in_parts(self, picture: Picture) -> bool:
        """Whether the picture is too large to be translated at once, but not in parts."""
        with suppress(ImageError):  # too large for both, as translating it will say
            return self._side([picture], self._first_precision(picture)) is not None
        return False

    @torch.inference_mode()
    def strips(self, picture: Picture, take: Callable[[Iterator[Picture]], T]) -> tuple[T, str | None]:
        """Translate one picture in strips, if it has to be, so that the whole result need never be in memory.

        Args:
            picture: any.
            take: gets the strips of the result from top to bottom. Where one cannot be made after all, for want of
                memory or precision, what it raises must pass through `take`, which then gets all of them anew.

        Returns:
            What `take` returned, and a remark, or None.

        Raises:
            ImageError: there is too little memory, or the network gives NaN or infinity even in float32.
        """
        return self._tried(picture, take, [self._first_precision(picture), "fp32"])

    def _tried(
        self, picture: Picture, take: Callable[[Iterator[Picture]], T], precisions: list[str]
    ) -> tuple[T, str | None]:
        first = self._first_precision(picture)
        for precision in dict.fromkeys(precisions):
            remark = None if precision == first else f"{first} gave NaN or infinity; computed again in fp32"
            with suppress(_NotFiniteError):
                return self._fitting(picture, precision, take), remark
        raise ImageError("the network gives NaN or infinity for it, even in fp32; try other weights")

    def _fitting(self, picture: Picture, precision: str, take: Callable[[Iterator[Picture]], T]) -> T:
        """`take` of the strips, in parts that are halved until they fit into the memory."""
        side = self._side([picture], precision)
        while True:
            try:
                rows = self._at_once(picture, precision) if side is None else self._in_parts(picture, precision, side)
                return take(self._finished(picture, rows))
            except torch.OutOfMemoryError:
                shortest = min(picture.pixels.shape[:2])
                smaller = (min(side, shortest) if side else shortest) // 2
                if self.tile != "auto" or not memory.can_tile(self.model) or smaller < memory.SMALLEST:
                    raise
                side = smaller

    def _first_precision(self, picture: Picture) -> str:
        return "fp32" if picture.pixels.dtype == np.uint16 and not self._asked else self.precision

    def _side(self, pictures: list[Picture], precision: str) -> int | None:
        """Of the parts to work in, or None for the whole."""
        height, width = (n + self._padding(n) for n in pictures[0].pixels.shape[:2])
        itemsize = PRECISIONS[precision].itemsize
        shape = len(pictures), height, width
        if isinstance(self.tile, int):
            return self.tile if max(height, width) > self.tile else None
        if self.tile == "auto" and memory.can_tile(self.model):
            free = memory.budget(self.device)
            return None if free is None else memory.tile_side(self.model, itemsize, shape, free)
        if self.device.startswith("cpu"):  # a GPU says itself when it is full
            memory.require(self.model, itemsize, shape)
        return None

    def _together(self, pictures: list[Picture]) -> list[Pixels | None] | None:
        """The result of each picture, or None where it is not finite; None if they are too large together."""
        precision = self._first_precision(pictures[0])
        if self._side(pictures, precision) is not None:
            return None
        pixels = np.stack([picture.pixels for picture in pictures])
        try:
            result = self._result(pixels, precision)
        except torch.OutOfMemoryError:
            return None
        finite = result.isfinite().flatten(1).all(1).tolist()
        rows = self._quantise(result, pixels.dtype)
        return [row if good else None for row, good in zip(rows, finite, strict=True)]

    def _at_once(self, picture: Picture, precision: str) -> Iterator[Pixels]:
        result = self._result(picture.pixels[None], precision)
        yield self._quantise(_finite(result), picture.pixels.dtype)[0]

    def _result(self, pixels: Pixels, precision: str) -> Tensor:
        """What the network gives for (B, H, W, 3), in its own range."""
        height, width = (side * self.model.scale for side in pixels.shape[1:3])
        y: Tensor = self._in(precision)(self._values(self._padded(pixels)))
        return y[:, :, :height, :width]

    def _in_parts(self, picture: Picture, precision: str, side: int) -> Iterator[Pixels]:
        """Rows of the result, as many as a row of parts is high."""
        (pixels,) = padded = self._padded(picture.pixels[None])
        size = pixels.shape[:2]
        height, width = (n * self.model.scale for n in picture.pixels.shape[:2])
        network, model = self._in(precision), self.model

        def source(top: int, bottom: int, left: int, right: int) -> Tensor:
            return self._values(padded[:, top:bottom, left:right])

        if isinstance(network, ResnetGenerator):
            parts = in_bands(network, source, *size, rows=side, memory=memory.MOST // 3)
        else:
            work: Callable[[Tensor], Tensor] = network
            if isinstance(network, Restorer):
                film = network.glance(thumbnail_of_rows(lambda top, bottom: source(top, bottom, 0, size[1]), size[0]))
                work = partial(network, film=film)
            parts = in_tiles(
                work, source, *size, side=side, halo=model.halo or 0, multiple=model.multiple_of, scale=model.scale
            )
        for top, row in itertools.groupby(parts, lambda part: part[0]):
            strip = None
            for _, left, part in row:
                seen = self._quantise(_finite(part)[:, :, : height - top, : width - left], picture.pixels.dtype)[0]
                strip = np.empty((len(seen), width, 3), seen.dtype) if strip is None else strip
                strip[:, left : left + seen.shape[1]] = seen
            if strip is not None and len(strip):  # else all of it is padding
                yield strip

    def _network(self, precision: str) -> nn.Module:
        network: nn.Module = copy.deepcopy(self.model.network)
        return placed(network, self.device, PRECISIONS[precision])

    def _in(self, precision: str) -> nn.Module:
        """The network, for one pass."""
        begin_pass(id(self))
        if precision not in self._networks:
            self._networks[precision] = self._network(precision)
        return self._networks[precision]

    def _padded(self, pixels: Pixels) -> Pixels:
        """(B, H, W, 3), reflected below and on the right up to a size that the network takes."""
        below, right = (self._padding(n) for n in pixels.shape[1:3])
        if below or right:
            return np.pad(pixels, [(0, 0), (0, below), (0, right), (0, 0)], mode="reflect")
        return pixels

    def _padding(self, length: int) -> int:
        multiple = self.model.multiple_of
        return max(self.model.minimum, -(-length // multiple) * multiple) - length

    def _values(self, pixels: Pixels) -> Tensor:
        """(B, H, W, 3) -> (B, 3, H, W) float32 in the model's range on the device, channels_last."""
        low, high = self.model.value_range
        x = torch.from_numpy(pixels).to(self.device).permute(0, 3, 1, 2).float()
        return x.mul_((high - low) / np.iinfo(pixels.dtype).max).add_(low)

    def _quantise(self, result: Tensor, dtype: np.dtype[Any]) -> Pixels:
        """Back to whole numbers on the device, so that little has to leave it: (B, H, W, 3)."""
        bits: Literal[8, 16] = 16 if dtype == np.uint16 else 8
        if bits == 16 and result.is_mps:  # whose support of uint16 is not there in every torch
            result = result.cpu()
        pixels: Pixels = kernels.quantise(result, *self.model.value_range, bits=bits).cpu().numpy()
        return pixels

    def _finished(self, picture: Picture, strips: Iterator[Pixels]) -> Iterator[Picture]:
        """Strips of the result as pictures, with what the source had besides."""
        top = 0
        alpha = picture.alpha
        if alpha is not None and self.model.scale > 1:
            height, width = (n * self.model.scale for n in alpha.shape)
            alpha = _scaled(alpha, (width, height))
        for pixels in strips:
            rows = None if alpha is None else alpha[top : top + len(pixels)]
            yield self._finish(replace(picture, alpha=rows), pixels)
            top += len(pixels)

    def _finish(self, picture: Picture, pixels: Pixels) -> Picture:
        enlarges = self.model.scale > 1
        if picture.grey and enlarges:  # sharper, but no more colourful than it was
            mean = (pixels.sum(axis=2, keepdims=True, dtype=np.uint32) + 1) // 3
            pixels = np.repeat(mean.astype(pixels.dtype), 3, axis=2)
        return replace(picture, pixels=pixels, grey=picture.grey and enlarges)


def _put_together(strips: Iterator[Picture], height: int, width: int) -> Picture:
    """The picture that the strips are of."""
    first = next(strips)
    if len(first.pixels) == height:
        return first
    pixels = np.empty((height, width, 3), first.pixels.dtype)
    alpha = None if first.alpha is None else np.empty((height, width), first.alpha.dtype)
    top = 0
    for strip in itertools.chain([first], strips):
        rows = slice(top, top + len(strip.pixels))
        pixels[rows] = strip.pixels
        if alpha is not None and strip.alpha is not None:
            alpha[rows] = strip.alpha
        top = rows.stop
    return replace(first, pixels=pixels, alpha=alpha)


class _NotFiniteError(Exception):
    """The network has given NaN or infinity."""


def _finite(result: Tensor) -> Tensor:
    if not result.isfinite().all():
        raise _NotFiniteError
    return result


class Chain:
    """Several translators, each of which goes on with the result of the one before.

    Args:
        stages: at least one, all on the same device.
    """

    def __init__(self, stages: list[Translator]) -> None:
        self.stages = stages
        self.scale = prod(stage.scale for stage in stages)
        self.device, self.precision = stages[0].device, stages[0].precision
        self.keeps_luma = all(stage.keeps_luma for stage in stages)

    def __call__(self, pictures: list[Picture]) -> list[tuple[Picture, str | None]]:
        """As `Translator` does."""
        remarks: list[str | None] = [None] * len(pictures)
        for stage in self.stages:
            results = stage(pictures)
            pictures = [picture for picture, _ in results]
            remarks = [remark or before for (_, remark), before in zip(results, remarks, strict=True)]
        return list(zip(pictures, remarks, strict=True))

    def in_parts(self, picture: Picture) -> bool:
        """Whether the last of them works in parts; only it can enlarge."""
        return self.stages[-1].in_parts(picture)

    def strips(self, picture: Picture, take: Callable[[Iterator[Picture]], T]) -> tuple[T, str | None]:
        """As `Translator` does, for the last of them."""
        *others, last = self.stages
        before = None
        for stage in others:
            ((picture, remark),) = stage([picture])
            before = remark or before
        result, remark = last.strips(picture, take)
        return result, remark or before


Ready = Translator | Chain


def resized(picture: Picture, short_side: int, max_pixels: int) -> Picture:
    """A picture scaled to a short side, if it has no more pixels then than are allowed."""
    height, width = picture.pixels.shape[:2]
    scale = short_side / min(height, width)
    size = max(short_side, round(width * scale)), max(short_side, round(height * scale))
    if size[0] * size[1] > max_pixels:
        raise ImageError(f"--size makes it {size[0]} × {size[1]}, more than --max-pixels {max_pixels:,}; lower --size")
    alpha = None if picture.alpha is None else _scaled(picture.alpha, size)
    return replace(picture, pixels=_scaled(picture.pixels, size), alpha=alpha)


def _scaled(array: Pixels, size: tuple[int, int]) -> Pixels:
    """(H, W) or (H, W, C) scaled to (width, height): areas averaged when it gets smaller, else bicubic."""
    method = cv2.INTER_AREA if size[0] < array.shape[1] else cv2.INTER_CUBIC
    return cv2.resize(array, size, interpolation=method).astype(array.dtype, copy=False)
