"""The official SDK as the judge of our streams: what it accumulates from our bytes is what we fold from the same events."""

from __future__ import annotations

import asyncio
from typing import Any

import anthropic
import httpx2
import orjson
import pytest
from anthropic.types import Message
from hypothesis import given, settings
from hypothesis import strategies as st

from app.anthropic import events as e
from app.anthropic.envelope import error_body, error_event, error_headers
from app.anthropic.message import fold
from app.anthropic.sse import encode
from app.errors import AtCapacity, GatewayError, NotAuthenticated, PromptTooLong, RequestRejected, Throttled
from tests.unit.anthropic.streams import streams

ID = "req_011CTzqkv7wDh3mPq2RtYxNb"
ASK: dict[str, Any] = {"model": "claude", "max_tokens": 10, "messages": [{"role": "user", "content": "Hi"}]}


class _Pieces(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that arrives in pieces of a few bytes, cut in the middle of characters too."""

    def __init__(self, data: bytes, size: int) -> None:
        self._pieces = [data[at : at + size] for at in range(0, len(data), size)]

    def __iter__(self) -> Any:
        return iter(self._pieces)

    async def __aiter__(self) -> Any:
        for piece in self._pieces:
            yield piece


def _transport(body: bytes, *, status: int = 200, size: int = 1000, headers: Any = None) -> httpx2.MockTransport:
    kind = "text/event-stream; charset=utf-8" if status == 200 else "application/json"

    def answer(_request: httpx2.Request) -> httpx2.Response:
        sent = {"content-type": kind, "request-id": ID, **(headers or {})}
        return httpx2.Response(status, headers=sent, stream=_Pieces(body, size))

    return httpx2.MockTransport(answer)


def _sdk(transport: httpx2.MockTransport) -> anthropic.Anthropic:
    return anthropic.Anthropic(
        api_key="k", base_url="http://gateway", max_retries=0, http_client=httpx2.Client(transport=transport)
    )


def _accumulated(body: bytes, size: int = 1000) -> Message:
    with _sdk(_transport(body, size=size)).messages.stream(**ASK) as stream:
        return stream.get_final_message()


def _comparable(message: Any) -> Any:
    """Without what the SDK adds: keys that are null, and its own parsed output."""
    if isinstance(message, dict):
        return {key: _comparable(value) for key, value in message.items() if value is not None and key != "parsed_output"}
    if isinstance(message, list):
        return [_comparable(item) for item in message]
    return message


@settings(deadline=None)
@given(streams(), st.integers(1, 300))
def test_the_sdk_accumulates_what_we_fold(stream: list[e.StreamEvent], size: int) -> None:
    accumulated = _accumulated(b"".join(map(encode, stream)), size)
    assert _comparable(accumulated.to_dict(mode="json")) == _comparable(fold(stream))


@settings(deadline=None, max_examples=20)
@given(streams())
def test_the_whole_message_is_what_the_sdk_reads(stream: list[e.StreamEvent]) -> None:
    message = fold(stream)
    read = Message.model_validate_json(orjson.dumps(message))
    assert _comparable(read.to_dict(mode="json")) == _comparable(message)


@settings(deadline=None, max_examples=20)
@given(streams())
def test_the_asynchronous_sdk_accumulates_the_same(stream: list[e.StreamEvent]) -> None:
    body = b"".join(map(encode, stream))

    async def read() -> Message:
        client = httpx2.AsyncClient(transport=_transport(body, size=7))
        sdk = anthropic.AsyncAnthropic(api_key="k", base_url="http://gateway", http_client=client)
        async with sdk.messages.stream(**ASK) as events:
            return await events.get_final_message()

    assert _comparable(asyncio.run(read()).to_dict(mode="json")) == _comparable(fold(stream))


@settings(deadline=None)
@given(streams())
def test_each_event_has_the_sdk_s_own_type(stream: list[e.StreamEvent]) -> None:
    transport = _transport(b"".join(map(encode, stream)))
    read = list(_sdk(transport).messages.create(**ASK, stream=True))
    assert [event.type for event in read] == [event["type"] for event in stream if event["type"] != "ping"]
    assert all(type(event).__name__.startswith("Raw") for event in read), "none was taken for something unknown"


def test_an_error_in_the_stream_is_raised() -> None:
    start = e.message_start(message_id="msg_1", model="claude", input_tokens=1)
    body = encode(start) + encode(error_event(AtCapacity(), ID))
    with pytest.raises(anthropic.APIStatusError, match="Overloaded") as caught:
        _accumulated(body)
    assert caught.value.body == error_body(AtCapacity(), ID)


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (RequestRejected("max_tokens: Field required"), anthropic.BadRequestError),
        (PromptTooLong(2, 1), anthropic.BadRequestError),
        (NotAuthenticated(), anthropic.AuthenticationError),
        (Throttled(retry_after_seconds=8), anthropic.RateLimitError),
        (GatewayError(), anthropic.InternalServerError),
    ],
)
def test_an_error_is_the_sdk_s_own_exception(error: GatewayError, raised: type[anthropic.APIStatusError]) -> None:
    transport = _transport(orjson.dumps(error_body(error, ID)), status=error.status, headers=error_headers(error))
    with pytest.raises(raised) as caught:
        _sdk(transport).messages.create(**ASK)
    assert caught.value.request_id == ID
    assert error.message in str(caught.value)


@pytest.mark.parametrize(("error", "requests"), [(RequestRejected(), 1), (Throttled(), 3)])
def test_the_sdk_comes_back_only_when_it_may(error: GatewayError, requests: int) -> None:
    seen = []

    def answer(request: httpx2.Request) -> httpx2.Response:
        seen.append(request)
        return httpx2.Response(
            error.status, json=error_body(error, ID), headers={**error_headers(error), "retry-after-ms": "1"}
        )

    with pytest.raises(anthropic.APIStatusError):
        _sdk(httpx2.MockTransport(answer)).with_options(max_retries=2).messages.create(**ASK)
    assert len(seen) == requests


def test_the_sdk_s_tool_runner_goes_on_without_a_thread() -> None:
    """Declined with the code it knows, the SDK sends the whole conversation instead."""
    from app.anthropic.request import parse_message_request

    bodies: list[dict[str, Any]] = []
    ask = [
        e.message_start(message_id="msg_1", model="claude", input_tokens=1),
        e.content_block_start(0, e.tool_use_block("toolu_1", "add")),
        e.input_json_delta(0, '{"a":1,"b":2}'),
        e.content_block_stop(0),
        e.message_delta("tool_use", None, e.final_usage(input_tokens=1, output_tokens=1)),
        e.message_stop(),
    ]
    tell = [
        ask[0],
        e.content_block_start(0, e.text_block()),
        e.text_delta(0, "3"),
        e.content_block_stop(0),
        e.message_delta("end_turn", None, e.final_usage(input_tokens=1, output_tokens=1)),
        e.message_stop(),
    ]

    def answer(request: httpx2.Request) -> httpx2.Response:
        raw = orjson.loads(request.content)
        bodies.append(raw)
        try:
            parsed = parse_message_request(raw, version=request.headers["anthropic-version"])
        except RequestRejected as error:
            return httpx2.Response(error.status, json=error_body(error, ID), headers=error_headers(error))
        return httpx2.Response(200, json=fold(tell if len(parsed.messages) > 1 else ask))

    @anthropic.beta_tool
    def add(a: int, b: int) -> str:
        """Add two numbers.

        Args:
            a: one
            b: the other
        """
        return str(a + b)

    sdk = _sdk(httpx2.MockTransport(answer))
    runner = sdk.beta.messages.tool_runner(tools=[add], **ASK)
    last = runner.until_done()
    assert last.content[0].type == "text"
    assert last.content[0].text == "3"
    assert "thread" in bodies[0], "the SDK still tries a thread first"
    assert len(bodies[-1]["messages"]) == 3, "the whole conversation"
    assert "thread" not in bodies[-1]
