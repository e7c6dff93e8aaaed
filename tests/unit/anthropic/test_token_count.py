from __future__ import annotations

import base64
import struct
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.anthropic.token_count import PDF_PAGE_TOKENS, UNKNOWN_IMAGE_TOKENS, count_request, count_text
from tests.unit.anthropic.bodies import assistant, call, count, image, result, system, text, tool, user

WEATHER = {
    "name": "get_weather",
    "description": "Get the current weather in a given location",
    "input_schema": {
        "type": "object",
        "properties": {"location": {"type": "string", "description": "The city and state, e.g. San Francisco, CA"}},
        "required": ["location"],
    },
}


def tokens(*messages: Any, **fields: Any) -> int:
    return count_request(count(*messages, **fields))


def png(width: int, height: int) -> str:
    return base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + struct.pack(">II", width, height) + b"\x08\x02" * 100).decode()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("", 0),
        ("a", 0),
        ("abcd", 1),
        ("abcdefgh", 3),
        ("x" * 396, 148),
        ("x" * 400, 130),
        ("x" * 800, 250),
        ("x" * 1200, 360),
        ("x" * 3200, 800),
        ("天", 1),
        ("天気", 3),
        ("é" * 8, 3),
    ],
)
def test_text_counts_by_characters_and_length(value: str, expected: int) -> None:
    assert count_text(value) == expected


@given(st.text())
def test_any_text_counts(value: str) -> None:
    assert 0 <= count_text(value) <= 6 * len(value)


@pytest.mark.parametrize(
    ("request_", "official"),
    [
        ({"messages": [user("Hello, Claude")], "system": "You are a scientist"}, 14),
        ({"messages": [user("Hello, Claude")]}, 12),
        ({"messages": [user("Hello, Claude"), assistant("Hello!"), user("Can you describe LLMs to me?")]}, 30),
        ({"messages": [user("What's the weather like in San Francisco?")], "tools": [WEATHER]}, 403),
    ],
)
def test_an_official_count_is_met_nearly(request_: dict[str, Any], official: int) -> None:
    assert abs(tokens(*request_.pop("messages"), **request_) - official) <= max(4, official * 0.12)


WORDS = "many words that nobody counted before " * 20


@pytest.mark.parametrize(
    "longer",
    [
        {"system": WORDS},
        {"system": [text(WORDS)]},
        {"messages": [user(WORDS)]},
        {"messages": [user("Hi"), system(WORDS)]},
        {"messages": [user("Hi"), assistant(call(input={"command": WORDS})), user(result())]},
        {"messages": [user("Hi"), assistant(call()), user(result(content=WORDS))]},
        {"messages": [user("Hi"), assistant(call()), user(result(content=[text(WORDS)]))]},
        {"messages": [user({"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": WORDS}})]},
        {"messages": [user({"type": "document", "source": {"type": "content", "content": WORDS}})]},
        {"messages": [user({"type": "search_result", "source": "s", "title": "t", "content": [text(WORDS)]})]},
        {"messages": [user("Hi"), assistant({"type": "compaction", "content": WORDS})]},
        {
            "messages": [
                user("Hi"),
                assistant({"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"title": WORDS}]}),
            ]
        },
        {"tools": [tool(description=WORDS)]},
        {"tools": [tool(input_schema={"type": "object", "properties": {"a": {"description": WORDS}}})]},
        {"output_config": {"format": {"type": "json_schema", "schema": {"description": WORDS}}}},
    ],
)
def test_whatever_the_model_reads_counts(longer: dict[str, Any]) -> None:
    messages = longer.get("messages", [])
    fields = {key: value for key, value in longer.items() if key != "messages"}
    assert tokens(*messages, **fields) >= count_text(WORDS)


def test_what_the_model_does_not_read_does_not_count() -> None:
    plain = tokens(user("Hi"), assistant("Yes"), user("Go on"))
    thought = {"type": "thinking", "thinking": WORDS, "signature": WORDS}
    sealed = {"type": "redacted_thinking", "data": WORDS}
    assert tokens(user("Hi"), assistant(thought, sealed, text("Yes")), user("Go on")) == plain
    hidden = {"type": "web_search_tool_result", "tool_use_id": "s", "content": [{"encrypted_content": WORDS}]}
    assert tokens(user("Hi"), assistant(hidden, text("Yes")), user("Go on")) < plain + 20


def test_a_deferred_tool_counts_once_it_was_found() -> None:
    found = [user("Hi"), assistant(call()), user(result(content=[{"type": "tool_reference", "tool_name": "get_weather"}]))]
    deferred = tool(defer_loading=True, description=WORDS)
    assert tokens(user("Hi"), tools=[deferred]) == tokens(user("Hi"))
    assert tokens(*found, tools=[deferred]) >= count_text(WORDS)


def test_forced_calls_cost_less_than_free_ones() -> None:
    assert tokens(tools=[tool()], tool_choice={"type": "any"}) < tokens(tools=[tool()])
    assert tokens(tools=[{"type": "bash_20250124", "name": "bash"}]) > tokens(tools=[tool()]) + 200


@pytest.mark.parametrize(
    ("width", "height", "expected"), [(8, 8, 1), (28, 28, 1), (29, 28, 2), (1092, 1092, 39 * 39), (3136, 1568, 56 * 28)]
)
def test_an_image_counts_by_its_pixels(width: int, height: int, expected: int) -> None:
    assert tokens(user(image(data=png(width, height)))) - tokens(user(text("a"))) == expected


def test_an_image_nobody_can_measure_counts_flat() -> None:
    for block in (image(data="!!"), image(data=""), {"type": "image", "source": {"type": "url", "url": "https://e.com"}}):
        assert tokens(user(block)) - tokens(user(text("a"))) == UNKNOWN_IMAGE_TOKENS


@pytest.mark.parametrize("pages", [0, 1, 3])
def test_a_pdf_counts_by_its_pages(pages: int) -> None:
    data = base64.b64encode(b"%PDF-1.4 /Type /Pages" + b" << /Type /Page >>" * pages).decode()
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}
    assert tokens(user(pdf)) - tokens(user(text("a"))) == PDF_PAGE_TOKENS * max(1, pages)
    unseen = {"type": "document", "source": {"type": "file", "file_id": "f"}}
    assert tokens(user(unseen)) - tokens(user(text("a"))) == PDF_PAGE_TOKENS


def test_arguments_of_any_depth_count() -> None:
    deep: Any = WORDS
    for _ in range(900):
        deep = {"a": deep}
    orjson.loads(b"[" * 900 + b"]" * 900)  # so deep a body can be received
    assert tokens(user("Hi"), assistant(call(input=deep)), user(result())) >= count_text(WORDS)
    assert tokens(user("Hi"), assistant({"type": "web_fetch_tool_result", "tool_use_id": "s", "content": deep})) > 100


def test_half_a_pair_in_arguments_counts() -> None:
    assert tokens(user("Hi"), assistant(call(input={"a": "\ud800"})), user(result())) > 0
