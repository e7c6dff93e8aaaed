"""Asking about an account until a form works, and what each refusal means. Source: protocol 1.4, 1.8, 4.3."""

from __future__ import annotations

from typing import Any

import pytest

from app.credentials.credential import Credential
from app.errors import (
    AccountSuspended,
    ProfileRequired,
    Throttled,
    TokenRejected,
    UpstreamError,
    UpstreamUnavailable,
)
from app.kiro.endpoints import ClientIdentity
from app.kiro.profiles import Profile
from app.upstream.account import MOST_PAGES, AccountClient
from app.upstream.http import HttpAnswer
from tests.unit.upstream import accounts as a

IDENTITY = ClientIdentity("0.12.160", "0.12.155", "darwin#24.6.0", "v22.12.0")
ARN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ABCDEF123456"
FORMS = ["modern+arn@eu-central-1", "modern@eu-central-1", "old@eu-central-1", "modern@us-east-1", "old@us-east-1"]


def login(**values: Any) -> Credential:
    team: dict[str, Any] = {"kind": "idc", "provider": "Enterprise", "profile_arn": ARN, "auth_region": "eu-west-1"}
    return Credential(**{"id": 1, "access_token": "aoaX", "machine_id": "0" * 64, **team, **values})


def client(account: a.Account) -> AccountClient:
    return AccountClient(account, lambda: IDENTITY)


def only_in(form: str, refusal: HttpAnswer) -> a.Account:
    """Usage is told in one form and refused in every other."""
    return a.Account(lambda asked: a.answered(a.credits_used()) if asked.form == form else refusal)


# -- the forms --


@pytest.mark.parametrize("works", FORMS)
@pytest.mark.parametrize("refusal", a.FORM_REFUSALS)
def test_a_refused_form_leads_to_the_next_until_one_works(works: str, refusal: HttpAnswer) -> None:
    account = only_in(works, refusal)
    found = client(account).usage(login())
    assert (found.value.used, found.value.limit) == (12.5, 50.0)
    assert str(found.form) == works
    assert account.forms == FORMS[: FORMS.index(works) + 1]


def test_what_worked_last_is_asked_first() -> None:
    account = only_in("old@us-east-1", a.IMPROPERLY_FORMED)
    client(account).usage(login(learned={"rest": "old@us-east-1"}))
    assert account.forms == ["old@us-east-1"]


def test_every_form_is_tried_once_and_the_first_refusal_is_told() -> None:
    answers = iter([a.PROFILE_INVALID, *[a.NOT_AUTHORIZED] * 9])
    account = a.Account(lambda _: next(answers))
    with pytest.raises(ProfileRequired, match="Invalid profileArn"):
        client(account).usage(login())
    assert account.forms == FORMS


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (a.SLOW_DOWN, Throttled),
        (a.SUSPENDED, AccountSuspended),
        (a.refused(401, "expired"), TokenRejected),
        (a.OUT_OF_ORDER, UpstreamError),
        (a.refused(503, "unavailable"), UpstreamError),
        (a.answered({"__type": "ThrottlingException", "message": "slow"}), Throttled),
        (a.answered(b"<html>"), UpstreamError),
    ],
)
def test_what_no_other_form_would_change_ends_it_at_once(answer: HttpAnswer, error: type[UpstreamError]) -> None:
    account = a.Account(lambda _: answer)
    with pytest.raises(error) as raised:
        client(account).usage(login())
    assert len(account.asked) == 1
    assert "aoaX" not in raised.value.message


def test_a_throttle_says_for_how_long() -> None:
    with pytest.raises(Throttled) as raised:
        client(a.Account(lambda _: a.SLOW_DOWN)).models(login())
    assert raised.value.retry_after_seconds == 60


def test_a_host_out_of_reach_is_asked_once_and_the_other_region_as_well() -> None:
    account = a.Account(a.unreachable)
    with pytest.raises(UpstreamUnavailable):
        client(account).usage(login())
    assert account.forms == ["modern+arn@eu-central-1", "modern@us-east-1"]


def test_a_credential_s_own_proxy_carries_it() -> None:
    account = only_in(FORMS[0], a.IMPROPERLY_FORMED)
    client(account).usage(login(proxy_url="socks5://127.0.0.1:1"))
    assert account.asked[0].proxy_url == "socks5://127.0.0.1:1"


# -- models --


