"""Records are stored behind the requests' backs: nothing waits, nothing raises, nothing is lost at exit."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from time import perf_counter

import pytest

from app import ledger as ledger_module
from app.ledger import Attempt, Ledger, RequestRecord
from app.storage import engine as engine_module
from config import Config


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger_module, "GATHER_SECONDS", 0.01)
    monkeypatch.setattr(engine_module, "LOCK_WAIT_SECONDS", 0.05)


@pytest.fixture
def locked(database: Path) -> Iterator[sqlite3.Connection]:
    """Another process holds the write lock; ROLLBACK gives it up."""
    with closing(sqlite3.connect(database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield other


def record(id_: str, at: float = 0.0) -> RequestRecord:
    return RequestRecord(id=id_, at=at, path="/v1/messages")


def test_a_record_comes_back_as_it_was(either_database: Config) -> None:
    ledger = Ledger()
    whole = RequestRecord(
        id="req_1",
        at=1.5,
        path="/v1/messages",
        key_name="environment",
        model_asked="claude",
        stream=True,
        status=200,
        attempts=[Attempt(None, "one", "first", "ok", None, 12)],
        input_tokens=3,
        credits=Decimal("0.1"),
        rules=["merged"],
        first_event_ms=10,
    )
    ledger.record(whole)
    assert ledger.flush(5)
    assert ledger.get("req_1") == whole
    assert ledger.get("req_2") is None


def test_the_latest_come_first(either_database: Config) -> None:
    ledger = Ledger()
    for at in (1, 3, 2):
        ledger.record(record(f"req_{at}", at))
    assert ledger.flush(5)
    assert [each.id for each in ledger.latest(2)] == ["req_3", "req_2"]


def test_many_records_are_few_transactions(either_database: Config, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = Ledger()
    batches: list[int] = []
    real = Ledger._write
    monkeypatch.setattr(Ledger, "_write", lambda self, batch: batches.append(len(batch)) or real(self, batch))
    for number in range(1200):
        ledger.record(record(f"req_{number}"))
    assert ledger.flush(20)
    assert batches == [500, 500, 200]
    assert len(ledger.latest(2000)) == 1200


def test_a_record_is_handed_over_at_once_while_the_database_is_away(locked: sqlite3.Connection) -> None:
    ledger = Ledger()
    began_at = perf_counter()
    ledger.record(record("req_1"))
    assert perf_counter() - began_at < 0.02
    locked.execute("ROLLBACK")
    assert ledger.flush(5)
    assert ledger.get("req_1") is not None


def test_records_are_tried_three_times_then_told_in_the_log(
    locked: sqlite3.Connection, caplog: pytest.LogCaptureFixture
) -> None:
    ledger = Ledger()
    for number in range(3):
        ledger.record(record(f"req_{number}"))
    assert ledger.flush(10)
    assert caplog.text.count("the database does not answer") == 3
    assert "3 request records could not be stored" in caplog.text
    locked.execute("ROLLBACK")
    ledger.record(record("req_later"))
    assert ledger.flush(5)
    assert [each.id for each in ledger.latest()] == ["req_later"], "the writer goes on afterwards"


def test_a_full_queue_drops_and_tells(
    either_database: Config, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(ledger_module, "QUEUE_RECORDS", 5)
    ledger = Ledger()
    for number in range(8):
        ledger.record(record(f"req_{number}"))
    assert ledger.flush(5)
    assert len(ledger.latest()) == 5
    assert "3 request records could not be stored" in caplog.text


def test_one_refused_record_does_not_take_the_others_along(either_database: Config, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.ERROR)
    ledger = Ledger()
    for id_ in ("req_1", "req_2", "req_1", "req_3"):
        ledger.record(record(id_))
    assert ledger.flush(5)
    assert sorted(each.id for each in ledger.latest()) == ["req_1", "req_2", "req_3"]
    assert "the record of request req_1 was refused" in caplog.text
    assert "1 request records could not be stored" in caplog.text


def test_flushing_an_idle_ledger_is_at_once(either_database: Config) -> None:
    assert Ledger().flush(0)
