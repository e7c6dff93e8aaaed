from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.credentials.credential import State
from app.credentials.lifecycle import usable
from app.credentials.scheduler import ANY, Choice, Load, Policy, Wanted, choose, standing
from app.errors import AllCoolingDown, AllExhausted, AtCapacity, NoUsableCredential
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
).map(lambda crowd: sorted(crowd, key=lambda each: (each.priority, each.id)))


def out(id_: int, state: State, seconds: float | None = None, **values: Any) -> Any:
    return credential(id_, state=state, state_until=None if seconds is None else NOON + seconds, expires_at=None, **values)


@given(crowds, st.frozensets(st.integers(1, 1000)))
def test_the_choice_is_the_first_usable_one_that_was_not_tried_or_an_error(crowd: list[Any], tried: frozenset[int]) -> None:
    left = [each for each in crowd if each.id not in tried and usable(each, NOON)]
    if left:
        assert choose(crowd, Wanted(excluded=tried), now=NOON).credential == min(
            left, key=lambda each: (each.priority, each.id)
        )
    else:
        with pytest.raises((AllCoolingDown, AllExhausted, NoUsableCredential)):
            choose(crowd, Wanted(excluded=tried), now=NOON)


def test_it_says_why_this_one_and_who_was_passed_over() -> None:
    crowd = [credential(1, priority=-1), out(2, State.COOLING_DOWN, 7.2, priority=-1), credential(3)]
    choice = choose(crowd, Wanted(excluded=frozenset({1})), now=NOON)
    assert choice.credential.id == 3
    assert choice.reason == "first by priority (0); passed over: 1 was tried, 2 cools down for 8 s"


def test_nothing_stored_says_how_to_add_one() -> None:
    with pytest.raises(NoUsableCredential, match="flask --app wsgi login"):
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
    assert "login … --replace 2" in message
    assert "3 is suspended" in message


def test_usable_credentials_that_were_all_tried_point_to_the_records() -> None:
    with pytest.raises(NoUsableCredential, match="requests"):
        choose([credential(1)], Wanted(excluded=frozenset({1})), now=NOON)


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


# -- spreading --

AUTO = Policy("auto", threshold=5.0)
weights = st.lists(st.integers(10, 10_000), min_size=2, max_size=6)


def with_left(id_: int, left: float, **values: Any) -> Any:
    return credential(
        id_, **{"usage_limit": 20_000.0, "current_usage": 20_000.0 - left, "next_reset_at": NOON + HOUR, **values}
    )


def take(crowd: list[Any], load: Load, wanted: Wanted = ANY, policy: Policy = AUTO) -> Choice:
    choice = choose(crowd, wanted, now=NOON, policy=policy, load=load)
    load.took(choice, wanted)
    return choice


def ids_of(crowd: list[Any], times: int, load: Load) -> Counter[int]:
    """Who answers so many requests that come one after another."""
    answered: Counter[int] = Counter()
    for _ in range(times):
        id_ = take(crowd, load).credential.id
        load.ended(id_)
        answered[id_] += 1
    return answered


@settings(max_examples=50)
@given(weights)
def test_requests_without_a_session_are_spread_by_the_credits_left(lefts: list[int]) -> None:
    crowd = [with_left(number, left) for number, left in enumerate(lefts, start=1)]
    times = 4000
    answered = ids_of(crowd, times, Load())
    for number, left in enumerate(lefts, start=1):
        share = times * left / sum(lefts)
        assert abs(answered[number] - share) <= max(0.1 * share, 1.5)


def test_requests_that_go_on_are_spread_as_well() -> None:
    crowd, load = [with_left(1, 3000), with_left(2, 1000)], Load()
    taken = Counter(take(crowd, load).credential.id for _ in range(400))
    assert taken == Counter({1: 300, 2: 100})
    assert load.in_flight == {1: 300, 2: 100}


def test_who_was_away_does_not_make_up_for_it() -> None:
    crowd, load = [with_left(1, 100), with_left(2, 100)], Load()
    ids_of(crowd[:1], 500, load)
    assert ids_of(crowd, 100, load)[1] == pytest.approx(50, abs=2)


def test_a_polite_number_at_once_comes_before_the_weight() -> None:
    crowd, load = [with_left(1, 10_000), with_left(2, 10)], Load()
    taken = [take(crowd, load).credential.id for _ in range(16)]
    assert Counter(taken) == Counter({1: 8, 2: 8})
    assert take(crowd, load).credential.id == 1, "when nobody is below it, the weight decides"


def test_who_was_never_looked_at_counts_like_the_middle_of_the_others() -> None:
    crowd = [with_left(1, 300), credential(2), with_left(3, 300), with_left(4, 300)]
    assert ids_of(crowd, 400, Load())[2] == pytest.approx(100, abs=3)


@settings(max_examples=50)
@given(st.lists(st.text(min_size=1), min_size=1, max_size=30, unique=True), st.integers(1, 4))
def test_a_session_stays_and_moves_once_when_its_credential_goes(sessions: list[str], gone: int) -> None:
    crowd, load = [with_left(number, 1000) for number in range(1, 5)], Load()
    there = {session: take(crowd, load, Wanted(session=session)).credential.id for session in sessions}
    rest = [each for each in crowd if each.id != gone]
    moved = {session: take(rest, load, Wanted(session=session)).credential.id for session in sessions}
    back = {session: take(crowd, load, Wanted(session=session)).credential.id for session in sessions}
    assert all(moved[session] == there[session] for session in sessions if there[session] != gone)
    assert back == moved, "nobody goes back"


def test_two_processes_start_a_session_at_the_same_credential() -> None:
    crowd = [with_left(number, 1000 * number) for number in range(1, 5)]
    one, other = Load(), Load()
    ids_of(crowd, 7, other)
    for number in range(50):
        wanted = Wanted(session=f"session-{number}")
        assert take(crowd, one, wanted).credential.id == take(crowd, other, wanted).credential.id