def pages(*names: str | None) -> a.Account:
    """One model a page, each with a mark of the next."""

    def play(asked: a.Asked) -> HttpAnswer:
        number = int(asked.query.get("nextToken", "0"))
        following = str(number + 1) if number + 1 < len(names) else None
        return a.answered({"models": [{"modelId": names[number]}], "nextToken": following})

    return a.Account(play)


def test_models_come_from_every_page_in_one_form() -> None:
    account = pages("claude-sonnet-4.5", None, "auto")
    found = client(account).models(login())
    assert [model["modelId"] for model in found.value] == ["claude-sonnet-4.5", "auto"]
    assert account.forms == [FORMS[0]] * 3


def test_a_listing_without_an_end_is_given_up() -> None:
    account = pages(*map(str, range(MOST_PAGES * 2)))
    assert len(client(account).models(login()).value) == len(account.asked) == MOST_PAGES


@pytest.mark.parametrize("page", [[], {}, {"models": None}, {"models": [None, 7, {}], "nextToken": 5}])
def test_a_page_may_hold_anything(page: Any) -> None:
    assert client(a.Account(lambda _: a.answered(page))).models(login()).value == ()


def test_the_same_mark_again_is_the_end() -> None:
    account = a.Account(lambda _: a.answered({"models": [{"modelId": "auto"}], "nextToken": "again"}))
    assert len(client(account).models(login()).value) == len(account.asked) == 2


# -- profiles --


def regions(**answers: HttpAnswer) -> a.Account:
    by_name = {"us-east-1": answers["us"], "eu-central-1": answers["eu"]}
    return a.Account(lambda asked: by_name[asked.region])


def test_profiles_are_looked_for_where_the_login_is_from() -> None:
    account = regions(us=a.listed(), eu=a.listed(ARN))
    assert client(account).profiles(login(profile_arn=None)) == (Profile(ARN, status="ACTIVE"),)
    assert [asked.region for asked in account.asked] == ["eu-central-1"]
    assert account.asked[0].operation == "ListAvailableProfiles"


@pytest.mark.parametrize("nothing", [a.listed(), a.BEARER_INVALID, a.NOT_AUTHORIZED, a.OUT_OF_ORDER])
def test_nothing_in_one_region_leads_to_the_other(nothing: HttpAnswer) -> None:
    account = regions(us=nothing, eu=a.listed(ARN))
    assert client(account).profiles(login(profile_arn=None, auth_region="us-east-1"))[0].arn == ARN
    assert [asked.region for asked in account.asked] == ["us-east-1", "eu-central-1"]


@pytest.mark.parametrize(
    ("us", "eu"), [(a.listed(), a.listed()), (a.listed(), a.BEARER_INVALID), (a.BUILDER_ID, a.listed(ARN))]
)
def test_no_profile_is_an_answer(us: HttpAnswer, eu: HttpAnswer) -> None:
    assert client(regions(us=us, eu=eu)).profiles(login(profile_arn=None, auth_region="us-east-1")) == ()


@pytest.mark.parametrize(
    ("us", "eu"),
    [(a.NOT_AUTHORIZED, a.BEARER_INVALID), (a.OUT_OF_ORDER, a.listed()), (a.listed(), a.OUT_OF_ORDER)],
)
def test_no_clear_answer_is_not_taken_for_a_no(us: HttpAnswer, eu: HttpAnswer) -> None:
    with pytest.raises(UpstreamError):
        client(regions(us=us, eu=eu)).profiles(login(profile_arn=None))


def test_a_throttle_ends_the_search() -> None:
    account = a.Account(lambda _: a.SLOW_DOWN)
    with pytest.raises(Throttled):
        client(account).profiles(login(profile_arn=None))
    assert len(account.asked) == 1


def test_an_external_provider_s_login_says_whose_token_it_is() -> None:
    account = a.Account(lambda _: a.listed(ARN))
    client(account).profiles(login(kind="external_idp", profile_arn=None))
    assert account.asked[0].call.headers["tokentype"] == "EXTERNAL_IDP"


def test_profiles_come_from_every_page() -> None:
    answers = iter([a.listed("arn:1", next_token="p2"), a.listed("arn:2", next_token="p3"), a.listed("arn:3")])
    account = a.Account(lambda _: next(answers))
    assert [each.arn for each in client(account).profiles(login(profile_arn=None))] == ["arn:1", "arn:2", "arn:3"]
    assert [asked.body.get("nextToken") for asked in account.asked] == [None, "p2", "p3"]
