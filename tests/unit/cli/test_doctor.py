from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from app.services import Services
from app.upstream.http import Http, HttpAnswer, TransportFailed
from tests.unit.cli.conftest import Run, one_line
from tests.unit.credentials.logins import refresh_token, social
from tests.unit.upstream import accounts as a

FAR = 4e9


class Kiro:
    """Answers whatever the gateway sends without a stream. proxies: those that were to carry it."""

    def __init__(self) -> None:
        self.answers = {
            "/getUsageLimits": a.answered(a.credits_used()),
            "/ListAvailableModels": a.answered({"models": [{"modelId": "auto"}]}),
        }
        self.closed: TransportFailed | None = None
        self.proxies: list[str | None] = []

    def send(self, call: Any, *, proxy_url: str | None = None, timeout_seconds: float = 60.0) -> HttpAnswer:
        self.proxies.append(proxy_url)
        if self.closed is not None:
            raise self.closed
        if "Authorization" not in call.headers:
            return a.answered({"message": "Missing Authentication Token"}, 403)
        return next(answer for path, answer in self.answers.items() if path in call.url)


@pytest.fixture
def kiro(monkeypatch: pytest.MonkeyPatch) -> Kiro:
    here = Kiro()
    monkeypatch.setattr(Http, "send", lambda _self, *arguments, **options: here.send(*arguments, **options))
    return here


def add(services: Services, name: str = "a", **values: Any) -> int:
    return services.store.add(social(name, access_token=f"aoaAAAAAGsecret-{name}", expires_at=FAR, **values))


@pytest.mark.usefixtures("kiro")
def test_every_login_is_examined_and_every_step_shown(run: Run, services: Services) -> None:
    add(services, "a", label="mine")
    add(services, "b")
    result = run("doctor", "--no-chat")
    assert result.exit_code == 0, result.output
    lines = result.output.splitlines()
    assert lines[0] == "credential 1, mine, social: is ready"
    assert [line.split()[:2] for line in lines[1:] if line.startswith("  ok")] == [
        ["ok", "token"],
        ["ok", "profile"],
        ["ok", "models"],
        ["ok", "usage"],
    ] * 2
    assert "q.us-east-1.amazonaws.com (us-east-1), proxy none: status 200" in result.output
    assert "costs" not in result.output, "what is left out costs nothing"


def test_a_step_that_failed_is_shown_with_its_advice_and_ends_in_a_failure(run: Run, services: Services, kiro: Kiro) -> None:
    add(services)
    kiro.answers["/ListAvailableModels"] = a.NOT_AUTHORIZED
    result = run("doctor", "1", "--no-chat")
    assert result.exit_code == 1
    assert "  failed  models   Kiro does not let this credential make the call" in result.stdout
    assert "→ kiro_version" in result.stdout
    assert "  ok      usage" in result.stdout
    assert result.stderr == "Error: a step failed\n"


@pytest.mark.usefixtures("kiro")
def test_a_bundle_is_for_its_owner_and_without_a_secret(run: Run, services: Services, tmp_path: Path) -> None:
    add(services, email="private.person@example.com", proxy_url="http://u:s3cret@proxy.example:1")
    run("settings", "set", "proxy_url", "http://u:0ther@proxy.example:2")
    file = tmp_path / "bundle.json"
    file.write_text("older and longer" * 1000)
    file.chmod(0o644)
    result = run("doctor", "--no-chat", "--bundle", str(file))
    assert result.exit_code == 0, result.output
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    text = file.read_text()
    for secret in (refresh_token("a"), "aoaAAAAAGsecret-a", "s3cret", "0ther", "private.person"):
        assert secret not in text
    document = json.loads(text)
    assert [step["name"] for step in document["steps"]["1"]] == ["token", "profile", "models", "usage"]


@pytest.mark.usefixtures("kiro")
def test_without_a_login_there_is_still_a_bundle(run: Run, tmp_path: Path) -> None:
    result = run("doctor", "--bundle", str(tmp_path / "bundle.json"))
    assert "no Kiro credential is stored" in result.stderr
    assert json.loads((tmp_path / "bundle.json").read_text())["credentials"] == []


def test_an_unknown_login_points_to_the_list(run: Run) -> None:
    assert "flask --app wsgi credentials list" in one_line(run("doctor", "7"))
    assert "flask --app wsgi credentials list" in one_line(run("credentials", "test-proxy", "7"))


def test_a_proxy_is_tried_by_its_address_or_as_a_login_has_it(run: Run, services: Services, kiro: Kiro) -> None:
    proxy = "socks5://u:s3cret@proxy.example:1080"
    add(services, "a", proxy_url=proxy)
    for which in (proxy, "1", "direct"):
        result = run("credentials", "test-proxy", which)
        assert result.exit_code == 0, result.output
        assert "Kiro is reached: it answers 403" in result.output
        assert "s3cret" not in result.output
    assert kiro.proxies == [proxy, proxy, "direct"]
    assert "proxy socks5://proxy.example:1080" in run("credentials", "test-proxy", "1").output


def test_a_proxy_that_does_not_work_says_why(run: Run, kiro: Kiro) -> None:
    kiro.closed = TransportFailed("The proxy does not answer or refuses the connection", sent=False)
    kiro.closed.__cause__ = OSError("Tunnel connection failed: 407 for http://u:s3cret@proxy.example")
    result = run("credentials", "test-proxy", "http://u:s3cret@proxy.example:1")
    assert result.exit_code == 1
    assert "user name and password" in result.stdout
    assert result.stderr == "Error: Kiro is not reached this way\n"
    assert "s3cret" not in result.output


@pytest.mark.parametrize("which", ["proxy.example:3128", "ftp://proxy.example", "-", "one"])
def test_what_is_no_proxy_is_refused(run: Run, which: str) -> None:
    assert "starts with http://" in one_line(run("credentials", "test-proxy", "--", which))
