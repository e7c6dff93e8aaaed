from __future__ import annotations

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.credentials.credential import InvalidLogin
from app.credentials.importers import Entry, read_text
from app.credentials.importers.text import TAKEN_FOR_SOCIAL
from tests.unit.credentials.importers.exports import SOCIAL_ARN, account, account_manager, ide_social
from tests.unit.credentials.logins import api_key, refresh_token

KEY = api_key().secret
TOKEN = refresh_token()


def secrets(entries: list[Entry]) -> list[str | None]:
    return [entry.login.secret if entry.login else None for entry in entries]


def packed(content: object, width: int = 0) -> str:
    text = base64.b64encode(json.dumps(content).encode()).decode()
    return "\n".join(text[at : at + width] for at in range(0, len(text), width)) if width else text


@pytest.mark.parametrize(
    "text",
    [
        TOKEN,
        f"  {TOKEN}\n",
        f'"{TOKEN}",',
        f"REFRESH_TOKEN='{TOKEN}'",
        f"# mine\n\n{TOKEN}\r\n",
        json.dumps({"refreshToken": TOKEN}),
        "\ufeff" + json.dumps([{"refreshToken": TOKEN}], indent=2),
        f"export KIRO_AUTH_TOKEN='{json.dumps([{'auth': 'Social', 'refreshToken': TOKEN}])}'",
        packed(ide_social()),
        packed(ide_social()).rstrip("="),
        packed(ide_social(), width=76),
        packed(account_manager(account())),
    ],
)
def test_a_login_is_found_in_whatever_form_it_was_pasted(text: str) -> None:
    assert secrets(read_text(text)) == [TOKEN]


def test_an_api_key_is_found() -> None:
    (entry,) = read_text(f" {KEY}\n")
    assert entry.login is not None
    assert (entry.login.kind, entry.login.access_token) == ("api_key", KEY)


def test_a_bare_refresh_token_is_said_to_be_taken_for_social() -> None:
    (entry,) = read_text(TOKEN)
    assert entry.login is not None
    assert entry.login.kind == "social"
    assert entry.notes == (TAKEN_FOR_SOCIAL,)


def test_each_line_is_an_entry_of_its_own() -> None:
    lines = [
        refresh_token("a"),
        KEY,
        json.dumps({"refreshToken": refresh_token("b")}),
        packed({"refreshToken": refresh_token("c")}),
    ]
    assert secrets(read_text("\n\n".join(lines))) == [refresh_token("a"), KEY, refresh_token("b"), refresh_token("c")]


def test_a_line_that_is_nothing_keeps_the_others_in() -> None:
    first, second, third = read_text(f"{KEY}\nhello there\n{TOKEN}")
    assert second.login is None
    assert "ksk_" in (second.problem or "")
    assert secrets([first, third]) == [KEY, TOKEN]


def test_a_token_that_was_wrapped_is_not_taken_by_half() -> None:
    first, second = read_text(f"{TOKEN[:60]}\n{TOKEN[60:]}")
    assert (first.login, second.login) == (None, None)
    assert "as one line" in (first.problem or "")


def test_the_variables_of_kiro_gateway_are_one_login() -> None:
    (entry,) = read_text(f'# .env\nREFRESH_TOKEN="{TOKEN}"\nPROFILE_ARN="{SOCIAL_ARN}"\n')
    assert entry.login is not None
    assert (entry.login.refresh_token, entry.login.profile_arn) == (TOKEN, SOCIAL_ARN)


@pytest.mark.parametrize(
    "text", ["", " \n", "\ufeff", "hello", '{"refreshToken": ', "12", "null", f"aoa-{'y' * 120}", "eyJub3QganNvbg"]
)
def test_a_text_without_a_login_is_refused(text: str) -> None:
    with pytest.raises(InvalidLogin, match=r"it is not JSON|nothing in it") as refused:
        read_text(text)
    assert "y" * 20 not in refused.value.message


@given(st.text() | st.text(alphabet='aorksk_=ey[]{}":,\n #A') | st.binary().map(lambda each: base64.b64encode(each).decode()))
def test_whatever_is_pasted_is_entries_or_refused(text: str) -> None:
    with suppress(InvalidLogin):
        assert all(bool(entry.problem) is (entry.login is None) for entry in read_text(text))
