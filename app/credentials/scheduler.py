"""Which credential serves next, and why that one.

In: all credentials, the time, what the request wants, the policy in force and what this process has under way. Out: a choice
with its reason in words, or the error that says why there is none. `choose` is pure; `Load` is what a process remembers between
two choices.

`fixed` takes the lowest priority number, then the oldest. `auto` spreads: each credential's share grows with the credits it has
left in its period, requests under way count, and a client's session stays where it was answered until that one cannot serve.
Two workers agree on where a session starts, because that is a hash of it, weighted by the credits the database says are left.
Source: protocol 7; start-time fair queueing for the spread, weighted rendezvous hashing for the sessions.
"""

from __future__ import annotations

import hashlib
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from app.credentials.credential import Credential, State
from app.credentials.lifecycle import Health, Waited, advance, usable
from app.errors import AllCoolingDown, AllExhausted, AtCapacity, GatewayError, NoUsableCredential

LONGEST_RETRY_AFTER_SECONDS = 120
FIXED, AUTO = "fixed", "auto"
# So many requests at once are what one person's agents send; `auto` prefers a credential with fewer. `max_concurrent` forbids.
POLITE_CONCURRENCY = 8
MAX_PINS = 10_000
SMALLEST_WEIGHT = 1.0


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a request asks of the choice.

    model: Kiro's model id. session: whose next request should meet the same credential. begins: the session was made up for a
    conversation that only starts, so that nothing is lost by starting it anywhere. excluded: ids not to be asked again.
    """

    model: str | None = None
    session: str | None = None
    begins: bool = False
    excluded: frozenset[int] = frozenset()


ANY = Wanted()


@dataclass(frozen=True, slots=True)
class Policy:
    """What the operator decided. threshold: credits left below which a credential is left alone. workers: of this machine."""

    mode: str = FIXED
    threshold: float = 0.0
    workers: int = 1


BY_PRIORITY = Policy()


@dataclass(frozen=True, slots=True)
class Choice:
    """The credential to use and why, for the request record. weight: its share; turn: how far the shares were used."""

    credential: Credential
    reason: str
    weight: float = SMALLEST_WEIGHT
    turn: float = 0.0


@dataclass(slots=True)
class Load:
    """What one process has under way and remembers of its choices.

    in_flight: requests by credential. turns: how far each credential's share is used, in requests divided by weight.
    pins: session → credential.
    """

    in_flight: dict[int, int] = field(default_factory=dict)
    turns: dict[int, float] = field(default_factory=dict)
    latest_turn: float = 0.0
    pins: OrderedDict[str, int] = field(default_factory=OrderedDict)

    def took(self, choice: Choice, wanted: Wanted) -> None:
        """Count a choice that was taken."""
        id_ = choice.credential.id
        self.began(id_)
        self.latest_turn = max(choice.turn, self.latest_turn)
        self.turns[id_] = self.turn_of(id_) + 1.0 / choice.weight
        if wanted.session is not None:
            self.pins[wanted.session] = id_
            self.pins.move_to_end(wanted.session)
            while len(self.pins) > MAX_PINS:
                self.pins.popitem(last=False)

    def turn_of(self, id_: int) -> float:
        """How far a credential's share is used; who was away is where the others are, without a claim on what it missed."""
        return max(self.turns.get(id_, 0.0), self.latest_turn)

    def began(self, id_: int) -> None:
        """A request of this credential is under way."""
        self.in_flight[id_] = self.in_flight.get(id_, 0) + 1

    def ended(self, id_: int) -> None:
        """A request of this credential is over."""
        left = self.in_flight.get(id_, 0) - 1
        if left > 0:
            self.in_flight[id_] = left
        else:
            self.in_flight.pop(id_, None)


def choose(
    credentials: Sequence[Credential],
    wanted: Wanted = ANY,
    *,
    now: float,
    policy: Policy = BY_PRIORITY,
    load: Load | None = None,
) -> Choice:
    """The credential to ask next. credentials: by priority, then id, as `CredentialStore.all` gives them.

    Raises AllCoolingDown, AllExhausted, AtCapacity or NoUsableCredential.
    """
    load = load or Load()

    def obstacle(credential: Credential) -> str | None:
        return _obstacle(credential, credentials, wanted, now, policy, load)

    choice = _first(credentials, obstacle) if policy.mode == FIXED else _fair(credentials, obstacle, wanted, now, load)
    if choice is None:
        left = [each for each in credentials if usable(each, now) and each.id not in wanted.excluded]
        full = any(_is_full(each, policy, load) for each in left)
        raise _why_none(credentials, wanted, now, policy, full=full)
    return choice


