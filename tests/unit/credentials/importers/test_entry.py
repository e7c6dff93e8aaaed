from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.credentials.credential import InvalidLogin
from app.credentials.importers import Entry, parse_login, read_text
from app.kiro.endpoints import BUILDER_ID_PLACEHOLDER_ARN
from tests.unit.credentials.importers.exports import BUILDER_ID_START, EXPIRES_AT, TEAM_ARN, TENANT, ide_external_idp
from tests.unit.credentials.importers.oddities import json_values, odd
from tests.unit.credentials.logins import refresh_token

REGISTERED = {"clientId": "c", "clientSecret": "s"}
SECRET = "hidden-" + "z" * 120


def login(**values: Any) -> Any:
    return parse_login({"refreshToken": refresh_token(), **values})


def read(entry: Any) -> Entry:
    (found,) = read_text(json.dumps([entry]))
    return found


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"kiroApiKey": "ksk_demo"}, "api_key"),
        ({"kiro_api_key": "ksk_demo", "authMethod": "apikey"}, "api_key"),
        ({"accessToken": "ksk_demo"}, "api_key"),
        ({"refreshToken": refresh_token()}, "social"),
        ({"refreshToken": refresh_token(), "authMethod": "Google"}, "social"),
        ({"refreshToken": refresh_token(), **REGISTERED}, "idc"),
        ({"refreshToken": refresh_token(), **REGISTERED, "authMethod": "iam"}, "idc"),
        ({"refreshToken": refresh_token(), **REGISTERED, "authMethod": "Builder_ID"}, "idc"),
        ({"refreshToken": refresh_token(), **REGISTERED, "auth": "IdC"}, "idc"),
        ({"refreshToken": refresh_token(), "auth": "Social"}, "social"),
        ({"refreshToken": refresh_token(), "tokenEndpoint": f"{TENANT}/token", "clientId": "c"}, "external_idp"),
    ],
)
def test_the_kind_is_what_the_entry_says_or_what_it_holds(entry: dict[str, str], kind: str) -> None:
    assert parse_login(entry).kind == kind


@pytest.mark.parametrize("name", ["refreshToken", "refresh_token", "refresh-token", "REFRESH_TOKEN", "RefreshToken"])
def test_a_name_is_known_in_every_spelling(name: str) -> None:
    assert parse_login({name: refresh_token()}).refresh_token == refresh_token()


def test_of_two_spellings_the_one_with_a_value_counts() -> None:
    assert parse_login({"refreshToken": "", "refresh_token": refresh_token()}).refresh_token == refresh_token()


def test_quotes_and_blanks_around_a_value_are_taken_off() -> None:
    assert login(refreshToken=f' "{refresh_token()}"\n', email=" 'a@example.test' ").refresh_token == refresh_token()


@pytest.mark.parametrize(
    "expires_at",
    [
        "2026-02-01T10:00:00.000Z",
        "2026-02-01T10:00:00.000000000Z",
        "2026-02-01T12:00:00+02:00",
        "2026-02-01 10:00:00",
        EXPIRES_AT,
        int(EXPIRES_AT) * 1000,
        str(int(EXPIRES_AT)),
        str(int(EXPIRES_AT) * 1000),
    ],
)
def test_an_expiry_is_read_in_every_form(expires_at: Any) -> None:
    assert login(expiresAt=expires_at).expires_at == EXPIRES_AT


@pytest.mark.parametrize("expires_at", ["tomorrow", "", None, True, -5, 10**17, [1]])
def test_an_expiry_that_is_none_leaves_the_token_to_a_refresh(expires_at: Any) -> None:
    assert login(expiresAt=expires_at).expires_at is None


@pytest.mark.parametrize("scopes", [["a", "offline_access"], "a offline_access", " a  offline_access "])
def test_scopes_may_be_a_list_or_words(scopes: Any) -> None:
    assert login(scopes=scopes).scopes == "a offline_access"


@pytest.mark.parametrize(
    ("values", "provider"),
    [
        ({"provider": "google"}, "Google"),
        ({"provider": "GitHub"}, "Github"),
        ({"idp": "builder-id"}, "BuilderId"),
        ({"startUrl": BUILDER_ID_START}, "BuilderId"),
        ({"startUrl": f"{BUILDER_ID_START}/"}, "BuilderId"),
        ({"startUrl": "https://team.awsapps.com/start"}, "Enterprise"),
        ({"provider": "Okta"}, "Okta"),
        ({}, None),
    ],
)
def test_a_provider_is_spelled_as_kiro_does_or_follows_from_the_start_page(
    values: dict[str, str], provider: str | None
) -> None:
    assert login(**values).provider == provider


