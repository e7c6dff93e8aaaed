from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import event, select, update

from app.credentials import store as store_module
from app.credentials.credential import Credential, Login, State, Tokens
from app.credentials.lifecycle import (
    Failed,
    Health,
    OperatorDisabled,
    RefreshDead,
    RefreshUnclear,
    Succeeded,
    Throttled,
)
from app.credentials.store import LEASE_SECONDS, CredentialStore, DuplicateCredential
from app.errors import StorageUnavailable
from app.kiro.endpoints import derive_machine_id
from app.storage import db_now, reading, transaction
from app.storage.engine import engine
from app.storage.tables import CredentialRow
from tests.unit.credentials.logins import HOUR, NOON, Clock, api_key, idc, refresh_token, social

NEW = Tokens("aoa-new", "aor-new", NOON + HOUR, "arn:new")


def added(store: CredentialStore, login: Login | None = None, **values: Any) -> Credential:
    stored = store.get(store.add(login or social(), **values))
    assert stored is not None
    return stored


def now_stored(store: CredentialStore, id_: int) -> Credential:
    stored = store.get(id_)
    assert stored is not None
    return stored


def change_row(id_: int, **values: Any) -> None:
    with transaction() as session:
        session.execute(update(CredentialRow).where(CredentialRow.id == id_).values(**values))


def lease_left(id_: int) -> float | None:
    with reading() as session:
        until = session.scalar(select(CredentialRow.lease_until).where(CredentialRow.id == id_))
        return None if until is None else until - db_now(session)


def test_a_login_comes_back_as_it_was_stored(store: CredentialStore) -> None:
    login = idc("b", email="b@example.test", priority=3, proxy_url="direct", start_url="https://x.awsapps.com/start")
    stored = added(store, login, subscription_title="KIRO PRO", import_source="file#b")
    for name in ("kind", "refresh_token", "client_id", "client_secret", "email", "priority", "proxy_url", "start_url"):
        assert getattr(stored, name) == getattr(login, name)
    assert (stored.state, stored.version, stored.subscription_title) == (State.READY, 1, "KIRO PRO")
    assert (stored.import_source, stored.import_fingerprint) == ("file#b", login.fingerprint)


@pytest.mark.parametrize(
    ("login", "machine_id"),
    [
        (social(refresh_token="A" * 120), "6768444b78491b755f80eb453bfe2d87e6783f4dbd9e585dccff530f02575edb"),
        (api_key(access_token="ksk_demo"), "b70bb69ea75563b169bce5a30adc323b659bf2291772f891225be2e6655c414c"),
        (social(machine_id="00112233-4455-6677-8899-aabbccddeeff"), "00112233445566778899aabbccddeeff" * 2),
        (social(machine_id=" " + "Ab" * 32 + " "), "Ab" * 32),
        (social(machine_id="laptop"), derive_machine_id(None, refresh_token())),
    ],
)
def test_the_machine_id_is_the_given_one_or_follows_from_the_secret(
    store: CredentialStore, login: Login, machine_id: str
) -> None:
    assert added(store, login).machine_id == machine_id


def test_the_machine_id_stays_when_the_token_rotates(store: CredentialStore) -> None:
    stored = added(store)
    store.save_tokens(stored.id, 1, NEW)
    assert now_stored(store, stored.id).machine_id == stored.machine_id


def test_a_login_is_stored_once_also_after_its_token_rotated(store: CredentialStore) -> None:
    stored = added(store)
    store.save_tokens(stored.id, 1, NEW)
    for login in (social(), social(refresh_token="aor-new")):
        with pytest.raises(DuplicateCredential) as caught:
            store.add(login)
        assert caught.value.id == stored.id
    assert len(store.all()) == 1


