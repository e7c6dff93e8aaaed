from __future__ import annotations

from decimal import Decimal

import pytest

from app.ledger import Attempt, RequestRecord
from app.services import Services
from tests.unit.cli.conftest import Run, one_line


@pytest.fixture
def recorded(services: Services) -> RequestRecord:
    record = RequestRecord(
        id="req_1",
        at=1_790_000_000.0,
        path="/v1/messages",
        key_name="laptop",
        model_asked="claude-opus-5",
        model_used="claude-opus-4.8",
        status=429,
        error_type="rate_limit_error",
        error_message="Kiro asks\nto slow down",
        attempts=[
            Attempt(3, "a@example.test", "first by priority (0)", "Throttled", "slow down", 120),
            Attempt(None, None, "refresh", "RefreshFailed", None, 4),
        ],
        input_tokens=1200,
        output_tokens=3,
        token_source="estimate",
        credits=Decimal("0.25"),
        rules=["merged-turns"],
        total_ms=130,
    )
    services.ledger.record(record)
    assert services.ledger.flush(5)
    return record


def test_no_record_is_said(run: Run) -> None:
    assert run("requests").output == "No request has been recorded yet.\n"


@pytest.mark.usefixtures("recorded")
def test_the_last_requests_are_one_line_each(run: Run) -> None:
    head, line = run("requests").output.splitlines()
    assert head.split()[0] == "ID"
    for part in ("req_1", "2026-09-21 14:13:20 UTC", "laptop", "claude-opus-5 → claude-opus-4.8", "429", "rate_limit_error"):
        assert part in line


@pytest.mark.usefixtures("recorded")
def test_one_request_is_told_attempt_by_attempt(run: Run) -> None:
    lines = run("requests", "req_1").output.splitlines()
    assert "error        rate_limit_error: Kiro asks to slow down" in lines
    assert "tokens       1200 in, 3 out, 0 read from the cache, 0 written to it (estimate)" in lines
    assert lines[-2:] == [
        "attempt 1    credential 3 (a@example.test), first by priority (0) → Throttled: slow down [120 ms]",
        "attempt 2    no credential, refresh → RefreshFailed [4 ms]",
    ]


def test_an_unknown_request_points_to_the_list(run: Run) -> None:
    assert "flask --app wsgi requests" in one_line(run("requests", "req_nobody"))
