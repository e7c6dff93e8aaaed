"""Trading a refresh token for new tokens: one function per kind of login.

In: a credential and a way to send. Out: `Tokens`, or RefreshTokenRejected (a person must sign in again), RefreshUnclear (it was
sent and nobody knows how it ended), RefreshFailed (nothing was changed, try later). Stores nothing and never tries twice.
Source: protocol 1.6, 1.7 and 1.11.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Protocol

from app.credentials.credential import Credential, InvalidLogin, Tokens, check_token_endpoint
from app.errors import RefreshFailed, RefreshTokenRejected, RefreshUnclear
from app.kiro.endpoints import DEFAULT_REGION, ClientIdentity, HttpCall, idc_refresh_call, social_refresh_call
from app.kiro.external_idp import external_refresh_call
from app.kiro.oauth import is_final, read_grant, read_object, said
from app.upstream.http import HttpAnswer, TransportFailed

REFRESH_SECONDS = 60.0


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


def _external_idp(credential: Credential, _identity: ClientIdentity) -> HttpCall:
    endpoint = credential.token_endpoint or ""
    try:
        # Again, right before the token goes there: a row may be older than the list of known providers.
        check_token_endpoint(endpoint, credential.issuer_url)
    except InvalidLogin as error:
        raise RefreshTokenRejected(f"The refresh token is not sent anywhere: {error.message}. Sign in again") from error
    return external_refresh_call(
        token_endpoint=endpoint,
        client_id=credential.client_id or "",
        refresh_token=credential.refresh_token or "",
        scopes=credential.scopes,
    )


_CALLS: dict[str, Callable[[Credential, ClientIdentity], HttpCall]] = {
    "social": _social,
    "idc": _idc,
    "external_idp": _external_idp,
}


def _tokens(answer: HttpAnswer, credential: Credential, asked_at: float) -> Tokens:
    body = read_object(answer.body)
    if answer.status == 200:
        grant = read_grant(body)
        if grant is None:
            # 200 without a token: the old one may be gone.
            raise RefreshUnclear("The refresh was answered without a token; the refresh token may have been consumed")
        return Tokens(grant.access_token, grant.refresh_token, asked_at + grant.expires_in_seconds, grant.profile_arn)
    secrets = (credential.refresh_token, credential.access_token, credential.client_secret)
    words = said(body, secrets) or f"status {answer.status}"
    if is_final(answer.status, body):
        raise RefreshTokenRejected(f"The refresh token is no longer accepted ({words}): sign in again")
    raise RefreshFailed(f"The token could not be refreshed: {words}", retry_after_seconds=_retry_after(answer))


def _retry_after(answer: HttpAnswer) -> int | None:
    text = answer.headers.get("retry-after", "").strip()
    return int(text[:6]) if text.isascii() and text.isdigit() else None
