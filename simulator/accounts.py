"""Accounts, their tokens and what becomes of them: rotation, re-use, expiry.

In: what a test wants an account to be, and tokens that callers present. Out: accounts or token sets. Time is an argument.
A refresh token serves once. Whoever presents a spent one proves that it was copied, so the whole family dies: its current
refresh token and all its access tokens. An access token outlives the rotation that replaced it.
Source: protocol 1.5 to 1.8.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

SOCIAL_PROFILE_ARN = "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK"
BUILDER_ID_PROFILE_ARN = "arn:aws:codewhisperer:us-east-1:638616132270:profile/AAAACCCCXXXX"
KINDS = ("social", "builder_id", "idc", "api_key")
PLANS = {
    "free": ("KIRO FREE", "Q_DEVELOPER_STANDALONE_FREE"),
    "pro": ("KIRO PRO", "Q_DEVELOPER_STANDALONE_PRO"),
    "pro_plus": ("KIRO PRO+", "Q_DEVELOPER_STANDALONE_PRO_PLUS"),
    "power": ("KIRO POWER", "Q_DEVELOPER_STANDALONE_POWER"),
}
NEVER = float("inf")


@dataclass(slots=True)
class Account:
    """One Kiro login. access_tokens: token to the time it expires at; spent: refresh tokens that served already."""

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
    spent: set[str] = field(default_factory=set)
    dead: bool = False
    refreshes: int = 0

    def describe(self) -> dict[str, Any]:
        """What a test may know: everything, with the newest access token."""
        token, expires_at = list(self.access_tokens.items())[-1] if self.access_tokens else (None, 0.0)
        return {
            "id": self.id,
            "kind": self.kind,
            "region": self.region,
            "auth_region": self.auth_region,
            "profile_arn": self.profile_arn,
            "plan": self.plan,
            "email": self.email,
            "quota": self.quota,
            "used": self.used,
            "overage": self.overage,
            "client_id": self.client_id,
            "client_secret": self.client_secret,
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

        values: id, kind (social), region, auth_region, profile_arn, plan (pro), email, quota, used, overage, client_id,
        client_secret, refresh_token, access_token, expires_in (seconds; 0 or less: expired); all may be left out.
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
        uses_client = kind in ("builder_id", "idc")
        expires_in = NEVER if kind == "api_key" else float(values.get("expires_in", token_seconds))
        account = Account(
            id=str(values.get("id") or f"account-{number}"),
            kind=kind,
            region=region,
            auth_region=values.get("auth_region") or "us-east-1",
            profile_arn=arn,
            plan=plan,
            email=values.get("email") or f"user{number}@example.test",
            quota=float(values.get("quota", 1000.0)),
            used=float(values.get("used", 0.0)),
            overage=bool(values.get("overage", False)),
            client_id=values.get("client_id") or (f"cid-{secrets.token_urlsafe(16)}" if uses_client else None),
            client_secret=values.get("client_secret") or (f"csec-{secrets.token_urlsafe(32)}" if uses_client else None),
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
        region: str,
        now: float,
        token_seconds: float,
        rotate: bool,
    ) -> TokenSet:
        """Trade a refresh token; raises RefreshRefused. A spent one kills its family.

        kinds: which kinds of account this service knows; client: id and secret where the service wants them.
        """
        account = self.by_refresh_token(token)
        if account is None or account.kind not in kinds or account.auth_region != region:
            raise RefreshRefused("invalid_grant")
        if client is not None and client != (account.client_id, account.client_secret):
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
    if kind == "idc":
        account_number = secrets.randbelow(10**12)
        return f"arn:aws:codewhisperer:{region or 'us-east-1'}:{account_number:012}:profile/{secrets.token_hex(6).upper()}"
    return None
