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
from app.credentials.importers import Entry, import_entries, read_file, sync_file
from app.credentials.lifecycle import OperatorDisabled, RefreshDead
from app.credentials.store import CredentialStore
from app.storage import transaction
from app.storage.tables import CredentialRow
from tests.unit.credentials.logins import HOUR, NOON, api_key, refresh_token

BUILDER_ID_HASH = "e909a0580879b06ece1202964fbe9dda95ea4ce3"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kiro-auth-token.json"


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content))
    return path


def social_entry(name: str, **values: Any) -> dict[str, Any]:
    return {"refreshToken": refresh_token(name), "authMethod": "social", **values}


def only(path: Path) -> Entry:
    (entry,) = read_file(path)
    return entry


def sync(path: Path, content: Any, store: CredentialStore) -> list[tuple[str, int | None]]:
    return [(verdict.outcome, verdict.id) for verdict in sync_file(write(path, content), store)]


def stored(store: CredentialStore) -> dict[int, Credential]:
    return {each.id: each for each in store.all(fresh=True)}


# -- forms --


def test_a_social_token_file_of_the_ide_is_read(file: Path) -> None:
    login = only(
        write(
            file,
            {
                "accessToken": "aoa-1",
                "refreshToken": refresh_token(),
                "expiresAt": "2026-02-01T10:00:00.000Z",
                "authMethod": "social",
                "provider": "Google",
                "profileArn": "arn:1",
                "region": "us-east-1",
            },
        )
    ).login
    assert login is not None
    assert (login.kind, login.provider, login.profile_arn, login.auth_region) == ("social", "Google", "arn:1", "us-east-1")
    assert (login.access_token, login.expires_at) == ("aoa-1", 1769940000.0)


@pytest.mark.parametrize(
    ("entry", "registration"),
    [
        ({"clientIdHash": "0123abcd"}, "0123abcd"),
        ({"client_id_hash": "0123abcd"}, "0123abcd"),
        ({}, BUILDER_ID_HASH),
        ({"startUrl": "https://view.awsapps.com/start"}, BUILDER_ID_HASH),
        ({"clientIdHash": "../../0123abcd"}, "0123abcd"),
    ],
)
def test_an_idc_token_file_is_joined_with_the_registration_beside_it(
    file: Path, entry: dict[str, str], registration: str
) -> None:
    known = {"clientId": "cid", "clientSecret": "csec", "expiresAt": "2026-02-01T10:00:00Z"}
    write(file.with_name(f"{registration}.json"), known)
    login = only(write(file, {"refreshToken": refresh_token(), "authMethod": "IdC", "region": "eu-west-1", **entry})).login
    assert login is not None
    assert (login.kind, login.client_id, login.client_secret, login.auth_region) == ("idc", "cid", "csec", "eu-west-1")
    assert login.client_secret_expires_at == 1769940000.0


@pytest.mark.parametrize("content", [None, "not json", "[1]"])
def test_an_idc_token_file_without_its_registration_says_where_that_is(file: Path, content: str | None) -> None:
    if content is not None:
        file.with_name(f"{BUILDER_ID_HASH}.json").write_text(content)
    entry = only(write(file, {"refreshToken": refresh_token(), "authMethod": "IdC"}))
    assert "clientIdHash" in (entry.problem or "")


def test_a_kiro_rs_entry_is_read_in_full(file: Path) -> None:
    entry = only(
        write(
            file,
            {
                "id": 4,
                "refresh_token": f' "{refresh_token()}" ',
                "auth_method": "builder-id",
                "client_id": "cid",
                "client_secret": "csec",
                "priority": 2,
                "region": "us-east-1",
                "auth_region": "eu-west-1",
                "api_region": "eu-central-1",
                "machine_id": "ab" * 32,
                "email": "a@example.test",
                "subscription_title": "KIRO PRO",
                "proxy_url": "http://proxy:8080",
                "proxy_username": "me",
                "proxy_password": "p@ss",
                "disabled": True,
            },
        )
    )
    login = entry.login
    assert login is not None
    assert (login.kind, login.refresh_token, login.priority) == ("idc", refresh_token(), 2)
    assert (login.auth_region, login.api_region, login.machine_id) == ("eu-west-1", "eu-central-1", "ab" * 32)
    assert login.proxy_url == "http://me:p%40ss@proxy:8080"
    assert (entry.disabled, entry.plan) == (True, "KIRO PRO")


@pytest.mark.parametrize(
    ("entry", "kind"),
    [
        ({"kiroApiKey": "ksk_demo"}, "api_key"),
        ({"kiro_api_key": "ksk_demo", "authMethod": "apikey"}, "api_key"),
        ({"refreshToken": refresh_token()}, "social"),
        ({"refreshToken": refresh_token(), "clientId": "c", "clientSecret": "s"}, "idc"),
        ({"refreshToken": refresh_token(), "clientId": "c", "clientSecret": "s", "authMethod": "iam"}, "idc"),
        ({"refreshToken": refresh_token(), "clientId": "c", "clientSecret": "s", "auth": "IdC"}, "idc"),
        ({"refreshToken": refresh_token(), "auth": "Social"}, "social"),
    ],
)
def test_the_kind_is_what_the_entry_says_or_what_it_holds(file: Path, entry: dict[str, str], kind: str) -> None:
    login = only(write(file, entry)).login
    assert login is not None
    assert login.kind == kind


def test_a_file_with_a_byte_order_mark_is_read(file: Path) -> None:
    file.write_bytes(b"\xef\xbb\xbf" + json.dumps(social_entry("a")).encode())
    assert only(file).login is not None


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        (5, "no JSON object"),
        ({}, "refresh token is missing"),
        ({"refreshToken": "aorAAA...ZZZ"}, "shortened"),
        ({"refreshToken": "aor\nAAA"}, "line break"),
        ({"refreshToken": refresh_token(), "authMethod": "external_idp"}, "not supported"),
        ({"refreshToken": refresh_token(), "region": "evil.example/?"}, "AWS region"),
    ],
)
def test_an_entry_that_cannot_be_used_says_what_it_lacks(file: Path, entry: Any, says: str) -> None:
    assert says in (only(write(file, [entry])).problem or "")


json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**64 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = (
    "refreshToken refresh_token accessToken authMethod expiresAt region priority kiroApiKey email clientId clientSecret "
    "clientIdHash startUrl proxyUrl proxyUsername machineId disabled"
)
odd = st.dictionaries(
    st.sampled_from(NAMES.split()), json_values | st.just("A" * 120) | st.sampled_from(["idc", "social", "ksk_x"])
)


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


# -- again --


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
