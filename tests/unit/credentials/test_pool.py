from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

import gevent
import pytest
from sqlalchemy import event, update

from app.credentials.credential import Credential, Login, State, Tokens
from app.credentials.lifecycle import Failed, OperatorDisabled, RefreshDead, RefreshUnclear
from app.credentials.pool import SILENT_SECONDS, Lease, Pool
from app.credentials.scheduler import Wanted
from app.credentials.store import CredentialStore
from app.errors import (
    AccountSuspended,
    AllCoolingDown,
    AtCapacity,
    EventStreamError,
    GatewayError,
    NoUsableCredential,
    QuotaExhausted,
    RefreshFailed,
    RefreshTokenRejected,
    StorageUnavailable,
    Throttled,
    TokenRejected,
    TruncatedStream,
    UpstreamRefused,
    UpstreamUnavailable,
)
from app.errors import RefreshUnclear as RefreshEndedUnclear
from app.storage import db_now, transaction
from app.storage.engine import engine
from app.storage.tables import CredentialRow
from tests.unit.credentials.logins import (
    HOUR,
    IDENTITY,
    NOON,
    Clock,
    TokenService,
    answered,
    api_key,
    broken,
    refresh_token,
    refused,
    social,
)

FRESH = {"access_token": "aoa-old", "expires_at": NOON + HOUR}
EXPIRING = {"access_token": "aoa-old", "expires_at": NOON + 300}


@pytest.fixture
def service() -> TokenService:
    return TokenService()


@pytest.fixture
def pool(store: CredentialStore, service: TokenService, clock: Clock) -> Pool:
    return new_pool(service, clock, store)


def new_pool(service: TokenService, clock: Clock, store: CredentialStore | None = None) -> Pool:
    return Pool(store or CredentialStore(clock), http=service, identity=lambda: IDENTITY, clock=clock)


def add(store: CredentialStore, login: Login | None = None, **values: Any) -> int:
    return store.add(login or social(**values))


def stored(store: CredentialStore, id_: int = 1) -> Credential:
    found = store.get(id_)
    assert found is not None
    return found


def dead_holder(id_: int, **values: Any) -> None:
    """A claim whose holder was killed in the middle of its refresh."""
    lease = {"lease_owner": "dead", "lease_until": 1.0, "attempt_at": 1.0}
    with transaction() as session:
        session.execute(update(CredentialRow).where(CredentialRow.id == id_).values(**{**lease, **values}))


def db_time() -> float:
    with transaction() as session:
        return db_now(session)


def statements_of(action: Callable[[], object]) -> list[str]:
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(engine(), "before_cursor_execute", note)
    try:
        action()
    finally:
        event.remove(engine(), "before_cursor_execute", note)
    return seen


# -- lending --


def test_a_fresh_token_is_lent_without_a_call(pool: Pool, store: CredentialStore, service: TokenService) -> None:
    add(store, **FRESH)
    assert pool.lend().credential.access_token == "aoa-old"
    assert service.calls == []


def test_a_request_without_trouble_asks_the_database_nothing_within_two_seconds(pool: Pool, store: CredentialStore) -> None:
    add(store, **FRESH)
    pool.lend()
    assert statements_of(lambda: pool.succeed(pool.lend())) == []


def test_an_api_key_is_lent_as_it_is(pool: Pool, store: CredentialStore, service: TokenService) -> None:
    add(store, api_key())
    assert pool.lend().credential.access_token == api_key().access_token
    assert service.calls == []


def test_an_expired_token_is_refreshed_first(pool: Pool, store: CredentialStore) -> None:
    add(store)
    lease = pool.lend()
    assert lease.credential.access_token == "aoa-1"
    assert lease.reason.endswith("token refreshed")


def test_tokens_are_committed_before_they_are_lent(pool: Pool, store: CredentialStore) -> None:
    add(store)
    lease = pool.lend()
    assert stored(store).access_token == lease.credential.access_token
    assert stored(store).refresh_token == refresh_token("rotated-1")


