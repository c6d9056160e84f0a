"""One job from its options to its exit code: plan it, load the network, run it with a progress display."""

import itertools
import os
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from translate import formats, frames
from translate.cli.options import Options
from translate.errors import InputError, UnknownModelError
from translate.weights import registry

if TYPE_CHECKING:
    from translate.chain import Ready
    from translate.cli.progress import Report
    from translate.frames import Job


def run(
    sources: list[Path],
    label: str,
    weights: list[str],
    options: Options,
    *,
    scale: Fraction | int = 1,
    shrink: bool = False,
    self_ensemble: bool = False,
    colour_match: bool = False,
    steady: bool = True,
    **settings: Any,
) -> None:
    """Translate pictures and videos.

    Args:
        sources: files and folders.
        label: what the name of the output folder ends in.
        weights: names or files, of networks that work one after the other.
        options: of the command line.
        scale: that they enlarge by, together.
        shrink: whether ones that enlarge by more will do, whose results are then made smaller.
        self_ensemble: one that enlarges looks at the picture in eight positions.
        colour_match: the result of one that enlarges keeps the colours of its input.
        steady: whether videos are stabilised where the options leave it open.
        settings: attributes of those networks that have them.

    Raises:
        typer.Exit: something failed.
    """
    from translate.cli import interrupt, progress

    translator, pictures, videos = options.translator, options.pictures, options.videos
    container = ".mkv" if options.codec in ("prores", "ffv1") else None
    videos["stabilise"] = steady if options.stabilise is None else options.stabilise
    if options.video_out:
        plan = _together(sources, options)
    else:
        plan = frames.plan(sources, options.out, label, options.format, container)
    if container and any(_is_video(job) and job.target.suffix.lower() == ".mp4" for job in plan.jobs):
        raise InputError(f"{options.codec} is not for mp4; name the output .mkv")
    paths = [registry.find(name)[0] for name in weights]
    if options.frames_out:
        plan = _apart(plan, options.frames_out, options)
        videos["pictures"] = True
    if options.preview:
        plan = replace(plan, jobs=tuple(job for job in plan.jobs if _is_video(job)))
        if not plan.jobs:
            raise InputError("--preview shows moments of videos, and there are none here; leave it out")
    report = progress.Report(len(plan.jobs), json=options.json)
    if not options.preview:  # which is said where it is made
        for output in plan.outputs:
            report.say(f"output: {frames.shown(output)}")
    if unread := frames.passed_over(sources):
        counts = ", ".join(f"{count} {suffix}" for suffix, count in unread.items())
        report.say(f"passed over, as they cannot be read: {counts}; save them as PNG, TIFF or MP4 to take them along")
    if options.dry_run:
        for job in plan.jobs:
            if options.preview:  # is made again each time
                report.planned(replace(job, target=job.preview), overwrite=True)
            else:
                report.planned(job, options.overwrite)
        raise typer.Exit(int(any(job.problem for job in plan.jobs)))
    option = "--frames-out" if options.frames_out else "--video-out" if options.video_out else "--out"
    if options.overwrite or not all(job.made for job in plan.jobs):
        for output in plan.outputs:
            _check_writable(output, option)

    from translate import checkpoints, engine  # here, as they import torch
    from translate.models.colour import matched
    from translate.models.ensemble import ensembled

    stages = []
    for name, path in zip(weights, paths, strict=True):
        model = checkpoints.load(path, trained=options.statistics == "training")
        for attribute, value in settings.items():
            if hasattr(model.network, attribute):
                setattr(model.network, attribute, value)
        if self_ensemble:
            model = ensembled(model)
        if colour_match:
            model = matched(model)
        stages.append(engine.Translator(model, **translator))
        report.say(f"{frames.shown(registry.label(name))} on {stages[-1].device} in {stages[-1].precision}")
        for note in model.notes:
            report.say(f"note: {note}")
    whole = stages[0] if len(stages) == 1 else engine.Chain(stages)
    ready: Ready = whole
    if shrink and whole.scale > scale:
        report.say(f"note: enlarged ×{whole.scale}, and then made smaller, to ×{float(scale):g}")
        ready = engine.Shrunk(whole, Fraction(scale))
    if ready.scale != scale:
        raise UnknownModelError(
            f"{' and '.join(weights)} enlarges ×{ready.scale}, not ×{float(scale):g}; choose other weights"
        )
    interrupt.check()
    frames.clean({options.frames_out} if options.frames_out else {job.target.parent for job in plan.jobs})
    made_by = {
        "--weights": " ".join(registry.sha256_of(path) for path in paths),
        "--device or --precision": f"{ready.device} {ready.precision}",
        "--statistics": options.statistics,
        "--scale": str(scale),
        "--self-ensemble": str(self_ensemble),
        "--colour-match": str(colour_match),
        **{f"--{name}": str(value) for name, value in settings.items()},
    }
    with report:
        for video, jobs in itertools.groupby(plan.jobs, _is_video):
            if video:
                _make_videos(ready, jobs, made_by, {**pictures, **videos}, report)
            else:
                for done in engine.run(ready, jobs, **pictures):
                    report.add(done)
    if report.failed:
        raise typer.Exit(1)


