from __future__ import annotations

from typing import Any

import pytest
from anthropic.lib.streaming._messages import accumulate_event
from anthropic.types import RawMessageStreamEvent
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from app.anthropic.events import StreamEvent
from app.anthropic.message import fold
from app.errors import UpstreamRefused
from app.kiro import events as k
from app.translate.effort import Thinking
from app.translate.response import Debt
from tests.unit.translate.replies import HIDDEN, NATIVE, OMITTED, TAGGED, builder, kiro_events, reply, said, thought, used

EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)
VIEWS = st.sampled_from([HIDDEN, NATIVE, OMITTED, TAGGED])


def _accumulated(stream: list[StreamEvent]) -> dict[str, Any]:
    """What the official SDK makes of the stream, without what it adds."""
    snapshot, arguments = None, {}
    for event in stream:
        if event["type"] != "message_stop":
            snapshot = accumulate_event(event=EVENT.validate_python(event), current_snapshot=snapshot, json_bufs=arguments)
    assert snapshot is not None
    return {key: value for key, value in snapshot.to_dict(mode="json").items() if value is not None}


def _blocks(stream: list[StreamEvent]) -> list[dict[str, Any]]:
    """Each block as its start with its deltas; fails when blocks interleave or are not numbered densely."""
    blocks: list[dict[str, Any]] = []
    is_open = False
    for event in stream:
        if event["type"] == "content_block_start":
            assert not is_open
            assert event["index"] == len(blocks)
            blocks.append({**event["content_block"], "deltas": []})
            is_open = True
        elif event["type"].startswith("content_block"):
            assert is_open
            assert event["index"] == len(blocks) - 1
            if event["type"] == "content_block_stop":
                is_open = False
            else:
                blocks[-1]["deltas"].append(event["delta"])
    assert not is_open
    return blocks


def _signatures(block: dict[str, Any]) -> list[int]:
    return [at for at, delta in enumerate(block["deltas"]) if delta["type"] == "signature_delta"]


@settings(deadline=None, max_examples=250)
@given(kiro_events(), VIEWS)
def test_any_order_of_events_gives_a_well_formed_message(events: list[k.KiroEvent], thinking: Thinking) -> None:
    stream = reply(events, thinking)
    assert [event["type"] for event in stream[:1] + stream[-2:]] == ["message_start", "message_delta", "message_stop"]
    for block in _blocks(stream):
        last = len(block["deltas"]) - 1
        assert _signatures(block) == ([last] if block["type"] == "thinking" else [])
        assert all(next(iter(set(delta.values()) - {delta["type"]}), "") != "" for delta in block["deltas"])


@pytest.mark.filterwarnings("ignore:Pydantic serializer")  # the SDK writes a union it did not parse
@settings(deadline=None, max_examples=250)
@given(kiro_events(), VIEWS)
def test_the_sdk_accumulates_what_the_whole_message_says(events: list[k.KiroEvent], thinking: Thinking) -> None:
    stream = reply(events, thinking)
    message = fold(stream)
    content = _accumulated(stream)["content"]
    # A call that was cut is in the stream, where its end can be seen; a whole message could only pretend.
    complete = [block for at, block in enumerate(content) if block["type"] != "tool_use" or _is_whole(stream, at)]
    assert complete == message["content"]
    if len(complete) < len(content):
        assert message["stop_reason"] != "tool_use"


def _is_whole(stream: list[StreamEvent], index: int) -> bool:
    alone = [event for event in stream if event.get("index", index) == index]
    return bool(fold([{**event, "index": 0} if "index" in event else event for event in alone])["content"])


@settings(deadline=None, max_examples=150)
@given(kiro_events(), VIEWS)
def test_what_was_said_is_never_lost(events: list[k.KiroEvent], thinking: Thinking) -> None:
    if thinking is TAGGED:
        return
    whole = "".join(event.text for event in events if isinstance(event, k.AssistantText))
    blocks = _blocks(reply(events, thinking))
    assert "".join(delta["text"] for block in blocks if block["type"] == "text" for delta in block["deltas"]) == whole


def test_the_example_of_the_protocol_comes_out_as_written() -> None:
    events = [
        said("<thin"),
        said("king>\nNeed ls"),
        said(".\n</thinking>\n\nListing"),
        said(" files."),
        used("tooluse_x1"),
        used("tooluse_x1", '{"command":'),
        used("tooluse_x1", '"ls"}'),
        used("tooluse_x1", stop=True),
        k.ContextUsage(2.5),
    ]
    stream = reply(events, TAGGED)
    assert [block["type"] for block in _blocks(stream)] == ["thinking", "text", "tool_use"]
    message = fold(stream)
    assert message["content"] == [
        {"type": "thinking", "thinking": "Need ls.\n", "signature": "sealed(Need ls.\n|)"},
        {"type": "text", "text": "Listing files."},
        {"type": "tool_use", "id": "toolu_1", "name": "Bash", "input": {"command": "ls"}},
    ]
    assert message["stop_reason"] == "tool_use"
    assert message["usage"]["input_tokens"] + message["usage"]["output_tokens"] == 5_000


def test_a_shortened_name_comes_back_whole() -> None:
    long = "mcp__some_very_long_server_name__some_extremely_long_tool_name_that_overflows"
    events = [used("t", "{}", stop=True, name="mcp__some_very_long_server_name__some_extremely_long_t_fc4a3fbe")]
    assert fold(reply(events, names=[long]))["content"][0]["name"] == long


def test_reasoning_in_the_middle_of_a_call_waits_for_its_end() -> None:
    events = [used("t", '{"a"'), thought("Hm", "s"), used("t", ":1}", stop=True), said("Yes")]
    message = fold(reply(events, NATIVE))
    assert [block["type"] for block in message["content"]] == ["tool_use", "thinking", "text"]
    assert message["content"][0]["input"] == {"a": 1}
    assert message["stop_reason"] == "tool_use"


