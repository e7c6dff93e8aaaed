"""The states of a credential, and what moves it from one to the next. Pure and total; time is an argument.

    READY ──throttled / failed × n──▶ COOLING_DOWN(until) ──now ≥ until──▶ READY
    READY ──quota used up──────────▶ EXHAUSTED(until)     ──now ≥ until──▶ READY
    any   ──refresh token dead─────▶ REJECTED             ──signed in again──▶ READY
    any   ──account locked─────────▶ SUSPENDED            ──operator──▶ READY
    any   ──refresh ended unclear──▶ UNCERTAIN(until)     ──worked──▶ READY, ──refused──▶ REJECTED
    any   ──operator───────────────▶ DISABLED             ──operator──▶ READY

A credential that is out for a reason only a person can mend stays out, whatever else happens to it.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass


class State(enum.StrEnum):
    READY = "ready"
    COOLING_DOWN = "cooling"
    EXHAUSTED = "exhausted"
    REJECTED = "rejected"
    SUSPENDED = "suspended"
    UNCERTAIN = "uncertain"
    DISABLED = "disabled"


class Happening(enum.Enum):
    """What can happen to a credential."""

    SUCCEEDED = "an answer was passed on whole"
    FAILED = "an attempt failed for a passing reason"
    THROTTLED = "Kiro asked to slow down"
    QUOTA_USED_UP = "the plan's quota is used up"
    ACCOUNT_LOCKED = "Kiro has suspended the account"
    REFRESH_DEAD = "the refresh token is no longer accepted"
    REFRESH_UNCLEAR = "a refresh was sent and its end is unknown"
    REFRESH_WORKED = "new tokens were stored"
    SIGNED_IN_AGAIN = "a person signed in again"
    OPERATOR_ENABLED = "the operator enabled it"
    OPERATOR_DISABLED = "the operator disabled it"


@dataclass(frozen=True, slots=True)
class Standing:
    """A state with what belongs to it. until: epoch seconds, only for states that end by themselves."""

    state: State = State.READY
    until: float | None = None
    reason: str | None = None
    failures: int = 0


FAILURES_TO_COOL = 3
COOL_SECONDS = 30.0
COOL_MAX_SECONDS = 600.0
THROTTLE_SECONDS = 8.0  # source: protocol 7, 5–8 s clears most
QUOTA_SECONDS = 24 * 3600.0  # when nobody knows the reset date
UNCERTAIN_SECONDS = 90.0  # one lease
STAYS_OUT = frozenset({State.REJECTED, State.SUSPENDED, State.DISABLED})
ENDS_BY_TIME = frozenset({State.COOLING_DOWN, State.EXHAUSTED})


def settled(standing: Standing, now: float) -> Standing:
    """The state at `now`: one that ends by itself may have ended."""
    if standing.state in ENDS_BY_TIME and standing.until is not None and now >= standing.until:
        return Standing(State.READY, failures=standing.failures)
    return standing


def advance(
    standing: Standing, happening: Happening, now: float, *, until: float | None = None, reason: str | None = None
) -> Standing:
    """The state after a happening. until: when it is known to end; reason: told to the operator."""
    before = settled(standing, now)
    by_a_person = {
        Happening.OPERATOR_ENABLED: Standing(),
        Happening.SIGNED_IN_AGAIN: Standing(),
        Happening.OPERATOR_DISABLED: Standing(State.DISABLED, reason=reason or "disabled by the operator"),
    }
    if happening in by_a_person:
        return by_a_person[happening]
    if before.state is State.DISABLED:
        return before
    if happening is Happening.ACCOUNT_LOCKED:
        return Standing(State.SUSPENDED, reason=reason or happening.value)
    if happening is Happening.REFRESH_DEAD:
        return before if before.state is State.SUSPENDED else Standing(State.REJECTED, reason=reason or happening.value)
    if before.state in STAYS_OUT:
        return before
    return _in_service(before, happening, now, until, reason or happening.value)


def _in_service(before: Standing, happening: Happening, now: float, until: float | None, reason: str) -> Standing:
    if happening is Happening.REFRESH_UNCLEAR:
        return Standing(State.UNCERTAIN, until or now + UNCERTAIN_SECONDS, reason, before.failures)
    if happening is Happening.REFRESH_WORKED:
        return Standing(failures=before.failures) if before.state is State.UNCERTAIN else before
    if happening is Happening.SUCCEEDED:
        return Standing()
    if happening is Happening.QUOTA_USED_UP:
        return Standing(State.EXHAUSTED, _later(now, until, now + QUOTA_SECONDS), reason)
    if before.state is not State.READY and before.state is not State.COOLING_DOWN:
        return before
    if happening is Happening.THROTTLED:
        return Standing(State.COOLING_DOWN, _later(now, until, now + THROTTLE_SECONDS), reason, before.failures)
    failures = before.failures + 1
    if failures < FAILURES_TO_COOL:
        return Standing(before.state, before.until, before.reason, failures)
    seconds = min(COOL_SECONDS * 2 ** min(failures - FAILURES_TO_COOL, 10), COOL_MAX_SECONDS)
    return Standing(State.COOLING_DOWN, _later(now, until, now + seconds), reason, failures)


def _later(now: float, until: float | None, otherwise: float) -> float:
    return until if until is not None and until > now else otherwise
