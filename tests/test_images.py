"""Image files: what comes in comes out, and what cannot be read or written says so in one line."""

import errno
import os
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image, ImageCms, JpegImagePlugin
from PIL.PngImagePlugin import putchunk
from PIL.TiffImagePlugin import AppendingTiffWriter, IFDRational

from translate import images, strips
from translate.errors import ImageError, InputError
from translate.images import Picture, read, write

RNG = np.random.default_rng(7)
SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
T = Image.Transpose
# What has to be done to an upright image so that the tag turns it back.
STORED = {2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE, 6: T.ROTATE_90, 7: T.TRANSVERSE}
STORED[8] = T.ROTATE_270


@pytest.fixture(autouse=True)
def silence(capfd: pytest.CaptureFixture[str]) -> Iterator[None]:
    """Neither Pillow nor OpenCV nor a C library below them may print anything in any of these tests."""
    yield
    assert capfd.readouterr() == ("", "")


def noise(*shape: int, dtype: Any = np.uint8) -> Any:
    return RNG.integers(0, np.iinfo(dtype).max + 1, shape, dtype=dtype)


def png(samples: Any, *chunks: tuple[bytes, bytes], size: tuple[int, int] | None = None) -> bytes:
    """A PNG by hand: (H, W, C) of 8 or 16 bit, with further chunks before the pixels."""
    height, width = size or samples.shape[:2]
    kind = {1: 0, 2: 4, 3: 2, 4: 6}[samples.shape[2]]
    out = BytesIO()
    out.write(b"\x89PNG\r\n\x1a\n")
    putchunk(out, b"IHDR", struct.pack(">IIBBBBB", width, height, samples.itemsize * 8, kind, 0, 0, 0))
    for name, data in chunks:
        putchunk(out, name, data)
    big = samples.astype(samples.dtype.newbyteorder(">"))
    putchunk(out, b"IDAT", zlib.compress(b"".join(b"\0" + row.tobytes() for row in big)))
    putchunk(out, b"IEND")
    return out.getvalue()


def tiff(samples: Any, order: str = ">", **tags: int) -> bytes:
    """An uncompressed TIFF by hand, big-endian or little-endian ("<"); further tags by number, as t274=6."""
    height, width, channels = samples.shape
    values = {256: width, 257: height, 259: 1, 262: 2 if channels > 2 else 1, 277: channels, 278: height, 284: 1}
    data = samples.astype(samples.dtype.newbyteorder(order)).tobytes()
    values |= {258: samples.itemsize * 8, 273: 0, 279: len(data)} | {int(tag[1:]): value for tag, value in tags.items()}
    body = 8 + 2 + 12 * len(values) + 4
    values[273] = body + 2 * channels
    out = (b"MM\0*" if order == ">" else b"II*\0") + struct.pack(order + "IH", 8, len(values))
    for tag, value in sorted(values.items()):
        if tag == 258 and channels > 2:  # does not fit into the entry
            out += struct.pack(order + "HHII", tag, 3, channels, body)
        elif tag == 258:
            out += struct.pack(order + "HHIHH", tag, 3, channels, value, value)
        else:
            out += struct.pack(order + "HHII", tag, 4, 1, value)
    return out + bytes(4) + struct.pack(f"{order}{channels}H", *[values[258]] * channels) + data


def save(path: Path, image: Any, **options: Any) -> Path:
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(path, **options)
    return path


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def exif(orientation: int = 6) -> Image.Exif:
    tags = Image.Exif()
    tags[0x010F], tags[0x0110], tags[0x0132], tags[0x0112] = "Maker", "Model X", "2024:05:06 07:08:09", orientation
    tags[0x8769] = {
        0x829A: IFDRational(1, 250),
        0xA434: "50 mm",
        0x927C: b"maker's note",
        0x9003: "2024:05:06 07:08:09",
    }
    tags[0x8825] = {1: "N", 2: (IFDRational(48), IFDRational(51), IFDRational(30))}
    return tags


def check_tags(path: Path) -> None:
    with Image.open(path) as image:
        image.load()
        tags = image.getexif()
        assert (tags[0x010F], tags[0x0110], tags[0x0132]) == ("Maker", "Model X", "2024:05:06 07:08:09")
        assert tags.get(0x0112, 1) == 1
        inner, place = tags.get_ifd(0x8769), tags.get_ifd(0x8825)
    assert (inner[0x829A], inner[0xA434], inner[0x927C]) == (1 / 250, "50 mm", b"maker's note")
    assert (place[1], place[2]) == ("N", (48, 51, 30))


def complaint(path: Path, **options: Any) -> str:
    with pytest.raises(ImageError) as caught:
        read(path, **options)
    message = str(caught.value)
    assert "\n" not in message
    assert not message.startswith(str(path))
    return message