def test_a_credential_that_was_tried_is_not_lent_again(pool: Pool, store: CredentialStore) -> None:
    add(store, social("a", **FRESH))
    second = add(store, social("b", **FRESH))
    assert pool.lend(Wanted(excluded=frozenset({1}))).credential.id == second


def test_nothing_stored_is_said(pool: Pool) -> None:
    with pytest.raises(NoUsableCredential):
        pool.lend()


def test_usable_are_those_that_may_be_lent(pool: Pool, store: CredentialStore) -> None:
    add(store, social("a", **FRESH))
    store.happened(add(store, social("b", **FRESH)), OperatorDisabled())
    assert pool.usable_count() == 1


# -- one refresh --


def test_fifty_tasks_on_one_expired_credential_are_one_refresh(
    pool: Pool, store: CredentialStore, service: TokenService
) -> None:
    add(store)
    service.before = lambda: gevent.sleep(0.02)
    tasks = [gevent.spawn(pool.lend) for _ in range(50)]
    gevent.joinall(tasks, raise_error=True)
    assert {task.value.credential.access_token for task in tasks} == {"aoa-1"}
    assert (len(service.calls), service.refused) == (1, 0)


def test_two_processes_on_one_database_are_one_refresh(store: CredentialStore, service: TokenService, clock: Clock) -> None:
    add(store)
    service.before = lambda: gevent.sleep(0.1)
    lent: list[str | None] = []
    failed: list[BaseException] = []

    def process() -> None:
        own = new_pool(service, clock)
        try:
            tasks = [gevent.spawn(own.lend) for _ in range(25)]
            gevent.joinall(tasks, raise_error=True)
            lent.extend(task.value.credential.access_token for task in tasks)
        except BaseException as error:  # noqa: BLE001 - shown by the assertion
            failed.append(error)

    threads = [threading.Thread(target=process) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert lent == ["aoa-1"] * 50
    assert (len(service.calls), service.refused) == (1, 0)


def test_a_request_that_leaves_does_not_stop_the_refresh(pool: Pool, store: CredentialStore, service: TokenService) -> None:
    add(store)
    service.before = lambda: gevent.sleep(0.05)
    request = gevent.spawn(pool.lend)
    gevent.sleep(0.01)
    request.kill()
    pool.join_refreshes(5)
    assert stored(store).access_token == "aoa-1"


def test_an_expiring_token_is_lent_at_once_and_refreshed_beside(
    pool: Pool, store: CredentialStore, service: TokenService
) -> None:
    add(store, **EXPIRING)
    service.before = lambda: gevent.sleep(0.05)
    leases = [pool.lend() for _ in range(10)]
    assert {lease.credential.access_token for lease in leases} == {"aoa-old"}
    pool.join_refreshes(5)
    assert len(service.calls) == 1
    assert pool.lend().credential.access_token == "aoa-1"


def test_an_expiring_token_that_somebody_else_refreshes_is_lent_without_waiting(
    pool: Pool, store: CredentialStore, service: TokenService
) -> None:
    id_ = add(store, **EXPIRING)
    store.claim(id_, 1, "another worker")
    assert pool.lend().credential.access_token == "aoa-old"
    store.save_tokens(id_, 1, Tokens("aoa-other", None, NOON + HOUR))
    pool.join_refreshes(5)
    assert pool.lend().credential.access_token == "aoa-other"
    assert service.calls == []


def test_a_crashed_claimer_is_taken_over_once_its_lease_is_over(
    pool: Pool, store: CredentialStore, service: TokenService
) -> None:
    dead_holder(add(store))
    assert pool.lend().credential.access_token == "aoa-1"
    assert len(service.calls) == 1


def test_nobody_waits_for_a_holder_that_has_been_silent_for_long(
    pool: Pool, store: CredentialStore, service: TokenService
) -> None:
    dead = add(store)
    dead_holder(dead, lease_until=db_time() + 60, attempt_at=db_time() - SILENT_SECONDS - 10)
    with pytest.raises(RefreshEndedUnclear) as caught:
        pool.lend()
    assert caught.value.credential_id == dead
    assert (stored(store).state, service.calls) == (State.UNCERTAIN, [])
    with pytest.raises(AllCoolingDown) as told:
        pool.lend()
    assert 55 <= (told.value.retry_after_seconds or 0) <= 60, "once the claim has run out"
    second = add(store, social("b", **FRESH))
    assert pool.lend().credential.id == second


def test_a_token_that_a_crashed_claimer_had_consumed_is_named(
    pool: Pool, store: CredentialStore, service: TokenService
) -> None:
    dead_holder(add(store))
    service.answers = [refused()]
    with pytest.raises(RefreshTokenRejected, match="cut off"):
        pool.lend()
    assert stored(store).state is State.REJECTED
    assert "cut off" in (stored(store).state_reason or "")


def test_a_refused_token_that_another_machine_had_rotated_is_no_harm(
    pool: Pool, store: CredentialStore, service: TokenService
) -> None:
    id_ = add(store)
    other = CredentialStore()
    rotated = social("elsewhere", access_token="aoa-elsewhere", expires_at=NOON + HOUR)
    service.answers = [refused()]
    service.before = lambda: other.sign_in_again(stored(store), rotated)
    assert pool.lend().credential.access_token == "aoa-elsewhere"
    assert stored(store, id_).state is State.READY


def test_a_late_winner_does_not_overwrite_newer_tokens(pool: Pool, store: CredentialStore, service: TokenService) -> None:
    add(store)
    rotated = social("elsewhere", access_token="aoa-elsewhere", expires_at=NOON + HOUR)
    service.before = lambda: CredentialStore().sign_in_again(stored(store), rotated)
    assert pool.lend().credential.access_token == "aoa-elsewhere"
    assert stored(store).refresh_token == refresh_token("elsewhere")


def test_a_dead_refresh_token_rejects_the_credential(pool: Pool, store: CredentialStore, service: TokenService) -> None:
    id_ = add(store)
    service.token = "another"
    with pytest.raises(RefreshTokenRejected, match="sign in again") as caught:
        pool.lend()
    assert caught.value.credential_id == id_
    assert stored(store).state is State.REJECTED
    with pytest.raises(NoUsableCredential):
        pool.lend()
    assert len(service.calls) == 1


def test_an_unclear_end_is_uncertain_and_ends_with_a_refresh_that_works(
    pool: Pool, store: CredentialStore, service: TokenService, clock: Clock
) -> None:
    add(store)
    service.answers = [broken(sent=True)]
    with pytest.raises(RefreshEndedUnclear):
        pool.lend()
    assert stored(store).state is State.UNCERTAIN
    with pytest.raises(AllCoolingDown):
        pool.lend()
    clock.now += 31
    service.token = refresh_token()
    assert pool.lend().credential.access_token.startswith("aoa-")  # type: ignore[union-attr]
    assert stored(store).state is State.READY


def test_an_unclear_end_of_an_early_refresh_leaves_the_old_token_serving(
    pool: Pool, store: CredentialStore, service: TokenService
) -> None:
    add(store, **EXPIRING)
    service.answers = [broken(sent=True)]
    pool.lend()
    pool.join_refreshes(5)
    assert stored(store).state is State.UNCERTAIN
    assert pool.lend().credential.access_token == "aoa-old"
    pool.join_refreshes(5)
    assert len(service.calls) == 1


def test_an_early_refresh_that_fails_costs_nothing_and_is_tried_again_later(
    pool: Pool, store: CredentialStore, service: TokenService, clock: Clock
) -> None:
    add(store, **EXPIRING)
    service.answers = [answered({}, 503)]
    for _ in range(5):
        assert pool.lend().credential.access_token == "aoa-old"
        pool.join_refreshes(5)
    assert (len(service.calls), stored(store).state) == (1, State.READY)
    clock.now += 31
    service.token = refresh_token()
    pool.lend()
    pool.join_refreshes(5)
    assert stored(store).access_token is not None
    assert stored(store).version == 2


def test_a_needed_refresh_that_fails_rests_the_credential_as_long_as_asked(
    pool: Pool, store: CredentialStore, service: TokenService
) -> None:
    add(store)
    service.answers = [answered({"message": "slow down"}, 429, **{"retry-after": "40"})]
    with pytest.raises(RefreshFailed, match="slow down"):
        pool.lend()
    assert (stored(store).state, stored(store).state_until) == (State.COOLING_DOWN, NOON + 40)
    assert stored(store).lease_until is None


def test_new_tokens_are_offered_to_a_database_that_is_away_until_it_takes_them(
    pool: Pool, store: CredentialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    add(store)
    save, refusals = store.save_tokens, [StorageUnavailable()]

    def away_once(*arguments: Any) -> bool:
        if refusals:
            raise refusals.pop()
        return save(*arguments)

    monkeypatch.setattr(store, "save_tokens", away_once)
    assert pool.lend().credential.access_token == "aoa-1"
    assert stored(store).access_token == "aoa-1"


def test_a_credential_removed_during_its_refresh_leaves_the_others_to_be_asked(
    pool: Pool, store: CredentialStore, service: TokenService
) -> None:
    id_ = add(store)
    service.before = lambda: CredentialStore().remove(id_)
    with pytest.raises(RefreshFailed) as caught:
        pool.lend()
    assert caught.value.credential_id == id_


def test_leaving_waits_for_refreshes_and_says_so_in_one_line(
    pool: Pool, store: CredentialStore, service: TokenService, caplog: pytest.LogCaptureFixture
) -> None:
    add(store, **EXPIRING)
    service.before = lambda: gevent.sleep(0.05)
    pool.lend()
    with caplog.at_level(logging.WARNING):
        pool.join_refreshes(5)
    assert [record.message for record in caplog.records] == ["waiting up to 5 s for 1 token refreshes before leaving"]
    assert stored(store).access_token == "aoa-1"
    caplog.clear()
    pool.join_refreshes(5)
    assert caplog.records == []


def test_no_token_is_ever_logged(
    pool: Pool, store: CredentialStore, service: TokenService, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    add(store)
    with caplog.at_level(logging.DEBUG, "app"):
        for answer in (answered({"message": f"bad {refresh_token()}"}, 500), broken(sent=True), refused()):
            service.answers = [answer]
            with pytest.raises(RefreshFailed):
                pool.lend()
            clock.now += HOUR
    assert len(caplog.records) == 3
    assert "aor-" not in caplog.text


# -- a clock that jumps --


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_matrix_46_a_clock_that_jumps_in_a_refresh_costs_at_most_another_one(
    pool: Pool, store: CredentialStore, service: TokenService, clock: Clock, jump: float
) -> None:
    add(store)

    def jumps_once() -> None:
        clock.now, service.before = clock.now + jump, lambda: None

    service.before = jumps_once
    lent = [pool.lend().credential for _ in range(5)]
    assert len(service.calls) == (2 if jump > 0 else 1)
    assert service.refused == 0
    assert {credential.state for credential in lent} == {State.READY}
    assert (stored(store).version, stored(store).lease_until) == (1 + len(service.calls), None)


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_matrix_46_a_claim_is_not_taken_over_by_a_clock_that_jumps(
    pool: Pool, store: CredentialStore, service: TokenService, clock: Clock, jump: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    id_ = add(store)
    store.claim(id_, 1, "another worker")
    asked, lent = threading.Event(), list[Lease]()
    claim = store.claim

    def asks(*arguments: Any) -> Any:
        asked.set()
        return claim(*arguments)

    monkeypatch.setattr(store, "claim", asks)
    waiting = threading.Thread(target=lambda: lent.append(pool.lend()))
    waiting.start()
    for step in (jump, 0.0, 0.0):  # at the last one it has asked by the new clock
        asked.clear()
        assert asked.wait(5)
        clock.now += step
    assert (lent, service.calls, stored(store).state) == ([], [], State.READY), "it waits, and neither takes over nor doubts"
    store.save_tokens(id_, 1, Tokens("aoa-other", None, clock.now + HOUR))
    waiting.join(5)
    assert [lease.credential.access_token for lease in lent] == ["aoa-other"]


def test_matrix_46_a_clock_set_back_an_hour_keeps_a_rest_for_an_hour_longer_at_most(
    pool: Pool, store: CredentialStore, clock: Clock
) -> None:
    add(store, access_token="aoa-old", expires_at=NOON + 3 * HOUR)
    pool.fail(pool.lend(), Throttled())
    clock.now -= HOUR
    with pytest.raises(AllCoolingDown) as told:
        pool.lend()
    assert told.value.retry_after_seconds is None, "no client is told to come back in an hour"
    clock.now += HOUR + 9
    assert pool.lend().credential.id == 1


# -- renewing --


def test_a_refused_access_token_is_renewed_by_a_refresh(pool: Pool, store: CredentialStore) -> None:
    add(store, **FRESH)
    assert pool.renew(pool.lend()).credential.access_token == "aoa-1"


def test_a_token_renewed_by_another_request_is_taken(pool: Pool, store: CredentialStore, service: TokenService) -> None:
    add(store, **FRESH)
    first, second = pool.lend(), pool.lend()
    pool.renew(first)
    assert pool.renew(second).credential.access_token == "aoa-1"
    assert len(service.calls) == 1


@pytest.mark.parametrize("happening", [OperatorDisabled(), RefreshDead(), RefreshUnclear("cut off")])
def test_what_may_not_be_used_any_more_is_not_renewed(
    pool: Pool, store: CredentialStore, service: TokenService, happening: Any
) -> None:
    id_ = add(store, **FRESH)
    lease = pool.lend()
    store.happened(id_, happening)
    with pytest.raises(RefreshFailed) as caught:
        pool.renew(lease)
    assert caught.value.credential_id == id_
    assert service.calls == []


def test_a_refused_token_that_cannot_be_renewed_counts_against_the_credential(
    pool: Pool, store: CredentialStore, service: TokenService
) -> None:
    add(store, **FRESH)
    for _ in range(3):
        service.answers = [answered({}, 503)]
        with pytest.raises(RefreshFailed):
            pool.renew(pool.lend())
    assert stored(store).state is State.COOLING_DOWN


# -- what errors mean --


def lent(pool: Pool, store: CredentialStore) -> Lease:
    add(store, **FRESH)
    return pool.lend()


@pytest.mark.parametrize(
    "error",
    [
        UpstreamRefused("Improperly formed request."),
        EventStreamError(),
        TruncatedStream(),
        UpstreamUnavailable("busy", reason="INSUFFICIENT_MODEL_CAPACITY"),
        UpstreamUnavailable("busy", reason="MODEL_TEMPORARILY_UNAVAILABLE"),
        UpstreamUnavailable("busy", reason="INSUFFICIENT_THROUGHPUT"),
        RefreshFailed(),
        StorageUnavailable(),
    ],
)
def test_what_is_not_the_credential_s_fault_never_touches_it(pool: Pool, store: CredentialStore, error: GatewayError) -> None:
    lease = lent(pool, store)
    assert statements_of(lambda: [pool.fail(lease, error) for _ in range(5)]) == []
    assert stored(store).state is State.READY


@pytest.mark.parametrize(
    ("error", "state", "until"),
    [
        (AccountSuspended(), State.SUSPENDED, None),
        (Throttled(retry_after_seconds=30), State.COOLING_DOWN, NOON + 30),
        (Throttled(), State.COOLING_DOWN, NOON + 8),
        (QuotaExhausted(reason="DAILY_REQUEST_COUNT"), State.EXHAUSTED, 1_790_035_200.0),
        (QuotaExhausted(reason="MONTHLY_REQUEST_COUNT"), State.EXHAUSTED, 1_790_812_800.0),
        (UpstreamUnavailable(), State.READY, None),
        (TokenRejected(), State.READY, None),
    ],
)
def test_one_error_moves_the_credential_as_its_type_says(
    pool: Pool, store: CredentialStore, error: GatewayError, state: State, until: float | None
) -> None:
    pool.fail(lent(pool, store), error)
    assert (stored(store).state, stored(store).state_until) == (state, until)


def test_a_known_reset_date_is_the_end_of_a_used_up_quota(pool: Pool, store: CredentialStore) -> None:
    id_ = add(store, **FRESH)
    with transaction() as session:
        session.execute(update(CredentialRow).where(CredentialRow.id == id_).values(next_reset_at=NOON + 5 * HOUR))
    pool.fail(pool.lend(), QuotaExhausted())
    assert stored(store).state_until == NOON + 5 * HOUR


def test_three_failures_cool_and_a_success_between_forgives(pool: Pool, store: CredentialStore) -> None:
    add(store, **FRESH)
    for error in (UpstreamUnavailable(), UpstreamUnavailable(), None, TokenRejected(), UpstreamUnavailable()):
        lease = pool.lend()
        pool.fail(lease, error) if error else pool.succeed(lease)
    assert stored(store).state is State.READY
    pool.fail(pool.lend(), UpstreamUnavailable())
    assert stored(store).state is State.COOLING_DOWN


def test_a_success_after_a_rest_clears_the_count(pool: Pool, store: CredentialStore, clock: Clock) -> None:
    add(store, **FRESH)
    for _ in range(3):
        store.happened(1, Failed("x"))
    clock.now += 6
    pool.succeed(pool.lend())
    assert (stored(store).state, stored(store).failure_count) == (State.READY, 0)


def test_a_database_that_is_away_does_not_fail_the_request(
    pool: Pool, store: CredentialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = lent(pool, store)

    def away(*_: object) -> None:
        raise StorageUnavailable

    monkeypatch.setattr(store, "happened", away)
    pool.fail(lease, Throttled())


# -- what one process has under way --


def test_a_lease_counts_until_it_is_given_back(store: CredentialStore, service: TokenService, clock: Clock) -> None:
    pool = new_pool(service, clock, store)
    add(store, social("a", max_concurrent=1, **FRESH))
    lease = pool.lend()
    with pytest.raises(AtCapacity):
        pool.lend()
    pool.give_back(lease)
    assert pool.lend().credential.id == lease.credential.id


def test_a_lease_that_came_to_nothing_does_not_count(pool: Pool, store: CredentialStore, service: TokenService) -> None:
    add(store, social("a", max_concurrent=1))
    service.answers = [answered({"message": "later"}, 503)]
    with pytest.raises(RefreshFailed):
        pool.lend()
    with transaction() as session:
        session.execute(update(CredentialRow).values(state="ready", state_until=None))
    assert pool.lend().credential.access_token == "aoa-1"


def test_a_renewed_lease_counts_as_well(pool: Pool, store: CredentialStore) -> None:
    add(store, social("a", max_concurrent=1, **FRESH))
    lease = pool.lend()
    pool.give_back(lease)
    renewed = pool.renew(lease)
    with pytest.raises(AtCapacity):
        pool.lend()
    pool.give_back(renewed)
    pool.lend()


def test_a_token_that_is_wanted_for_no_request_is_refreshed_when_it_must_be(
    pool: Pool, store: CredentialStore, service: TokenService
) -> None:
    old, fresh = add(store), add(store, social("b", **FRESH))
    assert pool.fresh(stored(store, fresh)) == stored(store, fresh)
    assert pool.fresh(stored(store, old)).access_token == "aoa-1"
    assert len(service.calls) == 1


def test_what_works_for_a_credential_is_kept_with_it(pool: Pool, store: CredentialStore) -> None:
    add(store, **FRESH)
    pool.learn(pool.lend(), {"chat_host": "runtime"})
    assert pool.lend().credential.learned == {"chat_host": "runtime"}
    assert statements_of(lambda: pool.lend()) == []


def test_a_used_up_quota_is_looked_at_again(store: CredentialStore, service: TokenService, clock: Clock) -> None:
    told: list[int] = []
    pool = Pool(store, http=service, identity=lambda: IDENTITY, clock=clock, exhausted=told.append)
    id_ = add(store, **FRESH)
    pool.fail(pool.lend(), QuotaExhausted("used up"))
    assert told == [id_]
