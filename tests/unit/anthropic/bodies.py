"""Bodies of requests the tests start from; each call makes a new one."""

from __future__ import annotations

from typing import Any

from app.anthropic.request import CountRequest, MessageRequest, parse_count_request, parse_message_request
from app.errors import RequestRejected

OLD, NEW = "2023-06-01", "2026-10-21"
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAgAAAAICAYAAADED76L"
"""The beginning of an 8 × 8 PNG."""


def user(*blocks: Any) -> dict[str, Any]:
    return {"role": "user", "content": _content(blocks)}


def assistant(*blocks: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": _content(blocks)}


def system(*blocks: Any) -> dict[str, Any]:
    return {"role": "system", "content": _content(blocks)}


def _content(blocks: tuple[Any, ...]) -> Any:
    return blocks[0] if len(blocks) == 1 and isinstance(blocks[0], str) else list(blocks)


def text(value: str = "Hi", **fields: Any) -> dict[str, Any]:
    return {"type": "text", "text": value, **fields}


def call(id_: str = "toolu_1", name: str = "get_weather", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_use", "id": id_, "name": name, "input": {}, **fields}


def result(id_: str = "toolu_1", **fields: Any) -> dict[str, Any]:
    return {"type": "tool_result", "tool_use_id": id_, **fields}


def image(**source: Any) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG, **source}}


def tool(name: str = "get_weather", **fields: Any) -> dict[str, Any]:
    return {"name": name, "input_schema": {"type": "object", "properties": {}}, **fields}


def body(*messages: Any, **fields: Any) -> dict[str, Any]:
    return {"model": "claude-sonnet-4-5", "max_tokens": 4096, "messages": list(messages) or [user("Hi")], **fields}


def parse(*messages: Any, version: str = OLD, repair: bool = False, **fields: Any) -> MessageRequest:
    return parse_message_request(body(*messages, **fields), version=version, repair=repair)


def count(*messages: Any, version: str = OLD, **fields: Any) -> CountRequest:
    return parse_count_request(
        {"model": "claude-sonnet-4-5", "messages": list(messages) or [user("Hi")], **fields}, version=version
    )


def refusal(*messages: Any, version: str = OLD, repair: bool = False, **fields: Any) -> str:
    """What the body is refused with; fails when it is not."""
    return refusal_of(body(*messages, **fields), version=version, repair=repair)


def refusal_of(raw: object, *, version: str = OLD, repair: bool = False) -> str:
    try:
        parse_message_request(raw, version=version, repair=repair)
    except RequestRejected as error:
        return error.message
    raise AssertionError("the body was accepted")
