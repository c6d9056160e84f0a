"""The command line when it is stopped, killed or hardly needed: nothing half made."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers import made, size

from translate.train.guard import Guard
from translate.train.state import CHECKPOINT, read_checkpoint
from translate.translator import Translator

pytestmark = pytest.mark.usefixtures("inside")


Photo = Callable[..., Path]
Run = Callable[..., Any]
NIGHT = ("cyclegan", "--to", "night", "--src")


def script(*arguments: str, first: str = "", **options: Any) -> "subprocess.Popen[str]":
    """The command in a process of its own, with the small networks, after `first` has run in it."""
    code = (
        f"import sys; from pathlib import Path; from translate.weights import registry\n{first}\n"
        "from translate.cli.main import main\nmain()"
    )
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code, *arguments], stdout=pipe, stderr=pipe, text=True, **options)


def shelved(table: Path) -> str:
    return f"registry.FOLDER = Path({str(table)!r})"


def test_kill_leaves_no_half_file(run: Run, photos: Path, photo: Photo, table: Path) -> None:
    for n in range(5):
        photo(photos / f"more {n}.png", seed=n)
    # Killed when the third result is in its file, but not yet under its name.
    die = "import os\ncalls = []\nos.fsync = lambda _: calls.append(1) or len(calls) == 3 and os.kill(os.getpid(), 9)"
    process = script(*NIGHT, "photos", first=f"{shelved(table)}\n{die}")
    process.communicate(timeout=120)
    assert process.returncode == -signal.SIGKILL
    parts = [name for name in made("photos-night") if name.endswith(".part")]
    assert made("photos-night") == ["a.png", "b.jpg", *parts]
    assert len(parts) == 1
    assert {size(f"photos-night/{name}") for name in ("a.png", "b.jpg")} == {(28, 20), (33, 17)}
    times = [Path("photos-night", name).stat().st_mtime_ns for name in ("a.png", "b.jpg")]
    os.utime(Path("photos-night", parts[0]), (0, 0))  # long ago
    assert run(*NIGHT, "photos").counts == (6, 2, 0)
    assert made("photos-night") == made("photos")
    assert [Path("photos-night", name).stat().st_mtime_ns for name in ("a.png", "b.jpg")] == times


def test_interrupt(photos: Path, table: Path) -> None:
    stop = (
        "import os, signal\nfrom translate import frames\nframes.plan = lambda *_: os.kill(os.getpid(), signal.SIGINT)"
    )
    process = script(*NIGHT, "photos", first=f"{shelved(table)}\n{stop}")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "translate: interrupted; run the same command again to go on\n"


@pytest.mark.parametrize(
    ("module", "caught"), [("torch", "KeyboardInterrupt"), ("cv2", "KeyboardInterrupt"), ("typer", "ValueError")]
)
def test_interrupted_while_libraries_are_imported(module: str, caught: str, photos: Path, table: Path) -> None:
    """Some swallow it, and at the first ones nothing that could catch it runs yet."""
    stop = (
        f"import signal\nclass Swallows:\n    def find_spec(name, *_):\n        if name == {module!r}:\n"
        "            sys.meta_path.remove(Swallows)\n"
        "            try:\n                signal.raise_signal(signal.SIGINT)\n"
        f"            except {caught}:\n                pass\nsys.meta_path.insert(0, Swallows)"
    )
    process = script(*NIGHT, "photos", first=f"{shelved(table)}\n{stop}")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err == "translate: interrupted; run the same command again to go on\n"
    assert not Path("photos-night").exists()


TRAINING = (
    *("train", "srgan", "--hr", "photos", "--out", "run", "--steps", "5", "--batch", "1", "--patch", "8"),
    *("--scale", "2", "--width", "4", "--blocks", "1", "--device", "cpu"),
)
SAVING = "translate: saving after this step; Ctrl-C again stops at once\n"


def at_step(monkeypatch: Any, number: int, times: int) -> None:
    """Press Ctrl-C so many times in the middle of that step of a training run."""
    check = Guard.check

    def pressed(self: Guard, step: int, *others: Any) -> None:
        for _ in range(times if step == number else 0):
            signal.raise_signal(signal.SIGINT)
        check(self, step, *others)

    monkeypatch.setattr(Guard, "check", pressed)


def test_interrupted_training_saves_and_goes_on(run: Run, photos: Path, monkeypatch: Any) -> None:
    assert run(*TRAINING).code == 0
    whole = Path("run").rename("whole")
    with monkeypatch.context() as pressed:
        at_step(pressed, 3, 1)
        ran = run(*TRAINING)
    said = "translate: interrupted; add --resume to the same command to go on\n"
    assert (ran.code, ran.err.partition(SAVING)[2]) == (130, said)
    assert read_checkpoint(Path("run", CHECKPOINT))["step"] == 3
    assert run(*TRAINING, "--resume").code == 0
    assert read_checkpoint(Path("run", CHECKPOINT))["step"] == 5
    assert Path("run", "srresnet.safetensors").read_bytes() == (whole / "srresnet.safetensors").read_bytes()


def test_what_keeps_nothing_when_it_is_interrupted_says_so(run: Run, monkeypatch: Any) -> None:
    monkeypatch.setattr("translate.cli.sample.registry.find", lambda *_: signal.raise_signal(signal.SIGINT))
    ran = run("sample", "cgan-digits", "--n", "1", "--out", "out")
    assert (ran.code, ran.err) == (130, "translate: interrupted; nothing was written\n")


@pytest.mark.parametrize(("number", "times", "said"), [(1, 1, ""), (2, 2, SAVING)])
def test_training_interrupted_at_once(
    run: Run, photos: Path, monkeypatch: Any, number: int, times: int, said: str
) -> None:
    """Before there is a step that could be saved, and where Ctrl-C is pressed twice."""
    at_step(monkeypatch, number, times)
    ran = run(*TRAINING)
    assert ran.code == 130
    assert ran.err.endswith(f"{said}translate: interrupted; nothing was saved yet\n")
    assert (SAVING in ran.err) == bool(said)
    assert not Path("run", CHECKPOINT).exists()


def test_training_interrupted_at_its_last_step_is_done(run: Run, photos: Path, monkeypatch: Any) -> None:
    at_step(monkeypatch, 5, 1)
    assert run(*TRAINING).code == 0
    assert read_checkpoint(Path("run", CHECKPOINT))["step"] == 5


def test_interrupted_in_the_middle(run: Run, photos: Path, monkeypatch: Any) -> None:
    real, calls = Translator.__call__, []

    def call(self: Translator, pictures: Any) -> Any:
        calls.append(1)
        if len(calls) == 3:
            signal.raise_signal(signal.SIGINT)
        return real(self, pictures)

    monkeypatch.setattr(Translator, "__call__", call)
    ran = run(*NIGHT, "photos")
    assert ran.code == 130
    assert "run the same command again" in ran.err
    left = 3 - len(made("photos-night"))
    assert not [name for name in made("photos-night") if name.endswith(".part")]
    assert run(*NIGHT, "photos").counts == (left, 3 - left, 0)


def test_what_need_not_compute_imports_nothing_heavy(photo: Photo, table: Path) -> None:
    photo(Path("a.png"))
    commands = [["--help"], ["cyclegan", "--help"], ["weights", "list"], ["upscale", "a.png", "--dry-run"]]
    check = (
        f"{shelved(table)}\nfrom translate.cli.main import main\nfor arguments in {commands}:\n"
        "    try:\n        sys.argv[1:] = arguments\n        main()\n    except SystemExit as stop:\n"
        "        heavy = {'torch', 'cv2', 'PIL', 'numpy'} & set(sys.modules)\n"
        "        print(stop.code, *heavy, file=sys.stderr)\nsys.exit()"
    )
    _, err = script(first=check).communicate(timeout=60)
    assert err.splitlines() == ["0"] * 4


def test_a_reader_that_goes_away(table: Path, tmp_path: Path) -> None:
    Path("in").mkdir()
    for n in range(700):
        (tmp_path / "in" / f"{n}.png").touch()
    process = script("upscale", "in", "--dry-run", "--json", first=shelved(table))
    assert process.stdout is not None
    assert process.stderr is not None
    assert json.loads(process.stdout.readline())["status"] == "planned"
    process.stdout.close()
    err = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) == 1
    assert "Traceback" not in err
    assert "Broken" not in err
