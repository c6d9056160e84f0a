"""How near translated pictures are to what they should have become."""

from pathlib import Path

from translate.errors import ImageError
from translate.evaluate import lpips as perceptual
from translate.evaluate.appearance import colourfulness, edge_correlation, sharpness
from translate.evaluate.colour import delta_e
from translate.evaluate.fidelity import Channel, compare
from translate.evaluate.folders import Reader, match, require
from translate.evaluate.report import Report
from translate.models.layers import placed


def evaluate(
    real: Path,
    fake: Path,
    *,
    channel: Channel = "rgb",
    border: int = 0,
    lpips: bool = False,
    device: str = "cpu",
    reader: Reader | None = None,
) -> Report:
    """Measure each picture of one folder against that of the same name in another.

    Args:
        real: what they should be.
        fake: what they are.
        channel: what PSNR and SSIM are taken of.
        border: pixels at the edge that do not count for PSNR and SSIM.
        lpips: measures that, too.
        device: that torch knows, for LPIPS.
        reader: reads.

    Raises:
        InputError: folders that do not fit together, or the weights of LPIPS are missing.
        CheckpointError: the weights of LPIPS are not the published ones.
        EvaluationError: no pair is left.
    """
    reader = reader or Reader()
    protocol = {"real": str(real), "fake": str(fake), "channel": channel, "border": border}
    pairs = match(real, fake)
    network = placed(perceptual.load(), device) if lpips else None
    protocol |= {"lpips": "v0.1, AlexNet"} if lpips else {}
    report = Report("paired", protocol, skipped=reader.skipped, pictures={"real": {}, "fake": {}})
    for name, paths in pairs.items():
        pair = list(reader.pictures(paths))
        if len(pair) < 2:
            continue
        (_, x), (_, y) = pair
        try:
            if x.shape != y.shape:
                size, other = (f"{z.shape[1]} × {z.shape[0]}" for z in (y, x))
                raise ImageError(f"is {size}, but its counterpart {other}")
            near = compare(x, y, channel, border)
            if network:
                near["lpips"] = perceptual.compare(network, x, y)
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
