"""The profile ARN of an organisation's login: looked for once, kept, and never made up. Source: protocol 1.8."""

from __future__ import annotations

from typing import Any

import gevent
import pytest

from app.credentials.credential import Credential, Login
from app.credentials.profiles import Profiles
from app.credentials.store import CredentialStore
from app.errors import Throttled, UpstreamError, UpstreamUnavailable
from app.kiro.endpoints import sent_profile_arn
from app.kiro.profiles import Profile
from tests.unit.credentials.logins import api_key, idc, social

ARN = "arn:aws:codewhisperer:eu-central-1:111122223333:profile/ABCDEF123456"
OTHER = "arn:aws:codewhisperer:us-east-1:444455556666:profile/GHIJKL789012"


class Directory:
    """Says which profiles there are, after a wait in which others run. meanwhile: happens during it."""

    def __init__(self, *arns: str, error: UpstreamError | None = None, meanwhile: Any = lambda: None) -> None:
        self.arns = arns
        self.error = error
        self.meanwhile = meanwhile
        self.asked = 0

    def profiles(self, _credential: Credential) -> tuple[Profile, ...]:
        self.asked += 1
        gevent.sleep(0.001)
        self.meanwhile()
        if self.error is not None:
            raise self.error
        return tuple(Profile(arn, status="ACTIVE") for arn in self.arns)


def team(name: str = "a", **values: Any) -> Login:
    return idc(name, **{"provider": "Enterprise", **values})


def add(store: CredentialStore, login: Login | None = None) -> Credential:
    credential = store.get(store.add(login or team()))
    assert credential is not None
    return credential


def stored(store: CredentialStore) -> Credential:
    credential = store.get(1)
    assert credential is not None
    return credential


def external(**values: Any) -> Login:
    endpoint = {"token_endpoint": "https://login.microsoftonline.com/t/oauth2/v2.0/token"}
    return idc(**{"kind": "external_idp", "provider": "ExternalIdp", **endpoint, **values})


@pytest.mark.parametrize("login", [team(), external(), team(provider="Internal")])
def test_an_organisation_s_login_gets_its_profile_once_for_all(store: CredentialStore, login: Login) -> None:
    directory = Directory(ARN, OTHER)
    found = Profiles(store, directory).ensure_profile(add(store, login))
    assert found.profile_arn == stored(store).profile_arn == ARN
    assert Profiles(store, directory).ensure_profile(stored(store)) == stored(store)
    assert directory.asked == 1


@pytest.mark.parametrize(
    "login", [social(), idc(), idc(provider=None), api_key(), team(profile_arn=OTHER), external(profile_arn=OTHER)]
)
def test_who_needs_none_of_its_own_is_never_asked_about(store: CredentialStore, login: Login) -> None:
    directory = Directory(ARN)
    credential = add(store, login)
    assert Profiles(store, directory).ensure_profile(credential) is credential
    assert directory.asked == 0


def test_callers_at_the_same_time_wait_for_one_search(store: CredentialStore) -> None:
    directory = Directory(ARN)
    profiles, credential = Profiles(store, directory), add(store)
    callers = [gevent.spawn(profiles.ensure_profile, credential) for _ in range(20)]
    gevent.joinall(callers, timeout=5, raise_error=True)
    assert {caller.value.profile_arn for caller in callers} == {ARN}
    assert directory.asked == 1


def test_that_there_is_none_is_remembered_and_nothing_is_made_up(store: CredentialStore) -> None:
    directory = Directory()
    profiles = Profiles(store, directory)
    for _ in range(3):
        credential = profiles.ensure_profile(stored(store) if directory.asked else add(store))
        assert credential.profile_arn is None
        assert sent_profile_arn(credential.kind, credential.provider, credential.profile_arn) is None
    assert stored(store).learned == {"profile": "none"}
    assert directory.asked == 1


def test_after_a_new_sign_in_it_is_asked_again(store: CredentialStore) -> None:
    directory = Directory()
    profiles = Profiles(store, directory)
    credential = profiles.ensure_profile(add(store))
    store.learn(1, rest="modern@us-east-1")
    assert store.sign_in_again(credential, team("b"))
    directory.arns = (ARN,)
    assert profiles.ensure_profile(stored(store)).profile_arn == ARN
    assert stored(store).learned == {"rest": "modern@us-east-1"}


def test_a_doctor_asks_whatever_is_remembered(store: CredentialStore) -> None:
    directory = Directory()
    profiles = Profiles(store, directory)
    profiles.ensure_profile(add(store))
    directory.arns = (ARN,)
    assert profiles.search(stored(store)).profile_arn == ARN


@pytest.mark.parametrize("error", [Throttled("slow down"), UpstreamUnavailable("away")])
def test_a_search_that_fails_is_told_and_not_remembered(store: CredentialStore, error: UpstreamError) -> None:
    directory = Directory(error=error)
    profiles, credential = Profiles(store, directory), add(store)
    for _ in range(2):
        with pytest.raises(type(error)):
            profiles.ensure_profile(credential)
    assert directory.asked == 2
    assert stored(store).learned == {}


def test_an_arn_that_a_new_sign_in_brought_meanwhile_stays(store: CredentialStore) -> None:
    credential = add(store)
    directory = Directory(ARN, meanwhile=lambda: store.sign_in_again(credential, team("b", profile_arn=OTHER)))
    assert Profiles(store, directory).ensure_profile(credential).profile_arn == OTHER


def test_the_profile_of_an_earlier_directory_is_not_given_to_a_new_sign_in(store: CredentialStore) -> None:
    credential = add(store)
    directory = Directory(ARN, meanwhile=lambda: store.sign_in_again(credential, team("b", start_url="https://b.example")))
    assert Profiles(store, directory).ensure_profile(credential).profile_arn is None
    assert stored(store).profile_arn is None


def test_a_credential_that_is_removed_meanwhile_is_what_it_was(store: CredentialStore) -> None:
    credential = add(store)
    for directory in (Directory(ARN), Directory()):
        directory.meanwhile = lambda: store.remove(1)
        assert Profiles(store, directory).search(credential) == credential