def weights(credentials: Sequence[Credential], now: float) -> dict[int, float]:
    """How much of the work each should get: the credits it has left, or the middle of what others have while nobody knows."""
    known = sorted(left for each in credentials if (left := credits_left(each, now)) is not None)
    usual = known[len(known) // 2] if known else SMALLEST_WEIGHT
    weighed = {each.id: credits_left(each, now) for each in credentials}
    return {id_: max(usual if left is None else left, SMALLEST_WEIGHT) for id_, left in weighed.items()}


def credits_left(credential: Credential, now: float) -> float | None:
    """Credits until the reset as they were last seen; None when that was never, or before the last reset."""
    limit, used, reset = credential.usage_limit, credential.current_usage, credential.next_reset_at
    if not limit or used is None or (reset is not None and reset <= now):
        return None
    return limit - used


def is_low(credential: Credential, now: float, threshold: float) -> bool:
    """Whether so little is left that `min_usage_threshold` keeps it out; who pays for overage is never low."""
    left = credits_left(credential, now)
    pays = (credential.usage or {}).get("overage_status") == "ENABLED"
    return left is not None and left < threshold and not pays


def offers(credential: Credential, model: str | None) -> bool:
    """Whether the login has the model, as far as is known: what Kiro listed, else the free plan has no Opus (protocol 1.12)."""
    if model is None:
        return True
    if credential.models is not None:
        return model in credential.models
    return not ("opus" in model and "FREE" in (credential.subscription_title or "").upper())


# -- who is able --


def _obstacle(
    credential: Credential, everyone: Sequence[Credential], wanted: Wanted, now: float, policy: Policy, load: Load
) -> str | None:
    """Why a credential is not asked, in words; None when it may be."""
    if credential.id in wanted.excluded:
        return "was tried"
    if not usable(credential, now):
        return standing(credential, now)
    if is_low(credential, now, policy.threshold):
        return f"has {credits_left(credential, now):.1f} credits left, fewer than min_usage_threshold"
    # When no plan is known to have it, Kiro decides: plans change, and what is known of them is hours old.
    if not offers(credential, wanted.model) and any(offers(each, wanted.model) for each in everyone):
        plan = f"is on the plan {credential.subscription_title}, which " if credential.subscription_title else ""
        return f"{plan}lacks {wanted.model}"
    if _is_full(credential, policy, load):
        return f"answers {load.in_flight.get(credential.id, 0)} requests, its max_concurrent"
    return None


def _is_full(credential: Credential, policy: Policy, load: Load) -> bool:
    """Each worker takes its part of the limit: none of them knows of the others' requests."""
    if credential.max_concurrent is None:
        return False
    return load.in_flight.get(credential.id, 0) >= math.ceil(credential.max_concurrent / policy.workers)


# -- which of them --


def _first(credentials: Sequence[Credential], obstacle: Callable[[Credential], str | None]) -> Choice | None:
    passed_over: list[str] = []
    for each in credentials:
        found = obstacle(each)
        if found is None:
            return Choice(each, _with(f"first by priority ({each.priority})", passed_over))
        passed_over.append(f"{each.id} {found}")
    return None


def _fair(
    credentials: Sequence[Credential], obstacle: Callable[[Credential], str | None], wanted: Wanted, now: float, load: Load
) -> Choice | None:
    pinned = load.pins.get(wanted.session) if wanted.session and not wanted.begins else None
    there = next((each for each in credentials if each.id == pinned), None) if pinned is not None else None
    if there is not None and obstacle(there) is None:
        # What it uses of its share is counted by what was known when the session began there.
        return Choice(there, "its session was answered there", max(credits_left(there, now) or 0.0, SMALLEST_WEIGHT))
    obstacles = {each.id: obstacle(each) for each in credentials}
    able = [each for each in credentials if obstacles[each.id] is None]
    if not able:
        return None
    weighed = weights(able, now)
    turn = min(load.turn_of(each.id) for each in able)
    if wanted.session and not wanted.begins:
        session = wanted.session
        best = max(able, key=lambda each: _lot(session, each.id, weighed[each.id]))
        reason = f"drawn for its session, weight {weighed[best.id]:.0f}"
    else:
        polite = [each for each in able if load.in_flight.get(each.id, 0) < POLITE_CONCURRENCY]
        best = min(polite or able, key=lambda each: load.turn_of(each.id) + load.in_flight.get(each.id, 0) / weighed[each.id])
        reason = f"its turn, weight {weighed[best.id]:.0f}, {load.in_flight.get(best.id, 0)} under way"
    passed_over = [f"{id_} {found}" for id_, found in obstacles.items() if found is not None]
    return Choice(best, _with(reason, passed_over), weighed[best.id], turn)


def _with(reason: str, passed_over: Sequence[str]) -> str:
    return f"{reason}; passed over: {', '.join(passed_over)}" if passed_over else reason


def _lot(session: str, id_: int, weight: float) -> float:
    """A credential's lot for a session: the same in every process, higher more often for a greater weight.

    Weights are taken as powers of two, so that a few credits more or less do not move the sessions that begin.
    """
    digest = hashlib.blake2b(f"{session}\n{id_}".encode(), digest_size=8).digest()
    drawn = (int.from_bytes(digest) + 1) / 2**64
    return -(2.0 ** math.floor(math.log2(weight))) / math.log(drawn) if drawn < 1.0 else math.inf


# -- in words --


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


def _why_none(credentials: Sequence[Credential], wanted: Wanted, now: float, policy: Policy, *, full: bool) -> GatewayError:
    """What comes back soonest decides which of the errors it is."""
    if full:
        return AtCapacity("Every Kiro credential answers as many requests as its max_concurrent allows")
    if not credentials:
        return NoUsableCredential(
            "No Kiro credential is stored: sign in with `flask --app wsgi login`, bring logins you have with "
            "`flask --app wsgi credentials import`, or name a file in KIRO_CREDENTIALS_FILE"
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
    low = [each for each in credentials if usable(each, now) and is_low(each, now, policy.threshold)]
    if low and all(each in low or not usable(each, now) or each.id in wanted.excluded for each in credentials):
        resets = [each.next_reset_at for each in low if each.next_reset_at]
        when = f"; the first resets at {moment(min(resets))}" if resets else ""
        return AllExhausted(
            f"Every Kiro credential has fewer credits left than min_usage_threshold ({policy.threshold:g}){when}"
        )
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
            return f"{id_} must be signed in again (`flask --app wsgi login … --replace {id_}`)"
