"""Which credential is next, and why. Pure: credentials and time in, a choice with its reason out."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from app.credentials.credential import Credential
from app.credentials.lifecycle import Standing, State, settled
from app.errors import AllCoolingDown, AllExhausted, NoUsableCredential

ADVICE = {
    State.REJECTED: "sign in again",
    State.SUSPENDED: "see the account's page at Kiro, then enable it",
    State.DISABLED: "enable it",
    State.UNCERTAIN: "its refresh ended unclear; wait a minute or sign in again",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """reason: one line for the request record."""

    credential: Credential
    reason: str


def standing_of(credential: Credential, now: float) -> Standing:
    """A credential's state at `now`."""
    stored = Standing(State(credential.state), credential.state_until, credential.state_reason, credential.failure_count)
    return settled(stored, now)


def choose(credentials: Iterable[Credential], *, now: float, excluded: frozenset[int] = frozenset()) -> Choice:
    """The first READY credential by priority (lowest number), then id.

    excluded: ids this request has done with.
    Raises AllCoolingDown, AllExhausted or NoUsableCredential when there is none.
    """
    everyone = list(credentials)
    ready = [each for each in everyone if standing_of(each, now).state is State.READY]
    # A refresh that ended unclear is tried once more when its time is over and nothing better is left.
    ready = ready or [each for each in everyone if _may_be_tried(standing_of(each, now), now)]
    candidates = [each for each in ready if each.id not in excluded]
    if candidates:
        chosen = min(candidates, key=lambda each: (each.priority, each.id))
        others = f"{len(candidates)} of {len(everyone)} ready"
        failed = f", {len(excluded)} left out in this request" if excluded else ""
        return Choice(chosen, f"priority {chosen.priority}, {others}{failed}")
    raise _nobody(everyone, ready, now)


def _may_be_tried(standing: Standing, now: float) -> bool:
    return standing.state is State.UNCERTAIN and (standing.until is None or standing.until <= now)


def _nobody(everyone: list[Credential], ready: list[Credential], now: float) -> Exception:
    if not everyone:
        return NoUsableCredential("No Kiro credential is stored: add one with `flask --app wsgi credentials add`")
    if ready:
        return NoUsableCredential("Every ready Kiro credential has failed for this request; try again")
    standings = [standing_of(each, now) for each in everyone]
    cooling = [each.until for each in standings if each.state is State.COOLING_DOWN and each.until is not None]
    if cooling:
        seconds = math.ceil(min(cooling) - now)
        return AllCoolingDown(
            f"Every Kiro credential is cooling down; the first is back in {seconds} s",
            retry_after_seconds=seconds if 1 <= seconds <= 120 else None,
        )
    exhausted = [each.until for each in standings if each.state is State.EXHAUSTED and each.until is not None]
    if exhausted:
        date = datetime.fromtimestamp(min(exhausted), UTC).strftime("%Y-%m-%d %H:%M UTC")
        return AllExhausted(f"The quota of every Kiro credential is used up; the first is reset on {date}")
    counts = {state: sum(each.state is state for each in standings) for state in ADVICE}
    parts = [f"{count} {state.value} ({ADVICE[state]})" for state, count in counts.items() if count]
    return NoUsableCredential(f"No Kiro credential can be used: {', '.join(parts)}; see `flask --app wsgi credentials list`")
