"""What every part of a request's schema shares.

The models of this package are pydantic models that are as strict as the real API is: no text is read as a number, and a key
that is not known is refused. Names of fields, tags and literals are part of the error messages clients see (`wording.py`),
so they are the wire names. Source: the reference of the Messages API, sections 5 to 8, and the official SDK's types.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict

JsonObject = dict[str, Any]


class Strict(BaseModel):
    """A request object; a key that is not known is refused."""

    model_config = ConfigDict(strict=True, extra="forbid", protected_namespaces=())


class Open(BaseModel):
    """A request object of a beta, of which only the named keys mean something here; others are kept."""

    model_config = ConfigDict(strict=True, extra="allow", protected_namespaces=())


class CacheControl(Strict):
    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class CitationsConfig(Strict):
    enabled: bool | None = None


def _text_as_blocks(value: Any) -> Any:
    """A string stands for one text block, an empty one for none; what is empty is then found in one place."""
    if isinstance(value, str):
        return [{"type": "text", "text": value}] if value else []
    return value


def _nothing_as_no_blocks(value: Any) -> Any:
    return [] if value is None else _text_as_blocks(value)


TextOrBlocks = BeforeValidator(_text_as_blocks)
"""Annotates a list of blocks that clients may also write as a string."""

OptionalTextOrBlocks = BeforeValidator(_nothing_as_no_blocks)
"""The same where null is taken for an empty list."""

Nullable = BeforeValidator(lambda value: [] if value is None else value)
"""Annotates a list that clients may also send as null."""

Strings = Annotated[list[str], Nullable]
