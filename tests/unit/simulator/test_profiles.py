"""Profiles, regions, and logins of an external identity provider."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from simulator.client import Simulator
from tests.unit.simulator.bodies import BEARER_INVALID, Q_EUROPE, RUNTIME, Q, body
from tests.unit.simulator.conftest import Answer, Caller

TARGET = "AmazonCodeWhispererService.ListAvailableProfiles"
CODEWHISPERER = "codewhisperer.us-east-1.amazonaws.com"
GONE = (404, "The requested operation is not recognized by the service.", None, "UnknownOperationException")


def arn(region: str, number: int) -> str:
    return f"arn:aws:codewhisperer:{region}:111122223333:profile/P{number}"


def profiles(caller: Caller, host: str, content: Any = None, **headers: str | None) -> Answer:
    headers = {"content_type": "application/x-amz-json-1.0", "x_amz_target": TARGET, **headers}
    return caller.call("POST", "/", json.dumps(content or {"maxResults": 10}).encode(), host=host, **headers)


def listed(answer: Answer) -> list[str]:
    return [profile["arn"] for profile in answer.json["profiles"]]


@pytest.mark.parametrize(("region", "hosts"), [("us-east-1", (Q, CODEWHISPERER)), ("eu-central-1", (Q_EUROPE,))])
def test_an_organisation_s_login_finds_its_profile_in_one_region(
    region: str, hosts: tuple[str, ...], simulator: Simulator
) -> None:
    caller = Caller(simulator, simulator.add_account(kind="idc", region=region, auth_region="eu-west-1"))
    for host in (Q, Q_EUROPE, CODEWHISPERER):
        assert listed(profiles(caller, host)) == ([caller.account["profile_arn"]] if host in hosts else [])
    [profile] = profiles(caller, hosts[0]).json["profiles"]
    assert profile["profileName"] == f"KiroProfile-{region}"
    assert profile["identityDetails"] == {"ssoIdentityDetails": {"ssoRegion": "eu-west-1"}}


def test_a_builder_id_is_told_that_it_has_none(simulator: Simulator) -> None:
    caller = Caller(simulator, simulator.add_account(kind="builder_id"))
    answer = profiles(caller, Q)
    assert (answer.status, answer.json["__type"]) == (403, "AccessDeniedException")
    assert answer.json["message"] == "AWS Builder ID is not supported for this operation."


def test_many_profiles_come_in_pages(simulator: Simulator) -> None:
    more = [arn("us-east-1", number) for number in range(1, 5)] + [arn("eu-central-1", 9)]
    caller = Caller(simulator, simulator.add_account(kind="idc", profile_arn=arn("us-east-1", 0), more_profile_arns=more))
    found: list[str] = []
    asked: dict[str, Any] = {"maxResults": 2}
    while asked.get("nextToken", "first"):
        page = profiles(caller, Q, asked)
        found += listed(page)
        asked = {"maxResults": 2, "nextToken": page.json["nextToken"]}
    assert found == [arn("us-east-1", number) for number in range(5)]
    assert profiles(caller, Q, {"maxResults": 0}).status == 400
    assert caller.chat(body(arn=arn("us-east-1", 3))).status == 200, "each of them can be used"


def test_profiles_are_listed_by_target_and_content_type(simulator: Simulator) -> None:
    caller = Caller(simulator, simulator.add_account(kind="idc"))
    assert profiles(caller, Q, content_type="application/json").status == 404
    assert profiles(caller, Q, x_amz_target="AmazonCodeWhispererService.ListEverything").status == 404
    assert profiles(caller, Q, authorization="Bearer x").json["__type"] == "AccessDeniedException"
    simulator.script([{"path": "/", "status": 429, "body": {"message": "slow down"}}])
    assert profiles(caller, Q).status == 429


@pytest.mark.parametrize(
    "host",
    [
        "q.ap-southeast-2.amazonaws.com",
        "q.eu-west-1.amazonaws.com",
        "runtime.eu-west-1.kiro.dev",
        "codewhisperer.eu-central-1.amazonaws.com",
    ],
)
def test_the_api_has_no_host_in_another_region(host: str, caller: Caller) -> None:
    caller.simulator.options(check_host=False)
    assert caller.chat(body(), host=host).refusal == GONE


@pytest.mark.parametrize("status", [404, 410])
def test_the_q_hosts_can_be_switched_off(status: int, caller: Caller) -> None:
    caller.simulator.options(q_answers=status)
    assert caller.chat(body()).status == status
    assert caller.chat(body(), host=RUNTIME).status == 200


def test_the_runtime_host_wants_a_profile_from_everybody(simulator: Simulator) -> None:
    caller = Caller(simulator, simulator.add_account(kind="api_key"))
    assert caller.chat(body(arn=None), host=RUNTIME).json["message"] == "profileArn is required for this request."


@pytest.fixture
def external(simulator: Simulator) -> Caller:
    return Caller(simulator, simulator.add_account(kind="external_idp"))


def trade(caller: Caller, token: str | None = None, **changes: str | None) -> Answer:
    url = urlsplit(caller.account["token_endpoint"])
    form = {
        "grant_type": "refresh_token",
        "client_id": caller.account["client_id"],
        "refresh_token": token or caller.account["refresh_token"],
        "scope": caller.account["scopes"],
        **changes,
    }
    content = urlencode({name: value for name, value in form.items() if value is not None}).encode()
    form_type = "application/x-www-form-urlencoded"
    return caller.call("POST", url.path, content, host=url.netloc, authorization=None, content_type=form_type)


def test_an_external_provider_s_login_names_its_token_type(external: Caller) -> None:
    own = external.account["profile_arn"]
    usage = f"/getUsageLimits?origin=AI_EDITOR&profileArn={own}"
    models = f"/ListAvailableModels?origin=AI_EDITOR&profileArn={own}"
    assert external.chat(body(arn=own)).refusal == BEARER_INVALID
    assert external.call("GET", usage).refusal == external.call("GET", models).refusal == BEARER_INVALID
    assert listed(profiles(external, Q)) == [], "and no word about why"
    assert external.chat(body(arn=own), tokentype="EXTERNAL_IDP").status == 200
    assert external.call("GET", usage, tokentype="EXTERNAL_IDP").status == 200
    assert external.call("GET", models, tokentype="external_idp").status == 200
    assert listed(profiles(external, Q, tokentype="EXTERNAL_IDP")) == [own]


def test_nobody_else_names_that_type(caller: Caller) -> None:
    assert caller.chat(body(), tokentype="EXTERNAL_IDP").refusal == BEARER_INVALID
    assert caller.chat(body(), tokentype="SSO_OIDC").status == 200


def test_its_tokens_are_traded_at_its_tenant(external: Caller) -> None:
    first = external.account["refresh_token"]
    traded = trade(external).json
    assert traded["refresh_token"] != first
    assert (traded["expires_in"], traded["token_type"]) == (3600, "Bearer")
    chat = external.chat(
        body(arn=external.account["profile_arn"]), tokentype="EXTERNAL_IDP", authorization=f"Bearer {traded['access_token']}"
    )
    assert chat.status == 200
    assert trade(external, first).json["error"] == "invalid_grant"


def test_a_token_that_stays_can_be_left_out(external: Caller) -> None:
    external.simulator.options(rotate=False)
    assert trade(external).json["refresh_token"] == external.account["refresh_token"]
    external.simulator.options(kept_token_sent=False)
    assert "refresh_token" not in trade(external).json
    assert trade(external).status == 200


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"client_id": "other"}, "unauthorized_client"),
        ({"client_id": None}, "invalid_request"),
        ({"grant_type": None}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"scope": "openid"}, "invalid_scope"),
        ({"refresh_token": "unknown"}, "invalid_grant"),
    ],
)
def test_what_the_provider_refuses_spends_nothing(external: Caller, changes: dict[str, str | None], code: str) -> None:
    answer = trade(external, **changes)
    assert (answer.status, answer.json["error"]) == (400, code)
    assert answer.json["error_description"].startswith("AADSTS")
    assert trade(external, scope=None).status == 200


def test_another_tenant_or_host_knows_nothing_of_it(external: Caller) -> None:
    mine = external.account["token_endpoint"]
    for endpoint, code in (
        ("https://login.microsoftonline.com/other/oauth2/v2.0/token", "invalid_grant"),
        (mine.replace("login.microsoftonline.com", "evil.example"), "invalid_request"),
    ):
        external.account["token_endpoint"] = endpoint
        assert trade(external).json["error"] == code
