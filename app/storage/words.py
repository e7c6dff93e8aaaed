"""Column types for words that others chose: a client's, Kiro's, a file's. Any text can be stored, on either database.

PostgreSQL refuses one character in a text, and no driver writes a lone surrogate, which JSON can bring along.
"""

from __future__ import annotations

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator

from app.masking import mask


class Words(TypeDecorator[str]):
    """A text without NUL; lone surrogates become question marks."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(value)


class Remark(Words):
    """What somebody said about a failure: a secret that was quoted in it is masked."""

    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else storable(mask(value))


def storable(text: str) -> str:
    """The text as both databases take it."""
    return text.replace("\0", "").encode("utf-8", "replace").decode()
