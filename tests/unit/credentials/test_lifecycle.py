from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.credentials.lifecycle import (
    AccountLocked,
    Failed,
    Happening,
    Health,
    OperatorDisabled,
    OperatorEnabled,
    QuotaUsedUp,
    RefreshDead,
    RefreshPostponed,
    RefreshUnclear,
    RefreshWorked,
    SignedInAgain,
    State,
    Succeeded,
    Throttled,
    Waited,
    advance,
    next_reset,
    refreshable,
    usable,
)
from tests.unit.credentials.logins import HOUR, NOON, credential

FOR_A_PERSON = {State.REJECTED, State.SUSPENDED, State.DISABLED}
DAY = 24 * HOUR
seconds = st.one_of(st.none(), st.floats(allow_nan=False), st.integers(-10, 10**9))
happenings: st.SearchStrategy[Happening] = st.one_of(
    st.builds(Succeeded),
    st.builds(Failed, st.text()),
    st.builds(Throttled, seconds),
    st.builds(QuotaUsedUp, st.floats(allow_nan=False)),
    st.builds(AccountLocked),
    st.builds(RefreshWorked),
    st.builds(RefreshPostponed, st.text(), seconds),
    st.builds(RefreshDead),
    st.builds(RefreshUnclear, st.text(), seconds),
    st.builds(SignedInAgain),
    st.builds(OperatorEnabled),
    st.builds(OperatorDisabled),
    st.builds(Waited),
)
healths = st.builds(
    Health,
    st.sampled_from(State),
    st.one_of(st.none(), st.floats(NOON - DAY, NOON + DAY)),
    st.none(),
    st.integers(0, 100),
)


def after(health: Health, *happened: Happening, now: float = NOON) -> Health:
    for happening in happened:
        health = advance(health, happening, now)
    return health


@given(healths, st.lists(st.tuples(happenings, st.floats(0, DAY)), min_size=50, max_size=50))
def test_after_any_fifty_happenings_only_what_a_person_must_mend_stays_out(
    health: Health, story: list[tuple[Happening, float]]
) -> None:
    now = NOON
    for happening, passed in story:
        now += passed
        health = advance(health, happening, now)
        assert health.failure_count >= 0
    later = credential(state=health.state, state_until=health.until, expires_at=None)
    assert usable(later, now + 33 * DAY) is (health.state not in FOR_A_PERSON)


@given(healths.filter(lambda health: health.state in FOR_A_PERSON), st.lists(happenings, max_size=50))
def test_nothing_but_a_person_or_a_refresh_brings_back_what_a_person_must_mend(health: Health, story: list[Happening]) -> None:
    people = (OperatorEnabled, SignedInAgain, RefreshWorked)
    without = [happening for happening in story if not isinstance(happening, people)]
    assert after(health, *without).state in FOR_A_PERSON


@given(healths, happenings)
def test_a_disabled_credential_is_enabled_by_the_operator_only(health: Health, happening: Happening) -> None:
    disabled = advance(health, OperatorDisabled(), NOON)
    expected = State.READY if isinstance(happening, OperatorEnabled) else State.DISABLED
    assert advance(disabled, happening, NOON).state is expected


@pytest.mark.parametrize("state", State)
def test_the_operator_may_enable_from_every_state(state: State) -> None:
    assert advance(Health(state, NOON + HOUR, "why", 5), OperatorEnabled(), NOON) == Health()


def test_two_failures_are_forgiven_and_the_third_cools() -> None:
    assert after(Health(), Failed("a"), Failed("b")).state is State.READY
    assert after(Health(), Failed("a"), Failed("b"), Failed("c")) == Health(State.COOLING_DOWN, NOON + 5, "c", 3)


def test_a_success_between_failures_starts_the_count_anew() -> None:
    assert after(Health(), Failed("a"), Failed("b"), Succeeded(), Failed("c"), Failed("d")).state is State.READY


