"""One chat call as the rules and the answers see it: its body with its circumstances, read without trusting a single type.

In: the parsed body and what is known of host and account. Out: parts of the body, empty where they are missing or of the
wrong type, so that each rule judges only what it is about.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from simulator.accounts import Account
from simulator.catalogue import Model, find
from simulator.options import Options

USER, ASSISTANT = "userInputMessage", "assistantResponseMessage"


@dataclass(frozen=True, slots=True)
class ChatCall:
    """A chat call. service: "q" or "runtime"; signatures: of the thinking this account got from this model."""

    body: Any
    body_bytes: int
    service: str
    region: str
    account: Account
    options: Options = field(default_factory=Options)
    signatures: frozenset[str] = frozenset()

    @property
    def state(self) -> dict[str, Any]:
        return mapping(mapping(self.body).get("conversationState"))

    @property
    def current(self) -> dict[str, Any]:
        """The current user message."""
        return mapping(mapping(self.state.get("currentMessage")).get(USER))

    @property
    def history(self) -> list[dict[str, Any]]:
        return [mapping(turn) for turn in sequence(self.state.get("history"))]

    @property
    def turns(self) -> list[tuple[str, dict[str, Any]]]:
        """History and current message in order, each with its kind; entries of neither kind are left out."""
        found = [(kind, mapping(turn[kind])) for turn in self.history for kind in (USER, ASSISTANT) if kind in turn]
        return [*found, (USER, self.current)]

    @property
    def tools(self) -> list[dict[str, Any]]:
        """The declared tools."""
        specifications = (mapping(tool).get("toolSpecification") for tool in sequence(context(self.current).get("tools")))
        return [specification for specification in specifications if isinstance(specification, dict)]

    @property
    def model_id(self) -> str:
        return text(self.current.get("modelId"))

    @property
    def model(self) -> Model | None:
        return find(self.model_id)

    @property
    def model_fields(self) -> Any:
        return mapping(self.body).get("additionalModelRequestFields")


def mapping(value: Any) -> dict[str, Any]:
    """`value` if it is an object, else an empty one."""
    return value if isinstance(value, dict) else {}


def sequence(value: Any) -> list[Any]:
    """`value` if it is an array, else an empty one."""
    return value if isinstance(value, list) else []


def text(value: Any) -> str:
    """`value` if it is a string, else an empty one."""
    return value if isinstance(value, str) else ""


def context(message: dict[str, Any]) -> dict[str, Any]:
    """A user message's context."""
    return mapping(message.get("userInputMessageContext"))


def tool_results(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The tool results of a user message."""
    return [mapping(result) for result in sequence(context(message).get("toolResults"))]


def tool_uses(message: dict[str, Any]) -> list[dict[str, Any]]:
    """The tool uses of an assistant message."""
    return [mapping(use) for use in sequence(message.get("toolUses"))]


def images(message: dict[str, Any]) -> list[tuple[str, str]]:
    """Declared format and base64 text of a user message's images."""
    entries = (mapping(image) for image in sequence(message.get("images")))
    return [(text(entry.get("format")), text(mapping(entry.get("source")).get("bytes"))) for entry in entries]


def texts(call: ChatCall) -> Iterator[str]:
    """Everything the model would read as text."""
    for kind, message in call.turns:
        yield text(message.get("content"))
        for result in tool_results(message) if kind == USER else ():
            for part in sequence(result.get("content")):
                yield text(mapping(part).get("text")) or str(mapping(part).get("json", ""))
        for use in tool_uses(message) if kind == ASSISTANT else ():
            yield str(use.get("input", ""))
    for tool in call.tools:
        yield from (text(tool.get("name")), text(tool.get("description")), str(tool.get("inputSchema", "")))


def input_tokens(call: ChatCall) -> int:
    """The size of the prompt: 3.4 bytes a token (measured by others on a 1M model) and the hidden prompt."""
    return 4_100 + int(sum(len(piece.encode(errors="replace")) for piece in texts(call)) / 3.4)
