from __future__ import annotations

import json
import logging
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import delete

from app.credentials.credential import Credential, State, Tokens
from app.credentials.importers import Import, import_entries, read_file, read_text, sync_file
from app.credentials.importers.apply import REGISTRATION_OVER
from app.credentials.lifecycle import OperatorDisabled, RefreshDead
from app.credentials.store import CredentialStore
from app.kiro.endpoints import derive_machine_id
from app.storage import transaction
from app.storage.tables import CredentialRow
from tests.unit.credentials.importers.exports import TENANT, account, account_manager, ide_external_idp
from tests.unit.credentials.importers.oddities import json_values, odd
from tests.unit.credentials.logins import HOUR, NOON, Clock, api_key, refresh_token


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kiro-auth-token.json"


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def social_entry(name: str, **values: Any) -> dict[str, Any]:
    return {"refreshToken": refresh_token(name), "authMethod": "social", **values}


def sync(path: Path, content: Any, store: CredentialStore) -> list[tuple[str, int | None]]:
    return [(verdict.outcome, verdict.id) for verdict in sync_file(write(path, content), store)]


def stored(store: CredentialStore) -> dict[int, Credential]:
    return {each.id: each for each in store.all(fresh=True)}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(st.lists(json_values | odd, max_size=4), st.integers(0, 4))
def test_whatever_stands_beside_it_a_good_entry_is_taken_over(store: CredentialStore, file: Path, beside: Any, at: int) -> None:
    with transaction() as session:
        session.execute(delete(CredentialRow))
    entries = [*beside[:at], social_entry("good"), *beside[at:]]
    sync_file(write(file, entries), store)
    assert refresh_token("good") in [each.refresh_token for each in store.all(fresh=True)]


# -- once --


def test_each_entry_is_taken_over_once(store: CredentialStore, file: Path) -> None:
    content = [social_entry("a"), {"kiroApiKey": "ksk_" + "k" * 40}]
    assert sync(file, content, store) == [("new", 1), ("new", 2)]
    assert sync(file, content, CredentialStore()) == [("known", 1), ("known", 2)]
    assert stored(store)[2].access_token == "ksk_" + "k" * 40


def test_an_entry_is_known_after_its_tokens_rotated_here(store: CredentialStore, file: Path) -> None:
    sync(file, [social_entry("a")], store)
    store.save_tokens(1, 1, Tokens("aoa-1", refresh_token("rotated"), NOON + HOUR))
    assert sync(file, [social_entry("a")], store) == [("known", 1)]
    assert stored(store)[1].refresh_token == refresh_token("rotated")


def test_an_entry_that_stands_twice_is_one_credential(store: CredentialStore, file: Path) -> None:
    assert sync(file, [social_entry("a"), social_entry("a")], store) == [("new", 1), ("known", 1)]


