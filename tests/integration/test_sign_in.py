"""From an empty database to an answered chat: signing in at the command line, and logins of an external provider."""

from __future__ import annotations

import itertools
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from simulator.client import Simulator
from tests.integration.gateway import ROOT, clean_environment, flask_command, running_gateway
from tests.integration.wire import ask

TOKEN, DEVICE = "/token", "/device_authorization"
SECONDS = 30.0

BEGIN = """
from wsgi import app
from app.credentials.login import Wishes
from app.services import services
with app.app_context():
    print(services().logins.start(Wishes(method="builder_id")).id)
"""
# Steps as fast as it can until the sign-in is over.
STEP = """
import sys, time
from wsgi import app
from app.credentials.login_flow import Status
from app.services import services
with app.app_context():
    logins, end = services().logins, time.monotonic() + 20
    while (flow := logins.step(sys.argv[1])).status is Status.WAITING and time.monotonic() < end:
        time.sleep(0.01)
    print(flow.status, flow.credential_id)
"""
STORE = """
import json, sys
from wsgi import app
from app.credentials.credential import Login
from app.services import services
with app.app_context():
    print(services().store.add(Login(kind="external_idp", **json.loads(sys.argv[1]))))
"""


def start(folder: Path, simulator: Simulator, *arguments: str) -> subprocess.Popen[str]:
    """A process on the folder's database whose way to Kiro leads to the stand-in."""
    return subprocess.Popen(
        [sys.executable, *arguments],
        cwd=ROOT,
        env=clean_environment(
            DB_PATH=str(folder / "data.db"), KIRO_UPSTREAM_URL=simulator.url, PYTHONUNBUFFERED="1", LOG_LEVEL="WARNING"
        ),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def sign_in(folder: Path, simulator: Simulator, *arguments: str) -> subprocess.Popen[str]:
    return start(folder, simulator, "-m", "flask", "--app", "wsgi", "login", *arguments)


def output(process: subprocess.Popen[str], typed: str = "") -> str:
    """All that is still to come, when it ended well."""
    out, err = process.communicate(typed, timeout=SECONDS)
    assert process.returncode == 0, err
    return out


def line_with(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line.strip()
    raise AssertionError(f"it never printed {text}")


def chat_is_answered(folder: Path, simulator: Simulator) -> bool:
    with running_gateway(folder, upstream_url=simulator.url) as gateway:
        return ask(gateway.url).status == 200


def approved(folder: Path, simulator: Simulator, kind: str, *arguments: str) -> str:
    """Sign in with a code that the person uses after a while; what the command says at the end."""
    account = simulator.add_account(kind=kind)
    simulator.clear_calls()
    process = sign_in(folder, simulator, *arguments)
    code = line_with(process, "?user_code=").split("?user_code=")[1]
    simulator.wait_for_call(lambda call: call["refused_by"] == "authorization_pending", path=TOKEN, seconds=SECONDS)
    simulator.approve(code, account=account["id"])
    return output(process)


def test_a_builder_id_leads_to_an_answer(simulator: Simulator, tmp_path: Path) -> None:
    assert "credential 1 is stored" in approved(tmp_path, simulator, "builder_id", "builder-id")
    assert chat_is_answered(tmp_path, simulator)


def test_an_identity_center_leads_to_an_answer(simulator: Simulator, tmp_path: Path) -> None:
    where = ("--start-url", "https://acme.awsapps.com/start", "--region", "eu-west-1")
    assert "credential 1 is stored" in approved(tmp_path, simulator, "idc", "idc", *where)
    assert {call["host"] for call in simulator.calls(TOKEN)} == {"oidc.eu-west-1.amazonaws.com"}
    assert "eu-west-1" in flask_command(tmp_path, "credentials", "list").stdout
    assert chat_is_answered(tmp_path, simulator), "its profile is found first"


def test_a_pasted_address_leads_to_an_answer(simulator: Simulator, tmp_path: Path) -> None:
    process = sign_in(tmp_path, simulator, "social", "--provider", "github")
    landed = simulator.browse(line_with(process, "/login?"))
    assert "credential 1 is stored" in output(process, f"{landed}\n")
    assert chat_is_answered(tmp_path, simulator)


def test_an_interrupt_leaves_nothing_behind(simulator: Simulator, tmp_path: Path) -> None:
    process = sign_in(tmp_path, simulator, "builder-id")
    line_with(process, "Waiting for you")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert err.splitlines()[-1] == "Error: the sign-in was given up, nothing is stored"
    assert "Traceback" not in err
    assert "KeyboardInterrupt" not in err
    assert "No Kiro credential is stored" in flask_command(tmp_path, "credentials", "list").stdout


def test_two_processes_ask_once_per_interval(simulator: Simulator, tmp_path: Path) -> None:
    id_ = output(start(tmp_path, simulator, "-c", BEGIN)).strip()
    began_at = simulator.calls(DEVICE)[-1]["answered_at"]
    both = [start(tmp_path, simulator, "-c", STEP, id_) for _ in range(2)]
    simulator.wait_for_call(lambda _: len(simulator.calls(TOKEN)) >= 3, path=TOKEN, seconds=SECONDS)
    simulator.approve()
    assert [output(process).split() for process in both] == [["done", "1"], ["done", "1"]]
    asked_at = [began_at, *(call["at"] for call in simulator.calls(TOKEN))]
    assert min(later - earlier for earlier, later in itertools.pairwise(asked_at)) > 0.9
    assert "slow_down" not in {call["refused_by"] for call in simulator.calls(TOKEN)}


@pytest.mark.parametrize("rotate", [True, False])
def test_an_external_provider_s_login_is_refreshed_and_answers(simulator: Simulator, tmp_path: Path, rotate: bool) -> None:
    simulator.options(rotate=rotate, kept_token_sent=False, access_token_seconds=30.0)
    account: dict[str, Any] = simulator.add_account(kind="external_idp")
    names = ("refresh_token", "client_id", "token_endpoint", "issuer_url", "scopes", "profile_arn")
    login = {name: account[name] for name in names}
    output(start(tmp_path, simulator, "-c", STORE, json.dumps(login)))
    with running_gateway(tmp_path, upstream_url=simulator.url) as gateway:
        assert [ask(gateway.url).status for _ in range(3)] == [200, 200, 200]
    after = simulator.account(account["id"])
    assert after["refreshes"] >= 3, "its tokens are too short-lived to be used twice"
    assert (after["refresh_token"] != account["refresh_token"]) is rotate
    assert not after["dead"]
