"""What a worker does once it serves, and when it leaves."""

from __future__ import annotations

import pytest

from app.runtime import worker


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What ran, in order; what other tests registered is left out."""
    monkeypatch.setattr(worker, "_at_start", [])
    monkeypatch.setattr(worker, "_at_exit", [])
    return []


def test_what_waits_for_the_start_runs_once_in_its_order(done: list[str]) -> None:
    worker.at_start(lambda: done.append("first"))
    worker.at_start(lambda: done.append("second"))
    assert done == []
    for _ in range(2):
        worker.begin()
    assert done == ["first", "second"]


def test_what_was_registered_last_leaves_first(done: list[str]) -> None:
    worker.at_exit(lambda: done.append("registered first"))
    worker.at_exit(lambda: done.append("registered last"))
    worker.leave()
    worker.leave()
    assert done == ["registered last", "registered first"]
