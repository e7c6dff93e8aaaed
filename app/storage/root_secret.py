"""The one root secret, those it replaced, and the keys derived from them.

In: the configuration. Out: 32 bytes that are the same in every worker and after every start. `KIRO_SECRET_KEYS` names it where
it is set, and PostgreSQL is not used without; else it is a file beside the SQLite database, made once with mode 0600. Each use
has a key of its own.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
import secrets
from pathlib import Path

from app.errors import StorageUnavailable
from config import Config

log = logging.getLogger(__name__)

BYTES = 32
SIGNATURES = "thinking signatures"
COLUMNS = "columns"


def root_secrets(config: Config) -> tuple[bytes, ...]:
    """Every secret that is read with, the one to write with first; raises StorageUnavailable when its file is unusable.

    The file beside the database is read with as well once `KIRO_SECRET_KEYS` is set: that is how one moves from it.
    """
    named = tuple(hashlib.sha256(key.encode()).digest() for key in config.kiro_secret_keys)
    path = Path(f"{config.db_path.absolute()}.key")
    if named and (config.database_url is not None or not path.exists()):
        return named
    return (*named, _from_file(path))


def _from_file(path: Path) -> bytes:
    try:
        _create(path)
        secret = path.read_bytes()
    except OSError as error:
        raise StorageUnavailable(f"The secret file {path.name} cannot be used: {error.strerror}") from error
    if len(secret) != BYTES:
        raise StorageUnavailable(
            f"The secret file {path.name} is damaged: restore it from a backup, or delete it to sign in again"
        )
    return secret


def derive(secret: bytes, use: str) -> bytes:
    """A key for one use: HKDF-Expand (RFC 5869) of a secret that is uniformly random already."""
    return hmac.digest(secret, use.encode() + b"\x01", "sha256")


def _create(path: Path) -> None:
    """Make the file whole or not at all: several workers start at once, and one of them may be killed."""
    if path.exists():
        return
    draft = path.with_name(f"{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(BYTES))
        os.link(draft, path)
        log.warning("made %s: it protects the stored tokens, and without it they cannot be read; back it up by itself", path)
    except FileExistsError:
        pass  # another worker was faster
    finally:
        draft.unlink()
