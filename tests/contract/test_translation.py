"""Whatever the real API takes, the strict stand-in for Kiro takes from us, always as the same bytes; and no rule is idle."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import time
from collections import Counter
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.anthropic.request import parse_message_request
from app.translate.rules import CHOICES, RULES
from simulator.validation import ALL_RULES
from tests.contract.conversations import (
    NEW,
    OLD,
    PIXELS,
    conversations,
    kinds_in,
    refused_by,
    translate,
    translate_parsed,
    written,
)
from tests.unit.anthropic.bodies import assistant, body, call, image, result, system, text, tool, user
from tests.unit.anthropic.test_performance import _large_body

EXAMPLES = int(os.environ.get("KIRO_EXAMPLES", "500"))
ENOUGH = 5_000
EACH = 50
SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])

BLOCKS = frozenset(
    "text image document search_result container_upload tool_use tool_result tool_reference browser_state thinking "
    "redacted_thinking server_tool_use web_search_tool_result web_fetch_tool_result code_execution_tool_result "
    "bash_code_execution_tool_result text_editor_code_execution_tool_result tool_search_tool_result advisor_tool_result "
    "mcp_tool_use mcp_tool_result mcp_tool_listing compaction fallback tool_addition tool_removal".split()
)


def test_every_valid_conversation_is_accepted() -> None:
    seen: Counter[str] = Counter()

    @settings(SLOW, max_examples=EXAMPLES)
    @given(conversations(), st.sampled_from([OLD, NEW]))
    def accepted(raw: dict[str, Any], version: str) -> None:
        seen.update(kinds_in(raw["messages"]))
        translation = translate(raw, version=version)
        assert refused_by(written(translation)) is None, translation.rules

    accepted()
    assert seen.keys() >= BLOCKS
    if EXAMPLES >= ENOUGH:
        rare = {kind: seen[kind] for kind in BLOCKS if seen[kind] < EACH}
        assert not rare, f"too few of {rare}"


# --- no rule is idle ------------------------------------------------------------------------------------------------------

LOOP = (user("Hi"), assistant(call(name="Bash")), user(result(content="a.txt")))
BASH = [tool("Bash", description="Runs a command")]
LONG = "mcp__plugin_marketplace_some_very_long_server_name__some_extremely_long_tool_name"

NEEDED: dict[str, dict[str, Any]] = {
    "system_reminder": body(user("Hi"), system("Be brief.")),
    "empty_text": body(system=[text(" ")]),
    "merge_turns": body(user("Hi"), user("there")),
    "user_first": body(assistant("Hello"), user("Hi")),
    "prefill": body(user("Hi"), assistant("{")),
    "empty_user": body(user(image(data=PIXELS["png"]))),
    "empty_assistant": body(*LOOP, tools=BASH),
    "call_id": body(*LOOP, assistant(call(name="Bash")), user(result()), tools=BASH),
    "duplicate_call": body(user("Hi"), assistant(call(name="Bash"), call(name="Bash")), user(result()), tools=BASH),
    "duplicate_result": body(user("Hi"), assistant(call(name="Bash")), user(result(), result()), tools=BASH),
    "orphan_result": body(user(result(content="a.txt")), tools=BASH),
    "unanswered_call": body(user("Hi"), assistant(call(name="Bash")), user("Never mind"), tools=BASH),
    "call_input": body(user("Hi"), assistant(call(name="Bash", input={"": 1})), user(result()), tools=BASH),
    "tool_stub": body(*LOOP),
    "tool_name": body(tools=[tool(LONG, description="Long")]),
    "duplicate_tool": body(tools=[*BASH, *BASH]),
    "tool_description": body(tools=[tool("Bash")]),
    "long_description": body(tools=[tool("Bash", description="long " * 2100)]),
    "tool_schema": body(tools=[tool("Bash", description="Runs", input_schema={"anyOf": [{"type": "object"}]})]),
    "image_format": body(user(text(), image(data=PIXELS["gif"]))),
}


def test_every_rule_has_a_case() -> None:
    assert NEEDED.keys() == RULES.keys()
    assert not RULES.keys() & CHOICES.keys()


@pytest.mark.parametrize("rule", RULES)
def test_without_the_rule_the_request_is_refused(rule: str) -> None:
    with_all = translate(NEEDED[rule], repair=True)
    assert rule in with_all.rules
    assert refused_by(written(with_all)) is None
    without = translate(NEEDED[rule], repair=True, rules_off=[rule])
    assert rule not in without.rules
    assert refused_by(written(without)) in ALL_RULES


def test_a_rule_that_does_not_exist_cannot_be_left_out() -> None:
    with pytest.raises(KeyError, match="no such rules"):
        translate(body(), rules_off=["billing_line"])


# --- always the same bytes ------------------------------------------------------------------------------------------------

IN_ANOTHER_PROCESS = """
import hashlib, sys
import orjson
from tests.contract.conversations import translate, written
for line in sys.stdin.buffer:
    print(hashlib.sha256(written(translate(orjson.loads(line), repair=True))).hexdigest())
