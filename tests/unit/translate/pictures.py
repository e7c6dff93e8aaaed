"""Images and PDFs made for a test: pixels by Pillow, PDFs byte by byte."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO
from typing import Any

from PIL import Image

RED, BLUE = (255, 0, 0), (0, 0, 255)


def picture(size: tuple[int, int], format_: str = "PNG", *, mode: str = "RGB", noise: bool = False, **options: Any) -> bytes:
    """One colour, or noise that no format makes small."""
    image = Image.effect_noise(size, 80).convert(mode) if noise else Image.new(mode, size)
    return encoded(image, format_, **options)


def encoded(image: Image.Image, format_: str = "PNG", **options: Any) -> bytes:
    out = BytesIO()
    image.save(out, format_, **options)
    return out.getvalue()


def opened(data: bytes) -> Image.Image:
    image = Image.open(BytesIO(data))
    image.load()
    return image


def base64(data: bytes) -> str:
    return b64encode(data).decode()


def pdf(*texts: str | None) -> bytes:
    """A page for each text; None is a page with nothing but a line drawn on it."""
    objects = ["<< /Type /Catalog /Pages 2 0 R >>", "", "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for text in texts:
        content = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text is not None else "0 0 m 100 100 l S"
        objects.append(f"<< /Length {len(content)} >>\nstream\n{content}\nendstream")
        objects.append(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            f"/Contents {len(objects)} 0 R >>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<< /Type /Pages /Kids [{' '.join(kids)}] /Count {len(kids)} >>"
    out, offsets = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n".encode()
    table = "".join(f"{offset:010} 00000 n \n" for offset in offsets)
    size = len(objects) + 1
    trailer = (
        f"xref\n0 {size}\n0000000000 65535 f \n{table}trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{len(out)}\n%%EOF\n"
    )
    return out + trailer.encode()


def encrypted_pdf() -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(BytesIO(pdf("secret"))))
    writer.encrypt("open sesame", algorithm="RC4-128")
    out = BytesIO()
    writer.write(out)
    return out.getvalue()
