"""Entries and the credentials they stand for: what is new, what is known, what takes the place of what.

An entry is known by the SHA-256 of the secret it was imported with, so that it is not imported again after its tokens rotated
here. An entry that is not known stands for the credential that was imported from the same place of the file (its e-mail, else
its position) and replaces that one's tokens, unless that one is still in the file, elsewhere: then the entry is a new login.
What was pasted has no place, so that it never replaces anything. One entry that cannot be used never keeps the others out.
Source: protocol 9.3.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from app.credentials.credential import EXPIRED_SECONDS, Credential, Login, State, remarks
from app.credentials.importers.entry import Entry
from app.credentials.importers.files import read_file
from app.credentials.lifecycle import Health, OperatorDisabled
from app.credentials.store import CredentialStore, DuplicateCredential, find_logins
from app.errors import GatewayError

log = logging.getLogger(__name__)

REGISTRATION_OVER = "its client registration has run out: when its refresh is refused, sign in again and import that"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one entry.

    outcome: new, known, replaced or problem; with a dry run what it would be. id: the credential, None when there is none.
    name: of an entry without a login. same_as: position of the entry of this file that is the same login.
    note: the problem, or what is odd about a login that may work all the same.
    """

    index: int
    login: Login | None
    id: int | None
    outcome: str
    note: str | None = None
    name: str | None = None
    same_as: int | None = None


class Import:
    """Brings entries in, of one file after another. dry_run: only says what would happen. clock: epoch seconds."""

    def __init__(self, store: CredentialStore, *, dry_run: bool = False, clock: Callable[[], float] = time.time) -> None:
        self._store = store
        self._dry_run = dry_run
        self._clock = clock
        # Where each secret was seen first: a dry run stores nothing that a second one could be found by.
        self._seen: dict[str, tuple[str | None, Verdict]] = {}

    def take(self, entries: Sequence[Entry], source: str | None) -> list[Verdict]:
        """Bring the stored credentials up to what a file says. source: its path, by which it is remembered; None: pasted."""
        stored = self._store.all(fresh=True)
        places = _places(entries, source)
        find = find_logins(stored)
        known = {entry.index: found for entry in entries if entry.login and (found := find(entry.login))}
        taken = {credential.id for credential in known.values()}
        verdicts = []
        for entry in entries:
            place = places[entry.index]
            before = known.get(entry.index) or _imported_from(place, stored, taken)
            verdict = self._decide(entry, before, place, source, known=entry.index in known)
            if before is not None and verdict.outcome != "problem":
                taken.add(before.id)
            verdicts.append(verdict)
        return verdicts

    def _decide(
        self, entry: Entry, before: Credential | None, place: str | None, source: str | None, *, known: bool
    ) -> Verdict:
        login = entry.login
        if login is None:
            return Verdict(entry.index, None, None, "problem", entry.problem, entry.name)
        if (seen := self._seen.get(login.fingerprint)) is not None:
            return _repeated(entry, source, *seen)
        if before is not None and known:
            self._remember(before, login, place)
            became: tuple[int | None, str] = before.id, "known"
        else:
            became = self._store_it(entry, login, before, place)
        verdict = Verdict(entry.index, login, *became, self._note(entry, login, became[1]))
        self._seen[login.fingerprint] = source, verdict
        return verdict

    def _remember(self, credential: Credential, login: Login, place: str | None) -> None:
        """A known entry that moved in its file takes its credential along: the next change at this place is this login's."""
        moved = (credential.import_source, credential.import_fingerprint) != (place, login.fingerprint)
        if moved and place is not None and not self._dry_run:
            self._store.seen_in_file(credential.id, import_source=place, import_fingerprint=login.fingerprint)

    def _store_it(self, entry: Entry, login: Login, before: Credential | None, place: str | None) -> tuple[int | None, str]:
        """Store a login that is not known, in the place of `before` if there is one; the credential's id and the outcome."""
        if self._dry_run:
            return (before.id, "replaced") if before else (None, "new")
        login = _without_expired(login, self._clock())
        try:
            if before is not None and self._store.sign_in_again(before, login):
                if entry.disabled:
                    self._store.happened(before.id, OperatorDisabled())
                return before.id, "replaced"
            health = Health(State.DISABLED, None, entry.disabled) if entry.disabled else None
            return self._store.add(login, health=health, import_source=place, subscription_title=entry.plan), "new"
        except DuplicateCredential as duplicate:  # another worker was faster
            return duplicate.id, "known"

    def _note(self, entry: Entry, login: Login, outcome: str) -> str | None:
        notes = [*remarks(login), *entry.notes]
        if entry.disabled and outcome != "known":
            notes.insert(0, f"it comes in disabled ({entry.disabled}): `credentials enable ID` tries it")
        if login.client_secret_expires_at is not None and login.client_secret_expires_at < self._clock():
            notes.insert(0, REGISTRATION_OVER)
        return "; ".join(notes) or None


def import_entries(
    entries: Sequence[Entry], store: CredentialStore, *, source: str | None, dry_run: bool = False
) -> list[Verdict]:
    """One file by itself, see `Import.take`."""
    return Import(store, dry_run=dry_run).take(entries, source)


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
            note = f" ({verdict.note})" if verdict.note else ""
            log.info("%s is %s: credential %s%s", where, verdict.outcome, verdict.id, note)
    return verdicts


def _repeated(entry: Entry, source: str | None, first_source: str | None, first: Verdict) -> Verdict:
    """An entry whose secret stood in an earlier one."""
    here = source == first_source
    elsewhere = "" if here else f" of {Path(first_source).name if first_source else 'what was pasted'}"
    note = f"it is the same login as entry {first.index + 1}{elsewhere}"
    return Verdict(entry.index, entry.login, first.id, "known", note, same_as=first.index if here else None)


def _places(entries: Iterable[Entry], source: str | None) -> dict[int, str | None]:
    """Where each entry stands. Several logins may share one e-mail (Google and Builder ID): the second of them is `…#2`."""
    seen: Counter[str] = Counter()
    places: dict[int, str | None] = {}
    for entry in entries:
        email = (entry.login.email or "").lower() if entry.login else ""
        seen[email] += 1
        times = f"#{seen[email]}" if email and seen[email] > 1 else ""
        places[entry.index] = None if source is None else f"{source}#{email or entry.index}{times}"
    return places


def _imported_from(place: str | None, stored: Iterable[Credential], taken: set[int]) -> Credential | None:
    if place is None:
        return None
    return next((each for each in stored if each.import_source == place and each.id not in taken), None)


def _without_expired(login: Login, now: float) -> Login:
    """An access token that is over is not kept: the first use refreshes it."""
    over = login.kind != "api_key" and login.expires_at is not None and login.expires_at <= now + EXPIRED_SECONDS
    return replace(login, access_token=None, expires_at=None) if over else login
