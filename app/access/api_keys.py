"""Who may call: client keys, kept as hashes. The environment's `API_KEY` is always one of them.

In: what a client presented. Out: an `ApiKey`, or NotAuthenticated. While the database does not answer, the keys read last stay
valid, and the environment's key is never asked of the database. Refuses to know where in a request a key stands.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import logging
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import ColumnElement, or_, select

from app.errors import NotAuthenticated, StorageUnavailable
from app.storage import reading, transaction
from app.storage.tables import ApiKeyRow

log = logging.getLogger(__name__)

PREFIX = "sk-kiro-"
MAX_AGE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A client's key as the rest of the gateway knows it; id: None for the environment's."""

    id: int | None
    name: str


class KeyRing:
    """Tells clients by their keys. config_key: the environment's `API_KEY`, None when unset."""

    def __init__(self, config_key: str | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._own = frozenset(map(_digest, _encodings(config_key))) if config_key else frozenset()
        self._rows: dict[bytes, tuple[ApiKey, float | None]] = {}
        self._read_at: float | None = None

    def authenticate(self, presented: str | bytes) -> ApiKey:
        """The key behind what a client presented: bytes, or text as WSGI hands it over. Raises NotAuthenticated.

        Digests are compared, so that neither length nor a non-ASCII character of what was presented can be told from the time
        or the error, and a stored key is looked up by its digest: nobody can choose how one begins.
        """
        digest = _digest(presented if isinstance(presented, bytes) else _wire_bytes(presented))
        if any(hmac.compare_digest(digest, own) for own in self._own):
            return ApiKey(None, "environment")
        key, expires_at = self._current().get(digest, (None, None))
        if key is None or (expires_at is not None and expires_at <= time.time()):
            raise NotAuthenticated
        return key

    def any(self) -> bool:
        """Whether anybody could call at all."""
        if self._own:
            return True
        with reading() as session:
            return session.scalar(select(ApiKeyRow.id).where(_valid()).limit(1)) is not None

    def create(self, name: str) -> str:
        """Make a key and return it in clear, this once; only its hash and last four characters are stored."""
        key, row = _new(name)
        with transaction() as session:
            session.add(row)
        self._read_at = None
        return key

    def create_first(self, name: str) -> str | None:
        """As `create`, but only when no stored key is valid; None otherwise. Two starts at once make one key."""
        key, row = _new(name)
        with transaction() as session:
            if session.scalar(select(ApiKeyRow.id).where(_valid()).limit(1)) is not None:
                return None
            session.add(row)
        self._read_at = None
        return key

    def all(self) -> list[ApiKeyRow]:
        """All stored keys, oldest first."""
        with reading() as session:
            return list(session.query(ApiKeyRow).order_by(ApiKeyRow.id))

    def disable(self, id_: int) -> bool:
        """Stop accepting a key; False when there is none with that id."""
        with transaction() as session:
            row = session.get(ApiKeyRow, id_)
            if row is not None:
                row.enabled = False
        self._read_at = None
        return row is not None

    def _current(self) -> dict[bytes, tuple[ApiKey, float | None]]:
        """Enabled keys, at most 2 s old; older only while the database does not answer."""
        if self._read_at is None or self._clock() - self._read_at >= MAX_AGE_SECONDS:
            known = self._read_at is not None
            self._read_at = self._clock()
            try:
                with reading() as session:
                    rows = session.execute(_ENABLED)
                    self._rows = {bytes.fromhex(digest): (ApiKey(id_, name), expires) for digest, id_, name, expires in rows}
            except StorageUnavailable:
                if not known:
                    self._read_at = None
                    raise
                log.warning("the keys could not be read again; those known stay valid")
        return self._rows


_ENABLED = select(ApiKeyRow.key_hash, ApiKeyRow.id, ApiKeyRow.name, ApiKeyRow.expires_at).where(ApiKeyRow.enabled.is_(True))


def _new(name: str) -> tuple[str, ApiKeyRow]:
    key = PREFIX + secrets.token_urlsafe(32)
    digest = _digest(key.encode()).hex()
    return key, ApiKeyRow(name=name, key_hash=digest, last4=key[-4:], enabled=True, created_at=time.time())


def _valid() -> ColumnElement[bool]:
    return ApiKeyRow.enabled.is_(True) & or_(ApiKeyRow.expires_at.is_(None), ApiKeyRow.expires_at > time.time())


def _digest(key: bytes) -> bytes:
    return hashlib.sha256(key).digest()


def _encodings(key: str) -> list[bytes]:
    """How HTTP clients put a key on the wire: UTF-8, or latin-1 (Python's http.client); the same for an ASCII key."""
    encodings = [key.encode("utf-8", "surrogatepass")]
    with contextlib.suppress(UnicodeEncodeError):
        encodings.append(key.encode("latin-1"))
    return encodings


def _wire_bytes(text: str) -> bytes:
    """The bytes that came over the wire: WSGI decodes header values as latin-1."""
    return _encodings(text)[-1]
