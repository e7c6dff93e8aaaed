"""One of all does the work: two `Claims` stand for two workers."""

from __future__ import annotations

import threading

import pytest

from app.credentials.claims import Claims

pytestmark = pytest.mark.usefixtures("store")


def test_one_of_two_gets_a_claim_and_the_other_after_it() -> None:
    one, other = Claims(), Claims()
    assert one.take("work", 60)
    assert not other.take("work", 60)
    assert other.take("other work", 60)
    one.give_back("work")
    assert other.take("work", 60)


def test_a_holder_that_died_keeps_it_until_it_runs_out() -> None:
    assert Claims().take("work", 0.0)
    assert Claims().take("work", 60)


def test_a_holder_keeps_what_is_still_its_own() -> None:
    one, other = Claims(), Claims()
    assert one.take("work", 0.0)
    assert one.keep("work", 0.0), "nobody else took it"
    assert other.take("work", 60)
    assert not one.keep("work", 60)
    one.give_back("work")
    assert not one.take("work", 60), "the other's claim stayed"
    assert not Claims().keep("never taken", 60)


def test_when_it_was_done_is_known() -> None:
    one = Claims()
    assert one.done_at("work") is None
    one.take("work", 60)
    assert one.done_at("work") is None
    one.give_back("work")
    assert one.done_at("work") is not None


def test_what_is_left_alone_is_held_for_everybody() -> None:
    Claims().leave_alone("work", 60)
    Claims().leave_alone("old work", -1)
    assert Claims().held() == {"work"}
    assert not Claims().take("work", 60)


def test_of_many_at_once_one_gets_it() -> None:
    ready, got = threading.Barrier(8), []

    def take() -> None:
        ready.wait(5)
        if Claims().take("work", 60):
            got.append(1)

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert got == [1]
