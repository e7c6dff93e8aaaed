from __future__ import annotations

from itertools import count
from typing import Any

import pytest
from PIL import Image

from app.anthropic import blocks as b
from app.anthropic.request import MessageRequest
from app.errors import RequestRejected
from app.translate import attachments
from app.translate.attachments import CHANGES, OLD_NOTE, UNREADABLE_NOTE, Prepared, Reading, has_attachments, prepare
from tests.unit.anthropic.bodies import assistant, call, image, parse, result, text, user
from tests.unit.translate.pictures import base64, encoded, encrypted_pdf, pdf, picture

SMALL, WIDE, BROKEN = picture((9, 9)), picture((8001, 3)), picture((50, 50), noise=True)[:200]


def shown(data: bytes, **fields: Any) -> dict[str, Any]:
    return {**image(data=base64(data)), **fields}


def document(data: bytes | str, **fields: Any) -> dict[str, Any]:
    data = data if isinstance(data, str) else base64(data)
    return {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}, **fields}


def prepared(*messages: Any, known: dict[Any, Reading] | None = None, images: bool = True) -> Prepared:
    done = prepare(parse(*messages), known or {}, lambda: 0.0, images=images)
    assert set(done.changes) <= CHANGES.keys()
    return done


def contents(request: MessageRequest) -> list[list[Any]]:
    """Of each message what its blocks show: text, or the base64 of an image."""
    return [[_content(block) for block in message.content] for message in request.messages]


def _content(block: Any) -> Any:
    match block:
        case b.ImageBlock(source=b.Base64ImageSource() as source):
            return source.data
        case b.TextBlock():
            return block.text
        case b.ToolResultBlock():
            return [_content(part) for part in block.content]
        case b.DocumentBlock(source=b.PlainTextSource() as source):
            return source.data
        case b.DocumentBlock(source=b.ContentSource() as source):
            return [_content(part) for part in source.content]
        case _:
            return block.type


def refused(*messages: Any) -> str:
    with pytest.raises(RequestRejected) as caught:
        prepared(*messages)
    return caught.value.message


