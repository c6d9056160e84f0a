"""The command line: `translate COMMAND …`. Exit codes: 0 done, 1 something failed, 2 wrong usage, 130 interrupted."""

from translate.cli import interrupt  # the first of all, as it hears Ctrl-C

# isort: split
import contextlib
import gc
import os
import sys
from typing import Annotated, NoReturn

import typer

from translate import __version__, heap
from translate.cli import apply, doctor, evaluate, sample, train, tune, weights
from translate.errors import InputError, TranslateError

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Image-to-image translation for folders of photographs, on the machine that you have.",
)
app.command()(apply.cyclegan)
app.command()(apply.pix2pix)
app.command()(apply.colourise)
app.command("colorize", hidden=True)(apply.colourise)
app.command()(apply.restore)
app.command()(apply.upscale)
app.command()(sample.sample)
app.add_typer(train.app, name="train", help="Train your own weights on your own folders.")
app.add_typer(evaluate.app, name="evaluate", help="Measure how good pictures are.")
app.add_typer(weights.app, name="weights", help="The weights that are there, and what is known about them.")
app.command()(doctor.doctor)
app.command()(tune.tune)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"translate {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


def main() -> NoReturn:
    """Run the command line; always raises SystemExit."""
    interrupt.listen()
    gc.set_threshold(50_000)  # what torch loads is no garbage: a tenth of the start-up went into looking for some
    for stream in (sys.stdout, sys.stderr):  # a file name may hold what the terminal cannot show
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        code = app(standalone_mode=False) or 0
        interrupt.check()
    except TranslateError as error:
        print(f"translate: {error}", file=sys.stderr)
        code = 2 if isinstance(error, InputError) else 1
    except typer.Exit as stop:
        code = stop.exit_code
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except OSError as error:
        print(f"translate: {error}", file=sys.stderr)
        code = 1
    except Exception as error:
        if not hasattr(error, "format_message") or not hasattr(error, "show"):
            raise
        error.show()  # what Typer's parser says about a wrong command line
        code = 2
    if code == 130:  # some versions of Typer return it themselves
        interrupt.say()
    sys.exit(code)


def command() -> NoReturn:
    """The `translate` command: `main` in a process of its own.

    It keeps the memory that it frees, and what torch loaded is not taken apart at the end, which takes 0.4 seconds.
    """
    heap.keep()
    try:
        main()
    except SystemExit as stop:
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):  # whoever read it may have gone
                stream.flush()
        os._exit(stop.code if isinstance(stop.code, int) else 1)
