"""A sign-in as a row: how it stands, who may make its next call, and what nobody may see of it.

    WAITING ──approved, address pasted──▶ DONE (credential stored)
            ──declined, refused─────────▶ FAILED (`problem` says why)
            ──cancel────────────────────▶ CANCELLED
            ──time is over──────────────▶ EXPIRED

In: a session and a row of `login_flows`. Out: `LoginFlow`, which anybody may see, or a `Turn`: the lease of the row, by the
database's clock, with the secrets (device code, client secret, verifier, proxy) opened. They stand sealed in the row and are
wiped when the flow leaves WAITING. Makes no call.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson
from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from app.errors import NotFound
from app.kiro.sign_in import Registration
from app.storage import db_now, transaction
from app.storage.secrets import SecretUnreadable, vault
from app.storage.tables import LoginFlowRow

LEASE_SECONDS = 60.0  # outlasts the longest call
KEPT_SECONDS = 86_400.0


class Status(StrEnum):
    """How a sign-in stands; the drawing above says who leads where."""

    WAITING = "waiting"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class LoginFlow:
    """A sign-in as anybody may see it.

    shown: `user_code` and `verification_url`, or `authorise_url`; and `expires_at`.
    ask_in_seconds: how long the next `step` can wait.
    """

    id: str
    method: str
    status: Status
    shown: Mapping[str, Any]
    credential_id: int | None
    problem: str | None
    ask_in_seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class Turn:
    """The right to make the next call of a flow, and what it needs. lease_until: tells it from a later turn."""

    id: str
    lease_until: float
    options: dict[str, Any]
    secret: dict[str, Any]

    @property
    def registration(self) -> Registration:
        return Registration(self.secret["client_id"], self.secret["client_secret"], self.secret["client_secret_expires_at"])


def insert(method: str, shown: dict[str, Any], options: dict[str, Any], secret: dict[str, Any], seconds: float) -> LoginFlow:
    """A new flow, good for so many seconds. options: what anybody may know; an `interval` there puts off the first question."""
    id_ = str(uuid.uuid4())
    with transaction() as session:
        now = db_now(session)
        _tidy(session, now)
        row = LoginFlowRow(
            id=id_,
            method=method,
            status=Status.WAITING.value,
            shown={**shown, "expires_at": now + seconds},
            options=options,
            secret=vault().seal(orjson.dumps(secret).decode(), _place(id_)),
            ask_at=now + options.get("interval", 0.0),
            created_at=now,
            expires_at=now + seconds,
        )
        session.add(row)
        return as_seen(row, now)


def find_row(session: Session, id_: str, *, lock: bool = True) -> LoginFlowRow:
    """Raises NotFound."""
    row = session.get(LoginFlowRow, id_, with_for_update=lock)
    if row is None:
        raise NotFound("There is no such sign-in any more: begin again")
    return row


def waits(row: LoginFlowRow, now: float) -> bool:
    """Whether the flow can still become a login; one whose time is over is ended here."""
    if row.status == Status.WAITING and now >= row.expires_at:
        end(row, Status.EXPIRED)
    return row.status == Status.WAITING


def is_due(row: LoginFlowRow, now: float) -> bool:
    """Whether its device code may be asked about now."""
    return waits(row, now) and row.method != "social" and max(row.lease_until or 0.0, row.ask_at or 0.0) <= now


def take(row: LoginFlowRow, now: float) -> Turn | None:
    """Lease the flow; None when its secret cannot be read, which ends it."""
    try:
        secret = orjson.loads(vault().open(row.secret or "", _place(row.id)))
    except SecretUnreadable:
        end(row, Status.FAILED, problem="The key it was begun with is gone from KIRO_SECRET_KEYS: begin again")
        return None
    row.lease_until = now + LEASE_SECONDS
    return Turn(row.id, row.lease_until, dict(row.options), secret)


def end(row: LoginFlowRow, status: Status, *, credential_id: int | None = None, problem: str | None = None) -> None:
    """Leave WAITING: the secrets go."""
    row.status = status.value
    row.credential_id, row.problem = credential_id, problem
    row.secret = row.lease_until = row.ask_at = None


def as_seen(row: LoginFlowRow, now: float) -> LoginFlow:
    """What anybody may see; a flow whose time is over is EXPIRED here also before the row says so."""
    status = Status(row.status)
    if status is Status.WAITING and now >= row.expires_at:
        status = Status.EXPIRED
    problem = "The sign-in was not finished in time: begin again" if status is Status.EXPIRED else row.problem
    wait = max(row.lease_until or 0.0, row.ask_at or 0.0) - now
    return LoginFlow(row.id, row.method, status, dict(row.shown), row.credential_id, problem, max(wait, 0.0))


def _tidy(session: Session, now: float) -> None:
    """Wipe what nobody finished, and forget what is long over."""
    late = (LoginFlowRow.status == Status.WAITING.value) & (LoginFlowRow.expires_at <= now)
    session.execute(update(LoginFlowRow).where(late).values(status=Status.EXPIRED.value, secret=None))
    session.execute(delete(LoginFlowRow).where(LoginFlowRow.expires_at <= now - KEPT_SECONDS))


def _place(id_: str) -> str:
    return f"login_flows/{id_}/secret"
