"""Which credential next, and when to give up: the retries and failovers of one request.

In: a request document and the pool. Out: an open `Answer` whose first event has arrived, or the error the client is told.
At most 3 attempts per credential and min(3 × usable credentials, 9) per request (settings); a token that is refused is
refreshed once; a host or profile ARN that is refused is tried in its other form once. Refuses to know what an event means.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

from app.credentials.credential import Credential
from app.credentials.pool import Lease, Pool
from app.credentials.scheduler import ANY, Wanted
from app.errors import (
    AccountSuspended,
    AllCoolingDown,
    AllExhausted,
    AtCapacity,
    GatewayError,
    NoUsableCredential,
    ProfileRequired,
    PromptTooLong,
    QuotaExhausted,
    RefreshFailed,
    Throttled,
    TokenRejected,
    UpstreamError,
    UpstreamRefused,
)
from app.kiro.failures import PROMPT_TOO_LONG
from app.kiro.request import KiroRequest
from app.kiro.routes import HOST_GONE, Route, first_route, is_placeholder, other_arn, other_host
from app.ledger import Attempt
from app.settings import Settings
from app.translate.ladder import next_document, repeat
from app.translate.preflight import advice
from app.translate.tools import ToolNames
from app.upstream.client import Answer, ChatClient
from app.upstream.http import HostUnknown, TransportFailed

INVALID_MODEL_ID = "INVALID_MODEL_ID"
EDGE_TIMEOUT = 524
# The network itself tried three times when a connect runs out of its 5 s: it is not repeated for the same credential, and after
# two of them the client has waited long enough.
UNREACHED_SECONDS, UNREACHED_IN_ALL_SECONDS = 4.0, 9.0
# How often and how long to wait for a credential that answers as many requests as it may.
ROOM_WAITS, ROOM_SECONDS = 50, 0.1
LEAVES_CREDENTIAL = (Throttled, QuotaExhausted, AccountSuspended, TokenRejected, RefreshFailed, ProfileRequired)


class Attempts:
    """All attempts of one request.

    log: one entry per attempt, for the request record. changes: what was changed about a document that was refused.
    wanted: what the choice of a credential goes by. input_tokens, context_tokens: estimate and limit, for the message of an
    over-long prompt. tool_names: for the client's names of tools in the error of a refusal.
    """

    def __init__(
        self,
        pool: Pool,
        client: ChatClient,
        request: KiroRequest,
        settings: Settings,
        *,
        wanted: Wanted = ANY,
        input_tokens: int,
        context_tokens: int,
        tool_names: ToolNames | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.log: list[Attempt] = []
        self.changes: list[str] = []
        self._pool = pool
        self._client = client
        self._request = request
        self._settings = settings
        self._wanted = wanted
        self._numbers = (input_tokens, context_tokens)
        self._tool_names = tool_names
        self._sleep = sleep
        usable = pool.usable_count(enough=settings.max_attempts)
        self._limit = min(settings.max_attempts_per_credential * max(usable, 1), settings.max_attempts)
        self._lease: Lease | None = None
        self._began_at = 0.0
        self._tries: Counter[int] = Counter()
        self._excluded: set[int] = set()
        self._renewed: set[int] = set()
        self._renew: Lease | None = None
        self._routes: dict[int, Route] = {}
        self._tried_routes: set[tuple[int, Route]] = set()
        self._waits_for_room = 0
        self._model_refused = False
        self._unreached_seconds = 0.0
        self._last_error: GatewayError | None = None

    @property
    def credential_id(self) -> int:
        """The credential of the open attempt, 0 for none."""
        return self._lease.credential.id if self._lease is not None else 0

    def open(self) -> Answer:
        """The next open answer; raises the error that ends the request."""
        while True:
            lease = self._lend()
            if lease is None:
                continue
            self._lease, self._began_at = lease, time.monotonic()
            try:
                self._lease = lease = replace(lease, credential=self._pool.with_profile(lease))
                return self._client.open(
                    lease.credential,
                    self._request,
                    route=self._route(lease.credential),
                    first_event_seconds=self._settings.first_event_seconds,
                )
            except GatewayError as error:
                self.failed(error)

    def failed(self, error: GatewayError) -> None:
        """The last attempt failed before any content: take note, wait a little. Raises when there is no other attempt."""
        lease = self._note(error)
        id_ = lease.credential.id
        if isinstance(error, UpstreamRefused):
            if error.reason == INVALID_MODEL_ID and not self._model_refused:
                self._model_refused = True  # another login's plan or region may have the model
                self._excluded.add(id_)
                self._last_error = error
            else:
                self._change_document(error)
            return
        self._tries[id_] += 1
        self._last_error = error
        if isinstance(error, TokenRejected) and id_ not in self._renewed and lease.credential.kind != "api_key":
            self._renewed.add(id_)
            self._renew = lease
        elif (route := self._other_route(lease.credential, error)) is not None:
            self._routes[id_] = route
        else:
            self._pool.fail(lease, error)
            if (
                isinstance(error, LEAVES_CREDENTIAL)
                or self._was_unreached(error)
                or self._tries[id_] >= self._settings.max_attempts_per_credential
            ):
                self._excluded.add(id_)
            else:
                self._back_off()
        if len(self.log) >= self._limit or self._waited_enough(error):
            raise error

    def ask_again(self, words: str) -> None:
        """The last attempt's answer did not hold what was asked for and nobody has seen it: say it once more.

        words: the demand, "" to ask for the same again.
        """
        self._pool.succeed(self._note(None, status="unanswered"))
        self._request = repeat(self._request, words)
        self.changes.append("asked_again")

    def settle(self) -> None:
        """Content has been passed on: no other attempt will need the document, which may be long while a stream lasts."""
        del self._request, self._tool_names

    def broke(self, error: GatewayError) -> None:
        """The last attempt failed after content had been passed on: no other attempt, only the credential's health."""
        self._pool.fail(self._note(error), error)

    def succeeded(self) -> None:
        """The last attempt's answer was passed on whole."""
        lease = self._note(None)
        self._pool.succeed(lease)
        if (route := self._routes.get(lease.credential.id)) is not None:
            self._pool.learn(lease, route.learned())

    def abandoned(self) -> None:
        """The request ended for another reason than the credential; does nothing when no attempt is open."""
        if self._lease is not None:
            self._note(None, status="abandoned")

    # -- one step --

    def _change_document(self, refusal: UpstreamRefused) -> None:
        """Another credential would not help; another form of the same request may. Raises when none is left."""
        if refusal.reason == PROMPT_TOO_LONG:
            raise PromptTooLong(*self._numbers) from refusal
        changed = next_document(self._request, refusal, self.changes)
        if changed is None or len(self.log) >= self._limit:
            if (told := advice(self._request, refusal, self._tool_names)) == "":
                raise refusal
            message = f"{refusal.message.rstrip('.')}. {told}"
            raise UpstreamRefused(message, upstream_status=refusal.upstream_status, reason=refusal.reason) from refusal
        name, self._request = changed
        self.changes.append(name)

    def _lend(self) -> Lease | None:
        """A lease, None when a refresh failed and another credential is to be asked; raises when there is none."""
        began_at = time.monotonic()
        try:
            if self._renew is not None:
                lease, self._renew = self._renew, None
                return self._pool.renew(lease)
            return self._pool.lend(replace(self._wanted, excluded=frozenset(self._excluded)))
        except AtCapacity:
            # Requests end all the time: a short wait saves the client a round.
            if self._waits_for_room >= ROOM_WAITS:
                raise
            self._waits_for_room += 1
            self._sleep(ROOM_SECONDS)
            return None
        except RefreshFailed as error:
            id_ = error.credential_id
            self.log.append(
                Attempt(
                    credential_id=id_,
                    credential_label=None,
                    why="refresh",
                    status=type(error).__name__,
                    reason=error.message,
                    ms=_milliseconds(began_at),
                )
            )
            self._was_unreached(error.__cause__)
            if id_ is None or len(self.log) >= self._limit or self._waited_enough(error):
                raise
            self._excluded.add(id_)
            self._last_error = error
            return None
        except (AllCoolingDown, AllExhausted, NoUsableCredential) as error:
            # What this very request met says more than that nothing is left, unless what is left has a time to wait for.
            if self._last_error is None or isinstance(self._last_error, Throttled | QuotaExhausted):
                raise
            raise self._last_error from error

    def _route(self, credential: Credential) -> Route:
        """The way this credential's chat goes: the one that worked before, or the other one after a refusal."""
        route = self._routes.get(credential.id)
        if route is None:
            hosts = self._settings.upstream_hosts
            route = first_route(credential.kind, credential.provider, credential.profile_arn, credential.learned, hosts)
        self._tried_routes.add((credential.id, route))
        return route

    def _other_route(self, credential: Credential, error: GatewayError) -> Route | None:
        """Another way for the same credential that may help against this error and was not tried; None when there is none.

        A fresh token that is refused together with the placeholder ARN is sent once without it. Source: protocol 1.8.
        """
        route, login = self._route(credential), (credential.kind, credential.provider, credential.profile_arn)
        other: Route | None = None
        if isinstance(error, ProfileRequired) or (isinstance(error, TokenRejected) and is_placeholder(route.profile_arn)):
            other = other_arn(route, *login)
        elif isinstance(error, HostUnknown) or (isinstance(error, UpstreamError) and error.upstream_status in HOST_GONE):
            other = other_host(route, *login, self._settings.upstream_hosts)
        return None if other is None or (credential.id, other) in self._tried_routes else other

    def _note(self, error: GatewayError | None, *, status: str = "ok") -> Lease:
        lease = self._lease
        assert lease is not None, "an attempt is noted once"
        self._lease = None
        self._pool.give_back(lease)
        route = self._routes.get(lease.credential.id)
        self.log.append(
            Attempt(
                credential_id=lease.credential.id,
                credential_label=lease.credential.name,
                why=lease.reason if route is None else f"{lease.reason}; {route}",
                status=status if error is None else type(error).__name__,
                reason=None if error is None else error.message,
                ms=_milliseconds(self._began_at),
            )
        )
        return lease

    def _was_unreached(self, error: BaseException | None) -> bool:
        """Whether the last attempt spent its time on a connection that never came; counts that time."""
        seconds = self.log[-1].ms / 1000
        if not isinstance(error, TransportFailed) or error.sent or seconds < UNREACHED_SECONDS:
            return False
        self._unreached_seconds += seconds
        return True

    def _waited_enough(self, error: GatewayError) -> bool:
        """Nobody could be reached for long, or the edge in front of Kiro gave up waiting: so it would be for the next."""
        at_the_edge = isinstance(error, UpstreamError) and error.upstream_status == EDGE_TIMEOUT
        return at_the_edge or self._unreached_seconds >= UNREACHED_IN_ALL_SECONDS

    def _back_off(self) -> None:
        """200 ms · 2ⁿ up to 2 s, and up to a quarter more. Source: protocol 7."""
        seconds = min(0.2 * 2 ** (len(self.log) - 1), 2.0)
        self._sleep(seconds * (1 + random.random() / 4))  # noqa: S311 - spreads retries, protects nothing


def _milliseconds(began_at: float) -> int:
    return round((time.monotonic() - began_at) * 1000)
