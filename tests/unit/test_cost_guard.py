"""The hot path does not become dearer unseen; see `cost_guard` for what is compared with what."""

from __future__ import annotations

import time

import pytest

from tests.unit.cost_guard import (
    ALLOWED,
    PARTS,
    STALE,
    Work,
    by_hand,
    compared,
    cpu_ns,
    decode,
    measure,
    relay,
    request,
    translate,
)

RENEW = "when that is meant, `make bench-baseline`"


def dearer_by_a_quarter(part: Work) -> Work:
    """The same part, which then works on for a quarter of the time it took."""
    extra_ns = min(cpu_ns(part) for _ in range(20)) // 4

    def work() -> None:
        part()
        until = time.thread_time_ns() + extra_ns
        while time.thread_time_ns() < until:
            pass

    return work


@pytest.mark.parametrize("name", PARTS)
def test_a_part_costs_what_it_did(name: str) -> None:
    cost = compared(name)
    assert cost < ALLOWED, f"{name} costs {cost:.2f} of what it did; {RENEW}"
    assert cost > STALE, f"{name} has become cheaper, {cost:.2f} of what it was: `make bench-baseline` keeps it so"


@pytest.mark.parametrize("name", PARTS)
def test_a_quarter_more_is_noticed(name: str) -> None:
    part = PARTS[name]
    assert measure(dearer_by_a_quarter(part)) / measure(part) > ALLOWED


def test_the_parts_do_their_work() -> None:
    assert len(decode()) == by_hand().count(b"event: content_block_delta") == relay().count(b"event: ") - 2
    assert translate().count(b"content_block_delta\n") == len(decode()) + 1  # and the signature of the thinking
    assert b"conversationState" in request()
