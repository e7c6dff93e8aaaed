from __future__ import annotations

import time
from typing import Any

import orjson

from app.anthropic import events as e
from app.anthropic.request import parse_message_request
from app.anthropic.sse import encode
from app.anthropic.token_count import CLAUDE_4_8, what_is_read
from tests.unit.anthropic.bodies import NEW, assistant, body, call, result, text, tool, user


def _large_body() -> Any:
    """1 MB: 200 turns, 50 tools."""
    messages = []
    for turn in range(100):
        answers = [result(f"toolu_{turn - 1}", content=[text("r" * 3000)], is_error=False)] if turn else []
        messages.append(user(*answers, text("x" * 2000)))
        thought = {"type": "thinking", "thinking": "h" * 300, "signature": "s" * 300}
        messages.append(assistant(thought, text("y" * 1000), call(f"toolu_{turn}", input={"command": "ls " * 300})))
    messages.append(user(result("toolu_99")))
    schema = {"type": "object", "properties": {f"p{at}": {"type": "string", "description": "e" * 80} for at in range(12)}}
    tools = [tool(f"tool_{at}", description="d" * 3000, input_schema=schema) for at in range(50)]
    return orjson.loads(orjson.dumps(body(*messages, tools=tools, system="s" * 20_000, stream=True)))


def _best_cpu_seconds(work: Any) -> float:
    best = 60.0
    for _ in range(7):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return best


def test_a_large_request_is_parsed_and_taken_apart_in_time() -> None:
    raw = _large_body()
    assert len(orjson.dumps(raw)) > 900_000
    assert _best_cpu_seconds(lambda: parse_message_request(raw, version=NEW)) < 0.010
    request = parse_message_request(raw, version=NEW)
    assert _best_cpu_seconds(lambda: what_is_read(request, CLAUDE_4_8)) < 0.005


def test_a_delta_is_written_in_time() -> None:
    delta = e.text_delta(0, "a few words of text")

    def ten_thousand() -> None:
        for _ in range(10_000):
            encode(delta)

    assert _best_cpu_seconds(ten_thousand) < 10_000 * 2e-6
