from __future__ import annotations

import base64
import struct
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.anthropic import token_count
from app.anthropic.token_count import (
    CLAUDE_3,
    CLAUDE_4_7,
    CLAUDE_4_8,
    PDF_PAGE_TOKENS,
    UNKNOWN_IMAGE_TOKENS,
    Family,
    count_request,
    family_of,
    image_tokens,
    what_is_read,
)
from app.anthropic.tokenizer import Tokenizer, parse_vocabulary
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


def exact(*messages: Any, model: str, **fields: Any) -> int:
    """With the vocabulary of the model."""
    request = count(*messages, model=model, **fields)
    family = family_of(model)
    data = (Path(token_count.__file__).parent / "vocabulary" / f"{family.vocabulary}.json.xz").read_bytes()
    tokenizer = Tokenizer(parse_vocabulary(data))
    reading = what_is_read(request, family)
    texts = sum(map(tokenizer.count, reading.texts)) + sum(tokenizer.count(text, begins=False) for text in reading.further)
    return reading.tokens + texts


@pytest.mark.parametrize(
    ("request_", "official", "tolerance"),
    [
        ({"messages": [user("Hello, Claude")], "system": "You are a scientist"}, 14, 0),
        ({"messages": [user("Hello, world")]}, 10, 0),
        ({"messages": [user("Hello, Claude"), assistant("Hello!"), user("Can you describe LLMs to me?")]}, 30, 1),
        (
            {
                "messages": [
                    user("What is latin for Ant? (A) Apoidea, (B) Rhopalocera, (C) Formicidae"),
                    assistant("The answer is ("),
                ]
            },
            42,
            1,
        ),
        ({"messages": [user("What's the weather like in San Francisco?")], "tools": [WEATHER]}, 403, 403 * 0.03),
    ],
)
def test_an_official_count_is_met(request_: dict[str, Any], official: int, tolerance: float) -> None:
    assert abs(exact(*request_.pop("messages"), model="claude-sonnet-4-5", **request_) - official) <= tolerance


@pytest.mark.parametrize(("model", "expected"), [("claude-opus-4-6", 14), ("claude-opus-4-7", 24), ("claude-opus-4-8", 19)])
def test_each_family_has_a_frame_of_its_own(model: str, expected: int) -> None:
    assert exact(user("Hello, Claude"), system="You are a scientist", model=model) == expected


@pytest.mark.parametrize(
    ("models", "family"),
    [
        (["claude-3-5-sonnet-20241022"], CLAUDE_3),
        (["claude-sonnet-4-20250514"], CLAUDE_3),
        (["claude-opus-4.6"], CLAUDE_3),
        (["us.anthropic.claude-opus-4-7-v1:0"], CLAUDE_4_7),
        (["claude-opus-4.7"], CLAUDE_4_7),
        (["claude-opus-4-8"], CLAUDE_4_8),
        (["claude-opus-5-5"], CLAUDE_4_8),
        (["claude-sonnet-5"], CLAUDE_4_8),
        (["sonnet", "claude-sonnet-4.5"], CLAUDE_3),
        (["claude-opus-4-7", "claude-opus-4.5"], CLAUDE_4_7),
        (["auto"], CLAUDE_4_8),
        ([], CLAUDE_4_8),
    ],
)
def test_a_model_s_id_says_its_family(models: list[str], family: Family) -> None:
    assert family_of(*models) is family


def test_a_turn_of_several_texts_counts_like_one_text() -> None:
    lines = [f"line {at} (of a text)\n" for at in range(40)]
    whole = exact(user("".join(lines)), model="claude-opus-5")
    assert exact(user(*map(text, lines)), model="claude-opus-5") == whole


def test_line_ends_at_the_very_end_are_free() -> None:
    assert exact(user("Hi\n\n"), model="claude-opus-5") == exact(user("Hi"), model="claude-opus-5")
    turns = [user("Hi\n\n"), assistant("Yes"), user("Go on")]
    assert exact(*turns, model="claude-opus-5") == exact(user("Hi"), *turns[1:], model="claude-opus-5") + 1


WORDS = "many words that nobody counted before " * 20
MANY = 120  # what they are at least


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
    assert tokens(*messages, **fields) >= MANY


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
    assert tokens(*found, tools=[deferred]) >= MANY


def test_forced_calls_cost_less_than_free_ones() -> None:
    assert tokens(tools=[tool()], tool_choice={"type": "any"}) < tokens(tools=[tool()])
    assert tokens(tools=[{"type": "bash_20250124", "name": "bash"}]) > tokens(tools=[tool()]) + 200


@pytest.mark.parametrize(
    ("width", "height", "older", "newer"),
    [
        (8, 8, 1, 1),
        (28, 28, 1, 1),
        (29, 28, 2, 2),
        (200, 200, 64, 64),
        (1000, 1000, 1296, 1296),
        (1092, 1092, 1521, 1521),
        (1920, 1080, 1560, 2691),
        (3840, 2160, 1560, 4784),
        (4000, 3000, 1564, 4740),
        (100_000, 1, 56, 92),
    ],
)
def test_an_image_counts_by_its_pixels(width: int, height: int, older: int, newer: int) -> None:
    for family, expected in ((CLAUDE_3, older), (CLAUDE_4_7, newer), (CLAUDE_4_8, newer)):
        request = count(user(image(data=png(width, height)), text("a")))
        without = count(user(text("a")))
        assert count_request(request, family) - count_request(without, family) == expected


@given(st.integers(1, 20_000), st.integers(1, 20_000))
def test_an_image_never_costs_more_than_its_family_allows(width: int, height: int) -> None:
    for family in (CLAUDE_3, CLAUDE_4_8):
        assert 1 <= image_tokens(width, height, family) <= family.image_tokens


def test_an_image_nobody_can_measure_counts_flat() -> None:
    for block in (image(data="!!"), image(data=""), {"type": "image", "source": {"type": "url", "url": "https://e.com"}}):
        assert tokens(user(block, text("a"))) - tokens(user(text("a"))) == UNKNOWN_IMAGE_TOKENS


@pytest.mark.parametrize("pages", [0, 1, 3])
def test_a_pdf_counts_by_its_pages(pages: int) -> None:
    data = base64.b64encode(b"%PDF-1.4 /Type /Pages" + b" << /Type /Page >>" * pages).decode()
    pdf = {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": data}}
    assert tokens(user(pdf, text("a"))) - tokens(user(text("a"))) == PDF_PAGE_TOKENS * max(1, pages)
    unseen = {"type": "document", "source": {"type": "file", "file_id": "f"}}
    assert tokens(user(unseen, text("a"))) - tokens(user(text("a"))) == PDF_PAGE_TOKENS


def test_arguments_of_any_depth_count() -> None:
    deep: Any = WORDS
    for _ in range(900):
        deep = {"a": deep}
    orjson.loads(b"[" * 900 + b"]" * 900)  # so deep a body can be received
    assert tokens(user("Hi"), assistant(call(input=deep)), user(result())) >= MANY
    assert tokens(user("Hi"), assistant({"type": "web_fetch_tool_result", "tool_use_id": "s", "content": deep})) > 100


def test_half_a_pair_in_arguments_counts() -> None:
    assert tokens(user("Hi"), assistant(call(input={"a": "\ud800"})), user(result())) > 0