def _apart(plan: frames.Plan, folder: Path, options: Options) -> frames.Plan:
    """The plan to take one video apart into a folder."""
    if options.out:
        raise InputError("--frames-out makes pictures instead of what --out would name; give only one of the two")
    if vain := [f"--{name}" for name in ("format", "quality") if getattr(options, name)]:
        raise InputError(f"--frames-out writes PNGs, and {vain[0]} changes nothing about them; leave it out")
    if len(plan.jobs) != 1 or not formats.is_video(plan.jobs[0].source):
        raise InputError("--frames-out takes apart one video; give one, and no folder")
    if folder.exists() and not folder.is_dir():
        raise InputError(f"--frames-out {frames.shown(folder)} is a file, but a folder is needed; choose another")
    return frames.Plan((folder,), (replace(plan.jobs[0], target=folder, problem=None),))


def _together(sources: list[Path], options: Options) -> frames.Plan:
    """The plan to make one video of the pictures in a folder."""
    if len(sources) != 1 or not sources[0].is_dir() or options.frames_out or options.out:
        raise InputError("--video-out makes one video of one folder; give one, and neither --out nor --frames-out")
    target, sound = options.video_out or Path(), options.audio_from
    if target.suffix.lower() not in formats.VIDEOS.values():
        raise InputError(f"a video is written as .mp4 or .mkv, not {target.suffix or target.name}; choose another name")
    if sound and not sound.is_file():
        raise InputError(f"--audio-from {frames.shown(sound)} is no file; name a video or a sound file")
    if sound and target.exists() and sound.samefile(target):
        raise InputError(f"--audio-from and --video-out are both {frames.shown(sound)}; choose another --video-out")
    return frames.Plan((target,), (frames.Job(sources[0], target),))


def _check_writable(output: Path, option: str) -> None:
    """Find out before the work whether there is a folder to write to, or to make one in."""
    output = output.absolute()
    place = next(place for place in (output, *output.parents) if os.access(place, os.F_OK))
    if place == output and place.is_file():  # it is replaced
        place = place.parent
    if not place.is_dir() or not os.access(place, os.W_OK):
        raise InputError(f"cannot write to {frames.shown(place)}; choose another {option}")


def _is_video(job: "Job") -> bool:
    return formats.is_video(job.source) or job.source.is_dir()


def _make_videos(
    ready: "Ready", jobs: "Iterable[Job]", made_by: dict[str, str], options: dict[str, Any], report: "Report"
) -> None:
    from translate.engine import Done
    from translate.video import job as video

    used = {name: value for name, value in options.items() if name != "quality"}
    for job in jobs:
        for event in video.run(ready, job, video.Options(**used, made_by=tuple(made_by.items()))):
            if isinstance(event, Done):
                report.add(event)
            else:
                report.frames(event)
