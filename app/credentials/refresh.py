"""Trading a refresh token for new tokens: one function per kind of login.

In: a credential and a way to send. Out: `Tokens`, or RefreshTokenRejected (a person must sign in again), RefreshUnclear (it was
sent and nobody knows how it ended), RefreshFailed (nothing was changed, try later). Stores nothing and never tries twice.
Source: protocol 1.6 and 1.7.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol

import orjson

from app.credentials.credential import Credential, Tokens
from app.errors import RefreshFailed, RefreshTokenRejected, RefreshUnclear
from app.kiro.endpoints import DEFAULT_REGION, ClientIdentity, HttpCall, idc_refresh_call, social_refresh_call
from app.upstream.http import HttpAnswer, TransportFailed

REFRESH_SECONDS = 60.0
DEFAULT_EXPIRES_IN_SECONDS = 3600.0
MAX_SAID_CHARACTERS = 200
REJECTED_ERRORS = frozenset({"invalid_grant", "invalid_client", "unauthorized_client", "access_denied", "expired_token"})
REJECTED_TYPES = ("UnauthorizedClientException", "ExpiredTokenException", "InvalidGrantException", "InvalidClientException")


class Sender(Protocol):
    """`app.upstream.http.Http` is one."""

    def send(self, call: HttpCall, *, proxy_url: str | None, timeout_seconds: float) -> HttpAnswer: ...


def refresh(credential: Credential, http: Sender, identity: ClientIdentity, *, now: Callable[[], float] = time.time) -> Tokens:
    """New tokens for a credential. Raises RefreshTokenRejected, RefreshUnclear or RefreshFailed."""
    make = _CALLS.get(credential.kind)
    if make is None:
        raise RefreshFailed(f"A login of kind {credential.kind} has no token that could be refreshed")
    asked_at = now()  # the lifetime may count from here; a minute too early is better than a minute too late
    try:
        answer = http.send(make(credential, identity), proxy_url=credential.proxy_url, timeout_seconds=REFRESH_SECONDS)
    except TransportFailed as error:
        if error.sent:
            raise RefreshUnclear from error
        raise RefreshFailed(f"The token could not be refreshed: {error.message}") from error
    return _tokens(answer, credential, asked_at)


def _social(credential: Credential, identity: ClientIdentity) -> HttpCall:
    return social_refresh_call(
        region=credential.auth_region or DEFAULT_REGION,
        refresh_token=credential.refresh_token or "",
        machine_id=credential.machine_id or "",
        identity=identity,
    )


def _idc(credential: Credential, identity: ClientIdentity) -> HttpCall:
    return idc_refresh_call(
        region=credential.auth_region or DEFAULT_REGION,
        client_id=credential.client_id or "",
        client_secret=credential.client_secret or "",
        refresh_token=credential.refresh_token or "",
        identity=identity,
        invocation_id=str(uuid.uuid4()),
    )


_CALLS: dict[str, Callable[[Credential, ClientIdentity], HttpCall]] = {"social": _social, "idc": _idc}


def _tokens(answer: HttpAnswer, credential: Credential, asked_at: float) -> Tokens:
    body = _parse(answer.body)
    if answer.status == 200:
        access_token = _text(body.get("accessToken"))
        if access_token is None:
            # 200 without a token: the old one may be gone.
            raise RefreshUnclear("The refresh was answered without a token; the refresh token may have been consumed")
        return Tokens(access_token, _text(body.get("refreshToken")), asked_at + _lifetime(body), _text(body.get("profileArn")))
    said = _said(body, credential) or f"status {answer.status}"
    if _is_final(answer.status, body):
        raise RefreshTokenRejected(f"The refresh token is no longer accepted ({said}): sign in again")
    raise RefreshFailed(f"The token could not be refreshed: {said}", retry_after_seconds=_retry_after(answer))


def _parse(body: bytes) -> dict[str, Any]:
    try:
        parsed = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return parsed if isinstance(parsed, dict) else {}


def _lifetime(body: dict[str, Any]) -> float:
    seconds = body.get("expiresIn")
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
        return DEFAULT_EXPIRES_IN_SECONDS
    return float(seconds)


def _is_final(status: int, body: dict[str, Any]) -> bool:
    """Whether only a new sign-in helps."""
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


def _said(body: dict[str, Any], credential: Credential) -> str:
    """The service's own words on one line, "" when there are none; an echoed secret is taken out of them."""
    words = (body.get(name) for name in ("error_description", "message", "error"))
    text = next((" ".join(each.split()) for each in words if isinstance(each, str) and each.strip()), "")
    for secret in (credential.refresh_token, credential.access_token, credential.client_secret):
        text = text.replace(secret, "…") if secret else text
    return text[:MAX_SAID_CHARACTERS]


def _retry_after(answer: HttpAnswer) -> int | None:
    text = answer.headers.get("retry-after", "").strip()
    return int(text[:6]) if text.isascii() and text.isdigit() else None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
