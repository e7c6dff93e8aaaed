"""One chat call for one credential: from a request document to Kiro events.

In: a `KiroRequest`, who pays, the way to send it. Out: an `Answer` whose first event has arrived, or an error of
the one tree. Knows nothing of retries, failover or the client.
"""

from __future__ import annotations

import socket
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from app.credentials.credential import Credential
from app.errors import GatewayError, TruncatedStream, UpstreamError, UpstreamRefused, UpstreamUnavailable
from app.kiro import failures
from app.kiro.endpoints import ClientIdentity, api_region, chat_call
from app.kiro.events import ContentLengthExceeded, Ignored, KiroEvent, Unknown, parse_event
from app.kiro.eventstream import FrameDecoder
from app.kiro.request import KiroRequest, serialise
from app.kiro.routes import Route
from app.runtime.clock import TimeLimit, limit
from app.runtime.sockets import wait_readable
from app.upstream.body import Body
from app.upstream.http import Http, StreamingAnswer

ERROR_BODY_SECONDS = 10.0
ERROR_BODY_BYTES = 1024 * 1024


@dataclass(slots=True)
class Answer:
    """An open answer: `receive` as often as `socket` is readable, `finish` when `ended`, `close` in any case."""

    body: Body
    decoder: FrameDecoder
    first_events: list[KiroEvent]
    fault: GatewayError | None = None  # came together with the first events and is raised after them

    @property
    def socket(self) -> socket.socket:
        return self.body.socket

    @property
    def ended(self) -> bool:
        """The body came to its own end, as the transfer encoding tells it, and nothing is left to say."""
        return self.body.ended and self.fault is None

    @property
    def has_buffered(self) -> bool:
        """Whether `receive` has something to say without waiting for the socket."""
        return self.fault is not None or self.body.has_buffered

    def receive(self) -> Iterator[KiroEvent]:
        """Events that are there now.

        Those before a fault are yielded, then the fault is raised: an EventStreamError, or what an exception frame says.
        """
        if self.fault is not None:
            raise self.fault
        for frame in self.decoder.feed(self.body.receive()):
            yield parse_event(frame)

    def finish(self) -> None:
        """Raises TruncatedStream when the body ended inside a frame."""
        self.decoder.close()

    def close(self) -> None:
        """Close the connection at once."""
        self.body.close()


class ChatClient:
    """Opens chat calls. identity: the versions we present ourselves with, read for each call."""

    def __init__(self, http: Http, identity: Callable[[], ClientIdentity]) -> None:
        self._http = http
        self._identity = identity

    def open(self, credential: Credential, request: KiroRequest, *, route: Route, first_event_seconds: float) -> Answer:
        """Post the request and wait for the first event that means something.

        Raises what `app.kiro.failures` makes of an error answer, EventStreamError for damaged bytes, UpstreamUnavailable when
        nothing came within `first_event_seconds`.
        """
        call = chat_call(
            host=route.host,
            region=api_region(credential.api_region, route.profile_arn, credential.auth_region),
            access_token=credential.access_token or "",
            machine_id=credential.machine_id or "",
            identity=self._identity(),
            kind=credential.kind,
            body=serialise(request, route.profile_arn, credential.id),
            invocation_id=str(uuid.uuid4()),
        )
        try:
            with limit(first_event_seconds):
                streaming = self._http.open(call, proxy_url=credential.proxy_url)
                try:
                    return self._first_events(streaming)
                except BaseException:
                    streaming.body.close()
                    raise
        except TimeLimit as error:
            raise UpstreamUnavailable(f"Kiro sent nothing for {first_event_seconds:g} seconds") from error

    def _first_events(self, streaming: StreamingAnswer) -> Answer:
        if streaming.status != 200:
            raise failures.classify(streaming.status, streaming.headers, _whole(streaming.body), now=time.time())
        if "json" in streaming.headers.get("content-type", "").lower():  # application/json, application/x-amz-json-1.0
            raise _error_in_disguise(_whole(streaming.body))
        answer = Answer(streaming.body, FrameDecoder(), [])
        while not answer.ended:
            if not answer.has_buffered:
                wait_readable(answer.socket, None)
            meant = False
            try:
                for event in answer.receive():
                    if isinstance(event, ContentLengthExceeded) and not meant:
                        raise UpstreamRefused("prompt is too long", reason=failures.PROMPT_TOO_LONG)
                    answer.first_events.append(event)
                    meant = meant or not isinstance(event, Ignored | Unknown)
            except GatewayError as error:
                if not meant:
                    raise
                answer.fault = error
            if meant:
                return answer
        answer.finish()
        raise TruncatedStream("Kiro ended its answer without saying anything")


def _error_in_disguise(body: bytes) -> GatewayError:
    """An error that came with status 200 and a JSON body. Source: protocol 4.3, last row."""
    return failures.from_exception("", body)


def _whole(body: Body) -> bytes:
    """An error's body, as far as it comes in time: its status alone says enough to go on."""
    pieces: list[bytes] = []
    size = 0
    try:
        with limit(ERROR_BODY_SECONDS):
            while not body.ended and size < ERROR_BODY_BYTES:
                if not body.has_buffered:
                    wait_readable(body.socket, None)
                pieces.append(body.receive())
                size += len(pieces[-1])
    except (TimeLimit, UpstreamError):  # late, cut or badly framed
        pass
    finally:
        body.close()
    return b"".join(pieces)