"""


def test_another_process_writes_the_same_bytes() -> None:
    bodies: list[Any] = list(NEEDED.values())

    @settings(SLOW, max_examples=40, derandomize=True, database=None)
    @given(conversations())
    def collect(raw: dict[str, Any]) -> None:
        bodies.append(raw)

    collect()
    here = [hashlib.sha256(written(translate(raw, repair=True))).hexdigest() for raw in bodies]
    for seed in ("1", "2"):
        found = subprocess.run(
            [sys.executable, "-c", IN_ANOTHER_PROCESS],
            input=b"\n".join(map(orjson.dumps, bodies)),
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            capture_output=True,
            check=True,
        )
        assert found.stdout.decode().split() == here


def _history(raw: dict[str, Any]) -> tuple[list[bytes], bytes]:
    """The written entries of the history, and the written tools."""
    state = translate(raw).kiro.conversation_state
    tools = state["currentMessage"]["userInputMessage"]["userInputMessageContext"].get("tools")
    return [orjson.dumps(entry) for entry in state.get("history", [])], orjson.dumps(tools)


def _grown(raw: dict[str, Any], *more: dict[str, Any], **fields: Any) -> dict[str, Any]:
    messages = raw["messages"][:-1] if raw["messages"][-1]["role"] == "assistant" else raw["messages"]
    return {**raw, "messages": [*messages, *more], **fields}


@settings(SLOW, max_examples=150)
@given(conversations())
def test_a_new_turn_leaves_what_was_sent_as_it_was(raw: dict[str, Any]) -> None:
    before, tools = _history(_grown(raw))
    after, same_tools = _history(_grown(raw, assistant("Fine."), user("And now?")))
    assert after[: len(before)] == before
    assert same_tools == tools


# What changes the beginning on purpose: `tool_choice` none withholds the tools, and where a model has no field for thinking the
# wish for it stands in the system text; the real API's cache does not survive a change of either.
@settings(SLOW, max_examples=150)
@given(
    conversations(),
    st.sampled_from([{"type": "auto", "disable_parallel_tool_use": True}, {"type": "any"}, None]),
    st.sampled_from(["low", "max"]),
)
def test_settings_of_the_newest_turn_leave_what_was_sent_as_it_was(raw: dict[str, Any], choice: Any, effort: str) -> None:
    raw = {**raw, "model": "claude-opus-5", "tool_choice": None}
    before, tools = _history(_grown(raw))
    new = [assistant("Fine."), user("And now?"), system("Be brief.")]
    thinking = None if choice == {"type": "any"} else {"type": "adaptive"}
    config = {"effort": effort}
    after, same_tools = _history(_grown(raw, *new, tool_choice=choice, thinking=thinking, output_config=config))
    assert after[: len(before)] == before
    assert same_tools == tools


def test_a_deferred_tool_that_is_loaded_renames_no_other() -> None:
    declared = [tool("Read", description="d", defer_loading=True), tool("read", description="d")]
    names = [translate(body(user(text(), *more), tools=declared)).tool_names.to_kiro("read") for more in ((), (text("x"),))]
    loaded = translate(
        body(user("Hi"), assistant(call(name="read")), user(result(content=[{"type": "tool_reference", "tool_name": "Read"}])),
             tools=declared)
    )  # fmt: skip
    assert {*names, loaded.tool_names.to_kiro("read")} == {names[0]}


# --- in time --------------------------------------------------------------------------------------------------------------


def test_a_large_request_is_translated_in_time() -> None:
    raw = {**_large_body(), "model": "claude-opus-5"}
    assert len(orjson.dumps(raw)) > 900_000
    seconds = []
    for _ in range(5):
        began = time.process_time()
        body_ = written(translate_parsed(parse_message_request(raw, version=NEW)))
        seconds.append(time.process_time() - began)
    assert min(seconds) < 0.025
    assert refused_by(body_) is None


# --- at the limit ---------------------------------------------------------------------------------------------------------


def test_the_deepest_json_that_is_read_can_be_written() -> None:
    deep: Any = None
    for _ in range(120):
        deep = {"a": [deep]} if isinstance(deep, list) else {"a": deep}
    declared = tool("Bash", description="d", input_schema={"type": "object", "properties": {"x": {"enum": [deep]}}})
    example = {**declared, "name": "Read", "input_examples": [deep]}
    raw = body(user("Hi"), assistant(call(name="Bash", input=deep)), user(result()), tools=[declared, example])
    raw["tools"][0]["input_schema"]["properties"]["x"]["enum"] = [deep["a"]["a"]["a"]]
    assert refused_by(written(translate(raw))) is None
