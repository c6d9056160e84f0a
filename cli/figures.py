"""How measurements are shown: pictures counted while they are read, then a table, and the JSON."""

import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from translate.frames import shown

if TYPE_CHECKING:
    from translate.evaluate.folders import Reader
    from translate.evaluate.intervals import Measured
    from translate.evaluate.report import Report

# Label and format of each measure, in the order of the table.
MEASURES = {
    "FD-EfficientNetLite0": ("FD-EfficientNetLite0", ".2f"),
    "KD-EfficientNetLite0": ("KD-EfficientNetLite0", ".4f"),
    "FID": ("FID", ".2f"),
    "KID": ("KID", ".4f"),
    "precision": ("precision", ".1%"),
    "recall": ("recall", ".1%"),
    "accuracy": ("accuracy on real pictures", ".1%"),
    "called_b": ("called B", ".1%"),
    "FD-Classifier": ("FD-Classifier", ".2f"),
    "KD-Classifier": ("KD-Classifier", ".3f"),
    "as_asked": ("called what was asked for", ".1%"),
    "largest_class": ("most frequent class, in shares", ".2f"),
    "smallest_class": ("rarest class, in shares", ".2f"),
    "psnr": ("PSNR, dB", ".2f"),
    "ssim": ("SSIM", ".4f"),
    "lpips": ("LPIPS", ".4f"),
    "delta_e": ("ΔE 2000", ".2f"),
    "edge_correlation": ("edge correlation", ".3f"),
    "colourfulness": ("colourfulness", ".1f"),
    "sharpness": ("sharpness", ".3f"),
}


class Watched:
    """A reader with a line on a terminal that counts the pictures; at the end, names those that could not be used."""

    def __enter__(self) -> "Reader":
        from rich.console import Console

        from translate.evaluate.folders import Reader

        count = 0
        self._status = Console(stderr=True).status("")
        self._status.start()

        def seen(path: Path) -> None:
            nonlocal count
            count += 1
            self._status.update(f"{count} pictures read")

        self._reader = Reader(seen)
        return self._reader

    def __exit__(self, *error: object) -> None:
        self._status.stop()
        for path, reason in self._reader.skipped.items():
            typer.echo(f"skipped: {shown(path)}: {reason}")


def finish(report: "Report", json: Path | None, device: str = "cpu") -> None:
    """The table on stdout, the JSON, and exit code 1 where a file was left out."""
    from rich.console import Console
    from rich.table import Table

    rows = {of: figures for of, figures in report.results.items() if figures}
    names = sorted({name for figures in rows.values() for name in figures}, key=list(MEASURES).index)
    table = Table(box=None, pad_edge=False)
    table.add_column("figure (95 % interval)")
    for of in rows:
        count = len(report.pictures.get(of, {}))
        table.add_column(f"{of} ({count})" if count else of, justify="right")
    for name in names:
        label, form = MEASURES[name]
        table.add_row(label, *(_cell(figures.get(name), form) for figures in rows.values()))
    console = Console(highlight=False, emoji=False, width=None if sys.stdout.isatty() else 200)  # a pipe has no edge
    console.print(table)
    for note in report.notes:
        typer.echo(f"note: {note}")
    if json:
        report.write(json, device)
        typer.echo(f"figures: {shown(json)}")
    if report.skipped:
        raise typer.Exit(1)


def _cell(figure: "Measured | None", form: str) -> str:
    if figure is None:
        return ""
    if not math.isfinite(figure.value):
        return "∞"
    ends = "" if figure.low is None or figure.high is None else f" ({figure.low:{form}} … {figure.high:{form}})"
    return f"{figure.value:{form}}{ends}"
