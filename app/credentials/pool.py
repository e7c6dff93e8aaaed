"""Lends credentials, keeps their tokens fresh, and remembers how they fared.

Inside a process one task refreshes a credential and everybody else waits for it; the task belongs to nobody's request, so a
client that leaves does not stop it. Between processes and machines the right to refresh is a claim (see `store`). Tokens are
committed before they are used. A token that expires soon is refreshed behind the request's back while the old one serves.
A request without trouble writes nothing.
Source: reliability 3.1; what an error means to a credential stands in the drawing of `app.errors`.
"""

from __future__ import annotations

import logging
import os
import random
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice

from app.credentials import lifecycle
from app.credentials.credential import Credential, Freshness, State, Tokens
from app.credentials.lifecycle import Happening, Health, advance, next_reset, refreshable, usable
from app.credentials.refresh import Sender, refresh
from app.credentials.scheduler import ANY, Choice, Load, Policy, Wanted, choose, standing
from app.credentials.store import LEASE_SECONDS, Claim, CredentialStore
from app.errors import (
    AccountSuspended,
    EventStreamError,
    GatewayError,
    QuotaExhausted,
    RefreshFailed,
    RefreshTokenRejected,
    RefreshUnclear,
    StorageUnavailable,
    Throttled,
    UpstreamError,
    UpstreamRefused,
)
from app.kiro.endpoints import ClientIdentity
from app.kiro.failures import CAPACITY_REASONS
from app.runtime.tasks import Task, spawn
from app.upstream.http import TransportFailed

log = logging.getLogger(__name__)

SAVE_SECONDS = 30.0
SAVE_AGAIN_SECONDS = 0.25
WAIT_LOW_SECONDS, WAIT_HIGH_SECONDS = 0.03, 0.1
# A refresh takes a second or two; a holder that says nothing for so long may have died, and other credentials can serve.
SILENT_SECONDS = 20.0
# How long an early refresh that failed is left alone while the old token serves.
EARLY_AGAIN_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Lease:
    """A credential with a usable access token, for one attempt; `Pool.give_back` ends it. reason: why this one."""

    credential: Credential
    reason: str


