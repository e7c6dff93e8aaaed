"""Rows ⇄ credentials, and the right to refresh one.

A claim is a row's lease with an expiry, taken by compare-and-set on the version that was read, by the database's clock.
Tokens are saved where the version is still the one that was read, and the version grows: a late writer changes nothing.
Why this is safe over workers and machines: a refresh of generation v is sent only by the winner of the claim on (v, lease
free); rows are serialised by the database; the lease outlasts the longest refresh; after a save every claim on v fails.
What is left is a holder that dies between Kiro's answer and our commit: `attempt_at` tells the next one.
Source: reliability 3.1, where this was measured against other ways.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from sqlalchemy import func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.credentials.credential import Credential, Login, State, Tokens, check, fingerprint
from app.credentials.lifecycle import Happening, Health, RefreshUnclear, RefreshWorked, SignedInAgain, advance
from app.errors import GatewayError, StorageUnavailable
from app.kiro.endpoints import derive_machine_id
from app.storage import db_now, reading, transaction
from app.storage.secrets import SecretUnreadable, place, vault
from app.storage.tables import CredentialRow, ModelRow

LEASE_SECONDS = 90.0
MAX_AGE_SECONDS = 2.0
_CREDENTIAL_FIELDS = tuple(item.name for item in fields(Credential))
_LOGIN_FIELDS = tuple(item.name for item in fields(Login))
# What a new sign-in brings; where and when a credential is used stays the operator's.
_SIGN_IN_FIELDS = (
    "kind",
    "provider",
    "email",
    "access_token",
    "refresh_token",
    "expires_at",
    "client_id",
    "client_secret",
    "client_secret_expires_at",
    "start_url",
    "token_endpoint",
    "issuer_url",
    "scopes",
    "auth_region",
)
_MARK = select(func.count(), func.sum(CredentialRow.revision), func.max(CredentialRow.id))
OPERATOR_FIELDS = frozenset({"label", "priority", "max_concurrent", "proxy_url", "api_region", "profile_arn"})
# Sealed in the database, each for its own row and column.
SECRET_FIELDS = ("access_token", "refresh_token", "client_secret", "proxy_url")


class DuplicateCredential(GatewayError):
    """The login is stored already."""

    status = 409
    error_type = "invalid_request_error"
    should_retry = False

    def __init__(self, id_: int) -> None:
        super().__init__(f"This login is stored already, as credential {id_}")
        self.id = id_


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to refresh `credential`, read together with taking it.

    cut_off: an earlier holder died in its refresh, so that the refresh token may have been consumed.
    """

    credential: Credential
    owner: str
    cut_off: bool


