"""Answers of the services that hand out tokens: the desktop service, OIDC and external identity providers.

In: a body. Out: the tokens in it, or what it says went wrong. Names are camelCase at Kiro and AWS and snake_case at other
providers; both are read everywhere, no service uses one name for two things. Builds no call, decides nothing.
Source: protocol 1.6, 1.7, 1.9 to 1.11.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

DEFAULT_EXPIRES_IN_SECONDS = 3600.0
MAX_SAID_CHARACTERS = 200
REJECTED_ERRORS = frozenset(
    {
        "invalid_grant",
        "invalid_client",
        "unauthorized_client",
        "access_denied",
        "expired_token",
        "interaction_required",
        "login_required",
        "consent_required",
    }
)
REJECTED_TYPES = ("UnauthorizedClientException", "ExpiredTokenException", "InvalidGrantException", "InvalidClientException")


@dataclass(frozen=True, slots=True, repr=False)
class Grant:
    """What was handed out. None: the answer did not say."""

    access_token: str
    refresh_token: str | None
    expires_in_seconds: float
    profile_arn: str | None

    def __repr__(self) -> str:
        return f"<Grant for {self.expires_in_seconds:.0f} s>"


def read_object(body: bytes) -> dict[str, Any]:
    """The JSON object of an answer; an empty one for anything else."""
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def read_grant(body: dict[str, Any]) -> Grant | None:
    """The tokens of an answer, None without an access token."""
    access_token = text(body, "accessToken", "access_token")
    if access_token is None:
        return None
    refresh_token = text(body, "refreshToken", "refresh_token")
    return Grant(access_token, refresh_token, _lifetime(body), text(body, "profileArn", "profile_arn"))


def is_final(status: int, body: dict[str, Any]) -> bool:
    """Whether a refused refresh is one that only a new sign-in mends."""
    if status not in {400, 401, 403}:
        return False
    error_type = str(body.get("__type", "")).rpartition("#")[2]
    message = str(body.get("message", "")).lower()
    return (
        str(body.get("error")) in REJECTED_ERRORS
        or error_type in REJECTED_TYPES
        or "invalid refresh token" in message
        or status == 401
    )


def said(body: dict[str, Any], secrets: Iterable[str | None]) -> str:
    """The service's own words on one line, "" when there are none; an echoed secret is taken out of them."""
    words = (body.get(name) for name in ("error_description", "message", "error"))
    line = next((" ".join(each.split()) for each in words if isinstance(each, str) and each.strip()), "")
    for secret in secrets:
        line = line.replace(secret, "…") if secret else line
    return line[:MAX_SAID_CHARACTERS]


def text(body: dict[str, Any], *names: str) -> str | None:
    """The first of these fields that holds a text."""
    return next((value for name in names if isinstance(value := body.get(name), str) and value), None)


def number(value: Any) -> float | None:
    """A positive number of an answer, None for anything else."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else None


def _lifetime(body: dict[str, Any]) -> float:
    found = (number(body.get(name)) for name in ("expiresIn", "expires_in"))
    return next((seconds for seconds in found if seconds is not None), DEFAULT_EXPIRES_IN_SECONDS)
