"""Images and PDFs on their way through a real gateway."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from PIL import Image

from app.attachments import MAX_URLS, Attachments
from app.errors import RequestRejected
from app.upstream.fetch import Fetched, NotFetched
from simulator.client import Simulator
from tests.integration.gateway import Gateway, flask_command, running_gateway
from tests.integration.wire import Answer, ask, body
from tests.unit.anthropic.bodies import parse, result, user
from tests.unit.translate.pictures import encoded, encrypted_pdf, pdf, picture

CHAT = "/generateAssistantResponse"


@pytest.fixture(scope="module")
def lone(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """One worker: what blocks its event loop is felt by everyone."""
    folder = tmp_path_factory.mktemp("lone")
    path = folder / "credentials.json"
    path.write_text(json.dumps({"refreshToken": simulator.add_account(kind="social")["refresh_token"]}))
    with running_gateway(folder, upstream_url=simulator.url, KIRO_CREDENTIALS_FILE=str(path)) as gateway:
        yield gateway


def attached(kind: str, media_type: str, data: bytes) -> dict[str, Any]:
    source = {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}
    return body(messages=[{"role": "user", "content": [{"type": "text", "text": "Look"}, {"type": kind, "source": source}]}])


def last_message(simulator: Simulator) -> dict[str, Any]:
    call = simulator.calls(CHAT)[-1]
    state = json.loads(call["body"]) if isinstance(call["body"], str) else call["body"]
    return dict(state["conversationState"]["currentMessage"]["userInputMessage"])


def photo() -> bytes:
    """6000 × 4000 pixels and some megabytes: half a second of work each."""
    image = Image.new("RGB", (6000, 4000))
    image.paste(Image.effect_noise((1500, 1000), 80).convert("RGB"), (0, 0))
    return encoded(image, compress_level=1)


def test_a_large_image_is_shrunk_while_others_are_answered(lone: Gateway, simulator: Simulator) -> None:
    simulator.clear_calls()
    large = [json.dumps(attached("image", "image/png", photo() + bytes([number]))).encode() for number in range(3)]
    assert ask(lone.url).status == 200
    answers: list[Answer] = []
    sending = [threading.Thread(target=lambda one=one: answers.append(ask(lone.url, one))) for one in large]
    for thread in sending:
        thread.start()
    waits = []
    while any(thread.is_alive() for thread in sending):
        began_at = time.monotonic()
        assert ask(lone.url).status == 200
        waits.append(time.monotonic() - began_at)
    assert [answer.status for answer in answers] == [200] * 3
    assert len(waits) > 3
    assert max(waits) < 0.3
    shrunk = [call for call in simulator.calls(CHAT) if "images" in json.dumps(call["body"])]
    assert len(shrunk) == 3


def test_a_pdf_is_sent_as_its_text(lone: Gateway, simulator: Simulator) -> None:
    assert ask(lone.url, attached("document", "application/pdf", pdf("one", "two", "three"))).status == 200
    content = last_message(simulator)["content"]
    assert content == "Look\n<document>\n[page 1]\none\n\n[page 2]\ntwo\n\n[page 3]\nthree\n</document>"


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (attached("document", "application/pdf", encrypted_pdf()), "password protected"),
        (attached("image", "image/png", picture((60, 60), noise=True)[:300]), "image.source.base64: Could not process image"),
    ],
    ids=["locked", "cut"],
)
def test_what_cannot_be_read_is_refused_soon_and_recorded(lone: Gateway, request_: dict[str, Any], said: str) -> None:
    began_at = time.monotonic()
    answer = ask(lone.url, request_)
    assert time.monotonic() - began_at < 2
    assert (answer.status, answer.json["error"]["type"]) == (400, "invalid_request_error")
    assert answer.json["error"]["message"].startswith("messages.0.content.1.")
    assert said in answer.json["error"]["message"]
    assert "Traceback" not in lone.log


# -- named by URL --


def named(kind: str, url: str = "https://files.example/one") -> dict[str, Any]:
    return {"type": kind, "source": {"type": "url", "url": url}}


class Web:
    """What is behind URLs. asked: each with the bytes that may come."""

    def __init__(self, **pages: Fetched) -> None:
        self.asked: list[tuple[str, int]] = []
        self._pages = pages

    def __call__(self, url: str, *, max_bytes: int, seconds: float) -> Fetched:
        assert 0 < seconds <= 10
        self.asked.append((url, max_bytes))
        try:
            return self._pages[url.rpartition("/")[2]]
        except KeyError:
            raise NotFetched("the host answers with HTTP status 404") from None


def sources(attachments: Attachments, *blocks: Any, images: bool = True) -> list[Any]:
    """The source of each block of a fetched request, the inner one of a tool result."""
    prepared, changes = attachments.prepare(parse(user(*blocks)), images=images, fetch_urls=True)
    assert changes[0] == "url_fetched"
    inner = [block.content[0] if block.type == "tool_result" else block for block in prepared.messages[0].content]
    return [block.source.model_dump() for block in inner]


def refusal(web: Web, *blocks: Any) -> str:
    with pytest.raises(RequestRejected) as raised:
        Attachments(web).prepare(parse(user(*blocks)), images=True, fetch_urls=True)
    return raised.value.message


@pytest.mark.parametrize("kind", ["image", "document"])
def test_urls_are_refused_unless_switched_on(lone: Gateway, kind: str) -> None:
    answer = ask(lone.url, body(messages=[{"role": "user", "content": [named(kind)]}]))
    assert answer.status == 400
    assert f"messages.0.content.0.{kind}.source: {kind}s by url are not fetched" in answer.json["error"]["message"]


def test_urls_that_lead_inside_are_refused_when_switched_on(lone: Gateway) -> None:
    inside = body(messages=[{"role": "user", "content": [named("image", "https://2852039166/latest/meta-data")]}])
    assert flask_command(lone.folder, "settings", "set", "fetch_urls", "on").returncode == 0
    try:
        deadline = time.monotonic() + 5
        while "source.url" not in (said := ask(lone.url, inside).json["error"]["message"]):
            assert time.monotonic() < deadline, said
            time.sleep(0.05)
    finally:
        flask_command(lone.folder, "settings", "set", "fetch_urls", "off")
    assert said == "messages.0.content.0.image.source.url: the host has no address on the public Internet"


def test_what_urls_hold_takes_their_place() -> None:
    small = picture((9, 9))
    web = Web(
        one=Fetched(small, "text/html"),
        two=Fetched("Grüße".encode(), "text/markdown; charset=UTF-8"),
        three=Fetched(pdf("a"), ""),
    )
    png = {"type": "base64", "media_type": "image/png", "data": base64.b64encode(small).decode()}
    two, three = named("document", "https://files.example/two"), named("document", "https://files.example/three")
    found = sources(Attachments(web), named("image"), two, three)
    assert found[0] == png
    assert [source["data"] for source in found[1:]] == ["Grüße", "[page 1]\na"]
    call = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
    history = [user("Hi"), {"role": "assistant", "content": [call]}, user(result(content=[named("image")]))]
    prepared, _ = Attachments(web).prepare(parse(*history), images=True, fetch_urls=True)
    inner: Any = prepared.messages[2].content[0]
    assert inner.content[0].source.model_dump() == png


def test_a_url_is_fetched_once_for_all_turns() -> None:
    web = Web(one=Fetched(b"text", "text/plain"))
    attachments = Attachments(web)
    assert sources(attachments, named("document"), named("document")) == sources(attachments, named("document")) * 2
    assert web.asked == [("https://files.example/one", 32 * 1024 * 1024)]


def test_a_model_without_images_has_none_fetched() -> None:
    web = Web()
    request = parse(user(named("image")))
    assert Attachments(web).prepare(request, images=False, fetch_urls=True) == (request, [])
    assert web.asked == []


@pytest.mark.parametrize(
    ("kind", "page", "said"),
    [
        ("image", Fetched(pdf("a"), "image/png"), "it is not a PNG, JPEG, GIF or WebP image"),
        ("image", Fetched(b"", "image/png"), "it is empty"),
        ("document", Fetched(picture((9, 9)), "image/png"), "it is neither a PDF nor text in a known encoding"),
        ("document", Fetched(b"text", ""), "it is neither a PDF nor text in a known encoding"),
        ("document", Fetched(b"text", "text/plain; charset=rot13"), "it is neither a PDF nor text in a known encoding"),
        ("document", Fetched(b"\xff", "text/plain"), "its text is not in the encoding it claims"),
    ],
)
def test_content_of_another_kind_is_refused_with_its_path(kind: str, page: Fetched, said: str) -> None:
    assert refusal(Web(one=page), named(kind)) == f"messages.0.content.0.{kind}.source.url: {said}"


def test_what_cannot_be_fetched_is_refused_with_its_path() -> None:
    said = refusal(Web(), {"type": "text", "text": "Look"}, named("image"))
    assert said == "messages.0.content.1.image.source.url: the host answers with HTTP status 404"


def test_more_urls_than_allowed_are_refused_before_the_first_is_fetched() -> None:
    web = Web()
    urls = [named("image", f"https://files.example/{number}") for number in range(MAX_URLS + 1)]
    assert "20 URLs at most" in refusal(web, *urls)
    assert web.asked == []


def test_all_urls_together_hold_no_more_than_a_request() -> None:
    web = Web(one=Fetched(b"a" * 30 * 1024 * 1024, "text/plain"))
    refusal(web, named("document"), named("image", "https://files.example/two"))
    assert [max_bytes for _, max_bytes in web.asked] == [32 * 1024 * 1024, 2 * 1024 * 1024]
