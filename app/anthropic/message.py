"""A whole message, folded from the events of its stream, so that both forms of an answer say the same.

In: the events of one complete stream. Out: the message. Refuses a stream that failed or was cut: half an answer is none.
Source: the reference of the Messages API, sections 9 and 10; the official SDK's `accumulate_event` is the oracle of its tests.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import orjson

from app.anthropic.events import StreamEvent
from app.anthropic.text import without_surrogates, writable


def fold(events: Iterable[StreamEvent]) -> dict[str, Any]:
    """The message the events describe.

    A call whose arguments never became a JSON object is left out: a stream has shown that it was cut, a whole message could
    only pretend it had no arguments. Raises ValueError for a stream without `message_stop`, or with an `error`.
    """
    message: dict[str, Any] | None = None
    blocks: list[_Block] = []
    for event in events:
        kind = event["type"]
        if kind == "content_block_delta":
            blocks[event["index"]].grow(event["delta"])
        elif kind == "content_block_start":
            blocks.append(_Block(event["content_block"]))
        elif kind == "message_start":
            message = {**event["message"], "usage": dict(event["message"]["usage"])}
        elif kind == "message_delta" and message is not None:
            message |= {key: value for key, value in event["delta"].items() if key != "container" or value is not None}
            message["usage"] |= {key: value for key, value in event["usage"].items() if value is not None}
            if event.get("context_management") is not None:
                message["context_management"] = event["context_management"]
        elif kind == "message_stop" and message is not None:
            message["content"] = [block.content for block in blocks if block.close()]
            return message
        elif kind == "error":
            raise ValueError("the stream ended in an error")
    raise ValueError("the stream ended without message_stop")


class _Block:
    """A content block while it grows; its pieces are joined once, at the end."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.content = dict(content)
        self._pieces: dict[str, list[str]] = {}

    def grow(self, delta: dict[str, Any]) -> None:
        kind = delta["type"]
        if kind == "text_delta":
            self._pieces.setdefault("text", []).append(delta["text"])
        elif kind == "thinking_delta":
            self._pieces.setdefault("thinking", []).append(delta["thinking"])
        elif kind == "input_json_delta":
            self._pieces.setdefault("input", []).append(delta["partial_json"])
        elif kind == "signature_delta":
            self.content["signature"] = delta["signature"]
        elif kind == "citations_delta":
            self.content["citations"] = [*(self.content.get("citations") or []), delta["citation"]]

    def close(self) -> bool:
        """Join the pieces; whether the block is complete."""
        for key in ("text", "thinking"):
            if key in self._pieces:
                self.content[key] = writable(self.content[key] + "".join(self._pieces[key]))
        arguments = "".join(self._pieces.get("input", ()))
        if arguments:
            self.content["input"] = parse_arguments(arguments)
            return isinstance(self.content["input"], dict)
        return True


def parse_arguments(arguments: str) -> Any:
    """The JSON value of a call's joined pieces, None when they are none."""
    try:
        return orjson.loads(arguments)
    except orjson.JSONDecodeError:
        pass
    try:  # orjson refuses an escaped lone surrogate, which is legal JSON
        return without_surrogates(json.loads(arguments))
    except ValueError:
        return None
