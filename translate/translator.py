"""A network that is ready to translate pictures: at once or in parts, in fp32 where less does not do."""

import itertools
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Literal, TypeVar

import numpy as np
import torch
from torch import Tensor

from translate import memory
from translate.bands import in_bands
from translate.device import PRECISIONS, choose_device, choose_precision
from translate.errors import ImageError, InputError
from translate.images import Picture
from translate.metadata import Pixels
from translate.models import Model, int8
from translate.models.cyclegan import ResnetGenerator
from translate.models.pretrained_unet import PretrainedUNet
from translate.network import Network
from translate.results import finished, put_together
from translate.tiles import in_strips, in_tiles

T = TypeVar("T")


class Translator:
    """A network, ready to translate pictures of any size on one device in one precision.

    Args:
        model: from `translate.checkpoints.load`.
        device: "auto", or a name that torch knows.
        precision: "auto", "fp32", "bf16", "fp16" or "int8". With "auto", 16-bit pictures are computed in fp32.
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
        if self.precision == "int8" and not int8.possible(model.network, self.device):
            what = "SRResNet, on a processor that has AVX512-VNNI"
            raise InputError(f"--precision int8 is for {what}, and not for {model.architecture} here; leave it out")
        self._asked = precision != "auto"
        self._network = Network(model, self.device, self.precision)

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
            return put_together(strips, height, width)

        if len(pictures) == 1 or (together := self._together(pictures)) is None:
            return [self.strips(picture, whole) for picture in pictures]
        return [
            self._tried(picture, whole, ["fp32"])
            if pixels is None
            else (whole(finished(picture, iter([pixels]), self.scale)), None)
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
                return take(finished(picture, rows, self.scale))
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
        height, width = (n + self._network.padding(n) for n in pictures[0].pixels.shape[:2])
        itemsize = PRECISIONS[precision].itemsize
        shape = len(pictures), height, width
        if isinstance(self.tile, int):
            return self.tile if max(height, width) > self.tile else None
        if self.tile == "auto" and memory.can_tile(self.model):
            return memory.tile_side(self.model, itemsize, shape, memory.budget(self.device, self.model))
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
            result = self._network.result(pixels, precision)
        except torch.OutOfMemoryError:
            return None
        finite = result.isfinite().flatten(1).all(1).tolist()
        rows = self._network.quantise(result, pixels.dtype)
        return [row if good else None for row, good in zip(rows, finite, strict=True)]

    def _at_once(self, picture: Picture, precision: str) -> Iterator[Pixels]:
        result = self._network.result(picture.pixels[None], precision)
        yield self._network.quantise(_finite(result), picture.pixels.dtype)[0]

    def _in_parts(self, picture: Picture, precision: str, side: int) -> Iterator[Pixels]:
        """Rows of the result, as many as a row of parts is high."""
        (pixels,) = padded = self._network.padded(picture.pixels[None])
        size = pixels.shape[:2]
        height, width = (n * self.model.scale for n in picture.pixels.shape[:2])
        network, model = self._network.of(precision), self.model

        def source(top: int, bottom: int, left: int, right: int) -> Tensor:
            return self._network.values(padded[:, top:bottom, left:right])

        if isinstance(network, ResnetGenerator):
            parts = in_bands(network, source, *size, rows=side, memory=memory.MOST // 3)
        elif isinstance(network, PretrainedUNet):
            parts = in_strips(network, source, *size, rows=side)
        else:
            halo, multiple = model.halo or 0, model.multiple_of
            parts = in_tiles(network, source, *size, side=side, halo=halo, multiple=multiple, scale=model.scale)
        for top, row in itertools.groupby(parts, lambda part: part[0]):
            strip = None
            for _, left, part in row:
                seen = self._network.quantise(
                    _finite(part)[:, :, : height - top, : width - left], picture.pixels.dtype
                )[0]
                strip = np.empty((len(seen), width, 3), seen.dtype) if strip is None else strip
                strip[:, left : left + seen.shape[1]] = seen
            if strip is not None and len(strip):  # else all of it is padding
                yield strip


class _NotFiniteError(Exception):
    """The network has given NaN or infinity."""


def _finite(result: Tensor) -> Tensor:
    if not result.isfinite().all():
        raise _NotFiniteError
    return result
