"""How a credential's state moves: a table, pure and total.

    READY ──throttled / failed × 3──▶ COOLING_DOWN(until) ──now ≥ until──▶ READY
    READY ──quota used up──────────▶ EXHAUSTED(until)     ──now ≥ until, or credits seen again──▶ READY
    any   ──refresh token dead─────▶ REJECTED             ──signed in again──▶ READY
    any   ──account locked─────────▶ SUSPENDED            ──operator──▶ READY
    any   ──refresh ended unclear──▶ UNCERTAIN(until)     ──worked──▶ READY, ──refused──▶ REJECTED
    any   ──operator───────────────▶ DISABLED             ──operator──▶ READY

"any" leaves out what only a person ends: whatever happens to a DISABLED credential it stays so, and a SUSPENDED or REJECTED one
is not talked back by a request that was still under way. UNCERTAIN is refreshed again once its `until` is over, and serves
before that while its old access token lasts; it is not READY before a refresh worked.

In: how a credential stands, what happened, the time. Out: how it stands then. Total: a pair the table does not name changes
nothing. Source of the lengths: protocol 4.3 and 7 (a user's rate limit clears within 5–8 s, penalties last about 2 minutes).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from app.credentials.credential import Credential, Freshness, State

__all__ = [
    "AccountLocked",
    "Failed",
    "Happening",
    "Health",
    "OperatorDisabled",
    "OperatorEnabled",
    "QuotaReturned",
    "QuotaUsedUp",
    "RefreshDead",
    "RefreshPostponed",
    "RefreshUnclear",
    "RefreshWorked",
    "SignedInAgain",
    "State",
    "Succeeded",
    "Throttled",
    "Waited",
    "advance",
    "next_reset",
    "refreshable",
    "usable",
]

FAILURES_BEFORE_COOLING = 3
FAILED_SECONDS = (5.0, 300.0)
THROTTLED_SECONDS = (8.0, 120.0)
POSTPONED_SECONDS = (5.0, 120.0)
UNCLEAR_SECONDS = (30.0, 120.0, 900.0)
MAX_UNTIL_SECONDS = 7 * 24 * 3600.0
# A plan's period is a month: a reset that is farther away, or over, is a mistake of whoever named it.
EXHAUSTED_SECONDS = (60.0, 32 * 24 * 3600.0)


@dataclass(frozen=True, slots=True)
class Health:
    """How a credential stands. until: epoch seconds, None when only a person or a refresh ends the state."""

    state: State = State.READY
    until: float | None = None
    reason: str | None = None
    failure_count: int = 0

    @classmethod
    def of(cls, credential: Credential) -> Health:
        return cls(credential.state, credential.state_until, credential.state_reason, credential.failure_count)


# -- what can happen --


@dataclass(frozen=True, slots=True)
class Succeeded:
    """A request was answered whole."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A request failed in a way that may be this credential's fault."""

    reason: str


@dataclass(frozen=True, slots=True)
class Throttled:
    """Kiro asks to slow down, for so long when it says so."""

    retry_after_seconds: float | None = None
    reason: str = "throttled"


@dataclass(frozen=True, slots=True)
class QuotaUsedUp:
    """Nothing is left until the reset."""

    until: float
    reason: str = "the quota is used up"


@dataclass(frozen=True, slots=True)
class QuotaReturned:
    """A look at the account shows credits again: a new plan, a bonus, an early reset."""


@dataclass(frozen=True, slots=True)
class AccountLocked:
    """Kiro suspended the account."""

    reason: str = "the account is suspended"


@dataclass(frozen=True, slots=True)
class RefreshWorked:
    """New tokens were saved."""


@dataclass(frozen=True, slots=True)
class RefreshPostponed:
    """A refresh failed without consuming the refresh token."""

    reason: str
    retry_after_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class RefreshDead:
    """The refresh token is not accepted any more."""

    reason: str = "sign in again"


@dataclass(frozen=True, slots=True)
class RefreshUnclear:
    """A refresh was sent and nobody knows its end. wait_seconds: how long to leave it, None for the usual back-off."""

    reason: str
    wait_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SignedInAgain:
    """A new token set took the old one's place."""


@dataclass(frozen=True, slots=True)
class OperatorEnabled:
    """A person wants it used."""


@dataclass(frozen=True, slots=True)
class OperatorDisabled:
    """A person does not want it used."""

    reason: str = "disabled by the operator"


@dataclass(frozen=True, slots=True)
class Waited:
    """Time went by."""


Happening = (
    Succeeded
    | Failed
    | Throttled
    | QuotaUsedUp
    | QuotaReturned
    | AccountLocked
    | RefreshWorked
    | RefreshPostponed
    | RefreshDead
    | RefreshUnclear
    | SignedInAgain
    | OperatorEnabled
    | OperatorDisabled
    | Waited
)


def advance(health: Health, happening: Happening, now: float) -> Health:
    """How the credential stands after `happening`. Never raises."""
    health = _wake(health, now)
    move = _MOVES[type(happening)].get(health.state)
    return health if move is None else move(health, happening, now)


def usable(credential: Credential, now: float) -> bool:
    """Whether it may be chosen: READY, its waiting time is over, or only its next refresh is in doubt."""
    if _is_ready(credential, now):
        return True
    return credential.state is State.UNCERTAIN and credential.freshness(now) is not Freshness.EXPIRED


def refreshable(credential: Credential, now: float) -> bool:
    """Whether its tokens may be traded now: READY, its waiting time is over, or only its quota keeps it out.

    Without a token nobody could see that a quota came back early.
    """
    return credential.state is State.EXHAUSTED or _is_ready(credential, now)


