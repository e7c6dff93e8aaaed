"""Documents, search results and what ran at Anthropic, as text.

In: blocks that Kiro has no word for. Out: text a model reads as well. Nothing is fetched; `attachments` has read PDFs and URLs.
Source: protocol 3.3, failure corpus 61 to 63.
"""

from __future__ import annotations

from typing import Any

import orjson

from app.anthropic import blocks as b
from app.errors import RequestRejected

# Sealed or binary parts that nobody reads.
_UNREADABLE = frozenset({"encrypted_content", "encrypted_index", "encrypted_stdout", "file_id", "type"})


def document_frame(block: b.DocumentBlock) -> tuple[str, str]:
    """What stands before and after a document's content."""
    name = f' title="{block.title}"' if block.title else ""
    context = f"\n{block.context}" if block.context else ""
    return f"<document{name}>{context}", "</document>"


def unreadable_source(block: b.DocumentBlock, path: str) -> RequestRejected:
    """Why a document cannot be sent on."""
    source = block.source
    if isinstance(source, b.UrlSource | b.FileSource):
        return RequestRejected(
            f"{path}.document.source: documents by {source.type} are not fetched by this gateway; send the content instead"
        )
    return RequestRejected(
        f"{path}.document.source: this gateway cannot read PDF documents in this place; send the text as a "
        '`{"type":"text","media_type":"text/plain"}` source instead'
    )


def search_result_text(block: b.SearchResultBlock) -> str:
    """A search result the client did itself."""
    body = "\n".join(part.text for part in block.content)
    return f'<search_result source="{block.source}" title="{block.title}">\n{body}\n</search_result>'


def server_call_text(block: b.ServerToolUseBlock | b.McpToolUseBlock) -> str:
    """A call that was answered inside the message."""
    return f"<{block.name}_call>{readable(block.input)}</{block.name}_call>"


def server_result_text(block: b.ServerToolResult | b.McpToolResultBlock) -> str:
    """Its answer: title and address of each search result, else all that can be read."""
    kind = getattr(block, "type", "tool_result").removesuffix("_tool_result")
    content: Any = block.content
    if isinstance(block, b.McpToolResultBlock):
        said = "\n".join(part.text for part in block.content)
    elif isinstance(content, list) and all(isinstance(item, dict) and "url" in item for item in content):
        said = "\n".join(f"{item.get('title') or 'untitled'}: {item['url']}" for item in content)
    else:
        said = readable(content)
    return f"<{kind}_result>\n{said}\n</{kind}_result>"


def readable(value: Any) -> str:
    """A JSON value without the parts nobody reads; a string is itself."""
    return value if isinstance(value, str) else orjson.dumps(_without_sealed(value)).decode()


def _without_sealed(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_sealed(item) for key, item in value.items() if key not in _UNREADABLE}
    if isinstance(value, list):
        return [_without_sealed(item) for item in value]
    return value
