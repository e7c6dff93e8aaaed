from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from app.credentials.credential import InvalidLogin
from app.credentials.importers import Entry, Source, read_file, read_paths, usual_places
from tests.unit.credentials.importers.exports import (
    BUILDER_ID_HASH,
    BUILDER_ID_START,
    SOCIAL_ARN,
    TEAM_ARN,
    cli_social,
    ide_idc,
    ide_social,
    kiro_cli,
    registration,
)
from tests.unit.credentials.logins import refresh_token

LISTED = {"profile_arn": TEAM_ARN, "api_region": "eu-central-1"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kiro-auth-token.json"


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))
    return path


def only(path: Path) -> Entry:
    (entry,) = read_file(path)
    return entry


def tokens(sources: list[Source]) -> list[str | None]:
    return [entry.login.refresh_token if entry.login else None for source in sources for entry in source.entries]


# -- one file --


@pytest.mark.parametrize(
    ("entry", "registered"),
    [
        ({"clientIdHash": "0123abcd"}, "0123abcd"),
        ({"client_id_hash": "0123abcd"}, "0123abcd"),
        ({}, BUILDER_ID_HASH),
        ({"startUrl": BUILDER_ID_START}, BUILDER_ID_HASH),
        ({"clientIdHash": "../../0123abcd"}, "0123abcd"),
        ({"clientIdHash": "0123abcd", "authMethod": None}, "0123abcd"),
    ],
)
def test_an_idc_token_file_is_joined_with_the_registration_beside_it(
    file: Path, entry: dict[str, Any], registered: str
) -> None:
    write(file.with_name(f"{registered}.json"), registration())
    login = only(write(file, {"refreshToken": refresh_token(), "authMethod": "IdC", "region": "eu-west-1", **entry})).login
    assert login is not None
    assert (login.kind, login.client_id, login.client_secret) == ("idc", "cid-a", registration()["clientSecret"])
    assert (login.auth_region, login.client_secret_expires_at) == ("eu-west-1", 1777593600.0)


@pytest.mark.parametrize("content", [None, "not json", "[1]"])
def test_an_idc_token_file_without_its_registration_says_where_that_is(file: Path, content: str | None) -> None:
    if content is not None:
        file.with_name(f"{BUILDER_ID_HASH}.json").write_text(content)
    entry = only(write(file, {"refreshToken": refresh_token(), "authMethod": "IdC"}))
    assert "clientIdHash" in (entry.problem or "")


def test_a_file_with_a_byte_order_mark_is_read(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(ide_social()).encode())
    assert only(file).login is not None


def test_a_file_is_known_by_its_content_whatever_it_is_called(tmp_path: Path) -> None:
    assert only(kiro_cli(tmp_path / "notes.txt", cli_social())).login is not None
    assert only(write(tmp_path / "data.sqlite3", ide_social())).login is not None


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"hello", b'{"refreshToken": '])
def test_a_file_without_a_login_is_refused_by_its_name(file: Path, content: bytes) -> None:
    file.write_bytes(content)
    with pytest.raises(InvalidLogin, match=r"^kiro-auth-token\.json "):
        read_file(file)


def test_a_file_that_is_away_cannot_be_read(file: Path) -> None:
    with pytest.raises(InvalidLogin, match="cannot be read"):
        read_file(file)


def test_a_pipe_is_read() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "w") as pipe:
        json.dump(ide_social(), pipe)
    try:
        assert tokens(read_paths([Path(f"/dev/fd/{reading}")])) == [refresh_token()]
    finally:
        os.close(reading)


def test_a_file_that_is_far_too_large_is_not_read_whole(file: Path) -> None:
    with file.open("wb") as sparse:
        sparse.truncate(40 << 20)
    with pytest.raises(InvalidLogin, match="larger than any list"):
        read_file(file)


# -- files that a list names --


