"""The spine: a request of the client becomes a reply, in one direction.

    parse → translate → lend a credential → send → decode → translate back → (the door encodes)

In: a parsed `MessageRequest` and what the door knows of the call. Out: an `Exchange`, which is iterated for a stream (batches
of stream events, one batch per upstream receive) or folded into a whole message; both come from the same events.

Everything that can fail with an HTTP status fails in `Relay.open`: it returns with the first upstream event, or when the first
ping is due. Until the first content event trouble still fails over in silence; after it there is no retry and no failover,
the iteration raises and the door ends the stream with an `error` event. `message_stop` is only sent after the upstream body
ended cleanly on a frame boundary.
"""

from __future__ import annotations

import itertools
import logging
import secrets
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.anthropic.events import StreamEvent, ping
from app.anthropic.ids import message_id, tool_use_id
from app.anthropic.message import fold
from app.anthropic.request import MessageRequest
from app.attachments import Attachments
from app.attempts import Attempts
from app.counting import TokenCounts
from app.credentials.pool import Pool
from app.credentials.scheduler import Wanted
from app.errors import AtCapacity, GatewayError, UpstreamError, UpstreamUnavailable
from app.kiro.events import KiroEvent
from app.ledger import Ledger, RequestRecord
from app.runtime.sockets import Signal, StreamWatch, monotonic
from app.runtime.tasks import Task, spawn
from app.settings import Settings
from app.translate.conversation import conversation_ids, names_session
from app.translate.limits import check_limits
from app.translate.models import CatalogueModel, resolve
from app.translate.request import translate_request
from app.translate.response import Debt, ReplyBuilder
from app.translate.signatures import Sealer
from app.upstream.client import Answer, ChatClient

log = logging.getLogger(__name__)


class ClientGone(Exception):
    """The client left; there is nobody to answer."""


class _Final(Exception):
    def __init__(self, error: GatewayError) -> None:
        super().__init__(error)
        self.error = error


@dataclass(slots=True)
class Call:
    """What the door knows of one HTTP request.

    key_id: what tells one client key from another, for conversation ids.
    session: the client's own session header, None when it sends none.
    client: the client's socket, None when the server does not hand it out.
    record: the request record, filled in on the way and written when the exchange is closed.
    """

    request_id: str
    key_id: str
    session: str | None
    client: socket.socket | None
    record: RequestRecord


class Relay:
    """Opens exchanges; one object per process."""

    def __init__(
        self,
        *,
        pool: Pool,
        client: ChatClient,
        ledger: Ledger,
        settings: Callable[[], Settings],
        catalogue: Callable[[], tuple[CatalogueModel, ...]],
        sealer: Sealer,
        attachments: Attachments,
        counts: TokenCounts,
    ) -> None:
        self._pool = pool
        self._client = client
        self._ledger = ledger
        self._settings = settings
        self._catalogue = catalogue
        self._sealer = sealer
        self._attachments = attachments
        self._counts = counts

    def open(self, request: MessageRequest, call: Call) -> Exchange:
        """Translate, choose a credential, send, and wait for the first event (a stream: at most until the first ping).

        Raises GatewayError, or ClientGone.
        """
        try:
            exchange = self._prepare(request, call)
        except GatewayError as error:
            self.refuse(call, error)
            raise
        try:
            exchange.begin()
        except BaseException as error:
            exchange.close(error)
            raise
        return exchange

    def refuse(self, call: Call, error: GatewayError) -> None:
        """Record a request that ends before anything was sent upstream."""
        finish_record(call.record, error)
        self._ledger.record(call.record)

    def _prepare(self, request: MessageRequest, call: Call) -> Exchange:
        model = resolve(request.model, self._catalogue())
        check_limits(request, model)
        conversation_id, continuation_id = conversation_ids(request, session=call.session, key_id=call.key_id)
        settings = self._settings()
        prepared, changes = self._attachments.prepare(request, images=model.images, fetch_urls=settings.fetch_urls)
        translation = translate_request(
            prepared, model=model, conversation_id=conversation_id, continuation_id=continuation_id, sealer=self._sealer
        )
        input_tokens = self._counts.request(prepared, model.used)
        count = self._counts.text(request.model, model.used)
        call.record.model_used = model.used
        call.record.session_id = conversation_id
        call.record.rules = [*changes, *translation.rules]
        attempts = Attempts(
            self._pool,
            self._client,
            translation.kiro,
            settings,
            wanted=Wanted(
                model=model.used,
                session=conversation_id,
                begins=len(request.messages) == 1 and not names_session(request, call.session),
            ),
            input_tokens=input_tokens,
            context_tokens=model.context_tokens,
            tool_names=translation.tool_names,
        )
        id_ = message_id(secrets.token_bytes(18))

        def new_builder() -> ReplyBuilder:
            return ReplyBuilder(
                message_id=id_,
                model=request.model,
                tool_names=translation.tool_names,
                thinking=translation.thinking,
                input_tokens=input_tokens,
                context_tokens=model.context_tokens,
                new_tool_id=lambda: tool_use_id(secrets.token_bytes(18)),
                sign=lambda thinking, upstream: self._sealer.seal(thinking, model.used, upstream, attempts.credential_id),
                tools=translation.tools,
                owes_call=bool(translation.demand),
                owes_answer=translation.after_results,
                count=count,
            )

        watch = StreamWatch(call.client)
        return Exchange(
            attempts,
            new_builder,
            watch,
            settings,
            call,
            self._ledger,
            stream=request.stream,
            demand=translation.demand,
            wants_nothing=request.max_tokens == 0,
        )


