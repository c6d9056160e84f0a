"""`translate weights`: the weights that are there."""

from typing import Annotated

import typer

from translate.errors import UnknownModelError
from translate.weights import registry

app = typer.Typer(no_args_is_help=True)


@app.command("list")
def list_() -> None:
    """List the weights by name, with the command that uses each."""
    for entry in registry.entries().values():
        how = f"--to {entry.target}" if entry.target else f"--x{entry.scale}"
        typer.echo(f"{entry.name:16} {entry.task + ' ' + how:24} {entry.summary}")


@app.command()
def info(name: Annotated[str, typer.Argument(help="One of `translate weights list`.")]) -> None:
    """Print the model card: data, licence, how it was trained, figures."""
    path, entry = registry.find(name)
    if entry is None:
        raise UnknownModelError(f"{name} is a file, not one of the listed weights")
    typer.echo(entry.card.read_text(encoding="utf-8").rstrip())
    typer.echo(
        f"\nfile     {path} ({path.stat().st_size / 1e6:.1f} MB)\nsha256   {entry.sha256}\nlicence  {entry.licence}"
    )
