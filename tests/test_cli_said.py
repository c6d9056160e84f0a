"""The command line as a user meets it: what it says."""

import inspect
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from translate.cli import apply, progress
from translate.weights import registry

pytestmark = pytest.mark.usefixtures("inside")


Run = Callable[..., Any]
NIGHT = ("cyclegan", "--to", "night", "--src")


def test_help_names_every_target_that_is_shipped() -> None:
    shown = str(inspect.signature(apply.cyclegan).parameters["to"]) + str(apply.cyclegan.__doc__)
    shipped = {entry.target for entry in registry.shipped().values() if entry.task == "cyclegan"}
    assert all(str(target) in shown for target in shipped)


def test_weights_list_and_info(run: Run) -> None:
    ran = run("weights", "list")
    assert [line.split()[:3] for line in ran.lines] == [
        ["cyclegan-night", "cyclegan", "--to"],
        ["cyclegan-day", "cyclegan", "--to"],
        ["tiny-x4", "upscale", "--x4"],
        ["tiny-photo", "pix2pix", "--to"],
        ["tiny-colour", "colourise", "for"],
        ["tiny-restore", "restore", "for"],
    ]
    ran = run("weights", "export", "tiny-x4", "--safetensors", "no/x.safetensors")
    assert (ran.code, "no/x.safetensors lies in a folder that is not there" in ran.err) == (2, True)
    ran = run("weights", "info", "tiny-x4")
    assert "# tiny-x4\n\nnothing learnt" in ran.out
    assert "sha256" in ran.out


def test_pictures_of_a_kind_that_is_not_read_are_counted(run: Run, photos: Path) -> None:
    for name in ("a.JXL", "deep er/b.jxl", "c.CR2", ".hidden.nef", "notes.txt", "d.json"):
        (photos / name).touch()
    ran = run(*NIGHT, "photos", "--dry-run")
    said = "passed over, as they cannot be read: 1 .cr2, 2 .jxl; save them as PNG, TIFF or MP4 to take them along"
    assert (ran.code, ran.lines[1]) == (0, said)
    assert "passed over" not in run(*NIGHT, "photos/a.png", "--dry-run").out


def test_a_card_that_is_missing(run: Run, table: Path) -> None:
    card = table / "tiny-x4.md"
    text = card.read_text()
    try:
        card.unlink()
        ran = run("weights", "info", "tiny-x4")
    finally:
        card.write_text(text)
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.startswith("translate: [Errno 2] No such file or directory: ")


def test_damaged_weights_of_the_package(run: Run, photos: Path, table: Path) -> None:
    path = table / "tiny-x4.safetensors"
    whole = path.read_bytes()
    try:
        path.write_bytes(whole[:-1])
        for arguments in (["upscale", "photos"], ["weights", "info", "tiny-x4"], ["doctor"]):
            ran = run(*arguments)
            assert ran.code == 1
            assert "install the package again" in ran.err
    finally:
        path.write_bytes(whole)


def test_doctor(run: Run) -> None:
    ran = run("doctor")
    rows = {line.split()[0]: line for line in ran.lines}
    assert ran.code == 0
    assert torch.__version__ in rows["torch"]
    for name in ("device", "precision", "backend"):
        assert rows[name].endswith(")")  # the reason
    assert "tiny-x4" in rows["weights"]


def test_plain_lines_in_a_pipe(run: Run, photos: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(progress, "_LINE_SECONDS", 0.0)
    lines = run(*NIGHT, "photos").lines
    assert [line.split(",")[0] for line in lines if " of 3, " in line] == ["1 of 3", "2 of 3", "3 of 3"]
    assert all("images/s" in line and " s left" in line for line in lines if " of 3, " in line)


def test_a_bar_on_a_terminal(run: Run, photos: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(progress, "Console", partial(progress.Console, force_terminal=True, width=120))
    ran = run(*NIGHT, "photos")
    assert "3/3" in ran.out
    assert "\x1b[" in ran.out
