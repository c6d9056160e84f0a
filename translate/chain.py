"""Networks one after the other, and results that are made smaller: both do as one network does."""

from collections.abc import Callable, Iterator
from fractions import Fraction
from math import prod
from typing import TypeVar

from translate.images import Picture
from translate.images.scale import shrunk, shrunk_strips
from translate.translator import Translator

T = TypeVar("T")


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


class Shrunk:
    """What enlarges by more than is wanted, with results that are made smaller.

    Args:
        inner: what enlarges.
        scale: side of a result / side of its picture, at most that of `inner`.
    """

    def __init__(self, inner: Translator | Chain, scale: Fraction) -> None:
        self.inner, self.scale, self.ratio = inner, scale, scale / inner.scale
        self.device, self.precision = inner.device, inner.precision
        self.keeps_luma = inner.keeps_luma

    def __call__(self, pictures: list[Picture]) -> list[tuple[Picture, str | None]]:
        """As `Translator` does."""
        return [(shrunk(picture, self.ratio), remark) for picture, remark in self.inner(pictures)]

    def in_parts(self, picture: Picture) -> bool:
        """As `Translator` does."""
        return self.inner.in_parts(picture)

    def strips(self, picture: Picture, take: Callable[[Iterator[Picture]], T]) -> tuple[T, str | None]:
        """As `Translator` does."""
        return self.inner.strips(picture, lambda strips: take(shrunk_strips(strips, self.ratio)))


Ready = Translator | Chain | Shrunk
