"""EXIF and ICC: read from any file, and put into the two containers that no library writes whole (16-bit PNG, TIFF)."""

import struct
import zlib
from io import BytesIO

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ExifTags import IFD, Base
from PIL.PngImagePlugin import putchunk

Pixels = npt.NDArray[np.unsignedinteger]  # uint8 or uint16

_MARK = b"Exif\0\0"
# What a TIFF says about the scene; its other tags describe the layout of its own pixels and must not travel.
_DESCRIPTIVE = (
    *(Base.ImageDescription, Base.Make, Base.Model, Base.Orientation, Base.XResolution, Base.YResolution),
    *(Base.ResolutionUnit, Base.Software, Base.DateTime, Base.Artist, Base.Copyright, IFD.Exif, IFD.GPSInfo),
)
_STRIP_BYTES = 1 << 20


def read_exif(image: Image.Image) -> tuple[int, bytes | None]:
    """The orientation (1 to 8) of an image and its EXIF bytes (`Exif\\0\\0`, a TIFF block), set to 1, if sound."""
    orientation, exif = 1, None
    try:
        tags = image.getexif()  # looks into XMP for an orientation, too
        found = tags.get(Base.Orientation)
        orientation = found if isinstance(found, int) and 1 <= found <= 8 else 1
        raw = image.info.get("exif")
        if raw:
            exif = _upright(raw)
        elif len(kept := _descriptive(tags)):
            exif = kept.tobytes()
    except Exception:  # Pillow raises whatever the damage leads to, and a picture is worth more than its tags
        pass
    return orientation, exif


def _upright(exif: bytes) -> bytes:
    """EXIF bytes with Orientation 1 and without the thumbnail, which would show the picture from before.

    Patched in place, as maker notes hold absolute offsets that do not survive being written anew.
    """
    body = bytearray(exif.removeprefix(_MARK))
    order = {b"II*\0": "<", b"MM\0*": ">"}[bytes(body[:4])]
    (start,) = struct.unpack_from(order + "I", body, 4)
    (count,) = struct.unpack_from(order + "H", body, start)
    end = start + 2 + 12 * count
    for entry in range(start + 2, end, 12):
        if struct.unpack_from(order + "H", body, entry) == (Base.Orientation,):
            struct.pack_into(order + "HHIHH", body, entry, Base.Orientation, 3, 1, 1, 0)  # one SHORT, 1
    if end + 4 <= len(body):  # some writers leave out this link to the thumbnail's directory
        struct.pack_into(order + "I", body, end, 0)
    return _MARK + bytes(body)


def _descriptive(tags: Image.Exif) -> Image.Exif:
    kept = Image.Exif()
    kept.endian = "<"
    for tag in _DESCRIPTIVE:
        if tag in tags:
            kept[tag] = tags.get_ifd(tag) if tag in (IFD.Exif, IFD.GPSInfo) else tags[tag]
    if IFD.Interop in kept.get(IFD.Exif, {}):  # an offset into the source
        kept[IFD.Exif] = {**kept[IFD.Exif], IFD.Interop: tags.get_ifd(IFD.Interop)}
    if Base.Orientation in kept:
        kept[Base.Orientation] = 1
    return kept


def png_with(png: bytes, exif: bytes | None, icc: bytes | None) -> bytes:
    """An encoded PNG with profile and EXIF, byte for byte; libpng would check the profile and print what it thinks."""
    out = BytesIO()
    out.write(png[:33])  # signature and IHDR; iCCP has to come before the pixels
    if icc:
        putchunk(out, b"iCCP", b"ICC Profile\0\0", zlib.compress(icc))
    if exif:
        putchunk(out, b"eXIf", exif.removeprefix(_MARK))
    out.write(png[33:])
    return out.getvalue()


def png_without(png: bytes) -> bytes:
    """An encoded PNG with nothing but pixels and transparency, for a libpng that prints its opinion on the rest."""
    out, at = [png[:8]], 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        if png[at + 4 : at + 8] in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            out.append(png[at : at + 12 + length])
        at += 12 + length
    return b"".join(out)


def encode_tiff(samples: Pixels, exif: bytes | None, icc: bytes | None) -> bytes:
    """Samples (H, W, C), uint8 or uint16, C of 1 to 4 with the alpha last, as a deflated TIFF with EXIF and profile.

    Pillow cannot hold 16-bit RGB and OpenCV writes no metadata. But an EXIF block is a TIFF without pixels: this lets
    Pillow write one, with the tags for the pixels added, and appends the pixels. Maker notes may not survive the move.
    """
    height, width, channels = samples.shape
    delta = samples.copy()
    delta[:, 1:] -= samples[:, :-1]  # predictor 2: wraps round, as it should
    rows = max(1, _STRIP_BYTES // (delta[0].nbytes))
    little = delta.astype(delta.dtype.newbyteorder("<"), copy=False)
    strips = [zlib.compress(little[top : top + rows].tobytes(), 1) for top in range(0, height, rows)]
    sizes = [len(strip) for strip in strips]
    tags = Image.Exif()
    try:
        if exif:
            tags.load(exif)
        head = _descriptive(tags)
        head.tobytes()
    except Exception:  # EXIF that cannot be taken apart cannot be moved into a TIFF
        head = _descriptive(Image.Exif())
    head.update(
        {
            Base.ImageWidth: width,
            Base.ImageLength: height,
            Base.BitsPerSample: (samples.itemsize * 8,) * channels,
            Base.Compression: 8,  # Adobe deflate
            Base.PhotometricInterpretation: 2 if channels > 2 else 1,
            Base.StripOffsets: tuple(sum(sizes[:i]) for i in range(len(sizes))),  # Pillow adds its own length
            Base.SamplesPerPixel: channels,
            Base.RowsPerStrip: rows,
            Base.StripByteCounts: tuple(sizes),
            Base.PlanarConfiguration: 1,
            Base.Predictor: 2,
        }
    )
    if channels in (2, 4):
        head[Base.ExtraSamples] = 2  # unassociated alpha
    if icc:
        head[Base.InterColorProfile] = icc
    return head.tobytes().removeprefix(_MARK) + b"".join(strips)
