"""Whatever Kiro answers and the clock does, no login is stranded, none is lent that may not be used, and none stays counted.

Stories of requests, refreshes and jumps of the clock are made up at random and told to the real pool, store and retries.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from app.credentials.credential import Credential, Freshness, State
from app.credentials.scheduler import Wanted
from app.errors import AtCapacity, EventStreamError, GatewayError
from app.kiro.endpoints import HttpCall
from app.kiro.routes import Route
from app.storage import transaction
from app.storage.tables import CredentialRow
from app.upstream.http import HostUnknown, HttpAnswer, TransportFailed
from tests.contract.house import MENDED_BY_A_PERSON, House, refusal
from tests.unit.credentials.logins import HOUR, NOON, Clock, answered, api_key, broken, idc, refused, social

DAY = 24 * HOUR
Chat = Callable[[], HttpAnswer | GatewayError | None]
CHATS: dict[str, Chat] = {
    "good": lambda: None,
    "stale": lambda: refusal(403, "The bearer token included in the request is invalid."),
    "forbidden": lambda: refusal(403, "User is not authorized to make this call."),
    "suspended": lambda: refusal(403, "suspended", "TEMPORARILY_SUSPENDED"),
    "used up": lambda: refusal(402, "You have reached the limit.", "MONTHLY_REQUEST_COUNT"),
    "throttled": lambda: refusal(429, "Too many requests", "USER_REQUEST_RATE_EXCEEDED"),
    "throttled for an hour": lambda: refusal(429, "Too many requests", None, **{"retry-after": "3600"}),
    "no room": lambda: refusal(429, "no", "INSUFFICIENT_MODEL_CAPACITY"),
    "out of order": lambda: refusal(500, "Internal"),
    "gone": lambda: refusal(410, "gone"),
    "timeout at the edge": lambda: refusal(524, "A timeout occurred"),
    "refused": lambda: refusal(400, "Improperly formed request."),
    "no such model": lambda: refusal(400, "Invalid model", "INVALID_MODEL_ID"),
    "no profile": lambda: refusal(400, "profileArn is required for this request."),
    "damaged": EventStreamError,
    "unreached": lambda: TransportFailed("no way", sent=False),
    "cut": lambda: TransportFailed("broke", sent=True),
    "no name": lambda: HostUnknown("no such name", sent=False),
}
TRADES: dict[str, Callable[[], HttpAnswer | TransportFailed | None]] = {
    "good": lambda: None,
    "dead": refused,
    "out of order": lambda: answered({"message": "Internal"}, 503),
    "busy": lambda: answered({"message": "slow down"}, 429, **{"retry-after": "600"}),
    "without a token": lambda: answered({}),
    "unreached": lambda: broken(sent=False),
    "unclear": lambda: broken(sent=True),
}
requests = st.tuples(st.just("request"), st.lists(st.sampled_from(list(CHATS)), min_size=1, max_size=9))
trades = st.tuples(st.just("trades"), st.lists(st.sampled_from(list(TRADES)), max_size=4))
waits = st.tuples(st.just("wait"), st.sampled_from([1.0, 9.0, 130.0, 1000.0, HOUR - 300, HOUR, DAY, -HOUR]))
stories = st.lists(requests | requests | trades | waits, max_size=14)


class Trades:
    """Trades any refresh token; what was told to come comes first."""

    def __init__(self) -> None:
        self.coming: list[str] = []
        self._numbers = itertools.count(1)

    def send(self, _call: HttpCall, *, proxy_url: str | None, timeout_seconds: float) -> HttpAnswer:
        answer = TRADES[self.coming.pop(0) if self.coming else "good"]()
        if isinstance(answer, TransportFailed):
            raise answer
        number = next(self._numbers)
        tokens = {"accessToken": f"aoa-{number}", "refreshToken": f"aor-{number}", "expiresIn": 3600}
        return answer or answered(tokens)


def new_house(trades_: Trades) -> House:
    """Three logins, each of which answers one request at a time: one that stays counted can never be lent again."""
    with transaction() as session:
        session.execute(delete(CredentialRow))
    fresh = {"access_token": "aoa", "expires_at": NOON + HOUR}
    logins = (social("a", max_concurrent=1, **fresh), idc("b", max_concurrent=1), api_key("c", max_concurrent=1))
    return House(Clock(), *logins, tokens=trades_)


def told(house: House, trades_: Trades, step: str, what: Any) -> None:
    """One step of a story."""
    if step == "wait":
        house.clock.now += what
    elif step == "trades":
        trades_.coming = list(what)
    else:
        chats: Iterator[str] = iter(what)

        def play(credential: Credential, _route: Route) -> HttpAnswer | GatewayError | None:
            assert credential.freshness(house.clock.now) is not Freshness.EXPIRED
            return CHATS[next(chats, "good")]()

        house.kiro.play = play
        before = len(house.kiro.ids)
        outcome = house.request()
        assert not isinstance(outcome, AtCapacity), "every lease was given back"
        assert len(house.kiro.ids) - before <= 9


@example(story=[("request", ["stale"] * 9), ("trades", ["unclear", "unclear"]), ("wait", HOUR), ("request", ["good"])])
@example(story=[("wait", HOUR), ("request", ["throttled"] * 9), ("wait", -HOUR), ("request", ["good"])])
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(story=stories)
def test_after_any_story_every_login_that_no_person_must_mend_serves_within_a_day(
    database: Path, story: list[tuple[str, Any]]
) -> None:
    assert database.exists()
    trades_ = Trades()
    house = new_house(trades_)
    for step, what in story:
        told(house, trades_, step, what)
    trades_.coming = []
    house.clock.now += DAY
    for id_ in house.ids:
        stored = house.stored(id_)
        if stored.state in MENDED_BY_A_PERSON:
            continue
        if stored.state is State.EXHAUSTED:
            house.clock.now = max(house.clock.now, stored.state_until or 0.0)
        lease = house.pool.lend(Wanted(excluded=frozenset(house.ids) - {id_}))
        assert lease.credential.id == id_
        assert lease.credential.freshness(house.clock.now) is not Freshness.EXPIRED
        house.pool.give_back(lease)


@example(story=[("trades", ["dead"]), ("wait", 2 * HOUR), ("request", ["good"]), ("request", ["good"])])
@example(story=[("request", ["suspended"]), ("wait", DAY), ("request", ["good"])])
@settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(story=stories)
def test_in_any_story_only_a_person_wakes_who_is_locked_or_dead(database: Path, story: list[tuple[str, Any]]) -> None:
    assert database.exists()
    trades_ = Trades()
    house = new_house(trades_)
    gone: set[int] = set()
    for step, what in story:
        before = len(house.kiro.ids)
        told(house, trades_, step, what)
        assert not gone & set(house.kiro.ids[before:])
        gone |= {each.id for each in house.store.all() if each.state in MENDED_BY_A_PERSON}
