"""Sound that the container cannot hold comes with the video nevertheless, at its own time."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from videos import made


def filmed(path: Path, sound: str, rate: int, layout: str, *, hole: bool = False) -> Path:
    """A second and a half of grey, and of a tone that rises; with a hole nothing is heard from 0.5 to 1.0 s."""
    with av.open(str(path), "w") as out:
        codec = {".mpg": "mpeg2video", ".flv": "flv", ".3gp": "mpeg4"}.get(path.suffix, "mjpeg")
        codec = "mpeg2video" if path.suffix == ".m2ts" else codec
        stream: Any = out.add_stream(codec, 25, width=32, height=32)
        stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
        heard: Any = out.add_stream(sound, rate, layout=layout)
        for n in range(38):
            frame = av.VideoFrame.from_ndarray(np.full((48, 32), 3 * n + 60, np.uint8), "yuv420p")
            frame = frame.reformat(format=stream.pix_fmt)
            frame.pts = n
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
        wave = tone(rate)
        for at in range(0, len(wave), rate // 50):
            if hole and 0.5 <= at / rate < 1:
                continue
            part = np.repeat(wave[None, at : at + rate // 50], heard.codec_context.channels, 0)
            block = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), "s16p", layout)
            block.sample_rate, block.pts, block.time_base = rate, at, Fraction(1, rate)
            out.mux(heard.encode(block))
        out.mux(heard.encode(None))
    return path


def tone(rate: int) -> Any:
    seconds = np.arange(int(1.5 * rate)) / rate
    return (8000 * np.sin(2 * np.pi * (300 + 200 * seconds) * seconds)).astype(np.int16)


def heard(path: Path, rate: int) -> tuple[Any, list[tuple[float, int]]]:
    """The samples of the first channel in a row, and when each run of them begins, after the first picture."""
    with av.open(str(path)) as container:
        first = next(container.decode(video=0)).time or 0.0
    runs: list[tuple[float, int]] = []
    waves: list[Any] = []
    with av.open(str(path)) as container:
        even, count = av.AudioResampler("s16p", rate=rate), 0
        for frame in container.decode(audio=0):
            time = float(frame.time or 0) - first
            if not runs or time > runs[-1][0] + (count - runs[-1][1]) / rate + 0.06:
                runs.append((time, count))
            for block in even.resample(frame):
                waves.append(block.to_ndarray()[0])
                count += len(waves[-1])
    return np.concatenate(waves).astype(int), runs


CASES = [
    ("a.3gp", "amr_nb", 8000, "mono", ".mp4", "aac"),
    ("a.avi", "adpcm_ima_wav", 22050, "mono", ".mkv", "flac"),
    ("a.avi", "adpcm_ms", 11024, "stereo", ".mkv", "flac"),
    ("a.avi", "adpcm_ms", 11024, "stereo", ".mp4", "aac"),
    ("a.avi", "pcm_u8", 8000, "mono", ".mp4", "aac"),
    ("a.flv", "adpcm_swf", 22050, "mono", ".mkv", "flac"),
    ("a.m2ts", "pcm_bluray", 48000, "stereo", ".mkv", "flac"),
    ("a.mpg", "pcm_dvd", 48000, "stereo", ".mkv", "flac"),
]


@pytest.mark.parametrize(("name", "sound", "rate", "layout", "suffix", "codec"), CASES)
def test_sound_is_encoded_anew(
    name: str, sound: str, rate: int, layout: str, suffix: str, codec: str, tmp_path: Path
) -> None:
    source, target = filmed(tmp_path / name, sound, rate, layout), tmp_path / f"out{suffix}"
    done = made(source, target, preset="ultrafast")
    assert done.status == "done"
    assert "38 frames in, 38 frames out" in str(done.message)
    assert f"and it was encoded anew as {codec}" in str(done.message)
    with av.open(str(target)) as container:
        context: Any = container.streams.audio[0].codec_context
        assert (context.name, context.layout.name) == (codec, layout)
    (before, starts), (after, ends) = heard(source, rate), heard(target, rate)
    (begin,), (then,) = starts, ends
    assert abs(begin[0] - then[0]) < 0.0011
    if codec == "flac":
        assert np.array_equal(before, after)
    else:
        count = min(len(before), len(after))
        assert abs(len(before) - len(after)) < 2048
        assert np.sqrt(((before[:count] - after[:count]) ** 2).mean()) < 250  # of a tone of 5,660


@pytest.mark.parametrize(("name", "sound"), [("a.3gp", "amr_nb"), ("a.flv", "nellymoser")])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_hole_in_it_becomes_silence(name: str, sound: str, suffix: str, tmp_path: Path) -> None:
    source, target = filmed(tmp_path / name, sound, 8000, "mono", hole=True), tmp_path / f"out{suffix}"
    assert made(source, target, preset="ultrafast").status == "done"
    before, ((first, _), (second, at)) = heard(source, 8000)
    after, ((begin, _),) = heard(target, 8000)
    begins = round((second - begin) * 8000)
    assert begins - at == pytest.approx(4000, abs=600)
    silent = after[at + 300 : begins - 300]
    assert len(silent) > 3000
    assert np.abs(silent).max() < 30
    later = before[at + 400 : at + 2000]
    assert np.sqrt(((after[begins + 400 : begins + 2000] - later) ** 2).mean()) < 500
    assert begin == pytest.approx(first, abs=0.0011)


def test_a_part_of_it_is_that_of_the_span(tmp_path: Path) -> None:
    source = filmed(tmp_path / "a.avi", "adpcm_ima_wav", 22050, "mono")
    target = tmp_path / "out.mkv"
    assert made(source, target, preset="ultrafast", start=0.48, end=1.2).status == "done"
    (before, _), (after, (begin,)) = heard(source, 22050), heard(target, 22050)
    at = next(n for n in range(len(before) - 2000) if np.array_equal(before[n : n + 2000], after[:2000]))
    assert at / 22050 == pytest.approx(0.48 + begin[0], abs=0.0011)


def test_what_cannot_be_decoded_is_counted(tmp_path: Path) -> None:
    source = filmed(tmp_path / "a.avi", "adpcm_ima_wav", 22050, "mono")
    with av.open(str(source)) as container:
        packets = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    data = source.read_bytes()
    assert data.count(packets[5]) == 1
    at = data.index(packets[5])
    source.write_bytes(data[: at + 2] + b"\xff" + data[at + 3 :])  # a step index that there is not
    done = made(source, tmp_path / "out.mkv", preset="ultrafast")
    assert "1 packets of stream 1 could not be decoded" in str(done.message)
