"""The doctor against the stand-in: what it finds, what it says, what it writes down."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from simulator.client import Simulator
from tests.integration.gateway import API_KEY, flask_command, running_gateway
from tests.integration.wire import ask

CHAT = "/generateAssistantResponse"
STEPS = ["token", "profile", "models", "usage", "chat"]


def bring(simulator: Simulator, folder: Path, **account: Any) -> dict[str, str]:
    """The environment of a gateway with one login of the stand-in."""
    made = simulator.add_account(**account)
    fields = {"refreshToken": "refresh_token", "clientId": "client_id", "clientSecret": "client_secret"}
    entry = {name: made[field] for name, field in fields.items() if made[field]}
    if made["kind"] == "api_key":
        entry = {"kiroApiKey": made["access_token"]}
    elif made["kind"] == "external_idp":
        entry |= {"authMethod": "external_idp", "tokenEndpoint": made["token_endpoint"], "issuerUrl": made["issuer_url"]}
        entry |= {"scopes": made["scopes"]}
    elif made["kind"] != "social":
        entry |= {"authMethod": "idc", "provider": "BuilderId" if made["kind"] == "builder_id" else "Enterprise"}
    path = folder / "credentials.json"
    path.write_text(json.dumps(entry))
    simulator.clear_calls()
    return {"KIRO_CREDENTIALS_FILE": str(path), "KIRO_UPSTREAM_URL": simulator.url}


def outcomes(printed: str) -> dict[str, str]:
    lines = [line.split() for line in printed.splitlines() if line.startswith(("  ok", "  failed", "  skipped"))]
    return {name: outcome for outcome, name, *_ in lines}


@pytest.mark.parametrize("kind", ["social", "builder_id", "idc", "external_idp", "api_key"])
def test_every_kind_of_login_passes(simulator: Simulator, tmp_path: Path, kind: str) -> None:
    environment = bring(simulator, tmp_path, kind=kind)
    done = flask_command(tmp_path, "doctor", **environment)
    assert outcomes(done.stdout) == dict.fromkeys(STEPS, "ok"), done.stdout + done.stderr
    assert done.returncode == 0
    assert "costs about a hundredth of a credit" in done.stdout.splitlines()[0]
    assert "claude-haiku-4.5 answers 'Hello" in done.stdout


def test_without_chat_nothing_is_paid_for(simulator: Simulator, tmp_path: Path) -> None:
    environment = bring(simulator, tmp_path, kind="social")
    assert outcomes(flask_command(tmp_path, "doctor", "--no-chat", **environment).stdout) == dict.fromkeys(STEPS[:-1], "ok")
    assert simulator.calls(CHAT) == []


def test_an_outdated_version_is_found(simulator: Simulator, tmp_path: Path) -> None:
    environment = bring(simulator, tmp_path, kind="social")
    simulator.options(user_agent_minimum="99", rest_user_agent_minimum="99")
    done = flask_command(tmp_path, "doctor", **environment)
    assert done.returncode == 1
    assert outcomes(done.stdout) == {"token": "ok", "profile": "ok", "models": "failed", "usage": "failed", "chat": "failed"}
    assert done.stdout.count("→ kiro_version or kiro_rest_version is outdated") == 3


def test_the_other_way_of_a_chat_is_tried_and_remembered(simulator: Simulator, tmp_path: Path) -> None:
    environment = bring(simulator, tmp_path, kind="builder_id")
    refused = {"message": "User is not authorized to make this call.", "reason": None}
    simulator.options(rules_off=["profile"])
    simulator.script([{"path": CHAT, "status": 403, "body": refused}])
    done = flask_command(tmp_path, "doctor", **environment)
    assert outcomes(done.stdout)["chat"] == "ok", done.stdout
    assert "without profile ARN" in done.stdout
    sent = [call["body"].get("profileArn") for call in simulator.calls(CHAT)]
    assert sent[0] is not None
    assert sent[1] is None
    flask_command(tmp_path, "doctor", **environment)
    assert simulator.calls(CHAT)[2]["body"].get("profileArn") is None


def test_a_dead_login_says_how_to_bring_it_back(simulator: Simulator, tmp_path: Path) -> None:
    environment = bring(simulator, tmp_path, kind="social")
    simulator.script([{"path": "refresh", "status": 400, "body": {"error": "invalid_grant"}}])
    done = flask_command(tmp_path, "doctor", **environment)
    assert done.returncode == 1
    assert outcomes(done.stdout) == {
        "token": "failed",
        "profile": "ok",
        "models": "skipped",
        "usage": "skipped",
        "chat": "skipped",
    }
    assert "flask --app wsgi login" in done.stdout


def test_a_chat_that_breaks_off_is_not_taken_for_an_answer(simulator: Simulator, tmp_path: Path) -> None:
    environment = bring(simulator, tmp_path, kind="social")
    simulator.script([{"text": "OK OK OK", "cut_after_frames": 2, "how": "close", "times": 0}])
    done = flask_command(tmp_path, "doctor", **environment)
    assert outcomes(done.stdout)["chat"] == "failed"
    assert done.stderr.splitlines()[-1] == "Error: a step failed"


def test_a_bundle_tells_what_happened_and_no_secret(simulator: Simulator, tmp_path: Path) -> None:
    environment = bring(simulator, tmp_path, kind="idc", email="private.person@example.test")
    with running_gateway(tmp_path, upstream_url=simulator.url, **environment) as gateway:
        assert ask(gateway.url).status == 200
    file = tmp_path / "bundle.json"
    done = flask_command(tmp_path, "doctor", "--bundle", str(file), API_KEY=API_KEY, **environment)
    assert done.returncode == 0, done.stdout + done.stderr
    text = file.read_text()
    account = simulator.accounts()[-1]
    for secret in ("refresh_token", "access_token", "client_secret", "client_id"):
        assert account[secret] not in text
    assert API_KEY not in text
    assert "private.person" not in text
    document = json.loads(text)
    assert document["credentials"][0]["name"] == "p…@example.test"
    assert [step["name"] for step in document["steps"]["1"]] == STEPS
    assert document["requests"][0]["status"] == 200
