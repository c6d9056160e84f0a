"""The inference loop over many pictures, with networks whose answers are known."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from networks import FP32, Fake, flat, nan_unless_fp32, ready

from translate import engine, frames, images, memory
from translate.checkpoints import load
from translate.engine import Done, Translator
from translate.frames import Job
from translate.images import Picture

Photo = Callable[..., Path]


class Computing:
    """In place of a Translator: one function, for pictures that are never too large."""

    def __init__(self, compute: Callable[[list[Picture]], object]) -> None:
        self.compute = compute

    def __call__(self, pictures: list[Picture]) -> object:
        return self.compute(pictures)

    def in_parts(self, picture: Picture) -> bool:
        return False


def jobs_for(folder: Path, pictures: list[Picture]) -> list[Job]:
    folder.mkdir()
    for n, picture in enumerate(pictures):
        images.write(folder / f"{n}.png", picture)
    return list(frames.plan([folder], None, "out").jobs)


def statuses(done: list[Done]) -> list[str]:
    return [f"{one.source.stem} {one.status}" for one in done]


def test_order_and_statuses(tmp_path: Path) -> None:
    jobs = jobs_for(tmp_path / "in", [flat(6, 5 + n) for n in range(7)])
    jobs[1] = Job(jobs[1].source, jobs[1].target, "is wrong")
    jobs[3].source.write_text("no image")
    jobs[4].source.unlink()
    jobs[5].target.parent.mkdir()
    images.write(jobs[5].target, flat())
    done = list(engine.run(ready(Fake()), jobs))
    assert statuses(done) == ["0 done", "1 failed", "2 done", "3 failed", "4 failed", "5 skipped", "6 done"]
    assert done[1].message == "is wrong"
    assert "holds no image of a known format" in str(done[3].message)
    assert "no such file" in str(done[4].message)
    assert all(one.seconds > 0 for one in done if one.status == "done")
    assert sorted(path.name for path in jobs[0].target.parent.iterdir()) == ["0.png", "2.png", "5.png", "6.png"]
    assert statuses(list(engine.run(ready(Fake()), jobs, overwrite=True)))[5] == "5 done"


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda _: float("nan"), "NaN or infinity for it, even in fp32"),
        (lambda _: torch.empty(10**15), "does not fit into memory; make it smaller with --size"),
        (lambda _: torch.ones(2) @ torch.ones(3), "inconsistent tensor size"),
    ],
)
def test_one_picture_fails_alone(spoil: Any, said: str, batch: int, tmp_path: Path) -> None:
    jobs = jobs_for(tmp_path / "in", [flat(red=n == 1) for n in range(4)])
    done = list(engine.run(ready(Fake(spoil=spoil)), jobs, batch=batch))
    assert statuses(done) == ["0 done", "1 failed", "2 done", "3 done"]
    assert said in str(done[1].message)
    assert "\n" not in str(done[1].message)


def test_memory_that_is_enough_for_one_but_not_for_the_batch(tmp_path: Path, monkeypatch: Any) -> None:
    jobs = jobs_for(tmp_path / "in", [flat() for _ in range(4)])
    fake = Fake()
    monkeypatch.setattr(memory, "available_bytes", lambda: 6 * 9 * (7 * 4 + 24) * 2)
    assert statuses(list(engine.run(ready(fake), jobs, batch=4))) == [f"{n} done" for n in range(4)]
    assert [size[0] for size in fake.sizes] == [1] * 4


def test_remark_reaches_the_result(tmp_path: Path) -> None:
    jobs = jobs_for(tmp_path / "in", [flat(), flat(red=True)])
    done = list(engine.run(ready(Fake(spoil=nan_unless_fp32), "bf16"), jobs))
    assert [one.message for one in done] == [None, "bf16 gave NaN or infinity; computed again in fp32"]


@pytest.mark.parametrize("name", ["cyclegan-night", "tiny-x4"])
def test_batches_give_the_same_pictures(name: str, shelf: Path, tmp_path: Path, photo: Photo) -> None:
    sizes = [(20, 28), (20, 28), (17, 30), (20, 28), (20, 28), (20, 28)]
    for n, size in enumerate(sizes):
        photo(tmp_path / "in" / f"{n}.png", *size, seed=n)
    results = []
    translate = Translator(load(shelf / f"{name}.safetensors"), **FP32)
    for batch in (1, 2):
        jobs = frames.plan([tmp_path / "in"], tmp_path / f"out{batch}", "").jobs
        assert {one.status for one in engine.run(translate, jobs, batch=batch)} == {"done"}
        results.append([images.read(job.target).pixels.astype(int) for job in jobs])
    for one, other in zip(*results, strict=True):
        assert np.abs(one - other).max() <= 1


def test_batches_are_runs_of_one_size_and_depth(tmp_path: Path) -> None:
    pictures = [flat(), flat(), flat(), flat(6, 10), flat(6, 10, dtype=np.uint16), flat()]
    jobs = jobs_for(tmp_path / "in", pictures)
    fake = Fake()
    assert {one.status for one in engine.run(ready(fake), jobs, batch=2)} == {"done"}
    assert [(size[0], size[3]) for size in fake.sizes] == [(2, 9), (1, 9), (1, 10), (1, 10), (1, 9)]
    for job, picture in zip(jobs, pictures, strict=True):
        np.testing.assert_array_equal(images.read(job.target).pixels, picture.pixels)


def test_size_scales_first(tmp_path: Path) -> None:
    alpha = np.full((20, 30), 9, np.uint8)
    jobs = jobs_for(tmp_path / "in", [flat(20, 30, alpha=alpha), flat(7, 3), flat(1, 4000)])
    done = list(engine.run(ready(Fake()), jobs, size=10, max_pixels=100_000))
    assert statuses(done) == ["0 done", "1 done", "2 failed"]
    assert done[2].message == "--size makes it 40000 × 10, more than --max-pixels 100,000; lower --size"
    first = images.read(jobs[0].target)
    assert first.pixels.shape == (10, 15, 3)
    assert first.alpha is not None
    assert (first.alpha == 9).all()
    assert images.read(jobs[1].target).pixels.shape == (23, 10, 3)


def test_few_pictures_are_alive(tmp_path: Path, monkeypatch: Any) -> None:
    alive: set[int] = set()
    most = 0
    lock = threading.Lock()

    def tracked(path: Path, **_: object) -> Picture:
        nonlocal most
        picture = flat()
        with lock:
            alive.add(key := id(picture))
            most = max(most, len(alive))
        weakref.finalize(picture, alive.discard, key)
        return picture

    def slow(*_: object, **__: object) -> None:
        pause.wait(0.005)

    pause = threading.Event()
    monkeypatch.setattr(images, "read", tracked)
    monkeypatch.setattr(images, "write", slow)
    jobs = [Job(Path(f"{n}.png"), tmp_path / f"{n}.png") for n in range(60)]
    seen = 0
    for done in engine.run(Computing(lambda pictures: [(picture, None) for picture in pictures]), jobs):  # type: ignore[arg-type]
        assert done.status == "done"
        seen += 1
    assert seen == 60
    gc.collect()
    assert 2 <= most <= 9
    assert len(alive) <= 1


def test_reading_computing_and_writing_overlap(tmp_path: Path, monkeypatch: Any) -> None:
    began = {f"{stage} {n}": threading.Event() for stage in ("read", "compute", "write") for n in range(4)}
    waits = []

    def stage(name: str, path: object, waits_for: str) -> None:
        began[f"{name} {path}"].set()
        if waits_for in began:
            waits.append(began[waits_for].wait(20))

    def read(path: Path, **_: object) -> Picture:
        stage("read", path.stem, "")
        return Picture(np.full((2, 2, 3), int(path.stem), np.uint8))

    def compute(pictures: list[Picture]) -> list[tuple[Picture, None]]:
        n = int(pictures[0].pixels[0, 0, 0])
        stage("compute", n, f"read {n + 1}")  # the next is read before this one is computed
        return [(pictures[0], None)]

    def write(path: Path, *_: object, **__: object) -> None:
        stage("write", path.stem, f"compute {int(path.stem) + 1}")  # and computed before this one is written

    monkeypatch.setattr(images, "read", read)
    monkeypatch.setattr(images, "write", write)
    jobs = [Job(Path(f"{n}.png"), tmp_path / f"{n}.png") for n in range(4)]
    assert statuses(list(engine.run(Computing(compute), jobs))) == [f"{n} done" for n in range(4)]  # type: ignore[arg-type]
    assert waits == [True] * 6


@pytest.fixture
def endless(tmp_path: Path) -> tuple[list[int], Iterator[Job]]:
    taken: list[int] = []

    def jobs() -> Iterator[Job]:
        while True:
            taken.append(len(taken))
            yield Job(tmp_path / "in.png", tmp_path / f"{len(taken)}.png")

    images.write(tmp_path / "in.png", flat())
    return taken, jobs()


def test_stopping_early_ends_the_threads(endless: tuple[list[int], Iterator[Job]]) -> None:
    taken, jobs = endless
    before = set(threading.enumerate())
    run = engine.run(ready(Fake()), jobs)
    assert next(run).status == "done"
    run.close()  # type: ignore[attr-defined]
    assert set(threading.enumerate()) <= before
    assert len(taken) < 10
