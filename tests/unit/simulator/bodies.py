"""Chat requests written by hand: for each cause of a refusal, requests that have it and their nearest legal neighbours."""

from __future__ import annotations

import base64
import struct
from dataclasses import dataclass, field
from typing import Any

from simulator.accounts import BUILDER_ID_PROFILE_ARN, SOCIAL_PROFILE_ARN

SONNET, OPUS, RUNTIME = "claude-sonnet-4.5", "claude-opus-4.7", "runtime.us-east-1.kiro.dev"
Q = "q.us-east-1.amazonaws.com"
Q_EUROPE = "q.eu-central-1.amazonaws.com"
IMPROPER = (400, "Improperly formed request.", None, "ValidationException")
INVALID_TOOL_USE = (400, "Invalid tool use format.", "REQUEST_BODY_INVALID", "ValidationException")
BEARER_INVALID = (403, "The bearer token included in the request is invalid.", None, "AccessDeniedException")
MISSING = object()

Json = dict[str, Any]


def user(content: Any = "Hello", *, results: list[Json] | None = None, images: list[Json] | None = None, **more: Any) -> Json:
    """A user turn of the history."""
    message: Json = {"content": content, "modelId": SONNET, "origin": "AI_EDITOR"}
    if images:
        message["images"] = images
    if results:
        message["userInputMessageContext"] = {"toolResults": results}
    return {"userInputMessage": {**message, **more}}


def assistant(content: Any = "Hello!", *, uses: list[Json] | None = None, **more: Any) -> Json:
    """An assistant turn."""
    return {"assistantResponseMessage": {"content": content, **({"toolUses": uses} if uses else {}), **more}}


def use(tool_use_id: str = "tooluse_1", name: str = "Bash", tool_input: Any = MISSING) -> Json:
    return {"toolUseId": tool_use_id, "name": name, "input": {"command": "ls"} if tool_input is MISSING else tool_input}


def result(tool_use_id: str = "tooluse_1", **more: Any) -> Json:
    return {"toolUseId": tool_use_id, "content": [{"text": "a.txt"}], "status": "success", **more}


def tool(name: str = "Bash", description: str = "Runs a command", schema: Any = MISSING) -> Json:
    json_schema = {"type": "object", "properties": {"command": {"type": "string"}}} if schema is MISSING else schema
    return {"toolSpecification": {"name": name, "description": description, "inputSchema": {"json": json_schema}}}


def body(
    content: Any = "Hello",
    *,
    history: list[Any] | None = None,
    tools: list[Json] | None = None,
    results: list[Json] | None = None,
    images: list[Json] | None = None,
    model: str = SONNET,
    arn: str | None = SOCIAL_PROFILE_ARN,
    message: Json | None = None,
    state: Json | None = None,
    **top: Any,
) -> Json:
    """A whole request; message, state and top replace or add fields there."""
    context = {**({"tools": tools} if tools else {}), **({"toolResults": results} if results else {})}
    current = {"content": content, "modelId": model, "origin": "AI_EDITOR", "userInputMessageContext": context}
    if images:
        current["images"] = images
    conversation = {
        "agentTaskType": "vibe",
        "chatTriggerType": "MANUAL",
        "conversationId": "9f8e7d6c-aaaa-4bbb-8ccc-ddddeeeeffff",
        "currentMessage": {"userInputMessage": {**current, **(message or {})}},
        **({"history": history} if history else {}),
        **(state or {}),
    }
    return {"conversationState": conversation, **({"profileArn": arn} if arn else {}), **top}


