from __future__ import annotations

import zlib
from itertools import count

import pytest

from app.translate.pdf import MAX_PAGES, PdfUnusable, pdf_text
from tests.unit.translate.pictures import encrypted_pdf, pdf


def read(data: bytes) -> str:
    return pdf_text(data, lambda: 0.0)


def test_pages_come_in_order_each_with_its_mark() -> None:
    data = pdf("one", "two", "three")
    assert read(data) == "[page 1]\none\n\n[page 2]\ntwo\n\n[page 3]\nthree"
    assert read(data) == read(data)


def test_a_page_without_text_keeps_its_number() -> None:
    assert read(pdf("one", None, "three")) == "[page 1]\none\n\n[page 2]\n\n[page 3]\nthree"


def test_pages_that_are_only_drawn_are_asked_for_as_images() -> None:
    with pytest.raises(PdfUnusable, match=r"only images.*send its pages as images"):
        read(pdf(None, None))


def test_a_locked_pdf_is_refused_with_what_to_do() -> None:
    with pytest.raises(PdfUnusable, match=r"password protected; send it without"):
        read(encrypted_pdf())


@pytest.mark.parametrize("data", [b"", b"%PDF-1.4", b"hello", pdf("one")[:150], b"%PDF-1.4\n" + b"\x00\xff" * 500])
def test_what_is_no_pdf_is_refused(data: bytes) -> None:
    with pytest.raises(PdfUnusable, match="The PDF specified was not valid"):
        read(data)


def test_there_may_be_so_many_pages_and_no_more() -> None:
    assert read(pdf(*map(str, range(MAX_PAGES)))).count("[page ") == MAX_PAGES
    with pytest.raises(PdfUnusable, match=r"maximum of 100 PDF pages .* has 101; send it in parts"):
        read(pdf(*map(str, range(MAX_PAGES + 1))))


def test_a_page_that_unpacks_to_too_much_is_refused() -> None:
    assert read(pdf(zlib.compress(b"BT /F1 12 Tf (packed) Tj ET"))) == "[page 1]\npacked"
    with pytest.raises(PdfUnusable, match="holds too much to be read"):
        read(pdf(zlib.compress(b" " * 100_000_000)))


def test_reading_ends_when_its_time_is_over_also_inside_a_page() -> None:
    ticks = count()
    with pytest.raises(PdfUnusable, match="longer than 10 seconds"):
        pdf_text(pdf("x) Tj (y" * 50), lambda: float(next(ticks)))
    assert next(ticks) < 15
