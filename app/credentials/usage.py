"""Looks at what each account has used, politely, beside all requests.

One of all workers and machines looks at a time, one account after another: soon after the start, every five minutes at those
that were used since, every few hours at the others, and soon after Kiro said that a quota is used up. What was read is stored,
so that choosing a credential and listing them asks nobody. A look that fails is not repeated for a while by anybody; nothing of
it reaches a request.
What a look means for a credential: suspended → locked; used up and now with credits again → ready before its date, though not
by the look right after it was used up, because Kiro's numbers lag behind its refusals.
Source: protocol 6 and 7.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from typing import Protocol

from app.credentials.claims import Claims
from app.credentials.credential import Credential, State
from app.credentials.lifecycle import AccountLocked, Happening, QuotaReturned
from app.credentials.store import CredentialStore
from app.errors import AccountSuspended, GatewayError, StorageUnavailable, Throttled
from app.kiro.usage import Usage
from app.runtime.tasks import Task, spawn
from app.upstream.account import Found

log = logging.getLogger(__name__)

START_SECONDS = 2.0
TICK_SECONDS = 20.0
OFTEN_SECONDS = 300.0
SELDOM_SECONDS = 4 * 3600.0
# Longer than any look: a refresh that waits for another worker's, then a question in every form.
CLAIM_SECONDS = 600.0
FAILED_SECONDS = 600.0
THROTTLED_SECONDS = 900.0
STOP_SECONDS = 2.0
CLAIM = "usage"
LOOKED_AT = (State.READY, State.COOLING_DOWN, State.EXHAUSTED)


class Asker(Protocol):
    """`app.upstream.account.AccountClient` is one."""

    def usage(self, credential: Credential) -> Found[Usage]: ...


class UsagePoller:
    """One object per process.

    fresh: gives the credential with a token that can be used, and with its profile. happened: moves its state. threshold: the
    credits below which a credential is left alone. every: seconds between two looks at one in use, 0 for no look at all.
    clock: epoch seconds.
    """

    def __init__(
        self,
        store: CredentialStore,
        account: Asker,
        *,
        fresh: Callable[[Credential], Credential],
        happened: Callable[[int, Happening], object],
        threshold: Callable[[], float],
        every: Callable[[], float] = lambda: OFTEN_SECONDS,
        claims: Claims | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._account = account
        self._fresh = fresh
        self._happened = happened
        self._threshold = threshold
        self._every = every
        self._claims = claims or Claims()
        self._clock = clock
        self._soon: set[int] = set()
        self._woken = threading.Event()
        self._task: Task[None] | None = None

    def start(self) -> None:
        """Begin to look, for as long as the process lives or until `stop`."""
        self._task = spawn(self._run)

    def stop(self) -> None:
        """End it, also in the middle of a look."""
        if self._task is not None:
            self._task.kill()
            self._task.join(STOP_SECONDS)

    def look_soon(self, id_: int) -> None:
        """Look at a credential as soon as it can be; returns at once."""
        self._soon.add(id_)
        self._woken.set()

    def looked_at(self) -> float | None:
        """When the last round ended, epoch seconds; None when there was none."""
        return self._claims.done_at(CLAIM)

    def look(self, credential: Credential) -> Usage:
        """Look now and store what is seen. Raises what the refresh or the question met."""
        credential = self._fresh(credential)
        found = self._account.usage(credential)
        self.keep(credential, found)
        return found.value

    def keep(self, credential: Credential, found: Found[Usage]) -> None:
        """Store what was seen, and the form of the question that worked."""
        usage = found.value
        values = {
            "current_usage": usage.used,
            "usage_limit": usage.limit,
            "usage": usage.as_json(),
            "usage_at": self._clock(),
            "next_reset_at": usage.reset_at,
            "subscription_title": usage.plan_title,
            "email": usage.email,
        }
        self._store.save_usage(credential.id, values)
        if credential.learned.get("rest") != str(found.form):
            self._store.learn(credential.id, rest=str(found.form))

    def look_round(self) -> None:
        """Look at everyone it is time for, unless another worker does. Raises StorageUnavailable."""
        soon = frozenset(self._soon)
        if not self._due(soon) or not self._claims.take(CLAIM, CLAIM_SECONDS):
            return
        self._soon -= soon
        try:
            for credential in self._due(soon):  # again: the last holder may have seen to them
                if not self._claims.keep(CLAIM, CLAIM_SECONDS):
                    return
                self._look_quietly(credential, soon=credential.id in soon)
        finally:
            self._claims.give_back(CLAIM)

    # -- when --

    def _run(self) -> None:
        time.sleep(START_SECONDS * random.uniform(0.5, 1.0))  # noqa: S311 - spreads workers
        while True:
            self._woken.clear()
            try:
                self.look_round()
            except StorageUnavailable:
                log.warning("no account is looked at: the database does not answer")
            except Exception:
                log.exception("a round of looks at accounts failed")
            self._woken.wait(TICK_SECONDS * random.uniform(0.75, 1.25))  # noqa: S311

    def _due(self, soon: frozenset[int]) -> list[Credential]:
        now, every = self._clock(), self._every()
        if not every:
            return []
        left_alone = self._claims.held()
        return [
            each
            for each in self._store.all(fresh=True)
            if _place(each.id) not in left_alone and each.state in LOOKED_AT and (each.id in soon or _is_due(each, now, every))
        ]

    # -- what it means --

    def _look_quietly(self, credential: Credential, *, soon: bool) -> None:
        id_ = credential.id
        try:
            usage = self.look(credential)
        except StorageUnavailable:
            raise
        except AccountSuspended as error:
            self._happened(id_, AccountLocked(error.message))
            log.warning("credential %d is suspended: %s", id_, error.message)
        except GatewayError as error:
            asked = max(THROTTLED_SECONDS, error.retry_after_seconds or 0.0) if isinstance(error, Throttled) else 0.0
            self._claims.leave_alone(_place(id_), max(FAILED_SECONDS, asked))
            log.info("the usage of credential %d could not be read: %s", id_, error.message)
        except Exception:
            self._claims.leave_alone(_place(id_), FAILED_SECONDS)  # the others are looked at all the same
            log.exception("the usage of credential %d could not be read", id_)
        else:
            if credential.state is State.EXHAUSTED and not soon and self._is_enough(usage):
                self._happened(id_, QuotaReturned())
                log.info("credential %d has credits again", id_)

    def _is_enough(self, usage: Usage) -> bool:
        if usage.pays_overage:
            return usage.overage_cap is None or (usage.overage_used or 0.0) < usage.overage_cap
        return usage.remaining is not None and usage.remaining > 0 and usage.remaining >= self._threshold()


def _is_due(credential: Credential, now: float, every: float) -> bool:
    """Whether the numbers stored are too old for what has happened since."""
    seen_at = credential.usage_at
    if seen_at is None:
        return True
    if now - seen_at < every:
        return False
    # A request counts from its beginning; its credits are known to Kiro at its end.
    used = credential.last_used_at is not None and credential.last_used_at > seen_at - every
    reset = credential.next_reset_at is not None and seen_at < credential.next_reset_at <= now
    return used or reset or credential.state is State.EXHAUSTED or now - seen_at >= max(SELDOM_SECONDS, every)


def _place(id_: int) -> str:
    """The claim that stands for leaving one account alone."""
    return f"{CLAIM}/{id_}"
