"""Rows ⇄ credentials, and the right to refresh one.

A claim is a row's lease with an expiry, taken by compare-and-set on the version that was read, by the database's clock.
Tokens are saved where the version is still the one that was read, and the version grows: a late writer changes nothing.
Why this is safe over workers and machines: a refresh of generation v is sent only by the winner of the claim on (v, lease
free); rows are serialised by the database; the lease outlasts the longest refresh; after a save every claim on v fails.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import or_, select, update
from sqlalchemy.exc import IntegrityError

from app.credentials.credential import Credential
from app.credentials.lifecycle import Happening, Standing, State, advance
from app.errors import GatewayError
from app.storage import db_now, reading, transaction
from app.storage.tables import CredentialRow

LEASE_SECONDS = 90.0
MAX_AGE_SECONDS = 2.0
_FIELDS = tuple(item.name for item in fields(Credential))


class DuplicateCredential(GatewayError):
    """The login is stored already."""

    status = 409
    error_type = "invalid_request_error"

    def __init__(self, id_: int) -> None:
        super().__init__(f"this login is stored already, as credential {id_}")
        self.id = id_


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a refresh brought. None keeps what is stored."""

    access_token: str
    refresh_token: str | None
    expires_at: float
    profile_arn: str | None = None


def fingerprint(secret: str) -> str:
    """What a login is remembered by without keeping it: SHA-256 of its refresh token or API key."""
    return hashlib.sha256(secret.encode()).hexdigest()


