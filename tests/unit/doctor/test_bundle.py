"""The document for somebody else: what helps is in it, and no secret, wherever one was put."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.credentials.credential import Credential, State
from app.doctor import FAILED, OK, Bundle, Seen, Step
from app.ledger import Attempt, RequestRecord
from app.settings import snapshot
from config import Config

SECRETS = {
    "access_token": "aoaAAAAAGaccess-secret-1",
    "refresh_token": "aorAAAAAGrefresh-secret-2" + "x" * 90,
    "client_secret": "client-secret-3",
    "client_id": "client-id-4",
    "proxy_password": "proxy%2Fsecret-5",
    "setting_password": "setting-secret-6",
    "api_key": "sk-kiro-api-key-secret-7",
    "jwt_secret": "jwt-secret-8-" + "j" * 32,
    "admin_password": "admin-secret-9",
    "database_password": "database-secret-10",
    "root": "root-secret-11-" + "r" * 32,
    "environment_password": "environment-secret-12",
    "unknown_token": "ksk_somebody-elses-key-13",
    "meant_password": "proxy/secret-5",
}
EMAIL = "somebody.private+kiro@example.com"
EVERYTHING = " ".join([*SECRETS.values(), EMAIL, "Bearer abcdefghijklmnop-14", "http://u:p15@proxy.example/"])


def credential(**values: Any) -> Credential:
    return Credential(
        id=7,
        kind="idc",
        email=EMAIL,
        label=f"login of {EMAIL}",
        access_token=SECRETS["access_token"],
        refresh_token=SECRETS["refresh_token"],
        client_id=SECRETS["client_id"],
        client_secret=SECRETS["client_secret"],
        proxy_url=f"http://proxy-user:{SECRETS['proxy_password']}@proxy.example:3128",
        state=State.COOLING_DOWN,
        state_reason=EVERYTHING,
        learned={"rest": "modern@us-east-1"},
        usage={"email": EMAIL},
        **values,
    )


def record() -> RequestRecord:
    return RequestRecord(
        id="req_1",
        at=1.0,
        path="/v1/messages",
        key_name="the key of " + EMAIL,
        session_id="a-conversation",
        status=502,
        error_message=EVERYTHING,
        attempts=[Attempt(7, EMAIL, "first", "TokenRejected", EVERYTHING, 12)],
        credits=Decimal("0.25"),
    )


def bundle() -> Bundle:
    return Bundle(
        config=Config(
            api_key=SECRETS["api_key"],
            jwt_secret=SECRETS["jwt_secret"],
            admin_password=SECRETS["admin_password"],
            database_url=f"postgresql+psycopg://kiro:{SECRETS['database_password']}@db.example/kiro",
            kiro_secret_keys=(SECRETS["root"],),
            proxy_url=f"http://u:{SECRETS['environment_password']}@proxy.example",
            kiro_credentials_file=Path("/etc/kiro/credentials.json"),
            no_proxy=("localhost",),
        ),
        settings=replace(snapshot({}), proxy_url=f"socks5://u:{SECRETS['setting_password']}@proxy.example"),
        credentials=[credential()],
        steps={
            7: [
                Step("token", OK, f"good for {EVERYTHING}"),
                Step(
                    "chat", FAILED, EVERYTHING, (Seen("q.us-east-1.amazonaws.com", "us-east-1", "none", 403, 5),), 5, "a hint"
                ),
            ]
        },
        records=[record()],
    )


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    whole: dict[str, Any] = json.loads(json.dumps(bundle().as_json()))
    return whole


def test_no_secret_is_in_it(document: dict[str, Any]) -> None:
    text = json.dumps(document, ensure_ascii=False)
    for name, secret in SECRETS.items():
        assert secret not in text, name
    assert "abcdefghijklmnop-14" not in text
    assert "p15" not in text
    assert "proxy-user" not in text


def test_an_address_is_shortened_everywhere(document: dict[str, Any]) -> None:
    text = json.dumps(document, ensure_ascii=False)
    assert "private" not in text
    assert document["credentials"][0]["name"] == "login of s…@example.com"


def test_whose_conversation_it_was_is_left_out(document: dict[str, Any]) -> None:
    (told,) = document["requests"]
    assert (told["session_id"], told["key_name"]) == (None, None)
    assert (told["id"], told["status"], told["credits"]) == ("req_1", 502, "0.25")
    assert told["attempts"][0]["status"] == "TokenRejected"


def test_what_helps_is_in_it(document: dict[str, Any]) -> None:
    assert document["versions"]["gevent"][0].isdigit()
    assert document["settings"]["kiro_version"] == "0.12.155"
    assert (document["settings"]["proxy_url"], document["config"]["api_key"]) == ("set", "set")
    assert (document["config"]["ca_bundle"], document["config"]["port"]) == (None, 8080)
    assert document["config"]["no_proxy"] == ["localhost"]
    (told,) = document["credentials"]
    assert (told["id"], told["state"], told["learned"]) == (7, "cooling_down", {"rest": "modern@us-east-1"})
    assert (told["proxy"], told["has_refresh_token"]) == ("http://proxy.example:3128", True)
    token, chat = document["steps"]["7"]
    assert (token["outcome"], chat["outcome"], chat["hint"]) == ("ok", "failed", "a hint")
    assert chat["calls"][0]["host"] == "q.us-east-1.amazonaws.com"


def test_going_around_the_proxy_is_told() -> None:
    direct = replace(bundle(), credentials=[replace(credential(), proxy_url="direct")]).as_json()
    assert direct["credentials"][0]["proxy"] == "direct"


def test_a_package_that_is_not_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.doctor.bundle.PACKAGES", ("no-such-package",))
    assert bundle().as_json()["versions"]["no-such-package"] == "not installed"
