"""`cache_control` marks: at most four, the long-lived ones first.

In: a request. Out: the real API's message for the first problem, None when there is none. The order of a request is tools,
system, messages. Source: the reference of the Messages API, sections 4.1 and 6.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from app.anthropic.blocks import ToolResultBlock

if TYPE_CHECKING:
    from app.anthropic.request import CountRequest
    from app.anthropic.schema import CacheControl

MAX_MARKS = 4


def are_few(request: CountRequest) -> str | None:
    count = sum(1 for _ in _marks(request))
    if count > MAX_MARKS:
        return f"A maximum of {MAX_MARKS} blocks with cache_control may be provided. Found {count}."
    return None


def long_ones_come_first(request: CountRequest) -> str | None:
    short = False
    for path, mark in _marks(request):
        if mark.ttl != "1h":
            short = True
        elif short:
            return (
                f"{path}.cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' cache_control "
                "block. Note that blocks are processed in the following order: `tools`, `system`, `messages`."
            )
    return None


def _marks(request: CountRequest) -> Iterator[tuple[str, CacheControl]]:
    """Every mark with the path of what it stands on."""
    for index, tool in enumerate(request.tools):
        if tool.cache_control is not None:
            yield f"tools.{index}", tool.cache_control
    for index, text in enumerate(request.system):
        if text.cache_control is not None:
            yield f"system.{index}", text.cache_control
    for index, message in enumerate(request.messages):
        for at, block in enumerate(message.content):
            if isinstance(block, ToolResultBlock):
                for inner_at, inner in enumerate(block.content):
                    if inner.cache_control is not None:
                        yield f"messages.{index}.content.{at}.tool_result.content.{inner_at}", inner.cache_control
            mark = getattr(block, "cache_control", None)
            if mark is not None:
                yield f"messages.{index}.content.{at}", mark
