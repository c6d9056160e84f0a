"""Networks one after the other, of which only what they answer is known."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from translate.chain import Chain
from translate.images import Picture


class Stage:
    """Adds `more` to every pixel, and remarks something."""

    device, precision, keeps_luma = "cpu", "fp32", True

    def __init__(self, more: int, remark: str | None = None, scale: int = 1, parts: bool = False) -> None:
        self.more, self.remark, self.scale, self.parts = more, remark, scale, parts

    def __call__(self, pictures: list[Picture]) -> list[tuple[Picture, str | None]]:
        return [(Picture(picture.pixels + np.uint8(self.more)), self.remark) for picture in pictures]

    def in_parts(self, picture: Picture) -> bool:
        return self.parts

    def strips(self, picture: Picture, take: Callable[[Iterator[Picture]], Any]) -> tuple[Any, str | None]:
        ((result, remark),) = self([picture])
        return take(iter([result])), remark


def chain(*stages: Any) -> Chain:
    return Chain(list(stages))


grey = Picture(np.full((2, 2, 3), 100, np.uint8))


def test_the_last_of_them_says_whether_it_works_in_parts() -> None:
    whole, parts = Stage(1), Stage(1, scale=4, parts=True)
    assert chain(whole, parts).in_parts(grey)
    assert not chain(parts, whole).in_parts(grey)
    assert chain(whole, parts).scale == 4


def levels(strips: Iterator[Picture]) -> list[int]:
    return [int(strip.pixels[0, 0, 0]) for strip in strips]


def test_the_last_remark_arrives_with_what_all_of_them_made() -> None:
    silent, early, late = Stage(1), Stage(2, "early"), Stage(4, "late")
    for stages, remark in (((early, silent), "early"), ((silent, late), "late"), ((early, silent, late), "late")):
        made = 100 + sum(stage.more for stage in stages)
        assert chain(*stages).strips(grey, levels) == ([made], remark)
        ((picture, said),) = chain(*stages)([grey])
        assert (picture.pixels[0, 0, 0], said) == (made, remark)
    assert chain(early, silent, silent).strips(grey, levels) == ([104], "early")
    assert chain(silent, silent).strips(grey, levels) == ([102], None)
