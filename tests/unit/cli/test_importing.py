from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from app.services import Services
from tests.unit.cli.conftest import Run, one_line
from tests.unit.credentials.importers.exports import account, account_manager, cli_social, ide_social, kiro_cli
from tests.unit.credentials.logins import api_key, refresh_token

KEY = api_key().secret


def stored(services: Services) -> dict[int, Any]:
    return {each.id: each for each in services.store.all(fresh=True)}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A person's folder without any login."""
    folder = tmp_path / "home"
    folder.mkdir()
    monkeypatch.setattr(Path, "home", lambda: folder)
    return folder


@pytest.fixture
def at_home(home: Path) -> Path:
    """A person's folder with a login of the Kiro IDE, of kiro-cli and of the Amazon Q CLI."""
    ide = home / ".aws" / "sso" / "cache" / "kiro-auth-token.json"
    ide.parent.mkdir(parents=True)
    ide.write_text(json.dumps(ide_social("ide")))
    for name in ("kiro-cli", "amazon-q"):
        kiro_cli(home / ".local" / "share" / name / "data.sqlite3", cli_social(name))
    return home


def test_an_import_prints_a_verdict_per_entry(run: Run, services: Services, tmp_path: Path) -> None:
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    one.write_text(json.dumps([{"refreshToken": refresh_token("a"), "email": "a@example.test"}, {"refreshToken": "aor..."}]))
    two.write_text(json.dumps({"kiroApiKey": KEY}))
    result = run("credentials", "import", str(one), str(two), str(tmp_path / "three.json"))
    assert result.exit_code == 0
    _, first, second, third, fourth = result.stdout.splitlines()
    assert first.split() == ["one.json", "1", "a@example.test", "social", "us-east-1", "new", "1"]
    assert second.startswith("one.json")
    assert "shortened" in second
    assert third.split()[-2:] == ["new", "2"]
    assert "three.json cannot be read" in fourth
    assert refresh_token("a") not in result.output
    assert len(stored(services)) == 2


def test_a_dry_run_says_what_would_be_and_stores_nothing(run: Run, services: Services, tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    file.write_text(json.dumps({"refreshToken": refresh_token()}))
    assert "would be new" in run("credentials", "import", str(file), "--dry-run").output
    assert stored(services) == {}


def test_an_import_that_brings_nothing_fails_and_says_why(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "one.json"
    file.write_text("not json")
    result = run("credentials", "import", str(file))
    assert "is not JSON" in result.stdout
    assert "notes" in one_line(result)


def test_a_verdict_names_kind_provider_region_and_e_mail(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "export.json"
    file.write_text(json.dumps(account_manager(account(), account("b", status="suspended"), {"email": "c@example.test"})))
    head, good, off, bad = run("credentials", "import", str(file)).stdout.splitlines()
    assert head.split() == "FILE ENTRY NAME KIND PROVIDER REGION OUTCOME CREDENTIAL NOTE".split()
    assert " ".join(good.split()).startswith("export.json 1 nick a (a@example.test) idc BuilderId us-east-1 new 1")
    assert "comes in disabled (suspended in the file it came from)" in off
    assert "c@example.test" in bad
    assert "refresh token is missing" in bad


def test_what_is_pasted_is_read_from_standard_input(run: Run, services: Services) -> None:
    result = run("credentials", "import", "-", input=f"{KEY}\n{refresh_token()}\n")
    assert result.exit_code == 0, result.output
    assert [line.split()[0] for line in result.stdout.splitlines()[1:]] == ["pasted", "pasted"]
    assert [each.kind for each in stored(services).values()] == ["api_key", "social"]
    assert refresh_token() not in result.output
    assert KEY not in result.output


def test_what_is_pasted_and_no_login_is_refused(run: Run) -> None:
    result = run("credentials", "import", "-", input="hello\n")
    assert "what was pasted cannot be used" in result.stdout
    assert "notes" in one_line(result)


def test_an_empty_list_says_so(run: Run) -> None:
    assert "no entry" in one_line(run("credentials", "import", "-", input="[]"))


@pytest.mark.usefixtures("at_home")
@pytest.mark.parametrize(("answer", "number"), [("y", 3), ("n", 0)])
def test_without_a_path_the_usual_places_are_shown_and_stored_when_agreed(
    run: Run, services: Services, answer: str, number: int
) -> None:
    result = run("credentials", "import", input=f"{answer}\n")
    assert result.exit_code == 0, result.output
    for name in (
        "kiro-auth-token.json",
        "kiro-cli/data.sqlite3",
        "amazon-q/data.sqlite3",
        "would be new",
        "sign each other out",
    ):
        assert name in result.output
    assert len(stored(services)) == number


@pytest.mark.usefixtures("at_home")
def test_with_yes_nothing_is_asked(run: Run, services: Services) -> None:
    result = run("credentials", "import", "--yes")
    assert result.exit_code == 0, result.output
    assert len(stored(services)) == 3


@pytest.mark.usefixtures("at_home")
def test_what_is_known_is_not_asked_about(run: Run) -> None:
    run("credentials", "import", "--yes")
    result = run("credentials", "import")
    assert result.exit_code == 0, result.output
    assert "Store" not in result.output
    assert result.output.count("known") == 3


@pytest.mark.usefixtures("at_home")
def test_a_dry_run_of_the_usual_places_asks_and_stores_nothing(run: Run, services: Services) -> None:
    result = run("credentials", "import", "--dry-run")
    assert result.exit_code == 0, result.output
    assert "Store" not in result.output
    assert stored(services) == {}


@pytest.mark.usefixtures("home")
def test_a_machine_without_a_login_is_told_what_to_name(run: Run) -> None:
    assert "name a file, or -" in one_line(run("credentials", "import"))
