"""What is in an image file is still there after it was read and written, and it is upright."""

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from image_files import SRGB, STORED, check_tags, exif, noise, png, put, save, tiff
from PIL import Image
from PIL.PngImagePlugin import putchunk

from translate import strips
from translate.images import Picture, read, write

pytestmark = pytest.mark.usefixtures("silence")


# Round trips


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
@pytest.mark.parametrize("source", ["jpg", "tif", "png", "webp", "avif"])
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


# Reading


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