def test_the_files_a_list_names_are_read_from_where_it_stands(tmp_path: Path) -> None:
    write(tmp_path / "logins" / "one.json", ide_social("one"))
    kiro_cli(tmp_path / "data.sqlite3", cli_social("two"))
    content = [
        {"type": "json", "path": "logins/one.json", **LISTED},
        {"type": "sqlite", "path": str(tmp_path / "data.sqlite3"), "enabled": False},
        {"type": "refresh_token", "refresh_token": refresh_token("three"), "enabled": True},
    ]
    one, two, three = read_file(write(tmp_path / "credentials.json", content))
    assert one.login is not None
    assert (one.login.refresh_token, one.login.profile_arn) == (refresh_token("one"), TEAM_ARN)
    assert one.login.api_region == "eu-central-1"
    assert two.login is not None
    assert (two.login.refresh_token, two.disabled) == (refresh_token("two"), "disabled in the file it came from")
    assert three.login is not None
    assert (three.login.refresh_token, three.disabled, three.index) == (refresh_token("three"), None, 2)


@pytest.mark.parametrize("path", ["away.json", "\0", "x" * 5000, "~nobody-here/x.json", ".", "credentials.json"])
def test_a_path_that_leads_nowhere_is_the_problem_of_its_entry(tmp_path: Path, path: str) -> None:
    content = [{"type": "json", "path": path}, {"refresh_token": refresh_token()}]
    entries = read_file(write(tmp_path / "credentials.json", content))
    assert entries[0].problem
    assert entries[-1].login is not None


# -- folders --


def test_a_folder_is_searched_for_files_that_are_known(tmp_path: Path) -> None:
    write(tmp_path / "kiro-auth-token.json", ide_idc("ide"))
    write(tmp_path / f"{ide_idc('ide')['clientIdHash']}.json", registration("ide"))
    write(tmp_path / "kiro-google.json", ide_social("proxy"))
    write(tmp_path / "1700_kiro-auth-token" / "1700.json", ide_social("aiclient"))
    write(tmp_path / "other.json", ide_social("other"))
    kiro_cli(tmp_path / "kiro-cli" / "data.sqlite3", cli_social("cli"))
    assert set(tokens(read_paths([tmp_path]))) == {refresh_token(name) for name in ("ide", "proxy", "aiclient", "cli")}


def test_a_folder_without_any_says_so(tmp_path: Path) -> None:
    (source,) = read_paths([tmp_path])
    assert "name the file itself" in (source.problem or "")


def test_a_file_that_cannot_be_used_keeps_the_others_in(tmp_path: Path) -> None:
    good, bad = write(tmp_path / "good.json", ide_social()), tmp_path / "bad.json"
    bad.write_text("hello")
    first, second, third = read_paths([bad, good, tmp_path / "away.json"])
    assert "bad.json" in (first.problem or "")
    assert tokens([second]) == [refresh_token()]
    assert "away.json cannot be read" in (third.problem or "")


# -- the profile chosen in the IDE --


def test_the_profile_chosen_in_the_ide_goes_to_its_login(tmp_path: Path) -> None:
    profile = write(tmp_path / "profile.json", {"arn": TEAM_ARN, "name": "Team"})
    write(tmp_path / f"{ide_idc()['clientIdHash']}.json", registration())
    ide = write(tmp_path / "kiro-auth-token.json", ide_idc())
    other = write(tmp_path / "credentials.json", {"refreshToken": refresh_token("b")})
    found = [entry.login.profile_arn for source in read_paths([profile, ide, other]) for entry in source.entries if entry.login]
    assert found == [TEAM_ARN, None]


def test_a_login_keeps_the_profile_it_names(tmp_path: Path) -> None:
    profile = write(tmp_path / "profile.json", {"arn": TEAM_ARN, "name": "Team"})
    (source,) = read_paths([write(tmp_path / "kiro-auth-token.json", ide_social()), profile])
    assert source.entries[0].login is not None
    assert source.entries[0].login.profile_arn == SOCIAL_ARN


# -- the usual places --


@pytest.mark.parametrize("data", [".local/share", "Library/Application Support"])
def test_the_usual_places_are_those_that_exist(tmp_path: Path, data: str) -> None:
    assert usual_places(tmp_path) == []
    ide = write(tmp_path / ".aws" / "sso" / "cache" / "kiro-auth-token.json", ide_social())
    cli = kiro_cli(tmp_path / data / "kiro-cli" / "data.sqlite3", cli_social())
    old = kiro_cli(tmp_path / data / "amazon-q" / "data.sqlite3", cli_social())
    folder = tmp_path / ".config" / "Kiro" / "User" / "globalStorage" / "kiro.kiroagent"
    profile = write(folder / "profile.json", {"arn": TEAM_ARN, "name": "Team"})
    assert usual_places(tmp_path) == [ide, cli, old, profile]