class CredentialStore:
    """All access to stored credentials. clock: epoch seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._cached: list[Credential] = []
        self._read_at: float | None = None

    def all(self, *, fresh: bool = False) -> list[Credential]:
        """Every credential by priority, at most 2 s old; what this process changed is seen at once."""
        if fresh or self._read_at is None or time.monotonic() - self._read_at >= MAX_AGE_SECONDS:
            self._read_at = time.monotonic()
            with reading() as session:
                rows = session.scalars(select(CredentialRow).order_by(CredentialRow.priority, CredentialRow.id))
                self._cached = [_from_row(row) for row in rows]
        return self._cached

    def get(self, id_: int) -> Credential | None:
        """One credential as it is stored now."""
        with reading() as session:
            row = session.get(CredentialRow, id_)
            return None if row is None else _from_row(row)

    def add(self, **values: Any) -> int:
        """Store a new login, `machine_id` included; its id. Raises DuplicateCredential."""
        now = self._clock()
        secret = values.get("refresh_token") or values.get("access_token")
        values.setdefault("import_fingerprint", fingerprint(str(secret)))
        with reading() as session:
            there = session.scalar(
                select(CredentialRow.id).where(
                    or_(
                        CredentialRow.import_fingerprint == values["import_fingerprint"],
                        CredentialRow.refresh_token == (values.get("refresh_token") or ""),
                    )
                )
            )
        if there is not None:
            raise DuplicateCredential(there)
        row = CredentialRow(created_at=now, updated_at=now, **values)
        try:
            with transaction() as session:
                session.add(row)
                session.flush()
                id_ = row.id
        except IntegrityError as error:
            with reading() as session:
                there = session.scalar(
                    select(CredentialRow.id).where(CredentialRow.import_fingerprint == values["import_fingerprint"])
                )
            raise DuplicateCredential(there or 0) from error
        self._forget()
        return id_

    def remove(self, id_: int) -> bool:
        """Delete a login; False when there is none."""
        with transaction() as session:
            row = session.get(CredentialRow, id_)
            if row is not None:
                session.delete(row)
        self._forget()
        return row is not None

    def replace_tokens(self, id_: int, **values: Any) -> None:
        """A person signed in again: the whole token set changes together and the credential is ready."""
        with transaction() as session:
            row = session.get(CredentialRow, id_)
            if row is None:
                return
            for name, value in {"access_token": None, "expires_at": None, **values}.items():
                setattr(row, name, value)
            row.version += 1
            row.lease_owner = row.lease_until = row.attempt_at = None
            _put(row, advance(_standing(row), Happening.SIGNED_IN_AGAIN, self._clock()))
            row.updated_at = self._clock()
        self._forget()

    def happened(
        self, id_: int, happening: Happening, *, until: float | None = None, reason: str | None = None
    ) -> Standing | None:
        """Move the stored state by what happened; None when the credential is gone."""
        with transaction() as session:
            row = session.get(CredentialRow, id_, with_for_update=True)
            if row is None:
                return None
            standing = advance(_standing(row), happening, self._clock(), until=until, reason=reason)
            _put(row, standing)
            row.updated_at = self._clock()
        self._forget()
        return standing

    # -- refreshing --

    def claim(self, id_: int, version: int, owner: str) -> bool:
        """Take the right to refresh version `version`; False when it moved on or somebody else holds the claim."""
        with transaction() as session:
            now = db_now(session)
            done = session.execute(
                update(CredentialRow)
                .where(
                    CredentialRow.id == id_,
                    CredentialRow.version == version,
                    or_(CredentialRow.lease_until.is_(None), CredentialRow.lease_until < now),
                )
                .values(lease_owner=owner, lease_until=now + LEASE_SECONDS, attempt_at=now)
            )
            return bool(done.rowcount == 1)  # type: ignore[attr-defined]

    def unclaim(self, id_: int, version: int, owner: str, *, keep_attempt: bool = False) -> None:
        """Give the claim back. keep_attempt: the refresh may have reached upstream, the next holder has to know."""
        values: dict[str, Any] = {"lease_owner": None, "lease_until": None}
        if not keep_attempt:
            values["attempt_at"] = None
        with transaction() as session:
            session.execute(
                update(CredentialRow)
                .where(CredentialRow.id == id_, CredentialRow.version == version, CredentialRow.lease_owner == owner)
                .values(**values)
            )

    def save_tokens(self, id_: int, version: int, tokens: Tokens) -> bool:
        """Commit what a refresh brought; False when the version moved on meanwhile (the newer row stays)."""
        values: dict[str, Any] = {"access_token": tokens.access_token, "expires_at": tokens.expires_at}
        if tokens.refresh_token:
            values["refresh_token"] = tokens.refresh_token
        if tokens.profile_arn:
            values["profile_arn"] = tokens.profile_arn
        with transaction() as session:
            done = session.execute(
                update(CredentialRow)
                .where(CredentialRow.id == id_, CredentialRow.version == version)
                .values(
                    version=version + 1,
                    lease_owner=None,
                    lease_until=None,
                    attempt_at=None,
                    updated_at=self._clock(),
                    **values,
                )
            )
            saved = bool(done.rowcount == 1)  # type: ignore[attr-defined]
            if saved and (row := session.get(CredentialRow, id_)) is not None:
                _put(row, advance(_standing(row), Happening.REFRESH_WORKED, self._clock()))
        self._forget()
        return saved

    # -- what a credentials file needs --

    def imported(self, fingerprint_: str) -> int | None:
        """The credential that was imported with this fingerprint, or that holds this very refresh token now."""
        with reading() as session:
            return session.scalar(select(CredentialRow.id).where(CredentialRow.import_fingerprint == fingerprint_))

    def imported_from(self, source: str) -> int | None:
        """The credential that this place of a file was taken over as."""
        with reading() as session:
            return session.scalar(select(CredentialRow.id).where(CredentialRow.import_source == source))

    def _forget(self) -> None:
        self._read_at = None


def _from_row(row: CredentialRow) -> Credential:
    return Credential(**{name: getattr(row, name) for name in _FIELDS})


def _standing(row: CredentialRow) -> Standing:
    return Standing(State(row.state), row.state_until, row.state_reason, row.failure_count)


def _put(row: CredentialRow, standing: Standing) -> None:
    row.state, row.state_until, row.state_reason = standing.state.value, standing.until, standing.reason
    row.failure_count = standing.failures
