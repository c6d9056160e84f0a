"""The inference loop with networks whose answers are known, on pictures that are awkward."""

import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from translate import device, engine, frames, images, memory, translator
from translate.checkpoints import load
from translate.device import choose_device, choose_precision
from translate.engine import Done, Translator
from translate.errors import ImageError, InputError
from translate.frames import Job
from translate.images import Picture
from translate.models import Model

Photo = Callable[..., Path]
RNG = np.random.default_rng(3)
FP32 = {"device": "cpu", "precision": "fp32"}


class Fake(nn.Module):
    """Gives its input back, enlarged; a picture whose first pixel is red fails or is spoilt, as it is told."""

    def __init__(self, scale: int = 1, spoil: Callable[[Tensor], object] | None = None) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.scale, self.spoil, self.sizes = scale, spoil, []

    def forward(self, x: Tensor) -> Tensor:
        self.sizes.append(tuple(x.shape))
        y = x.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)
        for picture, result in zip(x, y, strict=True):
            if self.spoil and picture[0, 0, 0] > 0.9:
                result[0, 1, 1] = self.spoil(self.weight)
        return y

    def __deepcopy__(self, memo: object) -> "Fake":
        copy = Fake(self.scale, self.spoil)
        copy.sizes = self.sizes  # one list for all copies
        return copy


class Computing:
    """In place of a Translator: one function, for pictures that are never too large."""

    def __init__(self, compute: Callable[[list[Picture]], object]) -> None:
        self.compute = compute

    def __call__(self, pictures: list[Picture]) -> object:
        return self.compute(pictures)

    def in_parts(self, picture: Picture) -> bool:
        return False


def ready(fake: nn.Module, precision: str = "fp32", **model: Any) -> Translator:
    return Translator(Model(fake, "Fake", scale=getattr(fake, "scale", 1), **model), "cpu", precision)


def flat(height: int = 6, width: int = 9, *, red: bool = False, dtype: Any = np.uint8, **more: Any) -> Picture:
    pixels = RNG.integers(0, 200, (height, width, 3), dtype=dtype)
    pixels[0, 0] = np.iinfo(dtype).max if red else 0
    return Picture(pixels, **more)


def jobs_for(folder: Path, pictures: list[Picture]) -> list[Job]:
    folder.mkdir()
    for n, picture in enumerate(pictures):
        images.write(folder / f"{n}.png", picture)
    return list(frames.plan([folder], None, "out").jobs)


def statuses(done: list[Done]) -> list[str]:
    return [f"{one.source.stem} {one.status}" for one in done]


# One picture


