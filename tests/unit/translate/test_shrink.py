from __future__ import annotations

import struct
import zlib

import pytest
from PIL import Image

from app.translate.shrink import MAX_BYTES, SHRUNK_SIDE_PIXELS, ImageUnusable, shrink
from tests.unit.translate.pictures import BLUE, RED, encoded, opened, picture

FORMATS = ("PNG", "JPEG", "GIF", "WEBP")


def shrunk(data: bytes) -> tuple[str, Image.Image]:
    """What an image too large became; it is within all limits, and again the same."""
    smaller = shrink(data)
    assert smaller is not None
    assert smaller == shrink(data)
    format_, small = smaller
    assert len(small) <= MAX_BYTES
    image = opened(small)
    assert str(image.format).lower() == format_
    assert max(image.size) <= SHRUNK_SIDE_PIXELS
    return format_, image


@pytest.mark.parametrize("format_", FORMATS)
def test_what_fits_is_left_alone(format_: str) -> None:
    assert shrink(picture((40, 30), format_)) is None


def test_a_side_may_be_as_long_as_the_limit_and_no_longer() -> None:
    assert shrink(picture((8000, 2))) is None
    assert shrunk(picture((8001, 2)))[1].size == (1568, 1)
    assert shrink(picture((2000, 2)), 2000) is None
    assert shrink(picture((2, 2001)), 2000) is not None


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
def test_too_many_bytes_become_a_jpeg_of_the_same_shape(format_: str) -> None:
    data = picture((1800, 1200), format_, noise=True)
    assert len(data) > MAX_BYTES
    name, image = shrunk(data)
    assert name == "jpeg"
    assert image.width / image.height == pytest.approx(1.5, abs=0.01)


def test_transparency_stays_where_it_fits() -> None:
    name, image = shrunk(picture((9000, 90), mode="RGBA"))
    assert (name, image.mode) == ("png", "RGBA")
    assert image.getpixel((0, 0)) == (0, 0, 0, 0)


def test_transparency_that_does_not_fit_is_on_white() -> None:
    drawing = Image.effect_noise((1600, 1600), 90).convert("RGBA")
    drawing.paste((0, 0, 0, 0), (0, 0, 400, 1600))
    name, image = shrunk(encoded(drawing))
    assert name == "jpeg"
    assert image.getpixel((5, 5)) == (255, 255, 255)


def test_a_photo_taken_sideways_is_upright() -> None:
    photo = Image.new("RGB", (9000, 900), RED)
    photo.paste(BLUE, (0, 0, 4500, 900))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned clockwise
    _, image = shrunk(encoded(photo, "JPEG", exif=exif))
    assert image.height > image.width
    top, bottom = image.getpixel((image.width // 2, 100)), image.getpixel((image.width // 2, image.height - 100))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[2] > 200 > 50 > top[0]
    assert bottom[0] > 200 > 50 > bottom[2]
    assert not image.getexif()


def test_of_an_animation_the_first_picture_counts() -> None:
    frames = [Image.new("RGB", (8001, 4), colour) for colour in (RED, BLUE)]
    _, image = shrunk(encoded(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert image.getpixel((100, 0)) == pytest.approx(RED, abs=4)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "I;16"])
def test_pixels_of_every_kind_are_read(mode: str) -> None:
    format_ = "JPEG" if mode == "CMYK" else "PNG"
    assert shrunk(picture((8100, 60), format_, mode=mode))[1].mode in ("RGB", "RGBA")


def test_sixteen_bits_of_grey_stay_grey() -> None:
    grey = Image.frombytes("I;16", (8100, 2), struct.pack("<H", 0x8000) * 16200)
    assert shrunk(encoded(grey))[1].getpixel((700, 0)) == pytest.approx((128, 128, 128), abs=2)


def test_a_profile_is_not_carried_along() -> None:
    _, image = shrunk(picture((8001, 8), "PNG", icc_profile=b"x" * 3000))
    assert "icc_profile" not in image.info


@pytest.mark.parametrize("format_", FORMATS)
def test_what_cannot_be_decoded_is_unusable(format_: str) -> None:
    data = picture((400, 300), format_, noise=True)
    for damaged in (data[: len(data) // 2], data[:30], b""):
        with pytest.raises(ImageUnusable, match="Could not process image"):
            shrink(damaged)


def test_a_small_file_with_a_huge_picture_is_refused_unread() -> None:
    """The pixels are not even there: only the header is looked at."""
    for width, height in ((8001, 8000), (60_000, 60_000)):
        with pytest.raises(ImageUnusable, match="max allowed size: 8000 pixels"):
            shrink(png_header(width, height))


def png_header(width: int, height: int) -> bytes:
    chunks = b""
    for kind, content in ((b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)), (b"IDAT", zlib.compress(b"\0"))):
        chunks += struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
    return b"\x89PNG\r\n\x1a\n" + chunks