def different(number: int) -> bytes:
    """Small images, each unlike the others."""
    return encoded(Image.new("RGB", (4, 4), (number % 256, number // 256, 7)))


# --- what is left alone ---------------------------------------------------------------------------------------------------


def test_without_attachments_there_is_nothing_to_do() -> None:
    link = {"type": "document", "source": {"type": "url", "url": "https://example.test"}}
    assert not has_attachments(parse(user("Hi"), assistant(call()), user(result(content="x"), link)))
    assert has_attachments(parse(user(shown(SMALL))))
    assert has_attachments(parse(user("Hi"), assistant(call()), user(result(content=[document(pdf("x"))]))))


def test_what_fits_is_the_very_same_request() -> None:
    request = parse(user(text(), shown(SMALL)))
    done = prepare(request, {}, lambda: 0.0)
    assert done.request is request
    assert done.changes == []


def test_only_messages_with_a_change_are_copied() -> None:
    request = parse(user("Hi"), assistant("Yes"), user(shown(WIDE)), repair=True)
    done = prepare(request, {}, lambda: 0.0)
    assert done.request.messages[0] is request.messages[0]
    assert done.request.messages[2] is not request.messages[2]
    assert contents(request)[2] == [base64(WIDE)], "the client's request is left as it was"
    assert done.request.repaired == request.repaired


def test_for_a_model_that_reads_none_images_are_not_looked_at() -> None:
    assert contents(prepared(user(shown(BROKEN)), images=False).request) == [[base64(BROKEN)]]


# --- images ---------------------------------------------------------------------------------------------------------------


def test_an_image_is_shrunk_at_every_depth() -> None:
    nested = {"type": "document", "source": {"type": "content", "content": [text("a"), shown(WIDE)]}, "title": "T"}
    messages = (user("Hi"), assistant(call()), user(result(content=[shown(WIDE), nested]), nested))
    done = prepared(*messages)
    ((first, (_, second)), (_, third)) = contents(done.request)[2]
    assert first != base64(WIDE)
    assert second == third == "(the same image as in message 3)"
    assert done.changes == ["image_rewritten", "image_repeated"]


def test_the_format_of_a_shrunk_image_is_declared() -> None:
    (block,) = prepared(user(shown(WIDE))).request.messages[0].content
    assert isinstance(block, b.ImageBlock)
    assert isinstance(block.source, b.Base64ImageSource)
    assert block.source.media_type == "image/jpeg"


def test_line_breaks_in_base64_are_left_out() -> None:
    data = base64(SMALL)
    wrapped = "\n".join([data[:40], data[40:]])
    assert contents(prepared(user(image(data=wrapped))).request) == [[data]]


@pytest.mark.parametrize("data", [base64(BROKEN), "", "AAAA", "not base64", "é", base64(pdf("x"))])
def test_an_image_nobody_can_read_is_refused_now_and_a_note_later(data: str) -> None:
    broken = image(data=data)
    assert refused(user(text(), broken)) == "messages.0.content.1.image.source.base64: Could not process image"
    done = prepared(user(text("Hi"), broken), assistant("Yes"), user("And?"))
    assert contents(done.request)[0] == ["Hi", UNREADABLE_NOTE]
    assert done.changes == ["image_left_out"]


def test_the_path_of_a_nested_image_is_whole() -> None:
    nested = {"type": "document", "source": {"type": "content", "content": [shown(BROKEN)]}}
    messages = (user("Hi"), assistant(call()))
    assert refused(*messages, user(result(content=[text("x"), shown(BROKEN)]))).startswith(
        "messages.2.content.0.tool_result.content.1.image.source.base64: "
    )
    assert refused(user(nested)).startswith("messages.0.content.0.document.source.content.content.0.image.source")


def test_a_reminder_or_a_prefill_does_not_make_a_turn_history() -> None:
    broken = user(shown(BROKEN))
    assert "Could not" in refused(broken, {"role": "system", "content": "Be brief."})
    assert "Could not" in refused(broken, user("And?"))
    assert "Could not" in refused(user("Hi"), assistant("Yes"), broken, assistant("It"))


def test_a_client_that_asks_for_an_error_gets_one_for_its_current_images_only() -> None:
    strict = shown(WIDE, transformations={"oversized_image": "error"})
    expected = "messages.0.content.0.image.source.base64: image dimensions exceed max allowed size: 8000 pixels"
    assert refused(user(strict)) == expected
    assert prepared(user(strict), assistant("Yes"), user("And?")).changes == ["image_rewritten"]
    lenient = shown(WIDE, transformations={"oversized_image": "downsize"})
    assert prepared(user(lenient)).changes == ["image_rewritten"]


def test_more_than_twenty_images_may_be_2000_pixels_long() -> None:
    wide = picture((2001, 3))
    few = [shown(different(number)) for number in range(19)]
    assert prepared(user(shown(wide), *few)).changes == []
    assert prepared(user(shown(wide), *few, shown(different(99)))).changes == ["image_rewritten"]
    assert prepared(user(shown(wide), *few, *few)).changes == ["image_repeated"], "an image sent again is one image"
    strict = shown(wide, transformations={"oversized_image": "error"})
    assert refused(user(strict, *few, shown(different(99)))).endswith("for many-image requests: 2000 pixels")


# --- too many -------------------------------------------------------------------------------------------------------------


def kept(done: Prepared) -> list[bool]:
    """Of all images in order, whether they are sent."""
    return [content != OLD_NOTE for message in contents(done.request) for content in message if content not in ("Hi", "Yes")]


def test_of_more_than_a_hundred_the_oldest_become_notes_in_groups() -> None:
    """In groups, so that the beginning of the conversation is the same for many turns."""
    shots = [user(shown(different(number))) for number in range(105)]
    talk = [message for shot in shots for message in (shot, assistant("Yes"))]
    assert all(kept(prepared(*talk[:200], user("Hi"))))
    for images in (101, 105):
        sent = kept(prepared(*talk[: 2 * images], user("Hi")))
        assert sent == [False] * 10 + [True] * (images - 10)


def test_of_the_current_turn_no_more_is_left_out_than_has_to_be() -> None:
    many = [shown(different(number)) for number in range(102)]
    assert kept(prepared(user(*many))) == [False] * 2 + [True] * 100
    before = (user(shown(different(500))), assistant("Yes"))
    assert kept(prepared(*before, user(*many))) == [False] * 3 + [True] * 100


def test_images_that_are_too_much_together_become_notes_from_the_oldest(monkeypatch: pytest.MonkeyPatch) -> None:
    one = len(base64(different(0)))
    monkeypatch.setattr(attachments, "MAX_IMAGE_CHARACTERS", 3 * one)
    assert kept(prepared(user(*[shown(different(number)) for number in range(5)]))) == [False, False, True, True, True]


def test_a_repeated_image_is_sent_where_it_first_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A note never points to an image that was left out."""
    monkeypatch.setattr(attachments, "MAX_IMAGES", 2)
    monkeypatch.setattr(attachments, "GROUP", 1)
    a, c, d = (different(number) for number in range(3))
    talk = [m for data in (a, c, a, d, a) for m in (user(shown(data)), assistant("Yes"))]
    done = contents(prepared(*talk, user("Hi")).request)
    assert [message[0] for message in done[::2]] == [
        OLD_NOTE, OLD_NOTE, base64(a), base64(d), "(the same image as in message 5)", "Hi",
    ]  # fmt: skip


def test_a_longer_conversation_begins_as_the_shorter_one_did() -> None:
    talk = [
        user(shown(WIDE), shown(SMALL)), assistant(call()), user(result(content=[shown(SMALL), document(pdf("one"))])),
        assistant("Yes"), user(shown(WIDE), document(pdf("one"), title="T")), assistant("Yes"), user("Hi"),
    ]  # fmt: skip
    whole = prepared(*talk).request.messages
    for end in (1, 3, 5):
        assert prepared(*talk[:end]).request.messages == whole[:end]


# --- PDFs -----------------------------------------------------------------------------------------------------------------


def test_a_pdf_becomes_its_text_and_keeps_title_and_context() -> None:
    done = prepared(user(document(pdf("one", "two"), title="T", context="old")))
    (block,) = done.request.messages[0].content
    assert isinstance(block, b.DocumentBlock)
    assert (block.title, block.context) == ("T", "old")
    assert _content(block) == "[page 1]\none\n\n[page 2]\ntwo"
    assert done.changes == ["pdf_text"]


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (encrypted_pdf(), "password protected"),
        (b"%PDF-1.4", "not valid"),
        ("é", "not valid"),
        (pdf(None), "send its pages as images"),
    ],
)
def test_a_pdf_nobody_can_read_is_refused_now_and_a_note_later(data: bytes | str, problem: str) -> None:
    message = refused(user(text(), document(data)))
    assert message.startswith("messages.0.content.1.document.source.base64: ")
    assert problem in message
    done = prepared(user(document(data)), assistant("Yes"), user("And?"))
    assert problem in contents(done.request)[0][0]
    assert done.changes == ["pdf_left_out"]


def test_a_pdf_that_is_too_large_is_not_even_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attachments, "a2b_base64", lambda _: pytest.fail("decoded"))
    assert refused(user(document("A" * 50_000_000))).endswith("a PDF may have 32 MB at most; send it in parts")


# --- what is known --------------------------------------------------------------------------------------------------------


def test_what_is_known_is_not_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    messages = (user(shown(WIDE), shown(SMALL), document(pdf("one")), shown(BROKEN)), assistant("Yes"), user("And?"))
    first = prepared(*messages)
    assert len(first.readings) == 4
    for name in ("shrink", "pdf_text"):
        monkeypatch.setattr(attachments, name, lambda *_: pytest.fail("looked at again"))
    again = prepared(*messages, known=first.readings)
    assert (again.request, again.changes, again.readings) == (first.request, first.changes, first.readings)


def test_reading_ends_when_all_time_is_over() -> None:
    ticks = count(step=20)
    request = parse(user(*[shown(different(number)) for number in range(5)]))
    with pytest.raises(RequestRejected, match="longer than 30 seconds to read; send fewer"):
        prepare(request, {}, lambda: float(next(ticks)))
