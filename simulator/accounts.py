"""Accounts, their tokens and what becomes of them: rotation, re-use, expiry.

In: what a test wants an account to be, and tokens that callers present. Out: accounts or token sets. Time is an argument.
A refresh token serves once. Whoever presents a spent one proves that it was copied, so the whole family dies: its current
refresh token and all its access tokens. An access token outlives the rotation that replaced it.
A person who signs in again starts a new family with a client registration of its own; the tokens from before are forgotten.
Source: protocol 1.5 to 1.11.
"""

from __future__ import annotations

import secrets
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

SOCIAL_PROFILE_ARN = "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK"
BUILDER_ID_PROFILE_ARN = "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX"
EXTERNAL_IDP_HOST = "login.microsoftonline.com"
KINDS = ("social", "builder_id", "idc", "external_idp", "api_key")
PLANS = {
    "free": ("KIRO FREE", "Q_DEVELOPER_STANDALONE_FREE"),
    "pro": ("KIRO PRO", "Q_DEVELOPER_STANDALONE_PRO"),
    "pro_plus": ("KIRO PRO+", "Q_DEVELOPER_STANDALONE_PRO_PLUS"),
    "power": ("KIRO POWER", "Q_DEVELOPER_STANDALONE_POWER"),
}
NEVER = float("inf")


@dataclass(slots=True)
class Account:
    """One Kiro login.

    access_tokens: token to the time it expires at. spent: refresh tokens that served already.
    more_profile_arns: further profiles the login may act for. tenant, scopes: of an external IdP.
    """

    id: str
    kind: str
    region: str
    auth_region: str
    profile_arn: str | None
    plan: str
    email: str
    quota: float
    used: float
    overage: bool
    client_id: str | None
    client_secret: str | None
    refresh_token: str | None
    access_tokens: dict[str, float]
    more_profile_arns: tuple[str, ...] = ()
    tenant: str | None = None
    scopes: str | None = None
    spent: set[str] = field(default_factory=set)
    dead: bool = False
    refreshes: int = 0

    @property
    def profile_arns(self) -> tuple[str, ...]:
        """Every profile the login may act for."""
        return (*((self.profile_arn,) if self.profile_arn else ()), *self.more_profile_arns)

    @property
    def token_place(self) -> str:
        """Where its tokens are traded: a region, or the tenant of an external IdP."""
        return self.tenant or self.auth_region

    def describe(self) -> dict[str, Any]:
        """What a test may know: everything, with the newest access token."""
        token, expires_at = list(self.access_tokens.items())[-1] if self.access_tokens else (None, 0.0)
        return {
            "id": self.id,
            "kind": self.kind,
            "region": self.region,
            "auth_region": self.auth_region,
            "profile_arn": self.profile_arn,
            "more_profile_arns": list(self.more_profile_arns),
            "plan": self.plan,
            "email": self.email,
            "quota": self.quota,
            "used": self.used,
            "overage": self.overage,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
            "token_endpoint": f"https://{EXTERNAL_IDP_HOST}/{self.tenant}/oauth2/v2.0/token" if self.tenant else None,
            "issuer_url": f"https://{EXTERNAL_IDP_HOST}/{self.tenant}/v2.0" if self.tenant else None,
            "scopes": self.scopes,
            "refresh_token": self.refresh_token,
            "access_token": token,
            "expires_at": None if expires_at == NEVER else expires_at,
            "dead": self.dead,
            "refreshes": self.refreshes,
        }


@dataclass(frozen=True, slots=True)
class TokenSet:
    """What a refresh gives."""

    account: Account
    access_token: str
    refresh_token: str
    expires_in: float


