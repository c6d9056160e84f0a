"""`translate evaluate`: how good pictures are, as one table and one JSON."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from translate.cli.figures import Watched, finish
from translate.errors import InputError
from translate.frames import shown

if TYPE_CHECKING:
    from translate.evaluate.fidelity import Channel

app = typer.Typer(no_args_is_help=True)

Real = Annotated[Path, typer.Option(help="Folder of real pictures: what the others should be like.")]
Fake = Annotated[Path, typer.Option(help="Folder of what was made.")]
ChannelOption = Annotated[
    str, typer.Option("--channel", help="Of PSNR and SSIM: y (luminance), y8 (rounded, as Matlab's), rgb.")
]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, mps.")]
Json = Annotated[Path | None, typer.Option(help="File for all figures, those of each picture among them.")]


@app.command()
def sr(
    hr: Annotated[Path, typer.Option(help="Folder of the originals.")],
    lr: Annotated[
        Path | None, typer.Option(help="Folder of the small pictures; made by Matlab's bicubic if left out.")
    ] = None,
    weights: Annotated[str | None, typer.Option(help="Name or file of the weights to measure.")] = None,
    self_ensemble: Annotated[
        bool, typer.Option("--self-ensemble", help="Of --weights: the mean of eight positions, as `upscale` has it.")
    ] = False,
    restored: Annotated[Path | None, typer.Option(help="Folder of pictures that were enlarged already.")] = None,
    scale: Annotated[
        int | None, typer.Option(min=2, help="How many times; that of the weights or of --lr, else 4.")
    ] = None,
    channel: ChannelOption = "y",
    border: Annotated[int | None, typer.Option(min=0, help="Pixels at the edge left out; by default --scale.")] = None,
    device: Device = "auto",
    json: Json = None,
) -> None:
    """Measure enlarged pictures against their originals, beside bicubic: PSNR, SSIM, sharpness."""
    if weights and restored:
        raise InputError("--weights and --restored cannot both be; choose one")
    if self_ensemble and not weights:
        raise InputError("--self-ensemble is for --weights; say which")
    chosen = _start(json, channel)
    from translate import checkpoints
    from translate.evaluate import sr
    from translate.models.ensemble import ensembled
    from translate.translator import Translator
    from translate.weights import registry

    translator = None
    if weights:
        model = checkpoints.load(registry.find(weights)[0])
        translator = Translator(ensembled(model) if self_ensemble else model, device, "fp32")
    with Watched() as reader:
        report = sr.evaluate(
            hr, lr, scale=scale, translator=translator, restored=restored, channel=chosen, border=border, reader=reader
        )
    report.protocol |= {"weights": weights, "self_ensemble": self_ensemble, "restored": restored and str(restored)}
    finish(report, json, translator.device if translator else "cpu")


@app.command()
def paired(
    real: Real,
    fake: Fake,
    channel: ChannelOption = "rgb",
    border: Annotated[int, typer.Option(min=0, help="Pixels at the edge left out of PSNR and SSIM.")] = 0,
    lpips: Annotated[bool, typer.Option("--lpips", help="LPIPS, too; see: translate weights pull lpips.")] = False,
    device: Device = "auto",
    json: Json = None,
) -> None:
    """Measure pictures against what they should be, by file name: PSNR, SSIM, ΔE, edges, colourfulness, sharpness."""
    chosen = _start(json, channel)
    from translate.device import choose_device
    from translate.evaluate import paired

    device = choose_device(device).value if lpips else "cpu"  # all else is computed there
    with Watched() as reader:
        report = paired.evaluate(real, fake, channel=chosen, border=border, lpips=lpips, device=device, reader=reader)
    finish(report, json, device)


@app.command()
def unpaired(
    real: Real,
    fake: Fake,
    source: Annotated[Path | None, typer.Option(help="Folder of what the fakes were made from, by file name.")] = None,
    features: Annotated[
        str,
        typer.Option(help="efficientnet-lite0, or inception for FID and KID; see: translate weights pull inception."),
    ] = "efficientnet-lite0",
    device: Device = "auto",
    json: Json = None,
) -> None:
    """Measure how alike two sets are: Fréchet and kernel distance, precision, recall, colourfulness, sharpness."""
    _start(json)
    from translate.device import choose_device
    from translate.evaluate import unpaired

    device = choose_device(device).value
    with Watched() as reader:
        report = unpaired.evaluate(real, fake, source, features=features, device=device, reader=reader)
    finish(report, json, device)


@app.command()
def domain(
    train_a: Annotated[Path, typer.Option(help="Folder of real pictures of kind A, to learn from.")],
    train_b: Annotated[Path, typer.Option(help="Folder of real pictures of kind B, to learn from.")],
    fake: Annotated[Path, typer.Option(help="Folder of what was made, which should be B.")],
    test_a: Annotated[Path | None, typer.Option(help="More of A, to test the judge; else some are held back.")] = None,
    test_b: Annotated[Path | None, typer.Option(help="More of B, to test the judge.")] = None,
    device: Device = "auto",
    json: Json = None,
) -> None:
    """Ask a classifier that is trained here on real pictures of two kinds whether the fakes are B."""
    _start(json)
    from translate.device import choose_device
    from translate.evaluate import domain

    device = choose_device(device).value
    with Watched() as reader:
        report = domain.evaluate(train_a, train_b, fake, test_a=test_a, test_b=test_b, device=device, reader=reader)
    finish(report, json, device)


@app.command()
def generated(
    real: Annotated[Path, typer.Option(help="Folder with one folder a class, or an .npz of images and labels.")],
    fake: Annotated[Path, typer.Option(help="What was made: such a folder (see sample --dataset), or one of images.")],
    size: Annotated[
        int | None, typer.Option(min=8, help="Side in pixels that all are scaled and cut to; by default their own.")
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the classifier.")] = 0,
    json: Json = None,
) -> None:
    """Measure pictures made from noise: are they what was asked for, like real ones, and as varied?

    A small classifier is trained here on the real pictures; distances, precision and recall are those of what it sees.
    """
    _start(json)
    from translate.evaluate import generated
    from translate.train.labelled import Pictures, holds_test

    skipped: dict[Path, str] = {}

    def labelled(path: Path, test: bool = False) -> generated.Labelled:
        pictures = Pictures(path, size, test=test)
        skipped.update(pictures.skipped)
        return generated.Labelled(pictures.pixels, pictures.labels, pictures.classes)

    test = labelled(real, test=True) if holds_test(real) else None
    report = generated.evaluate(labelled(real), labelled(fake), test, seed=seed)
    report.protocol |= {"real": str(real), "fake": str(fake)}
    report.skipped |= skipped
    finish(report, json)


def _start(json: Path | None, channel: str = "y") -> "Channel":
    """Refuse what would only be found out at the end; the channel as it is called."""
    if json and (json.is_dir() or not json.absolute().parent.is_dir()):
        problem = "is a folder" if json.is_dir() else "lies in a folder that is not there"
        raise InputError(f"--json {shown(json)} {problem}; name a file")
    from translate.evaluate.fidelity import CHANNELS

    for known in CHANNELS:
        if channel == known:
            return known
    raise InputError(f"--channel is {channel!r}; there are {', '.join(CHANNELS)}")
