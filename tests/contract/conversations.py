"""Valid requests of the Messages API as a hypothesis strategy, and the strict stand-in for Kiro that judges their translation.

`conversations()` makes JSON bodies that the real API would take; `translate` carries one through the gateway's own code, and
`refused_by` tells which rule of the stand-in, if any, the bytes break. `kinds_in` counts what a body holds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from typing import Any

import orjson
from hypothesis import strategies as st

from app.anthropic.request import MessageRequest, parse_message_request
from app.kiro.request import serialise
from app.translate.conversation import conversation_ids
from app.translate.models import BUILT_IN, resolve
from app.translate.request import Translation, translate_request
from simulator.accounts import Accounts
from simulator.chat import ChatCall
from simulator.validation import validate

Json = dict[str, Any]

OLD, NEW = "2023-06-01", "2026-10-21"
ACCOUNT = Accounts().add({"kind": "social", "plan": "pro"}, now=0.0, token_seconds=3600.0)

PIXELS = {
    "png": "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==",
    "gif": "R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7",
    "webp": "UklGRiIAAABXRUJQVlA4IBYAAAAwAQCdASoBAAEADsD+JaQAA3AAAAAA",
    "jpeg": "/9j/4AAQSkZJRgABAQAAAQABAAD/wAALCAABAAEBAREA/8QAFAABAAAAAAAAAAAAAAAAAAAACf/aAAgBAQAAPwBU/9k=",
}
"""One pixel in every format, base64."""


# --- the way through the gateway ------------------------------------------------------------------------------------------


def translate(raw: Json, *, version: str = OLD, repair: bool = False, rules_off: Collection[str] = ()) -> Translation:
    """A body parsed and translated, as the relay does it."""
    return translate_parsed(parse_message_request(raw, version=version, repair=repair), rules_off=rules_off)


def translate_parsed(request: MessageRequest, *, rules_off: Collection[str] = ()) -> Translation:
    conversation, continuation = conversation_ids(request, session=None, key_id="1")
    return translate_request(
        request,
        model=resolve(request.model, BUILT_IN),
        conversation_id=conversation,
        continuation_id=continuation,
        rules_off=rules_off,
    )


def written(translation: Translation) -> bytes:
    """What goes upstream for the stand-in's one account."""
    return serialise(translation.kiro, ACCOUNT.profile_arn)


def refused_by(body: bytes) -> str | None:
    """The stand-in's first rule that refuses, all rules being on; None when it accepts."""
    call = ChatCall(orjson.loads(body), len(body), service="q", region=ACCOUNT.region, account=ACCOUNT)
    found = validate(call)
    return found and found[0]


# --- small values ---------------------------------------------------------------------------------------------------------

TEXTS = st.sampled_from(
    [
        "Hi",
        "list the files",
        "你好，世界",
        "😀 \u0000 \x1b[0m",
        "\u2028 line\r\n",
        '{"a": null}',
        "<thinking>no</thinking>",
        "  x  ",
    ]
) | st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12).filter(lambda text: not text.isspace())
SCALARS = st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | TEXTS
ARGUMENTS = st.dictionaries(
    st.sampled_from(["command", "path", "", "naïve key", "$ref"]),
    st.recursive(
        SCALARS,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["a", "", "b"]), inner, max_size=2),
        max_leaves=4,
    ),
    max_size=3,
)
MARK = st.sampled_from([{}, {}, {}, {"cache_control": None}])


@st.composite
def _sometimes(draw: st.DrawFn, key: str, values: st.SearchStrategy[Any]) -> Json:
    return {key: draw(values)} if draw(st.booleans()) else {}


# --- tools ----------------------------------------------------------------------------------------------------------------

