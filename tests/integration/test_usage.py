"""A running gateway looks at its accounts beside the requests; commands do not."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from simulator.client import Simulator
from tests.integration.gateway import Gateway, flask_command, running_gateway
from tests.integration.wire import ask

USAGE, CHAT = "/getUsageLimits", "/generateAssistantResponse"
SUSPENDED = {
    "message": "Your User ID (1) temporarily is suspended. We've locked your account.",
    "reason": "TEMPORARILY_SUSPENDED",
}
LIMIT_REACHED = {"message": "You have reached the limit.", "reason": "MONTHLY_REQUEST_COUNT"}


def bring(folder: Path, *accounts: dict[str, Any], **entry: Any) -> dict[str, Any]:
    """The options of a gateway whose file holds these accounts of the stand-in."""
    fields = {"refreshToken": "refresh_token", "clientId": "client_id", "clientSecret": "client_secret"}
    entries = [{name: each[field] for name, field in fields.items() if each[field]} | entry for each in accounts]
    path = folder / "credentials.json"
    path.write_text(json.dumps(entries))
    return {"KIRO_CREDENTIALS_FILE": str(path)}


def looked_at(simulator: Simulator, account: dict[str, Any], *, times: int = 1) -> None:
    """Until Kiro was asked so often what an account has used."""

    def is_last(_call: dict[str, Any]) -> bool:
        return sum(call["account"] == account["id"] for call in simulator.calls(USAGE)) >= times

    simulator.wait_for_call(is_last, path=USAGE, seconds=20)


def stored_usage(gateway: Gateway) -> str:
    return flask_command(gateway.folder, "usage", "--stored").stdout


def test_of_all_workers_one_looks_at_each_account_once(simulator: Simulator, tmp_path: Path) -> None:
    accounts = [simulator.add_account(kind="social", quota=50.0, used=number + 0.25) for number in range(3)]
    simulator.clear_calls()
    with running_gateway(tmp_path, upstream_url=simulator.url, workers=2, **bring(tmp_path, *accounts)) as gateway:
        looked_at(simulator, accounts[-1])
        shown = stored_usage(gateway)
    assert Counter(call["account"] for call in simulator.calls(USAGE)) == {account["id"]: 1 for account in accounts}
    for number, account in enumerate(accounts):
        assert account["email"] in shown
        assert f"{number}.25" in shown
    assert "looked at all of them last at" in stored_usage(gateway)


def test_a_command_looks_at_nobody_unless_it_is_asked_to(simulator: Simulator, tmp_path: Path) -> None:
    options = bring(tmp_path, simulator.add_account(kind="social"))
    simulator.clear_calls()
    for command in (("credentials", "list"), ("usage", "--stored")):
        done = flask_command(tmp_path, *command, KIRO_UPSTREAM_URL=simulator.url, **options)
        assert done.returncode == 0, done.stderr
    assert simulator.calls() == []
    done = flask_command(tmp_path, "usage", KIRO_UPSTREAM_URL=simulator.url, **options)
    assert "KIRO PRO" in done.stdout
    assert len(simulator.calls(USAGE)) == 1


def test_a_used_up_quota_is_looked_at_soon(simulator: Simulator, tmp_path: Path) -> None:
    account = simulator.add_account(kind="social")
    simulator.clear_calls()
    with running_gateway(tmp_path, upstream_url=simulator.url, **bring(tmp_path, account)) as gateway:
        looked_at(simulator, account)
        simulator.script([{"status": 402, "body": LIMIT_REACHED}])
        assert ask(gateway.url).status == 429
        looked_at(simulator, account, times=2)
        assert ask(gateway.url).status == 429, "Kiro's numbers lag behind its refusals"


def test_a_suspension_is_found_before_a_request_meets_it(simulator: Simulator, tmp_path: Path) -> None:
    account = simulator.add_account(kind="social")
    simulator.clear_calls()
    simulator.script([{"path": USAGE, "status": 403, "body": SUSPENDED, "times": 0}])
    with running_gateway(tmp_path, upstream_url=simulator.url, **bring(tmp_path, account)) as gateway:
        looked_at(simulator, account)
        simulator.wait_for_call(lambda call: call["ended"] == "complete", path=USAGE)
        answer = ask(gateway.url)
    assert answer.status == 503
    assert "suspended" in answer.json["error"]["message"]
    assert simulator.calls(CHAT) == []


def test_a_look_that_is_refused_harms_no_request(simulator: Simulator, tmp_path: Path) -> None:
    account = simulator.add_account(kind="social")
    simulator.clear_calls()
    simulator.script([{"path": USAGE, "status": 429, "body": {"message": "Too many requests"}, "times": 0}])
    with running_gateway(tmp_path, upstream_url=simulator.url, workers=2, **bring(tmp_path, account)) as gateway:
        looked_at(simulator, account)
        assert [ask(gateway.url).status for _ in range(4)] == [200] * 4
    assert len(simulator.calls(USAGE)) == 1, "a throttle is left alone by every worker"


@pytest.mark.parametrize("region", ["us-east-1", "eu-central-1"])
def test_an_organisation_s_first_request_finds_its_profile(simulator: Simulator, tmp_path: Path, region: str) -> None:
    account = simulator.add_account(kind="idc", region=region)
    options = bring(tmp_path, account, authMethod="idc", provider="Enterprise", region="us-east-1")
    simulator.clear_calls()
    with running_gateway(tmp_path, upstream_url=simulator.url, **options) as gateway:
        assert ask(gateway.url).status == 200
    (chat,) = simulator.calls(CHAT)
    assert chat["body"]["profileArn"] == account["profile_arn"]
    assert chat["headers"]["host"] == f"q.{region}.amazonaws.com"
