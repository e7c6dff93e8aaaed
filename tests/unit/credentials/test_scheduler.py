from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.credentials.credential import State
from app.credentials.lifecycle import usable
from app.credentials.scheduler import choose, standing
from app.errors import AllCoolingDown, AllExhausted, NoUsableCredential
from tests.unit.credentials.logins import HOUR, NOON, credential

untils = st.one_of(st.none(), st.floats(NOON - HOUR, NOON + HOUR))
crowds = st.lists(
    st.builds(
        credential,
        st.integers(1, 1000),
        priority=st.integers(-3, 3),
        state=st.sampled_from(State),
        state_until=untils,
    ),
    unique_by=lambda each: each.id,
    max_size=8,
)


def out(id_: int, state: State, seconds: float | None = None, **values: Any) -> Any:
    return credential(id_, state=state, state_until=None if seconds is None else NOON + seconds, expires_at=None, **values)


@given(crowds, st.frozensets(st.integers(1, 1000)))
def test_the_choice_is_the_first_usable_one_that_was_not_tried_or_an_error(crowd: list[Any], tried: frozenset[int]) -> None:
    left = [each for each in crowd if each.id not in tried and usable(each, NOON)]
    if left:
        assert choose(crowd, now=NOON, excluded=tried).credential == min(left, key=lambda each: (each.priority, each.id))
    else:
        with pytest.raises((AllCoolingDown, AllExhausted, NoUsableCredential)):
            choose(crowd, now=NOON, excluded=tried)


def test_it_says_why_this_one_and_who_was_passed_over() -> None:
    crowd = [credential(3), credential(1, priority=-1), out(2, State.COOLING_DOWN, 7.2, priority=-1)]
    choice = choose(crowd, now=NOON, excluded=frozenset({1}))
    assert choice.credential.id == 3
    assert choice.reason == "first by priority (0); passed over: 1 was tried, 2 cools down for 8 s"


def test_nothing_stored_says_how_to_add_one() -> None:
    with pytest.raises(NoUsableCredential, match="credentials add"):
        choose([], now=NOON)


def test_the_earliest_return_is_the_retry_after() -> None:
    crowd = [out(1, State.COOLING_DOWN, 90), out(2, State.COOLING_DOWN, 12.3), out(3, State.EXHAUSTED, HOUR)]
    with pytest.raises(AllCoolingDown, match="13 s") as caught:
        choose(crowd, now=NOON)
    assert caught.value.retry_after_seconds == 13


def test_a_wait_over_two_minutes_is_named_but_not_asked_of_the_client() -> None:
    with pytest.raises(AllCoolingDown, match="1800 s") as caught:
        choose([out(1, State.COOLING_DOWN, 1800)], now=NOON)
    assert caught.value.retry_after_seconds is None


def test_used_up_quotas_name_the_first_reset_and_ask_for_no_retry() -> None:
    crowd = [out(1, State.EXHAUSTED, 48 * HOUR), out(2, State.EXHAUSTED, HOUR), out(3, State.DISABLED)]
    with pytest.raises(AllExhausted, match="2026-09-21 15:13 UTC") as caught:
        choose(crowd, now=NOON)
    assert (caught.value.should_retry, caught.value.retry_after_seconds) == (False, None)


def test_credentials_that_need_a_person_say_what_to_do_with_each() -> None:
    crowd = [out(1, State.DISABLED), out(2, State.REJECTED), out(3, State.SUSPENDED)]
    with pytest.raises(NoUsableCredential) as caught:
        choose(crowd, now=NOON)
    message = caught.value.message
    assert "credentials enable 1" in message
    assert "credentials add --replace 2" in message
    assert "3 is suspended" in message


def test_usable_credentials_that_were_all_tried_point_to_the_records() -> None:
    with pytest.raises(NoUsableCredential, match="requests"):
        choose([credential(1)], now=NOON, excluded=frozenset({1}))


@pytest.mark.parametrize(
    ("state", "seconds", "words"),
    [
        (State.READY, None, "is ready"),
        (State.COOLING_DOWN, 8, "cools down for 8 s"),
        (State.COOLING_DOWN, -1, "is ready"),
        (State.EXHAUSTED, HOUR, "is used up until 2026-09-21 15:13 UTC"),
        (State.REJECTED, None, "must be signed in again"),
        (State.SUSPENDED, None, "is suspended by Kiro"),
        (State.DISABLED, None, "is disabled"),
        (State.UNCERTAIN, 30, "had a refresh that ended unclear and is tried again in 30 s"),
        (State.UNCERTAIN, -30, "had a refresh that ended unclear and is tried again when it is needed"),
    ],
)
def test_how_it_stands_is_said_in_words(state: State, seconds: float | None, words: str) -> None:
    assert standing(out(1, state, seconds), NOON) == words
