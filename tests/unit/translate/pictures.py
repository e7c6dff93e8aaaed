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


def pdf(*pages: str | bytes | None) -> bytes:
    """A page for each text; bytes are a packed content stream, None is a page with nothing but a line drawn on it."""
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"]
    kids = []
    for page in pages:
        packed = b"/Filter /FlateDecode " if isinstance(page, bytes) else b""
        content = b"0 0 m 100 100 l S" if page is None else page
        if isinstance(content, str):
            content = f"BT /F1 12 Tf 72 720 Td ({content}) Tj ET".encode()
        objects.append(b"<< %s/Length %d >>\nstream\n%s\nendstream" % (packed, len(content), content))
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> "
            b"/Contents %d 0 R >>" % len(objects)
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    out, table = b"%PDF-1.4\n", b"0000000000 65535 f \n"
    for number, body in enumerate(objects, 1):
        table += b"%010d 00000 n \n" % len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    size = len(objects) + 1
    return out + b"xref\n0 %d\n%strailer\n<< /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, table, size, len(out))


def encrypted_pdf() -> bytes:
    from pypdf import PdfReader, PdfWriter

    writer = PdfWriter(clone_from=PdfReader(BytesIO(pdf("secret"))))
    writer.encrypt("open sesame", algorithm="RC4-128")
    out = BytesIO()
    writer.write(out)
    return out.getvalue()
