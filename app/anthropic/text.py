"""Text that cannot be written as UTF-8.

A JSON text may escape half of a surrogate pair; Python keeps it, UTF-8 and orjson do not.
"""

from __future__ import annotations

from typing import Any


def without_surrogates(value: Any) -> Any:
    """A JSON value in which pairs of surrogates are joined and lone ones are U+FFFD; the value given is left as it is."""
    if isinstance(value, str):
        return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if isinstance(value, list):
        return [without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {without_surrogates(key): without_surrogates(item) for key, item in value.items()}
    return value


def writable(text: str) -> str:
    """The text itself when UTF-8 can hold it, which is nearly always; else without surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return str(without_surrogates(text))
    return text