def test_a_credential_that_fails_right_after_its_rest_rests_longer_up_to_five_minutes() -> None:
    health, rests, now = Health(), [], NOON
    for _ in range(12):
        health = advance(health, Failed("again"), now)
        if health.until is not None:
            rests.append(health.until - now)
            now = health.until
    assert rests == [5, 10, 20, 40, 80, 160, 300, 300, 300, 300]


def test_a_throttled_credential_waits_as_long_as_kiro_says() -> None:
    assert advance(Health(), Throttled(30), NOON).until == NOON + 30


def test_without_a_word_from_kiro_a_throttled_credential_waits_eight_seconds_then_longer() -> None:
    once = advance(Health(), Throttled(), NOON)
    twice = advance(once, Throttled(), NOON + 8)
    assert (once.until, twice.until) == (NOON + 8, NOON + 8 + 16)


def test_requests_throttled_together_count_once() -> None:
    together = after(Health(), *[Throttled()] * 20)
    assert together == after(Health(), Throttled())
    assert after(together, Throttled(60)).until == NOON + 60


def test_quota_is_used_up_until_its_reset() -> None:
    used_up = advance(Health(), QuotaUsedUp(NOON + DAY), NOON)
    assert (used_up.state, used_up.until) == (State.EXHAUSTED, NOON + DAY)
    assert advance(used_up, Waited(), NOON + DAY) == Health()


@pytest.mark.parametrize(("named", "kept"), [(NOON - DAY, NOON + 60), (1e15, NOON + 32 * DAY)])
def test_a_reset_that_cannot_be_right_neither_hammers_nor_strands(named: float, kept: float) -> None:
    assert advance(Health(), QuotaUsedUp(named), NOON).until == kept


def test_an_unclear_refresh_is_tried_again_ever_later() -> None:
    health, waits = Health(), []
    for _ in range(4):
        health = advance(health, RefreshUnclear("cut off"), NOON)
        assert health.until is not None
        waits.append(health.until - NOON)
    assert waits == [30, 120, 900, 900]


def test_an_unclear_refresh_ends_with_the_next_clear_one() -> None:
    unclear = advance(Health(), RefreshUnclear("cut off"), NOON)
    assert advance(unclear, RefreshWorked(), NOON) == Health()
    assert advance(unclear, RefreshDead(), NOON).state is State.REJECTED
    assert advance(unclear, Succeeded(), NOON) == unclear


def test_a_try_that_does_not_get_through_puts_an_unclear_refresh_off() -> None:
    unclear = replace(advance(Health(), RefreshUnclear("cut off"), NOON - HOUR), until=NOON)
    assert advance(unclear, RefreshPostponed("busy"), NOON) == replace(unclear, until=NOON + 30)


def test_a_new_sign_in_makes_a_rejected_credential_ready() -> None:
    assert after(Health(), RefreshDead(), SignedInAgain()) == Health()


def test_a_suspended_account_is_not_talked_back_by_requests_under_way() -> None:
    assert after(Health(), AccountLocked(), Succeeded(), Throttled(1), RefreshWorked(), Failed("x")).state is State.SUSPENDED


def test_an_unclear_credential_serves_while_its_access_token_lasts_but_is_not_refreshed_yet() -> None:
    unclear = credential(state=State.UNCERTAIN, state_until=NOON + 30)
    assert usable(unclear, NOON)
    assert not refreshable(unclear, NOON)
    assert not usable(replace(unclear, expires_at=NOON), NOON)
    assert refreshable(unclear, NOON + 30)


@given(st.floats(0, 4e9), st.booleans())
def test_a_reset_nobody_named_is_a_midnight_that_comes(now: float, daily: bool) -> None:
    reset = next_reset(now, daily=daily)
    at = datetime.fromtimestamp(reset, UTC)
    assert now < reset <= now + (1 if daily else 31) * DAY
    assert (at.hour, at.minute, at.second) == (0, 0, 0)
    assert daily or at.day == 1
