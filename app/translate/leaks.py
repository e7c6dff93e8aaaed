"""Calls that a model wrote as text instead of making them: `<invoke name="…"><parameter name="…">…</parameter></invoke>`.

In: pieces of an answer's text. Out: the text that is certain to be text; what looks like a call is held back, and read at the
end. It is taken for a call only when no call came the proper way, the tool is declared, it begins a line outside a code fence,
and it is well formed; else it is said as it was written. Source: failure corpus 83.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import orjson

from app.translate.thinking import Line

LONGEST_OPENING = 160
_CALLS, _INVOKE = r"(?:antml:)?function_calls", r"(?:antml:)?invoke"
_OPENING = re.compile(rf'<{_CALLS}>|<{_INVOKE} name="(?P<name>[^"<>]+)">')
_PREFIXES = ("", "antml:")
_INVOKES = tuple(f'<{prefix}invoke name="' for prefix in _PREFIXES)
_BEGINNINGS = (*_INVOKES, *(f"<{prefix}function_calls>" for prefix in _PREFIXES))
_WHOLE = re.compile(rf"(?:<{_CALLS}>)?\s*(?P<calls>(?:<{_INVOKE} .*?</{_INVOKE}>\s*)+)(?:</{_CALLS}>)?(?P<after>.*)", re.DOTALL)
_ONE = re.compile(rf'<{_INVOKE} name="([^"<>]+)">(.*?)</{_INVOKE}>', re.DOTALL)
_PARAMETER = re.compile(r'<(?:antml:)?parameter name="([^"<>]+)">(.*?)</(?:antml:)?parameter>', re.DOTALL)

Leak = tuple[str, dict[str, Any]]


class LeakedCalls:
    """Watches the text of one answer. tools: upstream's name and schema of each declared tool."""

    def __init__(self, tools: Mapping[str, Any]) -> None:
        self._tools = tools
        self._held = ""
        self._holds = False
        self._over = not tools
        self._line = Line()

    def feed(self, text: str) -> str:
        """The text that may be said now."""
        if self._over:
            return text
        self._held += text
        said = []
        while not self._holds and self._held:
            at = self._held.find("<")
            if at != 0:
                said.append(self._pass(len(self._held) if at < 0 else at))
            elif self._line.is_fresh and self._opens():
                self._holds = True
            elif self._line.is_fresh and self._may_open():
                break
            else:
                said.append(self._pass(1))
        return "".join(said)

    def give_up(self) -> str:
        """A call came the proper way: what was held is text, and so is all that follows."""
        held, self._held, self._holds, self._over = self._held, "", False, True
        return held

    def finish(self) -> tuple[str, list[Leak]]:
        """What is left to say, and the calls that were written as text; the end of the watch."""
        held = self.give_up()
        found = _WHOLE.fullmatch(held)
        if found is None:
            return held, []
        calls = [self._call(name, body) for name, body in _ONE.findall(found["calls"])]
        whole = [call for call in calls if call is not None]
        return (found["after"].strip("\n"), whole) if len(whole) == len(calls) else (held, [])

    def _pass(self, length: int) -> str:
        text, self._held = self._held[:length], self._held[length:]
        self._line.add(text)
        return text

    def _opens(self) -> bool:
        opening = _OPENING.match(self._held)
        return opening is not None and (opening["name"] is None or opening["name"] in self._tools)

    def _may_open(self) -> bool:
        held = self._held
        if any(beginning.startswith(held) for beginning in _BEGINNINGS):
            return True
        return held.startswith(_INVOKES) and ">" not in held and len(held) < LONGEST_OPENING

    def _call(self, name: str, body: str) -> Leak | None:
        if name not in self._tools or _PARAMETER.sub("", body).strip():
            return None
        properties = (self._tools[name] or {}).get("properties", {})
        return name, {key: _value(text, properties.get(key)) for key, text in _PARAMETER.findall(body)}


def _value(text: str, schema: Any) -> Any:
    """A parameter's value: text where the schema says so, else JSON where it is JSON."""
    if isinstance(schema, dict) and schema.get("type") == "string":
        return text
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
