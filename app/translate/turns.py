"""Turns: what a message says, apart from who numbers and pairs it.

A `Turn` is mutable while `blocks` reads it and `history` makes the conversation legal; `user_message` and `assistant_message`
write it down. Knows the shape of an entry of Kiro's history (protocol 3.1), nothing of rules.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

USER, ASSISTANT, SYSTEM = "user", "assistant", "system"


@dataclass(frozen=True, slots=True)
class Image:
    """format: png, jpeg, gif or webp; data: base64 as the client wrote it."""

    format: str
    data: str

    def to_kiro(self) -> dict[str, Any]:
        return {"format": self.format, "source": {"bytes": self.data}}


@dataclass(slots=True)
class Call:
    """A tool call of the assistant. name: the client's."""

    id: str
    name: str
    input: dict[str, Any]


@dataclass(slots=True)
class Result:
    """What a tool answered."""

    id: str
    is_error: bool = False
    texts: list[str] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)


@dataclass(frozen=True, slots=True)
class Thought:
    """Thinking that upstream signed. content: `reasoningContent` (protocol 3.4), good for this credential only."""

    credential_id: int
    content: dict[str, Any]


@dataclass(slots=True)
class Turn:
    """One side speaking, once. texts: one entry per text block, an empty one between messages that became one."""

    role: str
    texts: list[str] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    results: list[Result] = field(default_factory=list)
    thoughts: list[Thought] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "\n".join(self.texts)

    def absorb(self, other: Turn) -> None:
        """Take over what the next turn of the same side says."""
        if self.texts and other.texts:
            self.texts.append("")
        self.texts += other.texts
        self.images += other.images
        self.calls += other.calls
        self.results += other.results
        self.thoughts += other.thoughts


def user_message(turn: Turn, model_id: str) -> dict[str, Any]:
    """A user turn; empty parts are left out, as Kiro refuses null and dislikes empty lists."""
    message: dict[str, Any] = {"content": turn.text, "modelId": model_id, "origin": "AI_EDITOR"}
    if turn.images:
        message["images"] = [image.to_kiro() for image in turn.images]
    if turn.results:
        message["userInputMessageContext"] = {"toolResults": [_result(result) for result in turn.results]}
    return message


def assistant_message(turn: Turn, names: dict[str, str]) -> dict[str, Any]:
    """An assistant turn. names: upstream name of every tool called."""
    message: dict[str, Any] = {"content": turn.text}
    if turn.calls:
        message["toolUses"] = [{"toolUseId": call.id, "name": names[call.name], "input": call.input} for call in turn.calls]
    return message


def _result(result: Result) -> dict[str, Any]:
    """`status` says what `is_error` says; Kiro's schema has no other field for it."""
    return {
        "toolUseId": result.id,
        "content": [{"text": result.text}],
        "status": "error" if result.is_error else "success",
    }
