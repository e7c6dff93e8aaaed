"""Repairs that have to be made before the shape of a request is judged; they are made only when asked for.

In: a parsed JSON body. Out: the body with foreign roles made known ones and without system blocks that are no text, and the
names of what was changed; the body given is left as it is. What has the right shape is repaired by the translation.
Source: rows 35 and 38 of the failure corpus.
"""

from __future__ import annotations

from typing import Any

_ROLES = frozenset({"user", "assistant", "system"})


def repair_shape(raw: object) -> tuple[object, list[str]]:
    """The body to judge, and the names of the repairs that changed it."""
    if not isinstance(raw, dict):
        return raw, []
    repaired, names = dict(raw), []
    if isinstance(raw.get("messages"), list):
        repaired["messages"] = [_with_known_role(message) for message in raw["messages"]]
        if repaired["messages"] != raw["messages"]:
            names.append("roles_are_known")
    if isinstance(raw.get("system"), list):
        repaired["system"] = [block for block in raw["system"] if not _is_other_block(block)]
        if len(repaired["system"]) != len(raw["system"]):
            names.append("system_is_text")
    return repaired, names


def _with_known_role(message: Any) -> Any:
    if not isinstance(message, dict) or not isinstance(message.get("role"), str) or message["role"] in _ROLES:
        return message
    return {**message, "role": "system" if message["role"] == "developer" else "user"}


def _is_other_block(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") not in (None, "text")