# ---------------------------------------------------------------------------------------------------------- the table


def test_suffixes() -> None:
    for name in (
        "a.jpg",
        "a.JPEG",
        "a.jpe",
        "a.png",
        "a.webp",
        "a.tif",
        "a.TIFF",
        "a.bmp",
        "a.ppm",
        "a.pgm",
        "a.pnm",
        "a.gif",
    ):
        assert images.is_image(name)
        assert images.is_image(Path(name))
    for name in ("a.mp4", "a.txt", "png", ".0123.part", "a.pdf"):
        assert not images.is_image(name)


def test_suffix_for() -> None:
    assert images.suffix_for(Path("a.jpg"), None) == ".jpg"
    assert images.suffix_for(Path("a.JPEG"), None) == ".JPEG"
    assert images.suffix_for(Path("a.gif"), None) == images.suffix_for(Path("a.pgm"), None) == ".png"
    assert images.suffix_for(Path("a.mp4"), None) == ".mp4"
    assert images.suffix_for(Path("a.jpg"), "png") == images.suffix_for(Path("a.jpg"), ".PNG") == ".png"
    for wrong in ("gif", "exr"):
        with pytest.raises(InputError, match=f"'{wrong}'.*jpg, png, webp, tif, bmp"):
            images.suffix_for(Path("a.jpg"), wrong)


def test_import_leaves_torch_alone() -> None:
    code = "import sys, translate.images; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[1]).returncode == 0


# --------------------------------------------------------------------------------------------------------- round trips


@pytest.mark.parametrize("suffix", [".png", ".tif", ".TIFF", ".bmp", ".ppm", ".webp"])
@pytest.mark.parametrize("grey", [False, True])
def test_round_trip_8_bit(tmp_path: Path, suffix: str, grey: bool) -> None:
    pixels = noise(13, 17, 3)
    if grey:
        pixels[...] = pixels[..., :1]
    path = tmp_path / f"a{suffix}"
    write(path, Picture(pixels, grey=grey), quality=100)
    back = read(path)
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.pixels.dtype == np.uint8
    assert back.alpha is None
    assert back.exif is None
    assert back.icc is None
    assert back.grey == (grey and suffix != ".webp")  # WebP has no grey
    assert back.pixels.flags.c_contiguous
    assert back.pixels.flags.writeable
    with Image.open(path) as image:
        assert image.mode == ("L" if back.grey else "RGB")


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("grey", [False, True])
@pytest.mark.parametrize("clear", [False, True])
def test_round_trip_16_bit(
    tmp_path: Path, suffix: str, grey: bool, clear: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(strips, "_BYTES", 1000)  # several strips, the last one shorter
    pixels, alpha = noise(50, 31, 3, dtype=np.uint16), noise(50, 31, dtype=np.uint16)
    if grey:
        pixels[...] = pixels[..., :1]
    path = tmp_path / f"a{suffix}"
    write(path, Picture(pixels, alpha if clear else None, icc=None if grey else SRGB, grey=grey))
    back = read(path)
    assert back.pixels.dtype == np.uint16
    assert back.icc == (None if grey else SRGB)
    np.testing.assert_array_equal(back.pixels, pixels)
    assert back.grey == (grey and not clear)
    if clear:
        assert back.alpha is not None
        assert back.alpha.dtype == np.uint16
        assert back.alpha.flags.writeable
        np.testing.assert_array_equal(back.alpha, alpha)
    else:
        assert back.alpha is None
    other = cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)  # others agree
    np.testing.assert_array_equal(other[..., 2::-1] if other.ndim == 3 else np.dstack([other] * 3), pixels)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp"])
@pytest.mark.parametrize("grey", [False, True])
def test_round_trip_alpha(tmp_path: Path, suffix: str, grey: bool) -> None:
    pixels, alpha = noise(13, 17, 3), noise(13, 17)
    if grey:
        pixels[...] = pixels[..., :1]
    write(tmp_path / f"a{suffix}", Picture(pixels, alpha, grey=grey), quality=100)
    back = read(tmp_path / f"a{suffix}")
    assert back.alpha is not None
    assert back.grey == (grey and suffix != ".webp")
    np.testing.assert_array_equal(back.alpha, alpha)
    np.testing.assert_array_equal(back.pixels, pixels)  # under alpha 0, too


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("source", ["jpg", "tif", "png", "webp"])
def test_exif_and_icc_are_kept(tmp_path: Path, suffix: str, dtype: Any, source: str) -> None:
    start = save(tmp_path / f"in.{source}", noise(8, 12, 3), exif=exif().tobytes(), icc_profile=SRGB)
    picture = read(start)
    assert picture.pixels.shape == (12, 8, 3)
    assert picture.icc == SRGB
    assert picture.exif is not None
    pixels = noise(12, 8, 3, dtype=dtype)
    path = tmp_path / f"out{suffix}"
    write(path, Picture(pixels, exif=picture.exif, icc=picture.icc))
    check_tags(path)
    with Image.open(path) as image:
        assert image.info["icc_profile"] == SRGB
    again = read(path)
    assert again.icc == SRGB
    assert again.pixels.shape == (12, 8, 3)
    if suffix != ".tif":
        assert again.exif == picture.exif


