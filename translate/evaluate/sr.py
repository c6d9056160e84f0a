"""How well pictures were enlarged: beside their originals, and beside Matlab's bicubic."""

from pathlib import Path

import numpy as np

from translate.errors import ImageError, InputError
from translate.evaluate import bicubic
from translate.evaluate.appearance import sharpness
from translate.evaluate.fidelity import Channel, Pixels, compare
from translate.evaluate.folders import Reader, find, match, require, values
from translate.evaluate.report import Report
from translate.images import Picture
from translate.translator import Translator

LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601, full swing


def evaluate(
    hr: Path,
    lr: Path | None = None,
    *,
    scale: int | None = None,
    translator: Translator | None = None,
    restored: Path | None = None,
    channel: Channel = "y",
    border: int | None = None,
    reader: Reader | None = None,
) -> Report:
    """Measure bicubic enlargement, and that of a network or what lies in a folder, on originals.

    Args:
        hr: the originals. Grey ones are compared in grey, as in the published figures.
        lr: the small pictures, by the same names; left out, they are made by Matlab's bicubic reduction.
        scale: how many times the originals are larger; left out, that of the network or of the first pair, or 4.
        translator: enlarges the small pictures.
        restored: enlarged pictures, by the same names.
        channel: what PSNR and SSIM are taken of.
        border: pixels at the edge that do not count; left out, as many as `scale`, which is usual.
        reader: reads.

    Raises:
        InputError: folders that do not fit together.
        EvaluationError: no picture is left.
    """
    reader = reader or Reader()
    lows = {name: pair[1] for name, pair in match(hr, lr).items()} if lr else {}
    results = {name: pair[1] for name, pair in match(hr, restored).items()} if restored else {}
    if translator is not None:
        if scale not in (None, translator.model.scale):
            raise InputError(f"the weights enlarge ×{translator.model.scale}, not ×{scale}; leave --scale out")
        scale = translator.model.scale
    protocol = {"hr": str(hr), "lr": lr and str(lr)}
    report = Report("sr", protocol, skipped=reader.skipped, pictures={"original": {}, "bicubic": {}})
    for name, path in find(hr).items():
        high, low = reader.read(path), reader.read(lows[name]) if lr else None
        result = reader.read(results[name]) if restored else None
        if high is None or (lr and low is None) or (restored and result is None):
            continue
        if scale is None:
            scale = max(round(high.pixels.shape[0] / low.pixels.shape[0]), 2) if low else 4
        try:
            figures = _measure(high, low, result, scale, translator, channel, scale if border is None else border)
        except ImageError as error:
            reader.skipped[path] = str(error)
            continue
        for method, one in figures.items():
            report.pictures.setdefault(method, {})[name] = one
    require(len(report.pictures["original"]), 1, hr)
    report.protocol |= {"scale": scale, "channel": channel, "border": scale if border is None else border}
    report.add_means()
    return report


def _measure(
    high: Picture,
    low: Picture | None,
    restored: Picture | None,
    scale: int,
    translator: Translator | None,
    channel: Channel,
    border: int,
) -> dict[str, dict[str, float]]:
    """The figures of one picture, by method."""
    height, width = (side - side % scale for side in high.pixels.shape[:2])
    if not min(height, width):
        raise ImageError(f"is {_size(high)}, too small to be {scale} times anything")
    if low is None:
        low = Picture(bicubic.reduce(high.pixels[:height, :width], scale), grey=high.grey)
    small = low.pixels.shape[:2]
    if (small[0] * scale, small[1] * scale) != (height, width):
        raise ImageError(f"is {_size(high)}, not {scale} times its small counterpart of {_size(low)}")
    enlarged = {"bicubic": Picture(bicubic.enlarge(low.pixels, scale))}
    if translator is not None:
        [(enlarged["weights"], _)] = translator([low])
    if restored is not None:
        if restored.pixels.shape[:2] not in ((height, width), high.pixels.shape[:2]):
            raise ImageError(f"is {_size(high)}, but its restored counterpart {_size(restored)}")
        enlarged["restored"] = restored

    def plane(picture: Picture) -> Pixels:
        pixels = values(picture)[:height, :width]
        if not high.grey:
            return pixels
        grey = bool((pixels[..., 1:] == pixels[..., :1]).all())
        return pixels[..., 0] if grey else pixels @ LUMA

    original = plane(high)
    return {"original": {"sharpness": sharpness(original)}} | {
        method: {**compare(original, plane(picture), channel, border), "sharpness": sharpness(plane(picture))}
        for method, picture in enlarged.items()
    }


def _size(picture: Picture) -> str:
    height, width = picture.pixels.shape[:2]
    return f"{width} × {height}"