class RefreshRefused(Exception):
    """No tokens. code: as OAuth names it (`invalid_grant`, `invalid_client`)."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


class Accounts:
    """All accounts of this stand-in, found by id or by any token they ever had."""

    def __init__(self) -> None:
        self._by_id: dict[str, Account] = {}

    def __iter__(self) -> Iterator[Account]:
        return iter(list(self._by_id.values()))

    def add(self, values: Mapping[str, Any], *, now: float, token_seconds: float) -> Account:
        """Create an account, or replace the one of the same id. Raises ValueError for an unknown field or kind.

        values: id, kind (social), region, auth_region, profile_arn, more_profile_arns, plan (pro), email, quota, used, overage,
        client_id, client_secret, tenant, scopes, refresh_token, access_token, expires_in (seconds; 0 or less: expired); all may
        be left out.
        """
        known = set(Account.__dataclass_fields__) - {"access_tokens", "spent", "dead", "refreshes"}
        if unknown := set(values) - known - {"access_token", "expires_in"}:
            raise ValueError(f"unknown account fields: {', '.join(sorted(unknown))}")
        kind = values.get("kind", "social")
        plan = values.get("plan", "pro")
        if kind not in KINDS or plan not in PLANS:
            raise ValueError(f"kind is one of {', '.join(KINDS)}; plan one of {', '.join(PLANS)}")
        number = len(self._by_id) + 1
        arn = values["profile_arn"] if "profile_arn" in values else _default_arn(kind, values.get("region"))
        region = values.get("region") or (arn.split(":")[3] if arn else "us-east-1")
        has_secret = kind in ("builder_id", "idc")
        external = kind == "external_idp"
        client_id = values.get("client_id") or (f"cid-{secrets.token_urlsafe(16)}" if has_secret or external else None)
        expires_in = NEVER if kind == "api_key" else float(values.get("expires_in", token_seconds))
        account = Account(
            id=str(values.get("id") or f"account-{number}"),
            kind=kind,
            region=region,
            auth_region=values.get("auth_region") or "us-east-1",
            profile_arn=arn,
            more_profile_arns=tuple(values.get("more_profile_arns", ())),
            plan=plan,
            email=values.get("email") or f"user{number}@example.test",
            quota=float(values.get("quota", 1000.0)),
            used=float(values.get("used", 0.0)),
            overage=bool(values.get("overage", False)),
            client_id=client_id,
            client_secret=values.get("client_secret") or (f"csec-{secrets.token_urlsafe(32)}" if has_secret else None),
            tenant=values.get("tenant") or (str(uuid.uuid4()) if external else None),
            scopes=values.get("scopes")
            or (f"api://{client_id}/codewhisperer:completions offline_access" if external else None),
            refresh_token=None if kind == "api_key" else values.get("refresh_token") or new_refresh_token(),
            access_tokens={
                values.get("access_token") or (new_api_key() if kind == "api_key" else new_access_token()): now + expires_in
            },
        )
        self._by_id[account.id] = account
        return account

    def by_access_token(self, token: str, *, now: float) -> Account | None:
        """The account an access token speaks for; None for an unknown, expired or revoked one."""
        for account in self._by_id.values():
            expires_at = account.access_tokens.get(token)
            if expires_at is not None:
                return account if now < expires_at and not account.dead else None
        return None

    def first(self) -> Account | None:
        """The account created first."""
        return next(iter(self._by_id.values()), None)

    def by_refresh_token(self, token: str) -> Account | None:
        """The account a current or spent refresh token belongs to."""
        for account in self._by_id.values():
            if token and (token == account.refresh_token or token in account.spent):
                return account
        return None

    def refresh(
        self,
        token: str,
        *,
        kinds: tuple[str, ...],
        client: tuple[str, str] | None,
        place: str,
        now: float,
        token_seconds: float,
        rotate: bool,
    ) -> TokenSet:
        """Trade a refresh token; raises RefreshRefused. A spent one kills its family.

        kinds: which kinds of account this service knows; client: id and secret ("" for none) where the service wants them;
        place: the region or tenant that is asked.
        """
        account = self.by_refresh_token(token)
        if account is None or account.kind not in kinds or account.token_place != place:
            raise RefreshRefused("invalid_grant")
        if client is not None and client != (account.client_id, account.client_secret or ""):
            raise RefreshRefused("invalid_client")
        if token in account.spent:
            account.dead = True
        if account.dead:
            raise RefreshRefused("invalid_grant")
        if rotate:
            account.spent.add(token)
            account.refresh_token = new_refresh_token()
        access_token = new_access_token()
        account.access_tokens = {
            known: expires_at for known, expires_at in account.access_tokens.items() if expires_at > now
        } | {access_token: now + token_seconds}
        account.refreshes += 1
        return TokenSet(account, access_token, account.refresh_token or token, token_seconds)

    def sign_in(
        self, account: Account, *, client: tuple[str | None, str | None], place: str, now: float, token_seconds: float
    ) -> TokenSet:
        """A person signed in to an account: a new family of tokens, which goes with the client that asked for it."""
        account.client_id, account.client_secret = client
        account.auth_region = place
        account.refresh_token, access_token = new_refresh_token(), new_access_token()
        account.access_tokens = {access_token: now + token_seconds}
        account.spent, account.dead = set(), False
        return TokenSet(account, access_token, account.refresh_token, token_seconds)


def new_access_token() -> str:
    """A token of the shape the real ones have."""
    return "aoaAAAAAG" + secrets.token_urlsafe(120)


def new_refresh_token() -> str:
    """A token of the shape the real ones have: at least 100 characters."""
    return "aorAAAAAG" + secrets.token_urlsafe(150)


def new_api_key() -> str:
    """A key of the shape the real ones have."""
    return "ksk_" + secrets.token_urlsafe(32)


def _default_arn(kind: str, region: str | None) -> str | None:
    if kind == "social":
        return SOCIAL_PROFILE_ARN
    if kind == "builder_id":
        return BUILDER_ID_PROFILE_ARN
    if kind in ("idc", "external_idp"):
        account_number = secrets.randbelow(10**12)
        return f"arn:aws:codewhisperer:{region or 'us-east-1'}:{account_number:012}:profile/{secrets.token_hex(6).upper()}"
    return None
