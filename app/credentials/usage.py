"""Looks at what each account has used.

Soon after the start, every five minutes at those that were used since, every few hours at the others, and soon after Kiro said
that a quota is used up. What was read is stored, so that choosing a credential and listing them asks nobody.
What a look means for a credential: used up and now with credits again → ready before its date, though not by the look right
after it was used up, because Kiro's numbers lag behind its refusals.
Source: protocol 6 and 7.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Protocol

from app.credentials.claims import Claims
from app.credentials.credential import Credential, State
from app.credentials.lifecycle import Happening, QuotaReturned
from app.credentials.rounds import Rounds
from app.credentials.store import CredentialStore
from app.kiro.usage import Usage
from app.upstream.account import Found

log = logging.getLogger(__name__)

OFTEN_SECONDS = 300.0
SELDOM_SECONDS = 4 * 3600.0


class Asker(Protocol):
    """`app.upstream.account.AccountClient` is one."""

    def usage(self, credential: Credential) -> Found[Usage]: ...


class UsagePoller(Rounds[Usage]):
    """One object per process.

    fresh: gives the credential with a token that can be used, and with its profile. threshold: the credits below which a
    credential is left alone. every: seconds between two looks at one in use, 0 for no look at all.
    """

    claim = "usage"

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
        super().__init__(store, happened=happened, claims=claims, clock=clock)
        self._account = account
        self._fresh = fresh
        self._threshold = threshold
        self._every = every

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

    # -- when, and what it means --

    def _rests(self) -> bool:
        return not self._every()

    def _is_due(self, credential: Credential, now: float) -> bool:
        return _is_due(credential, now, self._every())

    def _saw(self, credential: Credential, seen: Usage, *, soon: bool) -> None:
        if credential.state is State.EXHAUSTED and not soon and self._is_enough(seen):
            self._happened(credential.id, QuotaReturned())
            log.info("credential %d has credits again", credential.id)

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