class CredentialStore:
    """All access to stored credentials. clock: epoch seconds."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._snapshot: Sequence[Credential] | None = None
        self._mark: tuple[Any, ...] | None = None
        self._read_at = 0.0
        self._changes = 0

    # -- reading --

    def all(self, *, fresh: bool = False) -> Sequence[Credential]:
        """Every credential by priority, at most 2 s old; what this process changed is seen at once."""
        snapshot, now = self._snapshot, time.monotonic()
        if snapshot is not None and not fresh and now - self._read_at < MAX_AGE_SECONDS:
            return snapshot
        # The others go on with what is known while one reads; a change in the meantime makes what was read outdated.
        self._read_at, changes = now, self._changes
        try:
            with reading() as session:
                # Before the rows: what changes in between is seen the next time.
                mark = tuple(session.execute(_MARK).one())
                if snapshot is not None and not fresh and mark == self._mark:
                    return snapshot
                rows = session.scalars(select(CredentialRow).order_by(CredentialRow.priority, CredentialRow.id))
                snapshot = tuple(_from_row(row) for row in rows)
        except StorageUnavailable:
            self._read_at = now - MAX_AGE_SECONDS  # the next one asks again, and does not go on with what is outdated
            raise
        if changes == self._changes:
            self._snapshot, self._mark = snapshot, mark
        return snapshot

    def get(self, id_: int) -> Credential | None:
        """One credential as it is stored now."""
        with reading() as session:
            row = session.get(CredentialRow, id_)
            return None if row is None else _from_row(row)

    # -- logins --

    def add(
        self,
        login: Login,
        *,
        health: Health | None = None,
        import_source: str | None = None,
        subscription_title: str | None = None,
    ) -> int:
        """Store a login that was checked; its id. Raises DuplicateCredential.

        The machine id is settled here, once: a token that rotates later does not change the device.
        """
        values = {name: getattr(login, name) for name in _LOGIN_FIELDS}
        api_key = login.secret if login.kind == "api_key" else None
        values["machine_id"] = derive_machine_id(login.machine_id, login.refresh_token, api_key)
        now = self._clock()
        hidden = {name: values.pop(name) for name in SECRET_FIELDS}
        row = CredentialRow(
            **values,
            learned={},
            subscription_title=subscription_title,
            import_fingerprint=login.fingerprint,
            version=1,
            created_at=now,
            updated_at=now,
        )
        _put(row, health or Health())
        try:
            with transaction() as session:
                known = _stored_id(session, login)
                if known is not None:
                    raise DuplicateCredential(known)
                session.add(row)
                session.flush()  # secrets are sealed for their row, whose id is known from here on
                _set(row, hidden)
                _place(session, row.id, import_source)
        except IntegrityError:  # two machines at once, each in a transaction of its own
            faster = find_login(self.all(fresh=True), login)
            raise DuplicateCredential(faster.id if faster else 0) from None
        finally:
            self._changed()
        return row.id

    def change(self, id_: int, values: Mapping[str, Any]) -> Credential | None:
        """Store what the operator wants of a login (OPERATOR_FIELDS); it as it stands then, None when there is none.

        Raises InvalidLogin when it could not work so.
        """
        assert values.keys() <= OPERATOR_FIELDS
        with transaction() as session:
            row = session.get(CredentialRow, id_, with_for_update=True)
            if row is None:
                return None
            check(replace(_from_row(row), **values))
            _set(row, values)
            if values.keys() & {"profile_arn", "api_region"}:
                row.learned = {}  # what worked was found for the other place
            row.updated_at = self._clock()
            changed = _from_row(row)
        self._changed()
        return changed

    def remove(self, id_: int) -> bool:
        """Delete a login; False when there is none."""
        with transaction() as session:
            row = session.get(CredentialRow, id_, with_for_update=True)
            if row is not None:
                session.delete(row)
        self._changed()
        return row is not None

    def sign_in_again(self, before: Credential, login: Login) -> bool:
        """A new sign-in takes the old one's place: token and client registration together, since one goes with the other.

        A refresh under way loses its claim, and its tokens find a newer version. False when somebody was faster.
        Raises DuplicateCredential when the login is another credential already.
        """
        with transaction() as session:
            known = _stored_id(session, login)
            if known is not None and known != before.id:
                raise DuplicateCredential(known)
            row = session.get(CredentialRow, before.id, with_for_update=True)
            if row is None or row.import_fingerprint != before.import_fingerprint:
                return False
            place = (row.kind, row.start_url, row.auth_region)
            _set(row, {name: getattr(login, name) for name in _SIGN_IN_FIELDS})
            if login.profile_arn or place != (row.kind, row.start_url, row.auth_region):
                row.profile_arn = login.profile_arn  # of another directory the old one would be refused
                row.learned = {}
            # Who signs in again may act for a profile since.
            row.learned = {name: found for name, found in (row.learned or {}).items() if name != "profile"}
            row.models_at = None  # and may have another plan: what it has is looked at anew
            row.import_fingerprint = login.fingerprint
            row.version += 1
            row.lease_owner = row.lease_until = row.attempt_at = None
            _put(row, advance(_health(row), SignedInAgain(), self._clock()))
            row.updated_at = self._clock()
        self._changed()
        return True

    def seen_in_file(self, id_: int, *, import_source: str, import_fingerprint: str) -> None:
        """Remember where in a file, and with which secret there, a credential stands; the place is taken from any other."""
        with transaction() as session:
            _place(session, id_, import_source)
            session.execute(
                update(CredentialRow)
                .where(CredentialRow.id == id_)
                .values(import_fingerprint=import_fingerprint, revision=CredentialRow.revision + 1)
            )
        self._changed()

    # -- health --

    def happened(self, id_: int, happening: Happening) -> tuple[Health, Health] | None:
        """Move the stored state by what happened; how it stood and stands, None when the credential is gone."""
        with transaction() as session:
            row = session.get(CredentialRow, id_, with_for_update=True)
            if row is None:
                return None
            before = _health(row)
            after = self._move(row, happening)
        self._changed()
        return before, after

    def _move(self, row: CredentialRow, happening: Happening) -> Health:
        before = _health(row)
        after = advance(before, happening, self._clock())
        if after != before:
            _put(row, after)
            row.updated_at = self._clock()
        return after

    # -- what Kiro told about it --

    def learn(self, id_: int, **found: str) -> None:
        """Remember what works upstream for a login (see `Credential.learned`); writes only what is new."""
        with transaction() as session:
            row = session.get(CredentialRow, id_, with_for_update=True)
            if row is None or found.items() <= (row.learned or {}).items():
                return
            row.learned = {**(row.learned or {}), **found}
        self._changed()

    def save_profile(self, before: Credential, arn: str) -> Credential | None:
        """Store the profile that was found for a login, and how the credential stands then; None when it is gone.

        An ARN or a new sign-in that came while it was looked for stays.
        """
        with transaction() as session:
            row = session.get(CredentialRow, before.id, with_for_update=True)
            if row is None:
                return None
            if row.import_fingerprint == before.import_fingerprint and not row.profile_arn:
                row.profile_arn = arn
                row.updated_at = self._clock()
            stored = _from_row(row)
        self._changed()
        return stored

    def save_usage(self, id_: int, values: Mapping[str, Any]) -> None:
        """Store what a look at the account brought: columns of `Credential`, a None keeps what is there."""
        with transaction() as session:
            row = session.get(CredentialRow, id_, with_for_update=True)
            if row is not None:
                _set(row, {name: value for name, value in values.items() if value is not None})
        self._changed()

    def save_models(self, id_: int, models: Mapping[str, Mapping[str, Any]], seen_at: float) -> None:
        """Store which models a login has, by id, and what each of them is, which stands once for everybody."""
        with transaction() as session:
            row = session.get(CredentialRow, id_, with_for_update=True)
            if row is None:
                return
            known = {each.id: each for each in session.scalars(select(ModelRow).where(ModelRow.id.in_(models)))}
            for name in sorted(models):
                if name not in known:
                    session.add(ModelRow(id=name, entry=dict(models[name])))
                elif known[name].entry != models[name]:
                    known[name].entry = dict(models[name])
            row.models, row.models_at = sorted(models), seen_at
        self._changed()

    def models(self) -> dict[str, Mapping[str, Any]]:
        """What each model is that was ever listed."""
        with reading() as session:
            return {row.id: row.entry for row in session.scalars(select(ModelRow))}

    # -- refreshing --

    def claim(self, id_: int, version: int, owner: str) -> Claim | None:
        """Take the right to refresh version `version`; None when it moved on or somebody else holds the claim."""
        with transaction() as session:
            row = session.get(CredentialRow, id_, with_for_update=True)
            now = db_now(session)
            if row is None or row.version != version or (row.lease_until or 0.0) > now:
                return None
            claim = Claim(_from_row(row), owner, cut_off=row.attempt_at is not None)
            row.lease_owner, row.lease_until, row.attempt_at = owner, now + LEASE_SECONDS, now
        return claim

    def doubt_holder(self, id_: int, version: int, silent_seconds: float) -> bool:
        """Call the refresh of `version` unclear when its holder has been silent for so long; whether it is.

        The claim stays: a holder that is only slow still saves its tokens, which ends the doubt.
        """
        with transaction() as session:
            row = session.get(CredentialRow, id_, with_for_update=True)
            now = db_now(session)
            if row is None or row.version != version or (row.lease_until or 0.0) <= now or row.attempt_at is None:
                return False
            silent = now - row.attempt_at
            if silent < silent_seconds:
                return False
            reason = f"a refresh that began {silent:.0f} s ago has not ended; the refresh token may have been consumed"
            self._move(row, RefreshUnclear(reason, wait_seconds=(row.lease_until or now) - now))
        self._changed()
        return True

    def give_back(self, claim: Claim, happening: Happening | None = None, *, consumed: bool = False) -> Credential | None:
        """End a refresh that brought nothing, together with what it means; the credential as it is stored then.

        Changes nothing when the credential has moved on.
        consumed: the refresh token may be used up, which the next holder has to know.
        """
        with transaction() as session:
            row = session.get(CredentialRow, claim.credential.id, with_for_update=True)
            if row is None:
                return None
            if (row.version, row.lease_owner) == (claim.credential.version, claim.owner):
                row.lease_owner = row.lease_until = None
                row.attempt_at = row.attempt_at if consumed else None
                if happening is not None:
                    self._move(row, happening)
            stored = _from_row(row)
        self._changed()
        return stored

    def save_tokens(self, id_: int, version: int, tokens: Tokens) -> bool:
        """Commit what a refresh of `version` brought; False when the version moved on meanwhile (the newer row stays)."""
        values: dict[str, Any] = {"access_token": tokens.access_token, "expires_at": tokens.expires_at}
        if tokens.refresh_token:
            values["refresh_token"] = tokens.refresh_token
        if tokens.profile_arn:
            values["profile_arn"] = tokens.profile_arn
        with transaction() as session:
            row = session.get(CredentialRow, id_, with_for_update=True)
            saved = row is not None and row.version == version
            if row is not None and saved:
                _set(row, values)
                row.version = version + 1
                row.lease_owner = row.lease_until = row.attempt_at = None
                self._move(row, RefreshWorked())
                row.updated_at = self._clock()
        self._changed()
        return saved

    def _changed(self) -> None:
        self._snapshot = None
        self._changes += 1


def find_login(credentials: Sequence[Credential], login: Login) -> Credential | None:
    """The credential that was brought with this login's secret, or that holds it now."""
    return find_logins(credentials)(login)


