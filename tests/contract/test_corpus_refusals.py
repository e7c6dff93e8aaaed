"""Refusals that broke gateways of this kind, one test a row of the failure corpus: what becomes of the login and the client."""

from __future__ import annotations

import email.utils
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest

from app.anthropic.envelope import error_headers
from app.credentials.credential import Credential, State, Tokens
from app.credentials.lifecycle import Health
from app.credentials.store import CredentialStore
from app.errors import AllCoolingDown, AllExhausted, GatewayError, NoUsableCredential, UpstreamRefused, UpstreamUnavailable
from app.kiro.endpoints import BUILDER_ID_PLACEHOLDER_ARN
from app.kiro.routes import Route
from app.upstream.http import HttpAnswer
from tests.contract.house import House, Play, refusal
from tests.unit.credentials.logins import (
    HOUR,
    NOON,
    Clock,
    TokenService,
    answered,
    api_key,
    idc,
    refresh_token,
    refused,
    social,
)

DAY = 24 * HOUR
FRESH = {"access_token": "aoa-old", "expires_at": NOON + 100 * DAY}
TWO = (social("a", **FRESH), social("b", **FRESH))
EXPIRED = refusal(401, "The security token included in the request is expired")
STALE = refusal(403, "The bearer token included in the request is invalid.")
NOT_AUTHORIZED = refusal(403, "User is not authorized to make this call.")
LOCKED = "Your User ID (123456789012) temporarily is suspended. We've locked your account as a security precaution."
USED_UP = refusal(402, "You have reached the limit.", "MONTHLY_REQUEST_COUNT")


@pytest.fixture
def clock(database: Path) -> Clock:
    assert database.exists()
    return Clock()


def once(answer: HttpAnswer) -> Play:
    """The first call is answered so, all others well."""
    answers = [answer]
    return lambda _credential, _route: answers.pop() if answers else None


def to(id_: int, answer: HttpAnswer) -> Play:
    """One credential is always answered so, the others well."""
    return lambda credential, _route: answer if credential.id == id_ else None


# -- 401 and 403 --


@pytest.mark.parametrize("answer", [EXPIRED, STALE], ids=["401", "403"])
def test_row_94_a_stale_token_is_refreshed_once_and_served_by_the_same_login(clock: Clock, answer: HttpAnswer) -> None:
    house = House(clock, *TWO)
    house.kiro.play = once(answer)
    assert house.request() == 1
    assert house.kiro.ids == [1, 1]
    assert (house.stored().access_token, house.stored().version, house.stored().state) == ("aoa-1", 2, State.READY)


@pytest.mark.parametrize("answer", [EXPIRED, STALE], ids=["401", "403"])
def test_row_94_a_token_that_stays_refused_costs_a_refresh_a_request_and_then_a_rest(clock: Clock, answer: HttpAnswer) -> None:
    tokens = TokenService()
    house = House(clock, *TWO, tokens=tokens)
    house.kiro.play = to(1, answer)
    assert [house.request() for _ in range(5)] == [2] * 5
    assert Counter(house.kiro.ids) == {1: 6, 2: 5}
    assert len(tokens.calls) == 3
    assert house.stored().state is State.COOLING_DOWN


def test_row_94_who_is_not_authorized_is_sent_without_the_placeholder_arn_once(clock: Clock) -> None:
    house = House(clock, idc("a", **FRESH), social("b", **FRESH))
    house.kiro.play = lambda _credential, route: NOT_AUTHORIZED if route.profile_arn else None
    assert house.request() == 1
    assert house.kiro.asked == [(1, BUILDER_ID_PLACEHOLDER_ARN), (1, None)]
    assert house.request() == 1
    assert house.kiro.asked[2:] == [(1, None)], "what worked is remembered"


def test_row_94_who_is_not_authorized_either_way_leaves_it_to_the_next_and_no_token_is_spent(clock: Clock) -> None:
    tokens = TokenService()
    house = House(clock, idc("a", **FRESH), social("b", **FRESH), tokens=tokens)
    house.kiro.play = to(1, NOT_AUTHORIZED)
    assert house.request() == 2
    assert house.kiro.ids == [1, 1, 2]
    assert tokens.calls == []


@pytest.mark.parametrize(
    "answer", [refusal(403, LOCKED), refusal(403, LOCKED.upper()), refusal(403, "no", "TEMPORARILY_SUSPENDED")]
)
def test_row_94_a_suspended_login_is_left_at_once_and_never_heals_by_itself(clock: Clock, answer: HttpAnswer) -> None:
    tokens = TokenService()
    house = House(clock, *TWO, tokens=tokens)
    house.kiro.play = once(answer)
    assert house.request() == 2
    for days in (0, 1, 40):
        clock.now += days * DAY
        assert house.request() == 2
    assert house.kiro.ids == [1, 2, 2, 2, 2]
    assert (house.stored().state, tokens.calls) == (State.SUSPENDED, [])