def test_sessions_start_more_often_where_more_is_left() -> None:
    crowd = [with_left(1, 4096), with_left(2, 1024)]
    starts = Counter(take(crowd, Load(), Wanted(session=f"session-{number}")).credential.id for number in range(2000))
    assert starts[1] == pytest.approx(1600, rel=0.1)


def test_a_conversation_that_begins_without_a_session_goes_where_the_turn_is_and_stays_there() -> None:
    crowd, load = [with_left(1, 100), with_left(2, 100)], Load()
    begun = [take(crowd, load, Wanted(session="hello", begins=True)).credential.id for _ in range(4)]
    assert sorted(begun) == [1, 1, 2, 2]
    assert take(crowd, load, Wanted(session="hello")).credential.id == begun[-1]


def test_only_so_many_sessions_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.credentials.scheduler.MAX_PINS", 3)
    load = Load()
    for number in range(5):
        take([credential(1)], load, Wanted(session=str(number)))
    assert list(load.pins) == ["2", "3", "4"]


# -- who is left alone --


@pytest.mark.parametrize("mode", ["fixed", "auto"])
def test_who_has_almost_nothing_left_is_passed_over(mode: str) -> None:
    choice = choose([with_left(1, 4.9), with_left(2, 5.0)], now=NOON, policy=Policy(mode, threshold=5.0))
    assert choice.credential.id == 2
    assert "1 has 4.9 credits left, fewer than min_usage_threshold" in choice.reason


@pytest.mark.parametrize(
    "unlimited",
    [
        {"usage": {"overage_status": "ENABLED"}},
        {"next_reset_at": NOON - 1},
        {"usage_limit": None},
        {"current_usage": None},
    ],
    ids=["pays for overage", "was reset since", "no limit", "never looked at"],
)
def test_who_may_have_more_than_was_seen_is_not_passed_over(unlimited: dict[str, Any]) -> None:
    assert choose([with_left(1, 1.0, **unlimited)], now=NOON, policy=AUTO).credential.id == 1


def test_when_all_are_low_the_error_names_the_threshold_and_the_reset() -> None:
    with pytest.raises(AllExhausted, match=r"min_usage_threshold \(5\); the first resets at 2026") as caught:
        choose([with_left(1, 1.0), out(2, State.DISABLED)], now=NOON, policy=AUTO)
    assert caught.value.should_retry is False


def test_the_free_plan_is_not_asked_for_opus_while_another_may_have_it() -> None:
    free, paid = credential(1, subscription_title="KIRO FREE"), credential(2, priority=9, subscription_title="KIRO PRO")
    opus = Wanted(model="claude-opus-4.5")
    assert choose([free, paid], opus, now=NOON).credential is paid
    assert choose([free, paid], Wanted(model="claude-sonnet-4.5"), now=NOON).credential is free
    assert choose([free], opus, now=NOON).credential is free, "plans change: Kiro has the last word"


def test_what_kiro_listed_for_a_login_decides_before_its_plan() -> None:
    free = credential(1, subscription_title="KIRO FREE", models=frozenset({"claude-opus-4.5", "auto"}))
    paid = credential(2, priority=9, models=frozenset({"auto", "glm-5"}))
    assert choose([free, paid], Wanted(model="claude-opus-4.5"), now=NOON).credential is free
    choice = choose([free, paid], Wanted(model="glm-5"), now=NOON)
    assert choice.credential is paid
    assert choice.reason.endswith("passed over: 1 is on the plan KIRO FREE, which lacks glm-5")
    assert choose([free, paid], Wanted(model="gpt-5.6-sol"), now=NOON).credential is free, "nobody has it: Kiro decides"
    unseen = credential(3, priority=10)
    assert choose([free, paid, unseen], Wanted(model="gpt-5.6-sol"), now=NOON).credential is unseen


def test_a_paid_login_that_rests_is_waited_for_and_not_replaced_by_a_plan_without_the_model() -> None:
    free = credential(1, subscription_title="KIRO FREE")
    with pytest.raises(AllCoolingDown):
        choose([free, out(2, State.COOLING_DOWN, 7)], Wanted(model="claude-opus-4.5"), now=NOON)


def test_nobody_answers_more_at_once_than_it_may() -> None:
    crowd, load = [credential(1, max_concurrent=2), credential(2, priority=1, max_concurrent=1)], Load()
    fixed = Policy()
    assert [take(crowd, load, policy=fixed).credential.id for _ in range(3)] == [1, 1, 2]
    with pytest.raises(AtCapacity, match="max_concurrent") as caught:
        take(crowd, load, policy=fixed)
    assert caught.value.retry_after_seconds == 2
    load.ended(2)
    assert take(crowd, load, policy=fixed).reason.endswith("passed over: 1 answers 2 requests, its max_concurrent")


def test_workers_share_the_limit() -> None:
    crowd, load = [credential(1, max_concurrent=5)], Load()
    for _ in range(3):
        take(crowd, load, policy=Policy(workers=2))
    with pytest.raises(AtCapacity):
        take(crowd, load, policy=Policy(workers=2))


@given(crowds, st.sampled_from(["fixed", "auto"]), st.one_of(st.none(), st.text(max_size=5)))
def test_only_who_is_ready_is_ever_chosen(crowd: list[Any], mode: str, session: str | None) -> None:
    try:
        choice = choose(crowd, Wanted(session=session), now=NOON, policy=Policy(mode), load=Load())
    except (AllCoolingDown, AllExhausted, NoUsableCredential):
        assert not any(usable(each, NOON) for each in crowd)
    else:
        assert usable(choice.credential, NOON)