def test_thumbnail_goes_and_maker_notes_stay_where_they_are(tmp_path: Path) -> None:
    entry = struct.pack("<HHII", 0x0110, 2, 6, 100) + struct.pack("<HHIHH", 0x0112, 3, 1, 3, 0)
    block = b"II*\0" + struct.pack("<IH", 8, 2) + entry + struct.pack("<I", 60)
    block = block.ljust(60, b"\0") + struct.pack("<H", 1) + struct.pack("<HHII", 0x0201, 4, 1, 80) + bytes(4)
    block = block.ljust(100, b"\0") + b"model\0 and bytes that only the maker understands"
    found = read(save(tmp_path / "a.jpg", noise(8, 8, 3), exif=b"Exif\0\0" + block)).exif
    assert found is not None
    assert len(found) == 6 + len(block)
    assert found.endswith(block[100:])
    tags = Image.Exif()
    tags.load(found)
    assert tags[0x0112] == 1
    assert tags[0x0110] == "model"
    assert not tags.get_ifd(1)


def test_exif_that_ends_early_is_kept(tmp_path: Path) -> None:
    block = b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)  # no link to a thumbnail
    picture = read(save(tmp_path / "a.jpg", noise(8, 12, 3), exif=b"Exif\0\0" + block))
    assert picture.pixels.shape == (12, 8, 3)
    assert picture.exif == b"Exif\0\0" + block[:-4] + struct.pack("<HH", 1, 0)


def test_exif_that_cannot_be_taken_apart_does_not_stop_a_tiff(tmp_path: Path) -> None:
    pixels = noise(8, 12, 3)
    write(tmp_path / "a.tif", Picture(pixels, exif=b"Exif\0\0no such thing"))
    np.testing.assert_array_equal(read(tmp_path / "a.tif").pixels, pixels)


def test_exif_too_long_for_jpeg_is_left_out(tmp_path: Path) -> None:
    tags = exif(1)
    tags[0x010E] = "x" * 70_000
    picture = read(save(tmp_path / "a.png", noise(8, 8, 3), exif=tags))
    write(tmp_path / "a.jpg", picture)
    assert read(tmp_path / "a.jpg").exif is None
    write(tmp_path / "b.tif", picture)
    check_tags(tmp_path / "b.tif")


def test_profile_of_another_colour_model_is_left_out(tmp_path: Path) -> None:
    profile = SRGB[:16] + b"GRAY" + SRGB[20:]
    pixels = noise(8, 8, 3)
    write(tmp_path / "a.png", Picture(pixels, icc=profile, grey=True))  # has become coloured
    assert read(tmp_path / "a.png").icc is None
    pixels[...] = pixels[..., :1]
    write(tmp_path / "a.png", Picture(pixels, icc=profile, grey=True))
    assert read(tmp_path / "a.png").icc == profile
    write(tmp_path / "a.webp", Picture(pixels, icc=profile, grey=True))  # has no grey
    assert read(tmp_path / "a.webp").icc is None
    deep = pixels * np.uint16(257)
    write(tmp_path / "a.tif", Picture(deep, deep[..., 0], icc=profile, grey=True))  # is written as RGBA
    assert read(tmp_path / "a.tif").icc is None


def test_16_bit_png_with_a_profile_that_libpng_objects_to(tmp_path: Path) -> None:
    pixels = noise(8, 8, 3, dtype=np.uint16)
    pixels[...] = pixels[..., :1]
    write(tmp_path / "a.png", Picture(pixels, icc=SRGB, grey=True))
    back = read(tmp_path / "a.png")  # the fixture sees to it that nothing is printed
    assert back.icc == SRGB
    assert back.grey
    np.testing.assert_array_equal(back.pixels, pixels)