def test_text_that_waits_for_a_call_is_said_to_its_end() -> None:
    """It looks like the beginning of a tag, for which the splitter would wait for ever."""
    message = fold(reply([used("t", '{"a"'), said("is a <thin")], TAGGED))
    assert message["content"] == [{"type": "text", "text": "is a <thin"}]
    assert message["stop_reason"] == "max_tokens"


def test_a_signature_signs_the_thinking_just_before_it() -> None:
    events = [thought("one"), said("a"), thought(signature="late"), thought("two"), thought(signature="s2"), said("b")]
    signatures = [block["signature"] for block in fold(reply(events, NATIVE))["content"] if block["type"] == "thinking"]
    assert signatures == ["sealed(one|)", "sealed(two|s2)"]


def test_thinking_after_a_signature_is_a_block_of_its_own() -> None:
    events = [thought("one"), thought(signature="s1"), thought("two"), thought(signature="s2")]
    assert [block["signature"] for block in fold(reply(events, NATIVE))["content"]] == ["sealed(one|s1)", "sealed(two|s2)"]


def test_omitted_thinking_is_an_empty_block_with_its_signature() -> None:
    """Upstream's signature is kept only where it signs what the client gets, which is nothing."""
    for events, seal in (([thought("Hm"), thought(signature="s")], "sealed(|)"), ([thought(signature="s")], "sealed(|s)")):
        assert fold(reply([*events, said("Yes")], OMITTED))["content"] == [
            {"type": "thinking", "thinking": "", "signature": seal},
            {"type": "text", "text": "Yes"},
        ]


def test_redacted_thinking_is_sealed() -> None:
    content = fold(reply([thought(redacted="RW0="), said("Yes")], NATIVE))["content"]
    assert content[0] == {"type": "redacted_thinking", "data": "sealed(\x00redacted|RW0=)"}


def test_hidden_thinking_is_counted_and_not_shown() -> None:
    message = fold(reply([thought("Hm, let me think", "s", "RW0="), said("Yes")], count=len))
    assert message["content"] == [{"type": "text", "text": "Yes"}]
    assert message["usage"]["output_tokens_details"] == {"thinking_tokens": 16}


@pytest.mark.parametrize(
    ("events", "reason"),
    [
        ([said("a")], "end_turn"),
        ([], "end_turn"),
        ([used("t", "{}", stop=True)], "tool_use"),
        ([used("t", '{"a', stop=True)], "max_tokens"),
        ([said("a"), k.ContentLengthExceeded()], "max_tokens"),
        ([said("a"), k.ContextUsage(100.0)], "model_context_window_exceeded"),
        ([said("a"), k.Metadata(None, "CONTENT_FILTERED", None)], "refusal"),
        ([said("a"), k.Metadata(None, "PAUSE_TURN", None)], "pause_turn"),
        ([said("a"), k.Metadata(None, "TOOL_USE", None)], "end_turn"),
        ([used("t", "{}", stop=True), k.Metadata(None, "END_TURN", None)], "tool_use"),
        ([said("a"), k.Metadata(None, "NEW_REASON", None)], "end_turn"),
    ],
)
def test_the_reason_is_what_is_certain_first(events: list[k.KiroEvent], reason: str) -> None:
    assert fold(reply(events))["stop_reason"] == reason


def test_a_refusal_says_why_in_words_the_api_knows() -> None:
    for category, told in (("cyber", "cyber"), ("new", None)):
        message = fold(reply([k.Metadata(None, "CONTENT_FILTERED", k.Refusal(category, "no"))]))
        assert message["stop_details"] == {"type": "refusal", "category": told, "explanation": "no"}


def test_a_prompt_that_does_not_fit_is_an_error_and_not_an_answer() -> None:
    with pytest.raises(UpstreamRefused, match="prompt is too long"):
        builder().receive(k.ContentLengthExceeded())


def test_nothing_has_begun_before_the_first_block() -> None:
    building = builder()
    building.start()
    building.receive(k.ContextUsage(1.0))
    building.receive(used("t"))
    assert not building.has_content
    building.receive(used("t", "{"))
    assert building.has_content


def test_text_before_a_demanded_call_waits_for_it() -> None:
    building = builder(owes_call=True)
    assert [*building.receive(said("Let me ")), *building.receive(said("look."))] == []
    stream = [*building.start(), *building.receive(used("t", "{}", stop=True)), *building.finish()]
    assert [block["type"] for block in fold(stream)["content"]] == ["text", "tool_use"]
    assert fold(stream)["content"][0]["text"] == "Let me look."


def test_text_instead_of_a_demanded_call_is_owed_and_then_said() -> None:
    building = builder(owes_call=True)
    building.receive(said("I would rather not."))
    assert building.owes() is Debt.CALL
    assert not building.has_content, "so it can be asked for once more"
    message = fold([*building.start(), *building.finish()])
    assert (message["content"][0]["text"], message["stop_reason"]) == ("I would rather not.", "end_turn")


@pytest.mark.parametrize(
    ("events", "debt"),
    [
        ([], Debt.ANSWER),
        ([thought("Hm")], Debt.ANSWER),
        ([said("\n")], Debt.ANSWER),
        ([said("Fine.")], None),
        ([used("t", "{}", stop=True)], None),
    ],
)
def test_a_tool_s_result_wants_words_or_a_call(events: list[k.KiroEvent], debt: Debt | None) -> None:
    building = builder(owes_answer=True)
    for event in events:
        building.receive(event)
    assert building.owes() is debt