class Pool:
    """One object per process.

    policy: how to choose. profiled: gives a login that is refused without its profile ARN that ARN. exhausted: told the id of a
    credential whose quota is used up. clock: epoch seconds. start: runs a function beside its caller and lets others wait.
    """

    def __init__(
        self,
        store: CredentialStore,
        *,
        http: Sender,
        identity: Callable[[], ClientIdentity],
        policy: Callable[[], Policy] = Policy,
        profiled: Callable[[Credential], Credential] = lambda credential: credential,
        exhausted: Callable[[int], None] = lambda _id: None,
        clock: Callable[[], float] = time.time,
        start: Callable[[Callable[[], Credential]], Task[Credential]] = spawn,
    ) -> None:
        self._store = store
        self._http = http
        self._identity = identity
        self._policy = policy
        self._profiled = profiled
        self._exhausted = exhausted
        self._load = Load()
        self._clock = clock
        self._start = start
        self._owner = f"{os.uname().nodename}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._refreshes: dict[int, Task[Credential]] = {}
        self._early_again_at: dict[int, float] = {}

    def usable_count(self, enough: int | None = None) -> int:
        """How many credentials may be chosen; counted up to `enough`."""
        now = self._clock()
        return sum(1 for _ in islice((each for each in self._store.all() if usable(each, now)), enough))

    def lend(self, wanted: Wanted = ANY) -> Lease:
        """Choose a credential and see that its token can be used; the lease counts until it is given back.

        Raises NoUsableCredential, AllCoolingDown, AllExhausted, AtCapacity, or RefreshFailed (with `credential_id`).
        """
        choice = choose(self._store.all(), wanted, now=self._clock(), policy=self._policy(), load=self._load)
        self._load.took(choice, wanted)  # before any wait: who chooses meanwhile has to see it
        try:
            return self._with_token(choice)
        except BaseException:
            self._load.ended(choice.credential.id)
            raise

    def _with_token(self, choice: Choice) -> Lease:
        credential, now = choice.credential, self._clock()
        freshness = credential.freshness(now)
        if freshness is Freshness.EXPIRED:
            return Lease(self._refreshed(credential), f"{choice.reason}, token refreshed")
        if freshness is Freshness.EXPIRING and self._may_refresh_early(credential, now):
            self._refresh_task(credential)
        return Lease(credential, choice.reason)

    def give_back(self, lease: Lease) -> None:
        """The attempt is over, however it ended."""
        self._load.ended(lease.credential.id)

    def with_profile(self, lease: Lease) -> Credential:
        """The lease's credential as it may be sent: an organisation's login with its profile, looked up before its first chat.

        Raises what the look-up met; that is a failure of the attempt like any other.
        """
        return self._profiled(lease.credential)

    def fresh(self, credential: Credential) -> Credential:
        """This very credential with a token that can be used, for what is not a request: a look at its usage, a check.

        Raises RefreshFailed when there is none to be had.
        """
        now = self._clock()
        if credential.freshness(now) is not Freshness.EXPIRED:
            return credential
        return self._refreshed(credential)

    def renew(self, lease: Lease) -> Lease:
        """New tokens for a credential whose access token was refused; RefreshFailed when there are none."""
        refused = lease.credential
        stored, now = self._store.get(refused.id), self._clock()
        if stored is not None and stored.version != refused.version and usable(stored, now):
            if stored.freshness(now) is not Freshness.EXPIRED:
                self._load.began(stored.id)
                return Lease(stored, "token renewed by another request")
            refused = stored
        try:
            lease = Lease(self._refreshed(refused), "token refused, refreshed")
            self._load.began(refused.id)
            return lease
        except RefreshFailed as error:
            # By its date the token is still good: nothing else would keep the next request from it.
            self._happened(refused.id, lifecycle.Failed(error.message))
            raise

    def succeed(self, lease: Lease) -> None:
        """An answer was passed on whole. Touches the database only when something had gone wrong before."""
        before = Health.of(lease.credential)
        if advance(before, lifecycle.Succeeded(), self._clock()) != before:
            self._happened(lease.credential.id, lifecycle.Succeeded())

    def fail(self, lease: Lease, error: GatewayError) -> None:
        """An attempt failed; what that means for the credential depends on the error's type."""
        happening = self._meaning(lease.credential, error)
        if happening is not None:
            self._happened(lease.credential.id, happening)
        if isinstance(error, QuotaExhausted):
            self._exhausted(lease.credential.id)

    def learn(self, lease: Lease, found: dict[str, str]) -> None:
        """Remember what works upstream for a credential; a database that is away must not fail the request."""
        try:
            self._store.learn(lease.credential.id, **found)
        except StorageUnavailable:
            log.error("what works for credential %d could not be stored", lease.credential.id)

    def join_refreshes(self, timeout_seconds: float) -> None:
        """Wait for refreshes in flight: a rotated token that is not saved is lost."""
        deadline = time.monotonic() + timeout_seconds
        running = [task for task in self._refreshes.values() if not task.done]
        if running:
            log.warning("waiting up to %.0f s for %d token refreshes before leaving", timeout_seconds, len(running))
        for task in running:
            task.join(max(deadline - time.monotonic(), 0.0))

    # -- health --

    def _meaning(self, credential: Credential, error: GatewayError) -> Happening | None:
        """None for what is the request's fault, the network's way, the model's, or was told already."""
        match error:
            case AccountSuspended():
                return lifecycle.AccountLocked(error.message)
            case QuotaExhausted():
                return lifecycle.QuotaUsedUp(self._reset_at(credential, error), error.message)
            case Throttled():
                return lifecycle.Throttled(error.retry_after_seconds, error.message)
            case UpstreamRefused() | EventStreamError():
                return None
            case TransportFailed() if not credential.proxy_url:
                return None  # the way to Kiro is the same for all of them
            case UpstreamError() if error.reason in CAPACITY_REASONS:
                return None
            case UpstreamError():
                return lifecycle.Failed(error.message)
        return None

    def _reset_at(self, credential: Credential, error: QuotaExhausted) -> float:
        now, known = self._clock(), credential.next_reset_at
        if known is not None and known > now:
            return known
        return next_reset(now, daily=error.reason == "DAILY_REQUEST_COUNT")

    def _happened(self, id_: int, happening: Happening) -> None:
        """Store a change of state; a database that is away must not fail the request."""
        try:
            change = self._store.happened(id_, happening)
        except StorageUnavailable:
            log.error("the state of credential %d could not be stored after %s", id_, type(happening).__name__)
            return
        if change is not None and change[0].state is not change[1].state:
            self._log_state(id_, change[1])

    def _log_state(self, id_: int, health: Health) -> None:
        level = logging.INFO if health.state is State.READY else logging.WARNING
        log.log(level, "credential %d is %s now%s", id_, health.state, f": {health.reason}" if health.reason else "")

    # -- refreshing --

    def _may_refresh_early(self, credential: Credential, now: float) -> bool:
        return refreshable(credential, now) and now >= self._early_again_at.get(credential.id, 0.0)

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
        """Tokens newer than those in `read`: from whoever holds the claim, or traded here once it is free.

        A holder that died keeps the claim until it runs out; nobody waits for that, see `SILENT_SECONDS`.
        """
        deadline = time.monotonic() + LEASE_SECONDS * 2
        while time.monotonic() < deadline:
            stored, now = self._store.get(read.id), self._clock()
            if stored is None:
                raise RefreshFailed(f"Credential {read.id} was removed meanwhile")
            if stored.version != read.version and usable(stored, now) and stored.freshness(now) is not Freshness.EXPIRED:
                return stored
            if not refreshable(stored, now):
                raise _refusal(stored, now)
            claim = self._store.claim(stored.id, stored.version, self._owner)
            if claim is not None:
                return self._refresh_claimed(claim)
            if self._store.doubt_holder(stored.id, stored.version, SILENT_SECONDS):
                log.warning("the refresh of credential %d by another worker has not ended: others serve meanwhile", stored.id)
                continue  # as it stands now it is refused
            time.sleep(random.uniform(WAIT_LOW_SECONDS, WAIT_HIGH_SECONDS))  # noqa: S311 - spreads waiters
        raise RefreshFailed("Another worker has been refreshing this credential for too long")

    def _refresh_claimed(self, claim: Claim) -> Credential:
        id_ = claim.credential.id
        try:
            tokens = refresh(claim.credential, self._http, self._identity(), now=self._clock)
        except RefreshTokenRejected as error:
            return self._rejected(claim, error)
        except RefreshUnclear as error:
            return self._gave_up(claim, error, lifecycle.RefreshUnclear(error.message), consumed=True)
        except RefreshFailed as error:
            return self._gave_up(claim, error, self._postponed(claim.credential, error), consumed=claim.cut_off)
        except BaseException:
            self._give_back(claim, None, consumed=True)
            raise
        if self._save(claim, tokens):
            log.info("refreshed the token of credential %d", id_)
        stored = self._store.get(id_)
        if stored is None:
            raise RefreshFailed(f"Credential {id_} was removed meanwhile")
        return stored

    def _postponed(self, credential: Credential, error: RefreshFailed) -> Happening | None:
        """An early refresh that failed costs nothing while the old token serves; one that is needed rests the credential."""
        now = self._clock()
        if credential.freshness(now) is Freshness.EXPIRED or credential.state is State.UNCERTAIN:
            return lifecycle.RefreshPostponed(error.message, error.retry_after_seconds)
        self._early_again_at[credential.id] = now + max(EARLY_AGAIN_SECONDS, error.retry_after_seconds or 0.0)
        return None

    def _rejected(self, claim: Claim, error: RefreshTokenRejected) -> Credential:
        """The row decides, not the answer: another worker or machine may have rotated the token meanwhile."""
        reason = error.message
        if claim.cut_off:
            reason = (
                "an earlier refresh was cut off before its tokens were stored and consumed the refresh token: sign in again"
            )
        return self._gave_up(claim, RefreshTokenRejected(reason), lifecycle.RefreshDead(reason), consumed=False)

    def _gave_up(self, claim: Claim, error: RefreshFailed, happening: Happening | None, *, consumed: bool) -> Credential:
        """End a refresh that brought nothing: newer tokens of somebody else, else `error`."""
        stored = self._give_back(claim, happening, consumed=consumed)
        if stored is not None and stored.version != claim.credential.version:
            return stored
        log.warning("the token of credential %d was not refreshed: %s", claim.credential.id, error.message)
        raise error

    def _give_back(self, claim: Claim, happening: Happening | None, *, consumed: bool) -> Credential | None:
        """As `store.give_back`; without the database the claim runs out by itself."""
        try:
            return self._store.give_back(claim, happening, consumed=consumed)
        except StorageUnavailable:
            log.error("how the refresh of credential %d ended could not be stored", claim.credential.id)
            return None

    def _save(self, claim: Claim, tokens: Tokens) -> bool:
        """Commit; a database that is locked or away is asked again, because these tokens exist nowhere else."""
        credential, deadline = claim.credential, time.monotonic() + SAVE_SECONDS
        while True:
            try:
                saved = self._store.save_tokens(credential.id, credential.version, tokens)
            except StorageUnavailable:
                if time.monotonic() >= deadline:
                    log.error("the new tokens of credential %d are lost: the database did not take them", credential.id)
                    raise
                log.error("the new tokens of credential %d could not be stored yet; trying on", credential.id)
                time.sleep(SAVE_AGAIN_SECONDS)
                continue
            if not saved:
                log.warning("credential %d got newer tokens while it was refreshed; those stay", credential.id)
            return saved


def _refusal(credential: Credential, now: float) -> RefreshFailed:
    """Why a credential is not refreshed as it stands."""
    message = f"The credential {standing(credential, now)}"
    if credential.state is State.REJECTED:
        return RefreshTokenRejected(credential.state_reason or message)
    if credential.state is State.UNCERTAIN:
        return RefreshUnclear(message)
    return RefreshFailed(message)
