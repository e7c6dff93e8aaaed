"""What an exchange holds while its answer comes, with an upstream that hands out events one by one."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from typing import Any

from app.kiro.events import AssistantText, KiroEvent
from app.ledger import RequestRecord
from app.relay import Call, Exchange
from app.runtime.sockets import StreamWatch
from app.settings import snapshot
from app.translate.response import ReplyBuilder
from tests.unit.translate.replies import builder


class Document:
    """Stands for the request and its translation."""


class FakeAnswer:
    """An answer whose bytes are there already. events: one a receive, the first one at once."""

    has_buffered = True
    socket = None

    def __init__(self, *events: KiroEvent) -> None:
        self.first_events = [events[0]]
        self._events = list(events[1:])

    @property
    def ended(self) -> bool:
        return not self._events

    def receive(self) -> Iterator[KiroEvent]:
        yield self._events.pop(0)

    def finish(self) -> None:
        """It is whole."""

    def close(self) -> None:
        """There is no connection."""


class FakeAttempts:
    """One attempt that succeeds."""

    def __init__(self, answer: FakeAnswer) -> None:
        self.log: list[Any] = []
        self.changes: list[str] = []
        self.settled = 0
        self._answer = answer

    def open(self) -> FakeAnswer:
        return self._answer

    def settle(self) -> None:
        self.settled += 1

    def succeeded(self) -> None:
        """Nothing to note."""

    def abandoned(self) -> None:
        """Nothing to give back."""


class FakeLedger:
    def record(self, record: RequestRecord) -> None:
        """Nothing to keep."""


def exchange(attempts: FakeAttempts, document: Document) -> Exchange:
    def new_builder(kept: Document = document) -> ReplyBuilder:
        return builder()

    return Exchange(
        attempts,  # type: ignore[arg-type]
        new_builder,
        StreamWatch(None),
        snapshot({}),
        Call("req_1", "1", None, None, RequestRecord(id="req_1", at=0.0, path="/v1/messages")),
        FakeLedger(),  # type: ignore[arg-type]
        stream=True,
        demand="",
        wants_nothing=False,
    )


def test_the_request_is_kept_until_content_was_passed_on_and_no_longer() -> None:
    document = Document()
    kept = weakref.ref(document)
    attempts = FakeAttempts(FakeAnswer(AssistantText(""), AssistantText("Hi"), AssistantText(" there"), AssistantText("!")))
    opened = exchange(attempts, document)
    del document
    opened.begin()
    assert [event["type"] for event in next(opened)] == ["message_start"]
    assert kept() is not None  # nothing was said: another attempt may be needed
    assert next(opened)[0]["type"] == "content_block_start"
    next(opened)
    assert (kept(), attempts.settled) == (None, 1)
    assert [event["type"] for batch in opened for event in batch][-1] == "message_stop"
    opened.close()
    assert attempts.settled == 1
