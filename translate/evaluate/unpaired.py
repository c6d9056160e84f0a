"""Whether translated pictures look like real ones of their kind, as a set."""

from collections.abc import Iterator
from pathlib import Path

import torch

from translate.evaluate.appearance import colourfulness, edge_correlation, sharpness
from translate.evaluate.distances import NEIGHBOURS, frechet_interval, kernel_distance, precision_recall
from translate.evaluate.embedding import NETWORK, Features, embed, stacked
from translate.evaluate.fidelity import Pixels
from translate.evaluate.folders import SHORT_SIDE, Reader, find, match, require, small
from translate.evaluate.intervals import Measured
from translate.evaluate.report import Figures, Report
from translate.features import FeatureNetwork
from translate.models.layers import placed

LEAST = NEIGHBOURS + 2  # pictures of a set
FEW = 50


def evaluate(
    real: Path, fake: Path, source: Path | None = None, *, device: str = "cpu", reader: Reader | None = None
) -> Report:
    """Measure how alike two sets of pictures are.

    Args:
        real: real pictures of the kind that the fakes should be.
        fake: what was made.
        source: what the fakes were made from, by the same names: says how far it was from the real ones, and whether
            the fakes keep its edges.
        device: that torch knows.
        reader: reads.

    Raises:
        InputError: a folder is not there, or source and fake do not fit together, or the network's weights are missing.
        EvaluationError: too few pictures are left.
    """
    reader = reader or Reader()
    folders = {"real": real, "fake": fake} | ({"source": source} if source else {})
    files = {row: find(folder) for row, folder in folders.items()}
    pairs = match(source, fake) if source else {}
    network = placed(FeatureNetwork(), torch.device(device))
    protocol = {row: str(folder) for row, folder in folders.items()}
    report = Report("unpaired", protocol, {row: {} for row in files}, skipped=reader.skipped)
    report.protocol |= {"features": f"{NETWORK}, short side {SHORT_SIDE}", "neighbours": NEIGHBOURS}

    features = {}
    for row, named in files.items():
        report.pictures[row] = {}
        features[row] = _features(network, named, reader, report.pictures[row])
        require(len(features[row]), LEAST, folders[row])
    for row in ("fake", "source") if source else ("fake",):
        report.results[row] = distances(features["real"], features[row])
    for name, (before, after) in pairs.items():
        if name in report.pictures["source"] and name in report.pictures["fake"]:
            (_, x), (_, y) = reader.pictures((before, after))
            report.pictures["fake"][name]["edge_correlation"] = edge_correlation(small(x), small(y))
    report.add_means()
    if (fewest := min(map(len, features.values()))) < FEW:
        report.notes.append(
            f"{fewest} pictures are few: FD-{NETWORK} is larger than for many; compare it at equal numbers only"
        )
    return report


def distances(real: Features, fake: Features) -> dict[str, Measured]:
    """Every measure of two sets of features (N, D) and (M, D), five rows of each at least, by its name."""
    precision, recall = precision_recall(real, fake)
    return {
        f"FD-{NETWORK}": frechet_interval(real, fake),
        f"KD-{NETWORK}": kernel_distance(real, fake),
        "precision": precision,
        "recall": recall,
    }


def _features(network: FeatureNetwork, files: dict[str, Path], reader: Reader, figures: dict[str, Figures]) -> Features:
    """(N, 1280) of the pictures that can be read; what each looks like goes into `figures`."""
    names = {path: name for name, path in files.items()}

    def pictures() -> Iterator[Pixels]:
        for path, pixels in reader.pictures(files.values()):
            figures[names[path]] = {"colourfulness": colourfulness(pixels), "sharpness": sharpness(pixels)}
            yield small(pixels)

    return stacked(embed(network, pictures()))
