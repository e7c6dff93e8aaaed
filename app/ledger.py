"""One record per request, written after its answer by one writer per worker.

In: finished `RequestRecord`s. Nothing here waits in a request: a record is put into a bounded queue; the writer stores what has
gathered, at most a second later. A record that finds the queue full is dropped, counted and told in the log;
so is one that the database does not take three times.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.exc import SQLAlchemyError

from app.errors import StorageUnavailable
from app.runtime.tasks import Task, spawn
from app.storage import reading, transaction
from app.storage.tables import CredentialRow, RequestRow

log = logging.getLogger(__name__)

QUEUE_RECORDS = 10_000
BATCH_RECORDS = 500
GATHER_SECONDS = 0.2
RETRIES = 3


@dataclass(frozen=True, slots=True)
class Attempt:
    """One try of one request.

    why: why this credential; status: `ok`, `abandoned` or the error's class; ms: how long it took.
    """

    credential_id: int | None
    credential_label: str | None
    why: str
    status: str
    reason: str | None
    ms: int


@dataclass(slots=True)
class RequestRecord:
    """What happened to one request. at: epoch seconds; token_source: exact, context or estimate; rules: those that fired."""

    id: str
    at: float
    path: str
    api_key_id: int | None = None
    key_name: str | None = None
    model_asked: str | None = None
    model_used: str | None = None
    stream: bool = False
    session_id: str | None = None
    status: int | None = None
    error_type: str | None = None
    error_message: str | None = None
    attempts: list[Attempt] = field(default_factory=list)
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    token_source: str | None = None
    credits: Decimal | None = None
    rules: list[str] = field(default_factory=list)
    first_event_ms: int | None = None
    total_ms: int | None = None
    stop_reason: str | None = None


class Ledger:
    """Takes records and stores them behind the requests' backs."""

    def __init__(self) -> None:
        self._queue: deque[RequestRecord] = deque()
        self._writer: Task[None] | None = None
        self._dropped = 0

    def record(self, record: RequestRecord) -> None:
        """Hand a finished record over; returns at once and never raises."""
        if len(self._queue) >= QUEUE_RECORDS:
            self._dropped += 1
            return
        self._queue.append(record)
        if self._writer is None or self._writer.done:
            self._writer = spawn(self._write_all)

    def flush(self, timeout_seconds: float) -> bool:
        """Wait until everything handed over is stored; False when that took too long."""
        return self._writer is None or self._writer.join(timeout_seconds)

    def latest(self, limit: int = 20) -> list[RequestRecord]:
        """The last records, newest first."""
        with reading() as session:
            rows = session.scalars(select(RequestRow).order_by(RequestRow.at.desc()).limit(limit))
            return [_from_row(row) for row in rows]

    def get(self, id_: str) -> RequestRecord | None:
        """One record."""
        with reading() as session:
            row = session.get(RequestRow, id_)
            return None if row is None else _from_row(row)

    def _write_all(self) -> None:
        time.sleep(GATHER_SECONDS)
        while self._queue or self._dropped:
            batch = [self._queue.popleft() for _ in range(min(len(self._queue), BATCH_RECORDS))]
            self._store(batch)
            if self._dropped:
                dropped, self._dropped = self._dropped, 0
                log.error("%d request records could not be stored", dropped)
            time.sleep(0)

    def _store(self, batch: list[RequestRecord]) -> None:
        """Write a batch; each record by itself when the database refuses one of them."""
        for _ in range(RETRIES):
            try:
                self._write(batch)
                return
            except StorageUnavailable:
                continue
            except SQLAlchemyError as error:
                if len(batch) > 1:
                    for record in batch:
                        self._store([record])
                    return
                log.error("the record of request %s was refused: %s", batch[0].id, type(error).__name__)
                break
        self._dropped += len(batch)

    def _write(self, batch: list[RequestRecord]) -> None:
        with transaction() as session:
            session.add_all([_to_row(record) for record in batch])
            for id_, (times, last_at) in _served(batch).items():
                session.execute(
                    update(CredentialRow)
                    .where(CredentialRow.id == id_)
                    .values(success_count=CredentialRow.success_count + times, last_used_at=last_at)
                )


def _served(batch: list[RequestRecord]) -> dict[int, tuple[int, float]]:
    """What each credential answered: how often, and when last. In the order of ids: two writers never wait crosswise."""
    served: dict[int, tuple[int, float]] = {}
    for record in batch:
        for attempt in record.attempts:
            if attempt.status == "ok" and attempt.credential_id is not None:
                times, last_at = served.get(attempt.credential_id, (0, 0.0))
                served[attempt.credential_id] = times + 1, max(last_at, record.at)
    return dict(sorted(served.items()))


def _to_row(record: RequestRecord) -> RequestRow:
    values: dict[str, Any] = {item.name: getattr(record, item.name) for item in fields(record)}
    values["attempts"] = [asdict(attempt) for attempt in record.attempts]
    values["credits"] = None if record.credits is None else str(record.credits)
    values["rules"] = list(record.rules)
    return RequestRow(**values)


def _from_row(row: RequestRow) -> RequestRecord:
    values: dict[str, Any] = {item.name: getattr(row, item.name) for item in fields(RequestRecord)}
    values["attempts"] = [Attempt(**attempt) for attempt in row.attempts]
    values["credits"] = None if row.credits is None else Decimal(row.credits)
    return RequestRecord(**values)
