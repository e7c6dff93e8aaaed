from __future__ import annotations

import hashlib
import json
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.credentials.credential import InvalidLogin, Login
from app.credentials.importers import read_file
from app.credentials.importers.shapes import CLI_SHARED
from tests.unit.credentials.importers.exports import (
    EXPIRES_AT,
    SOCIAL_ARN,
    TEAM_ARN,
    TENANT,
    access_token,
    cli_external_idp,
    cli_idc,
    cli_social,
    kiro_cli,
)
from tests.unit.credentials.logins import refresh_token

PROFILE = {"api.codewhisperer.profile": {"arn": TEAM_ARN, "profile_name": "Team"}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kiro-cli" / "data.sqlite3"


def only_login(path: Path) -> Login:
    (entry,) = read_file(path)
    assert entry.login is not None, entry.problem
    assert entry.notes == (CLI_SHARED,)
    return entry.login


@contextmanager
def running_program(path: Path) -> Iterator[sqlite3.Connection]:
    """A connection as kiro-cli has it: what it writes stays in the write-ahead log."""
    with closing(sqlite3.connect(path, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA wal_autocheckpoint=0")
        yield database


def hashes(path: Path) -> dict[str, str]:
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in sorted(path.parent.iterdir())}


def test_a_social_login_is_read(path: Path) -> None:
    login = only_login(kiro_cli(path, cli_social()))
    assert (login.kind, login.provider, login.profile_arn) == ("social", "Google", SOCIAL_ARN)
    assert (login.refresh_token, login.access_token) == (refresh_token(), access_token())
    assert login.expires_at == pytest.approx(EXPIRES_AT + 0.123456)


@pytest.mark.parametrize("prefix", ["kirocli", "codewhisperer"])
def test_an_idc_login_is_joined_with_its_registration(path: Path, prefix: str) -> None:
    login = only_login(kiro_cli(path, cli_idc(prefix=prefix, region="eu-west-1"), PROFILE))
    assert (login.kind, login.provider, login.client_id, login.client_secret) == ("idc", "BuilderId", "cid-a", "csec-a")
    assert (login.auth_region, login.profile_arn) == ("eu-west-1", TEAM_ARN)
    assert login.client_secret_expires_at == pytest.approx(1777593600.123456)


def test_a_login_of_an_identity_center_is_told_from_a_builder_id(path: Path) -> None:
    login = only_login(kiro_cli(path, cli_idc(start_url="https://team.awsapps.com/start")))
    assert (login.provider, login.start_url) == ("Enterprise", "https://team.awsapps.com/start")


def test_a_login_of_an_external_provider_is_read(path: Path) -> None:
    login = only_login(kiro_cli(path, cli_external_idp(), PROFILE))
    assert (login.kind, login.token_endpoint, login.client_id) == ("external_idp", f"{TENANT}/oauth2/v2.0/token", "cid-a")
    assert (login.scopes, login.profile_arn) == ("openid offline_access", TEAM_ARN)


@pytest.mark.parametrize(
    ("rows", "name"),
    [
        ({**cli_idc("old", prefix="codewhisperer"), **cli_idc("new"), **cli_social("s"), **cli_external_idp("e")}, "e"),
        ({**cli_idc("old", prefix="codewhisperer"), **cli_idc("new"), **cli_social("s")}, "s"),
        ({**cli_idc("old", prefix="codewhisperer"), **cli_idc("new")}, "new"),
        ({**cli_idc("old", prefix="codewhisperer"), "kirocli:odic:token": {"access_token": "x"}}, "old"),
        ({**cli_idc("old", prefix="codewhisperer"), "kirocli:odic:token": "nonsense"}, "old"),
    ],
)
def test_the_first_key_with_a_whole_login_counts(path: Path, rows: dict[str, Any], name: str) -> None:
    assert only_login(kiro_cli(path, rows)).refresh_token == refresh_token(name)


def test_what_a_running_program_wrote_last_is_seen_and_nothing_of_it_is_changed(path: Path) -> None:
    kiro_cli(path, cli_idc("old"))
    with running_program(path) as database:
        row = json.dumps(cli_idc("new")["kirocli:odic:token"])
        database.execute("UPDATE auth_kv SET value = ? WHERE key = 'kirocli:odic:token'", (row,))
        before = hashes(path)
        assert list(before) == ["data.sqlite3", "data.sqlite3-shm", "data.sqlite3-wal"]
        assert refresh_token("new").encode() not in path.read_bytes(), "it is in the log only"
        assert only_login(path).refresh_token == refresh_token("new")
        assert hashes(path) == before


def test_the_log_of_a_linked_database_is_found(path: Path, tmp_path: Path) -> None:
    link = tmp_path / "link.sqlite3"
    kiro_cli(path, cli_idc("old"))
    link.symlink_to(path)
    with running_program(path) as database:
        row = json.dumps(cli_idc("new")["kirocli:odic:token"])
        database.execute("UPDATE auth_kv SET value = ? WHERE key = 'kirocli:odic:token'", (row,))
        assert only_login(link).refresh_token == refresh_token("new")


def test_no_copy_is_left(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    only_login(kiro_cli(path, cli_social()))
    assert list(folder.iterdir()) == []


def test_a_database_without_a_login_says_so(path: Path) -> None:
    (entry,) = read_file(kiro_cli(path, {"kirocli:odic:device-registration": {}}))
    assert "sign in with kiro-cli" in (entry.problem or "")


def test_a_login_without_its_registration_says_what_is_missing(path: Path) -> None:
    rows = cli_idc()
    del rows["kirocli:odic:device-registration"]
    (entry,) = read_file(kiro_cli(path, rows))
    assert "client id and client secret" in (entry.problem or "")


def test_another_database_is_refused(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("CREATE TABLE other (x)")
    with pytest.raises(InvalidLogin, match="no database of kiro-cli"):
        read_file(path)


def test_a_broken_database_is_refused(path: Path) -> None:
    content = kiro_cli(path, cli_social()).read_bytes()
    path.write_bytes(content[:100] + b"\xff" * 2000)
    with pytest.raises(InvalidLogin, match="no database of kiro-cli"):
        read_file(path)
