"""Images of a request as Kiro takes them.

In: an image block's source. Out: an `Image` whose format is the one its bytes are in, or RequestRejected with the block's path.
Nothing is decoded or fetched; what is too large or broken was seen to before (`attachments`).
Source: protocol 3.3, cause 9 of 4.4.
"""

from __future__ import annotations

from binascii import Error as InvalidBase64
from binascii import a2b_base64

from app.anthropic.blocks import Base64ImageSource, ImageBlock, UrlSource
from app.errors import RequestRejected
from app.translate.rules import Rules
from app.translate.turns import Image

_HEAD_CHARACTERS = 24  # 18 bytes: every format is told by its first 12


def translate_image(block: ImageBlock, path: str, rules: Rules) -> Image:
    """path: of the block, for the error message."""
    source = block.source
    if isinstance(source, Base64ImageSource):
        declared = source.media_type.removeprefix("image/")
        actual = sniff(source.data)
        if actual is None:
            raise RequestRejected(f"{path}.image.source.base64: Could not process image")
        if actual != declared and not rules.fires("image_format"):
            actual = declared
        return Image(actual, source.data)
    kind = "url" if isinstance(source, UrlSource) else "file"  # a URL comes here only while `fetch_urls` is off
    raise RequestRejected(
        f"{path}.image.source: images by {kind} are not fetched by this gateway; send the image as base64 instead"
    )


def sniff(data: str) -> str | None:
    """The format a base64 text begins like; None for none of the four."""
    try:
        head = a2b_base64(data[:_HEAD_CHARACTERS])
    except (InvalidBase64, ValueError):
        return None
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "gif"
    return "webp" if head[:4] == b"RIFF" and head[8:12] == b"WEBP" else None