# -- 402 --


def test_row_95_a_used_up_month_is_over_on_the_first_of_the_next(clock: Clock) -> None:
    house = House(clock, *TWO)
    house.kiro.play = once(USED_UP)
    assert [house.request() for _ in range(4)] == [2] * 4
    assert house.kiro.ids == [1, 2, 2, 2, 2]
    assert house.stored().state is State.EXHAUSTED
    back_at = house.stored().state_until or 0.0
    assert datetime.fromtimestamp(back_at, UTC) == datetime(2026, 10, 1, tzinfo=UTC)
    clock.now = back_at - 1
    assert house.request() == 2
    clock.now = back_at
    assert house.request() == 1


def test_row_95_a_reset_date_that_is_known_is_the_end(clock: Clock) -> None:
    house = House(clock, *TWO)
    house.store.save_usage(1, {"next_reset_at": NOON + 3 * DAY})
    house.kiro.play = once(USED_UP)
    assert house.request() == 2
    assert house.stored().state_until == NOON + 3 * DAY


def test_row_95_when_all_are_used_up_the_client_is_told_the_date_and_not_to_retry(clock: Clock) -> None:
    house = House(clock, *TWO)
    house.kiro.play = lambda _credential, _route: USED_UP
    for error in (house.told(), house.told()):
        assert isinstance(error, AllExhausted)
        assert "2026-10-01 00:00 UTC" in error.message
        assert error_headers(error) == {"x-should-retry": "false"}
    assert house.kiro.ids == [1, 2]


# -- 429 --

USER = ("Too many requests, please wait before trying again.", "USER_REQUEST_RATE_EXCEEDED")
SERVICE = ("Too many requests", "SERVICE_REQUEST_RATE_EXCEEDED")
NAMELESS = ("Rate exceeded", None)
FIVE_MINUTES = ("5-minute credit limit exceeded", None)
SUSPICIOUS = ("Due to suspicious activity, we are imposing temporary limits on how frequently your account can send.", None)
CAPACITY = ("I am experiencing high traffic, please try again shortly.", "INSUFFICIENT_MODEL_CAPACITY")
RETRY_AFTER = {
    "absent": None,
    "seconds": "30",
    "date": email.utils.formatdate(NOON + 45, usegmt=True),
    "date gone by": email.utils.formatdate(NOON - 45, usegmt=True),
    "garbage": "soon",
    "negative": "-5",
    "fraction": "1.5",
    "beyond digits": "٣٠",
}
MEANT = {"seconds": 30, "date": 45}


def throttled(clock: Clock, form: tuple[str, str | None], retry_after: str) -> House:
    """One login and one 429."""
    house = House(clock, social(**FRESH))
    value = RETRY_AFTER[retry_after]
    answer = refusal(429, *form, **({} if value is None else {"retry-after": value}))
    house.kiro.play = lambda _credential, _route: answer
    return house


@pytest.mark.parametrize("retry_after", RETRY_AFTER)
@pytest.mark.parametrize(("form", "usual"), [(USER, 8), (SERVICE, 8), (NAMELESS, 8), (FIVE_MINUTES, 300), (SUSPICIOUS, 1800)])
def test_row_96_a_throttled_login_rests_as_long_as_a_valid_date_says_or_as_usual(
    clock: Clock, form: tuple[str, str | None], usual: int, retry_after: str
) -> None:
    house = throttled(clock, form, retry_after)
    error = house.told()
    rest = (house.stored().state_until or 0.0) - NOON
    # "Come back at once" is taken as the shortest rest, but does not shorten a limit whose length is known.
    expected = 1 if retry_after == "date gone by" and usual == 8 else MEANT.get(retry_after, usual)
    assert (house.stored().state, rest) == (State.COOLING_DOWN, expected)
    assert isinstance(error, AllCoolingDown)
    assert error.status == 429
    assert error_headers(error) == ({"retry-after": str(int(rest))} if rest <= 120 else {})
    assert house.kiro.ids == [1]
    assert isinstance(house.request(), AllCoolingDown)
    assert house.kiro.ids == [1], "who rests is not asked"
    clock.now += rest
    house.request()
    assert house.kiro.ids == [1, 1]


@pytest.mark.parametrize("retry_after", RETRY_AFTER)
def test_row_96_a_model_without_room_is_nobodys_fault(clock: Clock, retry_after: str) -> None:
    house = throttled(clock, CAPACITY, retry_after)
    error = house.told()
    assert isinstance(error, UpstreamUnavailable)
    assert error.status == 529
    told = error_headers(error).get("retry-after")
    assert told == (str(MEANT[retry_after]) if retry_after in MEANT else "0" if retry_after == "date gone by" else None)
    assert house.kiro.ids == [1, 1, 1]
    assert Health.of(house.stored()) == Health()


# -- the request's own fault --


