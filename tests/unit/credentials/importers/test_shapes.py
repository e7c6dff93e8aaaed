from __future__ import annotations

import json
from typing import Any

import pytest

from app.credentials.credential import Login
from app.credentials.importers import Entry, read_text
from app.credentials.importers.shapes import IDE_SHARED
from tests.unit.credentials.importers.exports import (
    EXPIRES,
    EXPIRES_AT,
    SOCIAL_ARN,
    access_token,
    account,
    account_manager,
    ide_external_idp,
    ide_social,
    registration,
)
from tests.unit.credentials.logins import refresh_token

REGISTERED = {"clientId": "cid-a", "clientSecret": "csec-a"}


def entries(content: Any) -> list[Entry]:
    return read_text(json.dumps(content))


def only_login(content: Any) -> Login:
    (entry,) = entries(content)
    assert entry.login is not None, entry.problem
    return entry.login


def test_a_token_file_of_the_ide_is_read() -> None:
    login = only_login(ide_social())
    assert (login.kind, login.provider, login.profile_arn, login.auth_region) == ("social", "Google", SOCIAL_ARN, "us-east-1")
    assert (login.access_token, login.refresh_token, login.expires_at) == (access_token(), refresh_token(), EXPIRES_AT)


def test_a_kiro_rs_entry_is_read_in_full() -> None:
    (entry,) = entries(
        {
            "id": 4,
            "refreshToken": refresh_token(),
            "authMethod": "builder-id",
            **REGISTERED,
            "priority": 2,
            "region": "us-east-1",
            "authRegion": "eu-west-1",
            "apiRegion": "eu-central-1",
            "machineId": "ab" * 32,
            "email": "a@example.test",
            "subscriptionTitle": "KIRO PRO",
            "proxyUrl": "http://proxy:8080",
            "proxyUsername": "me",
            "proxyPassword": "p@ss",
            "disabled": True,
        }
    )
    login = entry.login
    assert login is not None
    assert (login.kind, login.refresh_token, login.priority) == ("idc", refresh_token(), 2)
    assert (login.auth_region, login.api_region, login.machine_id) == ("eu-west-1", "eu-central-1", "ab" * 32)
    assert login.proxy_url == "http://me:p%40ss@proxy:8080"
    assert (entry.disabled, entry.plan) == ("disabled in the file it came from", "KIRO PRO")


@pytest.mark.parametrize(
    "content",
    [
        account_manager(account()),
        {**account_manager(), "accounts": {"id-a": account()}},
        [account()],
        account(),
        {**account(), "credentials": {**account()["credentials"], "authMethod": ""}},
    ],
)
def test_an_export_of_kiro_account_manager_is_read(content: Any) -> None:
    (entry,) = entries(content)
    login = entry.login
    assert login is not None
    assert (login.kind, login.provider, login.email, login.label) == ("idc", "BuilderId", "a@example.test", "nick a")
    assert (login.refresh_token, login.client_id, login.client_secret) == (refresh_token(), "cid-a", "csec-a")
    assert (login.expires_at, login.machine_id, entry.plan) == (EXPIRES_AT, "ab" * 32, "KIRO PRO")
    assert entry.disabled is None


def test_the_flat_export_of_kiro_account_manager_is_read() -> None:
    flat = {"refreshToken": refresh_token(), **REGISTERED, "region": "us-east-1", "provider": "BuilderId", "label": "work"}
    login = only_login(account_manager(flat))
    assert (login.kind, login.provider, login.label, login.client_id) == ("idc", "BuilderId", "work", "cid-a")


@pytest.mark.parametrize("status", ["error", "suspended", "disabled", "Banned"])
def test_an_account_that_is_out_of_use_comes_in_disabled(status: str) -> None:
    good, bad = entries(account_manager(account("a"), account("b", status=status)))
    assert good.disabled is None
    assert bad.login is not None
    assert bad.disabled == f"{status.lower()} in the file it came from"


def test_the_export_of_zyphr_is_read() -> None:
    nested = {**account()["credentials"], "authMethod": "external", "provider": "AzureAD", "clientSecret": None}
    nested |= {name: ide_external_idp()[name] for name in ("tokenEndpoint", "issuerUrl", "scopes")}
    login = only_login({"version": "2.0", "groups": [{"id": "g"}], "tags": [], "accounts": [account(credentials=nested)]})
    assert (login.kind, login.token_endpoint) == ("external_idp", ide_external_idp()["tokenEndpoint"])


