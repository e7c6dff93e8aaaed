"""Made-up logins, a clock that stands still, and a stand-in for the two services that trade tokens."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs

from app.credentials.credential import Credential, Login
from app.kiro.endpoints import ClientIdentity, HttpCall
from app.upstream.http import HttpAnswer, TransportFailed

NOON = 1_790_000_000.0
HOUR = 3600.0
IDENTITY = ClientIdentity(kiro_version="0.12.155", rest_version="0.12.155", system_version="darwin#24.6.0", node_version="v22")


class Clock:
    """Epoch seconds that move only when they are told to."""

    def __init__(self, now: float = NOON) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


def refresh_token(name: str = "a") -> str:
    """A refresh token of a believable length."""
    return f"aor-{name}-" + "x" * 120


def social(name: str = "a", **values: Any) -> Login:
    return Login(**{"kind": "social", "refresh_token": refresh_token(name), "auth_region": "us-east-1", **values})


def idc(name: str = "a", **values: Any) -> Login:
    registration = {"client_id": f"cid-{name}", "client_secret": f"csec-{name}", "provider": "BuilderId"}
    return social(name, **{"kind": "idc", **registration, **values})


def api_key(name: str = "a", **values: Any) -> Login:
    return Login(**{"kind": "api_key", "access_token": f"ksk_{name}_{'k' * 40}", **values})


def credential(id_: int = 1, **values: Any) -> Credential:
    fresh = {"access_token": "aoa-old", "expires_at": NOON + HOUR, "refresh_token": refresh_token()}
    return Credential(**{"id": id_, "kind": "social", **fresh, **values})


class TokenService:
    """Trades a refresh token once: the next one must be the one it handed out. One object stands for one login.

    before: called in the middle of each refresh. answers: sent instead, in turn, without rotating (an exception is raised).
    """

    def __init__(self, token: str = "", before: Callable[[], None] = lambda: None) -> None:
        self.token = token or refresh_token()
        self.before = before
        self.calls: list[HttpCall] = []
        self.proxies: list[str | None] = []
        self.refused = 0
        self.answers: list[HttpAnswer | Exception] = []
        self._numbers = itertools.count(1)

    def send(self, call: HttpCall, *, proxy_url: str | None, timeout_seconds: float) -> HttpAnswer:
        self.calls.append(call)
        self.proxies.append(proxy_url)
        asked = _sent_token(call.body or b"")
        accepted = asked == self.token
        if accepted and not self.answers:
            number = next(self._numbers)
            self.token = refresh_token(f"rotated-{number}")
        self.before()
        if self.answers:
            answer = self.answers.pop(0)
            if isinstance(answer, Exception):
                raise answer
            return answer
        if not accepted:
            self.refused += 1
            return refused()
        return answered({"accessToken": f"aoa-{number}", "refreshToken": self.token, "expiresIn": 3600})


def _sent_token(body: bytes) -> str:
    """Of JSON, or of an external provider's form."""
    if body.startswith(b"{"):
        return str(json.loads(body)["refreshToken"])
    return parse_qs(body.decode())["refresh_token"][0]


def answered(body: Any, status: int = 200, **headers: str) -> HttpAnswer:
    return HttpAnswer(status, headers, json.dumps(body).encode())


def refused() -> HttpAnswer:
    return answered({"error": "invalid_grant", "error_description": "Invalid refresh token provided"}, 400)


def broken(*, sent: bool) -> TransportFailed:
    return TransportFailed("the connection broke", sent=sent)
