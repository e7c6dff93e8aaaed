"""Rounds of looks at the accounts, politely, beside all requests.

In: what one look is and when it is due (a subclass says so). Out: looks, made by one of all workers and machines at a time, one
account after another, soon after the start and as long as the process lives. A look that fails is not repeated for a while by
anybody, one that was throttled for longer; nothing of it reaches a request. A look that finds an account suspended locks it.
Knows nothing of what is asked or where it is kept.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from app.credentials.claims import Claims
from app.credentials.credential import Credential, State
from app.credentials.lifecycle import AccountLocked, Happening
from app.credentials.store import CredentialStore
from app.errors import AccountSuspended, GatewayError, StorageUnavailable, Throttled
from app.runtime.tasks import Task, spawn

T = TypeVar("T")

log = logging.getLogger(__name__)

START_SECONDS = 2.0
TICK_SECONDS = 20.0
# Longer than any look: a refresh that waits for another worker's, then a question in every form.
CLAIM_SECONDS = 600.0
FAILED_SECONDS = 600.0
THROTTLED_SECONDS = 900.0
STOP_SECONDS = 2.0
LOOKED_AT = (State.READY, State.COOLING_DOWN, State.EXHAUSTED)


class Rounds(ABC, Generic[T]):
    """One object per process and kind of look.

    claim: the name of the claim, and what a log line calls the thing looked for. happened: moves a credential's state.
    clock: epoch seconds.
    """

    claim: ClassVar[str]

    def __init__(
        self,
        store: CredentialStore,
        *,
        happened: Callable[[int, Happening], object],
        claims: Claims | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._happened = happened
        self._claims = claims or Claims()
        self._clock = clock
        self._soon: set[int] = set()
        self._woken = threading.Event()
        self._task: Task[None] | None = None

    @abstractmethod
    def look(self, credential: Credential) -> T:
        """Look now and store what is seen. Raises what the refresh or the question met."""

    @abstractmethod
    def _is_due(self, credential: Credential, now: float) -> bool:
        """Whether it is time to look at this one."""

    def _rests(self) -> bool:
        """Whether nobody is looked at for now, not even who was asked for."""
        return False

    def _saw(self, credential: Credential, seen: T, *, soon: bool) -> None:
        """What follows from a look of a round. soon: it was asked for."""

    # -- its life --

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
        return self._claims.done_at(self.claim)

    def look_round(self) -> None:
        """Look at everyone it is time for, unless another worker does. Raises StorageUnavailable."""
        soon = frozenset(self._soon)
        if not self._due(soon) or not self._claims.take(self.claim, CLAIM_SECONDS):
            return
        self._soon -= soon
        try:
            for credential in self._due(soon):  # again: the last holder may have seen to them
                if not self._claims.keep(self.claim, CLAIM_SECONDS):
                    return
                self._look_quietly(credential, soon=credential.id in soon)
        finally:
            self._claims.give_back(self.claim)

    # -- one round --

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
            self._woken.wait(TICK_SECONDS * random.uniform(0.75, 1.25))  # noqa: S311 - spreads workers

    def _due(self, soon: frozenset[int]) -> list[Credential]:
        if self._rests():
            return []
        now, left_alone = self._clock(), self._claims.held()
        return [
            each
            for each in self._store.all(fresh=True)
            if self._place(each.id) not in left_alone
            and each.state in LOOKED_AT
            and (each.id in soon or self._is_due(each, now))
        ]

    def _look_quietly(self, credential: Credential, *, soon: bool) -> None:
        id_ = credential.id
        try:
            seen = self.look(credential)
        except StorageUnavailable:
            raise
        except AccountSuspended as error:
            self._happened(id_, AccountLocked(error.message))
            log.warning("credential %d is suspended: %s", id_, error.message)
        except GatewayError as error:
            asked = max(THROTTLED_SECONDS, error.retry_after_seconds or 0.0) if isinstance(error, Throttled) else 0.0
            self._claims.leave_alone(self._place(id_), max(FAILED_SECONDS, asked))
            log.info("the %s of credential %d could not be read: %s", self.claim, id_, error.message)
        except Exception:
            self._claims.leave_alone(self._place(id_), FAILED_SECONDS)  # the others are looked at all the same
            log.exception("the %s of credential %d could not be read", self.claim, id_)
        else:
            self._saw(credential, seen, soon=soon)

    def _place(self, id_: int) -> str:
        """The claim that stands for leaving one account alone."""
        return f"{self.claim}/{id_}"
