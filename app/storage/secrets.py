"""Secrets as they stand in the database: sealed with AES-GCM, each bound to the place it stands in.

In: a text and its place (`credentials/7/refresh_token`). Out: `v1:<key id>:<base64 of nonce and ciphertext>`, which
opens at that place only: a value copied into another row or column is refused. Keys come from the root secrets: the first one
writes, all read. Knows nothing of tables; `sealing` knows where secrets stand.
Source: reliability 2.4 and 3.6.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Sequence
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

from app.errors import StorageUnavailable
from app.storage.root_secret import COLUMNS, derive

PREFIX = "v1:"
NONCE_BYTES = 12
KEY_ID_CHARACTERS = 8


class SecretUnreadable(Exception):
    """A sealed text does not open: its key is not among ours, or it was changed or moved. It says which, never the text."""


class Vault:
    """Seals and opens. roots: the root secrets, the one to write with first."""

    def __init__(self, roots: Sequence[bytes]) -> None:
        keys = [derive(root, COLUMNS) for root in roots]
        self._keys = {_key_id(key): AESGCM(key) for key in reversed(keys)}
        self._first = _key_id(keys[0])

    def seal(self, text: str, place: str) -> str:
        """A sealed text for one place."""
        nonce = os.urandom(NONCE_BYTES)
        sealed = self._keys[self._first].encrypt(nonce, text.encode("utf-8", "surrogatepass"), place.encode())
        return f"{PREFIX}{self._first}:{base64.b64encode(nonce + sealed).decode()}"

    def open(self, sealed: str, place: str) -> str:
        """The text sealed for this place; raises SecretUnreadable."""
        if not is_sealed(sealed):  # no part of it is told: it may be the secret itself
            raise SecretUnreadable("it was written there without being sealed")
        key_id, _, encoded = sealed.removeprefix(PREFIX).partition(":")
        key = self._keys.get(key_id)
        if key is None:
            raise SecretUnreadable(f"it was sealed with the key {key_id}, which is not among the present ones")
        try:
            data = base64.b64decode(encoded, validate=True)
            return key.decrypt(data[:NONCE_BYTES], data[NONCE_BYTES:], place.encode()).decode("utf-8", "surrogatepass")
        except (ValueError, InvalidTag) as error:
            raise SecretUnreadable("it was changed, or moved from another row") from error

    def is_current(self, sealed: str) -> bool:
        """Whether the text is sealed with the key that is written with now."""
        return sealed.startswith(f"{PREFIX}{self._first}:")


class SealedText(TypeDecorator[str]):
    """A column of sealed texts. It refuses a plain one: that none is ever written does not hang on anybody's memory."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        if value is not None and not is_sealed(value):
            raise ValueError("a secret is sealed before it is stored")
        return value


def is_sealed(text: str) -> bool:
    """Whether a stored text is a sealed one."""
    version, _, rest = text.partition(":")
    key_id, colon, _ = rest.partition(":")
    return f"{version}:" == PREFIX and bool(colon) and len(key_id) == KEY_ID_CHARACTERS and text.count(":") == 2


def place(table: str, id_: object, column: str) -> str:
    """What a value is sealed for: the row and column it stands in."""
    return f"{table}/{id_}/{column}"


_vault: Vault | None = None


def use(vault: Vault) -> None:
    """Make it the one that this process seals and opens with."""
    global _vault
    _vault = vault


def vault() -> Vault:
    """The one in use; storage.init() comes first."""
    if _vault is None:
        raise StorageUnavailable
    return _vault


def _key_id(key: bytes) -> str:
    return hashlib.sha256(b"key id" + key).hexdigest()[:KEY_ID_CHARACTERS]
