"""`translate train`: one command a recipe, its options those of the recipe's dataclass."""

import inspect
import logging
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import MISSING, fields, replace
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_args, get_origin, get_type_hints

import typer

from translate.errors import InputError
from translate.train import options

if TYPE_CHECKING:
    from translate.train.state import Step

app = typer.Typer(no_args_is_help=True)
DRY_RUN_STEPS = 4

Out = Annotated[Path, typer.Option(help="Folder of the run: checkpoint, weights, samples.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on exactly where this run stopped.")]
Init = Annotated[
    str | None,
    typer.Option(
        help="What to begin with: checkpoint.pt of another run of this recipe, or weights for its generator, a name "
        "or a file (of pictures; cyclegan: from a to b)."
    ),
]
Minutes = Annotated[float, typer.Option(min=0.0, help="Between two checkpoints; Ctrl-C makes one, too.")]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", help="Write scalars for TensorBoard into the run's folder.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Find the data, try a few steps, and say how long all would take.")
]


def _recipe(module: str, config: type[options.Run]) -> None:
    """Add the command of one recipe."""

    def command(
        out: Out,
        resume: Resume = False,
        init: Init = None,
        minutes: Minutes = 5.0,
        tensorboard: TensorBoard = False,
        dry_run: DryRun = False,
        **of_recipe: Any,
    ) -> None:
        from translate.train.distributed import is_first, processes

        values: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in of_recipe.items()}
        device, precision = _hardware(values.pop("device"), values.pop("precision"))
        chosen = config(**values, device=device, precision=precision)
        train: Callable[..., Iterator[Step]] = import_module(f"translate.train.{module}").train
        with processes(device):
            logging.basicConfig(format="%(message)s")
            logging.getLogger("translate").setLevel(logging.INFO if is_first() else logging.ERROR)
            if resume and not (out / "checkpoint.pt").is_file():
                raise InputError(f"{out} holds no run to go on with; leave out --resume, or choose another --out")
            if dry_run:
                for phase in _phases(chosen):
                    with tempfile.TemporaryDirectory() as empty:
                        _estimate(train(phase, Path(empty), init=init), phase.steps, device)
            else:
                _show(train(chosen, out, resume=resume, init=init, minutes=minutes), out, resume, tensorboard)

    hints = get_type_hints(config, include_extras=True)
    own = [_parameter(field.name, hints[field.name], field.default) for field in fields(config)]
    shared = [p for p in inspect.signature(command).parameters.values() if p.name != "of_recipe"]
    every = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in (*own, *shared)]
    every.sort(key=lambda p: p.default is not inspect.Parameter.empty)
    command.__signature__ = inspect.Signature(every)  # type: ignore[attr-defined]
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in every}
    app.command(module, help=config.__doc__)(command)


def _parameter(name: str, hint: Any, default: Any) -> inspect.Parameter:
    """A field of a recipe's options, as Typer wants to see it."""
    kind, about = get_args(hint)
    several = get_origin(kind) is tuple and ... in get_args(kind)
    limits = {} if about.min is None else {"min": about.min}
    if about.max is not None:
        limits["max"] = about.max
    annotation: Any = Annotated[list[str] if several else kind, typer.Option(help=about.text, **limits)]
    if name in ("device", "precision"):
        default = "auto"
    return inspect.Parameter(
        name,
        inspect.Parameter.KEYWORD_ONLY,
        default=inspect.Parameter.empty if default is MISSING else default,
        annotation=annotation,
    )


_RECIPES = (
    *(options.CycleGAN, options.Pix2Pix, options.SRGAN, options.Colourise, options.Restore),
    *(options.GAN, options.DCGAN, options.CGAN, options.StyleGAN),
)
for _config in _RECIPES:
    _recipe(_config.__name__.lower(), _config)


def _hardware(device: str, precision: str) -> tuple[str, str]:
    from translate.device import choose_device, choose_precision

    device = choose_device(device).value
    chosen = choose_precision(precision, device).value
    if chosen in ("fp16", "int8"):  # fp16: its gradients would vanish without a loss scaler
        if precision != "auto":
            raise InputError(f"--precision {precision} is for translating; train in fp32 or bf16")
        chosen = "fp32"
    return device, chosen


def _phases(config: options.Run) -> list[options.Run]:
    """Runs whose steps are all alike, which are the given one if they are made after each other."""
    if not isinstance(config, options.SRGAN) or config.gan_steps in (0, config.steps):
        return [config]
    return [
        replace(config, steps=config.steps - config.gan_steps, gan_steps=0),
        replace(config, steps=config.gan_steps),
    ]


def _estimate(steps: "Iterator[Step]", number: int, device: str) -> None:
    """Take a few steps and say how long the quickest took, as the first also prepares what is kept."""
    import torch

    from translate.train.distributed import is_first

    seconds = [step.seconds for step in islice(steps, DRY_RUN_STEPS)]
    if not is_first():
        return
    each = min(seconds)
    peak = torch.cuda.max_memory_reserved(device) if device.startswith("cuda") else _peak_memory()
    typer.echo(f"{each:.2f} s for each of the first steps, so {number} like them take {number * each / 3600:.1f} hours")
    typer.echo(f"{f'{peak / 1e9:.1f} GB of memory; ' if peak else ''}nothing was written")


def _peak_memory() -> int | None:
    """The most bytes that this process has had in main memory so far; None where Python cannot ask (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def _show(steps: "Iterator[Step]", out: Path, resume: bool, tensorboard: bool) -> None:
    """Run a recipe: a line whenever it saves and every ten seconds, with mean losses, rate and time left."""
    from translate.cli import interrupt
    from translate.models import across
    from translate.train.distributed import is_first
    from translate.train.state import SAVE

    interrupt.check()
    SAVE.clear()
    if not resume and (out / "checkpoint.pt").exists():
        raise InputError(f"{out} holds a run already; go on with --resume, or choose another --out")
    sums: dict[str, float] = defaultdict(float)
    count, seconds, line_at = 0, 0.0, time.monotonic()
    scalars = _summary_writer() if tensorboard and is_first() else None
    with ExitStack() as stack:
        writer = None
        for step in steps:
            if scalars and writer is None:  # not before: a start that fails leaves nothing
                writer = stack.enter_context(scalars(out))
            if across.processes() == 1:  # several would wait for each other for ever
                interrupt.defer(SAVE)
            count, seconds = count + 1, seconds + step.seconds
            for name, value in step.losses.items():
                sums[name] += value
                if writer:
                    writer.add_scalar(name, value, step.number)
            if is_first() and (step.saved or time.monotonic() - line_at > 10):
                losses = "  ".join(f"{name} {total / count:.3f}" for name, total in sums.items())
                left = (step.of - step.number) * seconds / count / 60
                typer.echo(f"step {step.number}/{step.of}  {seconds / count:.2f} s/step  {left:.0f} min left  {losses}")
                if step.saved:
                    interrupt.saved = True
                    typer.echo(f"saved to {out}")
                sums.clear()
                count, seconds, line_at = 0, 0.0, time.monotonic()
            if SAVE.is_set() and step.saved and step.number < step.of:
                raise KeyboardInterrupt
    sys.stdout.flush()


def _summary_writer() -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError("--tensorboard needs a package: pip install translate-images[train]") from error
    return SummaryWriter
