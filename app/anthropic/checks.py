"""What the real API refuses although the shape of the request is right, as one table of named checks.

In: a request of the right shape. Out: nothing, or `RequestRejected` for the first check that fails. A check that names rows of
the failure corpus may be repaired: with `repair` it lets the request pass, the translation mends it, and its name is returned
for the request record. Checks that need to know the model (its output limit, whether it takes a prefill) are not made here.
Source: the reference of the Messages API, sections 2, 4.1, 5 to 8 and 12.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from app.anthropic import blocks as b
from app.anthropic import cache_marks, pairing
from app.anthropic import tool_checks as tools
from app.errors import RequestRejected

if TYPE_CHECKING:
    from app.anthropic.request import CountRequest, MessageRequest

STRICTER_VERSION = "2026-10-21"
MAX_MESSAGES = 100_000

_RESULTS_AT_ANTHROPIC = frozenset(
    {
        "advisor_tool_result",
        "bash_code_execution_tool_result",
        "code_execution_tool_result",
        "mcp_tool_result",
        "text_editor_code_execution_tool_result",
        "tool_search_tool_result",
        "web_fetch_tool_result",
        "web_search_tool_result",
    }
)
_ASSISTANT_ONLY = _RESULTS_AT_ANTHROPIC | {"mcp_tool_use", "redacted_thinking", "server_tool_use", "thinking", "tool_use"}
_USER_ONLY = frozenset({"container_upload", "image", "search_result", "tool_result"})
_IN_SYSTEM = frozenset({"text", "tool_addition", "tool_removal"})


@dataclass(frozen=True, slots=True)
class Check:
    """One reason for a 400.

    find: the message of the first problem, None when there is none.
    rows: rows of the failure corpus whose repair may be asked for; empty when there is no repair.
    version: the only `anthropic-version` it holds for, None for all.
    """

    name: str
    find: Callable[[Any], str | None]
    rows: tuple[int, ...] = ()
    version: str | None = None
    details: dict[str, object] | None = field(default=None)


def check_count_request(request: CountRequest, *, version: str, repair: bool) -> list[str]:
    """Raise for the first problem; names of the failed checks that are left to repair."""
    return _run(CHECKS, request, version, repair)


def check_message_request(request: MessageRequest, *, version: str, repair: bool) -> list[str]:
    """Raise for the first problem; names of the failed checks that are left to repair."""
    return _run(MESSAGE_CHECKS, request, version, repair) + _run(CHECKS, request, version, repair)


def _run(checks: tuple[Check, ...], request: CountRequest, version: str, repair: bool) -> list[str]:
    left = []
    for check in checks:
        if check.version not in (None, version):
            continue
        problem = check.find(request)
        if problem is None:
            continue
        if not (repair and check.rows):
            raise RequestRejected(problem, details=check.details)
        left.append(check.name)
    return left


# --- only when a message is created ---------------------------------------------------------------------------------------


def thread_is_absent(request: MessageRequest) -> str | None:
    """There is no state to continue; with this code the SDKs' tool runners send the whole conversation instead."""
    return None if request.thread is None else "thread: Threads are not available for this request."


def sampling_is_absent(request: MessageRequest) -> str | None:
    for name in ("temperature", "top_p", "top_k"):
        if name in request.model_fields_set:
            return f"{name}: Extra inputs are not permitted"
    return None


def sampling_is_in_range(request: MessageRequest) -> str | None:
    for name in ("temperature", "top_p"):
        value = getattr(request, name)
        if value is not None and not 0 <= value <= 1:
            return f"{name}: range: 0..1"
    return None


def stop_sequences_are_not_blank(request: MessageRequest) -> str | None:
    if any(not sequence.strip() for sequence in request.stop_sequences):
        return "stop_sequences: each stop sequence must contain non-whitespace"
    return None


def thinking_leaves_room(request: MessageRequest) -> str | None:
    thinking = request.thinking
    if thinking is not None and thinking.type == "enabled" and thinking.budget_tokens >= request.max_tokens:
        return (
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at "
            "https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size"
        )
    return None


def thinking_keeps_temperature(request: MessageRequest) -> str | None:
    enabled = request.thinking is not None and request.thinking.type == "enabled"
    if enabled and request.temperature not in (None, 1):
        return (
            "`temperature` may only be set to 1 when thinking is enabled. Please consult our documentation at "
            "https://docs.claude.com/en/docs/build-with-claude/extended-thinking"
            "#important-considerations-when-using-extended-thinking"
        )
    return None


# --- messages -------------------------------------------------------------------------------------------------------------


def messages_are_present(request: CountRequest) -> str | None:
    if not request.messages:
        return "messages: at least one message is required"
    if len(request.messages) > MAX_MESSAGES:
        return f"messages: List should have at most {MAX_MESSAGES} items after validation, not {len(request.messages)}"
    return None


def user_speaks_first(request: CountRequest) -> str | None:
    spoken = next((message for message in request.messages if message.role != "system"), None)
    if spoken is None or spoken.role == "user":
        return None
    # A compaction stands for the messages it summarizes, the user's first among them.
    if not any(block.type == "compaction" for block in spoken.content):
        return 'messages: first message must use the "user" role'
    return None