def _is_ready(credential: Credential, now: float) -> bool:
    if credential.state in _ENDS_BY_ITSELF or credential.state is State.UNCERTAIN:
        return credential.state_until is None or credential.state_until <= now
    return credential.state is State.READY


def next_reset(now: float, *, daily: bool = False) -> float:
    """When a quota comes back if nobody named the date: the next midnight, or the first of the next month (UTC).

    Source: protocol 6, `nextDateReset` is the first of a month at 00:00 UTC.
    """
    today = datetime.fromtimestamp(now, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if daily:
        return (today + timedelta(days=1)).timestamp()
    return (today.replace(day=1) + timedelta(days=32)).replace(day=1).timestamp()


# -- the moves --

_ENDS_BY_ITSELF = (State.COOLING_DOWN, State.EXHAUSTED)


def _wake(health: Health, now: float) -> Health:
    if health.state in _ENDS_BY_ITSELF and (health.until is None or health.until <= now):
        # The count stays: a credential that fails again right away rests longer.
        return Health(State.READY, failure_count=health.failure_count if health.state is State.COOLING_DOWN else 0)
    return health


def _ready(_health: Health, _happening: Any, _now: float) -> Health:
    return Health()


def _fail(health: Health, happening: Failed, now: float) -> Health:
    count = health.failure_count + 1
    if count < FAILURES_BEFORE_COOLING:
        return replace(health, failure_count=count, reason=happening.reason)
    rest = _grown(FAILED_SECONDS, count - FAILURES_BEFORE_COOLING)
    return Health(State.COOLING_DOWN, now + rest, happening.reason, count)


def _throttle(health: Health, happening: Throttled, now: float) -> Health:
    rest = _asked(happening.retry_after_seconds) or _grown(THROTTLED_SECONDS, health.failure_count)
    return Health(State.COOLING_DOWN, now + rest, happening.reason, health.failure_count + 1)


def _throttle_more(health: Health, happening: Throttled, now: float) -> Health:
    """Requests that were under way together are throttled together: once is enough, unless Kiro asks for longer."""
    until = now + (_asked(happening.retry_after_seconds) or 0.0)
    return replace(health, until=until, reason=happening.reason) if until > (health.until or 0.0) else health


def _postpone(health: Health, happening: RefreshPostponed, now: float) -> Health:
    rest = _asked(happening.retry_after_seconds) or _grown(POSTPONED_SECONDS, health.failure_count)
    return Health(State.COOLING_DOWN, now + rest, happening.reason, health.failure_count + 1)


def _doubt_longer(health: Health, happening: RefreshPostponed, now: float) -> Health:
    """A try to end the doubt did not get through: the next one waits as if it were the first."""
    rest = _asked(happening.retry_after_seconds) or UNCLEAR_SECONDS[0]
    return replace(health, until=max(health.until or 0.0, now + rest))


def _exhaust(_health: Health, happening: QuotaUsedUp, now: float) -> Health:
    shortest, longest = EXHAUSTED_SECONDS
    return Health(State.EXHAUSTED, min(max(happening.until, now + shortest), now + longest), happening.reason)


def _suspend(_health: Health, happening: AccountLocked, _now: float) -> Health:
    return Health(State.SUSPENDED, None, happening.reason)


def _reject(_health: Health, happening: RefreshDead, _now: float) -> Health:
    return Health(State.REJECTED, None, happening.reason)


def _doubt(health: Health, happening: RefreshUnclear, now: float) -> Health:
    before = health.failure_count if health.state is State.UNCERTAIN else 0
    rest = _asked(happening.wait_seconds) or UNCLEAR_SECONDS[min(before, len(UNCLEAR_SECONDS) - 1)]
    return Health(State.UNCERTAIN, now + rest, happening.reason, before + 1)


def _disable(_health: Health, happening: OperatorDisabled, _now: float) -> Health:
    return Health(State.DISABLED, None, happening.reason)


def _grown(window: tuple[float, float], times: int) -> float:
    first, last = window
    return min(first * 2.0 ** min(max(times, 0), 16), last)


def _asked(seconds: float | None) -> float | None:
    return None if seconds is None else min(max(seconds, 1.0), MAX_UNTIL_SECONDS)


_Move = Callable[[Health, Any, float], Health]


def _from(move: _Move, *states: State) -> dict[State, _Move]:
    return dict.fromkeys(states, move)


_READY, _COOLING, _EXHAUSTED = State.READY, State.COOLING_DOWN, State.EXHAUSTED
_REJECTED, _SUSPENDED, _UNCERTAIN, _DISABLED = State.REJECTED, State.SUSPENDED, State.UNCERTAIN, State.DISABLED

_MOVES: Mapping[type[Any], Mapping[State, _Move]] = {
    Succeeded: _from(_ready, _READY),
    Failed: _from(_fail, _READY),
    Throttled: {_READY: _throttle, _COOLING: _throttle_more},
    QuotaUsedUp: _from(_exhaust, _READY, _COOLING, _EXHAUSTED),
    QuotaReturned: _from(_ready, _EXHAUSTED),
    AccountLocked: _from(_suspend, _READY, _COOLING, _EXHAUSTED, _REJECTED, _UNCERTAIN),
    RefreshWorked: _from(_ready, _UNCERTAIN, _REJECTED),
    RefreshPostponed: {**_from(_postpone, _READY, _COOLING), _UNCERTAIN: _doubt_longer},
    RefreshDead: _from(_reject, _READY, _COOLING, _EXHAUSTED, _UNCERTAIN),
    RefreshUnclear: _from(_doubt, _READY, _COOLING, _EXHAUSTED, _UNCERTAIN),
    SignedInAgain: _from(_ready, *(state for state in State if state is not _DISABLED)),
    OperatorEnabled: _from(_ready, *State),
    OperatorDisabled: _from(_disable, *State),
    Waited: {},
}
