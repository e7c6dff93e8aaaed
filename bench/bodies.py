"""Requests of clients: small ones, and what a long session with an agent sends.

In: an `Order` for the upstream. Out: the JSON of a request, and the bytes of an HTTP request around it.
"""

from __future__ import annotations

import json
from typing import Any

from bench.frames import TOOL
from bench.order import Order

MODEL = "claude-sonnet-4.5"
_WORDS = "It reads the file, changes the third line and runs the tests again; two of them fail. "


def small(order: Order) -> bytes:
    """A first question; it may think when thinking is ordered, and has a tool when a call is."""
    body: dict[str, Any] = {"messages": [{"role": "user", "content": f"Tell me something. {order}"}]}
    if order.kind == "thinking":
        body["thinking"] = {"type": "enabled", "budget_tokens": 4000}
    if order.kind == "tool":
        body["tools"] = [_tool(TOOL, 2)]
    return _dump(body)


def large(order: Order, *, megabytes: float = 1.0) -> bytes:
    """200 turns with calls and results, and 50 tools: about one megabyte, or several."""
    size = int((1e6 * megabytes - 2e5) / 178)  # tools and system are a fifth of a megabyte
    messages: list[dict[str, Any]] = []
    for turn in range(100):
        results = [{"type": "tool_result", "tool_use_id": f"toolu_{turn - 1}", "content": _text(size)}] if turn else []
        messages.append({"role": "user", "content": [*results, {"type": "text", "text": _text(size // 3)}]})
        call = {"type": "tool_use", "id": f"toolu_{turn}", "name": "tool_7", "input": {"command": _text(size // 5)}}
        messages.append({"role": "assistant", "content": [{"type": "text", "text": _text(size // 4)}, call]})
    last = {"type": "tool_result", "tool_use_id": "toolu_99", "content": f"done; {order}"}
    messages.append({"role": "user", "content": [last]})
    tools = [_tool(f"tool_{number}", 12) for number in range(50)]
    return _dump({"system": _text(20_000), "tools": tools, "messages": messages})


def http_request(body: bytes, *, key: str) -> bytes:
    """The request around a body; the connection ends with it."""
    lines = {
        "Host": "127.0.0.1",
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "x-api-key": key,
        "anthropic-version": "2023-06-01",
        "Connection": "close",
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST /v1/messages HTTP/1.1\r\n{head}\r\n".encode() + body


def _dump(fields: dict[str, Any]) -> bytes:
    return json.dumps({"model": MODEL, "max_tokens": 8000, "stream": True, **fields}).encode()


def _text(length: int) -> str:
    return (_WORDS * (length // len(_WORDS) + 1))[:length]


def _tool(name: str, fields: int) -> dict[str, Any]:
    properties = {f"field_{number}": {"type": "string", "description": _text(80)} for number in range(fields)}
    schema = {"type": "object", "properties": {"path": {"type": "string"}, **properties}, "required": ["path"]}
    return {"name": name, "description": _text(2000), "input_schema": schema}