NAMES = (
    "Bash", "bash", "get_weather", "ToolSearch", "Read", "x" * 63, "x" * 64,
    "mcp__plugin_marketplace_some_very_long_server_name__some_extremely_long_tool_name_that_overflows",
    "mcp__plugin_marketplace_some_very_long_server_name__some_extremely_long_tool_name_that_overflowed",
)  # fmt: skip
STRING = {"type": "string"}
SCHEMAS: tuple[Json | None, ...] = (
    None,
    {},
    {"type": "object", "properties": {}, "required": []},
    {"type": "object", "properties": {"a.b-c_1": STRING, "$ref": STRING, "if": {}, "then": True}, "required": ["$ref"]},
    {"type": "object", "properties": {"o": {"type": "object", "properties": {"naïve": STRING, "with space": {}, "": STRING}}}},
    {"$schema": "http://json-schema.org/draft-07/schema#", "type": "object", "additionalProperties": False},
    {"type": "object", "properties": {"m": {"type": "object", "additionalProperties": {"type": "string"}}}, "required": None},
    {"type": "object", "properties": {"n": {"$ref": "#/$defs/Node"}},
     "$defs": {"Node": {"type": "object", "properties": {"next": {"$ref": "#/$defs/Node"}, "v": STRING}}}},
    {"$ref": "#/definitions/A", "definitions": {"A": {"type": "object", "properties": {"self": {"$ref": "#"}}}}},
    {"anyOf": [{"type": "object", "properties": {"a": STRING}}, {"type": "null"}]},
    {"oneOf": [{"type": "object", "properties": {"a": STRING}, "required": ["a"]}, {"type": "string"}], "type": "object"},
    {"allOf": [{"$ref": "#/$defs/X"}, {"properties": {"b": STRING}}], "$defs": {"X": {"properties": {"a": STRING}}}},
    {"type": "array", "items": STRING},
    {"type": ["object", "null"], "properties": {"v": {"type": ["string", "null"], "enum": ["x", None], "default": None}}},
    {"type": "object", "properties": {"p": {"type": "string", "pattern": "^(?!x)", "format": "uri"}, "c": {"const": None}}},
    {"type": "object", "properties": {"n": {"type": "integer", "minimum": -(2**63), "exclusiveMaximum": 9}}, "not": {}},
    {"type": "object", "properties": {"t": {"type": "array", "items": [STRING, {"type": "integer"}]}, "u": None}},
)  # fmt: skip
DESCRIPTIONS = st.sampled_from(["Runs a command", "", " ", None, "long " * 2100, "長" * 4000])
KNOWN_TOOLS: tuple[Json, ...] = (
    {"type": "bash_20250124", "name": "bash"},
    {"type": "text_editor_20250124", "name": "str_replace_editor"},
    {"type": "text_editor_20250728", "name": "str_replace_based_edit_tool", "max_characters": 10_000},
    {"type": "computer_20251124", "name": "computer", "display_width_px": 800, "display_height_px": 600, "enable_zoom": True},
    {"type": "memory_20250818", "name": "memory"},
    {"type": "web_search_20250305", "name": "web_search", "max_uses": 8},
    {"type": "web_fetch_20250910", "name": "web_fetch"},
    {"type": "code_execution_20250825", "name": "code_execution"},
    {"type": "tool_search_tool_bm25", "name": "tool_search_tool_bm25"},
    {"type": "mcp_toolset", "mcp_server_name": "files"},
    {"type": "computer_toolset_20260801"},
)


@st.composite
def tools(draw: st.DrawFn) -> list[Json]:
    """Tools of every kind, no name twice."""
    found: list[Json] = []
    for name in draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=4)):
        tool: Json = {"name": name, "input_schema": draw(st.sampled_from(SCHEMAS)), **draw(MARK)}
        tool |= draw(_sometimes("description", DESCRIPTIONS))
        tool |= draw(_sometimes("type", st.sampled_from(["custom", None])))
        tool |= draw(_sometimes("defer_loading", st.booleans()))
        tool |= draw(_sometimes("input_examples", st.lists(ARGUMENTS, max_size=1)))
        found.append(tool)
    for known in draw(st.lists(st.sampled_from(KNOWN_TOOLS), unique_by=lambda tool: tool["type"], max_size=2)):
        if known.get("name") not in {tool["name"] for tool in found if "name" in tool}:
            found.append(dict(known))
    return found


# --- blocks ---------------------------------------------------------------------------------------------------------------

TEXT_BLOCKS = st.builds(lambda text, mark: {"type": "text", "text": text, **mark}, TEXTS, MARK)
IMAGES = st.builds(
    lambda declared, actual: {
        "type": "image",
        "source": {"type": "base64", "media_type": f"image/{declared}", "data": PIXELS[actual]},
    },
    st.sampled_from(sorted(PIXELS)),
    st.sampled_from(sorted(PIXELS)),
)
DOCUMENTS = st.builds(
    lambda source, more: {"type": "document", "source": source, **more},
    st.builds(lambda text: {"type": "text", "media_type": "text/plain", "data": text}, TEXTS | st.just(""))
    | st.builds(lambda content: {"type": "content", "content": content}, TEXTS | st.lists(TEXT_BLOCKS | IMAGES, max_size=2)),
    _sometimes("title", TEXTS | st.none()),
)
SEARCH_RESULTS = st.builds(
    lambda text: {"type": "search_result", "source": "https://example.test/a", "title": "A", "content": [text]}, TEXT_BLOCKS
)
REFERENCES = st.builds(lambda name: {"type": "tool_reference", "tool_name": name}, st.sampled_from(NAMES))
BROWSER = st.just({"type": "browser_state", "tabs": [{"url": "https://example.test", "active": None}]})
UPLOADS = st.just({"type": "container_upload", "file_id": "file_1"})
RESULT_CONTENT = (
    st.sampled_from([None, "", [], " "])
    | TEXTS
    | st.lists(TEXT_BLOCKS | IMAGES | DOCUMENTS | SEARCH_RESULTS | REFERENCES | BROWSER, min_size=1, max_size=3)
)
THINKING = st.builds(lambda text: {"type": "thinking", "thinking": text, "signature": "EqQBCg=="}, TEXTS | st.just(""))
REDACTED = st.just({"type": "redacted_thinking", "data": "EmwKA"})
SIGNS = st.builds(lambda name, kind: {"type": kind, "tool": {"type": "tool_reference", "name": name}}, st.sampled_from(NAMES),
                  st.sampled_from(["tool_addition", "tool_removal"]))  # fmt: skip