def blocks_are_in_place(request: CountRequest) -> str | None:
    for index, message in enumerate(request.messages):
        for block in message.content:
            kind, role = block.type, message.role
            if role == "system" and kind not in _IN_SYSTEM:
                return f"messages.{index}: `{kind}` blocks can not be in `system` messages"
            if role == "user" and kind in _ASSISTANT_ONLY:
                return f"messages.{index}: `{kind}` blocks can only be in `assistant` messages"
            if role == "assistant" and kind in _USER_ONLY:
                return f"messages.{index}: `{kind}` blocks can only be in `user` messages"
    return None


def documents_are_the_users(request: CountRequest) -> str | None:
    for index, message in enumerate(request.messages):
        if message.role == "assistant" and any(block.type == "document" for block in message.content):
            return f"messages.{index}: `document` blocks can only be in `user` messages"
    return None


def citations_are_the_assistants(request: CountRequest) -> str | None:
    for index, message in enumerate(request.messages):
        if message.role == "user":
            for at, block in enumerate(message.content):
                cited = _cited(block)
                if cited is not None:
                    return f"messages.{index}.content.{at}.{cited}.citations: Extra inputs are not permitted"
    return None


def _cited(block: Any) -> str | None:
    """Path, from a block on, of a text with citations; None when there is none."""
    if isinstance(block, b.TextBlock):
        return "text" if block.citations else None
    if isinstance(block, b.SearchResultBlock | b.ToolResultBlock):
        for at, inner in enumerate(block.content):
            cited = _cited(inner)
            if cited is not None:
                # The content of a search result is a plain list of texts, whose tag is not part of a path.
                return f"{block.type}.content.{at}" + (f".{cited}" if isinstance(block, b.ToolResultBlock) else "")
    return None


def system_text_is_not_empty(request: CountRequest) -> str | None:
    if any(not block.text for block in request.system):
        return "system: text content blocks must be non-empty"
    return None


def messages_are_not_empty(request: CountRequest) -> str | None:
    last = len(request.messages) - 1
    for index, message in enumerate(request.messages):
        if not message.content and not (index == last and message.role == "assistant"):
            return f"messages.{index}: all messages must have non-empty content except for the optional final assistant message"
    return None


def text_is_not_empty(request: CountRequest) -> str | None:
    for message in request.messages:
        if any(isinstance(block, b.TextBlock) and not block.text for block in message.content):
            return "messages: text content blocks must be non-empty"
    return None


def text_is_not_blank(request: CountRequest) -> str | None:
    """Not for assistant messages: replies of upstream with a blank before a call come back in histories (row 1)."""
    for message in request.messages:
        if message.role == "assistant":
            continue
        if any(isinstance(block, b.TextBlock) and block.text.isspace() for block in message.content):
            return "messages: text content blocks must contain non-whitespace text"
    return None


def prefill_has_no_trailing_blank(request: CountRequest) -> str | None:
    last = request.messages[-1]
    if last.role != "assistant" or not last.content:
        return None
    block = last.content[-1]
    if isinstance(block, b.TextBlock) and block.text != block.text.rstrip():
        return "messages: final assistant content cannot end with trailing whitespace"
    return None


# --- the table, in the order in which problems are told -------------------------------------------------------------------

MESSAGE_CHECKS: tuple[Check, ...] = (
    Check("thread_is_absent", thread_is_absent, details={"error_code": "thread_unsupported_request"}),
    Check("sampling_is_absent", sampling_is_absent, version=STRICTER_VERSION),
    Check("sampling_is_in_range", sampling_is_in_range),
    Check("stop_sequences_are_not_blank", stop_sequences_are_not_blank),
    Check("thinking_leaves_room", thinking_leaves_room, rows=(51,)),
    Check("thinking_keeps_temperature", thinking_keeps_temperature),
)

CHECKS: tuple[Check, ...] = (
    Check("messages_are_present", messages_are_present),
    Check("documents_are_the_users", documents_are_the_users, version=STRICTER_VERSION),
    Check("citations_are_the_assistants", citations_are_the_assistants, version=STRICTER_VERSION),
    Check("blocks_are_in_place", blocks_are_in_place),
    Check("user_speaks_first", user_speaks_first, rows=(36,)),
    Check("system_text_is_not_empty", system_text_is_not_empty, rows=(4, 38)),
    Check("messages_are_not_empty", messages_are_not_empty, rows=(4,)),
    Check("text_is_not_empty", text_is_not_empty, rows=(4,)),
    Check("text_is_not_blank", text_is_not_blank, rows=(4,)),
    Check("prefill_has_no_trailing_blank", prefill_has_no_trailing_blank, rows=(4, 37)),
    Check("call_ids_are_unique", pairing.call_ids_are_unique, rows=(7,)),
    Check("calls_are_answered", pairing.calls_are_answered, rows=(6,)),
    Check("results_have_calls", pairing.results_have_calls, rows=(5,)),
    Check("results_are_single", pairing.results_are_single, rows=(7,)),
    Check("tool_names_are_well_formed", tools.names_are_well_formed, rows=(16,)),
    Check("tool_names_are_unique", tools.names_are_unique, rows=(18,)),
    Check("tool_schemas_are_valid", tools.schemas_are_valid),
    Check("tool_domains_are_one_list", tools.domains_are_one_list),
    Check("forced_tool_is_known", tools.forced_tool_is_known),
    Check("thinking_allows_choice", tools.thinking_allows_choice),
    Check("cache_marks_are_few", cache_marks.are_few),
    Check("long_cache_marks_come_first", cache_marks.long_ones_come_first),
)
