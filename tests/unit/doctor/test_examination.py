"""Step by step: what works is told with its calls, what fails with its advice, and the next one is tried all the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.credentials.credential import Credential, Login
from app.credentials.store import CredentialStore
from app.credentials.usage import UsagePoller
from app.doctor import FAILED, OK, SKIPPED, Doctor, Step
from app.errors import RefreshTokenRejected
from app.settings import snapshot
from app.translate.models import BUILT_IN
from app.upstream.account import AccountClient
from app.upstream.http import HttpAnswer
from tests.unit.credentials.logins import HOUR, IDENTITY, NOON, Clock, api_key, idc, social
from tests.unit.upstream import accounts as a

ARN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ABCDEF123456"
FRESH = {"access_token": "aoaX", "expires_at": NOON + HOUR}


def kiro(**answers: HttpAnswer) -> a.Account:
    """Answers by operation; what is not named here works."""
    usual = {
        "getUsageLimits": a.answered(a.credits_used(12.5, 50.0)),
        "ListAvailableModels": a.answered({"models": [{"modelId": f"model-{number}"} for number in range(7)]}),
        "ListAvailableProfiles": a.listed(ARN),
    }
    return a.Account(lambda asked: (usual | answers)[asked.operation])


class Patient:
    """A doctor with one credential. fresh: what gives it a token."""

    def __init__(self, store: CredentialStore, clock: Clock, account: a.Account, login: Login) -> None:
        self.store = store
        self.clock = clock
        self.account = account
        self.id = store.add(login)
        self.fresh: Callable[[Credential], Credential] = lambda credential: credential

    def stored(self) -> Credential:
        credential = self.store.get(self.id)
        assert credential is not None
        return credential

    def examine(self) -> dict[str, Step]:
        usage = UsagePoller(
            self.store,
            AccountClient(self.account, lambda: IDENTITY),
            fresh=self.fresh,
            happened=self.store.happened,
            threshold=lambda: 5.0,
            clock=self.clock,
        )
        doctor = Doctor(
            self.store,
            http=self.account,
            fresh=lambda credential: self.fresh(credential),
            usage=usage,
            identity=lambda: IDENTITY,
            settings=lambda: snapshot({}),
            catalogue=lambda: BUILT_IN,
            proxy_of=lambda _url, own: own,
            clock=self.clock,
        )
        return {step.name: step for step in doctor.examine(self.stored(), chat=False)}


@pytest.fixture
def patient(database: Path) -> Callable[..., Patient]:
    clock = Clock()

    def make(login: Login | None = None, account: a.Account | None = None) -> Patient:
        return Patient(CredentialStore(clock), clock, account or kiro(), login or social(**FRESH))

    return make


def outcomes(steps: dict[str, Step]) -> dict[str, str]:
    return {name: step.outcome for name, step in steps.items()}


def test_a_login_that_works_is_told_step_by_step(patient: Callable[..., Patient]) -> None:
    steps = patient(social(proxy_url="http://u:s3cret@proxy.example:3128", **FRESH)).examine()
    assert outcomes(steps) == {"token": OK, "profile": OK, "models": OK, "usage": OK}
    assert steps["models"].said == "7 models: model-0, model-1, model-2, model-3, model-4, … (modern+arn@us-east-1)"
    assert steps["usage"].said.startswith("12.50 of 50 credits used, reset 2026-09-28")
    (call,) = steps["usage"].calls
    assert (call.host, call.region, call.status) == ("q.us-east-1.amazonaws.com", "us-east-1", 200)
    assert call.proxy == "http://proxy.example:3128"
    assert "s3cret" not in repr(steps)


def test_what_is_found_out_is_kept(patient: Callable[..., Patient]) -> None:
    one = patient(idc(provider="Enterprise", **FRESH))
    assert one.examine()["profile"].said == f"found and stored: {ARN}"
    stored = one.stored()
    assert (stored.profile_arn, stored.current_usage) == (ARN, 12.5)
    assert stored.learned == {"rest": "modern+arn@eu-central-1"}


def test_a_refresh_is_told_with_its_host(patient: Callable[..., Patient]) -> None:
    one = patient(social(auth_region="eu-central-1"))
    one.fresh = lambda credential: replace(credential, access_token="aoaX", expires_at=NOON + HOUR)
    token = one.examine()["token"]
    assert token.said.startswith("refreshed, good until 2026-09-21 15:")
    assert (token.calls[0].host, token.calls[0].region) == ("prod.eu-central-1.auth.desktop.kiro.dev", "eu-central-1")


def refused(_credential: Credential) -> Credential:
    raise RefreshTokenRejected("The refresh token is no longer accepted")


@pytest.mark.parametrize(
    ("login", "host"),
    [
        (social(), "prod.us-east-1.auth.desktop.kiro.dev"),
        (idc(auth_region="ap-southeast-2"), "oidc.ap-southeast-2.amazonaws.com"),
        (
            idc(kind="external_idp", token_endpoint="https://login.microsoftonline.com/t/oauth2/v2.0/token"),
            "login.microsoftonline.com",
        ),
    ],
)
def test_without_a_token_nothing_that_needs_one_is_tried(patient: Callable[..., Patient], login: Login, host: str) -> None:
    one = patient(login)
    one.fresh = refused
    steps = one.examine()
    assert steps["token"].outcome == FAILED
    assert "--replace 1" in str(steps["token"].hint)
    assert (steps["token"].calls[0].host, steps["token"].calls[0].status) == (host, None)
    assert outcomes(steps)["models"] == outcomes(steps)["usage"] == SKIPPED
    assert one.account.asked == []


def test_a_token_that_lasts_a_little_still_serves_the_other_steps(patient: Callable[..., Patient]) -> None:
    one = patient(social(access_token="aoaX", expires_at=NOON + 300))
    one.fresh = refused
    assert outcomes(one.examine()) == {"token": FAILED, "profile": OK, "models": OK, "usage": OK}


def test_a_step_that_failed_does_not_keep_the_next_from_being_tried(patient: Callable[..., Patient]) -> None:
    steps = patient(account=kiro(ListAvailableModels=a.NOT_AUTHORIZED)).examine()
    assert outcomes(steps) == {"token": OK, "profile": OK, "models": FAILED, "usage": OK}
    models = steps["models"]
    assert "not authorized to make this call" in models.said
    assert "kiro_version" in str(models.hint)
    assert len(models.calls) == 5, "every form was tried"
    assert {call.status for call in models.calls} == {403}


def test_an_organisation_without_a_profile_is_told_who_can_give_one(patient: Callable[..., Patient]) -> None:
    one = patient(idc(provider="Enterprise", **FRESH), kiro(ListAvailableProfiles=a.listed()))
    profile = one.examine()["profile"]
    assert profile.outcome == FAILED
    assert "administrator" in str(profile.hint)
    assert [call.region for call in profile.calls] == ["us-east-1", "eu-central-1"]


def test_a_profile_of_another_account_is_found_out(patient: Callable[..., Patient]) -> None:
    other = ARN.replace("111122223333", "999999999999")
    profile = patient(idc(provider="Enterprise", profile_arn=other, **FRESH)).examine()["profile"]
    assert profile.outcome == FAILED
    assert other in profile.said


def test_a_profile_that_is_listed_is_named(patient: Callable[..., Patient]) -> None:
    details = {"ssoIdentityDetails": {"ssoRegion": "eu-west-1"}}
    page = a.answered({"profiles": [{"arn": ARN, "profileName": "Team", "identityDetails": details}]})
    one = patient(idc(provider="Enterprise", profile_arn=ARN, **FRESH), kiro(ListAvailableProfiles=page))
    assert one.examine()["profile"].said == f"Team of the Identity Center in eu-west-1: {ARN}"


def test_a_key_has_nothing_to_refresh_and_no_profile(patient: Callable[..., Patient]) -> None:
    one = patient(api_key())
    one.fresh = refused
    steps = one.examine()
    assert set(outcomes(steps).values()) == {OK}
    assert steps["token"].calls == steps["profile"].calls == ()


def test_a_region_that_is_none_fails_its_steps_only(patient: Callable[..., Patient]) -> None:
    steps = patient(social(api_region="nowhere", profile_arn="arn:none", **FRESH)).examine()
    assert outcomes(steps) == {"token": OK, "profile": OK, "models": FAILED, "usage": FAILED}
    assert "'nowhere' is not the name of a region" in steps["models"].said


@pytest.mark.parametrize("answer", [{}, {"usageBreakdownList": []}])
def test_an_account_without_credits_is_told_so(patient: Callable[..., Patient], answer: Any) -> None:
    assert patient(account=kiro(getUsageLimits=a.answered(answer))).examine()["usage"].said == "Kiro names no credits"