def test_two_that_add_the_same_login_at_once_store_one(store: CredentialStore) -> None:
    outcomes: list[object] = []

    def add() -> None:
        try:
            outcomes.append(CredentialStore().add(social()))
        except DuplicateCredential as duplicate:
            outcomes.append(duplicate)

    threads = [threading.Thread(target=add) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [type(outcome) for outcome in outcomes].count(int) == 1
    assert len(store.all(fresh=True)) == 1


def test_all_is_in_order_of_priority_then_age(store: CredentialStore) -> None:
    for name, priority in (("a", 1), ("b", 0), ("c", 1)):
        store.add(social(name, priority=priority))
    assert [each.refresh_token for each in store.all()] == [refresh_token(name) for name in "bac"]


def test_all_reads_the_database_once_in_two_seconds_and_sees_its_own_changes(store: CredentialStore) -> None:
    statements: list[str] = []
    store.add(social())
    event.listen(engine(), "before_cursor_execute", lambda _c, _u, statement, *_: statements.append(statement))
    for _ in range(50):
        store.all()
    assert len([statement for statement in statements if "refresh_token" in statement]) == 1
    store.happened(1, OperatorDisabled())
    assert store.all()[0].state is State.DISABLED


def test_rows_are_read_again_only_when_one_has_changed(store: CredentialStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "MAX_AGE_SECONDS", 0.0)
    ids = [store.add(social(name)) for name in "ab"]
    before, other = store.all(), CredentialStore()
    with transaction() as session:
        session.execute(update(CredentialRow).values(success_count=7, last_used_at=1.0))
    assert store.all() is before, "what was answered changes nothing"
    changes: list[Callable[[], object]] = [
        lambda: other.happened(ids[0], OperatorDisabled()),
        lambda: other.learn(ids[0], chat_host="q"),
        lambda: other.save_usage(ids[1], {"current_usage": 3.0}),
        lambda: other.change(ids[1], {"priority": -1}),
        lambda: other.seen_in_file(ids[0], import_source="f#0", import_fingerprint="0" * 64),
        lambda: other.save_tokens(ids[1], 1, Tokens("aoa-new", None, 9e9)),
        lambda: other.add(social("c")),
        lambda: other.remove(ids[0]),
    ]
    for change in changes:
        change()
        assert store.all() is not before
        assert list(store.all()) == list(other.all(fresh=True))
        before = store.all()


def test_what_another_process_changed_is_seen_when_asked_for_afresh(store: CredentialStore) -> None:
    stored = added(store)
    store.all()
    CredentialStore().happened(stored.id, OperatorDisabled())
    assert store.all()[0].state is State.READY
    assert store.all(fresh=True)[0].state is State.DISABLED


def test_what_is_outdated_is_not_gone_on_with_while_the_database_is_away(
    store: CredentialStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise StorageUnavailable

    added(store)
    store.all()
    monkeypatch.setattr(store_module, "MAX_AGE_SECONDS", 0.0)
    with monkeypatch.context() as patch:
        patch.setattr(store_module, "reading", away)
        for _ in range(3):
            with pytest.raises(StorageUnavailable):
                store.all()
    assert len(store.all()) == 1


def test_a_happening_moves_the_stored_state_and_tells_both(store: CredentialStore) -> None:
    stored = added(store)
    assert store.happened(stored.id, Throttled(20)) == (Health(), Health(State.COOLING_DOWN, NOON + 20, "throttled", 1))
    assert Health.of(now_stored(store, stored.id)) == Health(State.COOLING_DOWN, NOON + 20, "throttled", 1)


def test_a_happening_that_changes_nothing_writes_nothing(store: CredentialStore) -> None:
    stored = added(store)
    statements: list[str] = []
    event.listen(engine(), "before_cursor_execute", lambda _c, _u, statement, *_: statements.append(statement))
    store.happened(stored.id, Succeeded())
    assert not [statement for statement in statements if statement.startswith("UPDATE")]


def test_a_happening_on_a_removed_credential_is_nobodys(store: CredentialStore) -> None:
    stored = added(store)
    assert store.remove(stored.id)
    assert not store.remove(stored.id)
    assert store.happened(stored.id, Failed("x")) is None


def test_a_claim_lasts_ninety_seconds_by_the_database_s_clock(store: CredentialStore, clock: Clock) -> None:
    stored = added(store)
    clock.now = 0.0  # a machine whose clock is wrong
    assert store.claim(stored.id, 1, "one") is not None
    left = lease_left(stored.id)
    assert left is not None
    assert LEASE_SECONDS - 5 < left <= LEASE_SECONDS


def test_only_one_of_many_gets_the_claim(store: CredentialStore) -> None:
    stored = added(store)
    got: list[object] = []

    def ask(owner: str) -> None:
        if CredentialStore().claim(stored.id, 1, owner) is not None:
            got.append(owner)

    threads = [threading.Thread(target=ask, args=(str(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(got) == 1


def test_a_claim_on_another_version_is_refused(store: CredentialStore) -> None:
    stored = added(store)
    store.save_tokens(stored.id, 1, NEW)
    assert store.claim(stored.id, 1, "late") is None
    assert store.claim(stored.id, 2, "right") is not None


def test_a_dead_holder_s_claim_runs_out_and_its_successor_is_told(store: CredentialStore) -> None:
    stored = added(store)
    assert store.claim(stored.id, 1, "dead") is not None
    assert store.claim(stored.id, 1, "next") is None
    change_row(stored.id, lease_until=1.0)
    claim = store.claim(stored.id, 1, "next")
    assert claim is not None
    assert claim.cut_off


def test_a_holder_that_is_silent_for_long_leaves_a_doubt_that_its_tokens_end(store: CredentialStore, clock: Clock) -> None:
    stored = added(store)
    assert not store.doubt_holder(stored.id, 1, 0.0), "nobody holds it"
    store.claim(stored.id, 1, "slow")
    assert not store.doubt_holder(stored.id, 1, 20.0)
    assert not store.doubt_holder(stored.id, 2, 0.0), "another generation"
    assert store.doubt_holder(stored.id, 1, 0.0)
    doubted = now_stored(store, stored.id)
    assert doubted.state is State.UNCERTAIN
    assert LEASE_SECONDS - 5 < (doubted.state_until or 0.0) - clock.now <= LEASE_SECONDS
    assert store.save_tokens(stored.id, 1, NEW), "it was only slow"
    assert now_stored(store, stored.id).state is State.READY


def test_a_claim_given_back_is_free_at_once_and_says_nothing_of_a_cut(store: CredentialStore) -> None:
    stored = added(store)
    claim = store.claim(stored.id, 1, "one")
    assert claim is not None
    assert not claim.cut_off
    store.give_back(claim)
    again = store.claim(stored.id, 1, "two")
    assert again is not None
    assert not again.cut_off


def test_a_claim_given_back_after_an_unclear_end_warns_the_next_holder(store: CredentialStore) -> None:
    stored = added(store)
    claim = store.claim(stored.id, 1, "one")
    assert claim is not None
    after = store.give_back(claim, RefreshUnclear("timed out"), consumed=True)
    assert after is not None
    assert (after.state, after.lease_until) == (State.UNCERTAIN, None)
    again = store.claim(stored.id, 1, "two")
    assert again is not None
    assert again.cut_off


def test_a_late_loser_does_not_touch_a_newer_generation(store: CredentialStore) -> None:
    stored = added(store)
    claim = store.claim(stored.id, 1, "frozen")
    assert claim is not None
    store.save_tokens(stored.id, 1, NEW)
    after = store.give_back(claim, RefreshDead())
    assert after is not None
    assert (after.state, after.version, after.access_token) == (State.READY, 2, "aoa-new")


def test_a_holder_whose_claim_was_taken_over_gives_nothing_back(store: CredentialStore) -> None:
    stored = added(store)
    frozen = store.claim(stored.id, 1, "frozen")
    change_row(stored.id, lease_until=1.0)
    store.claim(stored.id, 1, "next")
    assert frozen is not None
    store.give_back(frozen, RefreshDead())
    assert store.claim(stored.id, 1, "third") is None
    assert now_stored(store, stored.id).state is State.READY


def test_saved_tokens_are_a_new_version_without_a_claim(store: CredentialStore) -> None:
    stored = added(store)
    store.claim(stored.id, 1, "one")
    assert store.save_tokens(stored.id, 1, NEW)
    after = now_stored(store, stored.id)
    assert (after.access_token, after.refresh_token, after.expires_at) == ("aoa-new", "aor-new", NOON + HOUR)
    assert (after.profile_arn, after.version, after.lease_until, after.attempt_at) == ("arn:new", 2, None, None)


def test_a_save_compares_versions_and_the_newer_row_stays(store: CredentialStore) -> None:
    stored = added(store)
    assert store.save_tokens(stored.id, 1, NEW)
    assert not store.save_tokens(stored.id, 1, Tokens("aoa-late", "aor-late", NOON))
    assert now_stored(store, stored.id).access_token == "aoa-new"


def test_an_answer_without_refresh_token_or_arn_keeps_both(store: CredentialStore) -> None:
    stored = added(store, social(profile_arn="arn:old"))
    store.save_tokens(stored.id, 1, Tokens("aoa-new", None, NOON + HOUR))
    after = now_stored(store, stored.id)
    assert (after.refresh_token, after.profile_arn) == (refresh_token(), "arn:old")


def test_saved_tokens_end_the_doubt(store: CredentialStore) -> None:
    stored = added(store)
    store.happened(stored.id, RefreshUnclear("cut off"))
    store.save_tokens(stored.id, 1, NEW)
    assert now_stored(store, stored.id).state is State.READY


def test_a_new_sign_in_replaces_the_whole_token_set_and_takes_the_claim_away(store: CredentialStore) -> None:
    before = added(store, idc("old", access_token="aoa-old", expires_at=NOON + HOUR, priority=5, machine_id="ab" * 32))
    store.happened(before.id, RefreshDead())
    store.claim(before.id, 1, "one")
    assert store.sign_in_again(now_stored(store, before.id), idc("new"))
    after = now_stored(store, before.id)
    assert (after.refresh_token, after.client_id, after.client_secret) == (refresh_token("new"), "cid-new", "csec-new")
    assert (after.access_token, after.expires_at, after.lease_until) == (None, None, None)
    assert (after.state, after.version, after.priority, after.machine_id) == (State.READY, 2, 5, "ab" * 32)
    assert not store.save_tokens(before.id, 1, NEW)


def test_a_new_sign_in_keeps_the_profile_of_its_directory_and_drops_that_of_another(store: CredentialStore) -> None:
    first = added(store, idc("one", start_url="https://x.awsapps.com/start", profile_arn="arn:x"))
    store.sign_in_again(first, idc("two", start_url="https://x.awsapps.com/start"))
    again = now_stored(store, first.id)
    assert again.profile_arn == "arn:x"
    store.sign_in_again(again, social("three"))
    assert now_stored(store, first.id).profile_arn is None


def test_a_new_sign_in_that_is_another_credential_already_is_refused(store: CredentialStore) -> None:
    first, second = added(store, social("one")), added(store, social("two"))
    with pytest.raises(DuplicateCredential) as caught:
        store.sign_in_again(first, social("two"))
    assert caught.value.id == second.id


def test_of_two_sign_ins_at_once_the_slower_changes_nothing(store: CredentialStore) -> None:
    read = added(store)
    assert store.sign_in_again(read, social("one"))
    assert not store.sign_in_again(read, social("two"))
    assert now_stored(store, read.id).refresh_token == refresh_token("one")


def test_a_place_of_a_file_stands_for_one_credential(store: CredentialStore) -> None:
    first = added(store, social("one"), import_source="file#0")
    second = added(store, social("two"), import_source="file#0")
    assert now_stored(store, first.id).import_source is None
    store.seen_in_file(first.id, import_source="file#0", import_fingerprint="f" * 64)
    assert now_stored(store, first.id).import_source == "file#0"
    assert now_stored(store, second.id).import_source is None


# -- models --


def test_models_are_described_once_for_everybody(store: CredentialStore) -> None:
    first, second = added(store, social("a")), added(store, social("b"))
    assert first.models is None
    store.save_models(first.id, {"auto": {"id": "auto"}, "glm-5": {"id": "glm-5", "rate": 0.5}}, NOON)
    store.save_models(second.id, {"glm-5": {"id": "glm-5", "rate": 0.6}}, NOON + 1)
    assert [each.models for each in store.all()] == [{"auto", "glm-5"}, {"glm-5"}]
    assert [each.models_at for each in store.all()] == [NOON, NOON + 1]
    assert store.models() == {"auto": {"id": "auto"}, "glm-5": {"id": "glm-5", "rate": 0.6}}
    store.save_models(99, {"new": {}}, NOON)
    assert "new" not in store.models(), "a login that is gone leaves nothing behind"


def test_who_signs_in_again_is_asked_for_its_models_anew(store: CredentialStore) -> None:
    before = added(store, social("a"))
    store.save_models(before.id, {"auto": {}}, NOON)
    assert store.sign_in_again(before, social("b"))
    (after,) = store.all()
    assert (after.models, after.models_at) == ({"auto"}, None)
