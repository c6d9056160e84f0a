"""`translate tune`: measure which block sizes of the Triton kernels are the fastest on this machine's GPU."""

import importlib.util
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from translate.errors import InputError, TranslateError

if TYPE_CHECKING:
    from translate.kernels.tune import Tuned


def tune(
    device: Annotated[str, typer.Option(help="cuda, cuda:1 …")] = "cuda",
    minutes: Annotated[float, typer.Option(min=0, help="Stop after so long; what is found by then is kept.")] = 5.0,
    out: Annotated[
        Path | None, typer.Option(help="Where to write it; by default your own file, which is used from then on.")
    ] = None,
) -> None:
    """Find the fastest block sizes of the GPU kernels on this machine's card, and keep them.

    Every candidate has to give the reference's result before it may win. What is written replaces what the file had
    for the same kernels and shapes, and all else in it stays.
    """
    from translate.device import choose_device  # here, as it imports torch

    if device.split(":")[0] != "cuda":
        raise InputError(f"translate tune measures kernels on a GPU, and {device!r} is none; take --device cuda")
    choose_device(device)
    if importlib.util.find_spec("triton") is None:
        raise InputError(
            "there are no kernels to measure: Triton is not installed; pip install 'translate-images[gpu]'"
        )
    import torch

    from translate.kernels import _configs, _uses
    from translate.kernels import tune as search

    place = torch.device(device)
    name = _configs.device_name(place)
    path = out or _configs.own_file(name)
    if path.is_dir():
        raise InputError(f"{path} is a folder; --out takes a file")
    if path.exists():
        try:
            _configs.read(path)
        except ValueError as error:
            raise InputError(f"{error}; remove it, or choose another --out") from error
    typer.echo(f"{name}: {minutes:g} minutes at most")
    found, failed = [], False
    try:
        for one in search.tune(place, time.time() + 60 * minutes, _uses.uses()):
            if isinstance(one, search.Failed):
                failed = True
                typer.echo(f"failed: {', '.join(one.kernels)}: {one.why}", err=True)
                continue
            found.append(one)
            search.write(path, place, found)
            typer.echo(_line(one))
    except RuntimeError as error:
        kept = f"; {path} has the {len(found)} found before" if found else ""
        raise TranslateError(f"the GPU ended it: {str(error).splitlines()[0]}{kept}") from error
    if not found and not failed:
        raise TranslateError("there was no time to measure anything; give it more --minutes")
    gained = sum(one.seconds < one.default_seconds for one in found)
    typer.echo(f"{path}: {len(found)} measured, {gained} faster than by default")
    if failed:
        raise typer.Exit(1)


def _line(one: "Tuned") -> str:
    kernel, kind, shape = one.question
    sizes = " ".join(f"{name} {number}" for name, number in shape)
    times = f"{1e6 * one.default_seconds:.1f} -> {1e6 * one.seconds:.1f} µs"
    refused = f", {len(one.refused)} refused" if one.refused else ""
    return f"{kernel}, {kind}, {sizes}: {times} ({one.tried} tried{refused})"