@pytest.mark.parametrize("name", ["two words.png", "Übermäßig 日本 ñ.png", "line\nbreak.png", "x" * 250 + ".png"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_names(tmp_path: Path, name: str, dtype: Any) -> None:
    pixels = noise(8, 8, 3, dtype=dtype)
    write(tmp_path / name, Picture(pixels))
    np.testing.assert_array_equal(read(tmp_path / name).pixels, pixels)
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


# ------------------------------------------------------------------------------------------------------------- reading


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".jpg"])
def test_orientation(tmp_path: Path, suffix: str, orientation: int) -> None:
    upright = np.kron(noise(2, 3, 3), np.ones((16, 16, 1), np.uint8))
    stored = Image.fromarray(upright)
    if orientation in STORED:
        stored = stored.transpose(STORED[orientation])
    options: dict[str, Any] = {".webp": {"lossless": True}, ".jpg": {"quality": 100, "subsampling": 0}}.get(suffix, {})
    picture = read(save(tmp_path / f"a{suffix}", stored, exif=exif(orientation).tobytes(), **options))
    np.testing.assert_allclose(picture.pixels.astype(int), upright, atol=6 if suffix == ".jpg" else 0)
    assert picture.pixels.flags.c_contiguous
    assert picture.exif is not None
    tags = Image.Exif()
    tags.load(picture.exif)
    assert tags[0x0112] == 1


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("channels", [3, 4])
def test_orientation_16_bit(tmp_path: Path, orientation: int, channels: int) -> None:
    upright = noise(5, 7, channels, dtype=np.uint16)
    # Turn an image of indices, as Pillow cannot turn these samples.
    index = Image.fromarray(np.arange(35, dtype=np.uint8).reshape(5, 7))
    order = np.asarray(index.transpose(STORED[orientation]) if orientation in STORED else index)
    stored = upright.reshape(35, channels)[order]
    block = exif(orientation).tobytes()[6:]
    more = {"t338": 2} if channels == 4 else {}
    for data in (png(stored, (b"eXIf", block)), tiff(stored, t274=orientation, **more)):
        picture = read(put(tmp_path / "a.png", data))
        np.testing.assert_array_equal(picture.pixels, upright[..., :3])
        assert (picture.alpha is None) == (channels == 3)
        if picture.alpha is not None:
            np.testing.assert_array_equal(picture.alpha, upright[..., 3])


def test_orientation_out_of_range_is_none(tmp_path: Path) -> None:
    pixels = noise(5, 7, 3)
    for value in (0, 9):
        np.testing.assert_array_equal(read(save(tmp_path / "a.png", pixels, exif=exif(value))).pixels, pixels)


def test_exif_behind_the_pixels_of_a_png(tmp_path: Path) -> None:
    data = png(noise(5, 7, 3))
    out = BytesIO()
    out.write(data[:-12])
    putchunk(out, b"eXIf", exif(8).tobytes()[6:])
    assert read(put(tmp_path / "a.png", out.getvalue() + data[-12:])).pixels.shape == (7, 5, 3)


def test_grey(tmp_path: Path) -> None:
    grey, alpha = noise(13, 17), noise(13, 17)
    for suffix in (".png", ".tif", ".bmp", ".pgm"):
        picture = read(save(tmp_path / f"a{suffix}", grey))
        np.testing.assert_array_equal(picture.pixels, np.dstack([grey] * 3))
        assert picture.grey
        assert picture.alpha is None
    assert read(save(tmp_path / "a.jpg", grey)).grey
    assert not read(save(tmp_path / "a.jpg", noise(8, 8, 3))).grey
    for suffix in (".png", ".tif"):
        picture = read(save(tmp_path / f"b{suffix}", np.dstack([grey, alpha])))
        assert picture.grey
        assert picture.alpha is not None
        np.testing.assert_array_equal(picture.pixels[..., 1], grey)
        np.testing.assert_array_equal(picture.alpha, alpha)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".bmp"])
def test_one_bit(tmp_path: Path, suffix: str) -> None:
    bits = noise(13, 17) > 127
    picture = read(save(tmp_path / f"a{suffix}", Image.fromarray(bits)))
    np.testing.assert_array_equal(picture.pixels[..., 2], bits * np.uint8(255))
    assert picture.grey
    assert picture.pixels.dtype == np.uint8


@pytest.mark.parametrize("suffix", [".png", ".gif", ".bmp", ".tif"])
def test_palette(tmp_path: Path, suffix: str) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 1, 2, 3])
    image.putdata([0, 1, 2])
    picture = read(save(tmp_path / f"a{suffix}", image))
    assert picture.pixels.tolist() == [[[255, 0, 0], [0, 255, 0], [1, 2, 3]]]
    assert picture.alpha is None
    assert not picture.grey


