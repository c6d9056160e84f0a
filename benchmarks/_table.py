"""The table of the benchmarks of kernels and networks: each case a line, every way as a multiple of ours."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

WAYS = ("ours", "launched", "reference", "nchw", "nhwc", "nchw_graph", "nhwc_graph", "compile", "max_autotune", "again")
LEGEND = """\
ours: the operation or network of this package, on a GPU as the replay of a CUDA graph; again: the same once more, last.
launched: ours without a graph. reference: ours without Triton. nchw, nhwc: plain eager torch in that layout, and in a
CUDA graph. compile, max_autotune: torch.compile of plain torch, in a CUDA graph. -: does not apply to the device.
Empty: not asked for, or no time was left.
"""

Cases = dict[str, dict[str, Any]]


def seconds_of(case: dict[str, Any], way: str) -> float:
    found = case.get(way)
    return found["seconds"] if isinstance(found, dict) and "seconds" in found else math.nan


def cell(case: dict[str, Any], way: str) -> str:
    """How many times longer than ours a way takes, or why it is not known."""
    found = case.get(way, "")
    if isinstance(found, dict):
        return "failed" if "error" in found else f"{seconds_of(case, way) / seconds_of(case, 'ours'):.2f}"
    return str(found)


def error_cell(case: dict[str, Any]) -> str:
    """The relative error that the check has found."""
    found = case.get("check", {})
    if "right" not in found:
        return ""
    error = found["relative_error"]
    return ("" if found["right"] else "WRONG ") + ("not finite" if error is None else f"{error:.0e}")


def noise(case: dict[str, Any]) -> str:
    """How far the same version was from itself."""
    apart = seconds_of(case, "again") / seconds_of(case, "ours") - 1
    return f"{100 * abs(apart):.1f}" if math.isfinite(apart) else ""


def show(columns: Sequence[str], rows: Iterator[Sequence[str]], cases: Cases) -> int:
    """Print the table, and below it what failed or is wrong; the exit code."""
    table = Table(*columns, box=None, header_style="bold")
    for row in rows:
        table.add_row(*row)
    console = Console(width=max(220, Console().width), highlight=False)
    console.print(LEGEND + "Times of all others as multiples of ours.", markup=False)
    console.print(table)
    code = 0
    for name, case in cases.items():
        for part, found in case.items():
            if isinstance(found, dict) and ("error" in found or not found.get("right", True)):
                what = f"failed: {name}: {part}: {found['error']}" if "error" in found else f"wrong: {name}: {found}"
                console.print(what, markup=False)
                code = 1
    return code
