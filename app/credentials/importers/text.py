"""What a person pasted: JSON of any export, base64 of it, or tokens as they are, one a line.

In: text. Out: one `Found` per entry. A token that was wrapped when it was copied is not put together again: a wrong guess would
be sent to Kiro, and the half of a token would be stored.
Source: protocol 1.5 (how tokens begin), 9.3 (base64 of AIClient-2-API, variables of kiro2api and kiro-gateway).
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from typing import Any

import orjson

from app.credentials.credential import InvalidLogin
from app.credentials.importers.entry import Entry, Found, plain, read_entry, unquoted
from app.credentials.importers.shapes import entries_of

TAKEN_FOR_SOCIAL = (
    "it is taken for a login with Google or GitHub; "
    "one of a Builder ID or an Identity Center needs its client id and secret, too"
)
NO_LOGIN = (
    "no base64 of JSON, no refresh token (aor…) and no API key (ksk_…); a token stands on one line, "
    "and an access token (aoa…) cannot be imported, since it ends within the hour"
)
WRAPPED = "its token goes on in the next line: copy it again, as one line"
# `KIRO_AUTH_TOKEN='[…]'`, as it stands in an .env file.
_ASSIGNMENT = re.compile(r"(?:export\s+)?([A-Z][A-Z0-9_]*)=(.*)", re.DOTALL)
_BASE64 = re.compile(r"[A-Za-z0-9+/_-]{16,}={0,2}")


def read_text(text: str) -> list[Entry]:
    """The entries of what was pasted. Raises InvalidLogin when there is none in it."""
    return [read_entry(index, found) for index, found in enumerate(parse_text(text))]


def parse_text(text: str) -> list[Found]:
    """The entries of a text. Raises InvalidLogin when there is nothing in it that could be one."""
    text = text.removeprefix("\ufeff").strip()
    if not text:
        raise InvalidLogin("there is nothing in it")
    if (parsed := parse_json(_bare(text))) is not None:
        return entries_of(parsed)
    lines = [line for each in text.splitlines() if (line := each.strip()) and not line.startswith("#")]
    if (variables := _variables(lines)) is not None:
        return [variables]
    found = [_line(_bare(line)) for line in lines]
    if not any(found):
        raise InvalidLogin(f"it is not JSON{_where(_bare(text))}, {NO_LOGIN}")
    return [entry for number in range(len(found)) for entry in _entries(number, found)]


def parse_json(text: str) -> Any:
    """The object or array that a text is, also as base64; None when it is none."""
    if text[:1] not in ("{", "["):
        packed = "".join(text.split())
        if not _BASE64.fullmatch(packed):
            return None
        padded = packed.rstrip("=") + "=" * (-len(packed.rstrip("=")) % 4)
        try:
            text = base64.b64decode(padded.replace("-", "+").replace("_", "/")).decode()
        except ValueError:
            return None
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return parsed if isinstance(parsed, dict | list) else None


def _line(line: str) -> list[Found]:
    """The entries of one line; none when it holds none."""
    if line.startswith("ksk_"):
        return [Found({"kiroapikey": line})]
    if line.startswith("aor"):
        return [Found({"refreshtoken": line, "authmethod": "social"}, notes=(TAKEN_FOR_SOCIAL,))]
    parsed = parse_json(line)
    return [] if parsed is None else entries_of(parsed)


def _entries(number: int, found: Sequence[list[Found]]) -> list[Found]:
    here, below = found[number], found[number + 1] if number + 1 < len(found) else None
    if not here:
        return [Found({}, f"it is not JSON, {NO_LOGIN}")]
    return [Found({}, WRAPPED)] if below == [] and here[0].notes == (TAKEN_FOR_SOCIAL,) else here


def _variables(lines: Sequence[str]) -> Found | None:
    """One login as the variables of kiro-gateway: `REFRESH_TOKEN=…`, `PROFILE_ARN=…`."""
    matches = [_ASSIGNMENT.fullmatch(line) for line in lines]
    values = plain({match[1]: unquoted(match[2]) for match in matches if match})
    return Found(values) if all(matches) and values.get("refreshtoken") else None


def _bare(text: str) -> str:
    """Without the name of a variable, quotes and the comma of a list around it."""
    match = _ASSIGNMENT.fullmatch(text.strip())
    return unquoted((match[2] if match else text).strip().rstrip(",;"))


def _where(text: str) -> str:
    if text[:1] not in ("{", "["):
        return ""
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError as error:
        return f" ({error})"
    return ""