def png(width: int = 8, height: int = 8) -> str:
    """The head of a PNG, in base64: all that is looked at."""
    return base64.b64encode(b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", width, height) + bytes(9)).decode()


def image(data: str | None = None, name: str = "png") -> Json:
    return {"format": name, "source": {"bytes": png() if data is None else data}}


def documents(count: int) -> Json:
    entry = {"name": "spec", "format": "txt", "source": {"bytes": "aGVsbG8="}}
    return {"documents": [{**entry, "name": f"spec {number}"} for number in range(count)]}


def large_png(length: int) -> str:
    """A PNG of exactly `length` base64 characters (a multiple of 4)."""
    head = base64.b64decode(png())
    return base64.b64encode(head + bytes(length // 4 * 3 - len(head))).decode()


@dataclass(frozen=True)
class Case:
    """A request that one rule refuses, and its nearest neighbour that passes.

    answer: status, message, reason and x-amzn-errortype. padding: white space after the JSON, refused and legal.
    """

    rule: str
    name: str
    refused: Json
    legal: Json
    answer: tuple[int, str, str | None, str] = IMPROPER
    host: str = Q
    legal_host: str | None = None
    account: Json = field(default_factory=dict)
    legal_account: Json | None = None
    padding: tuple[int, int] = (0, 0)

    def __str__(self) -> str:
        return f"{self.rule}-{self.name}".replace(" ", "_")


def _with_history(
    *turns: Any, results: list[Json] | None = None, tools: list[Json] | None = None, content: str = "Go on"
) -> Json:
    return body("" if results else content, history=list(turns), results=results, tools=tools)


LOOP = (user(), assistant(" ", uses=[use()]))
TOOLS = [tool()]


def _schema_case(name: str, refused: Any, legal: Any, reason: str | None = None) -> Case:
    answer = (IMPROPER[0], IMPROPER[1], reason, IMPROPER[3])
    return Case("tool_specification", name, body(tools=[tool(schema=refused)]), body(tools=[tool(schema=legal)]), answer)


def _field_case(name: str, refused: Json, legal: Json) -> Case:
    return Case("field_values", name, refused, legal)


def _image_case(name: str, refused: Json, legal: Json, message: str, reason: str) -> Case:
    return Case("media", name, refused, legal, (400, message, reason, "ValidationException"))


OBJECT = {"type": "object", "properties": {}}
CASES = [
    # 1
    Case("empty_content", "current", body(""), body("x")),
    Case("empty_content", "current with only an image", body("", images=[image()]), body("see", images=[image()])),
    Case("empty_content", "user", body(history=[user(""), assistant()]), body(history=[user("x"), assistant()])),
    Case("empty_content", "assistant", body(history=[user(), assistant("")]), body(history=[user(), assistant(" ")])),
    Case(
        "empty_content",
        "assistant with only tool uses",
        _with_history(user(), assistant("", uses=[use()]), results=[result()], tools=TOOLS),
        _with_history(*LOOP, results=[result()], tools=TOOLS),
    ),
    # 2
    Case(
        "tool_pairing",
        "use without a result",
        _with_history(*LOOP, tools=TOOLS),
        _with_history(*LOOP, results=[result()], tools=TOOLS),
    ),
    Case(
        "tool_pairing",
        "result one turn late",
        _with_history(*LOOP, user("wait"), assistant(), results=[result()], tools=TOOLS),
        _with_history(*LOOP, user("", results=[result()]), assistant(), tools=TOOLS),
    ),
    Case(
        "tool_pairing",
        "unknown id",
        _with_history(*LOOP, results=[result(), result("tooluse_2")], tools=TOOLS),
        _with_history(
            user(), assistant(" ", uses=[use(), use("tooluse_2")]), results=[result("tooluse_2"), result()], tools=TOOLS
        ),
    ),
    Case(
        "tool_pairing",
        "id used twice in a turn",
        _with_history(user(), assistant(" ", uses=[use(), use()]), results=[result(), result()], tools=TOOLS),
        _with_history(user(), assistant(" ", uses=[use(), use("b")]), results=[result(), result("b")], tools=TOOLS),
    ),
    Case(
        "tool_pairing",
        "id used twice in a conversation",
        _with_history(*LOOP, user("", results=[result()]), assistant(" ", uses=[use()]), results=[result()], tools=TOOLS),
        _with_history(*LOOP, user("", results=[result()]), assistant(" ", uses=[use("b")]), results=[result("b")], tools=TOOLS),
    ),
    Case(
        "tool_pairing",
        "two results for one use",
        _with_history(*LOOP, results=[result(), result()], tools=TOOLS),
        _with_history(*LOOP, results=[result(status="error")], tools=TOOLS),
    ),
    Case(
        "tool_pairing",
        "on the runtime host",
        _with_history(*LOOP, tools=TOOLS),
        _with_history(*LOOP, results=[result()], tools=TOOLS),
        INVALID_TOOL_USE,
        host=RUNTIME,
    ),
    # 3
    Case(
        "tools_declared",
        "no tools with results",
        _with_history(*LOOP, results=[result()]),
        _with_history(*LOOP, results=[result()], tools=TOOLS),
        (400, "Improperly formed request.", "TOOL_CONFIG_MISSING", "ValidationException"),
    ),
    Case(
        "tools_declared",
        "no tools with an old use",
        _with_history(*LOOP, user("", results=[result()]), assistant()),
        _with_history(*LOOP, user("", results=[result()]), assistant(), tools=TOOLS),
        (400, "Improperly formed request.", "TOOL_CONFIG_MISSING", "ValidationException"),
    ),
    Case(
        "tools_declared",
        "another tool",
        _with_history(*LOOP, results=[result()], tools=[tool("Read")]),
        _with_history(*LOOP, results=[result()], tools=[tool("bash")]),  # names compare without case
    ),
    # 4
    Case("alternation", "assistant first", _with_history(assistant()), _with_history(user(), assistant())),
    Case("alternation", "user twice", _with_history(user(), user(), assistant()), _with_history(user(), assistant())),
    Case(
        "alternation",
        "user before the current turn",
        _with_history(user()),
        body(history=[user()], message={"origin": "KIRO_CLI"}),
    ),
    # 5
    Case("tool_specification", "name of 64", body(tools=[tool("n" * 64)]), body(tools=[tool("n" * 63)])),
    Case("tool_specification", "characters of a name", body(tools=[tool("a.b")]), body(tools=[tool("a-b_C9")])),
    Case(
        "tool_specification", "same name", body(tools=[tool("Bash"), tool("bash")]), body(tools=[tool("Bash"), tool("bash2")])
    ),
    Case("tool_specification", "no description", body(tools=[tool(description="")]), body(tools=[tool(description="x")])),
    Case(
        "tool_specification",
        "long description",
        body(tools=[tool(description="é" * 5_121)]),
        body(tools=[tool(description="é" * 5_120)]),
    ),
    _schema_case("schema null", None, OBJECT),
    _schema_case("schema array", [], OBJECT),
    _schema_case("required null", {**OBJECT, "required": None}, {**OBJECT, "required": []}),
    _schema_case("properties null", {"type": "object", "properties": None}, OBJECT),
    _schema_case(
        "required null inside",
        {"type": "object", "properties": {"a": {"type": "object", "required": None}}},
        {"type": "object", "properties": {"required": {"type": "object"}}},
    ),
    _schema_case(
        "anyOf at the top",
        {**OBJECT, "anyOf": [OBJECT]},
        {"type": "object", "properties": {"anyOf": {}}},
        "TOOL_SCHEMA_INVALID",
    ),
    # 6
    *(
        Case(
            "tool_input",
            name,
            _with_history(user(), assistant(" ", uses=[use(tool_input=wrong)]), results=[result()], tools=TOOLS),
            _with_history(user(), assistant(" ", uses=[use(tool_input=right)]), results=[result()], tools=TOOLS),
        )
        for name, wrong, right in (
            ("a string", '{"command": "l', {"command": '{"command": "l'}),
            ("null", None, {}),
            ("an array", [{"command": "ls"}], {"commands": ["ls"]}),
            ("an empty key", {"": "ls"}, {" ": "ls"}),
            ("an empty key deep inside", {"a": [{"b": {"": 1}}]}, {"a": [{"b": {"c": 1}}]}),
        )
    ),
    # 7
    _field_case("null", body(state={"workspaceId": None}), body(state={"workspaceId": "w"})),
    _field_case("null in an image", body(images=[{**image(), "name": None}]), body(images=[image()])),
    _field_case("trigger AUTO", body(state={"chatTriggerType": "AUTO"}), body(state={"chatTriggerType": "INLINE_CHAT"})),
    _field_case("unknown origin", body(message={"origin": "ELSEWHERE"}), body(message={"origin": "IDE"})),
    _field_case("unknown task", body(state={"agentTaskType": "spec"}), body(state={"agentTaskType": "spectask"})),
    _field_case(
        "unknown status",
        _with_history(*LOOP, results=[result(status="ok")], tools=TOOLS),
        _with_history(*LOOP, results=[result(status="error")], tools=TOOLS),
    ),
    _field_case("cache point", body(tools=[tool(), {"cachePoint": {"type": "default"}}]), body(tools=[tool(), tool("Read")])),
    _field_case("content as a list", body([{"text": "Hello"}]), body("Hello")),
    _field_case(
        "history content as a list",
        body(history=[user([{"type": "text", "text": "Hello"}]), assistant()]),
        body(history=[user("Hello"), assistant()]),
    ),
    _field_case(
        "result content as a string",
        _with_history(*LOOP, results=[result(content="a")], tools=TOOLS),
        _with_history(*LOOP, results=[result(content=[{"json": None}])], tools=TOOLS),
    ),
    _field_case("no conversation id", body(state={"conversationId": ""}), body(state={"conversationId": "x"})),
    # 8
    Case(
        "profile",
        "missing",
        body(arn=None),
        body(),
        (400, "profileArn is required for this request.", None, "ValidationException"),
    ),
    Case("profile", "of another kind", body(arn=BUILDER_ID_PROFILE_ARN), body(), BEARER_INVALID),
    Case("profile", "region of the host", body(), body(), host=Q_EUROPE, legal_host=Q),
    Case(
        "profile",
        "with an API key",
        body(),
        body(arn=None),
        BEARER_INVALID,
        account={"kind": "api_key"},
    ),
    Case(
        "profile",
        "placeholder for an enterprise login",
        body(arn=BUILDER_ID_PROFILE_ARN),
        body(arn=BUILDER_ID_PROFILE_ARN),
        BEARER_INVALID,
        account={"kind": "idc"},
        legal_account={"kind": "builder_id"},
    ),
    # 9
    _image_case(
        "format",
        body(images=[image(name="bmp")]),
        body(images=[image()]),
        "Unsupported image format: bmp",
        "IMAGE_FORMAT_UNSUPPORTED",
    ),
    _image_case(
        "not an image",
        body(images=[image("aGVsbG8=")]),
        body(images=[image()]),
        "Could not process image",
        "IMAGE_FORMAT_UNSUPPORTED",
    ),
    _image_case(
        "mime mismatch",
        body(images=[image(name="jpeg")]),
        body(images=[image()]),
        "Image is png, not jpeg as declared",
        "IMAGE_MIME_MISMATCH",
    ),
    _image_case(
        "too many bytes",
        body(images=[image(large_png(5_242_884))]),
        body(images=[image(large_png(5_242_880))]),
        "image exceeds 5 MB maximum: 5242884 bytes > 5242880 bytes",
        "IMAGE_SIZE_EXCEEDED",
    ),
    _image_case(
        "too wide",
        body(images=[image(png(8001, 8))]),
        body(images=[image(png(8000, 8000))]),
        "At least one of the image dimensions exceed max allowed size: 8000 pixels",
        "IMAGE_DIMENSION_EXCEEDED",
    ),
    _image_case(
        "too high among many",
        body(images=[image(png(8, 2001))] + [image()] * 20),
        body(images=[image(png(8, 2001))] + [image()] * 19),
        "At least one of the image dimensions exceed max allowed size: 2000 pixels",
        "IMAGE_DIMENSION_EXCEEDED",
    ),
    _image_case(
        "too many",
        body(images=[image()] * 51, history=[user(images=[image()] * 50), assistant()]),
        body(images=[image()] * 50, history=[user(images=[image()] * 50), assistant()]),
        "Too many images and documents: 101 > 100",
        "IMAGE_COUNT_EXCEEDED",
    ),
    _image_case(
        "too many documents",
        body(message=documents(6)),
        body(message=documents(5)),
        "Too many documents: 6 > 5",
        "DOCUMENT_COUNT_EXCEEDED",
    ),
    _image_case(
        "bad image long ago",
        body(history=[user(images=[image(name="jpeg")]), assistant(), user(), assistant()]),
        body(history=[user(images=[image()]), assistant(), user(), assistant()]),
        "Image is png, not jpeg as declared",
        "IMAGE_MIME_MISMATCH",
    ),
    # 10
    Case("dotted_model", "dashes", body(model="claude-sonnet-4-5"), body(model="claude-sonnet-4.5"), host=RUNTIME),
    Case("dotted_model", "host", body(model="claude-sonnet-4-5"), body(model="claude-sonnet-4-5"), host=RUNTIME, legal_host=Q),
    # 11
    Case("consecutive_assistant", "twice", _with_history(user(), assistant(), assistant()), _with_history(user(), assistant())),
    # 12
    Case(
        "empty_turn",
        "thinking without text",
        body(history=[user(), assistant("", reasoningContent={"redactedContent": "AAAA"})]),
        body(history=[user(), assistant(" ", reasoningContent={"redactedContent": "AAAA"})]),
    ),
    Case("empty_turn", "white space", body(" \n"), body(" \n", images=[image()])),
    Case(
        "empty_turn", "white space long ago", body(history=[user("\n"), assistant()]), body(history=[user("\n."), assistant()])
    ),
    # 13
    Case("plan", "newest Opus", body(model=OPUS), body(model=SONNET), account={"plan": "free"}),
    Case("plan", "paid", body(model=OPUS), body(model=OPUS), account={"plan": "free"}, legal_account={"plan": "pro"}),
    # 14
    Case("body_size", "ten MiB", body(), body(), padding=(10 * 1024 * 1024, 9 * 1024 * 1024)),
]
