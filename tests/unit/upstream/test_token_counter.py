from __future__ import annotations

import logging
from typing import Any

import orjson
import pytest

from app.kiro.endpoints import HttpCall
from app.settings import snapshot
from app.upstream.http import HttpAnswer, TransportFailed
from app.upstream.token_counter import PAUSE_SECONDS, TokenCounter

URL = "https://counting.test/v1/messages/count_tokens"
RAW: dict[str, Any] = {"model": "claude-opus-5", "messages": [{"role": "user", "content": "Hello, Claude"}]}
KEY = "sk-the-operator-s-own"
RIGHT = HttpAnswer(200, {}, b'{"input_tokens": 7}')


class Service:
    """Stands in for the HTTP client: gives the same answer to every call, or raises it."""

    def __init__(self, answer: HttpAnswer | Exception = RIGHT) -> None:
        self.answer = answer
        self.calls: list[HttpCall] = []

    def send(self, call: Any, *, proxy_url: str | None, timeout_seconds: float) -> HttpAnswer:
        assert timeout_seconds <= 10
        self.calls.append(call)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def counter(service: Service, clock: Any = lambda: 0.0, **settings: str) -> TokenCounter:
    found = snapshot({f"count_tokens_{name}": value for name, value in settings.items()})
    return TokenCounter(service, lambda: found, clock)


def test_the_service_is_asked_what_the_client_asked() -> None:
    service = Service()
    assert counter(service, api_url=URL, api_key=KEY).ask(RAW, version="2023-06-01") == 7
    (call,) = service.calls
    assert (call.method, call.url, orjson.loads(call.body or b"")) == ("POST", URL, RAW)
    assert (call.headers["x-api-key"], call.headers["anthropic-version"]) == (KEY, "2023-06-01")


def test_a_bearer_key_is_sent_as_one() -> None:
    service = Service()
    counter(service, api_url=URL, api_key=KEY, auth_type="bearer").ask(RAW, version="2023-06-01")
    assert service.calls[0].headers["Authorization"] == f"Bearer {KEY}"
    assert "x-api-key" not in service.calls[0].headers


def test_without_a_key_none_is_sent() -> None:
    service = Service()
    counter(service, api_url=URL).ask(RAW, version="2023-06-01")
    assert not {"Authorization", "x-api-key"} & set(service.calls[0].headers)


def test_nobody_is_asked_where_nobody_is_named() -> None:
    service = Service()
    assert counter(service, api_key=KEY).ask(RAW, version="2023-06-01") is None
    assert service.calls == []


FAILURES: dict[str, HttpAnswer | Exception] = {
    "refused": HttpAnswer(401, {}, b'{"input_tokens": 7}'),
    "redirect": HttpAnswer(302, {"location": "http://elsewhere.test"}, b'{"input_tokens": 7}'),
    "html": HttpAnswer(200, {}, b"<html>"),
    "bytes": HttpAnswer(200, {}, b"\xff\xfe"),
    "list": HttpAnswer(200, {}, b"[7]"),
    "text": HttpAnswer(200, {}, b'{"input_tokens": "7"}'),
    "true": HttpAnswer(200, {}, b'{"input_tokens": true}'),
    "negative": HttpAnswer(200, {}, b'{"input_tokens": -1}'),
    "huge": HttpAnswer(200, {}, b'{"input_tokens": 99999999999999999}'),
    "silence": TransportFailed("Kiro did not answer in time", sent=True),
}


@pytest.mark.parametrize("answer", FAILURES.values(), ids=FAILURES)
def test_a_service_that_fails_is_told_once_and_left_alone_for_a_while(
    answer: HttpAnswer | Exception, caplog: pytest.LogCaptureFixture
) -> None:
    service, clock = Service(answer), Clock()
    asking = counter(service, clock, api_url=URL, api_key=KEY)
    with caplog.at_level(logging.INFO):
        assert [asking.ask(RAW, version="2023-06-01") for _ in range(3)] == [None] * 3
        assert len(service.calls) == 1
        clock.now = PAUSE_SECONDS
        assert asking.ask(RAW, version="2023-06-01") is None
        assert len(service.calls) == 2
        service.answer, clock.now = RIGHT, 2 * PAUSE_SECONDS
        assert asking.ask(RAW, version="2023-06-01") == 7
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert not any(secret in caplog.text for secret in (KEY, "Hello", "Kiro"))


def test_what_cannot_be_written_is_counted_here() -> None:
    service = Service()
    assert counter(service, api_url=URL).ask({**RAW, "system": "\ud800"}, version="2023-06-01") is None
    assert service.calls == []


def test_nothing_costs_nothing() -> None:
    assert counter(Service(HttpAnswer(200, {}, b'{"input_tokens": 0}')), api_url=URL).ask(RAW, version="2023-06-01") == 1


def test_the_key_is_in_no_repr() -> None:
    assert KEY not in repr(snapshot({"count_tokens_api_key": KEY}))
