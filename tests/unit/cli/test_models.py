from __future__ import annotations

from typing import Any

import pytest

from app.credentials.lifecycle import OperatorDisabled
from app.errors import UpstreamUnavailable
from app.kiro.rest_calls import RestForm
from app.services import Services
from app.translate.models import BUILT_IN
from app.upstream.account import AccountClient, Found
from tests.unit.cli.conftest import Run
from tests.unit.credentials.logins import social

FORM = RestForm("modern", True, "us-east-1")
SONNET = {
    "modelId": "claude-sonnet-4.5",
    "modelName": "Claude Sonnet 4.5",
    "rateMultiplier": 1.3,
    "tokenLimits": {"maxInputTokens": 200_000, "maxOutputTokens": 64_000},
}
OPUS = {"modelId": "claude-opus-5.5", "modelName": "Claude Opus 5.5", "rateMultiplier": 2.2}


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> dict[int, Any]:
    """What Kiro lists for each login, by id; an exception is raised. Under 0 stand the ids it was asked for."""
    lists: dict[int, Any] = {}

    def models(_self: AccountClient, credential: Any) -> Any:
        lists.setdefault(0, []).append(credential.id)
        found = lists[credential.id]
        if isinstance(found, Exception):
            raise found
        return Found(tuple(found), FORM)

    monkeypatch.setattr(AccountClient, "models", models)
    return lists


def add(services: Services, *names: str) -> None:
    for name in names:
        services.store.add(social(name, access_token="aoa", expires_at=4e9))


def test_before_kiro_was_asked_what_is_built_in_is_shown(run: Run, services: Services, told: dict[int, Any]) -> None:
    add(services, "a")
    result = run("models")
    assert result.exit_code == 0, result.output
    head, *rows = result.output.splitlines()
    assert head.split() == ["ID", "NAME", "CONTEXT", "OUTPUT", "PRICE", "LOGINS"]
    assert len(rows) == len(BUILT_IN) + 2
    assert rows[0].split() == ["claude-opus-5", "Claude", "Opus", "5", "1000000", "128000", "2.2", "not", "seen", "yet"]
    assert rows[-1] == "Kiro was not asked yet: these are built in."
    assert told == {}, "nobody was asked"


def test_a_refresh_asks_and_shows_who_has_what(run: Run, services: Services, told: dict[int, Any]) -> None:
    add(services, "a", "b")
    told |= {1: [SONNET], 2: [SONNET, OPUS]}
    result = run("models", "--refresh")
    assert result.exit_code == 0, result.output
    _, opus, sonnet, _, seen = result.output.splitlines()
    assert opus.split() == ["claude-opus-5.5", "Claude", "Opus", "5.5", "200000", "64000", "2.2", "2"]
    assert sonnet.split() == ["claude-sonnet-4.5", "Claude", "Sonnet", "4.5", "200000", "64000", "1.3", "1", "2"]
    assert seen.startswith("Kiro was asked last at 20")
    assert told[0] == [1, 2]
    run("models")
    assert told[0] == [1, 2], "what was listed is stored"


def test_a_login_nobody_has_seen_the_list_of_may_have_each(run: Run, services: Services, told: dict[int, Any]) -> None:
    add(services, "a", "b")
    told |= {1: [SONNET], 2: UpstreamUnavailable("Kiro cannot be reached")}
    result = run("models", "--refresh")
    assert result.exit_code == 1
    assert result.stderr.splitlines() == [
        "credential 2: Kiro cannot be reached",
        "Error: 1 could not be asked; shown is what was listed last",
    ]
    (sonnet,) = [line for line in result.stdout.splitlines() if line.startswith("claude-sonnet-4.5 ")]
    assert sonnet.split()[-2:] == ["1", "2?"]
    assert len(result.stdout.splitlines()) == 1 + len(BUILT_IN) + 2


def test_a_disabled_login_is_not_asked_and_counts_for_nothing(run: Run, services: Services, told: dict[int, Any]) -> None:
    add(services, "a", "b")
    told |= {1: [SONNET], 2: [SONNET, OPUS]}
    services.models.look_round()
    services.store.happened(2, OperatorDisabled())
    result = run("models", "--refresh")
    assert told[0] == [1, 2, 1]
    assert [line.split()[0] for line in result.output.splitlines()[1:-2]] == ["claude-sonnet-4.5"]