@pytest.mark.parametrize("wrapped", [False, True])
def test_an_export_of_the_original_is_read(wrapped: bool) -> None:
    items = [
        {"refreshToken": refresh_token("a")},
        {"refreshToken": refresh_token("b"), **REGISTERED, "region": "eu-west-1", "proxyUrl": "socks5://p:1"},
    ]
    content = {"success": True, "message": "ok", "count": 2, "credentials": items} if wrapped else items
    first, second = (entry.login for entry in entries(content))
    assert first is not None
    assert second is not None
    assert (first.kind, second.kind) == ("social", "idc")
    assert (second.auth_region, second.proxy_url) == ("eu-west-1", "socks5://p:1")


def test_a_file_of_aiclient_2_api_is_read() -> None:
    login = only_login(
        {
            "accessToken": access_token(),
            "refreshToken": refresh_token(),
            "profileArn": SOCIAL_ARN,
            "expiresAt": EXPIRES,
            "authMethod": "builder-id",
            **REGISTERED,
            "region": "us-east-1",
            "idcRegion": "eu-west-1",
        }
    )
    assert (login.kind, login.auth_region, login.expires_at) == ("idc", "eu-west-1", EXPIRES_AT)
    assert login.profile_arn is None, "of a Builder ID the ARN of social logins would be refused"


def test_a_list_of_kiro2api_is_read() -> None:
    social, idc, off = entries(
        [
            {"auth": "Social", "refreshToken": refresh_token("a")},
            {"auth": "IdC", "refreshToken": refresh_token("b"), **REGISTERED},
            {"auth": "Social", "refreshToken": refresh_token("c"), "disabled": True},
        ]
    )
    assert [each.login and each.login.kind for each in (social, idc, off)] == ["social", "idc", "social"]
    assert [bool(each.disabled) for each in (social, idc, off)] == [False, False, True]


def test_a_file_of_cliproxyapi_is_read() -> None:
    login = only_login(
        {
            "type": "kiro",
            "access_token": access_token(),
            "refresh_token": refresh_token(),
            "profile_arn": SOCIAL_ARN,
            "expires_at": EXPIRES,
            "auth_method": "social",
            "provider": "Google",
            "last_refresh": EXPIRES,
            "client_id": "",
            "client_secret": "",
            "email": "a@example.test",
        }
    )
    assert (login.kind, login.email, login.expires_at, login.client_id) == ("social", "a@example.test", EXPIRES_AT, None)


def test_a_file_of_proxycast_is_read() -> None:
    content = {**ide_social(), "expire": EXPIRES, "last_refresh": EXPIRES, "type": "kiro"}
    del content["expiresAt"]
    assert only_login(content).expires_at == EXPIRES_AT


@pytest.mark.parametrize(
    "method", ["external_idp", "external", "AzureAD", "azure", "entra", "entra-id", "Microsoft", "m365", "office365"]
)
def test_a_login_of_an_external_provider_is_read_whatever_its_method_is_called(method: str) -> None:
    login = only_login(ide_external_idp(authMethod=method))
    assert (login.kind, login.client_id, login.client_secret) == ("external_idp", "cid-a", None)
    assert login.scopes == "api://kiro/codewhisperer:conversations offline_access"
    assert login.issuer_url == ide_external_idp()["issuerUrl"]


@pytest.mark.parametrize(
    ("content", "shared"),
    [
        (ide_social(), True),
        (ide_external_idp(), True),
        ({"refreshToken": refresh_token(), "authMethod": "social"}, False),
        (account(), False),
        ({**ide_social(), "priority": 1}, False),
    ],
)
def test_the_ides_own_login_is_said_to_be_shared(content: Any, shared: bool) -> None:
    (entry,) = entries(content)
    assert (IDE_SHARED in entry.notes) is shared


@pytest.mark.parametrize(
    "content", [registration(), {"clientId": "c", "clientSecret": "s", "expiresAt": EXPIRES, "region": "x"}]
)
def test_a_client_registration_by_itself_points_to_the_token_file(content: Any) -> None:
    (entry,) = entries(content)
    assert "kiro-auth-token.json" in (entry.problem or "")


def test_a_path_in_what_was_pasted_is_not_followed() -> None:
    (entry,) = entries([{"type": "json", "path": "/etc/passwd"}])
    assert entry.login is None
    assert "only names another file" in (entry.problem or "")
