"""Upstream says that it fails, is busy or has had enough: told to the client, and noted against the credential.

Each test has a gateway of its own, because a credential's health outlives a request.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from simulator.client import Simulator
from tests.integration.gateway import Gateway, flask_command, running_gateway
from tests.integration.wire import Answer, ask, body

WORDS = "one two three four five six"
BROKEN = {"type": "InternalServerException", "message": "broken", "at_frame": 2}
BUSY = {"type": "ThrottlingException", "message": "Too many requests", "reason": "USER_REQUEST_RATE_EXCEEDED", "at_frame": 2}
CHAT = "/generateAssistantResponse"


@pytest.fixture
def own_gateway(simulator: Simulator, tmp_path: Path) -> Iterator[Gateway]:
    """One worker and two credentials, the first of which is asked first."""
    accounts = [simulator.add_account(kind="social"), simulator.add_account(kind="social")]
    entries = [
        {"refreshToken": account["refresh_token"], "accessToken": account["access_token"], "expiresAt": account["expires_at"],
         "email": account["email"], "priority": priority}
        for priority, account in enumerate(accounts)
    ]  # fmt: skip
    path = tmp_path / "credentials.json"
    path.write_text(json.dumps(entries))
    simulator.clear_calls()
    with running_gateway(tmp_path, upstream_url=simulator.url, KIRO_CREDENTIALS_FILE=str(path)) as gateway:
        yield gateway


def records(gateway: Gateway, answer: Answer) -> str:
    """What `requests ID` tells of an answer."""
    done = flask_command(gateway.folder, "requests", answer.headers["request-id"])
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize(("exception", "type_"), [(BROKEN, "api_error"), (BUSY, "rate_limit_error")])
def test_an_exception_frame_in_the_middle_is_told(
    own_gateway: Gateway, simulator: Simulator, exception: dict[str, Any], type_: str, stream: bool
) -> None:
    simulator.script([{"text": WORDS, "delay_between": 0.02, "exception": exception}])
    answer = ask(own_gateway.url, body(stream=stream))
    assert answer.ended_properly
    if stream:
        assert answer.status == 200
        assert answer.types[-1] == "error"
        assert "message_stop" not in answer.types
        assert answer.events[-1]["error"]["type"] == type_
    else:
        assert answer.status in (429, 502)
        assert answer.json["error"]["type"] == type_
    assert len(simulator.calls(CHAT)) == 1


@pytest.mark.parametrize("stream", [True, False])
@pytest.mark.parametrize("exception", [BROKEN, BUSY])
def test_an_exception_frame_before_the_first_word_fails_over_unseen(
    own_gateway: Gateway, simulator: Simulator, exception: dict[str, Any], stream: bool
) -> None:
    simulator.script([{"text": WORDS, "exception": {**exception, "at_frame": 0}}, {"text": WORDS}])
    answer = ask(own_gateway.url, body(stream=stream))
    assert answer.status == 200
    assert (answer.text if stream else answer.json["content"][0]["text"]) == WORDS
    assert len(simulator.calls(CHAT)) == 2


def test_matrix_23_a_failing_upstream_is_asked_three_times_a_credential_and_its_page_stays_there(
    own_gateway: Gateway, simulator: Simulator
) -> None:
    html = {"status": 503, "body": "<html>Service Unavailable</html>", "headers": {"Content-Type": "text/html"}}
    simulator.script([{**html, "status": 500, "times": 3}, {**html, "times": 0}])
    answer = ask(own_gateway.url)  # a stream would have got its first ping meanwhile, and a status with it
    assert answer.status == 502
    assert answer.json["error"]["type"] == "api_error"
    assert "<" not in answer.json["error"]["message"]
    calls = simulator.calls(CHAT)
    assert [call["account"] for call in calls].count(calls[0]["account"]) == 3
    assert len(calls) == 6


def test_a_throttled_credential_rests_and_the_next_one_answers(own_gateway: Gateway, simulator: Simulator) -> None:
    busy = {"message": "Too many requests, please wait before trying again.", "reason": "USER_REQUEST_RATE_EXCEEDED"}
    simulator.script([{"status": 429, "body": busy, "headers": {"Retry-After": "30"}}])
    answers = [ask(own_gateway.url) for _ in range(2)]
    assert [answer.status for answer in answers] == [200, 200]
    first, second, third = [call["account"] for call in simulator.calls(CHAT)]
    assert first != second == third, "the throttled one is left alone in the next request too"
    told = records(own_gateway, answers[0])
    assert "Throttled" in told
    assert "USER_REQUEST_RATE_EXCEEDED" in told or "Too many requests" in told


def test_when_all_are_throttled_the_client_is_told_when_to_come_back(own_gateway: Gateway, simulator: Simulator) -> None:
    busy = {"message": "Too many requests", "reason": "USER_REQUEST_RATE_EXCEEDED", "retryAfterMilliseconds": 20_000}
    simulator.script([{"status": 429, "body": busy, "times": 0}])
    answer = ask(own_gateway.url)
    assert answer.status == 429
    assert answer.json["error"]["type"] == "rate_limit_error"
    assert 1 <= int(answer.headers["retry-after"]) <= 20
    simulator.clear_calls()
    assert ask(own_gateway.url).status == 429
    assert simulator.calls(CHAT) == [], "who rests is not asked"


def test_matrix_21_a_used_up_quota_moves_on(own_gateway: Gateway, simulator: Simulator) -> None:
    simulator.script([{"status": 402, "body": {"message": "You have reached the limit.", "reason": "MONTHLY_REQUEST_COUNT"}}])
    assert [ask(own_gateway.url).status for _ in range(2)] == [200, 200]
    first, second, third = [call["account"] for call in simulator.calls(CHAT)]
    assert first != second == third
    listed = flask_command(own_gateway.folder, "credentials", "list").stdout
    assert "used up until" in listed


def test_a_suspended_account_is_left_to_a_person(own_gateway: Gateway, simulator: Simulator) -> None:
    locked = {"message": "Your User ID (123456789012) temporarily is suspended. We've locked your account.", "reason": None}
    simulator.script([{"status": 403, "body": locked}])
    assert ask(own_gateway.url).status == 200
    assert "suspended by Kiro" in flask_command(own_gateway.folder, "credentials", "list").stdout


@pytest.mark.parametrize("status", [401, 403])
def test_matrix_20_a_refused_token_is_refreshed_once_and_tried_again(
    own_gateway: Gateway, simulator: Simulator, status: int
) -> None:
    invalid = {"message": "The bearer token included in the request is invalid.", "reason": None}
    simulator.script([{"status": status, "body": invalid}])
    assert ask(own_gateway.url).status == 200
    first, second = [call["account"] for call in simulator.calls(CHAT)]
    assert first == second
    assert len(simulator.calls("/refreshToken")) == 1


def test_a_body_error_says_nothing_about_the_credential(own_gateway: Gateway, simulator: Simulator) -> None:
    simulator.script([{"status": 503, "body": {"message": "x", "reason": "TOOL_USE_RESULT_MISMATCH"}, "times": 5}])
    assert [ask(own_gateway.url).status for _ in range(5)] == [400] * 5
    assert len(simulator.calls(CHAT)) == 5
    assert len({call["account"] for call in simulator.calls(CHAT)}) == 1, "the first credential is still the first"


def test_a_request_tells_each_decision_it_took(own_gateway: Gateway, simulator: Simulator) -> None:
    first = simulator.accounts()[-2]["id"]
    busy = {"message": "Too many requests", "reason": "USER_REQUEST_RATE_EXCEEDED"}
    simulator.options(q_answers=410)
    simulator.script([{"status": 429, "body": busy, "account": first}])
    answer = ask(own_gateway.url)
    assert answer.status == 200
    told = [line for line in records(own_gateway, answer).splitlines() if line.startswith("attempt")]
    one, two = (account["email"] for account in simulator.accounts()[-2:])
    gone = "UpstreamError: Kiro answered with an error: This endpoint is no longer available."
    assert [re.sub(r"\[\d+ ms\]$", "[n ms]", " ".join(line.split())) for line in told] == [
        f"attempt 1 credential 1 ({one}), first by priority (0) → {gone} [n ms]",
        f"attempt 2 credential 1 ({one}), first by priority (0); runtime host, with profile ARN → "
        "Throttled: Kiro asks to slow down: Too many requests [n ms]",
        f"attempt 3 credential 2 ({two}), first by priority (1); passed over: 1 was tried → {gone} [n ms]",
        f"attempt 4 credential 2 ({two}), first by priority (1); passed over: 1 was tried; runtime host, with profile ARN → "
        "ok [n ms]",
    ]
