"""Images made small enough for Kiro: decoded, scaled, encoded again.

In: the bytes of an image and the longest side it may have as it is. Out: None when it can be sent so, else format and bytes of
a smaller one; ImageUnusable when nobody could look at it. The same bytes always give the same result: no clock, no chance.
Every image is decoded once, as one that cannot be would be refused upstream again with every turn of its conversation.
Needs up to a second and 300 MB for the largest: not for an event loop. Pillow is loaded when it is first needed.
Source: protocol 3.3 (images), cause 9 of 4.4; failure corpus 53 to 57.
"""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

MAX_SIDE_PIXELS = 8000
MAX_SIDE_PIXELS_OF_MANY = 2000
MANY_IMAGES = 20
# The size models look at anyway; larger only costs bytes.
SHRUNK_SIDE_PIXELS = 1568
# q.* refuses a single field of about 700 KB; this is 533 KB of base64. The 5 MiB of the API are never reached then.
MAX_BYTES = 400_000
# Decoded a picture takes up to 4 bytes a pixel, however small its file is. The largest the API takes is 8000 × 8000.
MAX_PIXELS = 8000 * 8000
QUALITIES = (85, 75, 65, 50)
_NEXT_SIZE = 0.75
_ORIENTATION = 0x0112  # of Exif


class ImageUnusable(Exception):
    """Nobody can look at this image; the text says why, as the real API does."""


def shrink(data: bytes, side_pixels: int = MAX_SIDE_PIXELS) -> tuple[str, bytes] | None:
    """None for an image that is small enough, else format and bytes of a smaller one; raises ImageUnusable."""
    image = _open(data)
    fits = max(image.size) <= side_pixels and len(data) <= MAX_BYTES
    _decode(image)
    return None if fits else _encode(_scaled(image))


def _open(data: bytes) -> Image:
    """Only the header is read here, so that a small file with a huge picture costs nothing."""
    from PIL import Image

    try:
        image = Image.open(BytesIO(data), formats=("PNG", "JPEG", "GIF", "WEBP"))
    except Image.DecompressionBombError:
        raise _too_many_pixels() from None
    except Exception as error:
        raise ImageUnusable("Could not process image") from error
    if image.width * image.height > MAX_PIXELS:
        raise _too_many_pixels()
    return image


def _too_many_pixels() -> ImageUnusable:
    return ImageUnusable(f"image dimensions exceed max allowed size: {MAX_SIDE_PIXELS} pixels")


def _decode(image: Image) -> None:
    """The picture, of an animation its first one. A JPEG is decoded at about the size that is needed."""
    side = 2 * SHRUNK_SIDE_PIXELS
    image.draft(None, (side, side))
    try:
        image.load()
    except Exception as error:
        # Pillow's decoders raise whatever a damaged file leads them to: OSError, SyntaxError, ValueError, struct.error …
        raise ImageUnusable("Could not process image") from error


def _scaled(image: Image) -> Image:
    """Upright, in RGB or RGBA, at most SHRUNK_SIDE_PIXELS long."""
    from PIL import ImageOps
    from PIL.Image import Resampling

    orientation = image.getexif().get(_ORIENTATION, 1)
    if image.mode.startswith("I"):  # 16 bits of grey
        image = image.point(lambda value: value * (1 / 256)).convert("L")
    transparent = image.has_transparency_data
    if image.mode != "RGB" or transparent:
        image = image.convert("RGBA" if transparent else "RGB")
    image.thumbnail((SHRUNK_SIDE_PIXELS, SHRUNK_SIDE_PIXELS), Resampling.LANCZOS, reducing_gap=2.0)
    if orientation != 1:
        image.getexif()[_ORIENTATION] = orientation
        image = ImageOps.exif_transpose(image)
    image.info.clear()  # profiles and comments would be written again
    return image


def _encode(image: Image) -> tuple[str, bytes]:
    """PNG where something shows through and it fits; else the best JPEG that does."""
    if image.mode == "RGBA":
        data = _written(image, "PNG")
        if len(data) <= MAX_BYTES:
            return "png", data
        image = _on_white(image)
    return "jpeg", next(data for data in _attempts(image) if len(data) <= MAX_BYTES)


def _attempts(image: Image) -> Iterator[bytes]:
    """Less and less quality, then fewer and fewer pixels: some attempt is always small enough."""
    from PIL.Image import Resampling

    for quality in QUALITIES:
        yield _written(image, "JPEG", quality=quality)
    while True:
        size = (max(1, int(image.width * _NEXT_SIZE)), max(1, int(image.height * _NEXT_SIZE)))
        image = image.resize(size, Resampling.LANCZOS)
        yield _written(image, "JPEG", quality=QUALITIES[-1])


def _on_white(image: Image) -> Image:
    from PIL.Image import new

    paper = new("RGB", image.size, "white")
    paper.paste(image, mask=image.getchannel("A"))
    return paper


def _written(image: Image, format_: str, **options: int) -> bytes:
    out = BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()
