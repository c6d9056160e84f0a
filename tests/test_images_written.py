"""Image files that are written: whole or not at all, and as the format allows."""

import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from image_files import noise, put
from PIL import Image, JpegImagePlugin

from translate import formats, images
from translate.errors import ImageError
from translate.frames import clean
from translate.images import Picture, read, write

pytestmark = pytest.mark.usefixtures("silence")


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
    assert (formats.JPEG_QUALITY, formats.WEBP_QUALITY) == (95, 90)


def test_too_long_for_the_format(tmp_path: Path) -> None:
    for name, limit in (("a.jpg", 65_500), ("a.webp", 16_383)):
        for shape in ((1, limit + 1, 3), (limit + 1, 1, 3)):
            with pytest.raises(ImageError, match=f"{limit:,}.*png"):
                write(tmp_path / name, Picture(np.zeros(shape, np.uint8)))
        write(tmp_path / name, Picture(np.zeros((1, limit, 3), np.uint8)))
        assert read(tmp_path / name).pixels.shape == (1, limit, 3)
    write(tmp_path / "a.png", Picture(np.zeros((1, 65_536, 3), np.uint8)))


def test_what_is_lost_is_named() -> None:
    plain, tagged = Picture(noise(4, 4, 3)), Picture(noise(4, 4, 3), icc=b"profile", exif=b"Exif")
    assert images.lost("a.bmp", plain) is images.lost("a.jpg", tagged) is None
    said = "the colour profile is lost: BMP has none; the EXIF is lost: BMP has none; --format png keeps it"
    assert images.lost("a.bmp", tagged) == said
    long = Picture(noise(4, 4, 3), exif=bytes(65_534))
    assert images.lost("a.jpg", long) == "the EXIF is lost: a JPEG's ends at 64 KB; --format png keeps it"
    assert images.lost("a.webp", long) is None


def test_a_tiff_that_takes_an_hour_is_not_tidied_away(tmp_path: Path) -> None:
    strip = Picture(noise(4, 4, 3))

    def strips() -> Iterator[Picture]:
        yield strip
        for path in tmp_path.iterdir():
            os.utime(path, (0, 0))
        clean({tmp_path})  # another run begins
        yield strip

    images.write_strips(tmp_path / "a.tif", strips(), (8, 4))
    assert read(tmp_path / "a.tif").pixels.shape == (8, 4, 3)


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
