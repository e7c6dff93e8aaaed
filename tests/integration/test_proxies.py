"""What Kiro is sent goes through the proxy that is named for it: of a credential, of the settings, or around both."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from simulator.client import Simulator
from tests.integration.gateway import flask_command, running_gateway
from tests.integration.proxies import PASSWORD, QUOTED, Proxy, tls_front
from tests.integration.wire import ask, body
from tests.unit.upstream.servers import certificate

STEPS = ["token", "profile", "models", "usage", "chat"]
PATHS = ["/refreshToken", "/ListAvailableModels", "/getUsageLimits", "/generateAssistantResponse"]


def login(simulator: Simulator, folder: Path, **entry: Any) -> Path:
    """A file with one login whose token is not there yet."""
    path = folder / "credentials.json"
    token = simulator.add_account(kind="social")["refresh_token"]
    path.write_text(json.dumps({"refreshToken": token, "authMethod": "social", **entry}))
    simulator.clear_calls()
    return path


def command(simulator: Simulator, folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    environment = {"KIRO_UPSTREAM_URL": simulator.url, "KIRO_CREDENTIALS_FILE": str(folder / "credentials.json"), **environment}
    return flask_command(folder, *arguments, **environment)


def steps(done: subprocess.CompletedProcess[str]) -> list[str]:
    """The names of the steps that worked."""
    return [line.split()[1] for line in done.stdout.splitlines() if line.startswith("  ok")]


def own_place(simulator: Simulator) -> str:
    return urlsplit(simulator.url).netloc


@pytest.mark.parametrize("password", [False, True])
@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_credential_s_proxy_carries_refresh_listing_usage_and_chat(
    simulator: Simulator, tmp_path: Path, scheme: str, password: bool
) -> None:
    with Proxy(scheme, password=password) as proxy:
        login(simulator, tmp_path, proxyUrl=proxy.url)
        done = command(simulator, tmp_path, "doctor")
        assert steps(done) == STEPS, done.stdout + done.stderr
        assert proxy.carried == [own_place(simulator)] * len(simulator.calls())
        assert {call["path"] for call in simulator.calls()} == set(PATHS)
        assert f"proxy {proxy.bare_url}" in done.stdout
        assert PASSWORD not in done.stdout + done.stderr
        assert QUOTED not in done.stdout + done.stderr


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_the_general_proxy_carries_what_names_none(simulator: Simulator, tmp_path: Path, scheme: str) -> None:
    with Proxy(scheme, password=True) as proxy:
        login(simulator, tmp_path)
        assert command(simulator, tmp_path, "settings", "set", "proxy_url", proxy.url).returncode == 0
        with running_gateway(
            tmp_path, upstream_url=simulator.url, KIRO_CREDENTIALS_FILE=str(tmp_path / "credentials.json")
        ) as gateway:
            simulator.script([{"text": "through the proxy", "delay_between": 0.01}])
            streamed = ask(gateway.url, body(stream=True))
            assert streamed.text == "through the proxy"
            assert streamed.types[-1] == "message_stop"
            simulator.wait_for_call(lambda call: call["status"] == 200, path="/getUsageLimits", seconds=15)
        assert proxy.carried == [own_place(simulator)] * len(simulator.calls())


def test_direct_goes_around_the_general_proxy(simulator: Simulator, tmp_path: Path) -> None:
    with Proxy("http") as proxy:
        login(simulator, tmp_path, proxyUrl="direct")
        assert command(simulator, tmp_path, "settings", "set", "proxy_url", proxy.url).returncode == 0
        done = command(simulator, tmp_path, "doctor")
        assert steps(done) == STEPS, done.stdout + done.stderr
        assert "proxy none" in done.stdout
        assert proxy.carried == []
        assert command(simulator, tmp_path, "credentials", "test-proxy", proxy.url).returncode == 0
        assert len(proxy.carried) == 1


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_a_proxy_that_wants_another_password_says_so(simulator: Simulator, tmp_path: Path, scheme: str) -> None:
    with Proxy(scheme, password=True) as proxy:
        wrong = proxy.url.replace(QUOTED, "gate:wr0ng-password")
        login(simulator, tmp_path, proxyUrl=wrong)
        for which in (wrong, "1"):
            done = command(simulator, tmp_path, "credentials", "test-proxy", which)
            assert done.returncode == 1
            assert "wants a user name and password" in done.stdout
        examined = command(simulator, tmp_path, "doctor", "--no-chat")
        assert examined.returncode == 1
        assert steps(examined) == ["profile"]
        assert proxy.refused >= 3
        assert simulator.calls() == []
        assert "wr0ng-password" not in done.stdout + done.stderr + examined.stdout + examined.stderr


@pytest.mark.parametrize("scheme", ["http", "socks5"])
def test_tls_goes_through_a_proxy_as_a_tunnel(simulator: Simulator, tmp_path: Path, scheme: str) -> None:
    port = urlsplit(simulator.url).port
    assert port is not None
    with certificate() as (context, trusted), tls_front(port, context) as url, Proxy(scheme, password=True) as proxy:
        login(simulator, tmp_path, proxyUrl=proxy.url)
        done = command(simulator, tmp_path, "doctor", KIRO_UPSTREAM_URL=url, REQUESTS_CA_BUNDLE=trusted)
        assert steps(done) == STEPS, done.stdout + done.stderr
        assert len(proxy.carried) == len(simulator.calls())
        assert {place.rpartition(":")[2] for place in proxy.carried} == {str(urlsplit(url).port)}
        untrusted = command(simulator, tmp_path, "credentials", "test-proxy", "1", KIRO_UPSTREAM_URL=url)
        assert untrusted.returncode == 1
        assert "REQUESTS_CA_BUNDLE" in untrusted.stdout
