"""Sound that the new container cannot hold, encoded anew: as FLAC, which loses nothing, and as AAC in MP4."""

from collections.abc import Iterator
from fractions import Fraction
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from av.container import OutputContainer
    from av.packet import Packet
    from av.stream import Stream

_CODEC = {"mp4": "aac", "matroska": "flac"}  # the one that the players of each container know
_BIT_RATE = 96_000  # of a channel of AAC, and no more than 6 bits a sample: a frame of it holds no more
_HOLE = Fraction(1, 20)  # seconds; what is less is the rounding of the source's times


class Sound:
    """One stream that is decoded and encoded again, at the times of the source.

    Args:
        out: the file, whose header is not written yet.
        stream: of the source.
        format: FFmpeg's name of the file's container.

    Raises:
        ValueError: it cannot be decoded, or the encoder does not take what it decodes to.
    """

    def __init__(self, out: "OutputContainer", stream: "Stream", format: str) -> None:
        self.codec, self.lost = _CODEC[format], 0  # packets that could not be decoded
        self._source: Any = stream.codec_context
        self._next: Any = None  # the time of the next sample, counted in samples; None before the first
        settings = _settings(self.codec, self._source)
        self.stream: Any = out.add_stream(self.codec, **settings)

    def packets(self, packet: "Packet[Any] | None") -> "Iterator[Packet[Any]]":
        """What one packet of the source becomes; None gives what is still held."""
        import av

        try:
            frames = self._source.decode(packet)
        except av.error.FFmpegError:
            self.lost += packet is not None
            frames = []
        for frame in frames:
            for part in self._after_silence(frame):
                rate = frame.sample_rate
                part.sample_rate, part.pts, part.time_base = rate, self._next, Fraction(1, rate)
                self._next += part.samples
                try:
                    yield from self.stream.encode(part)
                except ValueError:  # it is of another rate or layout than the first
                    self.lost += 1
        if packet is None:
            yield from self.stream.encode(None)

    def _after_silence(self, frame: Any) -> Iterator[Any]:
        """A frame, and before it what fills the hole between it and the one before."""
        rate: int = frame.sample_rate
        time = self._next or 0 if frame.pts is None else round(frame.pts * frame.time_base * rate)
        if self._next is None:
            self._next = time
        hole = time - self._next
        while hole > _HOLE * rate:
            yield (part := _silence(frame, min(hole, rate)))
            hole -= part.samples
        yield frame


def _silence(like: Any, samples: int) -> Any:
    """So many samples of it in the format of another frame."""
    import av

    frame = av.AudioFrame(like.format.name, like.layout.name, samples)
    for plane in frame.planes:
        plane.update((b"\x80" if like.format.name.startswith("u8") else b"\0") * plane.buffer_size)
    return frame


def _settings(codec: str, source: Any) -> dict[str, Any]:
    """What the encoder opens with."""
    import av

    if source is None or not source.sample_rate or not source.format:
        raise ValueError("it cannot be decoded")
    channels: int = source.layout.nb_channels
    rates = av.Codec(codec, "w").audio_rates or [source.sample_rate]
    rate = min((rate for rate in rates if rate >= source.sample_rate), default=max(rates))
    layout = source.layout.name if source.layout.channels[0].name != "NONE" else f"{channels}c"
    settings: dict[str, Any] = {"sample_rate": rate, "layout": layout, "format": "s16"}
    if codec == "aac":
        settings |= {"format": "fltp", "bit_rate": min(_BIT_RATE, 6 * rate) * channels}
    elif source.format.name.startswith("s32"):
        settings["format"] = "s32"
    trial: Any = av.CodecContext.create(codec, "w")
    for name, value in settings.items():
        setattr(trial, name, value)
    try:
        trial.open()
    except av.error.FFmpegError as error:
        raise ValueError(f"{codec} does not take it") from error
    return {"rate": settings.pop("sample_rate")} | settings