def test_workers_that_start_at_once_import_once(store: CredentialStore, file: Path) -> None:
    write(file, [social_entry(name) for name in "abc"])
    threads = [threading.Thread(target=sync_file, args=(file, CredentialStore())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(each.refresh_token or "" for each in store.all(fresh=True)) == [refresh_token(name) for name in "abc"]


def test_workers_that_start_at_once_replace_once(store: CredentialStore, file: Path) -> None:
    sync(file, [social_entry("a")], store)
    write(file, [social_entry("b")])
    threads = [threading.Thread(target=sync_file, args=(file, CredentialStore())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [(each.refresh_token, each.version) for each in store.all(fresh=True)] == [(refresh_token("b"), 2)]


def test_the_file_is_never_written(store: CredentialStore, file: Path) -> None:
    write(file, [social_entry("a")])
    file.chmod(0o400)
    before = file.read_bytes(), file.stat().st_mtime_ns
    sync_file(file, store)
    store.save_tokens(1, 1, Tokens("aoa-1", refresh_token("rotated"), NOON + HOUR))
    assert (file.read_bytes(), file.stat().st_mtime_ns) == before


def test_an_entry_disabled_in_the_file_is_stored_disabled(store: CredentialStore, file: Path) -> None:
    sync(file, [social_entry("a", disabled=True)], store)
    assert stored(store)[1].state is State.DISABLED


@pytest.mark.parametrize("status", ["error", "suspended"])
def test_an_account_that_is_out_of_use_is_stored_disabled_and_said_so(store: CredentialStore, file: Path, status: str) -> None:
    (verdict,) = sync_file(write(file, account_manager(account(status=status))), store)
    assert (verdict.outcome, stored(store)[1].state) == ("new", State.DISABLED)
    assert f"comes in disabled ({status} in the file it came from)" in (verdict.note or "")
    assert stored(store)[1].state_reason == f"{status} in the file it came from"


@pytest.mark.parametrize(("expires_at", "kept"), [(NOON - 1, False), (NOON + 30, False), (NOON + HOUR, True), (None, True)])
def test_an_access_token_that_is_over_is_not_kept(
    store: CredentialStore, file: Path, clock: Clock, expires_at: float | None, kept: bool
) -> None:
    write(file, social_entry("a", accessToken="aoa-1", expiresAt=expires_at))
    Import(store, clock=clock).take(read_file(file), str(file))
    assert stored(store)[1].access_token == ("aoa-1" if kept else None)
    assert stored(store)[1].refresh_token == refresh_token("a")


def test_a_registration_that_has_run_out_is_said(store: CredentialStore, file: Path, clock: Clock) -> None:
    registered = {"clientId": "c", "clientSecret": "s", "clientSecretExpiresAt": NOON - 1}
    (verdict,) = Import(store, clock=clock).take(
        read_file(write(file, social_entry("a", **registered, authMethod="idc"))), None
    )
    assert (verdict.outcome, verdict.note) == ("new", REGISTRATION_OVER)


def test_a_machine_id_is_kept_when_it_is_one(store: CredentialStore, file: Path) -> None:
    sync(file, [social_entry("a", machineId="AB" * 16), social_entry("b", machineId="not one")], store)
    assert stored(store)[1].machine_id == "AB" * 32
    assert stored(store)[2].machine_id == derive_machine_id(None, refresh_token("b"))


def test_a_login_of_an_external_provider_is_stored_in_full(store: CredentialStore, file: Path) -> None:
    sync(file, [ide_external_idp()], store)
    login = stored(store)[1]
    assert (login.kind, login.token_endpoint, login.issuer_url) == (
        "external_idp",
        f"{TENANT}/oauth2/v2.0/token",
        f"{TENANT}/v2.0",
    )
    assert (login.scopes, login.client_id) == (ide_external_idp()["scopes"], "cid-a")


# -- what was pasted --


def test_what_was_pasted_replaces_nothing(store: CredentialStore) -> None:
    for name in "ab":
        import_entries(read_text(refresh_token(name)), store, source=None)
    (verdict,) = import_entries(read_text(refresh_token("a")), store, source=None)
    assert (verdict.outcome, verdict.id) == ("known", 1)
    assert [each.refresh_token for each in stored(store).values()] == [refresh_token("a"), refresh_token("b")]


def test_what_was_pasted_leaves_a_login_at_its_place_in_a_file(store: CredentialStore, file: Path) -> None:
    sync(file, [social_entry("a")], store)
    import_entries(read_text(refresh_token("a")), store, source=None)
    assert sync(file, [social_entry("b")], store) == [("replaced", 1)]


# -- again --


def test_a_changed_entry_that_is_out_of_use_stays_so(store: CredentialStore, file: Path) -> None:
    sync(file, [social_entry("old")], store)
    assert sync(file, [social_entry("new", disabled=True)], store) == [("replaced", 1)]
    assert (stored(store)[1].refresh_token, stored(store)[1].state) == (refresh_token("new"), State.DISABLED)


@pytest.mark.parametrize("who", [{}, {"email": "a@example.test"}])
def test_a_changed_entry_replaces_the_whole_token_set_and_is_ready(
    store: CredentialStore, file: Path, who: dict[str, str]
) -> None:
    registered = {"authMethod": "idc", "clientId": "cid-old", "clientSecret": "csec-old"}
    sync(file, [social_entry("old", **registered, **who)], store)
    store.happened(1, RefreshDead())
    again = {"authMethod": "idc", "clientId": "cid-new", "clientSecret": "csec-new"}
    assert sync(file, [social_entry("new", **again, **who)], store) == [("replaced", 1)]
    after = stored(store)[1]
    assert (after.refresh_token, after.client_id, after.client_secret) == (refresh_token("new"), "cid-new", "csec-new")
    assert (after.state, after.version) == (State.READY, 2)
    assert sync(file, [social_entry("new", **again, **who)], store) == [("known", 1)]


def test_a_changed_api_key_replaces_the_old_one(store: CredentialStore, file: Path) -> None:
    sync(file, [{"kiroApiKey": api_key("old").secret}], store)
    assert sync(file, [{"kiroApiKey": api_key("new").secret}], store) == [("replaced", 1)]
    assert stored(store)[1].access_token == api_key("new").secret


def test_a_new_token_does_not_enable_what_the_operator_disabled(store: CredentialStore, file: Path) -> None:
    sync(file, [social_entry("old")], store)
    store.happened(1, OperatorDisabled())
    sync(file, [social_entry("new")], store)
    assert stored(store)[1].state is State.DISABLED


@pytest.mark.parametrize("who", [lambda _name: {}, lambda name: {"email": f"{name}@example.test"}])
def test_an_entry_set_before_others_takes_nothing_from_them(store: CredentialStore, file: Path, who: Any) -> None:
    a, b, x = (social_entry(name, **who(name)) for name in "abx")
    sync(file, [a, b], store)
    assert sync(file, [x, a, b], store) == [("new", 3), ("known", 1), ("known", 2)]
    assert [stored(store)[id_].refresh_token for id_ in (1, 2, 3)] == [refresh_token(name) for name in "abx"]


def test_entries_that_moved_are_found_at_their_new_place(store: CredentialStore, file: Path) -> None:
    a, b = social_entry("a"), social_entry("b")
    sync(file, [a, b], store)
    sync(file, [b, a], store)
    assert sync(file, [social_entry("b2"), a], store) == [("replaced", 2), ("known", 1)]


def test_an_entry_that_moved_up_after_another_left_is_the_one_that_is_replaced(store: CredentialStore, file: Path) -> None:
    sync(file, [social_entry("a"), social_entry("b")], store)
    sync(file, [social_entry("b")], store)
    assert sync(file, [social_entry("b2")], store) == [("replaced", 2)]
    assert stored(store)[1].refresh_token == refresh_token("a")


def test_two_logins_with_one_e_mail_stay_two(store: CredentialStore, file: Path) -> None:
    mail = {"email": "me@example.test"}
    google, github = social_entry("google", **mail), social_entry("github", **mail)
    assert sync(file, [google, github], store) == [("new", 1), ("new", 2)]
    assert sync(file, [social_entry("google2", **mail), github], store) == [("replaced", 1), ("known", 2)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("abcdef"), st.integers(1, 2), st.booleans()), max_size=5, unique_by=lambda e: e[:2]),
        min_size=2,
        max_size=4,
    )
)
def test_however_a_file_changes_every_login_in_it_is_stored_with_its_own_token(
    store: CredentialStore, file: Path, versions: list[list[tuple[str, int, bool]]]
) -> None:
    with transaction() as session:
        session.execute(delete(CredentialRow))
    for version in versions:
        content = [social_entry(f"{n}{v}", **({"email": f"{n}@example.test"} if mail else {})) for n, v, mail in version]
        sync(file, content, store)
        tokens = [each.refresh_token for each in store.all(fresh=True)]
        assert {entry["refreshToken"] for entry in content} <= set(tokens)
        assert len(tokens) == len(set(tokens))


# -- at a start --


@pytest.mark.parametrize("content", ["", "not json", '{"refreshToken": '])
def test_a_file_that_is_no_json_is_logged_and_lets_the_gateway_start(
    store: CredentialStore, file: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    file.write_text(content)
    assert sync_file(file, store) == []
    assert "KIRO_CREDENTIALS_FILE" in caplog.text


def test_a_file_that_is_away_is_logged(store: CredentialStore, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert sync_file(file, store) == []
    assert "cannot be read" in caplog.text


def test_the_log_says_what_to_do_with_a_bad_entry_and_shows_no_token(
    store: CredentialStore, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "app"):
        sync(file, [social_entry("a"), {"refreshToken": "aorSECRET...", "authMethod": "social"}], store)
    assert "entry 2 of kiro-auth-token.json is left out: The refresh token was shortened" in caplog.text
    assert "aor" not in caplog.text
    assert len(stored(store)) == 1


def test_a_dry_run_says_what_would_happen_and_stores_nothing(store: CredentialStore, file: Path) -> None:
    sync(file, [social_entry("a"), social_entry("b")], store)
    entries = read_file(write(file, [social_entry("a2"), social_entry("b"), social_entry("c")]))
    verdicts = import_entries(entries, store, source=str(file.absolute()), dry_run=True)
    assert [(verdict.outcome, verdict.id) for verdict in verdicts] == [("replaced", 1), ("known", 2), ("new", None)]
    assert [each.refresh_token for each in store.all(fresh=True)] == [refresh_token("a"), refresh_token("b")]


@pytest.mark.parametrize("dry_run", [True, False])
def test_a_login_that_stands_twice_is_said_to_be_the_same_as_which(store: CredentialStore, file: Path, dry_run: bool) -> None:
    entries = read_file(write(file, [social_entry("a"), social_entry("b"), social_entry("a")]))
    imports = Import(store, dry_run=dry_run)
    first, _, third = imports.take(entries, str(file))
    assert (first.outcome, third.outcome, third.same_as, third.id) == ("new", "known", 0, first.id)
    assert third.note == "it is the same login as entry 1"
    (elsewhere,) = imports.take(read_text(refresh_token("b")), None)
    assert (elsewhere.outcome, elsewhere.same_as) == ("known", None)
    assert elsewhere.note == "it is the same login as entry 2 of kiro-auth-token.json"


def test_no_verdict_shows_a_secret(store: CredentialStore, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    secrets = {
        name: f"{name}-" + "z" * 120 for name in ("accessToken", "refreshToken", "clientSecret", "kiroApiKey", "proxyPassword")
    }
    beside: list[dict[str, Any]] = [
        {},
        {"authMethod": "idc", "clientId": "c"},
        {"authMethod": "nonsense"},
        {"authMethod": "api_key", "region": "mars"},
        {"expiresAt": 0, "clientId": "c", "proxyUrl": "http://proxy:1", "proxyUsername": "me"},
        {"proxyUrl": "ftp://proxy", "proxyUsername": "me"},
        ide_external_idp(tokenEndpoint="https://evil.example/token"),
        {"status": "error", "refreshToken": secrets["refreshToken"] + "..."},
        {"refreshToken": secrets["refreshToken"] + "\n"},
        {"refreshToken": secrets["refreshToken"] + "\nx"},
    ]
    entries = [{**secrets, **values} for values in beside]
    with caplog.at_level(logging.DEBUG, "app"):
        verdicts = [*sync_file(write(file, entries), store), *sync_file(write(file, [*entries, entries[0]]), store)]
    assert {verdict.outcome for verdict in verdicts} == {"new", "known", "problem"}
    for shown in (repr(verdicts), caplog.text):
        assert not any("z" * 20 in line for line in shown.splitlines())
