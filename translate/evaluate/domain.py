"""Whether translated pictures are taken for real ones of their kind by a classifier that has seen only real ones."""

from collections.abc import Iterator
from pathlib import Path

import torch

from translate.errors import EvaluationError, InputError
from translate.evaluate.embedding import NETWORK, Features
from translate.evaluate.fidelity import Pixels
from translate.evaluate.folders import SHORT_SIDE, Reader, find, require, small
from translate.evaluate.intervals import share
from translate.evaluate.judge import Judge, describe
from translate.evaluate.report import Report
from translate.features import FeatureNetwork
from translate.frames import shown
from translate.models.layers import placed

LEAST = 10  # pictures of a kind to learn from
ENOUGH = 0.95
HELD_BACK = 5  # one of so many, where there are no folders to test with


def evaluate(
    train_a: Path,
    train_b: Path,
    fake: Path,
    *,
    test_a: Path | None = None,
    test_b: Path | None = None,
    device: str = "cpu",
    reader: Reader | None = None,
) -> Report:
    """Train a judge on real pictures of two kinds, test it on others, and ask it about fakes that should be B.

    It sees the network's features and a histogram of the colours of each picture and of its mirror image.

    Args:
        train_a: real pictures of the kind that the fakes were made from.
        train_b: real pictures of the kind that they should be.
        fake: what was made.
        test_a: real pictures of A that the judge has not seen; left out, every fifth of `train_a` is held back.
        test_b: the same of B.
        device: that torch knows.
        reader: reads.

    Raises:
        InputError: a folder is not there or given twice, one test folder without the other, or the network's weights
            are missing.
        EvaluationError: too few pictures are left.
    """
    reader = reader or Reader()
    if (test_a is None) != (test_b is None):
        raise InputError("give both test folders, or neither to hold back some of the training pictures")
    given = [folder for folder in (train_a, train_b, test_a, test_b) if folder]
    if len({folder.resolve() for folder in given}) < len(given):
        raise InputError(f"the same folder is given twice: {', '.join(shown(folder) for folder in given)}")
    (learn_a, tests_a), (learn_b, tests_b) = _split(train_a, test_a), _split(train_b, test_b)
    fakes = find(fake)
    network = placed(FeatureNetwork(), torch.device(device))

    kinds = []
    for folder, files, tests in ((train_a, learn_a, tests_a), (train_b, learn_b, tests_b)):
        names, features = _seen(network, files, reader, mirrored=True)
        if test_a is None and len(names) < LEAST:
            needed = -(-LEAST * HELD_BACK // (HELD_BACK - 1))
            raise EvaluationError(
                f"{shown(folder)} has {len(files) + len(tests)} images: {len(names)} usable ones to learn from, and "
                f"{len(tests)} held back for testing; at least {needed} are needed in all"
            )
        require(len(names), LEAST, folder)
        kinds.append(features)
    judge = Judge(kinds)

    protocol = {"train_a": train_a, "train_b": train_b, "test_a": test_a, "test_b": test_b, "fake": fake}
    report = Report("domain", {name: path and str(path) for name, path in protocol.items()}, skipped=reader.skipped)
    report.protocol["features"] = f"{NETWORK} and a colour histogram, short side {SHORT_SIDE}"
    right = tested = 0
    for row, files, folder in (
        ("real a", tests_a, test_a or train_a),
        ("real b", tests_b, test_b or train_b),
        ("fake", fakes, fake),
    ):
        names, features = _seen(network, files, reader)
        require(len(names), 1, folder)
        sure = judge.probabilities(features)[:, 1]
        report.pictures[row] = {name: {"b": float(p)} for name, p in zip(names, sure, strict=True)}
        called = int((sure > 0.5).sum())
        report.results[row] = {"called_b": share(called, len(sure))}
        if row != "fake":
            right += called if row == "real b" else len(sure) - called
            tested += len(sure)
    report.results["judge"] = {"accuracy": share(right, tested)}
    if right < ENOUGH * tested:
        report.notes.append(
            f"the judge is right on {right} of {tested} real pictures only, fewer than {ENOUGH:.0%}: "
            "its verdict on the fakes means little"
        )
    return report


def _split(train: Path, test: Path | None) -> tuple[dict[str, Path], dict[str, Path]]:
    """The files to learn from and those to test with."""
    files = find(train)
    if test:
        return files, find(test)
    held_back = dict(list(files.items())[::HELD_BACK])
    return {name: path for name, path in files.items() if name not in held_back}, held_back


def _seen(
    network: FeatureNetwork, files: dict[str, Path], reader: Reader, *, mirrored: bool = False
) -> tuple[list[str], Features]:
    """The names of the files that can be read, and what the judge sees of them."""
    names = {path: name for name, path in files.items()}
    seen: list[str] = []

    def pictures() -> Iterator[Pixels]:
        for path, pixels in reader.pictures(files.values()):
            seen.append(names[path])
            yield small(pixels)

    return seen, describe(network, pictures(), mirrored=mirrored)
