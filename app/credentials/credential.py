"""One Kiro login as a value: what was signed in with, its tokens, how it stands.

A `Login` is what a person brings (a form, a file, the command line); a `Credential` is a stored one, with an id, a state and a
version that counts its token generations. Tokens are in here; `repr`, `str` and the label never show them.
Knows nothing of databases, clocks (they are arguments) or how tokens are traded.
Source: protocol 1.5 (kinds), 7 (sanity of a refresh token); the windows are measured against 1-hour tokens.
"""

from __future__ import annotations

import hashlib
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum, StrEnum
from typing import Any

from app.errors import GatewayError

KINDS = ("social", "idc", "external_idp", "api_key")
EXPIRING_SECONDS = 600.0
EXPIRED_SECONDS = 60.0
# Logins that were imported together would all be refreshed in the same second, in each worker.
JITTER_SECONDS = 120
USUAL_REFRESH_TOKEN_CHARACTERS = 100
PROXY_SCHEMES = ("http://", "https://", "socks5://", "socks5h://")
# Entra ID and Okta in their clouds; a file that names another host would take the token there.
IDP_DOMAINS = (
    ".microsoftonline.com",
    ".microsoftonline.us",
    ".microsoftonline.cn",
    ".okta.com",
    ".oktapreview.com",
    ".okta-emea.com",
)
# Greater numbers are milliseconds: as seconds this one is the year 5138.
LARGEST_SECONDS = 1e11
_REGION = re.compile(r"[a-z]{2,}(-[a-z]+)+-\d{1,2}")
_PLAIN_URL = re.compile(r"https://(?P<host>[a-z0-9.-]+)(/[\w./-]*)?", re.ASCII)


class State(StrEnum):
    """How a credential stands. The drawing of who leads where is in `lifecycle`."""

    READY = "ready"
    COOLING_DOWN = "cooling_down"
    EXHAUSTED = "exhausted"
    REJECTED = "rejected"
    SUSPENDED = "suspended"
    UNCERTAIN = "uncertain"
    DISABLED = "disabled"


class Freshness(Enum):
    """The window an access token is in."""

    FRESH = "use it"
    EXPIRING = "use it, refresh beside"
    EXPIRED = "refresh first"