@pytest.mark.parametrize(
    "answer",
    [
        refusal(400, "Improperly formed request."),
        refusal(400, "Invalid tool use format.", "REQUEST_BODY_INVALID"),
        refusal(503, "no", "TOOL_USE_RESULT_MISMATCH"),
        refusal(500, "no", "TOOL_SCHEMA_INVALID"),
        refusal(503, "Expected toolResult blocks at messages.2.content for the following Ids: tooluse_1"),
    ],
)
def test_row_97_a_body_error_is_told_once_and_cools_nobody(clock: Clock, answer: HttpAnswer) -> None:
    house = House(clock, *TWO)
    house.kiro.play = lambda _credential, _route: answer
    before = house.stored()
    for _ in range(5):
        assert isinstance(house.told(), UpstreamRefused)
    assert house.kiro.ids == [1] * 5
    assert house.stored() == before


# -- refreshing --


def test_row_98_a_refused_token_that_another_worker_just_rotated_is_read_again(clock: Clock) -> None:
    tokens = TokenService()
    house = House(clock, social("a"), social("b", **FRESH), tokens=tokens)
    tokens.answers = [refused()]
    rotated = Tokens("aoa-theirs", refresh_token("theirs"), NOON + HOUR)
    tokens.before = lambda: CredentialStore(clock).save_tokens(1, 1, rotated)
    assert house.request() == 1
    assert (house.stored().access_token, house.stored().state) == ("aoa-theirs", State.READY)
    assert len(tokens.calls) == 1


def test_row_98_a_chat_with_a_token_that_another_worker_just_replaced_goes_on_with_the_new_one(clock: Clock) -> None:
    tokens = TokenService()
    house = House(clock, *TWO, tokens=tokens)
    rotated = Tokens("aoa-theirs", refresh_token("theirs"), NOON + DAY)

    def play(credential: Credential, _route: Route) -> HttpAnswer | None:
        CredentialStore(clock).save_tokens(1, 1, rotated)
        return None if credential.access_token == "aoa-theirs" else STALE

    house.kiro.play = play
    assert house.request() == 1
    assert (house.kiro.ids, tokens.calls) == ([1, 1], [])


@pytest.mark.parametrize(("sent", "kept"), [(None, refresh_token("a")), ("aor-new", "aor-new")])
def test_row_100_a_refresh_token_is_kept_or_replaced_before_the_answer_is_used(
    clock: Clock, sent: str | None, kept: str
) -> None:
    tokens = TokenService()
    house = House(clock, social("a"), tokens=tokens)
    rotated = {} if sent is None else {"refreshToken": sent}
    tokens.answers = [answered({"accessToken": "aoa-new", "expiresIn": 3600, **rotated})]
    stored: list[tuple[str | None, str | None]] = []

    def play(_credential: Credential, _route: Route) -> None:
        stored.append((house.stored().access_token, house.stored().refresh_token))

    house.kiro.play = play
    assert house.request() == 1
    assert stored == [("aoa-new", kept)]


# -- everything fails --

BROKEN = refusal(500, "Internal")


@pytest.mark.parametrize("seconds", [0, 1, 30])
def test_row_105_when_all_fail_upstream_is_asked_ever_more_seldom(clock: Clock, seconds: int) -> None:
    house = House(clock, *TWO, social("c", **FRESH))
    house.kiro.play = lambda _credential, _route: BROKEN
    errors: list[GatewayError] = []
    for _ in range(20):
        errors.append(house.told())
        clock.now += seconds
    assert len(house.kiro.ids[:9]) == 9, "the first request tries each three times"
    # Rests of 5, 10, 20, 40, 80, 160 and 300 s: so many have ended by the last request, and each login is asked once after one.
    ended = {0: 0, 1: 2, 30: 6}[seconds]
    assert len(house.kiro.ids) <= 9 + 3 * ended
    assert {error.status for error in errors} <= {429, 502}
    assert {each.state for each in house.store.all()} == {State.COOLING_DOWN}
    house.kiro.play = lambda _credential, _route: None
    clock.now += 301
    assert house.request() == 1


def test_row_105_dead_logins_are_asked_once_and_stay_dead(clock: Clock) -> None:
    tokens = TokenService(token="another")
    house = House(clock, social("a"), social("b"), tokens=tokens)
    errors = []
    for _ in range(20):
        errors.append(house.told())
        clock.now += DAY
    assert len(tokens.calls) == 2
    assert house.kiro.ids == []
    assert all(isinstance(error, NoUsableCredential) for error in errors[1:])
    assert {each.state for each in house.store.all()} == {State.REJECTED}


def test_row_105_a_key_that_is_refused_is_not_asked_for_ever(clock: Clock) -> None:
    house = House(clock, api_key())
    house.kiro.play = lambda _credential, _route: STALE
    for _ in range(20):
        house.told()
    assert len(house.kiro.ids) == 3
    assert house.stored().state is State.COOLING_DOWN
