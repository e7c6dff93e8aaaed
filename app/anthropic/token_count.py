"""How many input tokens a request costs, without asking anybody.

In: a parsed request and the family of its model. Out: what of it the model reads, as texts and PDFs still to be counted and the
tokens everything else costs: the frame around messages and tools, and images by their size in pixels, never by the length of
their base64. Knows neither how a text is counted (`tokenizer`) nor what was counted before.
Source: the reference of the Messages API, section 11, whose official counts the frames were fitted to; the vision guide for
images. Assumed: the frames of calls, results and further turns.
"""

from __future__ import annotations

import re
from binascii import Error as InvalidBase64
from binascii import a2b_base64
from dataclasses import dataclass, field
from math import ceil
from typing import TYPE_CHECKING, Any

import orjson

from app.anthropic import blocks as b
from app.anthropic import tools as t
from app.anthropic.image_size import image_size
from app.anthropic.token_estimate import estimate

if TYPE_CHECKING:
    from app.anthropic.request import CountRequest, Message

UNKNOWN_IMAGE_TOKENS = 1500
PDF_PAGE_TOKENS = 2000
PATCH_PIXELS = 28
TURN_TOKENS = 4
CALL_TOKENS = 10
RESULT_TOKENS = 10
TOOL_TOKENS = 8
TOOLS_TOKENS = 320
FORCED_TOOLS_TOKENS = 287
_KNOWN_TOOL_TOKENS = {"bash": 245, "str_replace_editor": 700, "str_replace_based_edit_tool": 700, "computer": 735}

_PDF_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
# Enough to find the size in: a JPEG may carry a thumbnail and a profile before its frame header.
_HEADER_CHARACTERS = 4 * 96 * 1024
_VERSION = re.compile(r"(?<!\d)(\d{1,2})(?:[.-](\d{1,2}))?(?!\d)")


@dataclass(frozen=True, slots=True)
class Family:
    """Models that count alike.

    message_tokens: the frame of a single message. image_side, image_tokens: what larger images are scaled down to.
    """

    vocabulary: str
    message_tokens: int
    image_side: int
    image_tokens: int


CLAUDE_3 = Family("claude-3", message_tokens=7, image_side=1568, image_tokens=1568)
CLAUDE_4_7 = Family("claude-4-7", message_tokens=11, image_side=2576, image_tokens=4784)
CLAUDE_4_8 = Family("claude-4-7", message_tokens=6, image_side=2576, image_tokens=4784)
VOCABULARIES = ("claude-3", "claude-4-7")


def family_of(*models: str) -> Family:
    """The family of the first model id that says which it is; without a version it is the newest, as names of lines mean."""
    for model in models:
        if "claude" in model.lower() and (found := _VERSION.search(model)):
            version = int(found[1]), int(found[2] or 0)
            return CLAUDE_3 if version < (4, 7) else CLAUDE_4_7 if version < (4, 8) else CLAUDE_4_8
    return CLAUDE_4_8


@dataclass(slots=True)
class Reading:
    """What a model reads. tokens: of what is no text. further: texts that have others before them. pdfs: in base64."""

    tokens: int = 0
    texts: list[str] = field(default_factory=list)
    further: list[str] = field(default_factory=list)
    pdfs: list[str] = field(default_factory=list)


def count_request(request: CountRequest, family: Family | None = None) -> int:
    """About how many tokens everything is that the model reads; at least 1. For who has no vocabulary at hand."""
    family = family or family_of(request.model)
    reading = what_is_read(request, family)
    texts = sum(estimate(text, newer=family is not CLAUDE_3) for text in [*reading.texts, *reading.further])
    return max(1, reading.tokens + texts + sum(map(count_pdf, reading.pdfs)))


def count_pdf(data: str) -> int:
    """Tokens of a PDF in base64, by its pages."""
    return PDF_PAGE_TOKENS * max(1, len(_PDF_PAGE.findall(_decode(data))))


def what_is_read(request: CountRequest, family: Family) -> Reading:
    """Takes a request apart."""
    reader = _Reader(family)
    reader.read.texts += [block.text for block in request.system]
    reader.tools(request)
    if request.output_config and request.output_config.format:
        reader.value(request.output_config.format.schema_)
    for message in request.messages:
        reader.blocks(message.content)
    reading = reader.read
    last = request.messages[-1] if request.messages else None
    reading.tokens += family.message_tokens + TURN_TOKENS * (len(request.messages) - 1 - _is_prefill(request, last))
    if last and last.content and isinstance(last.content[-1], b.TextBlock):
        reading.further[-1] = reading.further[-1].rstrip("\n")  # line ends at the very end are free
    reading.texts += reading.further[:1]
    del reading.further[:1]
    return reading


def _is_prefill(request: CountRequest, last: Message | None) -> bool:
    """Whether the answer is begun already: its turn costs nothing then."""
    return len(request.messages) > 1 and last is not None and last.role == "assistant"


