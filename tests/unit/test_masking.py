"""No secret survives in a text, and a text without one is not touched."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.masking import mask, one_line

SECRET = "S3cr3t-Value_0123"


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        (f"token aoaAAAAAG{SECRET}:tail/+= ends", "token … ends"),
        (f"aorAAAAAG{SECRET}", "…"),
        (f"key ksk_{SECRET}.", "key …."),
        (f"key sk-ant-{SECRET}", "key …"),
        (f"Authorization: Bearer {SECRET}", "Authorization: Bearer …"),
        (f"authorization=Basic {SECRET}", "authorization=Basic …"),
        (f"got Bearer {SECRET}, twice", "got Bearer …, twice"),
        (f'{{"refreshToken": "{SECRET}", "expiresIn": 3600}}', '{"refreshToken": "…", "expiresIn": 3600}'),
        (f"{{'clientSecret': '{SECRET}'}}", "{'clientSecret': '…'}"),
        (f"grant_type=x&refresh_token={SECRET}&client_id=c", "grant_type=x&refresh_token=…&client_id=c"),
        (f"x-api-key: {SECRET}", "x-api-key: …"),
        (f"deviceCode={SECRET} code_verifier={SECRET}", "deviceCode=… code_verifier=…"),
        (f"proxy http://user:{SECRET}@proxy.test:3128/", "proxy http://…@proxy.test:3128/"),
        (f"socks5://user:p@ss{SECRET}@proxy.test:1", "socks5://…@proxy.test:1"),
        (f"postgresql+psycopg://u:{SECRET}@h/n?sslmode=require", "postgresql+psycopg://…@h/n?sslmode=require"),
        (f"eyJhbGciOiJub25lIn0.eyJzdWIi{SECRET}.sig{SECRET}", "…"),
    ],
)
def test_a_secret_is_masked_and_the_rest_is_kept(text: str, masked: str) -> None:
    assert mask(text) == masked
    assert SECRET not in mask(text)


@pytest.mark.parametrize(
    "text",
    [
        "credential 3 is cooling_down now: throttled",
        "the refresh token is missing",
        "Task-list sk- aor aoa ksk_ password",
        "GET https://q.us-east-1.amazonaws.com/generateAssistantResponse?origin=AI_EDITOR",
        "mail to one@example.com, see https://view.awsapps.com/start#/device",
        "arn:aws:codewhisperer:us-east-1:699475941385:profile/EHGA3GRVQMUK",
        "the bearer of bad news",
        "",
    ],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert mask(text) == text


@given(st.text(), st.sampled_from(["aorAAAAAG", "ksk_", "sk-", "Bearer "]), st.text("abcXYZ019_-", min_size=12), st.text())
def test_wherever_a_token_stands_it_goes(before: str, prefix: str, body: str, after: str) -> None:
    assert body not in mask(f"{before} {prefix}{body} {after}") or body in before or body in after


@given(st.text())
def test_masking_twice_changes_nothing_more(text: str) -> None:
    assert mask(mask(text)) == mask(text)


def test_it_is_quick_on_a_long_text_of_nothing() -> None:
    for text in ("a" * 200_000, "://" * 50_000, "Bearer " * 30_000, "aor" * 60_000, "eyJ." * 50_000, "password:" * 20_000):
        mask(text)


@given(st.text())
def test_a_text_becomes_one_line(text: str) -> None:
    assert len(one_line(text).splitlines()) <= 1


def test_a_line_break_is_spelled_out() -> None:
    assert one_line("a\r\nb\x1b[31m\ttab é") == r"a\r\nb\x1b[31m" + "\ttab é"
