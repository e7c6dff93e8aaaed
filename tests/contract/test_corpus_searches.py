"""Searches that stand in a history, whatever key their query hides under; searching itself is not offered here yet."""

from __future__ import annotations

from typing import Any

import pytest

from tests.contract.conversations import refused_by, translate, written
from tests.unit.anthropic.bodies import assistant, body, text, user

FORMS: list[dict[str, Any]] = [
    {"query": "rust 2.0"},
    {"q": "rust 2.0"},
    {"search_query": "rust 2.0"},
    {"queries": ["rust 2.0"]},
    {"input": {"query": "rust 2.0"}},
]


@pytest.mark.parametrize("form", FORMS)
def test_row_66_a_search_of_the_history_keeps_its_query_and_what_it_found(form: dict[str, Any]) -> None:
    search = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": form}
    hit = {"type": "web_search_result", "url": "https://example.test/a", "title": "A", "encrypted_content": "EqgfC"}
    found = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": [hit]}
    translation = translate(body(user("Is it out?"), assistant(search, found, text("Yes.")), user("Since when?")))
    sent = written(translation)
    assert refused_by(sent) is None
    assert b"rust 2.0" in sent
    assert b"https://example.test/a" in sent
    assert b"EqgfC" not in sent