def test_an_arn_that_is_everybodys_is_not_kept() -> None:
    assert login(**REGISTERED, profileArn=BUILDER_ID_PLACEHOLDER_ARN).profile_arn is None
    assert login(**REGISTERED, profileArn=TEAM_ARN).profile_arn == TEAM_ARN


def test_a_name_with_an_odd_character_keeps_no_login_out() -> None:
    assert login(nickname="me \U0001f469\u200d\U0001f4bb\n work").label == "me \U0001f469\U0001f4bb work"


@pytest.mark.parametrize("entry", [{"disabled": True}, {"disabled": "true"}, {"enabled": False}, {"status": "Suspended"}])
def test_an_entry_out_of_use_is_marked(entry: dict[str, Any]) -> None:
    assert "in the file it came from" in (read({"refreshToken": refresh_token(), **entry}).disabled or "")


@pytest.mark.parametrize("entry", [{"disabled": False}, {"enabled": True}, {"status": "active"}, {"status": ["x"]}, {}])
def test_an_entry_in_use_is_not_marked(entry: dict[str, Any]) -> None:
    assert read({"refreshToken": refresh_token(), **entry}).disabled is None


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (5, "no JSON object"),
        ({}, "refresh token is missing"),
        ({"refreshToken": "aorAAA...ZZZ"}, "shortened"),
        ({"refreshToken": "aor\nAAA"}, "its refreshToken holds a line break"),
        ({"refreshToken": refresh_token(), "authMethod": "magic"}, "'magic', which is not supported"),
        ({"refreshToken": refresh_token(), "region": "evil.example/?"}, "AWS region"),
        ({"refreshToken": refresh_token(), "region": "mars"}, "'mars' is no AWS region"),
        ({"refreshToken": refresh_token(), "authMethod": "IdC"}, "clientIdHash"),
        (ide_external_idp(clientId=None), "client id and token endpoint"),
        (
            ide_external_idp(tokenEndpoint="https://login.microsoftonline.com.evil.example/token"),
            "must be an https address under",
        ),
        (ide_external_idp(tokenEndpoint="http://login.microsoftonline.com/token"), "must be an https address under"),
        (ide_external_idp(tokenEndpoint="https://10.0.0.1/token"), "must be an https address under"),
        (ide_external_idp(issuerUrl="https://evil.example/v2.0"), "must be the same host"),
        (ide_external_idp(tokenEndpoint="https://[login.microsoftonline.com/"), "must be an https address under"),
        (ide_external_idp(issuerUrl="https://[login.microsoftonline.com/"), "must be the same host"),
    ],
)
def test_an_entry_that_cannot_be_used_says_what_it_lacks(entry: Any, says: str) -> None:
    found = read(entry)
    assert found.login is None
    assert says in (found.problem or "")


def test_an_entry_that_cannot_be_used_keeps_its_name() -> None:
    assert read({"email": "a@example.test"}).name == "a@example.test"


@pytest.mark.parametrize("prefix", ["aor-", "aoa-", "ksk_", ""])
@pytest.mark.parametrize(
    "name", ["authMethod", "region", "apiRegion", "expiresAt", "tokenEndpoint", "issuerUrl", "proxyUrl", "scopes"]
)
def test_a_secret_in_a_wrong_field_is_not_repeated(name: str, prefix: str) -> None:
    for entry in (
        {name: prefix + SECRET},
        {**ide_external_idp(), name: prefix + SECRET},
        {**REGISTERED, name: prefix + SECRET},
    ):
        assert SECRET not in repr(read(entry))


@pytest.mark.parametrize("name", ["email", "label", "nickname", "provider", "subscriptionTitle", "status"])
def test_a_token_in_place_of_a_name_is_not_shown(name: str) -> None:
    assert SECRET not in repr(read({"refreshToken": refresh_token(), name: f"aor-{SECRET}"}))
    assert SECRET not in repr(read({name: f"aor-{SECRET}"}))


@given(json_values | odd)
def test_whatever_an_entry_holds_it_is_a_login_or_a_problem(entry: Any) -> None:
    found = read(entry)
    assert (found.login is None) is bool(found.problem)


@given(st.dictionaries(st.text(max_size=20), json_values, max_size=3) | odd)
def test_whatever_is_parsed_it_is_a_login_or_refused(entry: Any) -> None:
    with suppress(InvalidLogin):
        assert parse_login(entry).secret
