"""Questions about accounts that broke gateways of this kind, one test a row of the failure corpus: ARNs, regions, forms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.credentials.credential import Credential, Login
from app.credentials.profiles import Profiles
from app.credentials.store import CredentialStore
from app.errors import ProfileRequired
from app.kiro import failures
from app.kiro.endpoints import API_REGIONS, api_region, chat_call, sent_profile_arn
from app.kiro.rest_calls import api_regions, rest_forms
from app.upstream.account import AccountClient
from app.upstream.http import HttpAnswer
from tests.unit.credentials.logins import IDENTITY, idc
from tests.unit.upstream import accounts as a

US = "arn:aws:codewhisperer:us-east-1:111122223333:profile/ABCDEF123456"
EU = US.replace("us-east-1", "eu-central-1")
LOGINS: dict[str, dict[str, Any]] = {
    "social": {"kind": "social", "provider": "Google"},
    "Builder ID": {"kind": "idc", "provider": "BuilderId"},
    "Enterprise": {"kind": "idc", "provider": "Enterprise", "profile_arn": EU},
    "external IdP": {"kind": "external_idp", "provider": "ExternalIdp", "profile_arn": EU},
}


def credential(**values: Any) -> Credential:
    return Credential(**{"id": 1, "access_token": "aoaX", "machine_id": "0" * 64, "auth_region": "us-east-1", **values})


def client(account: a.Account) -> AccountClient:
    return AccountClient(account, lambda: IDENTITY)


def found_for(login: Login, database: Path, account: a.Account) -> Credential:
    """The credential as it may be sent."""
    assert database.exists()
    store = CredentialStore()
    stored = store.get(store.add(login))
    assert stored is not None
    return Profiles(store, client(account)).search(stored)


def test_row_101_a_missing_profile_is_told_apart_from_a_bad_request() -> None:
    body = b'{"message":"profileArn is required for this request.","reason":null}'
    assert isinstance(failures.classify(400, {}, body), ProfileRequired)


@pytest.mark.parametrize("arn", [US, EU])
def test_row_101_a_missing_profile_is_discovered_wherever_it_is(database: Path, arn: str) -> None:
    account = a.Account(lambda asked: a.listed(arn) if asked.region in arn else a.listed())
    assert found_for(idc(provider="Enterprise", auth_region="us-east-1"), database, account).profile_arn == arn


@pytest.mark.parametrize("explicit", [None, "us-east-1", "eu-central-1"])
@pytest.mark.parametrize("arn", [US, EU])
def test_row_101_host_and_arn_are_of_one_region(arn: str, explicit: str | None) -> None:
    call = chat_call(
        host="q",
        region=api_region(explicit, arn, "us-east-1"),
        access_token="aoaX",
        machine_id="0" * 64,
        identity=IDENTITY,
        kind="idc",
        body=b"{}",
        invocation_id="i",
    )
    region = arn.split(":")[3]
    assert call.url.startswith(f"https://q.{region}.amazonaws.com/")
    account = a.Account(lambda _: a.answered(a.credits_used()))
    client(account).usage(credential(kind="idc", provider="Enterprise", profile_arn=arn, api_region=explicit))
    assert (account.asked[0].region, account.asked[0].arn) == (region, arn)


@pytest.mark.parametrize("refusal", a.FORM_REFUSALS)
@pytest.mark.parametrize("wanted", ["with", "without"])
@pytest.mark.parametrize("login", LOGINS)
def test_row_102_usage_is_asked_with_then_without_an_arn_and_what_worked_is_remembered(
    login: str, wanted: str, refusal: HttpAnswer
) -> None:
    def play(asked: a.Asked) -> HttpAnswer:
        return a.answered(a.credits_used()) if (asked.arn is None) == (wanted == "without") else refusal

    account = a.Account(play)
    found = client(account).usage(credential(**LOGINS[login]))
    assert [asked.arn is not None for asked in account.asked] == ([True] if wanted == "with" else [True, False])
    again = a.Account(play)
    client(again).usage(credential(**LOGINS[login], learned={"rest": str(found.form)}))
    assert len(again.asked) == 1


def test_row_102_old_accounts_are_asked_as_an_old_client_would_ask() -> None:
    account = a.Account(lambda asked: a.answered(a.credits_used()) if asked.version == "0.9.2" else a.PROFILE_REQUIRED)
    found = client(account).usage(credential(kind="social"))
    assert str(found.form) == "old@us-east-1"
    assert account.asked[-1].arn is None


@pytest.mark.parametrize("auth_region", ["ap-southeast-2", "ap-northeast-1", "sa-east-1", "eu-west-3", "ca-central-1"])
def test_row_103_no_host_is_made_of_an_identity_centers_region(auth_region: str) -> None:
    assert set(api_regions(None, None, auth_region)) == set(API_REGIONS)
    assert api_region(None, None, auth_region) in API_REGIONS
    login = {"kind": "idc", "provider": "Enterprise", "profile_arn": None}
    assert {form.region for form in rest_forms(**login, explicit_region=None, auth_region=auth_region)} == set(API_REGIONS)


def test_row_103_a_login_from_anywhere_is_found_in_the_two_regions(database: Path) -> None:
    account = a.Account(lambda asked: a.listed(EU) if asked.region == "eu-central-1" else a.listed())
    found = found_for(idc(provider="Enterprise", auth_region="ap-southeast-2"), database, account)
    assert found.profile_arn == EU
    assert [asked.region for asked in account.asked] == ["us-east-1", "eu-central-1"]
    assert sent_profile_arn(found.kind, found.provider, found.profile_arn) == EU