class Exchange:
    """One request on its way through: iterate it, or take its `message()`; `close()` it in any case.

    Iterating yields lists of stream events and raises GatewayError when the reply cannot be completed, ClientGone when nobody
    is left to read it.
    """

    def __init__(
        self,
        attempts: Attempts,
        new_builder: Callable[[], ReplyBuilder],
        watch: StreamWatch,
        settings: Settings,
        call: Call,
        ledger: Ledger,
        *,
        stream: bool,
        demand: str,
        wants_nothing: bool,
    ) -> None:
        self._attempts = attempts
        self._new_builder = new_builder
        self._builder = new_builder()
        self._watch = watch
        self._settings = settings
        self._call = call
        self._ledger = ledger
        self._stream = stream
        self._demand = demand
        self._wants_nothing = wants_nothing
        self._began_at = monotonic()
        self._spoke_at = self._began_at  # when the client last got something
        self._task: Task[Answer] | None = None
        self._answer: Answer | None = None
        self._error: BaseException | None = None
        self._asked_again = False
        self._settled = False
        self._closed = False
        self._batches = self._run()

    def begin(self) -> None:
        """Wait for the first event; a stream waits at most until its first ping is due."""
        if self._wants_nothing:
            return
        self._task = spawn(self._attempts.open)
        due_at = self._began_at + self._settings.first_ping_seconds
        while not self._stream or monotonic() < due_at:
            self._watch.due_at = due_at if self._stream else self._began_at + self._settings.total_seconds
            signal = self._watch.finished(self._task)
            if signal is Signal.READY:
                task, self._task = self._task, None
                self._take(task.result())
                return
            try:
                self._heed(signal)
            except _Final as final:
                raise final.error from None

    def __iter__(self) -> Iterator[list[StreamEvent]]:
        return self

    def __next__(self) -> list[StreamEvent]:
        self._watch.handed_over()
        try:
            batch = next(self._batches)
        except (StopIteration, GatewayError, ClientGone) as end:
            self._error = None if isinstance(end, StopIteration) else end
            raise
        except Exception as bug:
            log.exception("request %s failed inside the gateway", self._call.request_id)
            self._error = GatewayError()
            raise self._error from bug
        self._spoke_at = monotonic()
        self._watch.handing_over()
        return batch

    def message(self) -> dict[str, Any]:
        """The whole reply, folded from the same events a stream sends."""
        return fold(itertools.chain.from_iterable(self))

    def close(self, error: BaseException | None = None) -> None:
        """Release everything and write the record; further calls do nothing.

        error: why the exchange ended, when it did not say so itself.
        """
        if self._closed:
            return
        self._closed = True
        self._watch.forget_source()
        self._watch.close()
        if self._task is not None:
            self._task.discard(lambda answer: answer.close())
        if self._answer is not None:
            self._answer.close()
            self._answer = None
        self._attempts.abandoned()
        self._write_record(self._error or error)

    # -- the conversation with upstream --

    def _run(self) -> Iterator[list[StreamEvent]]:
        yield self._builder.start()
        if self._wants_nothing:
            self._builder.end_at_limit()
            yield self._builder.finish()
            return
        while True:
            try:
                yield from self._await_answer()
                yield from self._pass_on()
            except _Final as final:
                self._attempts.abandoned()
                raise final.error from final
            except GatewayError as error:
                self._drop_answer()
                if self._builder.has_content:
                    self._attempts.broke(error)
                    raise
                self._attempts.failed(error)  # raises when there is no other attempt
                self._start_over()
                continue
            debt = self._builder.owes()
            if debt is not None and not self._builder.has_content and not self._asked_again:
                self._asked_again = True
                self._drop_answer()
                self._attempts.ask_again(self._demand)
                self._start_over()
                continue
            self._attempts.succeeded()
            self._drop_answer()
            if debt is Debt.ANSWER:
                raise UpstreamError("Kiro had nothing to say to the tool's result; send the request again")
            yield self._builder.finish()
            return

    def _start_over(self) -> None:
        """A new reply in place of one that nobody has seen; the client has had its message_start."""
        self._builder = self._new_builder()
        self._builder.start()

    def _await_answer(self) -> Iterator[list[StreamEvent]]:
        """Pings until an answer's first event is there."""
        while self._answer is None:
            if self._task is None:
                self._task = spawn(self._attempts.open)
            self._watch.due_at = self._next_due_at(idle_since=None)
            signal = self._watch.finished(self._task)
            if signal is Signal.READY:
                task, self._task = self._task, None
                try:
                    self._take(task.result())
                except GatewayError as error:
                    raise _Final(error) from error
            else:
                yield from self._heed(signal)

    def _pass_on(self) -> Iterator[list[StreamEvent]]:
        """The answer's events in the client's language until its body has ended cleanly."""
        answer = self._answer
        assert answer is not None
        heard_at = monotonic()
        yield from self._translate(iter(answer.first_events))
        answer.first_events = []
        while not answer.ended:
            if not self._settled and self._builder.has_content:
                self._settle()
            if not answer.has_buffered:
                self._watch.due_at = self._next_due_at(idle_since=heard_at)
                signal = self._watch.readable(answer.socket)
                if signal is not Signal.READY:
                    if signal is Signal.DUE and monotonic() - heard_at >= self._settings.idle_seconds:
                        raise UpstreamUnavailable(f"Kiro has been silent for {self._settings.idle_seconds:g} seconds")
                    yield from self._heed(signal)
                    continue
            heard_at = monotonic()
            yield from self._translate(answer.receive())
        answer.finish()

    def _settle(self) -> None:
        """Content has been passed on, so this answer stays the only one: let go of what a second attempt would take.

        Measured: 2.1 MB for a request of 1 MB, for as long as its stream lasts.
        """
        self._settled = True
        self._attempts.settle()
        del self._new_builder

    def _translate(self, events: Iterator[KiroEvent]) -> Iterator[list[StreamEvent]]:
        """One batch of everything that is there; what came before a fault is passed on before the fault is raised."""
        batch: list[StreamEvent] = []
        fault: GatewayError | None = None
        receive = self._builder.receive
        try:
            for event in events:
                batch += receive(event)
        except GatewayError as error:
            fault = error
        if batch:
            yield batch
        if fault is not None:
            raise fault

    # -- time --

    def _next_due_at(self, idle_since: float | None) -> float:
        """When a wait must come back: next ping, idle limit, or the end of all patience."""
        due_at = self._began_at + self._settings.total_seconds
        if self._stream:
            due_at = min(due_at, self._spoke_at + self._settings.ping_seconds)
        if idle_since is not None:
            due_at = min(due_at, idle_since + self._settings.idle_seconds)
        return due_at

    def _heed(self, signal: Signal) -> Iterator[list[StreamEvent]]:
        """React to a wait that did not bring what was waited for."""
        if signal is Signal.GONE:
            raise ClientGone
        if signal is Signal.ENDING:
            raise _Final(AtCapacity("The gateway is restarting; send the request again"))
        if monotonic() - self._began_at >= self._settings.total_seconds:
            raise _Final(UpstreamUnavailable(f"The answer took longer than {self._settings.total_seconds:g} seconds"))
        if self._stream and monotonic() - self._spoke_at >= self._settings.ping_seconds:
            return iter([[ping()]])
        return iter(())

    # -- the end --

    def _take(self, answer: Answer) -> None:
        self._answer = answer
        if self._call.record.first_event_ms is None:
            self._call.record.first_event_ms = round((monotonic() - self._began_at) * 1000)

    def _drop_answer(self) -> None:
        if self._answer is not None:
            self._watch.forget_source()
            self._answer.close()
            self._answer = None

    def _write_record(self, error: BaseException | None) -> None:
        record = self._call.record
        usage = self._builder.usage
        record.attempts = self._attempts.log
        recovered = ["recovered_call"] if self._builder.recovered else []
        record.rules = [*record.rules, *self._attempts.changes, *recovered]
        record.input_tokens = usage.input_tokens
        record.output_tokens = usage.output_tokens
        record.cache_read_tokens = usage.cache_read
        record.cache_write_tokens = usage.cache_write
        record.token_source = usage.source
        record.credits = usage.credits
        record.stop_reason = self._builder.stop_reason
        record.total_ms = round((monotonic() - self._began_at) * 1000)
        finish_record(record, error)
        self._ledger.record(record)


def finish_record(record: RequestRecord, error: BaseException | None) -> None:
    """Put the outcome into the record: the status the client saw, or would have seen before the stream began."""
    if error is None:
        record.status = 200
    elif isinstance(error, GatewayError):
        record.status, record.error_type, record.error_message = error.status, error.error_type, error.message
    elif isinstance(error, ClientGone):
        record.status, record.error_type, record.error_message = 499, "client_gone", "the client left"
    else:
        record.status, record.error_type, record.error_message = 500, "api_error", type(error).__name__
