"""Signatures of thinking blocks: the gateway's own seal around upstream's signature.

Clients send thinking back only with a signature, and upstream's own one says nothing about model and login. Ours keeps
upstream's inside, and the model and the text are under the seal, so that only what is still true is sent upstream again.
Thinking that came as tags has no signature of upstream's; its seal holds none, and nothing is ever invented in its place.

In: text, model, upstream's signature. Out: base64 text, and back. Layout: 6 bytes MAGIC, 32 bytes HMAC-SHA-256, the rest
upstream's signature as UTF-8. Source: protocol 3.4 (what a signature is bound to).
"""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from binascii import Error as InvalidBase64
from dataclasses import dataclass

MAGIC = b"\x0akiro1"
SEAL_BYTES = 32


@dataclass(frozen=True, slots=True)
class Sealer:
    """key: derived from the root secret; the same in every worker."""

    key: bytes

    def seal(self, thinking: str, model: str, upstream: str) -> str:
        """The signature a client gets. upstream: "" when there is none."""
        inner = upstream.encode("utf-8", "replace")
        return b64encode(MAGIC + self._mac(thinking, model, inner) + inner).decode()

    def open(self, signature: str, thinking: str, model: str) -> str | None:
        """Upstream's signature ("" for thinking that had none); None for a foreign, changed or outdated one."""
        try:
            sealed = b64decode(signature, validate=True)
        except (InvalidBase64, ValueError):
            return None
        if not sealed.startswith(MAGIC) or len(sealed) < len(MAGIC) + SEAL_BYTES:
            return None
        mac, inner = sealed[len(MAGIC) :][:SEAL_BYTES], sealed[len(MAGIC) + SEAL_BYTES :]
        return inner.decode("utf-8", "replace") if hmac.compare_digest(mac, self._mac(thinking, model, inner)) else None

    def _mac(self, thinking: str, model: str, inner: bytes) -> bytes:
        parts = (model.encode(), hashlib.sha256(inner).digest(), thinking.encode("utf-8", "replace"))
        return hmac.digest(self.key, b"\x00".join(parts), "sha256")
