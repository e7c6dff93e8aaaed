from __future__ import annotations

from typing import Any

import pytest

from app.errors import UpstreamUnavailable
from app.kiro.rest_calls import RestForm
from app.kiro.usage import parse_usage
from app.services import Services
from app.upstream.account import AccountClient, Found
from tests.unit.cli.conftest import Run, one_line
from tests.unit.credentials.logins import social
from tests.unit.kiro.test_usage import ANSWER

FORM = RestForm("modern", True, "us-east-1")


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Kiro tells everybody the same; the ids it was asked for."""
    asked: list[int] = []

    def usage(_self: AccountClient, credential: Any) -> Any:
        asked.append(credential.id)
        return Found(parse_usage(ANSWER), FORM)

    monkeypatch.setattr(AccountClient, "usage", usage)
    return asked


def add(services: Services, name: str = "a") -> int:
    far = 4e9
    return services.store.add(social(name, access_token="aoa", expires_at=far))


def test_every_part_is_a_line(run: Run, services: Services, told: list[int]) -> None:
    add(services)
    result = run("usage")
    assert result.exit_code == 0, result.output
    head, base, trial, bonus, together, overage = result.output.splitlines()
    assert head.split()[:4] == ["ID", "NAME", "E-MAIL", "PLAN"]
    for part in ("user@example.test", "KIRO PRO", "Credits", "12.37", "50", "37.63", "reset 2026-03-01 00:00:00 UTC"):
        assert part in base
    assert trial.split()[:5] == ["Free", "trial", "100.5", "500", "399.5"]
    assert bonus.split()[:5] == ["Welcome", "bonus", "3.5", "100", "96.5"]
    assert together.split() == ["together", "116.37", "650", "533.63", "18", "%", "used"]
    assert overage.split() == ["overage", "disabled", "0.25", "10000", "0.01", "USD", "so", "far"]
    assert told == [1]


def test_only_one_is_asked_when_it_is_named(run: Run, services: Services, told: list[int]) -> None:
    add(services, "a")
    add(services, "b")
    assert "user@example.test" in run("usage", "2").output
    assert told == [2]


def test_what_was_seen_last_is_shown_without_asking(run: Run, services: Services, told: list[int]) -> None:
    add(services)
    assert "not seen yet" in run("usage", "--stored").output
    run("usage")
    assert "Welcome bonus" in run("usage", "--stored").output
    assert told == [1]


def test_a_disabled_login_is_asked_only_by_its_id(run: Run, services: Services, told: list[int]) -> None:
    add(services)
    run("credentials", "disable", "1")
    assert run("usage").exit_code == 0
    assert told == []
    run("usage", "1")
    assert told == [1]


def test_who_does_not_tell_is_named_and_the_rest_is_shown(
    run: Run, services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(_self: AccountClient, _credential: Any) -> Any:
        raise UpstreamUnavailable("Kiro cannot be reached")

    monkeypatch.setattr(AccountClient, "usage", away)
    add(services)
    result = run("usage")
    assert result.exit_code == 1
    assert "not seen yet" in result.stdout
    assert result.stderr.splitlines() == [
        "credential 1: Kiro cannot be reached",
        "Error: 1 could not be asked; shown is what was seen last",
    ]


def test_the_end_of_the_last_round_is_told(run: Run, services: Services, told: list[int]) -> None:
    add(services)
    services.usage.look_round()
    assert told == [1]
    assert run("usage", "--stored").output.splitlines()[-1].startswith("The gateway looked at all of them last at 20")


@pytest.mark.parametrize("arguments", [(), ("7",)])
def test_nobody_to_look_at_points_to_the_list(run: Run, arguments: tuple[str, ...]) -> None:
    assert "flask --app wsgi credentials list" in one_line(run("usage", *arguments))
