"""What is remembered of attachments, and where they are read."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from app import attachments as module
from app.attachments import Attachments
from app.errors import RequestRejected
from app.runtime.clock import TimeLimit
from app.translate import attachments as translate
from tests.unit.anthropic.bodies import image, parse, user
from tests.unit.translate.pictures import base64, pdf, picture

WIDE = base64(picture((8001, 3)))


def document(text: str) -> dict[str, Any]:
    return {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": base64(pdf(text))}}


def test_a_request_of_text_goes_through_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "offload", lambda *_, **__: pytest.fail("there is nothing to do"))
    request = parse(user("Hi"))
    assert Attachments().prepare(request, images=True) == (request, [])


def test_attachments_are_read_in_another_thread_once(monkeypatch: pytest.MonkeyPatch) -> None:
    threads = []
    shrink = translate.shrink

    def watched(data: bytes, side: int) -> Any:
        threads.append(threading.get_native_id())
        return shrink(data, side)

    monkeypatch.setattr(translate, "shrink", watched)
    attachments = Attachments()
    first, changes = attachments.prepare(parse(user(image(data=WIDE))), images=True)
    again, _ = attachments.prepare(parse(user(image(data=WIDE))), images=True)
    assert first == again
    assert changes == ["image_rewritten"]
    assert len(threads) == 1
    assert threads[0] != threading.get_native_id()


def test_what_was_not_used_for_longest_is_forgotten_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CACHE_CHARACTERS", 2 * (module.ENTRY_CHARACTERS + len("[page 1]\na")))
    read: list[str] = []
    text_of = translate.pdf_text
    monkeypatch.setattr(translate, "pdf_text", lambda data, clock: read.append(text_of(data, clock)) or text_of(data, clock))
    attachments = Attachments()
    for text in ("a", "b", "a", "c", "a", "b"):
        attachments.prepare(parse(user(document(text))), images=True)
    assert [text[-1] for text in read] == ["a", "b", "c", "b"]


def test_reading_that_never_ends_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    def never(*_: Any, **__: Any) -> None:
        raise TimeLimit

    monkeypatch.setattr(module, "offload", never)
    with pytest.raises(RequestRejected, match="could not be read in time"):
        Attachments().prepare(parse(user(image(data=WIDE))), images=True)
