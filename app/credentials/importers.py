"""Logins as people have them on disk, and the file that is read at each start.

In: the JSON of a Kiro IDE token file (its client registration stands beside it) or of kiro.rs, one entry or many, in camelCase
or snake_case. Out: a verdict per entry; one that cannot be used never keeps the others out. Files are never written.

An entry is known by the SHA-256 of the secret it was imported with, so that it is not imported again after its tokens rotated
here. An entry that is not known stands for the credential that was imported from the same place of the file (its e-mail, else
its position) and replaces that one's tokens, unless that one is still in the file, elsewhere: then the entry is a new login.
Source: protocol 9.1, 9.3.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import orjson

from app.credentials.credential import Credential, InvalidLogin, Login, State, check, epoch_seconds, remarks
from app.credentials.lifecycle import Health
from app.credentials.store import CredentialStore, DuplicateCredential, find_login
from app.errors import GatewayError
from app.kiro.endpoints import DEFAULT_REGION

log = logging.getLogger(__name__)

# The start page of Builder ID, which a token file that names no registration was signed in with.
BUILDER_ID_START_URL = "https://view.awsapps.com/start"
KIND_OF = {
    "social": "social",
    "idc": "idc",
    "builder-id": "idc",
    "builderid": "idc",
    "iam": "idc",
    "api_key": "api_key",
    "apikey": "api_key",
}
TEXT_FIELDS = {
    "provider": "provider",
    "email": "email",
    "accessToken": "access_token",
    "refreshToken": "refresh_token",
    "clientId": "client_id",
    "clientSecret": "client_secret",
    "startUrl": "start_url",
    "profileArn": "profile_arn",
    "apiRegion": "api_region",
    "machineId": "machine_id",
    "label": "label",
}
LARGEST_PRIORITY = 1_000_000


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a file: the login in it, or the problem that keeps it out. index: its position, from 0."""

    index: int
    login: Login | None
    problem: str | None = None
    disabled: bool = False
    plan: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one entry.

    outcome: new, known, replaced or problem; with a dry run what it would be. id: the credential, None when there is none.
    note: the problem, or what is odd about a login that may work all the same.
    """

    index: int
    login: Login | None
    id: int | None
    outcome: str
    note: str | None = None


def read_file(path: Path) -> list[Entry]:
    """The entries of a file, IDE token files joined with their client registration. Raises InvalidLogin for the whole file."""
    try:
        parsed = orjson.loads(path.read_bytes().removeprefix(b"\xef\xbb\xbf"))
    except OSError as error:
        raise InvalidLogin(f"{path.name} cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise InvalidLogin(f"{path.name} is not JSON: {error}") from None
    entries = parsed if isinstance(parsed, list) else [parsed]
    return [_read_entry(index, entry, path.parent) for index, entry in enumerate(entries)]


def parse_login(entry: dict[str, Any]) -> Login:
    """One entry, in camelCase, as a login. Raises InvalidLogin naming what is missing."""
    values: dict[str, Any] = {field: _clean(name, entry.get(name)) for name, field in TEXT_FIELDS.items()}
    api_key = _clean("kiroApiKey", entry.get("kiroApiKey"))
    kind = _kind(entry, values, api_key)
    if kind == "api_key":
        # An export may hold a key in either place; it is never refreshed and belongs to no registration.
        values["access_token"], values["refresh_token"] = api_key or values["access_token"], None
    login = Login(
        kind=kind,
        **values,
        auth_region=_clean("authRegion", entry.get("authRegion")) or _clean("region", entry.get("region")) or DEFAULT_REGION,
        expires_at=None if kind == "api_key" else epoch_seconds(entry.get("expiresAt")),
        client_secret_expires_at=epoch_seconds(entry.get("clientSecretExpiresAt")),
        proxy_url=_proxy_url(entry),
        priority=_priority(entry.get("priority")),
    )
    check(login)
    return login


def import_entries(entries: Sequence[Entry], store: CredentialStore, *, source: str, dry_run: bool = False) -> list[Verdict]:
    """Bring the stored credentials up to what a file says. source: what the file is remembered by, its path."""
    stored = store.all(fresh=True)
    places = _places(entries, source)
    known = {entry.index: found for entry in entries if entry.login and (found := find_login(stored, entry.login))}
    taken = {credential.id for credential in known.values()}
    verdicts = []
    for entry in entries:
        if entry.login is None:
            verdicts.append(Verdict(entry.index, None, None, "problem", entry.problem))
            continue
        place, before = places[entry.index], known.get(entry.index)
        if before is not None:
            _remember(store, before, entry.login, place, dry_run=dry_run)
            verdicts.append(_verdict(entry, before.id, "known"))
            continue
        before = _imported_from(place, stored, taken)
        if before is not None:
            taken.add(before.id)
        verdicts.append(_verdict(entry, *_take(entry, before, place, store, dry_run=dry_run)))
    return verdicts


def sync_file(path: Path, store: CredentialStore) -> list[Verdict]:
    """Read `KIRO_CREDENTIALS_FILE` at a start, which nothing that is wrong with it prevents."""
    try:
        verdicts = import_entries(read_file(path), store, source=str(path.absolute()))
    except GatewayError as error:
        log.error("KIRO_CREDENTIALS_FILE is left out: %s", error.message)
        return []
    for verdict in verdicts:
        where = f"entry {verdict.index + 1} of {path.name}"
        if verdict.outcome == "problem":
            log.error("%s is left out: %s", where, verdict.note)
        elif verdict.outcome != "known":
            log.info(
                "%s is %s: credential %s%s", where, verdict.outcome, verdict.id, f" ({verdict.note})" if verdict.note else ""
            )
    return verdicts


# -- one entry --


def _read_entry(index: int, entry: Any, folder: Path) -> Entry:
    if not isinstance(entry, dict):
        return Entry(index, None, 'it is no JSON object; an entry looks like {"refreshToken": "…", "authMethod": "social"}')
    entry = {_camel(name): value for name, value in entry.items()}
    try:
        login = parse_login(_with_registration(entry, folder))
        plan = _clean("subscriptionTitle", entry.get("subscriptionTitle"))
        return Entry(index, login, disabled=entry.get("disabled") is True, plan=plan)
    except InvalidLogin as error:
        return Entry(index, None, error.message)


def _with_registration(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    """An IDE token file names its client registration by hash; it stands in the same folder."""
    if entry.get("clientId") or KIND_OF.get(str(entry.get("authMethod", "")).lower()) != "idc":
        return entry
    named = entry.get("clientIdHash") or _start_url_hash(entry.get("startUrl") or BUILDER_ID_START_URL)
    try:
        registration = orjson.loads((folder / f"{Path(str(named)).name}.json").read_bytes())
    except (OSError, ValueError):
        return entry
    if not isinstance(registration, dict):
        return entry
    found = {name: registration.get(name) for name in ("clientId", "clientSecret")}
    return {**entry, **found, "clientSecretExpiresAt": registration.get("expiresAt")}


def _start_url_hash(start_url: Any) -> str:
    """How the IDE names a registration; SHA-1 is its choice and protects nothing."""
    return hashlib.sha1(orjson.dumps({"startUrl": str(start_url)}), usedforsecurity=False).hexdigest()


def _kind(entry: dict[str, Any], values: dict[str, Any], api_key: str | None) -> str:
    method = (_clean("authMethod", entry.get("authMethod")) or _clean("auth", entry.get("auth")) or "").lower()
    if not method:
        return "api_key" if api_key else "idc" if values["client_id"] and values["client_secret"] else "social"
    if method not in KIND_OF:
        raise InvalidLogin(f"its authMethod is {method!r}, which is not supported; supported are social, idc and api_key")
    return KIND_OF[method]


def _camel(name: str) -> str:
    head, *rest = str(name).split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def _clean(name: str, value: Any) -> str | None:
    """Pasted values come with quotes and blanks around them."""
    if not isinstance(value, str):
        return None
    text = value.strip().strip("\"'").strip()
    if not text.isprintable():
        raise InvalidLogin(f"{name} holds a line break or another character that cannot be seen: copy it again, as one line")
    return text or None


def _priority(value: Any) -> int:
    return min(max(value, -LARGEST_PRIORITY), LARGEST_PRIORITY) if type(value) is int else 0


def _proxy_url(entry: dict[str, Any]) -> str | None:
    """kiro.rs keeps a proxy's name and password apart from its address."""
    url, name = _clean("proxyUrl", entry.get("proxyUrl")), _clean("proxyUsername", entry.get("proxyUsername"))
    if url is None or name is None or "://" not in url or "@" in url:
        return url
    password = _clean("proxyPassword", entry.get("proxyPassword")) or ""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{quote(name, safe='')}:{quote(password, safe='')}@{rest}"


