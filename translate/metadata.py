"""EXIF read from any file, and a PNG without all that."""

import struct

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ExifTags import IFD, Base

Pixels = npt.NDArray[np.unsignedinteger]  # uint8 or uint16

MARK = b"Exif\0\0"
# What a TIFF says about the scene; its other tags describe the layout of its own pixels and must not travel.
_DESCRIPTIVE = (
    *(Base.ImageDescription, Base.Make, Base.Model, Base.Orientation, Base.XResolution, Base.YResolution),
    *(Base.ResolutionUnit, Base.Software, Base.DateTime, Base.Artist, Base.Copyright, IFD.Exif, IFD.GPSInfo),
)


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
        elif len(kept := descriptive(tags)):
            exif = kept.tobytes()
    except Exception:  # Pillow raises whatever the damage leads to, and a picture is worth more than its tags
        pass
    return orientation, exif


def _upright(exif: bytes) -> bytes:
    """EXIF bytes with Orientation 1 and without the thumbnail, which would show the picture from before.

    Patched in place, as maker notes hold absolute offsets that do not survive being written anew.
    """
    body = bytearray(exif.removeprefix(MARK))
    order = {b"II*\0": "<", b"MM\0*": ">"}[bytes(body[:4])]
    (start,) = struct.unpack_from(order + "I", body, 4)
    (count,) = struct.unpack_from(order + "H", body, start)
    end = start + 2 + 12 * count
    for entry in range(start + 2, end, 12):
        if struct.unpack_from(order + "H", body, entry) == (Base.Orientation,):
            struct.pack_into(order + "HHIHH", body, entry, Base.Orientation, 3, 1, 1, 0)  # one SHORT, 1
    if end + 4 <= len(body):  # some writers leave out this link to the thumbnail's directory
        struct.pack_into(order + "I", body, end, 0)
    return MARK + bytes(body)


def descriptive(tags: Image.Exif) -> Image.Exif:
    """The tags that are about the scene and not about the pixels' layout, with Orientation 1."""
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


def png_without(png: bytes) -> bytes:
    """An encoded PNG with nothing but pixels and transparency, for a libpng that prints its opinion on the rest."""
    out, at = [png[:8]], 8
    while at < len(png):
        (length,) = struct.unpack_from(">I", png, at)
        if png[at + 4 : at + 8] in (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND"):
            out.append(png[at : at + 12 + length])
        at += 12 + length
    return b"".join(out)
