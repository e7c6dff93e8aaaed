"""What is sent to sign a person in, and what answers and pasted addresses are taken for. Source: protocol 1.9, 1.10."""

from __future__ import annotations

import contextlib
import json
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kiro import sign_in as p
from app.kiro.endpoints import ClientIdentity, HttpCall
from app.kiro.oauth import Grant
from app.kiro.sign_in import Pending, Registration, SignInFailed

IDENTITY = ClientIdentity("0.12.155", "0.9.2", "darwin#24.6.0", "v22.12.0")
ID = "0b0d7c1e-1111-4222-8333-444455556666"
REGISTRATION = Registration("cid", "csec-secret", 1_790_000_000.0)
SECRETS = ("csec-secret", "dc-secret")
# RFC 7636, appendix B.
VERIFIER, CHALLENGE = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"


def content(call: HttpCall) -> Any:
    return json.loads(call.body or b"")


def encoded(body: Any) -> bytes:
    return json.dumps(body).encode()


def test_a_client_is_registered_with_the_scopes_of_the_ide() -> None:
    call = p.register_call(region="eu-west-1", start_url="https://acme.awsapps.com/start", identity=IDENTITY, invocation_id=ID)
    assert (call.method, call.url) == ("POST", "https://oidc.eu-west-1.amazonaws.com/client/register")
    assert content(call) == {
        "clientName": "Kiro IDE",
        "clientType": "public",
        "scopes": [
            "codewhisperer:completions",
            "codewhisperer:analysis",
            "codewhisperer:conversations",
            "codewhisperer:transformations",
            "codewhisperer:taskassist",
        ],
        "grantTypes": ["urn:ietf:params:oauth:grant-type:device_code", "refresh_token"],
        "issuerUrl": "https://acme.awsapps.com/start",
    }
    assert call.headers["Content-Type"] == "application/json"
    assert "os/darwin#24.6.0" in call.headers["User-Agent"]
    assert call.headers["amz-sdk-invocation-id"] == ID


def test_a_code_is_asked_for_and_asked_about_with_the_registration() -> None:
    asked = {"region": "us-east-1", "registration": REGISTRATION, "identity": IDENTITY, "invocation_id": ID}
    begin = p.device_authorization_call(start_url=p.BUILDER_ID_START_URL, **asked)  # type: ignore[arg-type]
    assert begin.url == "https://oidc.us-east-1.amazonaws.com/device_authorization"
    assert content(begin) == {"clientId": "cid", "clientSecret": "csec-secret", "startUrl": "https://view.awsapps.com/start"}
    ask = p.device_token_call(device_code="dc-secret", **asked)  # type: ignore[arg-type]
    assert ask.url == "https://oidc.us-east-1.amazonaws.com/token"
    assert content(ask) == {
        "clientId": "cid",
        "clientSecret": "csec-secret",
        "deviceCode": "dc-secret",
        "grantType": "urn:ietf:params:oauth:grant-type:device_code",
    }


@pytest.mark.parametrize("region", ["", "mars", "evil.example/", "us-east-1.evil.example", "us-east-1\n.example", "us_east_1"])
def test_a_region_that_is_none_goes_nowhere(region: str) -> None:
    with pytest.raises(SignInFailed, match="AWS region"):
        p.register_call(region=region, start_url=p.BUILDER_ID_START_URL, identity=IDENTITY, invocation_id=ID)


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("https://acme.awsapps.com/start", "https://acme.awsapps.com/start"),
        (" https://acme.awsapps.com/start/ ", "https://acme.awsapps.com/start"),
        ("https://acme.awsapps.com/start#/?tab=accounts", "https://acme.awsapps.com/start"),
        ("https://d-1234567890.awsapps.com", "https://d-1234567890.awsapps.com/start"),
        ("https://ssoins-1234.portal.eu-west-1.app.aws", "https://ssoins-1234.portal.eu-west-1.app.aws"),
    ],
)
def test_a_start_url_is_taken_as_it_was_meant(typed: str, meant: str) -> None:
    assert p.checked_start_url(typed) == meant


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "acme",
        "http://acme.awsapps.com/start",
        "https://acme.example/start",
        "https://awsapps.com.example/",
        "https://me@acme.awsapps.com/start",
        "https://evil.example\\.awsapps.com/start",
        "https://acme.awsapps.com:8443/start",
        "https://[acme.awsapps.com/start",
    ],
)
def test_a_start_url_of_nobody_is_refused(typed: str) -> None:
    with pytest.raises(SignInFailed, match="awsapps"):
        p.checked_start_url(typed)


