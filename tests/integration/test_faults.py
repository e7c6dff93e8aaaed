"""Upstream fails in the middle of an answer: half an answer is never passed off as a whole one, streamed or not."""

from __future__ import annotations

from typing import Any

import pytest

from simulator.client import Simulator
from tests.integration.gateway import Gateway
from tests.integration.wire import ask, body

WORDS = "one two three four five six"
# What upstream does after the second word, and the error type the client has to be told.
FAULTS: dict[str, tuple[dict[str, Any], set[str]]] = {
    "1 upstream closes": ({"cut_after_frames": 2, "how": "close"}, {"api_error"}),
    "2 upstream resets": ({"cut_after_frames": 2, "how": "rst"}, {"api_error"}),
    "3 cut inside a frame": ({"cut_after_bytes": 300, "how": "close"}, {"api_error"}),
    "3 cut inside a chunk": ({"cut_after_frames": 2, "how": "inside_chunk"}, {"api_error"}),
    "4 clean end inside a frame": ({"cut_after_frames": 2, "how": "inside_frame"}, {"api_error"}),
    "5 message checksum wrong": ({"corrupt": "message_crc", "at_frame": 2}, {"api_error"}),
    "6 prelude checksum wrong": ({"corrupt": "prelude_crc", "at_frame": 2}, {"api_error"}),
    "7 garbage": ({"corrupt": "garbage", "at_frame": 2}, {"api_error"}),
    "8 length of 2 GiB": ({"corrupt": "huge_length", "at_frame": 2}, {"api_error"}),
    "11 error frame": ({"error_frame": {"code": "InternalError", "message": "broken", "at_frame": 2}}, {"api_error"}),
    "13 event is not JSON": ({"corrupt": "bad_json", "at_frame": 2}, {"api_error"}),
    "13 event of wrong types": ({"corrupt": "wrong_types", "at_frame": 2}, {"api_error"}),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_stream_ends_in_one_error_event(gateway: Gateway, simulator: Simulator, fault: str) -> None:
    step, types = FAULTS[fault]
    simulator.script([{"text": WORDS, "delay_between": 0.05, "times": 0, **step}])
    answer = ask(gateway.url, body(stream=True))
    assert answer.status == 200
    assert answer.ended_properly, "the client must be able to tell an error from a torn connection"
    assert answer.types.count("error") == 1
    assert answer.types[-1] == "error"
    assert not {"message_delta", "message_stop"} & set(answer.types)
    assert answer.events[-1]["error"]["type"] in types
    assert answer.events[-1]["request_id"] == answer.headers["request-id"]
    assert WORDS.startswith(answer.text)
    assert answer.text.startswith("one")
    assert len(simulator.calls("/generateAssistantResponse")) == 1, "nothing is repeated after the first word"


@pytest.mark.parametrize("fault", FAULTS)
def test_a_broken_whole_answer_is_an_error(gateway: Gateway, simulator: Simulator, fault: str) -> None:
    step, types = FAULTS[fault]
    simulator.script([{"text": WORDS, "delay_between": 0.05, "times": 0, **step}])
    answer = ask(gateway.url)
    assert answer.status >= 429
    assert answer.json["type"] == "error"
    assert answer.json["error"]["type"] in types
    assert answer.json["request_id"] == answer.headers["request-id"]


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("fault", FAULTS)
def test_trouble_before_the_first_word_is_tried_again_unseen(
    gateway: Gateway, simulator: Simulator, fault: str, stream: bool
) -> None:
    step, _ = FAULTS[fault]
    at_once: dict[str, Any] = {**step}
    for name in ("exception", "error_frame"):
        if name in at_once:
            at_once[name] = {**at_once[name], "at_frame": 0}
    for name, value in (("cut_after_frames", 0), ("cut_after_bytes", 20), ("at_frame", 0)):
        if name in at_once:
            at_once[name] = value
    simulator.script([{"text": WORDS, **at_once}, {"text": WORDS}])
    answer = ask(gateway.url, body(stream=stream))
    assert answer.status == 200
    if stream:
        assert answer.types.count("message_start") == 1
        assert answer.types[-1] == "message_stop"
        assert answer.text == WORDS
    else:
        assert answer.json["content"] == [{"type": "text", "text": WORDS}]
    assert len(simulator.calls("/generateAssistantResponse")) == 2


@pytest.mark.parametrize("stream", [True, False])
def test_unknown_events_pass_by(gateway: Gateway, simulator: Simulator, stream: bool) -> None:
    simulator.script([{"text": WORDS, "unknown_event": "somethingNewEvent"}])
    answer = ask(gateway.url, body(stream=stream))
    assert answer.status == 200
    assert (answer.text if stream else answer.json["content"][0]["text"]) == WORDS


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_in_disguise_is_an_error(gateway: Gateway, simulator: Simulator, stream: bool) -> None:
    simulator.script([{"json_200": {"__type": "com.amazon#ValidationException", "message": "Improperly formed request."}}])
    answer = ask(gateway.url, body(stream=stream))
    assert answer.status == 400
    assert answer.json["error"]["type"] == "invalid_request_error"
    assert "Improperly formed request." in answer.json["error"]["message"]


def test_a_refused_request_is_not_repeated(gateway: Gateway, simulator: Simulator) -> None:
    simulator.script([{"status": 400, "body": {"message": "Improperly formed request.", "reason": None}, "times": 0}])
    answer = ask(gateway.url)
    assert answer.status == 400
    assert answer.headers["x-should-retry"] == "false"
    assert len(simulator.calls("/generateAssistantResponse")) == 1


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (400, {"message": "Input is too long.", "reason": "CONTENT_LENGTH_EXCEEDS_THRESHOLD"}),
        (413, {"message": "Context limit reached. The conversation exceeds this model's capacity."}),
    ],
)
def test_an_over_long_prompt_is_told_in_the_words_clients_parse(
    gateway: Gateway, simulator: Simulator, status: int, content: dict[str, Any]
) -> None:
    simulator.script([{"status": status, "body": content}])
    answer = ask(gateway.url)
    assert answer.status == 400
    assert answer.json["error"]["message"] == "prompt is too long: 200001 tokens > 200000 maximum"


def test_an_over_long_prompt_told_inside_the_stream_keeps_its_status(gateway: Gateway, simulator: Simulator) -> None:
    simulator.script(
        [{"events": [], "exception": {"type": "ContentLengthExceededException", "message": "too long", "at_frame": 0}}]
    )
    answer = ask(gateway.url, body(stream=True))
    assert answer.status == 400
    assert answer.json["error"]["message"].startswith("prompt is too long: ")
