"""Lends credentials, keeps their tokens fresh, and remembers how they fared.

Inside a process one task refreshes a credential and everybody else waits for it; the task belongs to nobody's request, so a
client that leaves does not stop it. Between processes and machines the right to refresh is a claim (see `store`). Tokens are
committed before they are used. A token that expires soon is refreshed behind the request's back while the old one serves.
"""

from __future__ import annotations

import logging
import os
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

from app.credentials.credential import Credential, Freshness
from app.credentials.lifecycle import Happening, State
from app.credentials.refresh import Sender, refresh
from app.credentials.scheduler import choose, standing_of
from app.credentials.store import LEASE_SECONDS, CredentialStore, Tokens
from app.errors import (
    AccountSuspended,
    EventStreamError,
    GatewayError,
    NoUsableCredential,
    QuotaExhausted,
    RefreshFailed,
    RefreshTokenRejected,
    RefreshUnclear,
    StorageUnavailable,
    Throttled,
    TokenRejected,
    UpstreamError,
    UpstreamRefused,
    UpstreamUnavailable,
)
from app.kiro.endpoints import ClientIdentity
from app.runtime.tasks import Task, spawn

log = logging.getLogger(__name__)

SAVE_SECONDS = 30.0
WAIT_LOW_SECONDS, WAIT_HIGH_SECONDS = 0.03, 0.1
# Reasons that are the model's or the request's, not the credential's.
NOT_THE_CREDENTIALS_FAULT = frozenset(
    {"INSUFFICIENT_MODEL_CAPACITY", "MODEL_TEMPORARILY_UNAVAILABLE", "INSUFFICIENT_THROUGHPUT"}
)


@dataclass(frozen=True, slots=True)
class Lease:
    """A credential with a usable access token, for one attempt. reason: why this one."""

    credential: Credential
    reason: str


