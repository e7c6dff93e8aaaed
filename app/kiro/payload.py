"""JSON as Kiro writes it: bytes in, values out. Knows no event.

orjson reads it, with one exception. Half of a surrogate pair, written as an escape (`"\\ud83d"`), is legal JSON; it comes when
a text is cut between the two halves of a character. orjson refuses it, and no UTF-8 can carry it on, so it becomes U+FFFD.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import orjson

# Every escape is consumed whole, so that the second backslash of `\\ud83d` does not begin one.
_ESCAPES = re.compile(
    rb"\\(?:(?P<pair>u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})|(?P<half>u[dD][89a-fA-F][0-9a-fA-F]{2})|.)",
    re.DOTALL,
)


def load(raw: bytes) -> Any:
    """The value; raises ValueError for anything that is not JSON."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError:
        return orjson.loads(_without_halves(raw))


def load_exactly(raw: bytes) -> Any:
    """The same, with every number as the Decimal that was written; raises ValueError or ArithmeticError."""
    text = _without_halves(raw).decode()
    try:
        return json.loads(text, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def _without_halves(raw: bytes) -> bytes:
    return _ESCAPES.sub(lambda escape: rb"\ufffd" if escape["half"] else escape[0], raw)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
