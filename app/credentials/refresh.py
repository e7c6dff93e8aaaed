"""Trading a refresh token for new tokens: one function per kind of login.

In: a credential and a way to send. Out: `Tokens`, or RefreshTokenRejected (a person must sign in again), RefreshUnclear (it was
sent and nobody knows how it ended), RefreshFailed (nothing was changed, try later). Stores nothing.
Source: protocol 1.6 and 1.7.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any, Protocol

import orjson

from app.credentials.credential import Credential
from app.credentials.store import Tokens
from app.errors import RefreshFailed, RefreshTokenRejected, RefreshUnclear
from app.kiro.endpoints import DEFAULT_REGION, ClientIdentity, HttpCall, idc_refresh_call, social_refresh_call
from app.upstream.http import HttpAnswer, TransportFailed

REFRESH_SECONDS = 60.0
DEFAULT_EXPIRES_IN_SECONDS = 3600.0
REJECTED_ERRORS = frozenset({"invalid_grant", "invalid_client", "unauthorized_client", "access_denied", "expired_token"})
REJECTED_TYPES = ("UnauthorizedClientException", "ExpiredTokenException", "InvalidGrantException", "InvalidClientException")


class Sender(Protocol):
    """`app.upstream.http.Http` is one."""

    def send(self, call: HttpCall, *, proxy_url: str | None, timeout_seconds: float) -> HttpAnswer: ...


def refresh(credential: Credential, http: Sender, identity: ClientIdentity, *, now: Callable[[], float] = time.time) -> Tokens:
    """New tokens for a credential. Raises RefreshTokenRejected, RefreshUnclear or RefreshFailed."""
    make = _CALLS.get(credential.kind)
    if make is None:
        raise RefreshFailed(f"tokens of kind {credential.kind} cannot be refreshed by this version")
    try:
        answer = http.send(make(credential, identity), proxy_url=credential.proxy_url, timeout_seconds=REFRESH_SECONDS)
    except TransportFailed as error:
        if error.sent:
            raise RefreshUnclear from error
        raise RefreshFailed(f"The token could not be refreshed: {error.message}") from error
    return _tokens(answer, now())


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


def _tokens(answer: HttpAnswer, now: float) -> Tokens:
    try:
        body = orjson.loads(answer.body)
    except orjson.JSONDecodeError:
        body = {}
    if not isinstance(body, dict):
        body = {}
    if answer.status == 200:
        access_token = body.get("accessToken")
        if not isinstance(access_token, str) or not access_token:
            # 200 without a token: the old one may be gone.
            raise RefreshUnclear("The refresh was answered without a token; the refresh token may have been consumed")
        expires_in = body.get("expiresIn")
        seconds = float(expires_in) if isinstance(expires_in, int | float) and expires_in > 0 else DEFAULT_EXPIRES_IN_SECONDS
        return Tokens(access_token, _text(body.get("refreshToken")), now + seconds, _text(body.get("profileArn")))
    if _is_final(answer.status, body):
        raise RefreshTokenRejected(f"The refresh token is no longer accepted ({_said(body, answer.status)}): sign in again")
    raise RefreshFailed(f"The token could not be refreshed: {_said(body, answer.status)}")


def _is_final(status: int, body: dict[str, Any]) -> bool:
    """Whether only a new sign-in helps."""
    if status not in {400, 401, 403}:
        return False
    error_type = str(body.get("__type", "")).rpartition("#")[2]
    message = str(body.get("message", "")).lower()
    return (
        body.get("error") in REJECTED_ERRORS
        or error_type in REJECTED_TYPES
        or "invalid refresh token" in message
        or status == 401
    )


def _said(body: dict[str, Any], status: int) -> str:
    for name in ("error_description", "message", "error"):
        if isinstance(body.get(name), str) and body[name]:
            return str(body[name])[:200]
    return f"status {status}"


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None
