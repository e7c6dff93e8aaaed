"""How many input tokens a request costs, estimated without asking anybody.

In: a parsed request, or text. Out: a number of tokens. This is a first estimate: the local estimator that gateways of this
kind use, over everything the model reads (system, messages, calls, results, tools), plus the framing the official counts show.
Images count by their size in pixels, never by the length of their base64.
Source: protocol 5.7; the reference of the Messages API, section 11, whose official counts the constants were fitted to.
"""

from __future__ import annotations

import re
from binascii import Error as InvalidBase64
from binascii import a2b_base64
from math import ceil
from typing import TYPE_CHECKING, Any

import orjson

from app.anthropic import blocks as b
from app.anthropic import tools as t
from app.anthropic.image_size import image_size

if TYPE_CHECKING:
    from collections.abc import Iterable

    from app.anthropic.request import CountRequest

ANSWER_TOKENS = 3
MESSAGE_TOKENS = 4
TOOLS_TOKENS = 346
FORCED_TOOLS_TOKENS = 313
UNKNOWN_IMAGE_TOKENS = 1500
PDF_PAGE_TOKENS = 2000
PATCH_PIXELS = 28
LONG_SIDE_PIXELS = 1568
_KNOWN_TOOL_TOKENS = {"bash": 245, "str_replace_editor": 700, "str_replace_based_edit_tool": 700, "computer": 735}

# Short texts are split less well, so a rest of the estimate grows: tokens below the bound are multiplied.
_FACTORS = ((100, 1.5), (200, 1.3), (300, 1.25), (800, 1.2))
_NOT_LATIN = re.compile("[^\u0000-\u024f\u1e00-\u1eff\u2c60-\u2c7f\ua720-\ua7ff\uab30-\uab6f]")
_PDF_PAGE = re.compile(rb"/Type\s*/Page(?![A-Za-z])")
# Enough to find the size in: a JPEG may carry a thumbnail and a profile before its frame header.
_HEADER_CHARACTERS = 4 * 96 * 1024


def count_text(text: str) -> int:
    """Tokens of one piece of text: a quarter per Latin character, one per other character, more when it is short."""
    foreign = 0 if text.isascii() else len(_NOT_LATIN.findall(text))
    tokens = (len(text) + 3 * foreign) / 4
    for bound, factor in _FACTORS:
        if tokens < bound:
            return int(tokens * factor)
    return int(tokens)


def count_request(request: CountRequest) -> int:
    """Tokens of everything the model reads; at least 1."""
    total = ANSWER_TOKENS + _texts(block.text for block in request.system)
    referenced: set[str] = set()
    for message in request.messages:
        total += MESSAGE_TOKENS
        for block in message.content:
            total += _block(block)
            if isinstance(block, b.ToolResultBlock):
                referenced |= {item.tool_name for item in block.content if isinstance(item, b.ToolReferenceBlock)}
    loaded = [tool for tool in request.tools if not tool.defer_loading or t.name_of(tool) in referenced]
    if loaded:
        forced = request.tool_choice is not None and request.tool_choice.type in ("any", "tool")
        total += FORCED_TOOLS_TOKENS if forced else TOOLS_TOKENS
        total += sum(map(_tool, loaded))
    if request.output_config and request.output_config.format:
        total += _value(request.output_config.format.schema_)
    return max(1, total)


def _tool(tool: t.Tool) -> int:
    if isinstance(tool, t.CustomTool):
        return count_text(tool.name) + count_text(tool.description or "") + _value(tool.input_schema or {})
    name = t.name_of(tool) or ""
    return _KNOWN_TOOL_TOKENS.get(name, 0) + count_text(name)


def _block(block: Any) -> int:
    """Tokens of one block of a message or of a tool result."""
    match block:
        case b.TextBlock():
            return count_text(block.text)
        case b.ToolUseBlock() | b.ServerToolUseBlock() | b.McpToolUseBlock():
            return count_text(block.name) + _value(block.input)
        case b.ToolResultBlock() | b.McpToolResultBlock():
            return sum(map(_block, block.content))
        case b.ImageBlock():
            return _image(block)
        case b.DocumentBlock():
            return _texts((block.title or "", block.context or "")) + _document(block)
        case b.SearchResultBlock():
            return _texts((block.source, block.title)) + sum(map(_block, block.content))
        case b.ServerToolResult():
            return count_text(_readable(block.content))
        case b.ToolReferenceBlock():
            return count_text(block.tool_name)
        case b.BrowserStateBlock():
            return _value(block.tabs) + _value(block.state_changes or [])
        case b.CompactionBlock():
            return count_text(block.content or "")
        case b.ThinkingBlock() | b.RedactedThinkingBlock():
            return 0  # thinking of earlier turns is not read again
        case _:
            return 0


def _image(block: b.ImageBlock) -> int:
    if not isinstance(block.source, b.Base64ImageSource):
        return UNKNOWN_IMAGE_TOKENS
    size = image_size(_decode(block.source.data[:_HEADER_CHARACTERS]))
    if size is None:
        return UNKNOWN_IMAGE_TOKENS
    scale = min(1.0, LONG_SIDE_PIXELS / max(size))
    width, height = (ceil(ceil(side * scale) / PATCH_PIXELS) for side in size)
    return width * height


def _document(block: b.DocumentBlock) -> int:
    match block.source:
        case b.PlainTextSource():
            return count_text(block.source.data)
        case b.ContentSource():
            return sum(map(_block, block.source.content))
        case b.Base64PdfSource():
            return PDF_PAGE_TOKENS * max(1, len(_PDF_PAGE.findall(_decode(block.source.data))))
        case _:
            return PDF_PAGE_TOKENS


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


def _texts(texts: Iterable[str]) -> int:
    return sum(map(count_text, texts))


def _value(value: Any) -> int:
    """Tokens of a JSON value as it is written."""
    try:
        return count_text(orjson.dumps(value).decode())
    except TypeError:  # lone surrogates, or deeper than orjson goes
        return count_text(_readable(value))
