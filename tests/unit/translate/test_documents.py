from __future__ import annotations

from typing import Any

import pytest

from app.anthropic import blocks as b
from app.translate.documents import document_frame, readable, search_result_text, server_call_text, server_result_text


def document(**fields: Any) -> b.DocumentBlock:
    source = {"type": "text", "media_type": "text/plain", "data": "x"}
    return b.DocumentBlock.model_validate({"type": "document", "source": source, **fields})


def test_a_frame_names_title_and_context_only_where_they_are() -> None:
    assert document_frame(document()) == ("<document>", "</document>")
    assert document_frame(document(title="T", context="old")) == ('<document title="T">\nold', "</document>")


def test_a_search_result_keeps_source_and_title() -> None:
    content = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    block = b.SearchResultBlock.model_validate({"type": "search_result", "source": "s", "title": "t", "content": content})
    assert search_result_text(block) == '<search_result source="s" title="t">\na\nb\n</search_result>'


def test_a_call_at_anthropic_shows_its_arguments() -> None:
    call = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"query": "é"}}
    assert server_call_text(b.ServerToolUseBlock.model_validate(call)) == '<web_search_call>{"query":"é"}</web_search_call>'


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([{"type": "web_search_result", "url": "u", "title": None, "encrypted_content": "SEALED"}], "untitled: u"),
        ({"type": "web_search_tool_result_error", "error_code": "unavailable"}, '{"error_code":"unavailable"}'),
        ([], ""),
        ("plain", "plain"),
    ],
)
def test_a_result_from_anthropic_says_what_can_be_read(content: Any, said: str) -> None:
    block = b.WebSearchToolResultBlock.model_validate(
        {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": content}
    )
    assert server_result_text(block) == f"<web_search_result>\n{said}\n</web_search_result>"


def test_a_result_of_an_mcp_server_is_framed_as_one() -> None:
    block = b.McpToolResultBlock.model_validate({"type": "mcp_tool_result", "tool_use_id": "m", "content": "ok"})
    assert server_result_text(block) == "<mcp_result>\nok\n</mcp_result>"


def test_sealed_parts_are_left_out_at_every_depth() -> None:
    assert readable([{"encrypted_content": "x", "a": {"encrypted_index": "y", "b": None}}]) == '[{"a":{"b":null}}]'
