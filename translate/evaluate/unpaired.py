"""Whether translated pictures look like real ones of their kind, as a set."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import torch

from translate.errors import InputError
from translate.evaluate import inception
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


class Kind(NamedTuple):
    """Features that sets are compared by: what the distances are called, how they are made, and of which pixels."""

    frechet: str
    kernel: str
    protocol: str
    network: Callable[[], FeatureNetwork | inception.Inception]
    scaled: Callable[[Pixels], Pixels]


KINDS = {
    "efficientnet-lite0": Kind(
        f"FD-{NETWORK}", f"KD-{NETWORK}", f"{NETWORK}, short side {SHORT_SIDE}", FeatureNetwork, small
    ),
    "inception": Kind("FID", "KID", "Inception v3 of pytorch-fid, 299 × 299", inception.load, inception.scaled),
}


def evaluate(
    real: Path,
    fake: Path,
    source: Path | None = None,
    *,
    features: str = "efficientnet-lite0",
    device: str = "cpu",
    reader: Reader | None = None,
) -> Report:
    """Measure how alike two sets of pictures are.

    Args:
        real: real pictures of the kind that the fakes should be.
        fake: what was made.
        source: what the fakes were made from, by the same names: says how far it was from the real ones, and whether
            the fakes keep its edges.
        features: one of `KINDS`; the distances are FID and KID with "inception" only.
        device: that torch knows.
        reader: reads.

    Raises:
        InputError: a folder is not there, or source and fake do not fit together, no such features are known, or the
            network's weights are missing.
        CheckpointError: the network's weights are not the published ones.
        EvaluationError: too few pictures are left.
    """
    if features not in KINDS:
        raise InputError(f"--features is {features!r}; there are {', '.join(KINDS)}")
    kind, reader = KINDS[features], reader or Reader()
    folders = {"real": real, "fake": fake} | ({"source": source} if source else {})
    files = {row: find(folder) for row, folder in folders.items()}
    pairs = match(source, fake) if source else {}
    network = placed(kind.network(), torch.device(device))
    protocol = {row: str(folder) for row, folder in folders.items()}
    report = Report("unpaired", protocol, {row: {} for row in files}, skipped=reader.skipped)
    report.protocol |= {"features": kind.protocol, "neighbours": NEIGHBOURS}

    rows = {}
    for row, named in files.items():
        report.pictures[row] = {}
        rows[row] = _features(kind, network, named, reader, report.pictures[row])
        require(len(rows[row]), LEAST, folders[row])
    for row in ("fake", "source") if source else ("fake",):
        report.results[row] = distances(kind, rows["real"], rows[row])
    for name, (before, after) in pairs.items():
        if name in report.pictures["source"] and name in report.pictures["fake"]:
            (_, x), (_, y) = reader.pictures((before, after))
            report.pictures["fake"][name]["edge_correlation"] = edge_correlation(small(x), small(y))
    report.add_means()
    if (fewest := min(map(len, rows.values()))) < FEW:
        report.notes.append(
            f"{fewest} pictures are few: {kind.frechet} is larger than for many; compare it at equal numbers only"
        )
    return report


def distances(kind: Kind, real: Features, fake: Features) -> dict[str, Measured]:
    """Every measure of two sets of features (N, D) and (M, D), five rows of each at least, by its name."""
    precision, recall = precision_recall(real, fake)
    return {
        kind.frechet: frechet_interval(real, fake),
        kind.kernel: kernel_distance(real, fake),
        "precision": precision,
        "recall": recall,
    }


def _features(
    kind: Kind,
    network: FeatureNetwork | inception.Inception,
    files: dict[str, Path],
    reader: Reader,
    figures: dict[str, Figures],
) -> Features:
    """(N, D) of the pictures that can be read; what each looks like goes into `figures`."""
    names = {path: name for name, path in files.items()}

    def pictures() -> Iterator[Pixels]:
        for path, pixels in reader.pictures(files.values()):
            figures[names[path]] = {"colourfulness": colourfulness(pixels), "sharpness": sharpness(pixels)}
            yield kind.scaled(pixels)

    return stacked(embed(network, pictures()))
