"""How an account is asked about, in which forms, and where. Source: protocol 1.1, 1.2, 1.4, 1.8."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kiro import rest_calls as r
from app.kiro.endpoints import BUILDER_ID_PLACEHOLDER_ARN, SOCIAL_PROFILE_ARN, ClientIdentity, HttpCall

IDENTITY = ClientIdentity("0.12.160", "0.12.155", "darwin#24.6.0", "v22.12.0")
MACHINE = "0123456789abcdef" * 4
ID = "0b0d7c1e-1111-4222-8333-444455556666"
ARN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ABCDEF123456"
WITH_ARN = r.RestForm(r.MODERN, True, "eu-central-1")
TOKEN_TYPE = {"api_key": "API_KEY", "external_idp": "EXTERNAL_IDP"}


def caller(kind: str = "social", arn: str | None = ARN) -> r.Caller:
    return r.Caller(kind, "aoaX", MACHINE, arn)


def usage(form: r.RestForm = WITH_ARN, who: r.Caller | None = None) -> HttpCall:
    return r.usage_call(form, who or caller(), identity=IDENTITY, invocation_id=ID)


def profiles(kind: str = "idc", next_token: str | None = None) -> HttpCall:
    return r.profiles_call("eu-central-1", caller(kind), identity=IDENTITY, invocation_id=ID, next_token=next_token)


def query(call: HttpCall) -> dict[str, list[str]]:
    return parse_qs(urlsplit(call.url).query, keep_blank_values=True)


# -- calls --


@pytest.mark.parametrize(("version", "sent"), [(r.MODERN, "0.12.155"), (r.OLD, "0.9.2")])
def test_a_rest_call_has_its_own_user_agent_in_one_of_two_versions(version: str, sent: str) -> None:
    call = usage(r.RestForm(version, False, "us-east-1"))
    assert (call.method, call.body) == ("GET", None)
    assert call.headers == {
        "Accept": "application/json",
        "x-amz-user-agent": f"aws-sdk-js/1.0.0 KiroIDE-{sent}-{MACHINE}",
        "User-Agent": (
            "aws-sdk-js/1.0.0 ua/2.1 os/darwin#24.6.0 lang/js md/nodejs#v22.12.0 "
            f"api/codewhispererruntime#1.0.0 m/N,E KiroIDE-{sent}-{MACHINE}"
        ),
        "amz-sdk-invocation-id": ID,
        "amz-sdk-request": "attempt=1; max=1",
        "Authorization": "Bearer aoaX",
        "Connection": "close",
    }


def test_the_usage_query_asks_for_the_address_and_sends_an_arn_where_the_form_says_so() -> None:
    asked = {"isEmailRequired": ["true"], "origin": ["AI_EDITOR"], "resourceType": ["AGENTIC_REQUEST"]}
    without = usage(r.RestForm(r.MODERN, False, "us-east-1"))
    assert without.url.startswith("https://q.us-east-1.amazonaws.com/getUsageLimits?")
    assert query(without) == query(usage(who=caller(arn=None))) == asked
    assert query(usage()) == {**asked, "profileArn": [ARN]}
    assert usage().url.endswith("&profileArn=arn%3Aaws%3Acodewhisperer%3Aeu-central-1%3A111122223333%3Aprofile%2FABCDEF123456")


def test_the_models_query_carries_the_next_page() -> None:
    first = r.models_call(r.RestForm(r.MODERN, False, "eu-central-1"), caller(), identity=IDENTITY, invocation_id=ID)
    assert first.url == "https://q.eu-central-1.amazonaws.com/ListAvailableModels?origin=AI_EDITOR"
    second = r.models_call(WITH_ARN, caller(), identity=IDENTITY, invocation_id=ID, next_token="a b&c")
    assert query(second) == {"origin": ["AI_EDITOR"], "nextToken": ["a b&c"], "profileArn": [ARN]}


def test_profiles_are_asked_for_by_target() -> None:
    call = profiles()
    assert (call.method, call.url) == ("POST", "https://q.eu-central-1.amazonaws.com/")
    assert call.headers["x-amz-target"] == "AmazonCodeWhispererService.ListAvailableProfiles"
    assert call.headers["Content-Type"] == "application/x-amz-json-1.0"
    assert call.headers["User-Agent"] == usage().headers["User-Agent"]
    assert orjson.loads(call.body or b"") == {"maxResults": 10}
    assert orjson.loads(profiles(next_token="p2").body or b"") == {"maxResults": 10, "nextToken": "p2"}


@pytest.mark.parametrize("kind", ["social", "idc", "external_idp", "api_key"])
def test_the_kind_of_login_decides_the_token_type(kind: str) -> None:
    for call in (usage(who=caller(kind)), profiles(kind)):
        assert call.headers.get("tokentype") == TOKEN_TYPE.get(kind)


@pytest.mark.parametrize("region", ["evil.example/", "a@b", "us-east-1.evil.example", "us-east-1\n", "", "#"])
def test_a_region_that_would_lead_to_another_host_is_refused(region: str) -> None:
    with pytest.raises(ValueError, match="region"):
        usage(r.RestForm(r.MODERN, True, region))
    with pytest.raises(ValueError, match="region"):
        r.profiles_call(region, caller(), identity=IDENTITY, invocation_id=ID)


def test_a_caller_does_not_show_its_token() -> None:
    assert "aoaX" not in repr(caller())


# -- forms --


def forms(**values: Any) -> list[str]:
    login = {"kind": "idc", "provider": "Enterprise", "profile_arn": ARN, "explicit_region": None, "auth_region": "us-east-1"}
    return [str(form) for form in r.rest_forms(**{**login, **values})]


EUROPE_FIRST = [
    "modern+arn@eu-central-1",
    "modern@eu-central-1",
    "old@eu-central-1",
    "modern@us-east-1",
    "old@us-east-1",
]
NO_ARN = ["modern@us-east-1", "old@us-east-1", "modern@eu-central-1", "old@eu-central-1"]


def test_the_arn_goes_along_first_and_only_where_its_profile_lives() -> None:
    assert forms() == EUROPE_FIRST


@pytest.mark.parametrize(
    ("login", "first"),
    [
        ({"kind": "social", "provider": None, "profile_arn": None}, "modern+arn@us-east-1"),
        ({"provider": "BuilderId", "profile_arn": None}, "modern+arn@us-east-1"),
        ({"provider": "BuilderId", "profile_arn": None, "auth_region": "eu-west-1"}, "modern+arn@us-east-1"),
        ({"profile_arn": None}, "modern@us-east-1"),
        ({"kind": "external_idp", "profile_arn": None}, "modern@us-east-1"),
    ],
)
def test_what_a_login_sends_in_a_chat_it_sends_here(login: dict[str, Any], first: str) -> None:
    assert forms(**login)[0] == first


def test_a_key_never_sends_an_arn() -> None:
    assert forms(kind="api_key") == ["modern@us-east-1", "modern@eu-central-1"]


@pytest.mark.parametrize("arn", [None, SOCIAL_PROFILE_ARN, BUILDER_ID_PLACEHOLDER_ARN])
@pytest.mark.parametrize("auth_region", ["us-east-1", "ap-southeast-2", None])
def test_a_login_from_anywhere_is_asked_where_the_api_exists(arn: str | None, auth_region: str | None) -> None:
    assert [text for text in forms(profile_arn=arn, auth_region=auth_region) if "+arn" not in text] == NO_ARN


@pytest.mark.parametrize("auth_region", ["eu-west-1", "eu-central-1", "eu-north-1"])
def test_a_european_login_is_looked_for_in_europe_first(auth_region: str) -> None:
    assert forms(profile_arn=None, auth_region=auth_region) == [*NO_ARN[2:], *NO_ARN[:2]]


def test_an_explicit_region_counts_where_no_arn_says_another() -> None:
    assert forms(explicit_region="us-east-1")[0] == "modern+arn@eu-central-1", "an ARN is refused in another region"
    assert forms(kind="api_key", explicit_region="eu-central-1")[0] == "modern@eu-central-1"


def test_what_worked_last_is_tried_first_and_nothing_twice() -> None:
    assert forms(learned="old@us-east-1") == ["old@us-east-1", *EUROPE_FIRST[:-1]]


@pytest.mark.parametrize("learned", ["", "modern+arn@us-gov-west-1", "newest@us-east-1", "modern@evil.example/", "modern"])
def test_what_is_remembered_and_does_not_fit_is_ignored(learned: str) -> None:
    assert forms(learned=learned) == EUROPE_FIRST


@given(st.sampled_from([r.MODERN, r.OLD]), st.booleans(), st.from_regex(r"[a-z]{2}(-[a-z]+){1,2}-[0-9]", fullmatch=True))
def test_a_form_is_read_back_from_its_text(version: str, with_arn: bool, region: str) -> None:
    form = r.RestForm(version, with_arn, region)
    assert r.RestForm.parse(str(form)) == form
