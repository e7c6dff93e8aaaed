from __future__ import annotations

from typing import Any, get_args

import pytest

from app.anthropic.blocks import Base64ImageSource, ContentBlock, ImageBlock, TextBlock, ToolResultBlock
from tests.unit.anthropic.bodies import PNG, assistant, call, image, parse, refusal, result, system, text, user

CALLER = {"type": "direct"}
MARK = {"type": "ephemeral", "ttl": "1h"}

USER_BLOCKS: list[dict[str, Any]] = [
    text(cache_control=MARK, citations=None),
    image(),
    {
        "type": "image",
        "source": {"type": "url", "url": "https://example.com/a.png"},
        "transformations": {"oversized_image": "error"},
    },
    {"type": "image", "source": {"type": "file", "file_id": "file_1"}, "cache_control": None},
    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}, "title": "T"},
    {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "x"}, "citations": {"enabled": True}},
    {"type": "document", "source": {"type": "content", "content": "x"}, "context": "C"},
    {"type": "document", "source": {"type": "content", "content": [text(), image()]}, "title": None},
    {"type": "document", "source": {"type": "url", "url": "https://example.com/a.pdf"}},
    {"type": "document", "source": {"type": "file", "file_id": "file_1"}},
    {"type": "search_result", "source": "s", "title": "t", "content": [text()], "citations": {"enabled": False}},
    {"type": "container_upload", "file_id": "file_1"},
]
ASSISTANT_BLOCKS: list[dict[str, Any]] = [
    {"type": "thinking", "thinking": "", "signature": "EqQB"},
    {"type": "thinking", "signature": "EqQB"},
    {"type": "thinking", "thinking": "Hm"},
    {"type": "redacted_thinking", "data": "EmwK"},
    {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "x"}, "caller": CALLER},
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "caller": CALLER,
        "content": [
            {"type": "web_search_result", "url": "https://e.com", "title": "E", "encrypted_content": "Eq", "page_age": None}
        ],
    },
    {
        "type": "web_search_tool_result",
        "tool_use_id": "srvtoolu_1",
        "content": {"type": "web_search_tool_result_error", "error_code": "unavailable"},
    },
    *(
        {"type": f"{name}_tool_result", "tool_use_id": "srvtoolu_1", "content": {"type": "x"}, "cache_control": None}
        for name in (
            "web_fetch",
            "code_execution",
            "bash_code_execution",
            "text_editor_code_execution",
            "tool_search",
            "advisor",
        )
    ),
    {"type": "mcp_tool_use", "id": "mcptoolu_1", "name": "n", "server_name": "s", "input": {}},
    {"type": "mcp_tool_result", "tool_use_id": "mcptoolu_1", "content": "x", "is_error": False},
    {"type": "mcp_tool_listing", "mcp_server_name": "s", "tools": []},
    {"type": "compaction", "content": None, "signature": "Eq", "encrypted_content": "Eq"},
    {"type": "fallback", "from": {"model": "a"}, "to": {"model": "b"}},
]


@pytest.mark.parametrize("block", USER_BLOCKS, ids=lambda block: block["type"])
def test_a_block_of_the_user_is_typed_by_its_tag(block: dict[str, Any]) -> None:
    assert parse(user(block)).messages[0].content[0].type == block["type"]


@pytest.mark.parametrize("block", ASSISTANT_BLOCKS, ids=lambda block: block["type"])
def test_a_block_of_the_assistant_is_typed_by_its_tag(block: dict[str, Any]) -> None:
    assert parse(user("Hi"), assistant(block), user("Go on")).messages[1].content[0].type == block["type"]


def test_every_class_of_block_is_in_these_tests() -> None:
    tags = {member.model_fields["type"].annotation.__args__[0] for member in get_args(get_args(ContentBlock)[0])}
    tested = {block["type"] for block in USER_BLOCKS + ASSISTANT_BLOCKS}
    assert tags - tested == {"tool_use", "tool_result", "tool_addition", "tool_removal"}, "those four have their own tests"


@pytest.mark.parametrize("kind", ["tool_addition", "tool_removal"])
def test_a_system_message_may_change_the_tools(kind: str) -> None:
    change = {"type": kind, "tool": {"type": "tool_reference", "name": "x"}}
    assert parse(user("Hi"), system(text("Now"), change)).messages[1].content[1].type == kind


def test_a_string_is_one_text_block() -> None:
    block = parse(user("Hello")).messages[0].content[0]
    assert isinstance(block, TextBlock)
    assert block.text == "Hello"


def test_an_image_keeps_its_source() -> None:
    block = parse(user(image())).messages[0].content[0]
    assert isinstance(block, ImageBlock)
    assert isinstance(block.source, Base64ImageSource)
    assert (block.source.media_type, block.source.data) == ("image/png", PNG)