@pytest.mark.parametrize("size", [(1, 1), (1, 50), (50, 1), (2, 3), (15, 17), (16, 16), (33, 21)])
@pytest.mark.parametrize(("scale", "multiple", "minimum"), [(1, 4, 16), (4, 1, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_size_comes_back_whole(
    size: tuple[int, int], scale: int, multiple: int, minimum: int, dtype: Any
) -> None:
    fake = Fake(scale)
    bounds = (-1.0, 1.0) if scale == 1 else (0.0, 1.0)
    translate = ready(fake, multiple_of=multiple, minimum=minimum, value_range=bounds)
    picture = flat(*size, dtype=dtype, exif=b"Exif\0\0x", icc=b"profile")
    ((result, remark),) = translate([picture])
    wanted = picture.pixels.repeat(scale, 0).repeat(scale, 1)
    np.testing.assert_array_equal(result.pixels, wanted)
    assert (result.pixels.dtype, result.exif, result.icc, remark) == (dtype, picture.exif, picture.icc, None)
    for side, fed in zip(size, fake.sizes[0][2:], strict=True):
        assert fed % multiple == 0
        assert max(side, minimum) <= fed < max(side, minimum) + multiple


def test_padding_is_a_reflection() -> None:
    fed: list[Tensor] = []
    network = Fake()
    network.register_forward_pre_hook(lambda _, x: fed.append(x[0]))
    translate = ready(network, multiple_of=4)
    translate._networks["fp32"] = network
    picture = flat(3, 6)
    translate([picture])
    seen = fed[0][0].permute(1, 2, 0).mul(255).round().numpy()
    np.testing.assert_array_equal(seen, np.pad(picture.pixels, ((0, 1), (0, 2), (0, 0)), mode="reflect"))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_is_kept_or_enlarged(dtype: Any) -> None:
    top = np.iinfo(dtype).max
    alpha = np.zeros((8, 12), dtype)
    alpha[:, 6:] = top
    ((same, _),) = ready(Fake())([flat(8, 12, dtype=dtype, alpha=alpha)])
    np.testing.assert_array_equal(same.alpha, alpha)
    ((large, _),) = ready(Fake(4))([flat(8, 12, dtype=dtype, alpha=alpha)])
    assert large.alpha is not None
    assert (large.alpha.shape, large.alpha.dtype) == ((32, 48), dtype)
    assert (large.alpha[:, :20] == 0).all()
    assert (large.alpha[:, 28:] == top).all()


class Tint(nn.Module):
    """Adds red."""

    def __init__(self, scale: int) -> None:
        super().__init__()
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        y = x.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3) * 0.8
        y[:, 0] += 0.1
        return y


@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("scale", [1, 4])
def test_grey_stays_grey_when_it_is_enlarged(scale: int, grey: bool) -> None:
    pixels = np.repeat(RNG.integers(0, 255, (5, 7, 1), dtype=np.uint8), 3, axis=2)
    ((result, _),) = ready(Tint(scale))([Picture(pixels, grey=grey)])
    is_grey = bool((result.pixels == result.pixels[..., :1]).all())
    assert (result.grey, is_grey) == ((True, True) if grey and scale > 1 else (False, False))
    wanted = pixels.repeat(scale, 0).repeat(scale, 1) * 0.8 + (255 * 0.1 / 3)
    assert np.abs(result.pixels.mean(2) - wanted.mean(2)).max() < 1


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_values_beyond_the_range_are_clipped(precision: str) -> None:
    class Wild(Tint):
        def forward(self, x: Tensor) -> Tensor:
            return (x - 0.5) * 1e4

    ((result, _),) = ready(Wild(1), precision)([flat(red=True)])
    assert set(np.unique(result.pixels)) <= {0, 255}
    assert result.pixels[0, 0].tolist() == [255, 255, 255]


# Precision


def nan_unless_fp32(weight: Tensor) -> float:
    return 0.5 if weight.dtype == torch.float32 else float("nan")


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_nan_is_computed_again_in_fp32_and_said(precision: str, value: float) -> None:
    fake = Fake(spoil=lambda weight: value if weight.dtype != torch.float32 else 0.5)
    results = ready(fake, precision)([flat(), flat(red=True), flat()])
    assert [remark for _, remark in results] == [
        None, f"{precision} gave NaN or infinity; computed again in fp32", None
    ]  # fmt: skip
    assert results[1][0].pixels[1, 1, 0] == 128
    assert [size[0] for size in fake.sizes] == [3, 1]  # only the one that was spoilt


def test_nan_in_fp32_is_not_computed_again() -> None:
    fake = Fake(spoil=lambda _: float("nan"))
    with pytest.raises(ImageError, match="NaN or infinity for it, even in fp32"):
        ready(fake)([flat(red=True)])
    assert len(fake.sizes) == 1


@pytest.mark.parametrize(("asked", "used"), [("auto", torch.float32), ("bf16", torch.bfloat16)])
def test_16_bit_is_computed_in_fp32_unless_asked(asked: str, used: torch.dtype, monkeypatch: Any) -> None:
    monkeypatch.setattr(translator, "choose_precision", lambda *_: device.Choice("bf16", "for the test"))
    kinds = []

    class Note(Fake):
        def forward(self, x: Tensor) -> Tensor:
            kinds.append(self.weight.dtype)
            return x

        def __deepcopy__(self, memo: object) -> "Note":
            return Note()

    translate = ready(Note(), asked)
    translate([flat()])
    translate([flat(dtype=np.uint16)])
    assert kinds == [torch.bfloat16, used]


def test_wrong_device_and_precision() -> None:
    for name in ("gpu", "cuda:99", "meta", ""):
        with pytest.raises(InputError, match=f"device '{name}' cannot be used: .") as caught:
            choose_device(name)
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match="unknown precision 'half'; there are auto, fp32, bf16, fp16"):
        choose_precision("half", "cpu")
    assert choose_device("cpu").value == "cpu"


@pytest.mark.parametrize(
    ("amx", "avx512", "value", "why"),
    [(True, True, "bf16", "AMX"), (False, True, "bf16", "AVX512-BF16"), (False, False, "fp32", "slower")],
)
def test_precision_on_a_processor(amx: bool, avx512: bool, value: str, why: str, monkeypatch: Any) -> None:
    monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512)
    for name in ("cpu", "cpu:0"):
        choice = choose_precision("auto", name)
        assert choice.value == value
        assert why in choice.why