class _Reader:
    """Collects what is read, block by block."""

    def __init__(self, family: Family) -> None:
        self._family = family
        self.read = Reading()

    def tools(self, request: CountRequest) -> None:
        referenced = {
            item.tool_name
            for message in request.messages
            for block in message.content
            if isinstance(block, b.ToolResultBlock)
            for item in block.content
            if isinstance(item, b.ToolReferenceBlock)
        }
        loaded = [tool for tool in request.tools if not tool.defer_loading or t.name_of(tool) in referenced]
        if loaded:
            forced = request.tool_choice is not None and request.tool_choice.type in ("any", "tool")
            self.read.tokens += FORCED_TOOLS_TOKENS if forced else TOOLS_TOKENS
        for tool in loaded:
            self._tool(tool)

    def _tool(self, tool: t.Tool) -> None:
        self.read.tokens += TOOL_TOKENS
        if isinstance(tool, t.CustomTool):
            described = {} if tool.description is None else {"description": tool.description}
            self.value({"name": tool.name, **described, "input_schema": tool.input_schema or {}})
            return
        name = t.name_of(tool) or ""
        self.read.tokens += _KNOWN_TOOL_TOKENS.get(name, 0)
        self.read.texts.append(name)

    def blocks(self, blocks: list[Any]) -> None:
        for block in blocks:
            self._block(block)

    def _block(self, block: Any) -> None:
        """One block of a message or of a tool result."""
        match block:
            case b.TextBlock():
                self.read.further.append(block.text)
            case b.ToolUseBlock() | b.ServerToolUseBlock() | b.McpToolUseBlock():
                self.read.tokens += CALL_TOKENS
                self.read.texts.append(block.name)
                self.value(block.input)
            case b.ToolResultBlock() | b.McpToolResultBlock():
                self.read.tokens += RESULT_TOKENS
                self.blocks(block.content)
            case b.ImageBlock():
                self.read.tokens += self._image(block)
            case b.DocumentBlock():
                self.read.texts += [block.title or "", block.context or ""]
                self._document(block)
            case b.SearchResultBlock():
                self.read.texts += [block.source, block.title]
                self.blocks(block.content)
            case b.ServerToolResult():
                self.read.texts.append(_readable(block.content))
            case b.ToolReferenceBlock():
                self.read.texts.append(block.tool_name)
            case b.BrowserStateBlock():
                self.value(block.tabs)
                self.value(block.state_changes or [])
            case b.CompactionBlock():
                self.read.texts.append(block.content or "")
            case _:
                pass  # among them thinking of earlier turns, which is not read again

    def _image(self, block: b.ImageBlock) -> int:
        if not isinstance(block.source, b.Base64ImageSource):
            return UNKNOWN_IMAGE_TOKENS
        size = image_size(_decode(block.source.data[:_HEADER_CHARACTERS]))
        return UNKNOWN_IMAGE_TOKENS if size is None else image_tokens(*size, self._family)

    def _document(self, block: b.DocumentBlock) -> None:
        match block.source:
            case b.PlainTextSource():
                self.read.texts.append(block.source.data)
            case b.ContentSource():
                self.blocks(block.source.content)
            case b.Base64PdfSource():
                self.read.pdfs.append(block.source.data)
            case _:
                self.read.tokens += PDF_PAGE_TOKENS

    def value(self, value: Any) -> None:
        """A JSON value as it is written."""
        try:
            self.read.texts.append(orjson.dumps(value).decode())
        except TypeError:  # lone surrogates, or deeper than orjson goes
            self.read.texts.append(_readable(value))


def image_tokens(width: int, height: int, family: Family) -> int:
    """Patches of an image at the largest scale, 1 at most, that keeps within the family's side and tokens."""

    def patches(scale: float) -> int:
        return ceil(width * scale / PATCH_PIXELS) * ceil(height * scale / PATCH_PIXELS)

    fits = min(1.0, family.image_side / max(width, height))
    if patches(fits) <= family.image_tokens:
        return patches(fits)
    low, high = 0.0, fits
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if patches(middle) <= family.image_tokens else (low, middle)
    return max(1, patches(low))


def _readable(value: Any) -> str:
    """The text in a JSON value of any depth, without the sealed and binary parts nobody reads."""
    texts: list[str] = []
    waiting: list[Any] = [value]
    while waiting:
        item = waiting.pop()
        if isinstance(item, dict):
            readable = {key: inner for key, inner in item.items() if not key.startswith("encrypted_") and key != "data"}
            texts += readable
            waiting += readable.values()
        elif isinstance(item, list):
            waiting += item
        else:
            texts.append(str(item))
    return " ".join(texts)


def _decode(data: str) -> bytes:
    """The bytes of a base64 text that may be cut or damaged."""
    try:
        return a2b_base64(data[: len(data) // 4 * 4])
    except (InvalidBase64, ValueError):
        return b""
