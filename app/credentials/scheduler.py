"""Which credential serves next, and why that one.

In: all credentials, the time, and those this request will not ask again. Out: a choice with its reason in words, or one of the
four errors that say why there is none. Pure. The order is fixed: lowest priority number first, then the oldest.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from app.credentials.credential import Credential, State
from app.credentials.lifecycle import Health, Waited, advance, usable
from app.errors import AllCoolingDown, AllExhausted, GatewayError, NoUsableCredential

LONGEST_RETRY_AFTER_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Choice:
    """The credential to use and why, for the request record."""

    credential: Credential
    reason: str


def choose(credentials: Iterable[Credential], *, now: float, excluded: frozenset[int] = frozenset()) -> Choice:
    """The first usable credential by (priority, id).

    Raises AllCoolingDown, AllExhausted or NoUsableCredential.
    """
    passed_over: list[str] = []
    everyone = sorted(credentials, key=lambda credential: (credential.priority, credential.id))
    for credential in everyone:
        if credential.id in excluded:
            passed_over.append(f"{credential.id} was tried")
        elif not usable(credential, now):
            passed_over.append(f"{credential.id} {standing(credential, now)}")
        else:
            reason = f"first by priority ({credential.priority})"
            return Choice(credential, f"{reason}; passed over: {', '.join(passed_over)}" if passed_over else reason)
    raise _why_none(everyone, now)


def standing(credential: Credential, now: float) -> str:
    """How it stands, in words without a token."""
    health = advance(Health.of(credential), Waited(), now)
    until = health.until
    match health.state:
        case State.READY:
            return "is ready"
        case State.COOLING_DOWN if until is not None:
            return f"cools down for {math.ceil(until - now)} s"
        case State.EXHAUSTED if until is not None:
            return f"is used up until {moment(until)}"
        case State.UNCERTAIN if until is not None:
            when = f"is tried again in {math.ceil(until - now)} s" if until > now else "is tried again when it is needed"
            return f"had a refresh that ended unclear and {when}"
        case State.REJECTED:
            return "must be signed in again"
        case State.SUSPENDED:
            return "is suspended by Kiro"
        case other:
            return f"is {other.replace('_', ' ')}"


def moment(at: float) -> str:
    """An instant for people."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _why_none(credentials: Sequence[Credential], now: float) -> GatewayError:
    """What comes back soonest decides which of the errors it is."""
    if not credentials:
        return NoUsableCredential(
            "No Kiro credential is stored: add one with `flask --app wsgi credentials add`, "
            "or name a file in KIRO_CREDENTIALS_FILE"
        )
    resting = [
        credential.state_until
        for credential in credentials
        if credential.state in (State.COOLING_DOWN, State.UNCERTAIN) and credential.state_until and credential.state_until > now
    ]
    if resting:
        seconds = max(math.ceil(min(resting) - now), 1)
        return AllCoolingDown(
            f"Every Kiro credential is cooling down; the first is back in {seconds} s",
            retry_after_seconds=seconds if seconds <= LONGEST_RETRY_AFTER_SECONDS else None,
        )
    exhausted = [
        credential.state_until
        for credential in credentials
        if credential.state is State.EXHAUSTED and credential.state_until and credential.state_until > now
    ]
    if exhausted:
        return AllExhausted(f"The quota of every Kiro credential is used up; the first resets at {moment(min(exhausted))}")
    stuck = [_remedy(credential) for credential in credentials if not usable(credential, now)]
    if len(stuck) < len(credentials):
        return NoUsableCredential(
            "Every usable Kiro credential failed for this request: see why with `flask --app wsgi requests`"
        )
    return NoUsableCredential(f"No usable Kiro credential: {'; '.join(stuck)}")


def _remedy(credential: Credential) -> str:
    """What a person does about it."""
    id_ = credential.id
    match credential.state:
        case State.DISABLED:
            return f"{id_} is disabled (`flask --app wsgi credentials enable {id_}`)"
        case State.SUSPENDED:
            return (
                f"{id_} is suspended by Kiro (see the account's page there, then `flask --app wsgi credentials enable {id_}`)"
            )
        case _:
            return f"{id_} must be signed in again (bring its new token: `flask --app wsgi credentials add --replace {id_}`)"
