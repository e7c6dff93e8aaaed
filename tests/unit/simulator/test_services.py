"""Tokens, gates and the smaller services, as a caller on a real socket sees them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from simulator.accounts import SOCIAL_PROFILE_ARN
from simulator.catalogue import MODELS
from simulator.client import Simulator
from tests.unit.simulator.bodies import BEARER_INVALID, RUNTIME, Q, body
from tests.unit.simulator.conftest import USER_AGENT, Caller

NOT_AUTHORIZED = (403, "User is not authorized to make this call.", None, "AccessDeniedException")
USAGE = "/getUsageLimits?isEmailRequired=true&origin=AI_EDITOR&resourceType=AGENTIC_REQUEST"
MODELS_PATH = "/ListAvailableModels?origin=AI_EDITOR"
ARN = f"&profileArn={SOCIAL_PROFILE_ARN}"


@pytest.mark.parametrize("version", ["0.11.107", "0.9.2", "0.2"])
def test_an_old_client_is_not_authorized(version: str, caller: Caller) -> None:
    old = USER_AGENT.replace("0.12.155", version)
    assert caller.chat(body(), user_agent=old).refusal == NOT_AUTHORIZED
    assert caller.chat(body(), user_agent="python-requests/2.34").refusal == NOT_AUTHORIZED
    caller.simulator.options(user_agent_minimum=version)
    assert caller.chat(body(), user_agent=old).status == 200


@pytest.mark.parametrize("version", ["0.12.0", "0.12.155", "1.1.14"])
def test_a_modern_client_is(version: str, caller: Caller) -> None:
    assert caller.chat(body(), user_agent=USER_AGENT.replace("0.12.155", version)).status == 200


def test_tokens_that_do_not_serve(caller: Caller) -> None:
    expired = caller.simulator.add_account(expires_in=-1)
    for token in ("unknown", expired["access_token"]):
        assert caller.chat(body(), authorization=f"Bearer {token}").refusal == BEARER_INVALID
    assert caller.chat(body(), authorization=None).status == 403
    assert caller.chat(body(), tokentype="API_KEY").refusal == BEARER_INVALID
    assert caller.chat(body(), host="127.0.0.1").json["message"] == "The provided credential is invalid."


def test_an_api_key_is_its_own_token(simulator: Simulator) -> None:
    caller = Caller(simulator, simulator.add_account(kind="api_key", region="eu-central-1"))
    assert caller.account["access_token"].startswith("ksk_")
    europe = "q.eu-central-1.amazonaws.com"
    assert caller.chat(body(arn=None), host=europe).status == 200
    assert caller.chat(body(arn=None), host=europe, tokentype=None).refusal == BEARER_INVALID
    assert caller.chat(body(arn=None), host=Q).refusal == BEARER_INVALID


def test_the_runtime_host_wants_its_target(caller: Caller) -> None:
    assert caller.chat(body(), host=RUNTIME).status == 200
    assert caller.chat(body(), host=RUNTIME, x_amz_target=None).status == 404


@pytest.mark.parametrize("kind", ["social", "builder_id", "idc"])
def test_a_refresh_gives_tokens_and_reuse_ends_them(kind: str, simulator: Simulator) -> None:
    caller = Caller(simulator, simulator.add_account(kind=kind))
    spent = caller.account["refresh_token"]
    answer = caller.refresh(spent)
    assert answer.status == 200
    assert answer.json["expiresIn"] == 3600
    assert answer.json.get("profileArn") == (SOCIAL_PROFILE_ARN if kind == "social" else None)
    bearer = f"Bearer {answer.json['accessToken']}"
    assert caller.chat(body(arn=caller.account["profile_arn"]), authorization=bearer).status == 200
    reused = caller.refresh(spent)
    assert (reused.status, reused.json["error"]) == (400, "invalid_grant")
    assert caller.refresh(answer.json["refreshToken"]).json["error"] == "invalid_grant"
    assert caller.chat(body(arn=caller.account["profile_arn"]), authorization=bearer).refusal == BEARER_INVALID
    assert simulator.account(caller.account["id"])["dead"]


def test_a_wrong_client_is_told_so_and_spends_nothing(simulator: Simulator) -> None:
    caller = Caller(simulator, simulator.add_account(kind="idc"))
    right = caller.account["client_secret"]
    caller.account["client_secret"] = "wrong"
    answer = caller.refresh(caller.account["refresh_token"])
    assert (answer.status, answer.json["error"]) == (401, "invalid_client")
    caller.account["client_secret"] = right
    assert caller.refresh(caller.account["refresh_token"]).status == 200


def test_a_refresh_can_be_scripted(caller: Caller) -> None:
    caller.simulator.script([{"path": "refresh", "status": 500}, {"path": "/refreshToken", "reset_after_rotate": True}])
    first = caller.account["refresh_token"]
    assert caller.refresh(first).status == 500
    with pytest.raises(ConnectionResetError):
        caller.refresh(first)
    assert caller.simulator.account(caller.account["id"])["refreshes"] == 1
    assert caller.refresh(first).json["error"] == "invalid_grant", "the token was spent by the call that got no answer"


def test_usage_grows_with_what_was_answered_until_the_quota(simulator: Simulator) -> None:
    caller = Caller(simulator, simulator.add_account(quota=10, email="me@example.test", plan="free"))
    simulator.script([{"events": [["meteringEvent", {"usage": 10.5}]]}])
    assert caller.chat(body()).status == 200
    usage = caller.call("GET", USAGE + ARN).json
    assert usage["usageBreakdownList"][0]["currentUsageWithPrecision"] == 10.5
    assert usage["subscriptionInfo"]["subscriptionTitle"] == "KIRO FREE"
    assert usage["userInfo"]["email"] == "me@example.test"
    assert usage["nextDateReset"] > 1_700_000_000
    answer = caller.chat(body())
    assert answer.refusal == (402, "You have reached the limit.", "MONTHLY_REQUEST_COUNT", "ServiceQuotaExceededException")


@pytest.mark.parametrize("path", [USAGE, MODELS_PATH])
def test_the_version_decides_about_the_arn_of_a_rest_get(path: str, caller: Caller) -> None:
    old = USER_AGENT.replace("0.12.155", "0.9.2")
    assert caller.call("GET", path).json["message"] == "profileArn is required for this request."
    assert caller.call("GET", path + ARN).status == 200
    assert (
        caller.call("GET", path + "&profileArn=arn:aws:codewhisperer:us-east-1:1:profile/X").json["message"]
        == "Invalid profileArn"
    )
    assert caller.call("GET", path, user_agent=old).status == 200
    assert caller.call("GET", path + ARN, user_agent=old).json["message"] == "Improperly formed request."
    assert caller.call("GET", path, user_agent="KiroIDE-0.8.0-x").refusal == NOT_AUTHORIZED
    assert caller.call("GET", path + ARN, host="q.eu-central-1.amazonaws.com").status == 400
    caller.simulator.options(rest_profile_arn="optional")
    assert caller.call("GET", path).status == caller.call("GET", path + ARN, user_agent=old).status == 200


def models(caller: Caller) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    token, pages = "", 0
    while pages < 10:
        page = caller.call("GET", MODELS_PATH + ARN + token).json
        found += page["models"]
        pages += 1
        if page["nextToken"] is None:
            break
        token = f"&nextToken={page['nextToken']}"
    assert pages > 1, "paging is met by whoever lists"
    return found


def test_all_pages_together_are_the_catalogue(caller: Caller) -> None:
    found = models(caller)
    assert [model["modelId"] for model in found] == [model.id for model in MODELS]
    schemas: dict[str, Any] = {model["modelId"]: model.get("additionalModelRequestFieldsSchema") for model in found}
    assert schemas["claude-opus-5.5"]["properties"]["thinking"]["properties"]["type"]["enum"] == ["adaptive", "disabled"]
    assert schemas["claude-sonnet-4.5"] is None


def test_a_free_plan_lists_no_opus(simulator: Simulator) -> None:
    ids = [model["modelId"] for model in models(Caller(simulator, simulator.add_account(plan="free")))]
    assert "claude-sonnet-5.5" in ids
    assert not [name for name in ids if "opus" in name]


def test_what_does_not_exist_is_404(caller: Caller) -> None:
    assert caller.call("GET", "/generateAssistantResponse").status == 404
    assert caller.call("POST", "/mcp", b"{}").status == 404
    assert caller.call("GET", MODELS_PATH + ARN, host=RUNTIME).status == 404


@pytest.mark.parametrize(
    ("step", "status", "content_type", "content"),
    [
        (
            {"status": 429, "body": {"message": "slow"}, "headers": {"Retry-After": "7"}},
            429,
            "application/json",
            b'{"message": "slow"}',
        ),
        ({"status": 502, "body": "<html>Bad gateway</html>"}, 502, "text/html", b"<html>Bad gateway</html>"),
        ({"json_200": {"__type": "ThrottlingException"}}, 200, "application/json", b'{"__type": "ThrottlingException"}'),
        ({"status": 524, "body": ""}, 524, "text/html", b""),
    ],
)
def test_any_http_answer_can_be_scripted(
    step: dict[str, Any], status: int, content_type: str, content: bytes, caller: Caller
) -> None:
    caller.simulator.script([step])
    answer = caller.chat(body())
    assert (answer.status, answer.headers["content-type"], answer.body) == (status, content_type, content)
    assert answer.headers.get("retry-after") == step.get("headers", {}).get("Retry-After")
    assert caller.chat(body()).status == 200


def test_a_refused_call_uses_no_step_unless_it_is_unchecked(caller: Caller) -> None:
    caller.simulator.script([{"status": 503}])
    assert caller.chat(body(), authorization="Bearer x").status == 403
    assert caller.chat(body()).status == 503
    caller.simulator.script([{"status": 503, "unchecked": True}])
    assert caller.chat(b"", authorization="Bearer x").status == 503


def test_what_was_received_is_recorded(caller: Caller) -> None:
    sent = body("Grüße")
    assert caller.chat(sent, host=RUNTIME).status == 200
    [call] = caller.simulator.calls("/generateAssistantResponse")
    assert call["body"] == sent
    assert (call["host"], call["account"], call["model"]) == (RUNTIME, caller.account["id"], "claude-sonnet-4.5")
    assert call["headers"]["user-agent"] == USER_AGENT
    assert (call["status"], call["ended"], call["client_gone_at"]) == (200, "complete", None)
    assert call["at"] <= call["answered_at"] <= call["ended_at"]
    stats = caller.simulator.stats()
    assert stats["by_path_and_status"] == {"/generateAssistantResponse 200": 1}
    caller.simulator.clear_calls()
    assert caller.simulator.calls() == []
    assert json.dumps(stats)