def test_transparency_without_an_alpha_channel(tmp_path: Path) -> None:
    image = Image.new("P", (3, 1))
    image.putpalette([255, 0, 0, 0, 255, 0, 1, 2, 3])
    image.putdata([0, 1, 2])
    for name, transparency, expected in [
        ("a.png", bytes([255, 0, 77]), [[255, 0, 77]]),
        ("b.png", 2, [[255, 255, 0]]),
        ("a.gif", 1, [[255, 0, 255]]),
    ]:
        picture = read(save(tmp_path / name, image, transparency=transparency))
        assert picture.alpha is not None
        assert picture.alpha.tolist() == expected
        assert picture.pixels[0, 0].tolist() == [255, 0, 0]
    for mode, key in (("L", 5), ("1", 0), ("RGB", (5, 5, 5))):
        picture = read(save(tmp_path / "c.png", Image.new(mode, (2, 2), key), transparency=key))
        assert picture.alpha is not None
        assert not picture.alpha.any()
    for channels in (1, 3):
        samples = noise(4, 4, channels, dtype=np.uint16)
        key = struct.pack(f">{channels}H", *samples[0, 0])
        picture = read(put(tmp_path / "d.png", png(samples, (b"tRNS", key))))
        assert picture.alpha is not None
        assert picture.alpha[0, 0] == 0
        assert picture.alpha[1, 1] == 65535
        np.testing.assert_array_equal(picture.pixels, samples if channels == 3 else np.repeat(samples, 3, axis=2))


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_16_bit_png_by_others(tmp_path: Path, channels: int) -> None:
    samples = noise(6, 9, channels, dtype=np.uint16)
    picture = read(put(tmp_path / "a.png", png(samples, (b"gAMA", struct.pack(">I", 100_000)))))
    np.testing.assert_array_equal(
        picture.pixels, samples[..., :3] if channels > 2 else np.repeat(samples[..., :1], 3, 2)
    )
    assert picture.grey == (channels < 3)
    assert (picture.alpha is None) == (channels in (1, 3))
    if picture.alpha is not None:
        np.testing.assert_array_equal(picture.alpha, samples[..., -1])


def test_16_bit_tiff_by_others(tmp_path: Path) -> None:
    samples = noise(6, 9, 4, dtype=np.uint16)
    path = tmp_path / "a.tif"
    np.testing.assert_array_equal(read(put(path, tiff(samples[..., :3]))).pixels, samples[..., :3])
    done, data = cv2.imencode(".tif", samples[..., [2, 1, 0]])
    np.testing.assert_array_equal(read(put(path, data.tobytes())).pixels, samples[..., :3])
    assert done
    grey = read(put(path, tiff(samples[..., :1])))
    np.testing.assert_array_equal(grey.pixels[..., 2], samples[..., 0])
    assert grey.grey
    white_is_zero = read(put(path, tiff(samples[..., :1], "<", t262=0)))
    np.testing.assert_array_equal(white_is_zero.pixels[..., 1], 65535 - samples[..., 0])
    not_alpha = read(put(path, tiff(samples, t338=0)))
    np.testing.assert_array_equal(not_alpha.pixels, samples[..., :3])
    assert not_alpha.alpha is None

    straight = np.array([[[60000, 30000, 1000, 32768], [7, 8, 9, 0]]], np.uint16)
    multiplied = straight.copy()
    multiplied[..., :3] = np.round(straight[..., :3] / 65535 * straight[..., 3:])
    found = read(put(path, tiff(multiplied, t338=1)))
    assert found.alpha is not None
    assert found.alpha.tolist() == [[32768, 0]]
    np.testing.assert_allclose(found.pixels[0, 0].astype(int), [60000, 30000, 1000], atol=1)


def test_16_bit_pgm(tmp_path: Path) -> None:
    samples = noise(6, 9, dtype=np.uint16)
    picture = read(put(tmp_path / "a.pgm", b"P5 9 6 65535\n" + samples.astype(">u2").tobytes()))
    np.testing.assert_array_equal(picture.pixels[..., 1], samples)
    assert picture.pixels.dtype == np.uint16
    assert picture.grey


@pytest.mark.parametrize(
    ("data", "match"),
    [
        (tiff(np.zeros((4, 4, 1), np.uint32), "<"), "save it as"),
        (tiff(np.zeros((4, 4, 1), np.uint32), t339=3), "save it as"),
        (tiff(np.zeros((4, 4, 1), np.uint16), t339=2), "save it as"),
        (tiff(np.zeros((4, 4, 3), np.uint16), t284=2), "planes"),
    ],
)
def test_kinds_of_pixels_that_are_not_read(tmp_path: Path, data: bytes, match: str) -> None:
    assert match in complaint(put(tmp_path / "a.tif", data))


def cmyk_profile() -> bytes:
    """An ICC profile by hand: paper is white, full K black, and whatever else is inked comes out blue."""
    identity, white, black, blue = bytes(range(256)), (255, 128, 128), (0, 128, 128), (82, 207, 20)  # Lab in 8 bit
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + struct.pack(">9i", *(65536 if i % 4 == 0 else 0 for i in range(9)))
    grid = [white, black] + [blue, black] * 7  # K is the fastest
    lut += identity * 4 + b"".join(map(bytes, grid)) + identity * 3
    head = struct.pack(">4x4sI4s4s4s12x4s", b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ", b"acsp")
    head = head.ljust(68, b"\0") + struct.pack(">3i", 63190, 65536, 54061)
    profile = head.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(lut)) + lut
    return struct.pack(">I", len(profile)) + profile[4:]


