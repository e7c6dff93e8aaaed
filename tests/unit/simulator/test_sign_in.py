"""Signing in as clients do it: device codes, the login page with its exchange, and what is refused on the way."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest

from simulator.client import Simulator, SimulatorError
from tests.unit.simulator.bodies import body
from tests.unit.simulator.conftest import Answer, Caller

OIDC = "oidc.us-east-1.amazonaws.com"
SOCIAL = "prod.us-east-1.auth.desktop.kiro.dev"
START_URL = "https://view.awsapps.com/start"
SCOPES = ["codewhisperer:completions", "codewhisperer:analysis", "codewhisperer:conversations"]
GRANT = "urn:ietf:params:oauth:grant-type:device_code"
VERIFIER = "v" * 43
CHALLENGE = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
REDIRECT_URI = "kiro://kiro.kiroAgent/authenticate-success"
PAGE = {
    "idp": "Google",
    "redirect_uri": REDIRECT_URI,
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "state": "st",
    "prompt": "select_account",
}


class Client:
    """A client of OIDC that was registered."""

    def __init__(self, caller: Caller, *, host: str = OIDC) -> None:
        self.caller = caller
        self.host = host
        made = self.post("/client/register", clientName="Kiro IDE", clientType="public", scopes=SCOPES).json
        self.keys = {"clientId": made["clientId"], "clientSecret": made["clientSecret"]}

    def post(self, path: str, **content: Any) -> Answer:
        return self.caller.call("POST", path, json.dumps(content).encode(), host=self.host, authorization=None)

    def begin(self, start_url: str = START_URL) -> dict[str, Any]:
        begun: dict[str, Any] = self.post("/device_authorization", **self.keys, startUrl=start_url).json
        return begun

    def ask(self, device: dict[str, Any]) -> Answer:
        return self.post("/token", **self.keys, deviceCode=device["deviceCode"], grantType=GRANT)

    def refresh(self, token: str) -> Answer:
        return self.post("/token", **self.keys, refreshToken=token, grantType="refresh_token")


@pytest.fixture
def client(caller: Caller) -> Client:
    caller.simulator.options(device_interval=0)
    return Client(caller)


def error(answer: Answer) -> tuple[int, str]:
    return answer.status, answer.json["error"]


def test_a_device_code_waits_for_the_person_and_gives_tokens_once(client: Client) -> None:
    device = client.begin()
    assert device["verificationUriComplete"].endswith(f"?user_code={device['userCode']}")
    assert (device["expiresIn"], device["interval"]) == (600, 0)
    assert error(client.ask(device)) == error(client.ask(device)) == (400, "authorization_pending")
    client.caller.simulator.approve(device["userCode"])
    tokens = client.ask(device).json
    assert error(client.ask(device)) == (400, "invalid_grant")
    account = client.caller.simulator.accounts()[-1]
    assert (account["kind"], account["auth_region"], account["refresh_token"]) == (
        "builder_id",
        "us-east-1",
        tokens["refreshToken"],
    )
    chat = client.caller.chat(body(arn=account["profile_arn"]), authorization=f"Bearer {tokens['accessToken']}")
    assert chat.status == 200
    assert client.refresh(tokens["refreshToken"]).status == 200


def test_an_identity_center_is_asked_in_its_own_region(caller: Caller) -> None:
    caller.simulator.options(device_interval=0, device_approved_after=1)
    client = Client(caller, host="oidc.eu-west-1.amazonaws.com")
    device = client.begin("https://acme.awsapps.com/start")
    assert error(client.ask(device)) == (400, "authorization_pending")
    assert client.ask(device).status == 200
    account = caller.simulator.accounts()[-1]
    assert (account["kind"], account["auth_region"]) == ("idc", "eu-west-1")
    elsewhere = Client(caller)
    elsewhere.keys = client.keys
    assert error(elsewhere.ask(device)) == (401, "invalid_client")


def test_who_asks_too_soon_waits_longer_from_then_on(client: Client) -> None:
    client.caller.simulator.options(device_interval=1)
    device = client.begin()
    assert client.ask(device).json["error"] == "authorization_pending", "the first question comes whenever it likes"
    client.caller.simulator.approve()
    assert client.ask(device).json["error"] == client.ask(device).json["error"] == "slow_down"


@pytest.mark.parametrize(("decide", "code"), [(Simulator.deny, "access_denied"), (Simulator.expire, "expired_token")])
def test_a_person_who_does_not_agree_ends_it(client: Client, decide: Callable[[Simulator, str], None], code: str) -> None:
    device = client.begin()
    decide(client.caller.simulator, device["userCode"])
    assert error(client.ask(device)) == (400, code)
    with pytest.raises(SimulatorError, match="decided already"):
        client.caller.simulator.approve(device["userCode"])


def test_a_device_code_expires_by_itself(client: Client) -> None:
    client.caller.simulator.options(device_seconds=0.0)
    assert error(client.ask(client.begin())) == (400, "expired_token")


def test_a_code_belongs_to_the_client_that_began_it(client: Client) -> None:
    device = client.begin()
    client.caller.simulator.approve()
    assert error(Client(client.caller).ask(device)) == (400, "invalid_grant")
    assert client.ask(device).status == 200


def test_a_new_sign_in_goes_with_its_own_registration(client: Client) -> None:
    account = client.caller.simulator.add_account(kind="builder_id", id="me")
    device = client.begin()
    client.caller.simulator.approve(account="me")
    tokens = client.ask(device).json
    old = Caller(client.caller.simulator, account)
    assert old.refresh(account["refresh_token"]).json["error"] == "invalid_grant"
    assert old.refresh(tokens["refreshToken"]).json["error"] == "invalid_client"
    assert client.refresh(tokens["refreshToken"]).status == 200


@pytest.mark.parametrize(
    ("path", "content", "code"),
    [
        ("/client/register", {"clientName": "x", "clientType": "confidential", "scopes": SCOPES}, "invalid_client_metadata"),
        ("/client/register", {"clientName": "x", "clientType": "public", "scopes": SCOPES[:1]}, "invalid_scope"),
        ("/device_authorization", {"clientId": "x", "clientSecret": "y", "startUrl": START_URL}, "invalid_client"),
        ("/token", {"clientId": "x", "clientSecret": "y", "deviceCode": "z", "grantType": GRANT}, "invalid_client"),
    ],
)
def test_what_is_wrong_about_a_sign_in_is_named(client: Client, path: str, content: dict[str, Any], code: str) -> None:
    assert client.post(path, **content).json["error"] == code


@pytest.mark.parametrize("start_url", ["", "http://acme.awsapps.com/start", "https://evil.example/start"])
def test_a_start_page_is_one_of_awsapps(client: Client, start_url: str) -> None:
    assert client.begin(start_url)["error"] == "invalid_request"


def page(**changes: str) -> str:
    return f"https://{SOCIAL}/login?{urlencode({**PAGE, **changes})}"


def exchange(caller: Caller, landing: str, **changes: str) -> Answer:
    carried = parse_qs(urlsplit(landing).query)
    content = {"code": carried["code"][0], "code_verifier": VERIFIER, "redirect_uri": REDIRECT_URI, **changes}
    return caller.call("POST", "/oauth/token", json.dumps(content).encode(), host=SOCIAL, authorization=None)


def test_a_login_page_leads_back_with_a_code_that_serves_once(caller: Caller) -> None:
    landing = caller.simulator.browse(page())
    assert landing.startswith(f"{REDIRECT_URI}?")
    assert dict(parse_qsl(urlsplit(landing).query))["state"] == "st"
    tokens = exchange(caller, landing).json
    account = caller.simulator.accounts()[-1]
    assert tokens["profileArn"] == account["profile_arn"]
    assert caller.chat(body(), authorization=f"Bearer {tokens['accessToken']}").status == 200
    assert error(exchange(caller, landing)) == (401, "invalid_grant")


@pytest.mark.parametrize(
    "change", [{"code_verifier": "w" * 43}, {"code": "unknown"}, {"redirect_uri": "http://localhost:3128"}]
)
def test_a_code_serves_only_whom_it_was_made_for(caller: Caller, change: dict[str, str]) -> None:
    landing = caller.simulator.browse(page())
    assert error(exchange(caller, landing, **change)) == (401, "invalid_grant")


def test_the_browser_signs_in_as_whom_the_test_says(caller: Caller) -> None:
    caller.simulator.options(signs_in_as=caller.account["id"])
    tokens = exchange(caller, caller.simulator.browse(page())).json
    assert caller.simulator.account(caller.account["id"])["refresh_token"] == tokens["refreshToken"]


@pytest.mark.parametrize(
    "changes",
    [
        {"idp": "Myspace"},
        {"redirect_uri": "https://evil.example/"},
        {"redirect_uri": "http://localhost:80/oauth/callback"},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"state": ""},
    ],
)
def test_a_login_page_that_is_asked_wrongly_leads_nowhere(caller: Caller, changes: dict[str, str]) -> None:
    with pytest.raises(SimulatorError, match="400"):
        caller.simulator.browse(page(**changes))


def test_a_loopback_address_with_its_own_query_is_allowed(simulator: Simulator) -> None:
    landing = simulator.browse(page(redirect_uri="http://localhost:49153/oauth/callback?login_option=google"))
    assert dict(parse_qsl(urlsplit(landing).query)).keys() == {"login_option", "code", "state"}
