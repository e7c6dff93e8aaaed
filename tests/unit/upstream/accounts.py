"""A made-up account at the other end: what it answers to usage, models and profiles, and what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from app.kiro.endpoints import HttpCall
from app.upstream.http import HttpAnswer, TransportFailed

Play = Callable[["Asked"], HttpAnswer]


class Asked:
    """One call, taken apart."""

    def __init__(self, call: HttpCall, proxy_url: str | None) -> None:
        url = urlsplit(call.url)
        self.call = call
        self.proxy_url = proxy_url
        self.region = (url.hostname or "").split(".")[1]
        self.query = {name: values[0] for name, values in parse_qs(url.query).items()}
        self.arn = self.query.get("profileArn")
        self.version = call.headers["User-Agent"].rpartition("KiroIDE-")[2].split("-")[0]
        self.body: dict[str, Any] = json.loads(call.body or b"{}")
        self.operation = url.path.strip("/") or call.headers["x-amz-target"].rpartition(".")[2]

    @property
    def form(self) -> str:
        """As `str(RestForm)` would say it."""
        return f"{'old' if self.version == '0.9.2' else 'modern'}{'+arn' if self.arn else ''}@{self.region}"


class Account:
    """Answers with what `play` says; `asked` are the calls so far, oldest first."""

    def __init__(self, play: Play) -> None:
        self.play = play
        self.asked: list[Asked] = []

    @property
    def forms(self) -> list[str]:
        return [each.form for each in self.asked]

    def send(self, call: HttpCall, *, proxy_url: str | None, timeout_seconds: float) -> HttpAnswer:
        assert timeout_seconds <= 60
        asked = Asked(call, proxy_url)
        self.asked.append(asked)
        return self.play(asked)


def answered(body: Any, status: int = 200, **headers: str) -> HttpAnswer:
    return HttpAnswer(status, headers, body if isinstance(body, bytes) else json.dumps(body).encode())


def refused(status: int, message: str, reason: str | None = None) -> HttpAnswer:
    return answered({"message": message, "reason": reason}, status)


PROFILE_REQUIRED = refused(400, "profileArn is required for this request.")
PROFILE_INVALID = refused(400, "Invalid profileArn")
IMPROPERLY_FORMED = refused(400, "Improperly formed request.")
BEARER_INVALID = refused(403, "The bearer token included in the request is invalid.")
NOT_AUTHORIZED = refused(403, "User is not authorized to make this call.")
INVALID_TOKEN = refused(403, "Invalid token")
BUILDER_ID = refused(403, "AWS Builder ID is not supported for this operation.")
SUSPENDED = refused(403, "Your User ID (1) temporarily is suspended. We've locked your account.", "TEMPORARILY_SUSPENDED")
SLOW_DOWN = answered({"message": "Too many requests"}, 429, **{"retry-after": "60"})
OUT_OF_ORDER = refused(500, "Encountered an error")
FORM_REFUSALS = [PROFILE_REQUIRED, PROFILE_INVALID, IMPROPERLY_FORMED, BEARER_INVALID, NOT_AUTHORIZED, INVALID_TOKEN]


def unreachable(_asked: Asked) -> HttpAnswer:
    raise TransportFailed("Kiro cannot be reached", sent=False)


def credits_used(used: float = 12.5, limit: float = 50.0, **values: Any) -> dict[str, Any]:
    """An answer of getUsageLimits."""
    return {
        "nextDateReset": 1_790_600_000.0,
        "usageBreakdownList": [{"resourceType": "CREDIT", "currentUsage": used, "usageLimit": limit}],
        "subscriptionInfo": {"subscriptionTitle": "KIRO PRO"},
        "userInfo": {"email": "user@example.test"},
        **values,
    }


def listed(*arns: str, next_token: str | None = None) -> HttpAnswer:
    """A page of ListAvailableProfiles."""
    return answered({"profiles": [{"arn": arn, "status": "ACTIVE"} for arn in arns], "nextToken": next_token})