class InvalidLogin(GatewayError):
    """A login lacks something or holds something unusable; the message says what to give instead."""

    status = 400
    error_type = "invalid_request_error"
    should_retry = False


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Login:
    """What a person signed in with.

    kind: "social", "idc" (Builder ID and IAM Identity Center), "external_idp" (Entra ID, Okta) or "api_key", whose key is kept
    as the access token. token_endpoint, issuer_url, scopes: of an external IdP, which refreshes its tokens itself.
    expires_at: of the access token, epoch seconds; None means "refresh before the first use".
    auth_region: where tokens are traded. api_region: where the API is called, None to follow the profile ARN.
    proxy_url: "direct" goes around the gateway's own proxy.
    """

    kind: str
    provider: str | None = None
    email: str | None = None
    access_token: str | None = None
    refresh_token: str | None = None
    expires_at: float | None = None
    client_id: str | None = None
    client_secret: str | None = None
    client_secret_expires_at: float | None = None
    start_url: str | None = None
    token_endpoint: str | None = None
    issuer_url: str | None = None
    scopes: str | None = None
    profile_arn: str | None = None
    auth_region: str | None = None
    api_region: str | None = None
    machine_id: str | None = None
    proxy_url: str | None = None
    priority: int = 0
    max_concurrent: int | None = None
    label: str | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.kind} {self.name!r}>"

    @property
    def secret(self) -> str:
        """What the login stands or falls with: the refresh token, or the API key; "" when there is none."""
        return (self.access_token if self.kind == "api_key" else self.refresh_token) or ""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the secret: the same login brought twice has the same one."""
        return fingerprint(self.secret)

    @property
    def name(self) -> str:
        """What people tell it apart by: its label or e-mail, else provider and the last four characters of its secret."""
        # Of a short secret four characters would be much; real ones have hundreds.
        return self.label or self.email or f"{self.provider or self.kind} …{self.secret[-4:] if len(self.secret) >= 16 else ''}"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Credential(Login):
    """A stored login.

    version: grows with each new token set; whoever saves tokens names the version they were traded from.
    attempt_at, lease_until: a refresh under way (database clock), see `store.claim`.
    usage: what `app.kiro.usage` read last, in its own words; the numbers that decide stand beside it.
    models: the ids Kiro listed for it, None while nobody has seen them.
    learned: what was found to work upstream for this login: `chat_host` (q, runtime), `chat_arn` (sent, left_out),
    `rest` (the form of usage and listing calls).
    """

    id: int
    state: State = State.READY
    state_until: float | None = None
    state_reason: str | None = None
    failure_count: int = 0
    version: int = 1
    lease_until: float | None = None
    attempt_at: float | None = None
    import_source: str | None = None
    import_fingerprint: str | None = None
    subscription_title: str | None = None
    current_usage: float | None = None
    usage_limit: float | None = None
    usage_at: float | None = None
    next_reset_at: float | None = None
    usage: Mapping[str, Any] | None = None
    models: frozenset[str] | None = None
    models_at: float | None = None
    success_count: int = 0
    last_used_at: float | None = None
    learned: Mapping[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        return f"<Credential {self.id} {self.kind} {self.name!r} {self.state} v{self.version}>"

    @property
    def disabled(self) -> bool:
        return self.state is State.DISABLED

    def freshness(self, now: float) -> Freshness:
        """The window the access token is in; an API key never leaves the first."""
        if self.kind == "api_key":
            return Freshness.FRESH
        if not self.access_token or self.expires_at is None or self.expires_at <= now + EXPIRED_SECONDS:
            return Freshness.EXPIRED
        early = EXPIRING_SECONDS + zlib.crc32(f"{self.id}.{self.version}".encode()) % JITTER_SECONDS
        return Freshness.EXPIRING if self.expires_at <= now + early else Freshness.FRESH


@dataclass(frozen=True, slots=True, repr=False)
class Tokens:
    """What a refresh brought. None keeps what is stored."""

    access_token: str
    refresh_token: str | None
    expires_at: float
    profile_arn: str | None = None

    def __repr__(self) -> str:
        return f"<Tokens until {self.expires_at:.0f}>"


def fingerprint(secret: str) -> str:
    """SHA-256 in hex: a secret is recognised by it without being kept."""
    return hashlib.sha256(secret.encode()).hexdigest()


def epoch_seconds(value: Any) -> float | None:
    """An ISO 8601 instant (UTC where it names no zone), epoch seconds or milliseconds; None for anything else."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) / 1000 if value > LARGEST_SECONDS else float(value)
    if not isinstance(value, str):
        return None
    try:
        instant = datetime.fromisoformat(value.strip())
        return (instant if instant.tzinfo else instant.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None


def check(login: Login) -> None:
    """Raises InvalidLogin when the login cannot work as it is."""
    if login.kind not in KINDS:
        raise InvalidLogin(f"{login.kind!r} is no kind of login this gateway knows; it knows {', '.join(KINDS)}")
    _CHECKS[login.kind](login)
    for text in (login.access_token, login.refresh_token, login.client_id, login.client_secret):
        if text and not (text.isascii() and text.isprintable() and " " not in text):
            raise InvalidLogin("A token or client value holds spaces or unusual characters: copy it again, as one line")
    for region in (login.auth_region, login.api_region):
        # It becomes part of the host that is sent the tokens.
        if region and not _REGION.fullmatch(region):
            raise InvalidLogin(f"{region!r} is no AWS region; one looks like us-east-1")
    if login.max_concurrent is not None and login.max_concurrent < 1:
        raise InvalidLogin("max_concurrent must be at least 1; disable a login that is to answer nothing")
    if login.proxy_url and login.proxy_url != "direct" and not login.proxy_url.startswith(PROXY_SCHEMES):
        raise InvalidLogin("The proxy must be an http://, https:// or socks5:// URL, or the word direct")


def remarks(login: Login) -> list[str]:
    """What is odd about a login that may work all the same."""
    if login.kind != "api_key" and len(login.secret) < USUAL_REFRESH_TOKEN_CHARACTERS:
        return [f"the refresh token has {len(login.secret)} characters where Kiro's have hundreds: is it whole?"]
    return []


def _check_refresh_token(login: Login) -> None:
    token = login.refresh_token or ""
    if not token:
        raise InvalidLogin("The refresh token is missing")
    if "..." in token or "…" in token:
        raise InvalidLogin("The refresh token was shortened when it was copied (it holds '...'): copy the whole of it")


def _check_idc(login: Login) -> None:
    _check_refresh_token(login)
    if not login.client_id or not login.client_secret:
        raise InvalidLogin(
            "A Builder ID or Identity Center login needs its client id and client secret too: "
            "they stand in the file named after clientIdHash beside kiro-auth-token.json"
        )


def _check_external_idp(login: Login) -> None:
    _check_refresh_token(login)
    if not login.client_id or not login.token_endpoint:
        raise InvalidLogin(
            "A login of an external identity provider needs its client id and token endpoint too: "
            "they stand in kiro-auth-token.json"
        )
    check_token_endpoint(login.token_endpoint, login.issuer_url)


def check_token_endpoint(token_endpoint: str, issuer_url: str | None) -> None:
    """Refresh tokens are sent there: only https, a known provider's host, and the issuer's own. Raises InvalidLogin.

    Only addresses that no two readers of URLs take for different hosts: the host of `https://a\\.b.com` is the whole name to
    urllib and `a` to urllib3, which connects.
    """
    endpoint, issuer = _PLAIN_URL.fullmatch(token_endpoint), _PLAIN_URL.fullmatch(issuer_url or "")
    if endpoint is None or not endpoint["host"].endswith(IDP_DOMAINS):
        raise InvalidLogin(
            f"The token endpoint must be an https address under {', '.join(domain[1:] for domain in IDP_DOMAINS)}: "
            "the refresh token is sent there"
        )
    if issuer_url and (issuer is None or issuer["host"] != endpoint["host"]):
        raise InvalidLogin(f"The token endpoint is at {endpoint['host']} and the issuer is not: the two must be the same host")


def _check_api_key(login: Login) -> None:
    key = login.access_token or ""
    if not key:
        raise InvalidLogin("The Kiro API key is missing")
    if "..." in key or "…" in key:
        raise InvalidLogin("The Kiro API key was shortened when it was copied (it holds '...'): copy the whole of it")


_CHECKS = {
    "social": _check_refresh_token,
    "idc": _check_idc,
    "external_idp": _check_external_idp,
    "api_key": _check_api_key,
}
