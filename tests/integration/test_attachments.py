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

from simulator.client import Simulator
from tests.integration.gateway import Gateway, running_gateway
from tests.integration.wire import Answer, ask, body
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