@pytest.mark.parametrize(
    ("content", "kinds"),
    [
        ({}, []),
        ({"content": None}, []),
        ({"content": ""}, []),
        ({"content": []}, []),
        ({"content": "done"}, ["text"]),
        ({"content": [text(""), image()]}, ["text", "image"]),
        ({"content": [{"type": "tool_reference", "tool_name": "WebFetch"}]}, ["tool_reference"]),
        ({"content": [{"type": "browser_state", "tabs": [], "state_changes": None}]}, ["browser_state"]),
        ({"content": [{"type": "document", "source": {"type": "content", "content": "x"}}]}, ["document"]),
        ({"content": [{"type": "search_result", "source": "s", "title": "t", "content": []}]}, ["search_result"]),
    ],
)
def test_a_result_is_a_list_of_blocks_however_it_was_written(content: dict[str, Any], kinds: list[str]) -> None:
    request = parse(
        user("Hi"),
        assistant(call(caller=CALLER, toolset_name=None)),
        user(result(is_error=False, toolset_name=None, **content)),
    )
    block = request.messages[2].content[0]
    assert isinstance(block, ToolResultBlock)
    assert [item.type for item in block.content] == kinds


def test_a_message_of_its_own_effort_is_known() -> None:
    reminder = {**system("Be brief"), "output_config": {"effort": "low"}, "clear_at": "never"}
    message = parse(user("Hi"), reminder).messages[1]
    assert message.output_config is not None
    assert message.output_config.effort == "low"


@pytest.mark.parametrize(
    ("block", "told"),
    [
        ({}, "messages.0.content.0.type: Field required"),
        ("x", "messages.0.content.0: Input should be a valid dictionary or object to extract fields from"),
        ({"type": "text"}, "messages.0.content.0.text.text: Field required"),
        ({"type": "text", "text": 1}, "messages.0.content.0.text.text: Input should be a valid string"),
        ({"type": "text", "text": "x", "id": 1}, "messages.0.content.0.text.id: Extra inputs are not permitted"),
        ({"type": "image"}, "messages.0.content.0.image.source: Field required"),
        ({"type": "image", "source": {}}, "messages.0.content.0.image.source.type: Field required"),
        (
            image(media_type="image/bmp"),
            "messages.0.content.0.image.source.base64.media_type: "
            "Input should be 'image/jpeg', 'image/png', 'image/gif' or 'image/webp'",
        ),
        (image(data=None), "messages.0.content.0.image.source.base64.data: Input should be a valid string"),
        (
            {"type": "image", "source": {"type": "path", "path": "/a"}},
            "messages.0.content.0.image.source: Input tag 'path' found using 'type' does not match any of the expected tags: "
            "'base64', 'file', 'url'",
        ),
        (
            {"type": "document", "source": {"type": "base64", "media_type": "text/html", "data": ""}},
            "messages.0.content.0.document.source.base64.media_type: Input should be 'application/pdf'",
        ),
        (
            {"type": "document", "source": {"type": "content", "content": [call()]}},
            "messages.0.content.0.document.source.content.content.0: Input tag 'tool_use' found using 'type' does not match "
            "any of the expected tags: 'image', 'text'",
        ),
        ({"type": "search_result", "source": "s", "title": "t"}, "messages.0.content.0.search_result.content: Field required"),
        (result("a", content=5), "messages.0.content.0.tool_result.content: Input should be a valid list"),
        (
            result("a", content=[call()]),
            "messages.0.content.0.tool_result.content.0: Input tag 'tool_use' found using 'type' does not match any of the "
            "expected tags: 'browser_state', 'document', 'image', 'search_result', 'text', 'tool_reference'",
        ),
        (result(5), "messages.0.content.0.tool_result.tool_use_id: Input should be a valid string"),  # type: ignore[arg-type]
        (call(input="{}"), "messages.0.content.0.tool_use.input: Input should be a valid dictionary"),
        (call(text="x"), "messages.0.content.0.tool_use.text: Extra inputs are not permitted"),
        (
            {"type": "thinking", "thinking": "", "signature": "", "cache_control": MARK},
            "messages.0.content.0.thinking.cache_control: Extra inputs are not permitted",
        ),
        (
            text(cache_control={"type": "ephemeral", "ttl": "2h"}),
            "messages.0.content.0.text.cache_control.ttl: Input should be '5m' or '1h'",
        ),
    ],
)
def test_an_ill_formed_block_is_refused_with_its_path(block: Any, told: str) -> None:
    assert refusal({"role": "user", "content": [block]}) == told


def test_an_unknown_tag_lists_the_known_ones_in_order() -> None:
    told = refusal(user({"type": "foo"}))
    assert told.startswith("messages.0.content.0: Input tag 'foo' found using 'type' does not match any of the expected tags: ")
    tags = told.split("tags: ")[1].split(", ")
    assert tags == sorted(tags)
    assert {"'document'", "'image'", "'text'", "'tool_use'"} <= set(tags)


def test_a_very_long_tag_is_cut_in_the_message() -> None:
    assert len(refusal(user({"type": "x" * 100_000}))) < 2000
