"""Covers, where a phone was, which track is played, and chapters of a part: what else is in a video's file."""

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.stream import Disposition
from videos import made

Make = Callable[..., Path]
Source = Callable[..., Path]
PLACE = "com.apple.quicktime.location.ISO6709"
COVER = av.VideoFrame.from_ndarray(np.full((16, 16, 3), (200, 10, 90), np.uint8), "rgb24")


@pytest.fixture
def source(make: Make, tmp_path: Path) -> Source:
    """Two tracks of sound, the second to be played, the first forced, and two chapters; a place, a cover, or both."""

    def write(name: str, *, place: bool, cover: bool) -> Path:
        options = {"movflags": "use_metadata_tags"} if place and name.endswith("mp4") else {}
        with (
            av.open(str(make("plain.mp4", audio=2))) as before,
            av.open(str(tmp_path / name), "w", container_options=options) as after,
        ):
            copies: Any = {stream.index: after.add_stream_from_template(stream) for stream in before.streams}
            copies[1].disposition, copies[2].disposition = Disposition.forced, Disposition.default
            chapter = {"time_base": Fraction(1, 1000)}
            titled = [{"id": n, "start": 600 * n, "end": 600 * n + 600, "metadata": {"title": f"{n}"}} for n in (0, 1)]
            after.set_chapters([chapter | each for each in titled])  # type: ignore[misc]
            if place:
                after.metadata[PLACE] = "+46.9480+007.4474/"
            if cover and name.endswith("mkv"):
                coder = av.CodecContext.create("png", "w")
                coder.width, coder.height, coder.pix_fmt, coder.time_base = 16, 16, "rgb24", Fraction(1)  # type: ignore[attr-defined]
                after.add_attachment("cover.png", "image/png", bytes(coder.encode(COVER)[0]))  # type: ignore[attr-defined]
            elif cover:
                picture: Any = after.add_stream("png", 1, width=16, height=16, pix_fmt="rgb24")
                picture.disposition = Disposition.attached_pic
                after.mux([*picture.encode(COVER), *picture.encode(None)])
            for packet in before.demux():
                if packet.size:
                    packet.stream = copies[packet.stream.index]
                    after.mux(packet)
        return tmp_path / name

    return write


def cover_of(container: Any) -> Any:
    """Its pixels, or None."""
    for stream in container.streams.video:
        if stream.disposition & Disposition.attached_pic:
            return next(f for packet in container.demux(stream) for f in packet.decode()).to_ndarray(format="rgb24")
    return None


@pytest.mark.parametrize("options", [{}, {"start": 0.4, "end": 1.0}], ids=["whole", "part"])
@pytest.mark.parametrize(
    ("name", "target", "place", "cover"),
    [
        ("in.mp4", "out.mp4", True, False),
        ("in.mp4", "out.mp4", False, True),
        ("in.mp4", "out.mkv", True, False),
        ("in.mp4", "out.mkv", False, True),
        ("in.mkv", "out.mkv", True, True),
        ("in.mkv", "out.mp4", True, True),
    ],
)
def test_all_of_it_is_kept_or_named(
    name: str, target: str, place: bool, cover: bool, options: dict[str, float], source: Source, tmp_path: Path
) -> None:
    done = made(source(name, place=place, cover=cover), path := tmp_path / target, preset="ultrafast", **options)
    assert done.status == "done", done.message
    either = place and target.endswith("mp4")  # an mp4 holds a place or a cover
    with av.open(str(path)) as after:
        metadata = {key.lower(): value for key, value in after.metadata.items()}
        assert metadata.get(PLACE.lower()) == ("+46.9480+007.4474/" if place else None)
        assert [bool(s.disposition & Disposition.default) for s in after.streams.audio] == [False, True]
        if "mkv" in target:
            assert [bool(s.disposition & Disposition.forced) for s in after.streams.audio] == [True, False]
        starts = [float(c["start"] * c["time_base"]) for c in after.chapters()]
        assert starts == pytest.approx([0.0, 0.2] if options else [0.0, 0.6], abs=1e-3)
        assert [c["metadata"]["title"] for c in after.chapters()] == ["0", "1"]
        found = cover_of(after)
        assert found is None if either or not cover else (found == (200, 10, 90)).all()
    if cover:
        said = (
            "cover (png), and it was left out; name the output .mkv"
            if either
            else "kept audio (aac), audio (aac), cover"
        )
        assert said in str(done.message)