def test_cmyk(tmp_path: Path) -> None:
    for suffix, options in ((".jpg", {"quality": 100}), (".tif", {})):
        image = Image.new("CMYK", (32, 16), (0, 0, 0, 0))  # paper
        image.paste((0, 255, 255, 0), (16, 0, 32, 16))
        plain = read(save(tmp_path / f"a{suffix}", image, **options))
        np.testing.assert_allclose(plain.pixels[8, [4, 28]].astype(int), [[255, 255, 255], [255, 0, 0]], atol=3)
        assert plain.icc is None
        assert not plain.grey

        by_profile = read(save(tmp_path / f"b{suffix}", image, icc_profile=cmyk_profile(), **options))
        np.testing.assert_allclose(by_profile.pixels[8, [4, 28]].astype(int), [[255, 255, 255], [60, 30, 230]], atol=60)
        assert by_profile.icc is None

        broken = read(save(tmp_path / f"c{suffix}", image, icc_profile=b"no profile at all" * 20, **options))
        np.testing.assert_array_equal(broken.pixels, plain.pixels)


def test_mpo_is_a_photograph(tmp_path: Path) -> None:
    first = Image.fromarray(np.full((16, 16, 3), 90, np.uint8))
    path = tmp_path / "phone.jpg"
    first.save(path, "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert read(path).pixels.shape == (16, 16, 3)


def test_small_copies_in_a_tiff_are_no_pages(tmp_path: Path) -> None:
    pixels = noise(16, 16, 3)
    for kind in (1, 0):
        with AppendingTiffWriter(str(tmp_path / "a.tif"), True) as out:
            Image.fromarray(pixels).save(out, "TIFF")
            out.newFrame()
            Image.new("RGB", (8, 8)).save(out, "TIFF", tiffinfo={254: kind})
        if kind == 1:
            np.testing.assert_array_equal(read(tmp_path / "a.tif").pixels, pixels)
    assert "2 frames or pages" in complaint(tmp_path / "a.tif")


# ------------------------------------------------------------------------------------------------------ reading badly


@pytest.mark.parametrize("suffix", [".png", ".webp", ".gif", ".tif"])
def test_several_frames(tmp_path: Path, suffix: str) -> None:
    frames = [Image.fromarray(noise(8, 8, 3)) for _ in range(3)]
    frames[0].save(tmp_path / f"a{suffix}", save_all=True, append_images=frames[1:])
    message = complaint(tmp_path / f"a{suffix}")
    assert "3 frames" in message
    assert "video" in message


def test_the_header_is_looked_at_first(tmp_path: Path) -> None:
    tiny = noise(1, 1, 3)
    message = complaint(put(tmp_path / "bomb.png", png(tiny, size=(20_000, 20_000))))
    assert "20000 × 20000" in message
    assert "200,000,000" in message
    assert "--max-pixels 400000000" in message
    image = save(tmp_path / "a.png", noise(10, 10, 3))
    assert "--max-pixels 100" in complaint(image, max_pixels=99)
    assert read(image, max_pixels=100).pixels.shape == (10, 10, 3)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".gif", ".jpg", ".bmp", ".ppm"])
def test_pillow_bound_is_not_ours(tmp_path: Path, suffix: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = save(tmp_path / f"a{suffix}", noise(10, 10, 3))
    for bound in (99, 40):  # a warning, an error
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", bound)
        assert read(path).pixels.shape == (10, 10, 3)
        assert bound == Image.MAX_IMAGE_PIXELS


def test_threads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 40)
    pixels = noise(40, 40, 3)
    path = save(tmp_path / "a.tif", pixels)
    with ThreadPoolExecutor(8) as pool:
        for picture in pool.map(read, [path] * 100):
            np.testing.assert_array_equal(picture.pixels, pixels)
    assert Image.MAX_IMAGE_PIXELS == 40


def test_what_is_no_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no such file" in complaint(tmp_path / "missing.png")
    assert "folder" in complaint(tmp_path)
    assert "empty" in complaint(put(tmp_path / "empty.png", b""))
    assert "known format" in complaint(put(tmp_path / "text.png", b"just words\n" * 50))
    assert "known format" in complaint(put(tmp_path / "web.jpg", b"<html><body>404</body></html>"))

    def refuse(*_: Any) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", "a.png")

    path = save(tmp_path / "a.png", noise(4, 4, 3))
    monkeypatch.setattr(Path, "open", refuse)  # chmod does not stop root
    assert "no permission" in complaint(path)


