"""Takes secrets and line breaks out of words that others may have put them into: log lines, reasons, error texts.

In: any text. Out: the same with what looks like a token, key, password or login in a URL replaced by `…`. It is the last net,
not the first: nothing of ours writes a token into a message. A text without secrets stays as it is.
Source: reliability 3.6; protocol 1 and 2 (`aoa`, `aor`, `ksk_`), RFC 6750 (`Bearer`), RFC 7519 (`eyJ`, of external providers).
"""

from __future__ import annotations

import re

MASK = "…"
_NAMES = (
    r"(?:access|refresh|id)[_-]?token|client[_-]?secret|device[_-]?code|code[_-]?verifier|(?:x-)?api[_-]?key|kiro[_-]?api[_-]?key"
    r"|proxy[_-]?password|password|passwd|authorization|set-cookie|cookie"
)
_SECRETS = re.compile(
    r"(?P<kept>"
    # `"refreshToken": "…"`, `client_secret=…`, `x-api-key: …`; with `Bearer` or `Basic` in front of the value
    rf"""["']?\b(?:{_NAMES})\b["']?\s*[:=]\s*["']?(?:(?:bearer|basic)\s+)?"""
    r"|\b(?:bearer|basic)\s+"
    r"|://(?=[^\s/?#\"'@]*@)"
    r")"
    # up to the end of the value; in a URL up to its last @
    r"""(?P<secret>(?<=://)[^\s/?#"']*(?=@)|[^\s"',;&}\])]{6,})"""
    r"|(?P<token>\b(?:aoa|aor)[\w+/=.:-]{8,}|\b(?:ksk_|sk-)[\w-]{8,}|\beyJ[\w-]{8,}\.[\w-]{4,}(?:\.[\w-]*)*)",
    re.IGNORECASE,
)
_CONTROLS = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029]")
_SPELLED = {"\n": r"\n", "\r": r"\r"}


def mask(text: str) -> str:
    """The text without secrets."""
    return _SECRETS.sub(_masked, text)


def one_line(text: str) -> str:
    """The text on one line: a line break or another control character in it is spelled out, so that none forges a line."""
    return _CONTROLS.sub(lambda found: _SPELLED.get(found[0], f"\\x{ord(found[0]):02x}"), text)


def _masked(found: re.Match[str]) -> str:
    return f"{found['kept'] or ''}{MASK}"
