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


@pytest.mark.parametrize(("codec", "options", "gone"), [
    ("libx264", {"bf": "3"}, None), ("libx264", {"bf": "3"}, 7), ("mpeg4", {"bf": "2"}, None), ("mjpeg", {}, 7),
])  # fmt: skip
def test_the_frames_of_an_avi_are_shown_in_its_slots(
    codec: str, options: dict[str, str], gone: int | None, tmp_path: Path
) -> None:
    """It says in what order they are decoded only; with frames that are stored out of order that is another one."""
    format = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    packets: list[Any] = []
    with av.open(str(tmp_path / "a.avi"), "w") as out:
        stream = out.add_stream(codec, 25, options, width=WIDTH, height=64, pix_fmt=format)
        for n in range(30):
            picture = np.full((96, WIDTH), 128, np.uint8)
            picture[:64, 3 * n : 3 * n + 3] = 255  # a bar that wanders
            frame = av.VideoFrame.from_ndarray(picture, format)
            frame.pts = n
            packets += stream.encode(frame)
        packets += stream.encode(None)
        for number, packet in enumerate(packets):
            if number != gone:
                out.mux(packet)
    with Video(tmp_path / "a.avi") as video:
        found = list(video.frames())
        assert not video.notes
    assert len(found) == 30 - (gone is not None)
    bars = [int(frame.picture.pixels.mean((0, 2)).argmax()) // 3 for frame in found]
    assert [frame.pts for frame in found] == bars


@pytest.mark.parametrize(("name", "codec", "gop"), [
    ("a.avi", "mpeg4", "25"), ("a.mpg", "mpeg2video", "15"), ("a.mts", "libx264", "25"), ("a.m2ts", "mpeg2video", "15"),
    ("a.wmv", "wmv2", "25"), ("a.flv", "libx264", "25"), ("a.3gp", "libx264", "25"), ("a.mkv", "libx264", "25"),
])  # fmt: skip
def test_a_span_is_that_of_the_whole(name: str, codec: str, gop: str, tmp_path: Path) -> None:
    """Seeking leads to a key frame in some containers, and anywhere in others."""
    options = {"g": gop} | ({} if codec == "wmv2" else {"bf": "2"})
    source = tmp_path / name
    with av.open(str(source), "w") as out:
        stream = out.add_stream(codec, 25, options, width=WIDTH, height=64, pix_fmt="yuv420p")
        for n in range(200):
            frame = av.VideoFrame.from_ndarray(np.full((96, WIDTH), n, np.uint8), "yuv420p")
            frame.pts = n
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with Video(source) as video:
        every, origin = list(video.frames()), video.origin
        times = [frame.pts * video.time_base - origin for frame in every]
    assert len(every) == 200
    for start, end in ((1.0, 2.0), (3.1, 3.5), (5.5, 6.0), (0.1, 0.5), (0, 0.2), (7.6, 99)):
        wanted = [frame for frame, time in zip(every, times, strict=True) if start <= float(time) < end]
        with Video(source) as video:
            found = list(video.frames(start, end))
            assert (video.lost, video.problem) == (0, None)
        assert [(frame.pts, frame.mark) for frame in found] == [(frame.pts, frame.mark) for frame in wanted]
        assert found


def test_a_clock_that_begins_late(tmp_path: Path) -> None:
    """Receivers write the time since they were switched on."""
    source = write_video(tmp_path / "early.mts", 30, audio=True, sound="mp2")
    late = tmp_path / "late.mts"
    with (
        av.open(str(source)) as container,
        av.open(str(late), "w", container_options={"output_ts_offset": "40000"}) as out,
    ):
        copies = {stream.index: out.add_stream_from_template(stream) for stream in container.streams}
        for packet in container.demux():
            if packet.size:
                packet.stream = copies[packet.stream.index]
                out.mux(packet)
    done = made(late, target := tmp_path / "out.mkv", preset="ultrafast")
    assert done.status == "done"
    assert [data for _, data in packets(target, 1)] == [data for _, data in packets(late, 1)]
    assert float(packets(late, 0)[0][0]) > 40000
    assert 0 <= float(packets(target, 0)[0][0]) < 0.1


@pytest.mark.parametrize("name", ["a.mpg", "a.mts", "a.mkv"])
def test_a_hole(name: str, tmp_path: Path) -> None:
    source = write_video(tmp_path / name, 60, codec="libx264" if name == "a.mkv" else "mpeg2video", size=(128, 96))
    data = bytearray(source.read_bytes())
    middle = len(data) // 2
    data[middle : middle + len(data) // 8] = bytes(len(data) // 8)
    source.write_bytes(data)
    done = made(source, tmp_path / "out.mkv", preset="ultrafast")
    assert done.status == "failed"
    assert "copy or download it again" in str(done.message)


def test_an_avi_of_a_thousand_frames_a_second(tmp_path: Path) -> None:
    source = tmp_path / "a.avi"
    with av.open(str(source), "w") as out:
        stream = out.add_stream("mjpeg", 1000, width=64, height=64, pix_fmt="yuvj420p")
        for n in range(600):
            frame = av.VideoFrame.from_ndarray(np.full((96, 64), n % 256, np.uint8), "yuvj420p")
            frame.pts = n
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    done = made(source, tmp_path / "out.mkv", preset="ultrafast")
    assert (done.status, "600 frames in, 600 frames out" in str(done.message)) == ("done", True)


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


def test_too_small_for_it(tmp_path: Path) -> None:
    source = combed(tmp_path / "a.mkv", 3, height=4, flags="+ildct", field_order="tt")
    with av.open(str(source)) as container:
        frames = list(container.decode(video=0))

    class Marked:
        """A frame that says so of itself."""

        def __init__(self, frame: Any) -> None:
            self.frame, self.interlaced_frame = frame, True

        def __getattr__(self, name: str) -> Any:
            return getattr(self.frame, name)

    whole, marked = Deinterlacer(), [Marked(frame) for frame in frames]
    assert list(whole(marked)) == marked  # type: ignore[arg-type, comparison-overlap]
    assert not whole.used


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
@pytest.mark.parametrize("stop", [9, 17])
def test_a_stopped_run_of_a_partly_interlaced_one_goes_on(stop: int, tmp_path: Path) -> None:
    """Each frame is made of its neighbours, whether they are marked or not."""
    source, base = tmp_path / "tv.mkv", 0
    with av.open(str(source), "w") as out:
        copy: Any = None
        for number, (kind, count) in enumerate([(interlaced, 5), (combed, 3), (interlaced, 8), (combed, 8)]):
            flags = {"codec": "mpeg2video", "q": "1", "bf": "0"} if kind is combed else {}
            with av.open(str(kind(tmp_path / f"{number}.mkv", count, g="100", **flags))) as part:
                copy = copy or out.add_stream_from_template(part.streams.video[0])
                for packet in part.demux(video=0):
                    if packet.size:
                        packet.pts = packet.dts = 40 * base
                        packet.stream, base = copy, base + 1
                        out.mux(packet)
    wanted = job.Options(preset="ultrafast")
    *_, _ = job.run(normed(), Job(source, whole := tmp_path / "whole.mp4"), wanted)
    run = job.run(normed(), Job(source, target := tmp_path / "out.mp4"), wanted)
    while next(run).frames < stop:  # type: ignore[union-attr]
        pass
    run.close()  # type: ignore[attr-defined]
    first, *_ = job.run(normed(), Job(source, target), wanted)
    assert first.resumed > 0  # type: ignore[union-attr]
    assert packets(target, 0) == packets(whole, 0)


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
    real = Video.entered

    def entered(self: Video, pts: int, mark: int) -> Any:
        found.append((frames := real(self, pts, mark)) is not None)
        return frames

    monkeypatch.setattr(Video, "entered", entered)
    first, *_ = job.run(normed(), Job(source, target), wanted)
    assert first.resumed > 0  # type: ignore[union-attr]
    assert found == [True]  # without decoding all that was there
    assert times(target) == times(whole) == times(source)
    assert packets(target, 0) == packets(whole, 0)