def damaged_kinds() -> dict[str, bytes]:
    pixels, deep = noise(64, 64, 3), noise(64, 64, 3, dtype=np.uint16)
    kinds = {"deep.png": png(deep), "deep.tif": tiff(deep), "deep-lzw.tif": cv2.imencode(".tif", deep)[1].tobytes()}
    for name, options in {
        "a.jpg": {},
        "progressive.jpg": {"progressive": True},
        "a.png": {},
        "a.webp": {},
        "lossless.webp": {"lossless": True},
        "a.tif": {},
        "deflated.tif": {"compression": "tiff_adobe_deflate"},
        "jpeg.tif": {"compression": "jpeg"},
        "a.bmp": {},
        "a.ppm": {},
        "a.gif": {},
    }.items():
        out = BytesIO()
        kind = {"jpg": "JPEG", "tif": "TIFF"}.get(name[-3:], name.rpartition(".")[2])
        Image.fromarray(pixels).save(out, kind, **options)
        kinds[name] = out.getvalue()
    return kinds


@pytest.mark.parametrize(("name", "data"), damaged_kinds().items(), ids=damaged_kinds())
def test_cut_short(tmp_path: Path, name: str, data: bytes) -> None:
    assert read(put(tmp_path / name, data)).pixels.shape == (64, 64, 3)
    for part in (4, 20, len(data) // 3, len(data) * 2 // 3, len(data) * 95 // 100):
        complaint(put(tmp_path / name, data[:part]))


@pytest.mark.parametrize(("name", "data"), damaged_kinds().items(), ids=damaged_kinds())
def test_flipped_bytes_lead_to_a_picture_or_one_line(
    tmp_path: Path, name: str, data: bytes, capfd: pytest.CaptureFixture[str]
) -> None:
    for seed in range(8):
        rng = np.random.default_rng(seed)
        broken = np.frombuffer(data, np.uint8).copy()
        where = rng.integers(0, min(len(data), 400 if seed % 2 else len(data)), 6)
        broken[where] = rng.integers(0, 256, 6)
        with suppress(ImageError):
            read(put(tmp_path / name, broken.tobytes()), max_pixels=1_000_000)
    if name in ("deflated.tif", "jpeg.tif"):  # the one library that cannot be kept quiet: libtiff inside Pillow
        capfd.readouterr()


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp"])
@pytest.mark.parametrize(
    "block",
    [
        b"garbage",
        b"II*\0",
        b"II*\0\xff\xff\xff\x7f",
        b"MM\0*" + struct.pack(">IH", 8, 900),
        b"II*\0" + struct.pack("<IH", 8, 1) + struct.pack("<HHII", 0x010F, 2, 9999, 9999) + bytes(4),
    ],
)
def test_broken_exif(tmp_path: Path, suffix: str, block: bytes) -> None:
    picture = read(save(tmp_path / f"a{suffix}", noise(8, 12, 3), exif=b"Exif\0\0" + block))
    assert picture.pixels.shape == (8, 12, 3)
    for out in (".jpg", ".png", ".webp", ".tif"):
        write(tmp_path / f"out{out}", picture)
        assert read(tmp_path / f"out{out}").pixels.shape == (8, 12, 3)


# ------------------------------------------------------------------------------------------------------------- writing


def test_16_bit_is_rounded_where_it_has_to_be(tmp_path: Path) -> None:
    ramp = np.arange(65536, dtype=np.uint16).reshape(256, 256)
    picture = Picture(np.dstack([ramp, ramp[::-1], ramp.T]), ramp)
    write(tmp_path / "a.webp", picture, quality=100)
    back = read(tmp_path / "a.webp")
    np.testing.assert_array_equal(back.pixels, np.round(picture.pixels / 257))
    assert back.alpha is not None
    np.testing.assert_array_equal(back.alpha, np.round(ramp / 257))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_alpha_over_white(tmp_path: Path, dtype: Any) -> None:
    top = int(np.iinfo(dtype).max)
    pixels, alpha = noise(32, 32, 3, dtype=dtype), noise(32, 32, dtype=dtype)
    pixels[0, 0], alpha[0, :2], alpha[1, :2], pixels[0, 1], pixels[1, 1] = 0, 0, top, top, top
    write(tmp_path / "a.bmp", Picture(pixels, alpha))
    cover = alpha[..., None] / top
    expected = (pixels / top * cover + 1 - cover) * 255
    found = read(tmp_path / "a.bmp")
    assert found.alpha is None
    assert found.pixels[0, 0].tolist() == [255] * 3
    np.testing.assert_array_equal(found.pixels[1, 0], np.round(pixels[1, 0] / (top / 255)))
    np.testing.assert_allclose(found.pixels, expected, atol=0.51)
    write(tmp_path / "a.jpg", Picture(pixels, np.zeros_like(alpha)))
    assert read(tmp_path / "a.jpg").pixels.min() == 255


def test_grey_is_one_channel_only_while_it_is_grey(tmp_path: Path) -> None:
    grey = np.repeat(noise(16, 16, 1), 3, axis=2)
    for suffix in (".jpg", ".png", ".tif", ".bmp"):
        write(tmp_path / f"a{suffix}", Picture(grey, grey=True))
        assert read(tmp_path / f"a{suffix}").grey
        write(tmp_path / f"a{suffix}", Picture(grey, grey=False))
        assert not read(tmp_path / f"a{suffix}").grey
        write(tmp_path / f"a{suffix}", Picture(noise(16, 16, 3), grey=True))
        assert not read(tmp_path / f"a{suffix}").grey


def test_quality(tmp_path: Path) -> None:
    pixels = cv2.GaussianBlur(noise(64, 64, 3), (0, 0), 1)

    def size(name: str, **options: Any) -> int:
        write(tmp_path / name, Picture(pixels), **options)
        return (tmp_path / name).stat().st_size

    assert size("a.jpg", quality=20) < size("a.jpg", quality=80) < size("a.jpg") == size("a.jpg", quality=95)
    with Image.open(tmp_path / "a.jpg") as image:
        assert JpegImagePlugin.get_sampling(image) == 0  # 4:4:4
    assert size("a.webp", quality=20) < size("a.webp") == size("a.webp", quality=90) < size("a.webp", quality=100)
    np.testing.assert_array_equal(read(tmp_path / "a.webp").pixels, pixels)
    assert size("a.png", quality=5) == size("a.png")
    assert (images.JPEG_QUALITY, images.WEBP_QUALITY) == (95, 90)


def test_too_long_for_the_format(tmp_path: Path) -> None:
    for name, limit in (("a.jpg", 65_500), ("a.webp", 16_383)):
        for shape in ((1, limit + 1, 3), (limit + 1, 1, 3)):
            with pytest.raises(ImageError, match=f"{limit:,}.*png"):
                write(tmp_path / name, Picture(np.zeros(shape, np.uint8)))
        write(tmp_path / name, Picture(np.zeros((1, limit, 3), np.uint8)))
        assert read(tmp_path / name).pixels.shape == (1, limit, 3)
    write(tmp_path / "a.png", Picture(np.zeros((1, 65_536, 3), np.uint8)))


def test_suffix_that_is_not_written(tmp_path: Path) -> None:
    for name in ("a.gif", "a", "a.txt"):
        with pytest.raises(ImageError, match="png"):
            write(tmp_path / name, Picture(noise(4, 4, 3)))
    assert not list(tmp_path.iterdir())


def test_what_cannot_be_encoded(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be encoded as BMP"):
        write(tmp_path / "a.bmp", Picture(np.zeros((0, 4, 3), np.uint8)))


@pytest.mark.parametrize("name", ["fsync", "replace"])
@pytest.mark.parametrize("suffix", [".png", ".jpg", ".tif", ".webp"])
def test_disk_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, suffix: str) -> None:
    def full(*_: Any) -> None:
        assert len(list(tmp_path.iterdir())) == 2  # the old file and the temporary one
        raise OSError(errno.ENOSPC, "No space left on device")

    path = put(tmp_path / f"a{suffix}", b"the old file")
    monkeypatch.setattr(os, name, full)
    with pytest.raises(ImageError, match=r"^[^\n]*disk is full[^\n]*$"):
        write(path, Picture(noise(8, 8, 3)))
    assert path.read_bytes() == b"the old file"
    assert list(tmp_path.iterdir()) == [path]


def test_interrupt_passes_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "a.png", Picture(noise(8, 8, 3)))
    assert not list(tmp_path.iterdir())


def test_the_final_name_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, seen = tmp_path / "a.png", []
    rename = os.replace

    def watch(source: Any, target: Any) -> None:
        part = Path(source)
        assert part.parent == tmp_path
        assert part.name.startswith(".")
        assert part.suffix == ".part"
        assert not images.is_image(part)
        assert not path.exists()
        assert Path(target) == path
        Image.open(part).load()  # whole already
        seen.append(part)
        rename(source, target)

    monkeypatch.setattr(os, "replace", watch)
    write(path, Picture(noise(8, 8, 3)))
    assert len(seen) == 1
    assert list(tmp_path.iterdir()) == [path]
    assert path.stat().st_mode & 0o777 == put(tmp_path / "other", b"").stat().st_mode & 0o777  # as any new file


def test_no_folder_no_permission(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="no such file or folder"):
        write(tmp_path / "missing" / "a.png", Picture(noise(4, 4, 3)))
    (tmp_path / "b.png").mkdir()
    with pytest.raises(ImageError, match="folder"):
        write(tmp_path / "b.png", Picture(noise(4, 4, 3)))
    assert [entry.name for entry in tmp_path.iterdir()] == ["b.png"]