class Pool:
    """One object per process. owner: names this process in claims; clock: epoch seconds."""

    def __init__(
        self,
        store: CredentialStore,
        *,
        http: Sender,
        identity: Callable[[], ClientIdentity],
        clock: Callable[[], float] = time.time,
        start: Callable[[Callable[[], Credential]], Task[Credential]] = spawn,
    ) -> None:
        self._store = store
        self._http = http
        self._identity = identity
        self._clock = clock
        self._start = start
        self._owner = f"{os.uname().nodename}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._refreshes: dict[int, Task[Credential]] = {}

    def usable_count(self) -> int:
        """How many credentials are ready."""
        now = self._clock()
        return sum(standing_of(each, now).state is State.READY for each in self._store.all())

    def lend(self, excluded: frozenset[int] = frozenset()) -> Lease:
        """Choose a credential and see that its token can be used.

        Raises NoUsableCredential, AllCoolingDown, AllExhausted, or RefreshFailed (with `credential_id`).
        """
        choice = choose(self._store.all(), now=self._clock(), excluded=excluded)
        credential = choice.credential
        freshness = credential.freshness(self._clock())
        if freshness is Freshness.EXPIRED:
            return Lease(self._refreshed(credential), f"{choice.reason}, token refreshed")
        if freshness is Freshness.EXPIRING:
            self._refresh_task(credential)
        return Lease(credential, choice.reason)

    def renew(self, lease: Lease) -> Lease:
        """New tokens for a credential whose access token was refused; RefreshFailed when there are none."""
        stored = self._store.get(lease.credential.id)
        if stored is None:
            raise NoUsableCredential
        if stored.access_token != lease.credential.access_token:  # somebody was faster
            return Lease(stored, "token renewed by another request")
        return Lease(self._refreshed(stored), "token refused, refreshed")

    def succeed(self, lease: Lease) -> None:
        """An answer was passed on whole. Touches the database only when something had gone wrong before."""
        credential = lease.credential
        if credential.failure_count or credential.state != State.READY.value:
            self._happened(credential.id, Happening.SUCCEEDED)

    def fail(self, lease: Lease, error: GatewayError) -> None:
        """An attempt failed; what that means for the credential depends on the error's type."""
        id_, now = lease.credential.id, self._clock()
        if isinstance(error, AccountSuspended):
            self._happened(id_, Happening.ACCOUNT_LOCKED, reason=error.message)
        elif isinstance(error, QuotaExhausted):
            self._happened(id_, Happening.QUOTA_USED_UP, until=lease.credential.next_reset_at, reason=error.message)
        elif isinstance(error, Throttled):
            until = now + error.retry_after_seconds if error.retry_after_seconds else None
            self._happened(id_, Happening.THROTTLED, until=until, reason=error.message)
        elif isinstance(error, UpstreamRefused | EventStreamError | RefreshFailed):
            return  # the request's fault, the network's, or told already
        elif isinstance(error, UpstreamUnavailable) and error.reason in NOT_THE_CREDENTIALS_FAULT:
            return
        elif isinstance(error, TokenRejected | UpstreamError):
            self._happened(id_, Happening.FAILED, reason=error.message)

    def refreshing(self) -> int:
        """How many refreshes are in flight in this process."""
        return sum(not task.done for task in self._refreshes.values())

    def join_refreshes(self, timeout_seconds: float) -> None:
        """Wait for refreshes in flight: a rotated token that is not saved is lost."""
        deadline = time.monotonic() + timeout_seconds
        running = [task for task in self._refreshes.values() if not task.done]
        if running:
            log.warning("waiting for %d token refreshes before leaving", len(running))
        for task in running:
            task.join(max(deadline - time.monotonic(), 0.0))

    # -- refreshing --

    def _refreshed(self, credential: Credential) -> Credential:
        try:
            return self._refresh_task(credential).result()
        except RefreshFailed as error:
            error.credential_id = credential.id
            raise

    def _refresh_task(self, credential: Credential) -> Task[Credential]:
        """The task that refreshes this credential: the one in flight, else a new one."""
        task = self._refreshes.get(credential.id)
        if task is None or task.done:
            task = self._refreshes[credential.id] = self._start(lambda: self._refresh(credential))
        return task

    def _refresh(self, read: Credential) -> Credential:
        """Refresh by claim; whoever does not get the claim waits for the holder's result.

        A dead holder's claim runs out; its `attempt_at` says that its refresh may have consumed the token.
        """
        deadline = time.monotonic() + LEASE_SECONDS * 2
        while time.monotonic() < deadline:
            stored = self._store.get(read.id)
            if stored is None:
                raise NoUsableCredential
            if stored.version != read.version and stored.freshness(self._clock()) is not Freshness.EXPIRED:
                return stored
            if stored.state == State.REJECTED.value:
                raise RefreshTokenRejected(stored.state_reason)
            if self._store.claim(stored.id, stored.version, self._owner):
                return self._refresh_claimed(stored, may_be_consumed=stored.attempt_at is not None)
            if stored.freshness(self._clock()) is not Freshness.EXPIRED and stored.version == read.version:
                return stored  # expiring only: the holder does it, the old token serves
            time.sleep(random.uniform(WAIT_LOW_SECONDS, WAIT_HIGH_SECONDS))  # noqa: S311 - spreads waiters
        raise RefreshFailed("Another worker has been refreshing this credential for too long")

    def _refresh_claimed(self, credential: Credential, *, may_be_consumed: bool) -> Credential:
        try:
            tokens = refresh(credential, self._http, self._identity(), now=self._clock)
        except RefreshTokenRejected as error:
            return self._rejected(credential, error, may_be_consumed=may_be_consumed)
        except RefreshUnclear as error:
            self._store.unclaim(credential.id, credential.version, self._owner, keep_attempt=True)
            self._happened(credential.id, Happening.REFRESH_UNCLEAR, reason=error.message)
            raise
        except BaseException as error:
            self._store.unclaim(credential.id, credential.version, self._owner, keep_attempt=may_be_consumed)
            if isinstance(error, RefreshFailed):
                self._happened(credential.id, Happening.FAILED, reason=error.message)
            raise
        self._save(credential, tokens)
        stored = self._store.get(credential.id)
        if stored is None:
            raise NoUsableCredential
        log.info("refreshed the token of credential %d", credential.id)
        return stored

    def _rejected(self, credential: Credential, error: RefreshTokenRejected, *, may_be_consumed: bool) -> Credential:
        """Read the row again first: another worker or machine may have rotated the token meanwhile."""
        stored = self._store.get(credential.id)
        if stored is not None and stored.version != credential.version:
            return stored
        self._store.unclaim(credential.id, credential.version, self._owner)
        reason = error.message
        if may_be_consumed:
            reason = "a refresh was cut off before its tokens were stored and has consumed the refresh token: sign in again"
        self._happened(credential.id, Happening.REFRESH_DEAD, reason=reason)
        raise RefreshTokenRejected(reason) from error

    def _save(self, credential: Credential, tokens: Tokens) -> None:
        """Commit; a database that is locked or away is asked again, because these tokens exist nowhere else."""
        deadline = time.monotonic() + SAVE_SECONDS
        while True:
            try:
                if not self._store.save_tokens(credential.id, credential.version, tokens):
                    log.warning("credential %d has newer tokens than the ones just refreshed; they stay", credential.id)
                return
            except StorageUnavailable:
                log.error("the new tokens of credential %d could not be stored yet; trying on", credential.id)
                if time.monotonic() >= deadline:
                    raise
                time.sleep(0.5)

    def _happened(self, id_: int, happening: Happening, *, until: float | None = None, reason: str | None = None) -> None:
        """Store a change of state; a database that is away must not fail the request."""
        try:
            standing = self._store.happened(id_, happening, until=until, reason=reason)
        except StorageUnavailable:
            log.error("the state of credential %d could not be stored: %s", id_, happening.value)
            return
        if standing is not None and standing.state is not State.READY:
            log.warning("credential %d is %s: %s", id_, standing.state.value, standing.reason)
