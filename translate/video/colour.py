"""YUV planes to RGB pixels and back, in the file's own matrix, range and depth.

Own arithmetic in float32 (ITU-T H.273, section 8.3): within half a step of the exact value, where the fast paths of
libswscale are up to three steps off in 8 bit.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from translate.metadata import Pixels

if TYPE_CHECKING:
    from av.video.codeccontext import VideoCodecContext
    from av.video.frame import VideoFrame

UNSPECIFIED = 2  # in H.273, for matrix, primaries and transfer alike
_FULL = 2  # FFmpeg's AVCOL_RANGE_JPEG
_WEIGHTS = {1: (0.2126, 0.0722), 4: (0.30, 0.11), 7: (0.212, 0.087), 9: (0.2627, 0.0593), 10: (0.2627, 0.0593)}
_BT601 = (0.299, 0.114)


@dataclass(frozen=True)
class Colour:
    """How the numbers of a video are meant; the codes are those of ITU-T H.273.

    Args:
        matrix: between RGB and YUV.
        full: the numbers use the whole range, else 16 to 235 (240 for chroma), in 8 bit.
        primaries: passed on.
        transfer: passed on.
    """

    matrix: int
    full: bool = False
    primaries: int = UNSPECIFIED
    transfer: int = UNSPECIFIED

    @staticmethod
    def of(context: "VideoCodecContext") -> "Colour":
        """What the file says; if it leaves the matrix open, as players do: BT.709 from 720 lines on, else BT.601."""
        matrix = context.colorspace
        if matrix not in (*_WEIGHTS, 5, 6):
            matrix = 1 if max(context.height, context.width * 9 // 16) >= 720 else 6
        full = context.color_range == _FULL or (context.pix_fmt or "").startswith("yuvj")
        return Colour(matrix, full, context.color_primaries, context.color_trc)

    def put(self, context: "VideoCodecContext") -> None:
        """Write it into an encoder or a stream that is to be muxed."""
        context.colorspace, context.color_range = self.matrix, _FULL if self.full else 1
        context.color_primaries, context.color_trc = self.primaries, self.transfer


def to_rgb(frame: "VideoFrame", colour: Colour, *, smooth: bool) -> Pixels:
    """(H, W, 3) RGB: uint8 in [0, 255], or uint16 in [0, 65535] where the frame has more than 8 bit; without alpha.

    With `smooth`, coarse chroma is interpolated; else repeated, which `to_frame` undoes exactly.
    """
    bits = max(component.bits for component in frame.format.components)
    deep = bits > 8
    if frame.format.is_rgb or len(frame.format.components) < 3:  # grey, grey with alpha, palettes
        rgb: Pixels = frame.reformat(format="rgb48le" if deep else "rgb24").to_ndarray()  # type: ignore[assignment]
        return rgb
    plain = _planar(frame, bits)
    if frame.format.name.replace("yuvj", "yuv") != plain:
        frame = frame.reformat(format=plain)  # repacked: no arithmetic on the numbers
    dtype = np.uint16 if deep else np.uint8
    planes = [np.frombuffer(p, dtype).reshape(p.height, -1)[:, : p.width] for p in frame.planes]  # type: ignore[call-overload]
    size = frame.width, frame.height
    how = cv2.INTER_LINEAR if smooth else cv2.INTER_NEAREST
    chroma = [p if p.shape == planes[0].shape else cv2.resize(p, size, interpolation=how) for p in planes[1:]]
    top = 65535 if deep else 255
    matrix, offset = _from_rgb(colour, bits)
    inverse = np.linalg.inv(matrix) * top
    values = cv2.transform(cv2.merge([planes[0], *chroma]).astype(np.float32), _affine(inverse, -inverse @ offset))
    pixels: Pixels = np.clip(np.rint(values, out=values), 0, top, out=values).astype(dtype)
    return pixels


def to_frame(pixels: Pixels, format: str, colour: Colour) -> "VideoFrame":
    """RGB (H, W, 3) as a frame of planar YUV; coarse chroma is the mean of the pixels that share it.

    Where the format is one that needs even sides (see `write.evened`), the pixels have them already.
    """
    import av

    height, width = pixels.shape[:2]
    frame = av.VideoFrame(width, height, format)
    bits = frame.format.components[0].bits
    matrix, offset = _from_rgb(colour, bits)
    yuv = cv2.transform(pixels.astype(np.float32), _affine(matrix / np.iinfo(pixels.dtype).max, offset))
    dtype = np.uint16 if bits > 8 else np.uint8
    for plane, values in zip(frame.planes, cv2.split(yuv), strict=True):
        if (plane.height, plane.width) != (height, width):
            across, down = -(-width // plane.width), -(-height // plane.height)
            edge = (0, plane.height * down - height, 0, plane.width * across - width)
            values = cv2.copyMakeBorder(values, *edge, cv2.BORDER_REPLICATE)
            values = cv2.resize(values, (plane.width, plane.height), interpolation=cv2.INTER_AREA)
        rows = np.frombuffer(plane, dtype).reshape(plane.height, -1)  # type: ignore[call-overload]
        rows[:, : plane.width] = np.clip(np.rint(values), 0, 2**bits - 1)
    return frame


def _planar(frame: "VideoFrame", bits: int) -> str:
    """The planar YUV format with a frame's chroma and depth."""
    return f"yuv{chroma_of(frame.format)}p{bits}le" if bits > 8 else f"yuv{chroma_of(frame.format)}p"


def chroma_of(format: Any) -> str:
    """444, 422, 420 …: how often there is chroma in a PyAV video format."""
    if format.is_rgb or len(format.components) < 3:
        return "444"
    across, down = 16 // format.chroma_width(16), 16 // format.chroma_height(16)
    return {(1, 1): "444", (2, 1): "422", (2, 2): "420", (1, 2): "440", (4, 1): "411", (4, 4): "410"}[across, down]


def _from_rgb(colour: Colour, bits: int) -> tuple[Any, Any]:
    """(3, 3) and (3,): RGB in [0, 1] to YUV in whole numbers of that depth."""
    red, blue = _WEIGHTS.get(colour.matrix, _BT601)
    luma = np.array([red, 1 - red - blue, blue])
    rows = [luma, (np.array([0, 0, 1]) - luma) / (2 - 2 * blue), (np.array([1, 0, 0]) - luma) / (2 - 2 * red)]
    step = 2.0 ** (bits - 8)
    scale = [2.0**bits - 1] * 3 if colour.full else [219 * step, 224 * step, 224 * step]
    return np.array(rows) * np.array(scale)[:, None], np.array(
        [0.0 if colour.full else 16 * step, 128 * step, 128 * step]
    )


def _affine(matrix: Any, offset: Any) -> Any:
    return np.hstack([matrix, offset[:, None]]).astype(np.float32)
