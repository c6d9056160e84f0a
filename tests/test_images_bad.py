"""Image files that are strange, damaged or none: one line each."""

import errno
import struct
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pillow_heif
import pytest
from image_files import complaint, noise, png, put, save, tiff
from PIL import Image

from translate.errors import ImageError
from translate.images import read, write

pytestmark = pytest.mark.usefixtures("silence")


@pytest.mark.parametrize("suffix", [".png", ".webp", ".avif", ".gif", ".tif"])
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


@pytest.mark.parametrize("suffix", [".png", ".tif", ".webp", ".avif", ".gif", ".jpg", ".bmp", ".ppm"])
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
        "a.avif": {},
    }.items():
        out = BytesIO()
        kind = {"jpg": "JPEG", "tif": "TIFF"}.get(name[-3:], name.rpartition(".")[2])
        Image.fromarray(pixels).save(out, kind, **options)
        kinds[name] = out.getvalue()
    out = BytesIO()
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(out)
    return kinds | {"a.heic": out.getvalue()}


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