# Memory


@pytest.mark.parametrize(("free", "fits"), [(10_000_000, True), (300_000, False), (None, True)])
def test_too_little_memory_is_said_before_computing(
    free: int | None, fits: bool, shelf: Path, monkeypatch: Any
) -> None:
    monkeypatch.setattr(memory, "available_bytes", lambda: free)
    translate = Translator(load(shelf / "cyclegan-night.safetensors"), **FP32, tile="off")
    picture = flat(64, 96)
    if fits:
        assert translate([picture])[0][0].pixels.shape == (64, 96, 3)
        return
    monkeypatch.setattr(translate, "_networks", {})  # nothing may be computed
    with pytest.raises(ImageError, match=r"needs about 0.0 GB of memory, 0.0 GB are free; .* --size (\d+)") as caught:
        translate([picture])
    side = int(str(caught.value).split("--size ")[1].split()[0])
    again = translator.resized(picture, side, 10**6)
    monkeypatch.setattr(translate, "_networks", {"fp32": Fake()})
    assert translate([again])[0][0].pixels.shape[0] == side  # the advice is good


def test_needed_memory_grows_with_width_scale_and_precision(shelf: Path) -> None:
    class Wide(Fake):
        def __init__(self, scale: int, **config: Any) -> None:
            super().__init__(scale)
            self.config = config
            self.full_size = 0 if config.get("tail") == "direct" else config["width"]

    def needed(scale: int, itemsize: int, **config: Any) -> int:
        return memory.bytes_per_pixel(Model(Wide(scale, **config), "Fake", scale=scale), itemsize)

    # What was measured, as resident memory at its peak, and how far above it the estimate may be.
    for measured, estimate in (
        (752, needed(1, 4, width=32)),
        (1613, needed(1, 4, width=64)),
        (686, needed(1, 2, width=64)),
        (716, needed(4, 4, width=32, tail="direct")),
        (1228, needed(4, 4, width=64, tail="direct")),
        (716, needed(4, 2, width=64, tail="direct")),
        (6479, needed(4, 4, width=32, tail="staged")),
        (12287, needed(4, 4, width=64, tail="staged")),
        (6472, needed(4, 2, width=64, tail="staged")),
    ):
        assert measured <= estimate <= 1.35 * measured


def test_available_memory(monkeypatch: Any) -> None:
    free = device.available_bytes()
    if Path("/proc/meminfo").exists():
        assert free is not None
        assert 10**6 < free < 10**14
    monkeypatch.setattr(Path, "read_text", lambda *_, **__: (_ for _ in ()).throw(FileNotFoundError()))
    assert device.available_bytes() is None


