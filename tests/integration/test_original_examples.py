"""What the original's README shows still works, byte for byte as a person would type it."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.integration.gateway import API_KEY, Gateway
from tests.integration.wire import ask

HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello, Claude!"}]
EXAMPLES: dict[str, dict[str, Any]] = {
    "plain": {"model": "claude-sonnet-4-20250514", "max_tokens": 1024, "messages": HELLO},
    "thinking": {
        "model": "claude-sonnet-4-20250514",
        "max_tokens": 16000,
        "thinking": {"type": "enabled", "budget_tokens": 10000},
        "messages": HELLO,
    },
    "tools": {
        "model": "claude-sonnet-4-20250514",
        "max_tokens": 1024,
        "tools": [
            {
                "name": "get_weather",
                "description": "获取指定城市的天气",
                "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
            }
        ],
        "messages": [{"role": "user", "content": "北京的天气？"}],
    },
    "stream": {"model": "claude-sonnet-4-20250514", "max_tokens": 1024, "stream": True, "messages": HELLO},
}


@pytest.mark.parametrize("key_header", ["x-api-key", "authorization"])
@pytest.mark.parametrize("example", EXAMPLES)
def test_every_example_is_answered(gateway: Gateway, example: str, key_header: str) -> None:
    answer = ask(gateway.url, EXAMPLES[example], key=key_header)
    assert answer.status == 200
    if example == "stream":
        assert answer.types[-1] == "message_stop"
    else:
        assert answer.json["type"] == "message"
        assert answer.json["model"] == "claude-sonnet-4-20250514"
    if example == "thinking":
        assert [block["type"] for block in answer.json["content"]] == ["thinking", "text"]


def test_the_curl_of_the_readme_works(gateway: Gateway) -> None:
    assert '"type":"message"' in curl(gateway, f"x-api-key: {API_KEY}", EXAMPLES["plain"])


@pytest.mark.parametrize("name", ["sonnet", "opus", "haiku"])
def test_the_original_s_model_names_are_known(gateway: Gateway, name: str) -> None:
    answer = ask(gateway.url, {**EXAMPLES["plain"], "model": f"claude-{name}-4-5"})
    assert answer.status == 200


def curl(gateway: Gateway, key: str, content: dict[str, Any]) -> str:
    """No version header, as in the README."""
    done = subprocess.run(
        ["curl", "-sS", "--noproxy", "*", f"{gateway.url}/v1/messages", "-H", "Content-Type: application/json", "-H", key,
         "-d", json.dumps(content, ensure_ascii=False)],
        capture_output=True,
        text=True,
        timeout=30,
        check=True,
    )  # fmt: skip
    return done.stdout
