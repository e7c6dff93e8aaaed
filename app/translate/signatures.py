"""Signatures of thinking blocks: the gateway's own seal around upstream's signature.

Clients send thinking back only with a signature, and upstream's own one says nothing about model and login. Ours keeps
upstream's inside together with the credential that got it; the model and the text are under the seal, so that only what is
still true is sent upstream again. Thinking that came as tags has no signature of upstream's; its seal holds none, and nothing
is ever invented in its place. The data of redacted thinking is sealed the same way.

In: text, model, credential, upstream's signature. Out: base64 text, and back. Layout: 6 bytes MAGIC, 4 bytes credential id,
32 bytes HMAC-SHA-256, the rest upstream's signature as UTF-8. Source: protocol 3.4 (what a signature is bound to).
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from base64 import b64decode, b64encode
from binascii import Error as InvalidBase64
from dataclasses import dataclass

MAGIC = b"\x0akiro1"
_HEAD = struct.Struct(">6sI32s")
REDACTED = "\x00redacted"  # stands for the text of redacted thinking, which nobody has


@dataclass(frozen=True, slots=True)
class Seal:
    """What a signature holds. upstream: "" for thinking that had no signature; credential_id: 0 when there was none."""

    upstream: str
    credential_id: int


class Sealer:
    """keys: derived from the root secrets, the same in every worker; the first one seals, all open.

    A conversation goes on over a change of keys: what was sealed with the old one opens as long as that is listed.
    """

    def __init__(self, *keys: bytes) -> None:
        self._keys = keys

    def seal(self, thinking: str, model: str, upstream: str, credential_id: int = 0) -> str:
        """The signature a client gets. upstream: "" when there is none."""
        inner = upstream.encode("utf-8", "replace")
        mac = _mac(self._keys[0], thinking, model, credential_id, inner)
        return b64encode(_HEAD.pack(MAGIC, credential_id, mac) + inner).decode()

    def open(self, signature: str, thinking: str, model: str) -> Seal | None:
        """What it holds; None for a foreign, changed or outdated one."""
        try:
            sealed = b64decode(signature, validate=True)
        except (InvalidBase64, ValueError):
            return None
        if not sealed.startswith(MAGIC) or len(sealed) < _HEAD.size:
            return None
        _, credential_id, mac = _HEAD.unpack_from(sealed)
        inner = sealed[_HEAD.size :]
        macs = (_mac(key, thinking, model, credential_id, inner) for key in self._keys)
        if not any(hmac.compare_digest(mac, each) for each in macs):
            return None
        return Seal(inner.decode("utf-8", "replace"), credential_id)


def _mac(key: bytes, thinking: str, model: str, credential_id: int, inner: bytes) -> bytes:
    parts = (
        model.encode(),
        str(credential_id).encode(),
        hashlib.sha256(inner).digest(),
        thinking.encode("utf-8", "replace"),
    )
    return hmac.digest(key, b"\x00".join(parts), "sha256")
