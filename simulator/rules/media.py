"""Rules about images and documents, over the whole conversation: one bad image poisons it. Source: protocol 4.4 (9)."""

from __future__ import annotations

from simulator.chat import USER, ChatCall, images, sequence
from simulator.images import inspect_base64
from simulator.refusals import Refusal

FORMATS = ("png", "jpeg", "gif", "webp")
MOST_PIXELS = 8000
MANY_IMAGES, MOST_PIXELS_OF_MANY = 20, 2000
MOST_ATTACHMENTS, MOST_DOCUMENTS = 100, 5


def media(call: ChatCall) -> Refusal | None:
    """Images are of a known and truly declared format, not too large in bytes or pixels, and not too many."""
    found = [image for kind, message in call.turns if kind == USER for image in images(message)]
    documents = sum(len(sequence(message.get("documents"))) for kind, message in call.turns if kind == USER)
    if documents > MOST_DOCUMENTS:
        return Refusal(400, f"Too many documents: {documents} > {MOST_DOCUMENTS}", "DOCUMENT_COUNT_EXCEEDED")
    if len(found) + documents > MOST_ATTACHMENTS:
        message = f"Too many images and documents: {len(found) + documents} > {MOST_ATTACHMENTS}"
        return Refusal(400, message, "IMAGE_COUNT_EXCEEDED")
    limit = MOST_PIXELS_OF_MANY if len(found) > MANY_IMAGES else MOST_PIXELS
    for declared, data in found:
        if (refusal := _image(declared, data, limit, call.options.image_bytes)) is not None:
            return refusal
    return None


def _image(declared: str, data: str, most_pixels: int, most_bytes: int) -> Refusal | None:
    if declared not in FORMATS:
        return Refusal(400, f"Unsupported image format: {declared}", "IMAGE_FORMAT_UNSUPPORTED")
    if len(data) > most_bytes:
        message = f"image exceeds {most_bytes // 1024**2} MB maximum: {len(data)} bytes > {most_bytes} bytes"
        return Refusal(400, message, "IMAGE_SIZE_EXCEEDED")
    image = inspect_base64(data)
    if image is None:
        return Refusal(400, "Could not process image", "IMAGE_FORMAT_UNSUPPORTED")
    if image.format != declared:
        return Refusal(400, f"Image is {image.format}, not {declared} as declared", "IMAGE_MIME_MISMATCH")
    if not 0 < max(image.width, image.height) <= most_pixels:
        message = f"At least one of the image dimensions exceed max allowed size: {most_pixels} pixels"
        return Refusal(400, message, "IMAGE_DIMENSION_EXCEEDED")
    return None
