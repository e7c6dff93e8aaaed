from __future__ import annotations

import os
import signal
import time
from dataclasses import replace

import pytest
from flask import Flask

from app.credentials.credential import State
from app.credentials.lifecycle import RefreshDead
from app.credentials.login import LoginFlows
from app.kiro.sign_in import STATE_BYTES, VERIFIER_BYTES, login_url, secret_text
from app.services import EXTENSION, Services
from tests.unit.cli.conftest import Run, one_line
from tests.unit.credentials.logins import IDENTITY, idc
from tests.unit.credentials.stand_in import StandIn


@pytest.fixture
def upstream(app: Flask, services: Services) -> StandIn:
    """The stand-in, whose person agrees before the first question. Chance is known, and so is the login page's address."""
    upstream = StandIn(time.time)
    upstream.options(device_approved_after=0)
    logins = LoginFlows(services.store, http=upstream, identity=lambda: IDENTITY, chance=bytes)
    app.extensions[EXTENSION] = replace(services, logins=logins)
    return upstream


def test_the_bare_command_explains_the_three_ways(run: Run) -> None:
    output = run("login").output
    assert [way for way in ("login builder-id", "login idc", "login social") if way not in output] == []


def test_a_builder_id_signs_in_with_the_code_on_the_screen(run: Run, upstream: StandIn, services: Services) -> None:
    result = run("login", "builder-id", "--label", "mine")
    assert result.exit_code == 0, result.output
    code = upstream.state.sign_ins.device(None).user_code
    assert f"?user_code={code}\n" in result.output
    assert f"the code {code}, which is good for 10 minutes" in result.output
    assert "Signed in: credential 1 is stored: mine" in result.output
    assert "make run" in result.output, "it says what to do next"
    [stored] = services.store.all(fresh=True)
    assert (stored.kind, stored.label) == ("idc", "mine")
    for secret in (stored.refresh_token, stored.access_token, stored.client_secret):
        assert secret
        assert secret not in result.output


def test_an_identity_center_is_asked_for_what_was_left_out(run: Run, upstream: StandIn, services: Services) -> None:
    result = run("login", "idc", "--proxy-url", "direct", input="https://acme.awsapps.com/start\neu-west-1\n")
    assert result.exit_code == 0, result.output
    [stored] = services.store.all(fresh=True)
    assert (stored.start_url, stored.auth_region) == ("https://acme.awsapps.com/start", "eu-west-1")
    assert set(upstream.proxies) == {stored.proxy_url} == {"direct"}


def test_new_tokens_can_be_given_to_a_rejected_credential(run: Run, upstream: StandIn, services: Services) -> None:
    id_ = services.store.add(idc("old"))
    services.store.happened(id_, RefreshDead())
    result = run("login", "builder-id", "--replace", str(id_))
    assert f"credential {id_} has new tokens and is ready" in result.output
    [stored] = services.store.all(fresh=True)
    assert stored.state is State.READY


@pytest.mark.parametrize(("provider", "idp"), [("google", "Google"), ("github", "Github")])
def test_a_social_login_is_pasted_back(run: Run, upstream: StandIn, services: Services, provider: str, idp: str) -> None:
    verifier, state = secret_text(bytes(VERIFIER_BYTES)), secret_text(bytes(STATE_BYTES))
    page = login_url(provider=provider, landing="localhost", verifier=verifier, state=state)
    landed = upstream.browse(page)
    result = run("login", "social", "--provider", provider, input=f"http://localhost:49153/oauth/callback\n{landed}\n")
    assert result.exit_code == 0, result.output
    assert f"sign in with {idp}" in result.output
    assert page in result.output
    assert "copy all of it" in result.stderr, "a wrong address is asked for again"
    assert "credential 1 is stored" in result.output
    assert services.store.all(fresh=True)[0].provider == idp


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["builder-id", "--replace", "9"], "credentials list"),
        (["builder-id", "--proxy-url", "ftp://x"], "proxy"),
        (["idc", "--start-url", "acme", "--region", "eu-west-1"], "https://NAME.awsapps.com/start"),
        (["idc", "--start-url", "https://acme.awsapps.com/start", "--region", "mars"], "AWS region"),
        (["social"], "given up"),
    ],
)
def test_what_does_not_work_is_one_line_that_says_why(
    run: Run, upstream: StandIn, services: Services, arguments: list[str], says: str
) -> None:
    assert says in one_line(run("login", *arguments, input=""))
    assert services.store.all(fresh=True) == ()


def test_a_person_who_declines_is_taken_at_their_word(run: Run, upstream: StandIn, services: Services) -> None:
    upstream.before = lambda: upstream.asked("/token") and upstream.decide("deny")
    assert "declined in the browser" in one_line(run("login", "builder-id"))
    assert services.store.all(fresh=True) == ()


def test_an_interrupt_gives_it_up(run: Run, upstream: StandIn, services: Services) -> None:
    upstream.options(device_approved_after=-1)
    upstream.before = lambda: upstream.asked("/token") and os.kill(os.getpid(), signal.SIGINT)
    before = signal.getsignal(signal.SIGINT)
    assert "given up" in one_line(run("login", "builder-id"))
    assert signal.getsignal(signal.SIGINT) is before
    assert services.store.all(fresh=True) == ()
