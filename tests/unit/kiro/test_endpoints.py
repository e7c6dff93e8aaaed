"""Who we say we are, where we call, and which profile ARN goes along. Source: protocol 1.2–1.8 and 2."""

from __future__ import annotations

from collections.abc import Callable

import orjson
import pytest

from app.kiro import endpoints as p
from app.kiro.endpoints import HttpCall

IDENTITY = p.ClientIdentity("0.12.155", "0.9.2", "darwin#24.6.0", "v22.12.0")
MACHINE = "0123456789abcdef" * 4
ID = "0b0d7c1e-1111-4222-8333-444455556666"
ARN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ABCDEF123456"
KINDS = ["social", "idc", "external_idp", "api_key"]
TOKEN_TYPE = {"api_key": "API_KEY", "external_idp": "EXTERNAL_IDP"}


def chat(kind: str = "social", region: str = "us-east-1", host: str = p.Q) -> HttpCall:
    return p.chat_call(
        host=host,
        region=region,
        access_token="aoaX",
        machine_id=MACHINE,
        identity=IDENTITY,
        kind=kind,
        body=b"{}",
        invocation_id=ID,
    )


# -- headers --


def test_the_runtime_host_is_named_the_operation() -> None:
    call = chat(host=p.RUNTIME, region="eu-central-1")
    assert call.url == "https://runtime.eu-central-1.kiro.dev/generateAssistantResponse"
    assert call.headers["Content-Type"] == "application/x-amz-json-1.0"
    assert call.headers["x-amz-target"] == "AmazonCodeWhispererStreamingService.GenerateAssistantResponse"
    assert "x-amz-target" not in chat().headers


def test_a_chat_is_sent_as_the_editor_sends_it() -> None:
    call = chat()
    assert (call.method, call.url) == ("POST", "https://q.us-east-1.amazonaws.com/generateAssistantResponse")
    assert call.body == b"{}"
    assert call.headers == {
        "Content-Type": "application/json",
        "Accept": "*/*",
        "x-amzn-codewhisperer-optout": "true",
        "x-amzn-kiro-agent-mode": "vibe",
        "x-amz-user-agent": f"aws-sdk-js/1.0.34 KiroIDE-0.12.155-{MACHINE}",
        "User-Agent": (
            "aws-sdk-js/1.0.34 ua/2.1 os/darwin#24.6.0 lang/js md/nodejs#v22.12.0 "
            f"api/codewhispererstreaming#1.0.34 m/E KiroIDE-0.12.155-{MACHINE}"
        ),
        "amz-sdk-invocation-id": ID,
        "amz-sdk-request": "attempt=1; max=3",
        "Authorization": "Bearer aoaX",
        "Connection": "close",
    }


@pytest.mark.parametrize("kind", KINDS)
def test_the_kind_of_login_decides_the_token_type(kind: str) -> None:
    assert chat(kind).headers.get("tokentype") == TOKEN_TYPE.get(kind)


def test_a_social_refresh_is_sent_as_the_editor_sends_it() -> None:
    call = p.social_refresh_call(region="us-east-1", refresh_token="aorX", machine_id=MACHINE, identity=IDENTITY)
    assert (call.method, call.url) == ("POST", "https://prod.us-east-1.auth.desktop.kiro.dev/refreshToken")
    assert orjson.loads(call.body or b"") == {"refreshToken": "aorX"}
    assert call.headers == {
        "Accept": "application/json, text/plain, */*",
        "Content-Type": "application/json",
        "User-Agent": f"KiroIDE-0.12.155-{MACHINE}",
        "Accept-Encoding": "gzip, deflate",
        "Connection": "close",
    }


def test_an_idc_refresh_is_json_in_camel_case() -> None:
    call = p.idc_refresh_call(
        region="eu-west-1", client_id="cid", client_secret="csec", refresh_token="aorX", identity=IDENTITY, invocation_id=ID
    )
    assert (call.method, call.url) == ("POST", "https://oidc.eu-west-1.amazonaws.com/token")
    assert orjson.loads(call.body or b"") == {
        "clientId": "cid",
        "clientSecret": "csec",
        "refreshToken": "aorX",
        "grantType": "refresh_token",
    }
    assert call.headers == {
        "Content-Type": "application/json",
        "x-amz-user-agent": "aws-sdk-js/3.980.0 KiroIDE",
        "User-Agent": (
            "aws-sdk-js/3.980.0 ua/2.1 os/darwin#24.6.0 lang/js md/nodejs#v22.12.0 api/sso-oidc#3.980.0 m/E KiroIDE"
        ),
        "amz-sdk-invocation-id": ID,
        "amz-sdk-request": "attempt=1; max=4",
        "Connection": "close",
    }


# -- regions and profile ARNs --


