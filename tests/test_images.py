"""Image files of every kind: which suffixes there are, and what is read from each."""

import struct
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest
from image_files import complaint, noise, png, put, save, tiff
from PIL import Image
from PIL.TiffImagePlugin import AppendingTiffWriter

from translate import formats, images
from translate.errors import InputError
from translate.images import read

pytestmark = pytest.mark.usefixtures("silence")


# The table


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
        "a.avif",
        "a.heic",
        "a.HEIF",
        "a.hif",
    ):
        assert images.is_image(name)
        assert images.is_image(Path(name))
    for name in ("a.mp4", "a.txt", "png", ".0123.part", "a.pdf"):
        assert not images.is_image(name)


def test_suffix_for() -> None:
    assert formats.suffix_for(Path("a.jpg"), None) == ".jpg"
    assert formats.suffix_for(Path("a.JPEG"), None) == ".JPEG"
    assert formats.suffix_for(Path("a.gif"), None) == formats.suffix_for(Path("a.pgm"), None) == ".png"
    assert formats.suffix_for(Path("a.heic"), None) == formats.suffix_for(Path("a.HIF"), None) == ".jpg"
    assert formats.suffix_for(Path("a.mp4"), None) == ".mp4"
    assert formats.suffix_for(Path("a.jpg"), "png") == formats.suffix_for(Path("a.jpg"), ".PNG") == ".png"
    for wrong in ("gif", "heic", "avif", "exr"):
        with pytest.raises(InputError, match=f"'{wrong}'.*jpg, png, webp, tif, bmp"):
            formats.suffix_for(Path("a.jpg"), wrong)


def test_import_leaves_torch_alone() -> None:
    code = "import sys, translate.images; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, cwd=Path(__file__).parents[1]).returncode == 0


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
