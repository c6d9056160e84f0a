"""What phones and browsers store today: HEIF and AVIF."""

from pathlib import Path
from typing import Any

import numpy as np
import pillow_heif
import pytest
from image_files import SRGB, check_tags, exif
from PIL import Image

from translate import formats, images
from translate.errors import ImageError
from translate.images import Picture, read, write

pytestmark = pytest.mark.usefixtures("silence")


def scene(height: int = 48, width: int = 64) -> Any:
    """Smooth colours, which codecs leave nearly as they are: (H, W, 3) uint8, another in each corner."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 255 // width, y * 255 // height, 255 - x * 255 // width], 2).astype(np.uint8)


def heif(path: Path, *pixels: Any, main: int = 0, mode: str = "RGB", **options: Any) -> Path:
    file = pillow_heif.HeifFile()
    for samples in pixels:
        file.add_frombytes(mode, samples.shape[1::-1], samples.tobytes())
    file.save(path, quality=-1, chroma=444, primary_index=main, **options)  # lossless up to the change of colour space
    return path


def near(a: Any, b: Any, of: int = 255) -> bool:
    return a.shape == b.shape and int(np.abs(a.astype(int) - b.astype(int)).max()) <= of // 50


@pytest.mark.parametrize("name", ["a.heic", "a.HEIF", "a.hif", "really.jpg"])
def test_heif(tmp_path: Path, name: str) -> None:
    found = read(heif(tmp_path / name, scene()))
    assert near(found.pixels, scene())
    assert (found.pixels.dtype, found.alpha, found.exif, found.icc, found.grey) == (np.uint8, None, None, None, False)
    assert found.pixels.flags.writeable


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_turned_once_and_tags_kept(tmp_path: Path, suffix: str) -> None:
    path, stored = tmp_path / f"a{suffix}", Image.fromarray(scene())
    if suffix == ".heic":
        pillow_heif.from_pillow(stored).save(path, quality=-1, chroma=444, exif=exif().tobytes(), icc_profile=SRGB)
    else:
        stored.save(path, quality=100, subsampling="4:4:4", exif=exif().tobytes(), icc_profile=SRGB)
    found = read(path)
    assert exif()[0x0112] == 6  # stored lying down
    assert near(found.pixels, np.rot90(scene(), -1))
    assert found.icc == SRGB
    write(tmp_path / "b.jpg", found)
    check_tags(tmp_path / "b.jpg")
    assert read(tmp_path / "b.jpg").pixels.shape == (64, 48, 3)


def test_an_avif_of_a_general_brand(tmp_path: Path) -> None:
    """Some writers name the container's brand first, and AV1's among those it is compatible with."""
    path = tmp_path / "a.avif"
    Image.fromarray(scene()).save(path, quality=100, subsampling="4:4:4")
    path.write_bytes(path.read_bytes().replace(b"ftypavif", b"ftypmif1", 1))
    assert near(read(path).pixels, scene())


def test_the_picture_that_is_meant(tmp_path: Path) -> None:
    path = heif(tmp_path / "burst.heic", scene()[::-1].copy(), scene(), scene()[:, ::-1].copy(), main=1)
    assert near(read(path).pixels, scene())


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_alpha(tmp_path: Path, suffix: str) -> None:
    alpha = scene()[..., 0]
    rgba, path = np.dstack([scene(), alpha]), tmp_path / f"a{suffix}"
    if suffix == ".heic":
        heif(path, rgba, mode="RGBA")
    else:
        Image.fromarray(rgba).save(path, quality=100, subsampling="4:4:4")
    found = read(path)
    assert found.alpha is not None
    assert near(found.alpha, alpha)
    assert near(found.pixels, scene())
    assert images.lost("a.jpg", found) == "alpha is lost: JPEG has none; --format png keeps it"


@pytest.mark.parametrize(("mode", "channels"), [("RGB;16", 3), ("RGBA;16", 4)])
def test_more_than_8_bit(tmp_path: Path, mode: str, channels: int) -> None:
    deep = np.dstack([scene().astype(np.uint16) * 257 + 100, np.full((48, 64), 40_000, np.uint16)])[..., :channels]
    deep[0, 0, :3] = 0, 65_535, 65_535
    found = read(heif(tmp_path / "a.heic", deep, mode=mode))
    assert found.pixels.dtype == np.uint16
    assert near(found.pixels, deep[..., :3], of=65_535)
    assert found.pixels.max() == 65_535  # not 1023 · 64
    assert len(np.unique(found.pixels >> 6)) > 256
    assert found.alpha is None if channels == 3 else near(found.alpha, deep[..., 3], of=65_535)


def test_grey(tmp_path: Path) -> None:
    found = read(heif(tmp_path / "a.heic", scene()[..., 0].copy(), mode="L"))
    assert found.grey
    assert near(found.pixels, np.repeat(scene()[..., :1], 3, 2))


@pytest.mark.parametrize("suffix", [".heic", ".avif"])
def test_they_become_jpeg(tmp_path: Path, suffix: str) -> None:
    assert formats.suffix_for(tmp_path / f"a{suffix}") == ".jpg"
    with pytest.raises(ImageError, match=f"cannot write {suffix}; name it .png"):
        write(tmp_path / f"a{suffix}", Picture(scene()))
