"""Requests of clients: `POST /v1/messages` and `POST /v1/messages/count_tokens`.

In: the parsed JSON body and the `anthropic-version` it was sent under. Out: a typed request, or `RequestRejected` with the
path and wording of the real API. Contents are always lists of blocks here, also where the client wrote a string. Knows nothing
of models, of Kiro, or of what a request is for. Source: the reference of the Messages API, sections 2, 4.1, 5 to 8, 11, 12.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BeforeValidator, FailFast, Field, PrivateAttr, ValidationError

from app.anthropic.blocks import ContentBlock, TextBlock
from app.anthropic.checks import check_count_request, check_message_request
from app.anthropic.options import (
    Container,
    ContextManagement,
    Diagnostics,
    JsonOutputFormat,
    McpServer,
    MessageOutputConfig,
    Metadata,
    OutputConfig,
    Thinking,
)
from app.anthropic.repairs import repair_shape
from app.anthropic.schema import CacheControl, JsonObject, Nullable, OptionalTextOrBlocks, Strict, Strings, TextOrBlocks
from app.anthropic.tools import Tool, ToolChoice
from app.anthropic.wording import rejection
from app.errors import RequestRejected

Role = Literal["user", "assistant", "system"]


class Message(Strict):
    """One entry of `messages`. A system message stands between others and holds from there on."""

    role: Role
    content: Annotated[list[ContentBlock], FailFast(), TextOrBlocks]
    output_config: MessageOutputConfig | None = None
    clear_at: Literal["next_user_message", "never"] | None = None


class CountRequest(Strict):
    """What both endpoints take."""

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[list[Message], FailFast()]
    system: Annotated[list[TextBlock], FailFast(), OptionalTextOrBlocks] = Field(default_factory=list)
    tools: Annotated[list[Tool], FailFast(), Nullable] = Field(default_factory=list)
    tool_choice: ToolChoice | None = None
    thinking: Thinking | None = None
    output_config: OutputConfig | None = None
    output_format: JsonOutputFormat | None = None
    cache_control: CacheControl | None = None
    context_management: ContextManagement | None = None
    mcp_servers: Annotated[list[McpServer], Nullable] = Field(default_factory=list)
    speed: Literal["standard", "fast"] | None = None
    billing_policy: JsonObject | None = None
    compaction: JsonObject | None = None
    betas: Strings = Field(default_factory=list)

    # Names of the checks the request fails but that `repair` let pass, for the record of rules that fired.
    _repaired: list[str] = PrivateAttr(default_factory=list)

    @property
    def repaired(self) -> list[str]:
        """Checks that would have refused this request, had repairs not been asked for."""
        return self._repaired


class MessageRequest(CountRequest):
    """What creates a message. `max_tokens` 0 asks for no output."""

    max_tokens: Annotated[int, Field(ge=0)]
    stream: Annotated[bool, BeforeValidator(lambda value: False if value is None else value)] = False
    stop_sequences: Strings = Field(default_factory=list)
    temperature: float | None = None
    top_p: float | None = None
    top_k: Annotated[int, Field(ge=0)] | None = None
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None
    inference_geo: str | None = None
    container: str | Container | None = None
    diagnostics: Diagnostics | None = None
    thread: Any = None
    fallbacks: Any = None
    fallback_credit_token: Any = None

    @property
    def metadata_user_id(self) -> str | None:
        """`metadata.user_id`, in which clients hide their session."""
        return self.metadata.user_id if self.metadata else None


Request = TypeVar("Request", bound=CountRequest)

# Far more than tools and their arguments need. Deeper JSON can be read and counted, but not be written again (orjson: 254
# levels), and would end the request where it is walked instead of here.
MAX_LEVELS = 128


def parse_message_request(
    raw: object, *, version: str, repair: bool = False, find_model: Callable[[str], object] | None = None
) -> MessageRequest:
    """The body of `POST /v1/messages`.

    repair: let pass what the real API refuses but the translation can mend; `repaired` then says what it was.
    find_model: called with the model's name between shape and sense, so that an unknown model is told when the real API does.
    """
    if _is_deeper(raw, MAX_LEVELS):
        raise RequestRejected(f"The request body is nested too deeply: at most {MAX_LEVELS} levels are supported")
    request, repaired = _parse(MessageRequest, raw, repair)
    if find_model is not None:
        find_model(request.model)
    request._repaired = repaired + check_message_request(request, version=version, repair=repair)
    return request


def parse_count_request(
    raw: object, *, version: str, repair: bool = False, find_model: Callable[[str], object] | None = None
) -> CountRequest:
    """The body of `POST /v1/messages/count_tokens`; what only creating a message needs is refused."""
    request, repaired = _parse(CountRequest, raw, repair)
    if find_model is not None:
        find_model(request.model)
    request._repaired = repaired + check_count_request(request, version=version, repair=repair)
    return request


def _parse(kind: type[Request], raw: object, repair: bool) -> tuple[Request, list[str]]:
    repaired: list[str] = []
    if repair:
        raw, repaired = repair_shape(raw)
    try:
        return kind.model_validate(raw), repaired
    except ValidationError as error:
        raise rejection(error) from None


def _is_deeper(value: object, levels: int) -> bool:
    """Whether lists and objects stand inside one another in more than so many levels."""
    layer: list[Any] = [value]
    for _ in range(levels):
        layer = [
            item
            for node in layer
            if isinstance(node, dict | list)
            for item in (node.values() if isinstance(node, dict) else node)
        ]
        if not layer:
            return False
    return any(isinstance(node, dict | list) for node in layer)
