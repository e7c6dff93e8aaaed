"""Who may call: client keys, kept as hashes. The environment's `API_KEY` is always one of them."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.errors import NotAuthenticated
from app.storage import reading, transaction
from app.storage.tables import ApiKeyRow

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
        self._own = _digest(config_key) if config_key else None
        self._rows: list[tuple[bytes, ApiKey, float | None]] = []
        self._read_at: float | None = None

    def authenticate(self, presented: str) -> ApiKey:
        """The key behind what a client presented. Raises NotAuthenticated.

        Every key is compared, each in constant time and over digests, so that neither length nor a non-ASCII character of
        what was presented can be told from the time or the error.
        """
        digest = _digest(presented)
        found: ApiKey | None = None
        if self._own is not None and hmac.compare_digest(digest, self._own):
            found = ApiKey(None, "environment")
        for stored, key, expires_at in self._current():
            if hmac.compare_digest(digest, stored) and (expires_at is None or expires_at > time.time()):
                found = found or key
        if found is None:
            raise NotAuthenticated
        return found

    def any(self) -> bool:
        """Whether anybody could call at all."""
        self._read_at = None
        return self._own is not None or bool(self._current())

    def create(self, name: str) -> str:
        """Make a key and return it in clear, this once; only its hash and last four characters are stored."""
        key = PREFIX + secrets.token_urlsafe(32)
        row = ApiKeyRow(name=name, key_hash=_digest(key).hex(), last4=key[-4:], enabled=True, created_at=time.time())
        with transaction() as session:
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

    def _current(self) -> list[tuple[bytes, ApiKey, float | None]]:
        """Enabled keys, at most 2 s old."""
        if self._read_at is None or self._clock() - self._read_at >= MAX_AGE_SECONDS:
            self._read_at = self._clock()
            with reading() as session:
                rows = session.query(ApiKeyRow).filter(ApiKeyRow.enabled.is_(True)).order_by(ApiKeyRow.id)
                self._rows = [(bytes.fromhex(row.key_hash), ApiKey(row.id, row.name), row.expires_at) for row in rows]
        return self._rows


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()