def test_a_registration_is_read_and_hides_its_secret() -> None:
    body = encoded({"clientId": "cid", "clientSecret": "csec-secret", "clientSecretExpiresAt": 1790000000})
    assert p.read_registration(200, body) == REGISTRATION
    assert "csec" not in repr(REGISTRATION)
    assert p.read_registration(200, encoded({"clientId": "a", "clientSecret": "b"})).expires_at is None


DEVICE = {
    "deviceCode": "dc-secret",
    "userCode": "ABCD-EFGH",
    "verificationUri": "https://device.example/",
    "verificationUriComplete": "https://device.example/?user_code=ABCD-EFGH",
    "expiresIn": 600,
    "interval": 1,
}


@pytest.mark.parametrize(
    ("changes", "url", "interval", "expires_in"),
    [
        ({}, "https://device.example/?user_code=ABCD-EFGH", 1, 600),
        ({"interval": None, "expiresIn": None}, "https://device.example/?user_code=ABCD-EFGH", 5, 600),
        ({"interval": "soon", "expiresIn": -1}, "https://device.example/?user_code=ABCD-EFGH", 5, 600),
        ({"verificationUriComplete": None}, "https://device.example/", 1, 600),
    ],
)
def test_a_device_code_is_read(changes: dict[str, Any], url: str, interval: float, expires_in: float) -> None:
    device = p.read_device_code(200, encoded({**DEVICE, **changes}), REGISTRATION)
    assert (device.device_code, device.user_code) == ("dc-secret", "ABCD-EFGH")
    assert (device.verification_url, device.interval_seconds, device.expires_in_seconds) == (url, interval, expires_in)
    assert "dc-secret" not in repr(device)


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", encoded({"clientId": 5, "clientSecret": "x"})])
def test_a_beginning_without_what_is_needed_fails(body: bytes) -> None:
    with pytest.raises(SignInFailed, match="try again"):
        p.read_registration(200, body)
    with pytest.raises(SignInFailed, match="try again"):
        p.read_device_code(200, body, REGISTRATION)


def test_what_aws_says_about_it_is_passed_on_without_the_secret() -> None:
    refused = encoded({"error": "invalid_client_metadata", "error_description": "no such scope"})
    with pytest.raises(SignInFailed, match="no such scope"):
        p.read_registration(400, refused)
    with pytest.raises(SignInFailed, match=r"region: bad …$"):
        p.read_device_code(400, encoded({"message": "bad csec-secret"}), REGISTRATION)


@pytest.mark.parametrize(
    ("status", "body", "pending"),
    [
        (400, {"error": "authorization_pending"}, Pending(slower=False)),
        (400, {"error": "slow_down"}, Pending(slower=True)),
        (429, {}, Pending(slower=True)),
        (502, {}, Pending(slower=True)),
    ],
)
def test_a_person_who_has_not_decided_is_waited_for(status: int, body: dict[str, str], pending: Pending) -> None:
    assert p.read_device_answer(status, encoded(body), SECRETS) == pending


def test_a_person_who_agreed_brings_tokens() -> None:
    answer = {"accessToken": "aoa", "refreshToken": "aor", "expiresIn": 28800, "tokenType": "Bearer", "idToken": None}
    assert p.read_device_answer(200, encoded(answer), SECRETS) == Grant("aoa", "aor", 28800.0, None)


