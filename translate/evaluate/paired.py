"""How near translated pictures are to what they should have become."""

from pathlib import Path

from translate.errors import ImageError
from translate.evaluate.appearance import colourfulness, edge_correlation, sharpness
from translate.evaluate.colour import delta_e
from translate.evaluate.fidelity import Channel, compare
from translate.evaluate.folders import Reader, match, require
from translate.evaluate.report import Report


def evaluate(
    real: Path, fake: Path, *, channel: Channel = "rgb", border: int = 0, reader: Reader | None = None
) -> Report:
    """Measure each picture of one folder against that of the same name in another.

    Args:
        real: what they should be.
        fake: what they are.
        channel: what PSNR and SSIM are taken of.
        border: pixels at the edge that do not count for PSNR and SSIM.
        reader: reads.

    Raises:
        InputError: folders that do not fit together.
        EvaluationError: no pair is left.
    """
    reader = reader or Reader()
    protocol = {"real": str(real), "fake": str(fake), "channel": channel, "border": border}
    report = Report("paired", protocol, skipped=reader.skipped, pictures={"real": {}, "fake": {}})
    for name, paths in match(real, fake).items():
        pair = list(reader.pictures(paths))
        if len(pair) < 2:
            continue
        (_, x), (_, y) = pair
        try:
            if x.shape != y.shape:
                size, other = (f"{z.shape[1]} × {z.shape[0]}" for z in (y, x))
                raise ImageError(f"is {size}, but its counterpart {other}")
            near = compare(x, y, channel, border)
        except ImageError as error:
            reader.skipped[paths[1]] = str(error)
            continue
        near |= {"delta_e": delta_e(x, y), "edge_correlation": edge_correlation(x, y)}
        for row, picture, figures in (("real", x, {}), ("fake", y, near)):
            looks = {"colourfulness": colourfulness(picture), "sharpness": sharpness(picture)}
            report.pictures[row][name] = {**figures, **looks}
    require(len(report.pictures["fake"]), 1, fake)
    report.add_means()
    return report