# Many pictures


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
    before = threading.active_count()
    run = engine.run(ready(Fake()), jobs)
    assert next(run).status == "done"
    run.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before
    assert len(taken) < 10


class Counting(Fake):
    """Fails once, at the part that it is told."""

    def __init__(self, fails_at: int, error: Exception) -> None:
        super().__init__(2)
        self.calls, self.fails_at, self.error = 0, fails_at, error

    def forward(self, x: Tensor) -> Tensor:
        self.calls += 1
        if self.calls == self.fails_at:
            raise self.error
        return super().forward(x)

    def __deepcopy__(self, memo: object) -> "Counting":
        return self


@pytest.mark.parametrize("suffix", [".png", ".tif", ".jpg"])
@pytest.mark.parametrize("kind", ["plain", "grey", "alpha", "deep"])
def test_a_large_picture_is_written_while_it_is_made(suffix: str, kind: str, tmp_path: Path, monkeypatch: Any) -> None:
    rng = np.random.default_rng(0)
    dtype = np.uint16 if kind == "deep" else np.uint8
    pixels = rng.integers(0, np.iinfo(dtype).max, (75, 40, 1 if kind == "grey" else 3)).astype(dtype)
    alpha = rng.integers(0, 255, (75, 40)).astype(np.uint8) if kind == "alpha" else None
    exif = Image.Exif()
    exif[271] = "maker"
    images.write(
        tmp_path / "in.png",
        Picture(np.repeat(pixels, 3 // pixels.shape[2], 2), alpha, exif.tobytes(), grey=kind == "grey"),
    )
    made = []
    written = images.write_strips

    def noted(path: Path, pieces: Any, size: tuple[int, int]) -> None:
        made.append(path.suffix)
        return written(path, pieces, size)

    for name, tile in (("whole", "off"), ("parts", 32)):
        model = Model(Fake(2), "Fake", scale=2, halo=0)
        target = tmp_path / f"{name}{suffix}"
        if name == "parts":
            monkeypatch.setattr(images, "write_strips", noted)
        (done,) = engine.run(Translator(model, "cpu", "fp32", tile), [Job(tmp_path / "in.png", target)])  # type: ignore[arg-type]
        assert done.status == "done", done.message
    assert made == ([] if suffix == ".jpg" else [suffix])
    whole, parts = (images.read(tmp_path / f"{name}{suffix}") for name in ("whole", "parts"))
    assert (whole.grey, whole.exif, whole.pixels.dtype) == (parts.grey, parts.exif, parts.pixels.dtype)
    assert np.array_equal(whole.pixels, parts.pixels)
    assert whole.alpha is None or np.array_equal(whole.alpha, parts.alpha)
    assert parts.pixels.shape == (150, 80, 3)


def test_a_large_picture_that_fails_midway_leaves_nothing(tmp_path: Path, monkeypatch: Any) -> None:
    images.write(tmp_path / "in.png", flat(200, 150))
    job = Job(tmp_path / "in.png", tmp_path / "out.png")
    broken = Model(Counting(2, RuntimeError("for the test")), "Counting", scale=2, halo=0)
    (done,) = engine.run(Translator(broken, "cpu", "fp32", 32), [job])
    assert (done.status, done.message) == ("failed", "for the test")
    assert [path.name for path in tmp_path.iterdir()] == ["in.png"]
    short = Counting(2, torch.OutOfMemoryError("for the test"))
    translate = Translator(Model(short, "Counting", scale=2, halo=0), "cpu", "fp32")
    monkeypatch.setattr(memory, "tile_side", lambda *_: 128)
    (done,) = engine.run(translate, [job])
    assert (done.status, done.message) == ("done", None)
    assert short.calls == 2 + 4 * 3  # begun anew in parts of half the side
    assert images.read(job.target).pixels.shape == (400, 300, 3)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["in.png", "out.png"]
