from __future__ import annotations

from typing import Any

import pytest

from app.anthropic.blocks import ImageBlock
from app.errors import RequestRejected
from app.translate.images import sniff, translate_image
from app.translate.rules import Rules
from tests.contract.conversations import PIXELS


def block(data: str, media_type: str = "image/png") -> ImageBlock:
    source: dict[str, Any] = {"type": "base64", "media_type": media_type, "data": data}
    return ImageBlock.model_validate({"type": "image", "source": source})


@pytest.mark.parametrize("format_", PIXELS)
def test_an_image_is_what_its_bytes_say(format_: str) -> None:
    rules = Rules()
    image = translate_image(block(PIXELS[format_]), "p", rules)
    assert (image.format, image.data) == (format_, PIXELS[format_])
    assert rules.fired == ([] if format_ == "png" else ["image_format"])


@pytest.mark.parametrize("data", ["", "AAAA", "Zm9vYmFyYmF6Zm9vYmFyYmF6", "not base64", "é", PIXELS["png"][:8]])
def test_what_is_no_image_is_refused_with_its_path(data: str) -> None:
    assert sniff(data) is None
    with pytest.raises(RequestRejected, match=r"^messages\.0\.content\.1\.image\.source\.base64: Could not"):
        translate_image(block(data), "messages.0.content.1", Rules())