def find_logins(credentials: Sequence[Credential]) -> Callable[[Login], Credential | None]:
    """As `find_login`, for many logins."""
    held = {each.fingerprint: each for each in reversed(credentials) if each.secret}
    brought = {each.import_fingerprint: each for each in reversed(credentials)}
    return lambda login: brought.get(login.fingerprint) or held.get(login.fingerprint)


def _stored_id(session: Session, login: Login) -> int | None:
    """As `find_login`, in the database."""
    for column in (CredentialRow.import_fingerprint, CredentialRow.secret_fingerprint):
        found = session.scalar(select(CredentialRow.id).where(column == login.fingerprint).order_by(CredentialRow.id).limit(1))
        if found is not None:
            return found
    return None


def _place(session: Session, id_: int, import_source: str | None) -> None:
    """A place of a file stands for one credential."""
    if import_source is not None:
        elsewhere = (CredentialRow.import_source == import_source) & (CredentialRow.id != id_)
        changed = CredentialRow.revision + 1
        session.execute(update(CredentialRow).where(elsewhere).values(import_source=None, revision=changed))
        here = update(CredentialRow).where(CredentialRow.id == id_)
        session.execute(here.values(import_source=import_source, revision=changed))


def _from_row(row: CredentialRow) -> Credential:
    values = {name: getattr(row, name) for name in _CREDENTIAL_FIELDS} | {"state": State(row.state)}
    values["models"] = None if row.models is None else frozenset(row.models)
    try:
        values |= {name: _open(row, name) for name in SECRET_FIELDS}
    except SecretUnreadable as error:
        # Nothing is written: with its key back (KIRO_SECRET_KEYS, the .key file beside the database) it is as it was.
        reason = f"its stored tokens cannot be read, {error}: put its key back, or sign in again"
        values |= dict.fromkeys(SECRET_FIELDS) | {"state": State.REJECTED, "state_until": None, "state_reason": reason}
    return Credential(**values)


def _open(row: CredentialRow, name: str) -> str | None:
    sealed = getattr(row, name)
    return vault().open(sealed, secret_place(row.id, name)) if sealed else None


def _set(row: CredentialRow, values: Mapping[str, Any]) -> None:
    """Put values into a stored row, secrets sealed."""
    for name, value in values.items():
        hidden = name in SECRET_FIELDS and value is not None
        setattr(row, name, vault().seal(value, secret_place(row.id, name)) if hidden else value)
        if value and name == ("access_token" if row.kind == "api_key" else "refresh_token"):
            row.secret_fingerprint = fingerprint(value)


def secret_place(id_: int, name: str) -> str:
    """What a credential's secret is sealed for."""
    return place("credentials", id_, name)


def _health(row: CredentialRow) -> Health:
    return Health(State(row.state), row.state_until, row.state_reason, row.failure_count)


def _put(row: CredentialRow, health: Health) -> None:
    row.state, row.state_until, row.failure_count = health.state.value, health.until, health.failure_count
    row.state_reason = health.reason or None
