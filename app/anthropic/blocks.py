"""Content blocks of a request, one class per `type`.

In: parsed JSON. Out: typed blocks. Which block may stand in which message is not decided here (`checks.py`). Blocks of betas
that mean nothing to Kiro are known by their tag, so that a history which holds them is accepted.
Source: the reference of the Messages API, section 6, and the official SDK's types.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from app.anthropic.schema import CacheControl, CitationsConfig, JsonObject, Open, OptionalTextOrBlocks, Strict, TextOrBlocks


class Caller(Strict):
    """Who made a call: the model itself, or code it runs at Anthropic."""

    type: str
    tool_id: str | None = None


class TextBlock(Strict):
    type: Literal["text"]
    text: str
    citations: list[JsonObject] | None = None
    cache_control: CacheControl | None = None


# --- images ---------------------------------------------------------------------------------------------------------------


class Base64ImageSource(Strict):
    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp"]
    data: str


class UrlSource(Strict):
    type: Literal["url"]
    url: str


class FileSource(Strict):
    type: Literal["file"]
    file_id: str


class ImageTransformations(Strict):
    oversized_image: Literal["downsize", "error"] | None = None


class ImageBlock(Strict):
    type: Literal["image"]
    source: Annotated[Base64ImageSource | FileSource | UrlSource, Field(discriminator="type")]
    transformations: ImageTransformations | None = None
    cache_control: CacheControl | None = None


# --- documents ------------------------------------------------------------------------------------------------------------


class Base64PdfSource(Strict):
    type: Literal["base64"]
    media_type: Literal["application/pdf"]
    data: str


class PlainTextSource(Strict):
    type: Literal["text"]
    media_type: Literal["text/plain"]
    data: str


class ContentSource(Strict):
    type: Literal["content"]
    content: Annotated[list[Annotated[ImageBlock | TextBlock, Field(discriminator="type")]], TextOrBlocks]


class DocumentBlock(Strict):
    type: Literal["document"]
    source: Annotated[
        Base64PdfSource | ContentSource | FileSource | PlainTextSource | UrlSource,
        Field(discriminator="type"),
    ]
    title: str | None = None
    context: str | None = None
    citations: CitationsConfig | None = None
    cache_control: CacheControl | None = None


class SearchResultBlock(Strict):
    type: Literal["search_result"]
    source: str
    title: str
    content: list[TextBlock]
    citations: CitationsConfig | None = None
    cache_control: CacheControl | None = None


# --- thinking -------------------------------------------------------------------------------------------------------------


class ThinkingBlock(Strict):
    """Thinking of an earlier turn.

    Gateways have sent blocks without these keys, and clients send back what they got; the real API would refuse that.
    """

    type: Literal["thinking"]
    thinking: str = ""
    signature: str = ""


class RedactedThinkingBlock(Strict):
    type: Literal["redacted_thinking"]
    data: str


# --- calls and results ----------------------------------------------------------------------------------------------------


class ToolUseBlock(Strict):
    type: Literal["tool_use"]
    id: str
    name: str
    input: JsonObject
    caller: Caller | None = None
    toolset_name: str | None = None
    cache_control: CacheControl | None = None


class ToolReferenceBlock(Strict):
    type: Literal["tool_reference"]
    tool_name: str
    cache_control: CacheControl | None = None


class BrowserStateBlock(Strict):
    type: Literal["browser_state"]
    tabs: list[JsonObject]
    state_changes: list[JsonObject] | None = None
    cache_control: CacheControl | None = None


ResultContent = Annotated[
    BrowserStateBlock | DocumentBlock | ImageBlock | SearchResultBlock | TextBlock | ToolReferenceBlock,
    Field(discriminator="type"),
]


class ToolResultBlock(Strict):
    """The answer to one call; content that is missing, null or "" is an empty list."""

    type: Literal["tool_result"]
    tool_use_id: str
    content: Annotated[list[ResultContent], OptionalTextOrBlocks] = Field(default_factory=list)
    is_error: bool | None = None
    toolset_name: str | None = None
    cache_control: CacheControl | None = None


# --- what runs at Anthropic: calls and results stay inside the assistant's message ----------------------------------------


class ServerToolUseBlock(Strict):
    type: Literal["server_tool_use"]
    id: str
    name: str
    input: JsonObject
    caller: Caller | None = None
    cache_control: CacheControl | None = None


class ServerToolResult(Strict):
    """content: the tool's own result object, its error object, or a list of results; not looked into here."""

    tool_use_id: str
    content: Any
    caller: Caller | None = None
    cache_control: CacheControl | None = None


class WebSearchToolResultBlock(ServerToolResult):
    type: Literal["web_search_tool_result"]


class WebFetchToolResultBlock(ServerToolResult):
    type: Literal["web_fetch_tool_result"]


class CodeExecutionToolResultBlock(ServerToolResult):
    type: Literal["code_execution_tool_result"]


class BashCodeExecutionToolResultBlock(ServerToolResult):
    type: Literal["bash_code_execution_tool_result"]


class TextEditorCodeExecutionToolResultBlock(ServerToolResult):
    type: Literal["text_editor_code_execution_tool_result"]


class ToolSearchToolResultBlock(ServerToolResult):
    type: Literal["tool_search_tool_result"]


class AdvisorToolResultBlock(ServerToolResult):
    type: Literal["advisor_tool_result"]


class McpToolUseBlock(Strict):
    type: Literal["mcp_tool_use"]
    id: str
    name: str
    server_name: str
    input: JsonObject
    cache_control: CacheControl | None = None


class McpToolResultBlock(Strict):
    type: Literal["mcp_tool_result"]
    tool_use_id: str
    content: Annotated[list[TextBlock], OptionalTextOrBlocks] = Field(default_factory=list)
    is_error: bool | None = None
    cache_control: CacheControl | None = None


class McpToolListingBlock(Open):
    type: Literal["mcp_tool_listing"]


class ContainerUploadBlock(Strict):
    type: Literal["container_upload"]
    file_id: str
    cache_control: CacheControl | None = None


# --- betas that change the conversation itself ----------------------------------------------------------------------------


class CompactionBlock(Open):
    """A summary that stands for the messages before it. content: its text, null when it failed or is sealed."""

    type: Literal["compaction"]
    content: str | None = None
    cache_control: CacheControl | None = None


class FallbackBlock(Open):
    type: Literal["fallback"]


class ToolAdditionBlock(Open):
    type: Literal["tool_addition"]
    tool: JsonObject
    cache_control: CacheControl | None = None


class ToolRemovalBlock(Open):
    type: Literal["tool_removal"]
    tool: JsonObject
    cache_control: CacheControl | None = None


ContentBlock = Annotated[
    AdvisorToolResultBlock
    | BashCodeExecutionToolResultBlock
    | CodeExecutionToolResultBlock
    | CompactionBlock
    | ContainerUploadBlock
    | DocumentBlock
    | FallbackBlock
    | ImageBlock
    | McpToolListingBlock
    | McpToolResultBlock
    | McpToolUseBlock
    | RedactedThinkingBlock
    | SearchResultBlock
    | ServerToolUseBlock
    | TextBlock
    | TextEditorCodeExecutionToolResultBlock
    | ThinkingBlock
    | ToolAdditionBlock
    | ToolRemovalBlock
    | ToolResultBlock
    | ToolSearchToolResultBlock
    | ToolUseBlock
    | WebFetchToolResultBlock
    | WebSearchToolResultBlock,
    Field(discriminator="type"),
]
"""Any block of a message, in the order in which the real API lists the tags."""
