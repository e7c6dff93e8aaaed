"""Sign-ins against the stand-in's services: whoever steps, however it ends, and that no secret stays behind."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from sqlalchemy import select

from app.credentials.credential import InvalidLogin, State
from app.credentials.lifecycle import RefreshDead
from app.credentials.login import LoginFlows, Wishes
from app.credentials.login_flow import KEPT_SECONDS, LoginFlow, Status
from app.credentials.refresh import refresh
from app.credentials.store import CredentialStore
from app.errors import NotFound, RefreshTokenRejected
from app.kiro.sign_in import SignInFailed
from app.storage import reading, transaction
from app.storage.secrets import Vault, use
from app.storage.tables import LoginFlowRow
from tests.unit.credentials.logins import HOUR, IDENTITY, Clock, broken, idc, social
from tests.unit.credentials.stand_in import StandIn

TOKEN, EXCHANGE = "/token", "/oauth/token"
BUILDER_ID = Wishes(method="builder_id")
IDC = Wishes(method="idc", start_url="https://acme.awsapps.com/start", region="eu-west-1")
SOCIAL = Wishes(method="social")


@pytest.fixture
def upstream(clock: Clock) -> StandIn:
    return StandIn(clock)


@pytest.fixture
def flows(store: CredentialStore, upstream: StandIn, clock: Clock) -> LoginFlows:
    return LoginFlows(store, http=upstream, identity=lambda: IDENTITY, clock=clock)


def other_worker(store: CredentialStore, upstream: StandIn, clock: Clock) -> LoginFlows:
    return LoginFlows(CredentialStore(clock), http=upstream, identity=lambda: IDENTITY, clock=clock)


def rows() -> list[LoginFlowRow]:
    with reading() as session:
        return list(session.scalars(select(LoginFlowRow)))


def later(clock: Clock, seconds: float = 6.0) -> None:
    """Time passes, for the stand-in and for the database."""
    clock.now += seconds
    with transaction() as session:
        for row in session.scalars(select(LoginFlowRow)):
            row.expires_at -= seconds
            row.ask_at = None if row.ask_at is None else row.ask_at - seconds
            row.lease_until = None if row.lease_until is None else row.lease_until - seconds


def finished(flows: LoginFlows, upstream: StandIn, clock: Clock, wishes: Wishes) -> LoginFlow:
    """A sign-in whose person agrees at once."""
    flow = flows.start(wishes)
    if wishes.method == "social":
        return flows.complete(flow.id, upstream.browse(flow.shown["authorise_url"]))
    upstream.decide("approve")
    later(clock)
    return flows.step(flow.id)


# -- from the beginning to a login --


def test_a_device_code_becomes_a_login(flows: LoginFlows, upstream: StandIn, store: CredentialStore, clock: Clock) -> None:
    flow = flows.start(BUILDER_ID)
    assert flow.status is Status.WAITING
    assert flow.shown["verification_url"].endswith(flow.shown["user_code"])
    later(clock)
    assert flows.step(flow.id).status is Status.WAITING
    upstream.decide("approve")
    later(clock)
    done = flows.step(flow.id)
    assert (done.status, done.credential_id, done.problem) == (Status.DONE, 1, None)
    [stored] = store.all(fresh=True)
    assert (stored.kind, stored.provider, stored.auth_region) == ("idc", "BuilderId", "us-east-1")
    assert (stored.expires_at, stored.profile_arn, stored.start_url) == (clock.now + HOUR, None, None)
    assert refresh(stored, upstream, IDENTITY, now=clock).access_token


def test_an_identity_center_is_asked_in_its_region(
    flows: LoginFlows, upstream: StandIn, store: CredentialStore, clock: Clock
) -> None:
    assert finished(flows, upstream, clock, IDC).status is Status.DONE
    assert {call.url.split("/")[2] for call in upstream.calls} == {"oidc.eu-west-1.amazonaws.com"}
    [stored] = store.all(fresh=True)
    assert (stored.provider, stored.auth_region, stored.start_url) == ("Enterprise", "eu-west-1", IDC.start_url)
    assert refresh(stored, upstream, IDENTITY, now=clock).access_token


@pytest.mark.parametrize(
    ("provider", "landing", "begins"),
    [("google", "localhost", "http://localhost:49153/oauth/callback?"), ("github", "kiro", "kiro://kiro.kiroAgent/")],
)
def test_a_landing_address_becomes_a_login(
    flows: LoginFlows, upstream: StandIn, store: CredentialStore, clock: Clock, provider: str, landing: str, begins: str
) -> None:
    flow = flows.start(Wishes(method="social", provider=provider, landing=landing, label="mine"))
    landed = upstream.browse(flow.shown["authorise_url"])
    assert landed.startswith(begins)
    done = flows.complete(flow.id, f"  {landed}\n")
    assert (done.status, done.credential_id) == (Status.DONE, 1)
    [stored] = store.all(fresh=True)
    assert (stored.kind, stored.provider, stored.label) == ("social", provider.capitalize(), "mine")
    assert (stored.client_id, stored.expires_at) == (None, clock.now + HOUR)
    assert stored.profile_arn
    assert refresh(stored, upstream, IDENTITY, now=clock).access_token


def test_a_proxy_of_one_s_own_is_used_from_the_first_call_on(
    flows: LoginFlows, upstream: StandIn, store: CredentialStore, clock: Clock
) -> None:
    finished(flows, upstream, clock, Wishes(method="builder_id", proxy_url="socks5://me:secret@proxy:1080"))
    assert set(upstream.proxies) == {"socks5://me:secret@proxy:1080"}
    assert store.all(fresh=True)[0].proxy_url == "socks5://me:secret@proxy:1080"


# -- who asks, and when --


def test_it_is_not_asked_before_the_interval_is_over(
    flows: LoginFlows, upstream: StandIn, store: CredentialStore, clock: Clock
) -> None:
    flow = flows.start(BUILDER_ID)
    second = other_worker(store, upstream, clock)
    assert 0 < flows.step(flow.id).ask_in_seconds <= 1
    assert upstream.asked(TOKEN) == 0
    later(clock, 1.1)
    for each in (flows, second, flows, second):
        each.step(flow.id)
    assert upstream.asked(TOKEN) == 1
    later(clock, 1.1)
    second.step(flow.id)
    assert upstream.asked(TOKEN) == 2, "anybody goes on with it"


def test_two_at_once_ask_once(flows: LoginFlows, upstream: StandIn, store: CredentialStore, clock: Clock) -> None:
    flow = flows.start(BUILDER_ID)
    upstream.decide("approve")
    later(clock)
    second = other_worker(store, upstream, clock)
    seen: list[LoginFlow] = []
    upstream.before = lambda: seen.append(second.step(flow.id))
    assert flows.step(flow.id).status is Status.DONE
    assert upstream.asked(TOKEN) == 1
    assert seen[0].status is Status.WAITING


def test_many_threads_ask_once(flows: LoginFlows, upstream: StandIn, clock: Clock) -> None:
    flow = flows.start(BUILDER_ID)
    later(clock)
    threads = [threading.Thread(target=flows.step, args=(flow.id,)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert upstream.asked(TOKEN) == 1


def test_a_worker_that_died_while_it_asked_does_not_end_it(flows: LoginFlows, upstream: StandIn, clock: Clock) -> None:
    flow = flows.start(BUILDER_ID)
    upstream.decide("approve")
    later(clock)

    def die() -> None:
        raise KeyboardInterrupt

    upstream.before = die
    with pytest.raises(KeyboardInterrupt):
        flows.step(flow.id)
    upstream.before = lambda: None
    assert flows.step(flow.id).status is Status.WAITING, "its lease is respected"
    later(clock, 61)
    assert flows.step(flow.id).status is Status.DONE


def test_who_is_told_to_slow_down_does(flows: LoginFlows, upstream: StandIn, clock: Clock) -> None:
    flow = flows.start(BUILDER_ID)
    upstream.state.script.add([{"path": TOKEN, "status": 400, "body": {"error": "slow_down"}}])
    later(clock)
    assert 5 < flows.step(flow.id).ask_in_seconds <= 6
    later(clock, 5.0)
    assert flows.step(flow.id).ask_in_seconds > 0
    assert upstream.asked(TOKEN) == 1


@pytest.mark.parametrize("trouble", [broken(sent=True), broken(sent=False)])
def test_an_answer_that_does_not_come_is_asked_for_again(
    flows: LoginFlows, upstream: StandIn, clock: Clock, trouble: Exception
) -> None:
    flow = flows.start(BUILDER_ID)
    upstream.broken = [trouble]  # type: ignore[list-item]
    upstream.decide("approve")
    later(clock)
    assert flows.step(flow.id).status is Status.WAITING
    later(clock)
    assert flows.step(flow.id).status is Status.DONE


# -- other ends --


@pytest.mark.parametrize(
    ("decision", "says"), [("deny", "declined in the browser"), ("expire", "not used in time"), ("approve", "no longer known")]
)
def test_a_person_who_does_not_agree_ends_it(
    flows: LoginFlows, upstream: StandIn, store: CredentialStore, clock: Clock, decision: str, says: str
) -> None:
    flow = flows.start(BUILDER_ID)
    upstream.decide(decision)
    if decision == "approve":  # somebody else fetched the tokens
        upstream.state.sign_ins.device(None).decision = "used"
    later(clock)
    failed = flows.step(flow.id)
    assert failed.status is Status.FAILED
    assert says in (failed.problem or "")
    assert store.all(fresh=True) == ()
    asked = len(upstream.calls)
    later(clock)
    assert flows.step(flow.id) == failed
    assert len(upstream.calls) == asked


def test_a_cancelled_sign_in_brings_nothing(flows: LoginFlows, upstream: StandIn, store: CredentialStore, clock: Clock) -> None:
    flow = flows.start(BUILDER_ID)
    upstream.decide("approve")
    later(clock)
    upstream.before = lambda: flows.cancel(flow.id)
    assert flows.step(flow.id).status is Status.CANCELLED
    assert store.all(fresh=True) == ()
    assert flows.cancel(flow.id).status is Status.CANCELLED


@pytest.mark.parametrize("wishes", [BUILDER_ID, SOCIAL])
def test_its_time_is_over_at_some_point(flows: LoginFlows, upstream: StandIn, clock: Clock, wishes: Wishes) -> None:
    flow = flows.start(wishes)
    later(clock, 1000)
    assert flows.get(flow.id).status is Status.EXPIRED
    asked = len(upstream.calls)
    over = flows.complete(flow.id, "http://localhost:49153/?code=a&state=b") if wishes is SOCIAL else flows.step(flow.id)
    assert over.status is Status.EXPIRED
    assert "begin again" in (over.problem or "")
    assert len(upstream.calls) == asked


def test_an_address_that_is_not_the_right_one_can_be_pasted_again(flows: LoginFlows, upstream: StandIn) -> None:
    flow = flows.start(SOCIAL)
    landed = upstream.browse(flow.shown["authorise_url"])
    stranger = upstream.browse(flows.start(SOCIAL).shown["authorise_url"])
    for pasted, says in (
        ("", "not the whole address"),
        (landed.split("&")[0], "not the whole address"),
        (stranger, "belongs to another sign-in"),
        ("http://localhost:49153/oauth/callback?error=access_denied&error_description=No%20thanks&state=x", "No thanks"),
    ):
        with pytest.raises(SignInFailed, match=says):
            flows.complete(flow.id, pasted)
    assert upstream.asked(EXCHANGE) == 0
    assert flows.complete(flow.id, landed).status is Status.DONE


def test_a_code_that_was_used_ends_it(flows: LoginFlows, upstream: StandIn) -> None:
    flow = flows.start(SOCIAL)
    landed = upstream.browse(flow.shown["authorise_url"])
    upstream.state.sign_ins.use_code(landed.split("code=")[1].split("&")[0])
    failed = flows.complete(flow.id, landed)
    assert failed.status is Status.FAILED
    assert "Begin again" in (failed.problem or "")


def test_an_exchange_that_cannot_be_sent_is_tried_again(flows: LoginFlows, upstream: StandIn) -> None:
    flow = flows.start(SOCIAL)
    landed = upstream.browse(flow.shown["authorise_url"])
    upstream.broken = [broken(sent=False)]
    with pytest.raises(SignInFailed, match="paste the address again"):
        flows.complete(flow.id, landed)
    assert flows.complete(flow.id, landed).status is Status.DONE


def test_each_way_goes_on_in_its_own_way(flows: LoginFlows, upstream: StandIn) -> None:
    with pytest.raises(SignInFailed, match="needs no address"):
        flows.complete(flows.start(BUILDER_ID).id, "http://localhost/?code=a&state=b")
    asked = len(upstream.calls)
    assert flows.step(flows.start(SOCIAL).id).status is Status.WAITING
    assert len(upstream.calls) == asked


def test_a_sign_in_nobody_began_is_not_found(flows: LoginFlows) -> None:
    for use_it in (flows.get, flows.step, flows.cancel):
        with pytest.raises(NotFound):
            use_it("unknown")


# -- what is wrong is said before anything is sent --


@pytest.mark.parametrize(
    "wrong",
    [
        {"method": "password"},
        {"method": "idc"},
        {"method": "idc", "region": "eu-west-1"},
        {"method": "idc", "start_url": IDC.start_url, "region": "evil.example/"},
        {"method": "idc", "start_url": "https://evil.example/start", "region": "eu-west-1"},
        {"method": "social", "provider": "myspace"},
        {"method": "social", "landing": "https://evil.example"},
        {"method": "builder_id", "replaces": 7},
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_sent(flows: LoginFlows, upstream: StandIn, wrong: dict[str, Any]) -> None:
    with pytest.raises(SignInFailed):
        flows.start(Wishes(**wrong))
    assert upstream.calls == []
    assert rows() == []


def test_a_proxy_that_is_none_is_refused_before_anything_is_sent(flows: LoginFlows, upstream: StandIn) -> None:
    with pytest.raises(InvalidLogin, match="proxy"):
        flows.start(Wishes(method="builder_id", proxy_url="ftp://proxy"))
    assert upstream.calls == []


def test_a_beginning_that_fails_leaves_nothing(flows: LoginFlows, upstream: StandIn) -> None:
    upstream.broken = [broken(sent=False)]
    with pytest.raises(SignInFailed, match="check the region"):
        flows.start(IDC)
    upstream.state.script.add([{"path": "/device_authorization", "status": 400, "body": {"error": "invalid_request"}}])
    with pytest.raises(SignInFailed, match="does not know this start URL in this region"):
        flows.start(IDC)
    assert rows() == []


# -- an old login's new tokens --


@pytest.mark.parametrize("wishes", [BUILDER_ID, IDC, SOCIAL])
def test_a_sign_in_gives_a_credential_its_whole_new_set(
    flows: LoginFlows, upstream: StandIn, store: CredentialStore, clock: Clock, wishes: Wishes
) -> None:
    id_ = store.add(idc("old", label="mine", priority=3))
    store.happened(id_, RefreshDead())
    before = store.get(id_)
    again = Wishes(**{name: getattr(wishes, name) for name in ("method", "start_url", "region")}, replaces=id_)
    assert finished(flows, upstream, clock, again).credential_id == id_
    [after] = store.all(fresh=True)
    assert (after.state, after.label, after.priority) == (State.READY, "mine", 3)
    assert before is not None
    assert after.refresh_token != before.refresh_token
    assert after.client_id != before.client_id, "a token and the registration it was made with go together"
    assert refresh(after, upstream, IDENTITY, now=clock).access_token
    with pytest.raises(RefreshTokenRejected):
        refresh(before, upstream, IDENTITY, now=clock)


def test_a_login_that_is_stored_already_gets_the_new_tokens(
    flows: LoginFlows, upstream: StandIn, store: CredentialStore, clock: Clock
) -> None:
    flow = flows.start(BUILDER_ID)
    content = {"accessToken": "aoa-known", "refreshToken": social("known").refresh_token, "expiresIn": 3600}
    id_ = store.add(social("known"))
    upstream.state.script.add([{"path": TOKEN, "json_200": content}])
    later(clock)
    assert flows.step(flow.id).credential_id == id_
    assert store.all(fresh=True)[0].client_id, "it goes with its registration from now on"


def test_a_credential_that_was_removed_meanwhile_comes_back_as_a_new_one(
    flows: LoginFlows, upstream: StandIn, store: CredentialStore, clock: Clock
) -> None:
    id_ = store.add(social("old"))
    flow = flows.start(Wishes(method="builder_id", replaces=id_))
    store.remove(id_)
    upstream.decide("approve")
    later(clock)
    assert flows.step(flow.id).credential_id == id_ + 1


# -- secrets --


@pytest.mark.parametrize("wishes", [BUILDER_ID, SOCIAL])
@pytest.mark.parametrize("end", ["done", "cancelled", "expired"])
def test_secrets_are_sealed_while_it_waits_and_gone_afterwards(
    flows: LoginFlows, upstream: StandIn, clock: Clock, wishes: Wishes, end: str
) -> None:
    flow = flows.start(wishes)
    [row] = rows()
    assert (row.secret or "").startswith("v1:")
    seen = f"{flow} {row.shown} {row.options} {row.secret}"
    assert "csec-" not in seen
    assert "verifier" not in seen
    if end == "cancelled":
        flows.cancel(flow.id)
    elif end == "expired":
        later(clock, 1000)
        flows.step(flow.id)
    elif wishes is SOCIAL:
        flows.complete(flow.id, upstream.browse(flow.shown["authorise_url"]))
    else:
        upstream.decide("approve")
        later(clock)
        flows.step(flow.id)
    assert [(row.status, row.secret) for row in rows()] == [(end, None)]


def test_a_key_that_is_gone_ends_it_with_a_word_about_it(flows: LoginFlows, clock: Clock) -> None:
    flow = flows.start(BUILDER_ID)
    use(Vault([b"another root secret of 32 bytes.."]))
    later(clock)
    failed = flows.step(flow.id)
    assert failed.status is Status.FAILED
    assert "KIRO_SECRET_KEYS" in (failed.problem or "")


def test_what_is_long_over_is_forgotten_when_something_new_begins(flows: LoginFlows, clock: Clock) -> None:
    old = flows.start(BUILDER_ID)
    late = flows.start(SOCIAL)
    later(clock, 1000)
    new = flows.start(SOCIAL)
    assert {row.id: row.secret is None for row in rows()} == {old.id: True, late.id: True, new.id: False}
    later(clock, KEPT_SECONDS)
    newest = flows.start(SOCIAL)
    assert {row.id for row in rows()} == {new.id, newest.id}


def test_what_is_shown_of_wishes_holds_no_secret() -> None:
    assert "secret" not in repr(Wishes(method="social", proxy_url="http://me:secret@proxy"))
