"""Videos of older cameras: other containers and codecs, and interlaced frames."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers import times
from videos import made, normed, packets, pixels, ready, write_video

from translate import formats
from translate.frames import Job
from translate.images import read
from translate.video import apart, job
from translate.video.deinterlace import Deinterlacer
from translate.video.read import Video

WIDTH = 96


@pytest.mark.parametrize(
    ("name", "codec", "sound", "becomes"),
    [
        ("a.avi", "mpeg4", "mp2", ".mkv"),
        ("b.AVI", "mjpeg", "pcm_s16le", ".mkv"),
        ("a.mpg", "mpeg2video", "mp2", ".mkv"),
        ("a.mpeg", "mpeg1video", "mp2", ".mkv"),
        ("a.mts", "libx264", "ac3", ".mkv"),
        ("a.m2ts", "mpeg2video", "mp2", ".mkv"),
        ("a.wmv", "wmv2", "mp2", ".mkv"),
        ("a.flv", "flv1", "", ".mkv"),
        ("a.3gp", "mpeg4", "aac", ".mp4"),
    ],
)
def test_older_containers(name: str, codec: str, sound: str, becomes: str, tmp_path: Path) -> None:
    format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    source = write_video(
        tmp_path / name, 30, codec=codec.replace("flv1", "flv"), format=format, audio=bool(sound), sound=sound or "aac"
    )
    target = tmp_path / f"out{formats.suffix_for(source)}"
    assert target.suffix == becomes
    done = made(source, target, preset="ultrafast")
    assert (done.status, "30 frames in, 30 frames out" in str(done.message)) == ("done", True)
    before, after = (np.array([float(time) for time in times(path)]) for path in (source, target))
    np.testing.assert_allclose(after - after[0], before - before[0], atol=0.0011)  # Matroska counts milliseconds
    assert np.abs(np.array(pixels(target)).astype(int) - np.array(pixels(source))).mean() < 3
    if sound:
        copied, there = packets(target, 1), packets(source, 1)
        assert [data for _, data in copied] == [data for _, data in there]
        assert abs((after[0] - float(copied[0][0])) - (before[0] - float(there[0][0]))) < 0.0021


def test_a_cut_avi(tmp_path: Path) -> None:
    source = write_video(tmp_path / "a.avi", 60, codec="mjpeg", format="yuvj420p", size=(128, 128))
    source.write_bytes(source.read_bytes()[: source.stat().st_size // 2])
    done = made(source, tmp_path / "out.mkv", preset="ultrafast")
    assert done.status == "failed"
    assert str(done.message).startswith("is cut short: ")


def field(time: int, height: int = 64) -> Any:
    """A bar that moves to the right by 3 pixels a field."""
    image = np.full((height, WIDTH), 60, np.uint8)
    image[:, 8 + 3 * time : 20 + 3 * time] = 200
    return image


def combed(path: Path, frames: int = 12, codec: str = "ffv1", height: int = 64, **options: str) -> Path:
    """Interlaced, the lower field first."""
    with av.open(str(path), "w") as out:
        stream = out.add_stream(codec, 25, options, width=WIDTH, height=height, pix_fmt="yuv420p")
        for n in range(frames):
            luma = field(2 * n, height)
            luma[::2] = field(2 * n + 1, height)[::2]
            frame = av.VideoFrame.from_ndarray(
                np.concatenate([luma, np.full((height // 2, WIDTH), 128, np.uint8)]), "yuv420p"
            )
            frame.pts = n + (n > 5)  # with a gap
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def interlaced(path: Path, frames: int = 12, height: int = 64, **options: str) -> Path:
    return combed(path, frames, "mpeg2video", height, flags="+ildct+ilme", q="1", bf="0", **options)


def combs(images: list[Any]) -> float:
    """How much each row differs from the mean of its neighbours."""
    luma = np.array(images).astype(float).mean(-1)
    return float(np.abs(luma[:, 1:-1] - (luma[:, :-2] + luma[:, 2:]) / 2).mean())


def test_interlaced_frames_are_made_whole(tmp_path: Path) -> None:
    source = interlaced(tmp_path / "tv.mkv")
    with Video(source, deinterlace=False) as video:
        left = [(frame.pts, frame.duration, frame.picture.pixels) for frame in video.frames()]
    with Video(source) as video:
        whole = [(frame.pts, frame.duration, frame.picture.pixels) for frame in video.frames()]
        assert list(video.notes) == ["it is interlaced, and its frames were made whole (--no-deinterlace leaves them)"]
    assert len(left) == 12
    assert [item[:2] for item in whole] == [item[:2] for item in left]
    assert combs([item[2] for item in left]) > 10
    assert combs([item[2] for item in whole]) < 0.5
    for n, (_, _, image) in enumerate(whole):
        wanted = (field(2 * n).astype(float) - 16) * 255 / 219
        assert np.abs(image[..., 1] - wanted).mean() < 4  # as it was when the first field was taken


def test_what_is_not_marked_stays(tmp_path: Path) -> None:
    source = combed(tmp_path / "a.mkv")
    with Video(source) as video, Video(source, deinterlace=False) as other:
        for frame, same in zip(video.frames(), other.frames(), strict=True):
            np.testing.assert_array_equal(frame.picture.pixels, same.picture.pixels)
        assert not video.notes


def test_only_what_is_marked_and_in_each_size(tmp_path: Path) -> None:
    sources = [
        *(combed(tmp_path / "a.mkv", 4), interlaced(tmp_path / "b.mkv", 5), combed(tmp_path / "c.mkv", 3)),
        *(interlaced(tmp_path / "d.mkv", 3, 48), combed(tmp_path / "e.mkv", 2)),
    ]

    def frames() -> Iterator[Any]:
        for path in sources:
            with av.open(str(path)) as container:
                yield from container.decode(video=0)

    before, after = list(frames()), list(Deinterlacer()(frames()))
    assert [(frame.pts, frame.height) for frame in after] == [(frame.pts, frame.height) for frame in before]
    changed = [not np.array_equal(a.to_ndarray(), b.to_ndarray()) for a, b in zip(before, after, strict=True)]
    assert changed == [False] * 4 + [True] * 5 + [False] * 3 + [True] * 3 + [False] * 2
    assert combs([frame.to_ndarray(format="rgb24") for frame in after if frame.height == 48]) < 0.5


def test_a_change_of_mind_begins_anew(tmp_path: Path) -> None:
    source, target = interlaced(tmp_path / "tv.mkv", 260, g="12"), tmp_path / "out.mp4"
    run = job.run(ready(), Job(source, target), job.Options(preset="ultrafast"))
    while next(run).frames < 200:  # type: ignore[union-attr]
        pass
    run.close()  # type: ignore[attr-defined]
    first, *_ = job.run(ready(), Job(source, target), job.Options(preset="ultrafast", deinterlace=False))
    assert isinstance(first, job.Progress)
    assert (first.resumed, "--deinterlace" in str(first.note)) == (0, True)


def test_numbered_pictures_of_it(tmp_path: Path) -> None:
    source = interlaced(tmp_path / "tv.mkv", 3)
    for name, flag in (("whole", True), ("left", False)):
        *_, done = apart.run(ready(), Job(source, tmp_path / name), job.Options(pictures=True, deinterlace=flag))
        assert "it is interlaced" in str(done.message)  # type: ignore[union-attr]
    whole, left = (
        [read(path).pixels for path in sorted((tmp_path / name).glob("*.png"))] for name in ("whole", "left")
    )
    assert combs(whole) < 0.5 < 10 < combs(left)


@pytest.mark.usefixtures("short")
@pytest.mark.parametrize("gop", ["1", "12"])
@pytest.mark.parametrize("stop", [9, 21])
def test_a_stopped_run_goes_on(gop: str, stop: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source, wanted = interlaced(tmp_path / "tv.mkv", 26, g=gop), job.Options(preset="ultrafast")
    *_, _ = job.run(normed(), Job(source, whole := tmp_path / "whole.mp4"), wanted)
    run = job.run(normed(), Job(source, target := tmp_path / "out.mp4"), wanted)
    while next(run).frames < stop:  # type: ignore[union-attr]
        pass
    run.close()  # type: ignore[attr-defined]
    found: list[bool] = []
    real = Video._entered

    def entered(self: Video, pts: int, mark: int) -> Any:
        found.append((frames := real(self, pts, mark)) is not None)
        return frames

    monkeypatch.setattr(Video, "_entered", entered)
    first, *_ = job.run(normed(), Job(source, target), wanted)
    assert first.resumed > 0  # type: ignore[union-attr]
    assert found == [True]  # without decoding all that was there
    assert times(target) == times(whole) == times(source)
    assert packets(target, 0) == packets(whole, 0)
