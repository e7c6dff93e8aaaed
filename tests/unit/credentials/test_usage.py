"""Looking at accounts: at whom, how often, by whom, and what it means. Source: protocol 6 and 7."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gevent
import gevent.event
import pytest

from app.credentials.credential import Credential, State
from app.credentials.lifecycle import OperatorDisabled, QuotaUsedUp
from app.credentials.rounds import FAILED_SECONDS, THROTTLED_SECONDS
from app.credentials.store import CredentialStore
from app.credentials.usage import OFTEN_SECONDS, SELDOM_SECONDS, UsagePoller
from app.errors import (
    AccountSuspended,
    RefreshFailed,
    StorageUnavailable,
    Throttled,
    TokenRejected,
    UpstreamUnavailable,
)
from app.kiro.rest_calls import RestForm
from app.kiro.usage import Usage, parse_usage
from app.storage import db_now, transaction
from app.storage.tables import ClaimRow, CredentialRow
from app.upstream.account import Found
from tests.unit.credentials.logins import HOUR, NOON, Clock, social
from tests.unit.upstream.accounts import credits_used

FORM = RestForm("modern", True, "us-east-1")


class Kiro:
    """Tells what each account has used. errors: raised for the credential of that id instead."""

    def __init__(self) -> None:
        self.answer: dict[str, Any] = credits_used(12.5, 50.0, nextDateReset=NOON + 30 * 24 * HOUR)
        self.errors: dict[int, Exception] = {}
        self.asked: list[int] = []
        self.meanwhile: Callable[[], None] = lambda: None

    def usage(self, credential: Credential) -> Found[Usage]:
        assert credential.access_token == f"fresh-{credential.id}"
        self.asked.append(credential.id)
        self.meanwhile()
        if credential.id in self.errors:
            raise self.errors[credential.id]
        return Found(parse_usage(self.answer), FORM)

    def asked_since(self) -> list[int]:
        asked, self.asked = self.asked, []
        return asked


@pytest.fixture
def kiro() -> Kiro:
    return Kiro()


@pytest.fixture
def poller(store: CredentialStore, kiro: Kiro, clock: Clock) -> UsagePoller:
    return new_poller(store, kiro, clock)


def new_poller(
    store: CredentialStore, kiro: Kiro, clock: Clock, threshold: float = 5.0, every: float = OFTEN_SECONDS
) -> UsagePoller:
    def fresh(credential: Credential) -> Credential:
        return replace(credential, access_token=f"fresh-{credential.id}")

    return UsagePoller(
        store,
        kiro,
        fresh=fresh,
        happened=store.happened,
        threshold=lambda: threshold,
        every=lambda: every,
        clock=clock,
    )


def add(store: CredentialStore, *names: str) -> list[int]:
    return [store.add(social(name)) for name in names]


def stored(store: CredentialStore, id_: int = 1) -> Credential:
    found = store.get(id_)
    assert found is not None
    return found


def used(id_: int, at: float) -> None:
    with transaction() as session:
        session.get_one(CredentialRow, id_).last_used_at = at


def forget_claims() -> None:
    """As if as much time had gone by on the database's clock as on the test's."""
    with transaction() as session:
        session.query(ClaimRow).delete()


def left_alone_seconds(id_: int) -> float:
    with transaction() as session:
        return (session.get_one(ClaimRow, f"usage/{id_}").until or 0.0) - db_now(session)


# -- what is stored --


def test_a_look_stores_what_choosing_and_listing_need(store: CredentialStore, poller: UsagePoller) -> None:
    add(store, "a")
    poller.look_round()
    credential = stored(store)
    assert (credential.current_usage, credential.usage_limit) == (12.5, 50.0)
    assert (credential.usage_at, credential.next_reset_at) == (NOON, NOON + 30 * 24 * HOUR)
    assert (credential.subscription_title, credential.email) == ("KIRO PRO", "user@example.test")
    assert credential.usage is not None
    assert credential.usage["overage_status"] is None
    assert credential.learned == {"rest": "modern+arn@us-east-1"}


def test_what_kiro_leaves_out_stays_as_it_was_known(store: CredentialStore, poller: UsagePoller, kiro: Kiro) -> None:
    add(store, "a")
    poller.look_round()
    kiro.answer = {"usageBreakdownList": None}
    poller.look(stored(store))
    assert (stored(store).current_usage, stored(store).email) == (12.5, "user@example.test")


# -- whom and when --


def test_at_the_start_everyone_is_looked_at_in_order(store: CredentialStore, poller: UsagePoller, kiro: Kiro) -> None:
    ids = add(store, "a", "b", "c")
    poller.look_round()
    assert kiro.asked_since() == ids
    poller.look_round()
    assert kiro.asked_since() == []


def test_who_was_used_since_is_looked_at_every_five_minutes(
    store: CredentialStore, poller: UsagePoller, kiro: Kiro, clock: Clock
) -> None:
    add(store, "a", "b")
    poller.look_round()
    kiro.asked_since()
    used(2, NOON + 10)
    clock.now += OFTEN_SECONDS - 1
    poller.look_round()
    assert kiro.asked_since() == []
    clock.now += 1
    poller.look_round()
    assert kiro.asked_since() == [2]


def test_how_often_is_the_operators_choice(store: CredentialStore, kiro: Kiro, clock: Clock) -> None:
    add(store, "a")
    new_poller(store, kiro, clock, every=0).look_round()
    assert kiro.asked == []
    often = new_poller(store, kiro, clock, every=60)
    often.look_round()
    used(1, clock.now + 1)
    clock.now += 60
    often.look_round()
    assert kiro.asked == [1, 1]


def test_the_others_are_looked_at_every_few_hours_and_after_their_reset(
    store: CredentialStore, poller: UsagePoller, kiro: Kiro, clock: Clock
) -> None:
    add(store, "a")
    kiro.answer = credits_used(nextDateReset=NOON + HOUR)
    poller.look_round()
    kiro.asked_since()
    clock.now += HOUR - 1
    poller.look_round()
    assert kiro.asked_since() == []
    clock.now += 1
    poller.look_round()
    assert kiro.asked_since() == [1]
    clock.now += SELDOM_SECONDS
    poller.look_round()
    assert kiro.asked_since() == [1]


def test_who_is_asked_for_is_looked_at_soon(store: CredentialStore, poller: UsagePoller, kiro: Kiro) -> None:
    add(store, "a", "b")
    poller.look_round()
    kiro.asked_since()
    poller.look_soon(2)
    poller.look_round()
    assert kiro.asked_since() == [2]
    poller.look_round()
    assert kiro.asked_since() == []


@pytest.mark.parametrize("state", [State.DISABLED, State.REJECTED, State.SUSPENDED, State.UNCERTAIN])
def test_who_cannot_serve_is_not_looked_at(store: CredentialStore, poller: UsagePoller, kiro: Kiro, state: State) -> None:
    add(store, "a")
    with transaction() as session:
        session.get_one(CredentialRow, 1).state = state
    poller.look_soon(1)
    poller.look_round()
    assert kiro.asked == []


# -- by whom --


def test_one_worker_looks_at_a_time(store: CredentialStore, poller: UsagePoller, kiro: Kiro, clock: Clock) -> None:
    add(store, "a", "b")
    other_store = CredentialStore(clock)
    kiro.meanwhile = lambda: new_poller(other_store, kiro, clock).look_round()
    poller.look_round()
    assert kiro.asked == [1, 2]


def test_a_worker_whose_claim_ran_out_stops(store: CredentialStore, poller: UsagePoller, kiro: Kiro) -> None:
    add(store, "a", "b")

    def taken_over() -> None:
        with transaction() as session:
            session.get_one(ClaimRow, "usage").owner = "another"

    kiro.meanwhile = taken_over
    poller.look_round()
    assert kiro.asked == [1]


def test_when_the_last_round_ended_is_known(store: CredentialStore, poller: UsagePoller) -> None:
    add(store, "a")
    assert poller.looked_at() is None
    poller.look_round()
    assert poller.looked_at() is not None


# -- what fails --


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (Throttled("slow down"), THROTTLED_SECONDS),
        (Throttled("slow down", retry_after_seconds=7200), 7200),
        (UpstreamUnavailable("away"), FAILED_SECONDS),
        (TokenRejected("no"), FAILED_SECONDS),
        (RefreshFailed("no"), FAILED_SECONDS),
        (ZeroDivisionError("a bug"), FAILED_SECONDS),
    ],
)
def test_a_look_that_fails_is_left_alone_by_everybody_and_the_others_go_on(
    store: CredentialStore, poller: UsagePoller, kiro: Kiro, clock: Clock, error: Exception, seconds: float
) -> None:
    add(store, "a", "b")
    kiro.errors[1] = error
    poller.look_round()
    assert kiro.asked_since() == [1, 2]
    assert stored(store).state is State.READY
    new_poller(store, kiro, clock).look_round()
    assert kiro.asked_since() == []
    assert left_alone_seconds(1) == pytest.approx(seconds, abs=5)
    forget_claims()
    poller.look_round()
    assert kiro.asked_since() == [1]


def test_a_suspension_is_seen(store: CredentialStore, poller: UsagePoller, kiro: Kiro) -> None:
    add(store, "a")
    kiro.errors[1] = AccountSuspended("locked")
    poller.look_round()
    assert (stored(store).state, stored(store).state_reason) == (State.SUSPENDED, "locked")


def test_a_database_that_is_away_ends_the_round(store: CredentialStore, kiro: Kiro, clock: Clock) -> None:
    add(store, "a", "b")

    def away(_credential: Credential) -> Credential:
        raise StorageUnavailable

    broken = UsagePoller(store, kiro, fresh=away, happened=store.happened, threshold=lambda: 0.0, clock=clock)
    with pytest.raises(StorageUnavailable):
        broken.look_round()
    new_poller(store, kiro, clock).look_round()
    assert kiro.asked == [1, 2], "the claim was given back and nobody is left alone"


# -- what it means --


def exhausted(store: CredentialStore, poller: UsagePoller, clock: Clock) -> None:
    """A credential whose quota is used up for a month, looked at right after that."""
    add(store, "a")
    store.happened(1, QuotaUsedUp(NOON + 30 * 24 * HOUR))
    poller.look_soon(1)
    poller.look_round()
    assert stored(store).state is State.EXHAUSTED, "Kiro's numbers lag behind its refusals"
    clock.now += OFTEN_SECONDS


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        (credits_used(45.0, 50.0), State.READY),
        (credits_used(45.1, 50.0), State.EXHAUSTED),
        (credits_used(60.0, 50.0), State.EXHAUSTED),
        ({}, State.EXHAUSTED),
        (credits_used(60.0, 50.0, overageConfiguration={"overageStatus": "ENABLED"}), State.READY),
    ],
)
def test_credits_that_are_back_before_their_date_are_used(
    store: CredentialStore, poller: UsagePoller, kiro: Kiro, clock: Clock, answer: dict[str, Any], state: State
) -> None:
    exhausted(store, poller, clock)
    kiro.answer = answer
    poller.look_round()
    assert stored(store).state is state


def test_overage_up_to_its_cap_is_not_back(store: CredentialStore, poller: UsagePoller, kiro: Kiro, clock: Clock) -> None:
    exhausted(store, poller, clock)
    kiro.answer = credits_used(60.0, 50.0, overageConfiguration={"overageStatus": "ENABLED"})
    kiro.answer["usageBreakdownList"][0] |= {"overageCap": 100, "currentOverages": 100}
    poller.look_round()
    assert stored(store).state is State.EXHAUSTED


def test_nothing_left_is_nothing_without_a_threshold_too(store: CredentialStore, kiro: Kiro, clock: Clock) -> None:
    poller = new_poller(store, kiro, clock, threshold=0.0)
    exhausted(store, poller, clock)
    kiro.answer = credits_used(50.0, 50.0)
    poller.look_round()
    assert stored(store).state is State.EXHAUSTED


def test_an_operator_s_word_stands(store: CredentialStore, poller: UsagePoller, kiro: Kiro) -> None:
    add(store, "a")
    kiro.meanwhile = lambda: store.happened(1, OperatorDisabled())
    poller.look_round()
    assert stored(store).state is State.DISABLED


# -- its life --


def test_it_looks_by_itself_until_it_is_stopped(
    store: CredentialStore, poller: UsagePoller, kiro: Kiro, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("app.credentials.rounds.time.sleep", lambda _seconds: gevent.sleep(0))
    monkeypatch.setattr(poller, "_woken", gevent.event.Event())
    add(store, "a")
    rounds = iter([StorageUnavailable("away"), ZeroDivisionError("a bug")])
    look = poller.look_round

    def look_round() -> None:
        for error in rounds:
            raise error
        look()

    monkeypatch.setattr(poller, "look_round", look_round)
    with caplog.at_level(logging.WARNING):
        poller.start()
        for _ in range(100):
            poller.look_soon(1)
            gevent.sleep(0.001)
            if kiro.asked:
                break
    poller.stop()
    assert kiro.asked
    assert "does not answer" in caplog.text
    assert "a bug" in caplog.text
    kiro.asked.clear()
    poller.look_soon(1)
    gevent.sleep(0.01)
    assert kiro.asked == []
