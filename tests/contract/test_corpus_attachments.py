"""Images and documents that broke gateways of this kind, one test a row of the failure corpus, judged by the stand-in.

Here a request goes the whole way of the relay: attachments first, then the translation.
"""

from __future__ import annotations

import base64
import time
from typing import Any

import orjson
import pytest

from app.errors import RequestRejected
from app.translate.attachments import OLD_NOTE, UNREADABLE_NOTE, prepare
from app.translate.models import BUILT_IN, resolve
from app.translate.shrink import MAX_BYTES
from simulator.chat import ChatCall
from simulator.options import Options
from simulator.validation import validate
from tests.contract.conversations import ACCOUNT, Json, translate_parsed, written
from tests.unit.anthropic.bodies import assistant, call, image, parse, result, text, tool, user
from tests.unit.translate.pictures import encrypted_pdf, opened, pdf, picture

STRICT = Options(field_bytes=700_000)
LOOP = (user("Hi"), assistant(call(name="Read")))
READ = tool("Read", description="Reads a file")


def shown(data: bytes, media_type: str = "image/png") -> Json:
    return image(data=base64.b64encode(data).decode(), media_type=media_type)


def document(data: bytes, **fields: Any) -> Json:
    encoded = base64.b64encode(data).decode()
    return {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": encoded}, **fields}


def sent(*messages: Any, **fields: Any) -> list[Json]:
    """The user turns that the stand-in accepted, the current one last."""
    request = parse(*messages, **fields)
    done = prepare(request, {}, time.monotonic, images=resolve(request.model, BUILT_IN).images)
    body = written(translate_parsed(done.request))
    chat = ChatCall(orjson.loads(body), len(body), service="q", region=ACCOUNT.region, account=ACCOUNT, options=STRICT)
    assert validate(chat) is None
    state = orjson.loads(body)["conversationState"]
    entries = [*state.get("history", []), state["currentMessage"]]
    return [entry["userInputMessage"] for entry in entries if "userInputMessage" in entry]


def images(turn: Json) -> list[bytes]:
    return [base64.b64decode(entry["source"]["bytes"]) for entry in turn.get("images", [])]


@pytest.mark.parametrize("actual", ["PNG", "JPEG", "GIF", "WEBP"])
def test_row_52_an_image_is_sent_as_what_it_is_byte_for_byte(actual: str) -> None:
    data = picture((30, 20), actual)
    (turn,) = sent(user(text(), shown(data)))
    assert [entry["format"] for entry in turn["images"]] == [actual.lower()]
    assert images(turn) == [data]


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP"])
def test_row_53_an_image_of_more_bytes_than_a_field_may_have_is_shrunk(format_: str) -> None:
    data = picture((1500, 1400), format_, noise=True)
    assert len(data) > 525_000
    ((small,),) = map(images, sent(user(shown(data))))
    assert len(small) <= MAX_BYTES


def test_row_54_an_image_of_more_than_five_megabytes_is_shrunk() -> None:
    data = picture((2200, 2000), noise=True, mode="RGB", compress_level=1)
    assert len(base64.b64encode(data)) > 5 * 1024 * 1024
    ((small,),) = map(images, sent(user(shown(data))))
    assert max(opened(small).size) <= 1568


def test_row_55_one_large_image_among_many_is_shrunk() -> None:
    many = [shown(picture((number, 8))) for number in range(10, 31)]
    turn = sent(user(shown(picture((2500, 100))), *many))[-1]
    assert [opened(data).size for data in images(turn)] == [(1568, 63), *((number, 8) for number in range(10, 31))]


@pytest.mark.parametrize(("count", "left_out"), [(33, 0), (103, 3)])
def test_row_56_of_many_images_in_one_turn_as_many_as_may_be_are_sent(count: int, left_out: int) -> None:
    (turn,) = sent(user(*[shown(picture((number + 1, 2))) for number in range(count)]))
    assert len(turn["images"]) == count - left_out
    assert turn["content"].count(OLD_NOTE) == left_out


@pytest.mark.parametrize(
    "poison",
    [shown(picture((50, 50), noise=True)[:99]), image(data="JUNK"), shown(picture((9000, 9000))), shown(b"GIF89a" + bytes(9))],
    ids=["cut", "junk", "bomb", "header"],
)
def test_row_57_a_broken_image_in_old_history_does_not_end_the_conversation(poison: Json) -> None:
    first, current = sent(user(text("Look"), poison), assistant("Yes"), user("And now?"))
    assert first["content"] == f"Look\n{UNREADABLE_NOTE}"
    assert "images" not in first
    assert current["content"] == "And now?"
    with pytest.raises(RequestRejected, match=r"^messages\.2\.content\.0\.image\.source\.base64: "):
        sent(user("Hi"), assistant("Yes"), user(poison))


def test_row_57_an_oversized_image_in_old_history_is_shrunk_as_it_was() -> None:
    large = user(shown(picture((8100, 90))))
    (now,) = sent(large)
    before, _ = sent(large, assistant("Yes"), user("And now?"))
    assert images(now) == images(before)
    assert opened(images(now)[0]).size == (1568, 17)


def test_row_58_a_large_image_in_a_result_is_shrunk_and_lifted() -> None:
    turn = sent(*LOOP, user(result(content=[shown(picture((9000, 9)))])), tools=[READ])[-1]
    assert [opened(data).size for data in images(turn)] == [(1568, 2)]
    assert turn["userInputMessageContext"]["toolResults"][0]["content"] == [{"text": "(the image is attached)"}]


def test_row_58_the_same_image_in_a_later_result_is_a_note() -> None:
    shot = shown(picture((30, 30), noise=True))
    again = (assistant(call("toolu_2", name="Read")), user(result("toolu_2", content=[shot])))
    first, second = sent(*LOOP, user(result(content=[shot])), *again, tools=[READ])[-2:]
    assert len(first["images"]) == 1
    assert "images" not in second
    said = second["userInputMessageContext"]["toolResults"][0]["content"]
    assert said == [{"text": "(the same image as in message 3)"}]


@pytest.mark.parametrize("kind", ["url", "file"])
def test_row_59_an_image_from_elsewhere_is_refused_with_its_path(kind: str) -> None:
    source = {"url": {"type": "url", "url": "https://example.test/a.png"}, "file": {"type": "file", "file_id": "file_1"}}[kind]
    with pytest.raises(RequestRejected, match=rf"^messages\.0\.content\.0\.image\.source: images by {kind}"):
        sent(user({"type": "image", "source": source}))


def test_row_60_a_model_that_reads_no_images_gets_a_note_whatever_the_image() -> None:
    turn = sent(user(text("Look"), shown(picture((9000, 9))), shown(b"broken")), model="glm-5")[-1]
    assert "images" not in turn
    assert turn["content"].count("(an image was left out: this model does not read images)") == 2


def test_row_61_a_pdf_in_a_result_becomes_its_text() -> None:
    turn = sent(*LOOP, user(result(content=[text("report.pdf"), document(pdf("one", "two", "three"))])), tools=[READ])[-1]
    ((part,),) = (entry["content"] for entry in turn["userInputMessageContext"]["toolResults"])
    assert part["text"] == "report.pdf\n<document>\n[page 1]\none\n\n[page 2]\ntwo\n\n[page 3]\nthree\n</document>"
    assert "documents" not in turn


def test_row_61_a_pdf_that_nobody_can_read_is_refused_at_once() -> None:
    began_at = time.monotonic()
    with pytest.raises(RequestRejected, match=r"^messages\.0\.content\.0\.document\.source\.base64: .* password protected"):
        sent(user(document(encrypted_pdf())))
    huge = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0x" * 6_250_000}
    with pytest.raises(RequestRejected, match="32 MB at most"):
        sent(user({"type": "document", "source": huge}))
    assert time.monotonic() - began_at < 2


def test_row_62_a_document_of_text_and_images_is_sent_whole() -> None:
    source = {"type": "content", "content": [text("before"), shown(picture((8100, 9))), text("after")]}
    (turn,) = sent(user({"type": "document", "source": source, "title": "T"}))
    assert turn["content"] == '<document title="T">\nbefore\nafter\n</document>'
    assert [opened(data).size for data in images(turn)] == [(1568, 2)]