@pytest.mark.parametrize(
    ("explicit", "arn", "login", "region"),
    [
        (None, None, None, "us-east-1"),
        (None, None, "us-east-1", "us-east-1"),
        (None, None, "eu-central-1", "eu-central-1"),
        (None, None, "ap-southeast-2", "us-east-1"),
        (None, ARN, "us-east-1", "eu-central-1"),
        (None, p.BUILDER_ID_PLACEHOLDER_ARN, "eu-central-1", "us-east-1"),
        (None, p.SOCIAL_PROFILE_ARN, None, "us-east-1"),
        ("us-east-1", ARN, "eu-central-1", "eu-central-1"),
        ("us-east-1", None, "eu-central-1", "us-east-1"),
        (None, None, "eu-west-2", "eu-central-1"),
        ("", ARN, None, "eu-central-1"),
        (None, "", "eu-central-1", "eu-central-1"),
        (None, "arn:aws:codewhisperer", "eu-central-1", "eu-central-1"),
        (None, "arn:aws:codewhisperer::1:profile/X", "eu-central-1", "eu-central-1"),
        (None, "arn:aws:codewhisperer:evil.example/:1:profile/X", None, "us-east-1"),
        (None, "arn:aws:codewhisperer:us-east-1\n:1:profile/X", "eu-central-1", "eu-central-1"),
        (None, "arn:aws-us-gov:codewhisperer:us-gov-west-1:1:profile/X", None, "us-gov-west-1"),
    ],
)
def test_the_api_is_called_where_the_profile_lives(
    explicit: str | None, arn: str | None, login: str | None, region: str
) -> None:
    assert p.api_region(explicit, arn, login) == region


@pytest.mark.parametrize("region", ["evil.example/", "a@b", "us-east-1.evil.example", "us-east-1\n", "", "us east 1", "#"])
def test_a_region_that_would_lead_to_another_host_is_refused(region: str) -> None:
    calls: list[Callable[[], HttpCall]] = [
        lambda: chat(region=region),
        lambda: p.social_refresh_call(region=region, refresh_token="aorX", machine_id=MACHINE, identity=IDENTITY),
        lambda: p.idc_refresh_call(
            region=region, client_id="c", client_secret="s", refresh_token="r", identity=IDENTITY, invocation_id=ID
        ),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="region"):
            call()


@pytest.mark.parametrize(
    ("kind", "provider", "stored", "sent"),
    [
        ("social", "Google", None, p.SOCIAL_PROFILE_ARN),
        ("social", None, "", p.SOCIAL_PROFILE_ARN),
        ("social", "Github", ARN, ARN),
        ("idc", None, None, p.BUILDER_ID_PLACEHOLDER_ARN),
        ("idc", "BuilderId", "", p.BUILDER_ID_PLACEHOLDER_ARN),
        ("idc", "BuilderId", ARN, ARN),
        ("idc", "Enterprise", None, None),
        ("idc", "Enterprise", ARN, ARN),
        ("external_idp", "AzureAD", None, None),
        ("external_idp", "AzureAD", ARN, ARN),
        ("api_key", None, None, None),
        ("api_key", None, ARN, None),
    ],
)
def test_the_arn_of_a_chat_is_real_or_the_fixed_one_or_absent(
    kind: str, provider: str | None, stored: str | None, sent: str | None
) -> None:
    assert p.sent_profile_arn(kind, provider, stored) == sent


# -- machine id --

HEX64 = "ABCDEFabcdef0123" * 4
UUID = "2f1c8a9e-4b3d-4c5e-9f60-718293a4b5c6"
FROM_TOKEN = "6768444b78491b755f80eb453bfe2d87e6783f4dbd9e585dccff530f02575edb"
FROM_KEY = "b70bb69ea75563b169bce5a30adc323b659bf2291772f891225be2e6655c414c"


@pytest.mark.parametrize(
    ("given", "refresh_token", "api_key", "machine_id"),
    [
        (HEX64, "A" * 120, None, HEX64),
        (f"  {HEX64}\n", "A" * 120, None, HEX64),
        (UUID, None, None, UUID.replace("-", "") * 2),
        ("0123456789abcdef" * 2, None, None, MACHINE),
        (None, "A" * 120, None, FROM_TOKEN),
        ("", "A" * 120, None, FROM_TOKEN),
        ("not hex", "A" * 120, None, FROM_TOKEN),
        (HEX64[:-1], "A" * 120, None, FROM_TOKEN),
        (HEX64 + "0", "A" * 120, None, FROM_TOKEN),
        (None, None, "ksk_demo", FROM_KEY),
        (None, "A" * 120, "ksk_demo", FROM_KEY),
    ],
)
def test_the_machine_id_is_the_given_one_or_derived(
    given: str | None, refresh_token: str | None, api_key: str | None, machine_id: str
) -> None:
    assert p.derive_machine_id(given, refresh_token, api_key) == machine_id


def test_nothing_to_derive_a_machine_id_from_is_an_error() -> None:
    with pytest.raises(ValueError, match="machine id"):
        p.derive_machine_id("not hex", None)
