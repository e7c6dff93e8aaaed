"""The text of a PDF.

In: the bytes of a PDF and a clock. Out: its text with a mark before each page, or PdfUnusable that says why there is none and
what to do. The same bytes always give the same text. Needs seconds for a large one: not for an event loop. pypdf is loaded when
it is first needed. Source: Messages API, sections 4.1 and 6; failure corpus 61.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pypdf import PdfReader

MAX_BYTES = 32 * 1024 * 1024
MAX_PAGES = 100
MAX_SECONDS = 10.0


class PdfUnusable(Exception):
    """A PDF has no text for us; the text says why and what to do."""


class _OutOfTime(Exception):
    pass


def pdf_text(data: bytes, clock: Callable[[], float]) -> str:
    """All pages, each after a line `[page N]`; raises PdfUnusable. clock: seconds, from anywhere."""
    ends_at = clock() + MAX_SECONDS

    def check(*_: object) -> None:
        if clock() > ends_at:
            raise _OutOfTime

    try:
        texts = _pages(data, check)
    except _OutOfTime:
        raise PdfUnusable(
            f"reading this PDF takes longer than {MAX_SECONDS:g} seconds; send fewer pages, or their text"
        ) from None
    if not any(texts):
        raise PdfUnusable("this PDF holds only images and no text; send its pages as images")
    return "\n\n".join(f"[page {number}]\n{text}".rstrip() for number, text in enumerate(texts, 1))


def _pages(data: bytes, check: Callable[..., None]) -> list[str]:
    """Text of each page. check: called before each operator of a page, as one page may hold millions."""
    from pypdf import PdfReader
    from pypdf.errors import LimitReachedError

    try:
        reader = PdfReader(BytesIO(data))
        _admit(reader)
        texts = []
        for page in reader.pages:
            check()
            texts.append(_clean(page.extract_text(visitor_operand_before=check)))
    except (PdfUnusable, _OutOfTime):
        raise
    except LimitReachedError as error:  # small as a file, unpacked too large
        raise PdfUnusable("this PDF holds too much to be read; send fewer pages, or their text") from error
    except Exception as error:
        # pypdf raises whatever a damaged file leads it to: its own errors, KeyError, RecursionError …
        raise PdfUnusable("The PDF specified was not valid; it is damaged or no PDF") from error
    return texts


def _admit(reader: PdfReader) -> None:
    if reader.is_encrypted:
        raise PdfUnusable("The PDF specified is password protected; send it without encryption, or send its text")
    if (pages := len(reader.pages)) > MAX_PAGES:
        raise PdfUnusable(f"A maximum of {MAX_PAGES} PDF pages may be provided, and this PDF has {pages}; send it in parts")


def _clean(text: str) -> str:
    """Without blanks at the end of the page, and without halves of characters, which JSON cannot hold."""
    return text.encode("utf-8", "replace").decode().strip()
