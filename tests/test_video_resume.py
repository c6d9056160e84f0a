"""Videos whose job was killed or changed, and is run again."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest
from helpers import times
from videos import made, normed, packets, ready

from translate.engine import Done
from translate.frames import Job
from translate.translator import Translator
from translate.video import job, read
from translate.video.read import Video

Make = Callable[..., Path]


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize(
    ("stop", "options"),
    [
        (3, {}),
        (8, {}),
        (9, {}),
        (21, {}),
        (29, {}),
        (21, {"batch": 3}),
        (9, {"stabilise": True}),
        (21, {"stabilise": True}),
    ],
)
def test_a_stopped_run_goes_on_to_the_same_result(
    stop: int, options: dict[str, Any], make: Make, tmp_path: Path
) -> None:
    source, wanted = make(options={"g": "6"}, audio=1), job.Options(preset="ultrafast", **options)
    *_, _ = job.run(normed(), Job(source, whole := tmp_path / "whole.mp4"), wanted)
    target = tmp_path / "out.mp4"
    run = job.run(normed(), Job(source, target), wanted)
    while next(run).frames < stop:  # type: ignore[union-attr]
        pass
    run.close()  # type: ignore[attr-defined]
    assert not target.exists()
    first, *_, done = job.run(normed(), Job(source, target), wanted)
    assert isinstance(first, job.Progress)
    assert stop - 8 - 4 <= first.resumed <= stop + 4
    assert first.resumed % 8 == 0
    assert (first.note is not None) == (first.resumed > 0)
    assert isinstance(done, Done)
    assert done.status == "done"
    assert times(target) == times(whole) == times(source)
    assert packets(target, 0) == packets(whole, 0)
    assert packets(target, 1) == packets(whole, 1)


@pytest.mark.usefixtures("short")
def test_what_is_finished_is_not_computed_again(make: Make, tmp_path: Path, monkeypatch: Any) -> None:
    source, target = make(options={"g": "5"}), tmp_path / "out.mp4"
    real = job._joined
    monkeypatch.setattr(job, "_joined", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert "the disk is full" in str(made(source, target, preset="ultrafast").message)
    monkeypatch.setattr(job, "_joined", real)
    monkeypatch.setattr(Translator, "__call__", lambda *_: pytest.fail("computed again"))
    assert made(source, target, preset="ultrafast").status == "done"
    assert times(target) == times(source)


@pytest.mark.usefixtures("short")
def test_one_run_at_a_time(make: Make, tmp_path: Path) -> None:
    source, target = make(), tmp_path / "out.mp4"
    first = job.run(ready(), Job(source, target), job.Options(preset="ultrafast"))
    while next(first).frames < 10:  # type: ignore[union-attr]
        pass
    second = made(source, target, preset="ultrafast")
    assert (second.status, second.message) == (
        "failed",
        "another run is making it; wait for that one, or name another output",
    )
    *_, done = first
    assert isinstance(done, Done)
    assert (done.status, times(target)) == ("done", times(source))
    assert made(source, target, preset="ultrafast", overwrite=True).status == "done"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["drive.mp4", "out.mp4"]


@pytest.mark.usefixtures("short")
def test_the_end_of_a_job_does_not_depend_on_its_beginning(make: Make, tmp_path: Path, monkeypatch: Any) -> None:
    """All segments are there and only the join failed: the shape of a pixel still is that of an upright one."""
    source, target = make(rotation=90, aspect=Fraction(4, 3)), tmp_path / "out.mp4"
    real = job._joined
    monkeypatch.setattr(job, "_joined", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    assert made(source, target, preset="ultrafast").status == "failed"
    monkeypatch.setattr(job, "_joined", real)
    assert made(source, target, preset="ultrafast").status == "done"
    with av.open(str(target)) as container:
        assert container.streams.video[0].sample_aspect_ratio == Fraction(3, 4)


@pytest.mark.usefixtures("short")
def test_a_changed_option_begins_anew_and_says_so(make: Make, tmp_path: Path) -> None:
    source, target = make(), tmp_path / "out.mp4"
    run = job.run(ready(), Job(source, target), job.Options(preset="ultrafast"))
    while next(run).frames < 20:  # type: ignore[union-attr]
        pass
    run.close()  # type: ignore[attr-defined]
    first, *_, _ = job.run(ready(), Job(source, target), job.Options(preset="ultrafast", crf=30))
    assert isinstance(first, job.Progress)
    assert (first.resumed, first.note) == (0, "--crf or --preset changed since it was begun: it begins anew")
    assert times(target) == times(source)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("mark", [True, False])
def test_a_part_goes_on_without_what_lies_before_it(
    mark: bool, make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor is damage there of its concern, also where the place of the last frame is not found again."""
    source, target = make(frames=100, options={"g": "5", "crf": "0"}), tmp_path / "out.mp4"
    with av.open(str(source)) as container:
        hurt = next(p for p in container.demux(video=0) if p.pts is not None and p.pts * p.time_base > Fraction(1, 5))
    data = bytearray(source.read_bytes())
    assert hurt.pos is not None
    data[hurt.pos + 4 : hurt.pos + hurt.size] = bytes(hurt.size - 4)
    source.write_bytes(data)
    assert made(source, tmp_path / "all.mp4", preset="ultrafast").status == "failed"
    wanted = job.Options(preset="ultrafast", start=3.2)
    run = job.run(ready(), Job(source, target), wanted)
    while next(run).frames < 10:  # type: ignore[union-attr]
        pass
    run.close()  # type: ignore[attr-defined]
    if not mark:
        monkeypatch.setattr(Video, "entered", lambda *_: None)
    real, decoded = Video._decoded, []
    monkeypatch.setattr(Video, "_decoded", lambda self: (decoded.append(frame) or frame for frame in real(self)))
    first, *_, done = job.run(ready(), Job(source, target), wanted)
    assert isinstance(first, job.Progress)
    assert isinstance(done, Done)
    assert (first.resumed, done.status) == (8, "done"), done.message
    assert times(target) == [Fraction(n, 25) for n in range(20)]
    assert len(decoded) < 30


def test_a_damaged_frame_keeps_to_itself_after_a_file_was_opened_again(make: Make) -> None:
    with Video(make()) as video:
        before = video.stream.thread_type.name
        video.reopen()
        assert before == video.stream.thread_type.name == "SLICE"


def test_the_place_is_found_again_or_all_is_decoded_again(make: Make) -> None:
    source = make(frames=40, options={"g": "10", "bf": "2"})
    with Video(source) as video:
        all_frames = list(video.frames())
    for last in (all_frames[16], read.Frame(all_frames[16].picture, all_frames[16].pts, 0, 12345)):
        with Video(source) as video:
            rest = list(video.frames(skip=17, last=(last.pts, last.mark)))
        assert [frame.pts for frame in rest] == [frame.pts for frame in all_frames[17:]]
        assert [frame.mark for frame in rest] == [frame.mark for frame in all_frames[17:]]
