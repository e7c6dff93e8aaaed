"""What the real API refuses is refused at the door, in its order: key, path, size, version, JSON, schema, model, sense."""

from __future__ import annotations

import json
import time
import urllib.request
from typing import Any

import pytest

from simulator.client import Simulator
from tests.integration.gateway import Gateway, flask_command
from tests.integration.wire import Client, ask, body


def error(answer: Any) -> tuple[int, str]:
    assert answer.json["request_id"] == answer.headers["request-id"]
    return answer.status, answer.json["error"]["message"]


def test_the_key_comes_first(gateway: Gateway) -> None:
    answer = ask(gateway.url, b"not json", key="x-other")
    assert error(answer) == (401, "x-api-key header is required")
    assert answer.headers["x-should-retry"] == "false"
    assert error(ask(gateway.url, b"not json", authorization="Bearer wrong", key="x-other")) == (401, "Invalid bearer token")


@pytest.mark.parametrize("path", ["/v1/messages/batches", "/v1/files", "/v1/complete", "/v1/nothing"])
def test_what_is_not_offered_is_not_found(gateway: Gateway, path: str) -> None:
    with Client(gateway.url) as client:
        client.post({}, path)
        answer = client.answer()
    assert answer.status == 404
    assert answer.json["error"]["type"] == "not_found_error"


@pytest.mark.parametrize("path", ["/v1/messages?beta=true", "/v1/v1/messages", "/cc/v1/messages"])
def test_every_spelling_of_the_path_is_answered(gateway: Gateway, path: str) -> None:
    with Client(gateway.url) as client:
        client.post(body(), path)
        assert client.answer().status == 200


def test_shape_is_judged_before_the_model(gateway: Gateway) -> None:
    assert error(ask(gateway.url, {"model": "gpt-2", "max_tokens": 1})) == (400, "messages: Field required")
    assert error(ask(gateway.url, body(model="gpt-2"))) == (404, "model: gpt-2")
    assert error(ask(gateway.url, body("", model="gpt-2")))[0] == 404, "and the model before sense"


def test_a_body_that_is_not_json_is_told(gateway: Gateway) -> None:
    status, message = error(ask(gateway.url, b'{"model": '))
    assert status == 400
    assert message.startswith("The request body is not valid JSON: ")


def test_an_unknown_version_is_told(gateway: Gateway) -> None:
    answer = ask(gateway.url, anthropic_version="2024-01-01")
    assert error(answer) == (400, 'anthropic-version: "2024-01-01" is not a valid version')


def test_too_large_a_body_is_told(gateway: Gateway) -> None:
    big = b" " * (33 * 1024 * 1024)
    with Client(gateway.url) as client:
        client.post(b"", content_length=str(len(big)))
        answer = client.answer()
    assert answer.status == 413
    assert answer.json["error"]["type"] == "request_too_large"


def test_threads_are_declined_so_that_tool_runners_go_on(gateway: Gateway) -> None:
    answer = ask(gateway.url, body(thread={"type": "create"}))
    assert answer.status == 400
    assert answer.json["error"]["details"] == {"error_code": "thread_unsupported_request"}


def test_more_output_than_there_is_is_told(gateway: Gateway) -> None:
    answer = ask(gateway.url, body() | {"max_tokens": 200_000})
    assert error(answer) == (
        400,
        "max_tokens: 200000 > 64000, which is the maximum allowed number of output tokens for claude-sonnet-4.5",
    )


@pytest.mark.parametrize("path", ["/", "/api/hello", "/healthz", "/readyz"])
def test_claude_code_s_reachability_check_is_answered(gateway: Gateway, path: str) -> None:
    with urllib.request.urlopen(urllib.request.Request(gateway.url + path, method="HEAD"), timeout=5) as answer:
        assert answer.status == 200
        assert answer.headers["request-id"].startswith("req_")


def test_repairs_are_made_when_asked_for(gateway: Gateway, simulator: Simulator) -> None:
    orphan = {"type": "tool_result", "tool_use_id": "toolu_gone", "content": "sunny"}
    lost = body() | {"messages": [{"role": "user", "content": [orphan]}]}
    status, message = error(ask(gateway.url, lost))
    assert status == 400
    assert message.startswith("messages.0.content.0: unexpected `tool_use_id`")
    assert flask_command(gateway.folder, "settings", "set", "repair_requests", "on").returncode == 0
    try:
        answer = eventually_answered(gateway, lost)
        told = json.dumps(simulator.calls("/generateAssistantResponse")[-1]["body"])
        assert "sunny" in told
        assert answer.status == 200
    finally:
        flask_command(gateway.folder, "settings", "set", "repair_requests", "off")


def eventually_answered(gateway: Gateway, content: Any) -> Any:
    """A changed setting is in force within two seconds."""
    deadline = time.monotonic() + 5
    while (answer := ask(gateway.url, content)).status != 200:
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)
    return answer


@pytest.mark.parametrize("stream", [True, False])
def test_row_70_no_output_wanted_is_none_given(gateway: Gateway, simulator: Simulator, stream: bool) -> None:
    simulator.clear_calls()
    answer = ask(gateway.url, body(stream=stream) | {"max_tokens": 0})
    assert answer.status == 200
    if stream:
        assert answer.types == ["message_start", "message_delta", "message_stop"]
        assert answer.events[1]["delta"]["stop_reason"] == "max_tokens"
    else:
        assert (answer.json["content"], answer.json["stop_reason"]) == ([], "max_tokens")
    assert simulator.calls("/generateAssistantResponse") == [], "Kiro has no prompt cache to fill in advance"
