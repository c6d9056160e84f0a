"""`translate weights`: the weights that are there, and those of others made one's own."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated
from urllib.parse import unquote, urlsplit

import typer

from translate.cli.options import Statistics
from translate.errors import InputError, UnknownModelError
from translate.weights import download, measuring, own, registry
from translate.weights.registry import Entry

app = typer.Typer(no_args_is_help=True)
TASKS = {
    "UNetGenerator": "pix2pix",
    "Colouriser": "colourise",
    "Restorer": "restore",
}  # of networks that are for one command only
Name = Annotated[str | None, typer.Option(help="What to call them; the file's name by default.")]


@app.command("list")
def list_() -> None:
    """List the weights by name, with the command that uses each, and those that can be fetched."""
    for entry in registry.entries().values():
        how = f"--to {entry.target}" if entry.target else f"--x{entry.scale}" if entry.scale > 1 else ""
        if entry.task == "sample":
            how = entry.name
        elif registry.default_for(entry.task, target=entry.target, scale=entry.scale) is not entry:
            how = f"--weights {entry.name}"
        typer.echo(f"{entry.name:16} {entry.task + ' ' + how:34} {entry.summary}")
    if names := [
        *(name for name in registry.public() if name not in registry.entries()),
        *filter(measuring.missing, measuring.tasks()),
    ]:
        typer.echo(f"\nto be fetched with `translate weights pull NAME`: {', '.join(names)}")


@app.command()
def info(name: Annotated[str, typer.Argument(help="One of `translate weights list`.")]) -> None:
    """Print the model card: data, licence, how it was trained, figures."""
    if name in measuring.tasks():
        raise UnknownModelError(f"{name} is for `translate evaluate`; fetch it with: translate weights pull {name}")
    path, entry = registry.find(name)
    if entry is None:
        is_file = "is a file, not one of the listed weights; see them with `translate weights list`"
        raise UnknownModelError(f"{name} {is_file if path.exists() else 'does not exist'}")
    if entry.folder is None or entry.card.is_file():  # one's own need none
        typer.echo(entry.card.read_text(encoding="utf-8").rstrip() + "\n")
    typer.echo(f"file     {path} ({path.stat().st_size / 1e6:.1f} MB)\nsha256   {entry.sha256}")
    typer.echo(f"licence  {entry.licence}")
    if entry.source:
        typer.echo(f"source   {entry.source}\n         sha256 {entry.source_sha256}")
    if entry.notes:
        typer.echo(f"notes    {entry.notes}")


@app.command()
def add(
    file: Annotated[
        Path, typer.Argument(help="A checkpoint of any known network, or a file of `pull inception|lpips`.")
    ],
    name: Name = None,
    statistics: Statistics = "image",
) -> None:
    """Make a checkpoint one of the listed weights: recognised, and converted once to safetensors."""
    if kept := measuring.add(file):
        typer.echo(f"{file} measures, and is kept as {kept}")
        return
    name = name or file.stem
    own.require_free(name)
    _keep(
        Entry(name, "", "", "not known; see where it came from", "", source=str(file.absolute())),
        file,
        statistics == "training",
    )


@app.command()
def pull(
    what: Annotated[str, typer.Argument(metavar="NAME|URL", help="One of `translate weights list`, or an address.")],
    name: Name = None,
    statistics: Statistics = "image",
) -> None:
    """Fetch public weights, check their hash, and convert them once to safetensors; what measures stays as it is."""
    if what in measuring.tasks():
        for path, there in measuring.pull(what, _show):
            typer.echo(f"{path} {'is here already' if there else 'fetched'}")
        return
    if "://" in what:
        stem = Path(unquote(urlsplit(what).path)).stem
        public = registry.Public(stem, "", what, "not known; see where it came from")
    else:
        public = registry.public_named(what)
    name = name or public.name
    known = registry.entries().get(name)
    if known and known.path.is_file() and known.source == public.url:
        typer.echo(f"{name} is here already: {known.path}")
        return
    recorded = None
    if known and known.source == public.url:  # the file was removed and its entry is left
        recorded = known.source_sha256
    else:
        own.require_free(name)
    suffix = Path(urlsplit(public.url).path).suffix
    if suffix not in (".pth", ".pt", ".bin", ".safetensors"):
        raise InputError(f"{public.url} is no address of a weights file; those end in .pth, .pt, .bin or .safetensors")
    target = registry.own_folder() / f"{name}.fetched{suffix}"
    hash_ = download.fetch(public.url, target, public.sha256 or recorded, _show)
    if not (public.sha256 or recorded):
        typer.echo(f"no hash is published for it; that of this download is recorded: {hash_}")
    try:
        _keep(
            Entry(name, public.task, "", public.licence, "", public.target, source=public.url),
            target,
            statistics == "training",
        )
    finally:
        target.unlink()


@app.command()
def export(
    name: Annotated[str, typer.Argument(help="One of `translate weights list`, or a file.")],
    safetensors: Annotated[Path | None, typer.Option(help="The file to write, with our names and in float32.")] = None,
    onnx: Annotated[Path | None, typer.Option(help="The file to write, for one picture of any size.")] = None,
) -> None:
    """Write weights as one safetensors or ONNX file, whatever they were read from."""
    outputs = [(out, suffix) for out, suffix in ((safetensors, ".safetensors"), (onnx, ".onnx")) if out is not None]
    if not outputs:
        raise InputError("say what to write, with --safetensors FILE or --onnx FILE")
    for out, suffix in outputs:
        if out.suffix != suffix or out.exists():
            raise InputError(f"{out} {'is there already' if out.exists() else f'must end in {suffix}'}")
        if not out.absolute().parent.is_dir():
            raise InputError(f"{out} lies in a folder that is not there; make it, or choose another")
    path, _ = registry.find(name)
    from translate import checkpoints

    model = checkpoints.load(path)
    if safetensors is not None:
        from translate.weights.files import save_weights

        save_weights(safetensors, model.network, next(model.network.parameters()).dtype)
        typer.echo(f"{safetensors}: {model.architecture} ×{model.scale}")
    if onnx is not None:
        from translate.export import OPSET, to_onnx

        apart = to_onnx(model, onnx)
        typer.echo(
            f"{onnx}: {model.architecture} ×{model.scale}, opset {OPSET}, any height and width"
            f"{f' in multiples of {model.multiple_of}' * (model.multiple_of > 1)}; "
            f"onnxruntime differs from torch by {apart:.1e} at most, at two sizes"
        )


def _keep(entry: Entry, file: Path, trained: bool) -> None:
    """Convert a checkpoint, put it among the user's own weights, and say what it is."""
    from translate import checkpoints  # here, as it imports torch
    from translate.weights.files import save_weights

    model = checkpoints.load(file, trained=trained)
    entry = replace(
        entry,
        task=entry.task or TASKS.get(model.architecture) or ("upscale" if model.scale > 1 else "cyclegan"),
        summary=f"{model.architecture} ×{model.scale} from {Path(entry.source or file).name}",
        scale=model.scale,
        source_sha256=registry.sha256_of(file),
        notes="; ".join(model.notes) or None,
    )
    entry = own.keep(entry, lambda path: save_weights(path, model.network, next(model.network.parameters()).dtype))
    typer.echo(f"{entry.name}: {model.architecture} ×{model.scale}, kept as {entry.path}")
    for note in model.notes:
        typer.echo(f"note: {note}")


def _show(done: int, total: int | None) -> None:
    """One line on a terminal, written over and over."""
    if sys.stderr.isatty():
        of, end = (f" of {total / 1e6:.1f}", "\n" if done >= total else "") if total else ("", "")
        print(f"\r{done / 1e6:.1f}{of} MB", end=end, file=sys.stderr, flush=True)
