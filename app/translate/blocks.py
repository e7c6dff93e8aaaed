"""Messages as turns: what each kind of content block becomes.

In: the messages of a request. Out: at most one `Turn` per message, and the tools that the conversation offers or withdraws. A
new block type is one handler and one line of a table. Order, pairing and fillers are `history`'s business.
Source: protocol 3.3; Messages API, section 6.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from app.anthropic import blocks as b
from app.anthropic.request import Message
from app.translate.documents import (
    document_frame,
    readable,
    search_result_text,
    server_call_text,
    server_result_text,
    unreadable_source,
)
from app.translate.images import translate_image
from app.translate.rules import Rules
from app.translate.schemas import has_nulls, without_nulls
from app.translate.signatures import REDACTED, Seal
from app.translate.tools import Tool, ToolNames
from app.translate.turns import SYSTEM, USER, Call, Result, Thought, Turn

IMAGE_NOTE = "(an image was left out: this model does not read images)"
IMAGE_RESULT = "(the image is attached)"
UPLOAD_NOTE = "(a file for code execution was left out: no code is run here)"


class Reader:
    """Reads the messages of one request.

    names: upstream's names of tools. images: whether the model reads images. unseal: what a signature of ours holds, from
    signature and text; None for any other. After `turns`: offered says of each tool the
    conversation names whether the model may use it now; defined are the tools whose definition stands in a message.
    """

    def __init__(
        self,
        rules: Rules,
        names: ToolNames,
        *,
        images: bool = True,
        unseal: Callable[[str, str], Seal | None] = lambda _signature, _thinking: None,
    ) -> None:
        self.rules = rules
        self.names = names
        self.images = images
        self.unseal = unseal
        self.offered: dict[str, bool] = {}
        self.defined: list[Tool] = []
        self._at: tuple[int, int] = (0, 0)

    def turns(self, messages: Iterable[Message]) -> list[Turn]:
        """What each message says; raises RequestRejected with the path of a block that cannot be sent on."""
        turns = []
        for index, message in enumerate(messages):
            turn = Turn(message.role)
            for at, block in enumerate(message.content):
                self._at = (index, at)
                _BLOCKS[block.type](self, block, turn)
            if message.role == SYSTEM:
                if not turn.texts:
                    continue  # it only changed the tools
                if self.rules.fires("system_reminder"):
                    turn = Turn(USER, [reminder(turn.text)])
            turns.append(turn)
        return turns

    @property
    def path(self) -> str:
        """Of the block being read."""
        return f"messages.{self._at[0]}.content.{self._at[1]}"

    # -- what may stand in a turn and in a tool result --

    def text(self, block: b.TextBlock, sink: Turn | Result) -> None:
        if block.text.strip() or not self.rules.fires("empty_text"):
            sink.texts.append(block.text)

    def image(self, block: b.ImageBlock, sink: Turn | Result) -> None:
        if self.images:
            sink.images.append(translate_image(block, self.path, self.rules))
        else:
            self.rules.chose("model_without_images")
            sink.texts.append(IMAGE_NOTE)

    def document(self, block: b.DocumentBlock, sink: Turn | Result) -> None:
        source = block.source
        if not isinstance(source, b.PlainTextSource | b.ContentSource):
            raise unreadable_source(block, self.path)
        self.rules.chose("document_text")
        before, after = document_frame(block)
        sink.texts.append(before)
        if isinstance(source, b.PlainTextSource):
            sink.texts.append(source.data)
        else:
            for part in source.content:
                _CONTENT[part.type](self, part, sink)
        sink.texts.append(after)

    def search_result(self, block: b.SearchResultBlock, sink: Turn | Result) -> None:
        sink.texts.append(search_result_text(block))

    def tool_reference(self, block: b.ToolReferenceBlock, sink: Turn | Result) -> None:
        sink.texts.append(self._offer(block.tool_name))

    def browser_state(self, block: b.BrowserStateBlock, sink: Turn | Result) -> None:
        sink.texts.append(readable({"tabs": block.tabs, "state_changes": block.state_changes or []}))

    # -- what only stands in a turn --

    def tool_use(self, block: b.ToolUseBlock, turn: Turn) -> None:
        arguments = block.input
        if has_nulls(arguments) and self.rules.fires("call_input"):
            arguments = without_nulls(arguments)
        turn.calls.append(Call(block.id, block.name, arguments))

    def tool_result(self, block: b.ToolResultBlock, turn: Turn) -> None:
        result = Result(block.tool_use_id, block.is_error is True)
        for part in block.content:
            _CONTENT[part.type](self, part, result)
        if result.images:
            self.rules.chose("tool_image")
            turn.images += result.images
            if not result.texts:
                result.texts.append(IMAGE_RESULT)
        turn.results.append(result)

    def thinking(self, block: b.ThinkingBlock, turn: Turn) -> None:
        signed = self._unseal(block.signature, block.thinking)
        if signed is None:
            return
        text = {"text": block.thinking, "signature": signed.upstream}
        turn.thoughts.append(Thought(signed.credential_id, {"reasoningText": text}))

    def redacted_thinking(self, block: b.RedactedThinkingBlock, turn: Turn) -> None:
        signed = self._unseal(block.data, REDACTED)
        if signed is not None:
            turn.thoughts.append(Thought(signed.credential_id, {"redactedContent": signed.upstream}))

    def server_call(self, block: b.ServerToolUseBlock | b.McpToolUseBlock, turn: Turn) -> None:
        turn.texts.append(server_call_text(block))

    def server_result(self, block: b.ServerToolResult | b.McpToolResultBlock, turn: Turn) -> None:
        turn.texts.append(server_result_text(block))

    def tool_search_result(self, block: b.ToolSearchToolResultBlock, turn: Turn) -> None:
        found = [self._offer(name) for name in _references(block.content)]
        turn.texts.append("\n".join(found) or server_result_text(block))

    def compaction(self, block: b.CompactionBlock, turn: Turn) -> None:
        if block.content:
            turn.texts.append(block.content)

    def container_upload(self, _block: b.ContainerUploadBlock, turn: Turn) -> None:
        turn.texts.append(UPLOAD_NOTE)

    def tool_addition(self, block: b.ToolAdditionBlock, _turn: Turn) -> None:
        self.rules.chose("tool_change")
        definition = block.tool.get("definition")
        if isinstance(definition, dict) and isinstance(definition.get("name"), str):
            tool = Tool(definition["name"], str(definition.get("description") or ""), definition.get("input_schema"))
            self.defined.append(tool)
            self.offered[tool.name] = True
        elif isinstance(name := block.tool.get("name"), str):
            self.offered[name] = True

    def tool_removal(self, block: b.ToolRemovalBlock, _turn: Turn) -> None:
        self.rules.chose("tool_change")
        if isinstance(name := block.tool.get("name"), str):
            self.offered[name] = False

    def nothing(self, _block: Any, _turn: Turn) -> None:
        """Blocks of betas that say nothing a model here could use."""

    def _unseal(self, signature: str, thinking: str) -> Seal | None:
        """What upstream signed, None when it did not, or not for this model."""
        seal = self.unseal(signature, thinking)
        if seal is None or not seal.upstream:
            self.rules.chose("history_thinking")
            return None
        return seal

    def _offer(self, name: str) -> str:
        """Let a tool be used from here on; the sentence that says so, in the name the model knows it by."""
        self.offered[name] = True
        return f"The tool {self.names.to_kiro(name)} can be used now."


def reminder(text: str) -> str:
    """What is said beside the conversation, in the frame that Claude Code taught models to read so."""
    return f"<system-reminder>\n{text}\n</system-reminder>"


def _references(value: Any) -> list[str]:
    """Names of the tools that a tool search found, wherever they stand in its answer."""
    if isinstance(value, list):
        return [name for item in value for name in _references(item)]
    if not isinstance(value, dict):
        return []
    if value.get("type") == "tool_reference":
        return [value["tool_name"]] if isinstance(value.get("tool_name"), str) else []
    return [name for item in value.values() for name in _references(item)]


_Handler = Callable[[Reader, Any, Any], None]

_CONTENT: dict[str, _Handler] = {
    "text": Reader.text,
    "image": Reader.image,
    "document": Reader.document,
    "search_result": Reader.search_result,
    "tool_reference": Reader.tool_reference,
    "browser_state": Reader.browser_state,
}

_BLOCKS: dict[str, _Handler] = {
    **_CONTENT,
    "tool_use": Reader.tool_use,
    "tool_result": Reader.tool_result,
    "thinking": Reader.thinking,
    "redacted_thinking": Reader.redacted_thinking,
    "server_tool_use": Reader.server_call,
    "mcp_tool_use": Reader.server_call,
    "mcp_tool_result": Reader.server_result,
    "web_search_tool_result": Reader.server_result,
    "web_fetch_tool_result": Reader.server_result,
    "code_execution_tool_result": Reader.server_result,
    "bash_code_execution_tool_result": Reader.server_result,
    "text_editor_code_execution_tool_result": Reader.server_result,
    "tool_search_tool_result": Reader.tool_search_result,
    "advisor_tool_result": Reader.server_result,
    "compaction": Reader.compaction,
    "container_upload": Reader.container_upload,
    "fallback": Reader.nothing,
    "mcp_tool_listing": Reader.nothing,
    "tool_addition": Reader.tool_addition,
    "tool_removal": Reader.tool_removal,
}
