"""One chat call from document to first event, against bare sockets."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from typing import Any
from unittest import mock

import gevent
import gevent.event
import orjson
import pytest

from app.credentials.credential import Credential
from app.errors import (
    CorruptFrame,
    GatewayError,
    MalformedEvent,
    QuotaExhausted,
    Throttled,
    TokenRejected,
    TruncatedStream,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from app.kiro import events as e
from app.kiro.endpoints import ClientIdentity
from app.kiro.request import KiroRequest
from app.kiro.routes import Route
from app.runtime.sockets import wait_readable
from app.upstream import client as client_module
from app.upstream.client import Answer, ChatClient
from app.upstream.http import Http, TransportFailed
from tests.unit.kiro import frames as f
from tests.unit.upstream.patched import patched
from tests.unit.upstream.servers import STREAM_HEAD, Peer, Play, answer, answering, black_hole, chunk, chunked, serving

ARN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ABCDEF123456"
IDENTITY = ClientIdentity("0.12.155", "0.9.2", "darwin#24.6.0", "v22.12.0")
CREDENTIAL = Credential(id=1, kind="social", access_token="aoaX", machine_id="0" * 64, auth_region="us-east-1")
HELLO, END = f.event("assistantResponseEvent", {"content": "Hi"}), f.event("contextUsageEvent", {"contextUsagePercentage": 2})
BROKEN = HELLO[:-1] + bytes([HELLO[-1] ^ 1])
THROTTLED = f.Sent(f.strings(message_type="exception", exception_type="ThrottlingException"), b'{"message":"slow"}').encode()
OUTGROWN = f.Sent(f.strings(message_type="exception", exception_type="ContentLengthExceededException"), b"{}").encode()
FAULTS = {"crc": (BROKEN, CorruptFrame), "told": (THROTTLED, Throttled), "cut": (HELLO[:9], TruncatedStream)}


def call(url: str, *, seconds: float = 5.0, arn: str | None = ARN) -> Answer:
    request = KiroRequest({"conversationId": "c"})
    client = ChatClient(Http(upstream_url=url), lambda: IDENTITY)
    return client.open(CREDENTIAL, request, route=Route("q", arn), first_event_seconds=seconds)


@contextlib.contextmanager
def opened(play: Play, **options: Any) -> Iterator[Answer]:
    with serving(play) as server:
        answer_ = call(server.url, **options)
        try:
            yield answer_
        finally:
            answer_.close()


def failure(play: Play, **options: Any) -> GatewayError:
    """The error, once the connection is closed too."""
    with serving(play) as server:
        with pytest.raises(GatewayError) as raised:
            call(server.url, **options)
        server.join()
    return raised.value


def streaming(*frames: bytes) -> Play:
    """Each frame in a chunk of its own, then the end."""
    return answering(STREAM_HEAD, *map(chunk, frames), b"0\r\n\r\n")


def rest(answer_: Answer) -> list[e.KiroEvent]:
    """As the relay goes on after the first events."""
    events: list[e.KiroEvent] = []
    while not answer_.ended:
        if not answer_.has_buffered:
            assert wait_readable(answer_.socket, 5)
        events += answer_.receive()
    answer_.finish()
    return events


# -- answers --


@patched
def test_the_call_goes_out_with_this_credentials_token_and_arn() -> None:
    with serving(streaming(HELLO)) as server:
        for arn in (ARN, None):
            call(server.url, arn=arn).close()
        requests = [peer.request.partition(b"\r\n\r\n") for peer in server.peers]
    heads, bodies = [head.decode() for head, _, _ in requests], [orjson.loads(body) for _, _, body in requests]
    assert heads[0].startswith("POST /generateAssistantResponse HTTP/1.1\r\n")
    assert "\r\nHost: q.eu-central-1.amazonaws.com\r\n" in heads[0], "the region of the profile"
    assert "\r\nHost: q.us-east-1.amazonaws.com\r\n" in heads[1]
    assert all("\r\nAuthorization: Bearer aoaX\r\n" in head for head in heads)
    assert bodies == [
        {"conversationState": {"conversationId": "c"}, "profileArn": ARN},
        {"conversationState": {"conversationId": "c"}},
    ]
    ids = {line for head in heads for line in head.split("\r\n") if line.startswith("amz-sdk-invocation-id: ")}
    assert len(ids) == 2, "a new one for each attempt"


@patched
def test_it_returns_with_the_first_event_while_the_rest_is_still_to_come() -> None:
    go = gevent.event.Event()

    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(STREAM_HEAD, chunk(HELLO))
        go.wait()
        peer.send(chunk(END), b"0\r\n\r\n")

    with opened(play) as answer_:
        assert answer_.first_events == [e.AssistantText("Hi")]
        go.set()
        assert rest(answer_) == [e.ContextUsage(2.0)]


@patched
def test_events_without_meaning_are_not_the_first_event() -> None:
    frames = [f.event("initial-response", {}), f.event("newEvent", {}), HELLO, END]
    with opened(streaming(*frames)) as answer_:
        known = [*answer_.first_events, *rest(answer_)]
    assert known == [e.Ignored("initial-response"), e.Unknown("newEvent"), e.AssistantText("Hi"), e.ContextUsage(2.0)]


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
@patched
def test_chunks_and_frames_need_not_agree(size: int) -> None:
    with opened(answering(STREAM_HEAD, chunked(HELLO * 5 + END, size))) as answer_:
        assert [*answer_.first_events, *rest(answer_)] == [e.AssistantText("Hi")] * 5 + [e.ContextUsage(2.0)]


# -- errors --


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (400, b'{"message":"Improperly formed request.","reason":null}', UpstreamRefused),
        (402, b'{"message":"You have reached the limit.","reason":"MONTHLY_REQUEST_COUNT"}', QuotaExhausted),
        (403, b'{"message":"The bearer token included in the request is invalid."}', TokenRejected),
        (429, b"", Throttled),
        (500, b"<html>oh</html>", UpstreamError),
        (204, b"", UpstreamError),
    ],
)
@patched
def test_an_error_answer_is_the_error_it_stands_for(status: int, body: bytes, kind: type[GatewayError]) -> None:
    error = failure(answering(answer(status, body) if status != 204 else b"HTTP/1.1 204 No\r\n\r\n"))
    assert type(error) is kind
    assert "<" not in error.message
    in_chunks = b"HTTP/1.1 %d Some\r\nTransfer-Encoding: chunked\r\n\r\n" % status
    assert type(failure(answering(in_chunks, chunked(body, 5)))) is kind


@patched
def test_a_date_to_come_back_at_is_kept() -> None:
    at = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 90))
    seconds = failure(answering(answer(429, b"{}", Retry_After=at))).retry_after_seconds
    assert seconds is not None
    assert 85 <= seconds <= 90


@pytest.mark.parametrize("ending", ["cut", "silent", "badly framed", "reset"])
@patched
def test_an_error_whose_body_does_not_come_is_judged_by_its_status(ending: str) -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(b"HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n", b"5\r\nhal")
        if ending == "silent":
            peer.wait_for_the_end()
        elif ending == "badly framed":
            peer.send(b"foXX\r\nzz\r\n")
        elif ending == "reset":
            peer.reset()

    with mock.patch.object(client_module, "ERROR_BODY_SECONDS", 0.1):
        error = failure(play)
    assert type(error) is Throttled
    assert error.retry_after_seconds == 7


@patched
def test_an_endless_error_body_is_read_up_to_a_limit() -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.sock.sendall(b"HTTP/1.1 500 Oh\r\n\r\n")
        while True:
            peer.sock.sendall(bytes(65536))

    assert type(failure(play)) is UpstreamError


@pytest.mark.parametrize("kind", ["application/json", "Application/JSON; charset=utf-8", "application/x-amz-json-1.0"])
@patched
def test_a_json_answer_with_status_200_is_an_error_in_disguise(kind: str) -> None:
    body = b'{"__type":"com.amazon.aws#ThrottlingException","message":"slow","retryAfterMilliseconds":8000}'
    error = failure(answering(answer(200, body, Content_Type=kind)))
    assert type(error) is Throttled
    assert error.retry_after_seconds == 8
    assert type(failure(answering(answer(200, b"{}", Content_Type=kind)))) is UpstreamError


# -- streams that break before the first event --


@pytest.mark.parametrize(
    ("frames", "kind"),
    [
        ([], TruncatedStream),
        ([f.event("initial-response", {})], TruncatedStream),
        ([HELLO[:-5]], TruncatedStream),
        ([BROKEN], CorruptFrame),
        ([b"<html>not frames</html>"], CorruptFrame),
        ([THROTTLED], Throttled),
        ([f.event("assistantResponseEvent", b"{")], MalformedEvent),
        ([OUTGROWN], UpstreamRefused),
    ],
)
@patched
def test_trouble_before_the_first_event_is_an_error(frames: list[bytes], kind: type[GatewayError]) -> None:
    assert type(failure(streaming(*frames))) is kind


@pytest.mark.parametrize("head", [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n"])
@patched
def test_an_empty_body_is_a_truncated_stream(head: bytes) -> None:
    assert type(failure(answering(head))) is TruncatedStream


@pytest.mark.parametrize("how", ["close", "reset"])
@patched
def test_a_connection_that_ends_behind_the_headers_is_a_truncated_stream(how: str) -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(STREAM_HEAD)
        if how == "reset":
            peer.reset()

    assert type(failure(play)) is TruncatedStream


@pytest.mark.parametrize("together", [True, False])
@pytest.mark.parametrize("name", FAULTS)
@patched
def test_events_before_a_fault_come_out_and_the_fault_comes_after_them(name: str, together: bool) -> None:
    fault, kind = FAULTS[name]
    with opened(streaming(HELLO + fault) if together else streaming(HELLO, fault)) as answer_:
        assert answer_.first_events == [e.AssistantText("Hi")]
        with pytest.raises(GatewayError) as raised:
            rest(answer_)
    assert type(raised.value) is kind


# -- silence --


@pytest.mark.parametrize("sent", [b"", b"HTTP/1.1 200", STREAM_HEAD, STREAM_HEAD + chunk(HELLO[:20])])
@patched
def test_silence_before_the_first_event_is_bounded_and_ends_the_connection(sent: bytes) -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(sent)
        peer.wait_for_the_end()

    began = time.monotonic()
    error = failure(play, seconds=0.1)
    assert type(error) is UpstreamUnavailable
    assert "0.1 seconds" in error.message
    assert time.monotonic() - began < 1


@patched
def test_a_trickle_without_meaning_is_silence() -> None:
    def play(peer: Peer) -> None:
        peer.read_request()
        peer.send(STREAM_HEAD)
        while True:
            peer.send_chunks(f.event("initial-response", {}))

    assert type(failure(play, seconds=0.1)) is UpstreamUnavailable


@patched
def test_a_connection_that_is_never_made_is_bounded_too() -> None:
    with black_hole() as port, pytest.raises(TransportFailed) as raised:
        call(f"http://127.0.0.1:{port}", seconds=0.1)
    assert not raised.value.sent


@patched
def test_being_killed_while_waiting_closes_the_connection() -> None:
    with serving(Peer.wait_for_the_end) as server:
        waiting = gevent.spawn(call, server.url)
        while not server.peers:
            gevent.sleep(0.005)
        gevent.sleep(0.02)
        waiting.kill()
        server.join()