def _ran_at_anthropic(name: str, kind: str, content: Any) -> list[Json]:
    call = {"type": "server_tool_use", "id": "srvtoolu_1", "name": name, "input": {"query": "x"}, "caller": {"type": "direct"}}
    return [call, {"type": kind, "tool_use_id": "srvtoolu_1", "content": content}]


SEARCHED = [
    {"type": "web_search_result", "url": "https://example.test", "title": None, "encrypted_content": "Eq", "page_age": None}
]
EXTRA: tuple[list[Json], ...] = (
    _ran_at_anthropic("web_search", "web_search_tool_result", SEARCHED),
    _ran_at_anthropic("web_search", "web_search_tool_result", {"type": "web_search_tool_result_error", "error_code": "x"}),
    _ran_at_anthropic("web_fetch", "web_fetch_tool_result", {"type": "web_fetch_result", "url": "https://example.test"}),
    _ran_at_anthropic("code_execution", "code_execution_tool_result", {"type": "code_execution_result", "stdout": "1\n"}),
    _ran_at_anthropic("bash_code_execution", "bash_code_execution_tool_result", {"stdout": "", "return_code": 0}),
    _ran_at_anthropic("text_editor_code_execution", "text_editor_code_execution_tool_result", {"content": None}),
    _ran_at_anthropic("tool_search_tool_bm25", "tool_search_tool_result",
                      {"tool_references": [{"type": "tool_reference", "tool_name": NAMES[-1]}]}),
    _ran_at_anthropic("advisor", "advisor_tool_result", {"type": "advisor_result", "text": "go on"}),
    [{"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "echo", "server_name": "files", "input": {"param": None}},
     {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "is_error": False, "content": [{"type": "text", "text": "ok"}]}],
    [{"type": "mcp_tool_listing", "server_name": "files", "tools": []}],
    [{"type": "compaction", "content": "They talked about files."}],
    [{"type": "compaction", "content": None}],
    [{"type": "fallback", "model": "x"}],
)  # fmt: skip


# --- conversations --------------------------------------------------------------------------------------------------------


class _Writer:
    """Writes one conversation, keeping track of calls that wait for their results."""

    def __init__(self, draw: st.DrawFn, names: list[str]) -> None:
        self.draw = draw
        self.names = names
        self.messages: list[Json] = []
        self.waiting: list[str] = []
        self.calls = 0

    def user(self) -> None:
        """One side of the conversation, in one or two messages; results first."""
        draw = self.draw
        results = [self.result(id_) for id_ in draw(st.permutations(self.waiting))]
        said = draw(
            st.lists(TEXT_BLOCKS | IMAGES | DOCUMENTS | SEARCH_RESULTS | UPLOADS, min_size=0 if results else 1, max_size=3)
        )
        self.waiting = []
        cut = draw(st.integers(0, len(results))) if len(results) > 1 else 0
        for blocks in (results[:cut], [*results[cut:], *said]):
            if blocks:
                is_text = len(blocks) == 1 and blocks[0]["type"] == "text" and draw(st.booleans())
                self.messages.append({"role": "user", "content": blocks[0]["text"] if is_text else blocks})
        if draw(st.integers(0, 3)) == 0:
            self.system()

    def system(self) -> None:
        for _ in range(self.draw(st.integers(1, 2))):
            content = self.draw(TEXTS | st.lists(TEXT_BLOCKS | SIGNS, min_size=1, max_size=3))
            effort = self.draw(_sometimes("output_config", st.sampled_from([{"effort": "low"}, {"effort": None}])))
            self.messages.append({"role": "system", "content": content, **effort})

    def result(self, id_: str) -> Json:
        result = {"type": "tool_result", "tool_use_id": id_, **self.draw(MARK)}
        result |= self.draw(_sometimes("content", RESULT_CONTENT))
        return result | self.draw(_sometimes("is_error", st.sampled_from([True, False, None])))

    def assistant(self) -> None:
        """The other side: thinking, text, what ran at Anthropic, parallel calls; sometimes two messages."""
        draw = self.draw
        blocks = draw(st.lists(THINKING | REDACTED, max_size=1)) + draw(
            st.lists(TEXT_BLOCKS | st.just({"type": "text", "text": " "}), max_size=1)
        )
        for extra in draw(st.lists(st.sampled_from(EXTRA), max_size=2)):
            blocks += [dict(block) for block in extra]
        calls = [self.call() for _ in range(draw(st.integers(0, 3)))]
        if calls and blocks and draw(st.integers(0, 5)) == 0:
            self.messages.append({"role": "assistant", "content": blocks})
            blocks = []
        if not (blocks or calls):
            blocks = [{"type": "text", "text": "Fine."}]
        self.messages.append({"role": "assistant", "content": [*blocks, *calls]})

    def call(self) -> Json:
        self.calls += 1
        id_ = self.draw(st.sampled_from(["toolu_01", "call:" + "y" * 80, "tooluse_.", "id "])) + str(self.calls)
        self.waiting.append(id_)
        name = self.draw(st.sampled_from([*self.names, "read", "undeclared", "odd.name/of 東京", NAMES[-1]]))
        caller = self.draw(_sometimes("caller", st.sampled_from([None, {"type": "direct"}])))
        return {"type": "tool_use", "id": id_, "name": name, "input": self.draw(ARGUMENTS), **caller}


@st.composite
def conversations(draw: st.DrawFn) -> Json:
    """A body of `POST /v1/messages` that the real API takes."""
    model = draw(st.sampled_from(BUILT_IN)).id
    declared = draw(tools())
    writer = _Writer(draw, [tool["name"] for tool in declared if tool.get("type") in (None, "custom")])
    writer.user()
    for _ in range(draw(st.integers(0, 3))):
        writer.assistant()
        writer.user()
    if draw(st.integers(0, 4)) == 0:
        prefill = draw(
            st.sampled_from(
                ["{", [], [{"type": "text", "text": "Well,"}], [{"type": "thinking", "thinking": "", "signature": ""}]]
            )
        )
        writer.messages.append({"role": "assistant", "content": prefill})
    body: Json = {"model": model, "max_tokens": 4096, "messages": writer.messages}
    body |= draw(_sometimes("tools", st.just(declared))) if not declared else {"tools": declared}
    body |= draw(_sometimes("system", TEXTS | st.lists(TEXT_BLOCKS | st.just({"type": "text", "text": " "}), max_size=3)))
    body |= draw(_sometimes("metadata", st.sampled_from([{"user_id": None}, {"user_id": '{"session_id":"s"}'}, None])))
    return body | draw(_settings([name for tool in declared if (name := tool.get("name"))]))


@st.composite
def _settings(draw: st.DrawFn, names: list[str]) -> Json:
    """What stands beside the conversation; thinking with a budget forbids a forced call."""
    found: Json = {}
    thinking = draw(st.sampled_from(["absent", "enabled", "adaptive", "disabled", "between_tools"]))
    if thinking == "enabled":
        found["thinking"] = {"type": "enabled", "budget_tokens": draw(st.integers(1024, 4095))}
    elif thinking != "absent":
        found["thinking"] = {"type": thinking}
    if thinking in ("enabled", "adaptive"):
        found["thinking"] |= draw(_sometimes("display", st.sampled_from(["summarized", "omitted", "updates"])))
    choices: list[Json] = [{"type": "auto", "disable_parallel_tool_use": True}, {"type": "none"}]
    if thinking != "enabled":
        choices += [{"type": "any"}, *({"type": "tool", "name": name} for name in names)]
    found |= draw(_sometimes("tool_choice", st.sampled_from(choices)))
    config = draw(_sometimes("effort", st.sampled_from(["low", "medium", "high", "xhigh", "max", None])))
    config |= draw(_sometimes("format", st.just({"type": "json_schema", "schema": {"type": "object"}})))
    return found | ({"output_config": config} if config else {})


# --- what was made --------------------------------------------------------------------------------------------------------


def kinds_in(value: Any) -> Counter[str]:
    """How often each `type` stands in a body; a mislabelled image, a deferred tool and a prefill count as kinds too."""
    found: Counter[str] = Counter()
    if isinstance(value, list):
        for item in value:
            found += kinds_in(item)
    elif isinstance(value, dict):
        if isinstance(value.get("type"), str):
            found[value["type"]] += 1
        for key, item in value.items():
            if key not in ("input", "input_schema", "input_examples"):
                found += kinds_in(item)
    return found
