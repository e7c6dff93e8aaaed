"""Requests against stored logins and a Kiro that answers as it is told: all of the gateway that decides who is asked.

In: an HTTP answer for each chat call (None: a good one). Out: who answered, or the error the client is told, and who was asked.
Pool, store, retries and the meaning of errors are the real ones; bytes of streams, sockets and time are not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from app.attempts import Attempts
from app.credentials.credential import Credential, Login, State
from app.credentials.pool import Pool
from app.credentials.refresh import Sender
from app.credentials.store import CredentialStore
from app.errors import GatewayError
from app.kiro.failures import classify
from app.kiro.request import KiroRequest
from app.kiro.routes import Route
from app.runtime.tasks import Task, spawn
from app.settings import snapshot
from app.upstream.http import HttpAnswer
from tests.unit.credentials.logins import IDENTITY, Clock, TokenService, answered

MENDED_BY_A_PERSON = (State.REJECTED, State.SUSPENDED, State.DISABLED)
_MESSAGE = {"content": "Hi", "modelId": "auto", "origin": "AI_EDITOR"}
SOUND = KiroRequest(
    {"chatTriggerType": "MANUAL", "conversationId": "c", "currentMessage": {"userInputMessage": _MESSAGE}, "history": []}
)
Play = Callable[[Credential, Route], HttpAnswer | GatewayError | None]


def _at_once(function: Callable[[], Credential]) -> Task[Credential]:
    task = spawn(function)
    task.join()
    return task


def refusal(status: int, message: str | None, reason: str | None = None, **headers: str) -> HttpAnswer:
    """An error answer of Kiro."""
    return answered({"message": message, "reason": reason}, status, **headers)


@dataclass
class Kiro:
    """play: what becomes of a chat call. asked: the credential and the ARN of each call so far."""

    clock: Clock
    play: Play = lambda _credential, _route: None
    asked: list[tuple[int, str | None]] = field(default_factory=list)

    def open(self, credential: Credential, request: KiroRequest, *, route: Route, first_event_seconds: float) -> Any:
        assert request.conversation_state
        rests = credential.state is not State.UNCERTAIN and (credential.state_until or 0.0) > self.clock.now
        assert credential.state not in MENDED_BY_A_PERSON, "only what may be used is lent"
        assert not rests, "only what may be used is lent"
        self.asked.append((credential.id, route.profile_arn))
        answer = self.play(credential, route)
        if isinstance(answer, GatewayError):
            raise answer
        if answer is not None:
            raise classify(answer.status, answer.headers, answer.body, now=self.clock.now)
        return object()

    @property
    def ids(self) -> list[int]:
        return [id_ for id_, _ in self.asked]


class House:
    """One process's pool on the open database. tokens: trades refresh tokens."""

    def __init__(self, clock: Clock, *logins: Login, tokens: Sender | None = None) -> None:
        self.clock = clock
        self.kiro = Kiro(clock)
        self.store = CredentialStore(clock)
        self.pool = Pool(self.store, http=tokens or TokenService(), identity=lambda: IDENTITY, clock=clock, start=_at_once)
        self.ids = [self.store.add(login) for login in logins]

    def request(self) -> int | GatewayError:
        """One request: the id of the credential that answered, or what the client is told."""
        attempts = Attempts(
            self.pool,
            self.kiro,  # type: ignore[arg-type]  # it plays the client
            SOUND,
            snapshot({}),
            input_tokens=10,
            context_tokens=200_000,
            sleep=lambda _seconds: None,
        )
        try:
            attempts.open()
        except GatewayError as error:
            return error
        id_ = attempts.credential_id
        attempts.succeeded()
        return id_

    def told(self) -> GatewayError:
        """The error of one request."""
        outcome = self.request()
        assert isinstance(outcome, GatewayError)
        return outcome

    def stored(self, id_: int = 1) -> Credential:
        found = self.store.get(id_)
        assert found is not None
        return found
