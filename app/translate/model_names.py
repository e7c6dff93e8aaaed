"""A model's name taken apart: what it names, and what else its spelling asks for.

In: a name as clients, clouds and routers write it. Out: a `ModelName`. Does not know which models there are.
What is taken off: a provider before it (`anthropic/`, `bedrock/us.anthropic.`), and behind it a date, `-latest`, `[1m]`,
`-thinking`, an effort, and a cloud's version (`-v1:0`). Dashes between digits are dots, underscores are dashes, and a version
may stand before its family (`claude-3-5-sonnet`).
Source: protocol 3.3; failure corpus 69.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

Version = tuple[int, int]

FAMILIES = ("opus", "sonnet", "haiku", "fable", "mythos")
EFFORTS = ("none", "minimal", "low", "medium", "high", "xhigh", "max")
# No model is called by a longer one; the patterns below are not made for more.
LONGEST_NAME = 200

_FAMILY, _EFFORT = "|".join(FAMILIES), "|".join(EFFORTS)
_PROVIDER = re.compile(r"^(?:[^/]+/)*(?:(?:[a-z]+(?:-[a-z]+)?\.)?anthropic\.)?")
_SUFFIX = re.compile(
    r"(?:\[1m\]|[-:]1m|(?P<thinking>[-:]thinking)|[-:]latest|[-@]20\d\d-?\d\d-?\d\d|-v\d+(?:[:-]\d+)?"
    rf"|:(?P<effort>{_EFFORT})|(?<=[\da-z])(?<!-)-(?P<word>{_EFFORT}))$"
)
_FAMILY_FIRST = re.compile(rf"^(?:claude-)?(?P<family>{_FAMILY})(?:-(?P<major>\d{{1,2}})(?:[.-](?P<minor>\d{{1,2}}))?)?$")
_VERSION_FIRST = re.compile(rf"^claude-(?P<major>\d{{1,2}})(?:[.-](?P<minor>\d{{1,2}}))?-(?P<family>{_FAMILY})$")
_DASH_BETWEEN_DIGITS = re.compile(r"(?<=\d)-(?=\d)")


@dataclass(frozen=True, slots=True)
class ModelName:
    """exact: as written, in lower case. plain: what is left of it. version: None when only a family was named."""

    exact: str
    plain: str
    family: str | None = None
    version: Version | None = None
    thinking: bool = False
    effort: str | None = None

    @property
    def is_bare(self) -> bool:
        """Whether there was nothing to take off."""
        return _dotted(self.exact) == self.plain


def take_apart(name: str) -> ModelName:
    """Strip everything that does not name the model, remembering what it asked for."""
    exact = name.strip().lower()
    if len(exact) > LONGEST_NAME:
        return ModelName(exact, exact)
    plain = _PROVIDER.sub("", exact, count=1).replace("_", "-")
    thinking, effort = False, None
    while found := _SUFFIX.search(plain):
        # An effort without a colon is one behind a Claude only: other models are called so.
        if found["word"] and not plain.startswith("claude-"):
            break
        thinking = thinking or found["thinking"] is not None
        effort = effort or found["effort"] or found["word"]
        plain = plain[: found.start()]
    match = _FAMILY_FIRST.match(plain) or _VERSION_FIRST.match(plain)
    if match is None:
        return ModelName(exact, _dotted(plain), None, None, thinking, effort)
    version = (int(match["major"]), int(match["minor"] or 0)) if match["major"] else None
    return ModelName(exact, _dotted(plain), match["family"], version, thinking, effort)


def _dotted(name: str) -> str:
    return _DASH_BETWEEN_DIGITS.sub(".", name)
