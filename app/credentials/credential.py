"""A Kiro login as a value. Pure: the clock is an argument, and showing one never shows a token."""

from __future__ import annotations

import enum
from dataclasses import dataclass

KINDS = ("social", "idc", "external_idp", "api_key")
EXPIRING_SECONDS = 600.0  # refresh while the old token still serves
EXPIRED_SECONDS = 60.0  # too close to its end to be sent


class Freshness(enum.Enum):
    """How long the access token still serves."""

    FRESH = "fresh"
    EXPIRING = "expiring"
    EXPIRED = "expired"


class InvalidCredential(ValueError):
    """What was given is not a usable login; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Credential:
    """One login with its tokens and state.

    kind: one of KINDS; expires_at, state_until: epoch seconds; version: grows with each saved token set;
    auth_region: where tokens are refreshed; api_region: where chats go, None to follow the profile ARN.
    """

    id: int
    kind: str
    label: str | None = None
    provider: str | None = None
    access_token: str | None = None
    refresh_token: str | None = None
    expires_at: float | None = None
    client_id: str | None = None
    client_secret: str | None = None
    profile_arn: str | None = None
    auth_region: str | None = None
    api_region: str | None = None
    machine_id: str | None = None
    priority: int = 0
    proxy_url: str | None = None
    state: str = "ready"
    state_until: float | None = None
    state_reason: str | None = None
    failure_count: int = 0
    version: int = 1
    attempt_at: float | None = None
    next_reset_at: float | None = None

    def __repr__(self) -> str:
        return (
            f"Credential(id={self.id}, kind={self.kind!r}, label={self.label!r}, state={self.state!r}, version={self.version})"
        )

    def freshness(self, now: float) -> Freshness:
        """An API key is always fresh; a login without a token or an expiry has to be refreshed first."""
        if self.kind == "api_key":
            return Freshness.FRESH
        left = (self.expires_at or 0.0) - now
        if not self.access_token or left <= EXPIRED_SECONDS:
            return Freshness.EXPIRED
        return Freshness.EXPIRING if left <= EXPIRING_SECONDS else Freshness.FRESH


def mask(secret: str | None) -> str:
    """The last four characters, for telling two apart."""
    return f"…{secret[-4:]}" if secret else "–"


def check(
    kind: str, *, refresh_token: str | None, client_id: str | None, client_secret: str | None, api_key: str | None
) -> None:
    """Raises InvalidCredential when a login of this kind lacks something, or holds a value cut short by a copy."""
    if kind not in KINDS:
        raise InvalidCredential(f"kind must be one of {', '.join(KINDS)}")
    if kind == "api_key":
        if not api_key:
            raise InvalidCredential("an API key login needs its key (it starts with ksk_)")
        return
    if not refresh_token:
        raise InvalidCredential("a refresh token is needed (refreshToken)")
    if "..." in refresh_token:
        raise InvalidCredential("the refresh token holds '...': it was cut short when it was copied")
    if kind == "idc" and not (client_id and client_secret):
        raise InvalidCredential("an IdC or Builder ID login needs clientId and clientSecret as well")
