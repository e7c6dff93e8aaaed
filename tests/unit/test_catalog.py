"""The live catalogue: who is asked and when, what is stored, and what is in force. Source: protocol 1.12."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy.exc import IntegrityError

from app.catalog import EVERY_SECONDS, MAX_AGE_SECONDS, Catalog, ModelPoller, together
from app.credentials.credential import Credential, State
from app.credentials.lifecycle import OperatorDisabled
from app.credentials.rounds import FAILED_SECONDS
from app.credentials.store import CredentialStore
from app.errors import AccountSuspended, ModelNotFound, StorageUnavailable, UpstreamError, UpstreamUnavailable
from app.kiro.rest_calls import RestForm
from app.storage import db_now, transaction
from app.storage.tables import ClaimRow
from app.translate.models import BUILT_IN, resolve
from app.upstream.account import Found
from config import Config
from tests.unit.credentials.logins import NOON, Clock, credential, social

FORM = RestForm("modern", True, "us-east-1")
FREE = ("claude-sonnet-4.5", "auto")
PRO = (*FREE, "claude-opus-5.5")


class Kiro:
    """Lists models. listed: the ids for everybody; errors: raised for the credential of that id instead."""

    def __init__(self) -> None:
        self.listed: tuple[str, ...] = PRO
        self.fields: dict[str, Any] = {"tokenLimits": {"maxInputTokens": 500_000, "maxOutputTokens": 32_000}}
        self.errors: dict[int, Exception] = {}
        self.asked: list[int] = []

    def models(self, credential: Credential) -> Found[tuple[dict[str, Any], ...]]:
        assert credential.access_token == f"fresh-{credential.id}"
        self.asked.append(credential.id)
        if credential.id in self.errors:
            raise self.errors[credential.id]
        return Found(tuple({"modelId": id_, **self.fields} for id_ in self.listed), FORM)

    def asked_since(self) -> list[int]:
        asked, self.asked = self.asked, []
        return asked


class Ticks(Clock):
    """Monotonic seconds on which everything read is too old at the next look."""

    def __call__(self) -> float:
        self.now += MAX_AGE_SECONDS
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(either_database: Config, clock: Clock) -> CredentialStore:
    return CredentialStore(clock)


@pytest.fixture
def kiro() -> Kiro:
    return Kiro()


@pytest.fixture
def poller(store: CredentialStore, kiro: Kiro, clock: Clock) -> ModelPoller:
    return new_poller(store, kiro, clock)


def new_poller(store: CredentialStore, kiro: Kiro, clock: Clock) -> ModelPoller:
    def fresh(credential: Credential) -> Credential:
        return replace(credential, access_token=f"fresh-{credential.id}")

    return ModelPoller(store, kiro, fresh=fresh, happened=store.happened, clock=clock)


def new_catalog(store: CredentialStore) -> Catalog:
    return Catalog(store, lambda: ("", False), Ticks())


def stored(store: CredentialStore, id_: int = 1) -> Credential:
    found = store.get(id_)
    assert found is not None
    return found


def ids(catalog: Catalog) -> set[str]:
    return {model.id for model in catalog.current()}


# -- who is asked, and when --


def test_everyone_is_asked_at_the_start_every_hour_and_when_new(
    store: CredentialStore, poller: ModelPoller, kiro: Kiro, clock: Clock
) -> None:
    store.add(social("a"))
    store.add(social("b"))
    poller.look_round()
    assert kiro.asked_since() == [1, 2]
    clock.now += EVERY_SECONDS - 1
    store.add(social("c"))
    poller.look_round()
    assert kiro.asked_since() == [3]
    clock.now += 1
    poller.look_round()
    assert kiro.asked_since() == [1, 2]


def test_a_restart_and_another_machine_ask_nobody(
    store: CredentialStore, poller: ModelPoller, kiro: Kiro, clock: Clock
) -> None:
    store.add(social("a"))
    poller.look_round()
    elsewhere = CredentialStore(clock)
    new_poller(elsewhere, kiro, clock).look_round()
    assert kiro.asked == [1]
    assert ids(new_catalog(elsewhere)) == set(PRO)


def test_what_is_seen_is_stored_with_the_form_that_worked(store: CredentialStore, poller: ModelPoller) -> None:
    store.add(social("a"))
    poller.look_round()
    seen = stored(store)
    assert (seen.models, seen.models_at, seen.learned) == (set(PRO), NOON, {"rest": "modern+arn@us-east-1"})


@pytest.mark.parametrize("error", [UpstreamUnavailable("away"), UpstreamError("odd")])
def test_a_look_that_fails_leaves_what_is_known_and_is_not_repeated_at_once(
    store: CredentialStore, poller: ModelPoller, kiro: Kiro, clock: Clock, error: Exception
) -> None:
    store.add(social("a"))
    poller.look_round()
    clock.now += EVERY_SECONDS
    kiro.errors[1] = error
    poller.look_round()
    poller.look_round()
    assert kiro.asked == [1, 1]
    assert stored(store).models == set(PRO)
    with transaction() as session:
        until = session.get_one(ClaimRow, "models/1").until or 0.0
        assert until - db_now(session) == pytest.approx(FAILED_SECONDS, abs=5)


def test_a_list_of_nothing_is_not_believed(store: CredentialStore, poller: ModelPoller, kiro: Kiro) -> None:
    store.add(social("a"))
    kiro.listed = ()
    poller.look_round()
    assert stored(store).models is None
    with pytest.raises(UpstreamError, match="lists no model"):
        poller.look(stored(store))


def test_a_suspension_is_seen_here_too(store: CredentialStore, poller: ModelPoller, kiro: Kiro) -> None:
    store.add(social("a"))
    kiro.errors[1] = AccountSuspended("locked")
    poller.look_round()
    assert stored(store).state is State.SUSPENDED


def test_two_machines_that_meet_a_new_model_at_once_both_store_it(
    store: CredentialStore, poller: ModelPoller, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(social("a"))
    save, refusals = store.save_models, iter([IntegrityError("insert", {}, Exception("twice"))])

    def save_models(*values: Any) -> None:
        for refusal in refusals:
            raise refusal
        save(*values)

    monkeypatch.setattr(store, "save_models", save_models)
    poller.look(stored(store))
    assert stored(store).models == set(PRO)


# -- what is in force --


def test_before_anybody_was_asked_it_is_what_is_built_in(store: CredentialStore) -> None:
    catalog = new_catalog(store)
    assert list(catalog.current()) == list(BUILT_IN)
    store.add(social("a"))
    assert list(catalog.current()) == list(BUILT_IN)


def test_the_live_list_takes_the_place_of_what_is_built_in(store: CredentialStore, poller: ModelPoller) -> None:
    store.add(social("a"))
    catalog = new_catalog(store)
    assert "glm-5" in ids(catalog)
    poller.look_round()
    assert ids(catalog) == set(PRO)
    sonnet = resolve("claude-sonnet-4-5", catalog.current())
    assert (sonnet.context_tokens, sonnet.max_output_tokens) == (500_000, 64_000)
    with pytest.raises(ModelNotFound):
        resolve("glm-5", catalog.current())


def test_models_of_all_logins_count_together_and_of_a_disabled_one_not(
    store: CredentialStore, poller: ModelPoller, kiro: Kiro
) -> None:
    store.add(social("a"))
    poller.look_round()
    store.add(social("b"))
    kiro.listed = FREE
    poller.look_round()
    catalog = new_catalog(store)
    assert ids(catalog) == set(PRO)
    store.happened(1, OperatorDisabled())
    assert ids(catalog) == set(FREE)


def test_while_one_login_was_not_seen_what_is_built_in_counts_as_well() -> None:
    seen = credential(1, models=frozenset(FREE))
    assert {model.id for model in together([seen], {})} == set(FREE)
    unseen = credential(2)
    assert {model.id for model in together([seen, unseen], {})} == {model.id for model in BUILT_IN}
    for cannot_be_asked in (replace(unseen, state=State.REJECTED), replace(unseen, state=State.DISABLED)):
        assert {model.id for model in together([seen, cannot_be_asked], {})} == set(FREE)


@pytest.fixture
def statements() -> Iterator[list[str]]:
    from sqlalchemy import event

    from app.storage.engine import engine

    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: object) -> None:
        seen.append(statement)

    event.listen(engine(), "before_cursor_execute", note)
    yield seen
    event.remove(engine(), "before_cursor_execute", note)


def test_a_request_asks_the_database_nothing(store: CredentialStore, poller: ModelPoller, statements: list[str]) -> None:
    store.add(social("a"))
    poller.look_round()
    catalog = Catalog(store, lambda: ("", False))
    first = catalog.current()
    statements.clear()
    assert all(catalog.current() is first for _ in range(100))
    assert statements == []


def test_what_models_are_is_read_again_only_when_somebody_has_others(
    store: CredentialStore, poller: ModelPoller, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(social("a"))
    poller.look_round()
    catalog = new_catalog(store)
    first = catalog.current()
    monkeypatch.setattr(store, "models", lambda: pytest.fail("there was nothing new to read"))
    store.learn(1, chat_host="runtime")
    assert catalog.current() is first


def test_a_database_that_is_away_leaves_the_last_catalogue_in_force(
    store: CredentialStore, poller: ModelPoller, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.add(social("a"))
    poller.look_round()
    catalog, unread = new_catalog(store), new_catalog(store)
    first = catalog.current()

    def away(**_: Any) -> Any:
        raise StorageUnavailable

    monkeypatch.setattr(store, "all", away)
    assert catalog.current() is first
    assert list(unread.current()) == list(BUILT_IN)


def test_an_operator_s_words_are_in_force_at_once(store: CredentialStore) -> None:
    said = ("", False)
    catalog = Catalog(store, lambda: said, Clock())
    with pytest.raises(ModelNotFound):
        resolve("fast", catalog.current())
    said = ("fast=haiku", True)
    assert resolve("fast", catalog.current()).used == "claude-haiku-4.5"
    assert resolve("other", catalog.current()).used == "other"