# -- an entry and its credential --


def _places(entries: Iterable[Entry], source: str) -> dict[int, str]:
    """Where each entry stands. Several logins may share one e-mail (Google and Builder ID): the second of them is `…#2`."""
    seen: Counter[str] = Counter()
    places = {}
    for entry in entries:
        email = (entry.login.email or "").lower() if entry.login else ""
        seen[email] += 1
        times = f"#{seen[email]}" if email and seen[email] > 1 else ""
        places[entry.index] = f"{source}#{email or entry.index}{times}"
    return places


def _imported_from(place: str, stored: Iterable[Credential], taken: set[int]) -> Credential | None:
    return next((each for each in stored if each.import_source == place and each.id not in taken), None)


def _remember(store: CredentialStore, credential: Credential, login: Login, place: str, *, dry_run: bool) -> None:
    """A known entry that moved in its file takes its credential along: the next change at this place is this login's."""
    if not dry_run and (credential.import_source, credential.import_fingerprint) != (place, login.fingerprint):
        store.seen_in_file(credential.id, import_source=place, import_fingerprint=login.fingerprint)


def _take(
    entry: Entry, before: Credential | None, place: str, store: CredentialStore, *, dry_run: bool
) -> tuple[int | None, str]:
    """Store an entry that is not known, in the place of `before` if there is one; the credential's id and the outcome."""
    assert entry.login is not None
    if dry_run:
        return (before.id, "replaced") if before else (None, "new")
    try:
        if before is not None and store.sign_in_again(before, entry.login):
            return before.id, "replaced"
        health = Health(State.DISABLED, None, "disabled in the file it came from") if entry.disabled else None
        return store.add(entry.login, health=health, import_source=place, subscription_title=entry.plan), "new"
    except DuplicateCredential as duplicate:  # another worker was faster, or the file holds it twice
        return duplicate.id, "known"


def _verdict(entry: Entry, id_: int | None, outcome: str) -> Verdict:
    assert entry.login is not None
    return Verdict(entry.index, entry.login, id_, outcome, "; ".join(remarks(entry.login)) or None)
