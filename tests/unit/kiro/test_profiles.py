"""The profiles of an organisation's login. Source: protocol 1.8."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.kiro.profiles import Profile, ProfilePage, best, parse_profiles, refuses_builder_ids

ARN = "arn:aws:codewhisperer:us-east-1:111122223333:profile/ABCDEF123456"
ENTRY = {
    "arn": ARN,
    "profileName": "Team",
    "description": "",
    "status": "ACTIVE",
    "profileType": "Q_DEVELOPER",
    "identityDetails": {"ssoIdentityDetails": {"ssoRegion": "eu-west-1"}},
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def test_a_page_is_read() -> None:
    page = parse_profiles({"profiles": [ENTRY, {"arn": f" {ARN}2 "}], "nextToken": "p2"})
    assert page == ProfilePage((Profile(ARN, "Team", "ACTIVE", "eu-west-1"), Profile(f"{ARN}2")), "p2")


@pytest.mark.parametrize("entry", [None, 7, {}, {"arn": None}, {"arn": "  "}, {"profileName": "Team"}])
def test_an_entry_without_an_arn_is_no_profile(entry: Any) -> None:
    assert parse_profiles({"profiles": [entry], "nextToken": ""}) == ProfilePage((), None)


@given(JSON)
def test_any_json_is_read(value: Any) -> None:
    assert parse_profiles(value).profiles == ()
    parse_profiles({"profiles": value, "nextToken": value})
    parse_profiles({"profiles": [{**ENTRY, "identityDetails": value, "status": value}]})


def test_an_active_profile_is_preferred() -> None:
    off, on = Profile("arn:1", status="INACTIVE"), Profile("arn:2", status="ACTIVE")
    assert best((off, on)) is on
    assert best((off,)) is off
    assert best(()) is None


def test_a_builder_id_is_told_that_it_has_none() -> None:
    body = b'{"__type":"AccessDeniedException","message":"AWS Builder ID is not supported for this operation."}'
    assert refuses_builder_ids(403, body)
    assert not refuses_builder_ids(400, body)
    assert not refuses_builder_ids(403, b'{"message":"User is not authorized to make this call."}')
