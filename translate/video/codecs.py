"""The choices of `--codec`: which there are, and what each can hold."""

from dataclasses import dataclass

from translate.errors import InputError


@dataclass(frozen=True)
class Codec:
    """One choice of `--codec`: its encoder, defaults, and which pictures it can hold."""

    encoder: str
    crf: int | None = None  # None: has no such setting
    preset: str | None = None
    options: tuple[tuple[str, str], ...] = ()
    chroma: tuple[str, ...] = ("420",)  # the first one where the source's is not among them
    depths: tuple[int, ...] = (8, 10)
    even: bool = False  # takes no odd sides
    least: int = 1  # pixels on a side
    quality: str = "crf"  # what the encoder calls it
    mp4: bool = True  # players find it in MP4; all are at home in Matroska


CODECS = {
    "h264": Codec("libx264", 18, "medium", even=True),
    "hevc": Codec("libx265", 20, "medium", (("x265-params", "log-level=none"),), even=True, least=64),
    "av1": Codec("libsvtav1", 26, "8"),
    "prores": Codec("prores_ks", chroma=("422", "444"), depths=(10,), even=True, mp4=False),
    "ffv1": Codec(
        "ffv1", options=(("level", "3"),), chroma=("420", "422", "444"), depths=(8, 9, 10, 12, 14, 16), mp4=False
    ),
}
HARDWARE = {  # what an NVIDIA GPU takes over, in 8 bit, where it can; its presets are others
    "h264": Codec("h264_nvenc", 19, "p5", (("rc", "vbr"), ("b", "0")), depths=(8,), even=True, quality="cq"),
    "hevc": Codec("hevc_nvenc", 22, "p5", (("rc", "vbr"), ("b", "0")), depths=(8,), even=True, quality="cq"),
}


def named(name: str | None, crf: int | None, preset: str | None) -> str | None:
    """What `CODECS` calls a codec; None stays None. No video is needed to know that it cannot be so.

    Raises:
        InputError: no such codec, or no such setting of it.
    """
    if name is None:
        return None
    name = "hevc" if name == "h265" else name
    if name not in CODECS:
        raise InputError(f"unknown codec {name!r}; there are {', '.join(CODECS)}")
    for option, value in (("--crf", crf), ("--preset", preset)):
        if value is not None and CODECS[name].crf is None:
            raise InputError(f"{name} has no {option}; leave it out, or choose another --codec")
    return name