@pytest.mark.parametrize(
    ("status", "body", "says"),
    [
        (400, {"error": "expired_token"}, "not used in time"),
        (400, {"error": "access_denied"}, "declined"),
        (400, {"error": "invalid_grant"}, "no longer known"),
        (401, {"error": "invalid_client", "error_description": "bad csec-secret"}, "bad …"),
        (400, {}, "status 400"),
        (200, {"accessToken": "aoa"}, "status 200"),
    ],
)
def test_what_ends_a_device_code_is_named(status: int, body: dict[str, str], says: str) -> None:
    with pytest.raises(SignInFailed, match=says) as caught:
        p.read_device_answer(status, encoded(body), SECRETS)
    assert "secret" not in caught.value.message


@given(st.integers(100, 599), st.binary(max_size=40) | st.sampled_from([b"[]", b"null", b'{"error":{}}', b'{"error":["x"]}']))
def test_any_answer_waits_or_ends(status: int, body: bytes) -> None:
    with contextlib.suppress(SignInFailed):
        assert isinstance(p.read_device_answer(status, body, SECRETS), Pending)
    for read in (p.read_registration, lambda *answer: p.read_exchange(*answer, ())):
        with pytest.raises(SignInFailed):
            read(status, body)


def test_a_login_page_carries_the_challenge_never_the_verifier() -> None:
    url = urlsplit(p.login_url(provider="github", landing="kiro", verifier=VERIFIER, state="st"))
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://prod.us-east-1.auth.desktop.kiro.dev/login"
    assert dict(parse_qsl(url.query)) == {
        "idp": "Github",
        "redirect_uri": "kiro://kiro.kiroAgent/authenticate-success",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "state": "st",
        "prompt": "select_account",
    }


def test_a_verifier_is_made_of_the_whole_chance() -> None:
    assert p.secret_text(b"\xff" * p.VERIFIER_BYTES) == "_" * 42 + "8"


def test_a_code_is_traded_with_the_verifier_and_the_same_address() -> None:
    call = p.exchange_call(code="the-code", verifier=VERIFIER, landing="localhost", identity=IDENTITY)
    assert call.url == "https://prod.us-east-1.auth.desktop.kiro.dev/oauth/token"
    assert content(call) == {
        "code": "the-code",
        "code_verifier": VERIFIER,
        "redirect_uri": "http://localhost:49153/oauth/callback",
    }
    assert call.headers["User-Agent"] == "KiroIDE-0.12.155"


def test_an_exchange_brings_tokens_or_says_why_not() -> None:
    answer = {"accessToken": "aoa", "refreshToken": "aor", "profileArn": "arn:1", "expiresIn": 3600}
    assert p.read_exchange(200, encoded(answer), ()) == Grant("aoa", "aor", 3600.0, "arn:1")
    with pytest.raises(SignInFailed, match="bad …") as caught:
        p.read_exchange(401, encoded({"message": "bad the-code"}), ("the-code",))
    assert "Begin again" in caught.value.message


@pytest.mark.parametrize(
    "pasted",
    [
        "kiro://kiro.kiroAgent/authenticate-success?code=the-code&state=st",
        "http://localhost:49153/oauth/callback?login_option=google&code=the-code&state=st\n",
        "  http://127.0.0.1:3128/signin/callback?state=st&code=the-code#",
    ],
)
def test_the_code_is_found_in_any_landing_address(pasted: str) -> None:
    assert p.read_landing(pasted, "st") == "the-code"


@pytest.mark.parametrize(
    ("pasted", "says"),
    [
        ("", "whole address"),
        ("the-code", "whole address"),
        ("http://[?code=a", "whole address"),
        ("kiro://kiro.kiroAgent/authenticate-success?code=the-code", "whole address"),
        ("http://localhost:49153/oauth/callback?code=the-code&state=other", "another sign-in"),
        ("http://localhost:49153/oauth/callback?error=access_denied&state=st", "access_denied"),
    ],
)
def test_an_address_without_our_code_is_refused(pasted: str, says: str) -> None:
    with pytest.raises(SignInFailed, match=says):
        p.read_landing(pasted, "st")


@given(st.text(max_size=60))
def test_any_pasted_text_is_a_code_or_refused(pasted: str) -> None:
    with pytest.raises(SignInFailed):
        p.read_landing(pasted, "a state that no text of this length holds, since it is longer than all of them")
