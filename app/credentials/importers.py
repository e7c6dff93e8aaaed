"""Logins as people have them on disk: one parser for every known form, and the file that is read at each start.

In: the JSON of a Kiro IDE token file (its client registration stands beside it) or of kiro.rs, one entry or many, in camelCase or
snake_case. Out: a verdict per entry; one that cannot be used never keeps the others out.
Source: protocol 9.1 and 9.3.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson

from app.credentials.credential import InvalidCredential, check
from app.credentials.store import CredentialStore, DuplicateCredential, fingerprint
from app.kiro.endpoints import DEFAULT_REGION, derive_machine_id

log = logging.getLogger(__name__)

# The IDE's name for its registration with the Builder ID start page, when a token file does not say it.
BUILDER_ID_HASH = "e909a0580879b06ece1202964fbe9dda95ea4ce3"
KIND_OF = {
    "social": "social",
    "idc": "idc",
    "builder-id": "idc",
    "builderid": "idc",
    "iam": "idc",
    "api_key": "api_key",
    "apikey": "api_key",
    "external_idp": "external_idp",
}
TEXT_FIELDS = {
    "accessToken": "access_token",
    "refreshToken": "refresh_token",
    "clientId": "client_id",
    "clientSecret": "client_secret",
    "profileArn": "profile_arn",
    "authRegion": "auth_region",
    "apiRegion": "api_region",
    "machineId": "machine_id",
    "proxyUrl": "proxy_url",
    "provider": "provider",
    "startUrl": "start_url",
    "email": "email",
    "subscriptionTitle": "subscription_title",
}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one entry. id: the credential it is, None when it is none; problem: why not."""

    index: int
    kind: str | None
    region: str | None
    id: int | None
    outcome: str  # new · known · replaced · problem · would be new
    problem: str | None = None


def read_file(path: Path) -> list[dict[str, Any]]:
    """The entries of a file, IDE token files joined with their client registration. Raises InvalidCredential."""
    try:
        parsed = orjson.loads(path.read_bytes())
    except OSError as error:
        raise InvalidCredential(f"{path.name} cannot be read: {error.strerror}") from None
    except orjson.JSONDecodeError as error:
        raise InvalidCredential(f"{path.name} is not JSON: {error}") from None
    entries = parsed if isinstance(parsed, list) else [parsed]
    return [_with_registration(entry, path.parent) if isinstance(entry, dict) else {} for entry in entries]


def parse_entry(entry: dict[str, Any]) -> dict[str, Any]:
    """One entry as the columns of a credential. Raises InvalidCredential naming what is missing."""
    entry = {_camel(name): value for name, value in entry.items()}
    values = {column: _clean(entry.get(name)) for name, column in TEXT_FIELDS.items()}
    api_key = _clean(entry.get("kiroApiKey"))
    method = (_clean(entry.get("authMethod")) or _clean(entry.get("auth")) or "").lower()
    if not method:
        method = "api_key" if api_key else "idc" if values["client_id"] and values["client_secret"] else "social"
    kind = KIND_OF.get(method)
    if kind is None:
        raise InvalidCredential(f"authMethod {method!r} is not known")
    check(
        kind,
        refresh_token=values["refresh_token"],
        client_id=values["client_id"],
        client_secret=values["client_secret"],
        api_key=api_key,
    )
    if kind == "external_idp":
        raise InvalidCredential("logins of an external identity provider are not supported by this version")
    if kind == "api_key":
        values["access_token"], values["refresh_token"] = api_key, None
    values["auth_region"] = values["auth_region"] or _clean(entry.get("region")) or DEFAULT_REGION
    values["machine_id"] = derive_machine_id(values["machine_id"], values["refresh_token"], api_key)
    values["label"] = values["email"] or _label(kind, values["provider"], values["refresh_token"] or api_key)
    priority = entry.get("priority")
    disabled = entry.get("disabled") is True
    return {
        "kind": kind,
        **values,
        "expires_at": epoch_seconds(entry.get("expiresAt")),
        "priority": priority if isinstance(priority, int) and not isinstance(priority, bool) else 0,
        "state": "disabled" if disabled else "ready",
        "state_reason": "disabled in the file it came from" if disabled else None,
    }


def import_entries(
    entries: list[dict[str, Any]], store: CredentialStore, *, source: str | None = None, dry_run: bool = False
) -> list[Verdict]:
    """Take every usable entry over; one that was taken over before is never taken twice.

    source: the file's name, when its entries are to be remembered by their place: an entry whose login has changed since then
    replaces the tokens of the credential that stands for that place.
    """
    return [_import(index, entry, store, source, dry_run) for index, entry in enumerate(entries)]


def sync_file(path: Path, store: CredentialStore) -> list[Verdict]:
    """Bring the stored credentials up to what a file says (`KIRO_CREDENTIALS_FILE`, at each start); the file is never written."""
    try:
        entries = read_file(path)
    except InvalidCredential as error:
        log.error("KIRO_CREDENTIALS_FILE: %s", error)
        return []
    verdicts = import_entries(entries, store, source=str(path.absolute()))
    for verdict in verdicts:
        if verdict.problem is not None:
            log.error("entry %d of %s is left out: %s", verdict.index, path.name, verdict.problem)
        elif verdict.outcome != "known":
            log.warning("entry %d of %s: %s, credential %s", verdict.index, path.name, verdict.outcome, verdict.id)
    return verdicts


def _import(index: int, entry: dict[str, Any], store: CredentialStore, source: str | None, dry_run: bool) -> Verdict:
    try:
        values = parse_entry(entry)
    except InvalidCredential as error:
        return Verdict(index, None, None, None, "problem", str(error))
    kind, region = values["kind"], values["auth_region"]
    print_ = fingerprint(values["refresh_token"] or values["access_token"])
    known = store.imported(print_)
    if known is not None:
        return Verdict(index, kind, region, known, "known")
    place = None if source is None else f"{source}#{values['email'] or index}"
    before = store.imported_from(place) if place is not None else None
    if dry_run:
        return Verdict(index, kind, region, before, "would replace" if before else "would be new")
    if before is not None:
        tokens = {name: values[name] for name in ("access_token", "refresh_token", "expires_at", "client_id", "client_secret")}
        arn = {"profile_arn": values["profile_arn"]} if values["profile_arn"] else {}
        store.replace_tokens(before, import_fingerprint=print_, kind=kind, auth_region=region, **tokens, **arn)
        return Verdict(index, kind, region, before, "replaced")
    try:
        id_ = store.add(import_source=place, import_fingerprint=print_, **values)
    except DuplicateCredential as duplicate:  # another worker was faster, or it was added by hand
        return Verdict(index, kind, region, duplicate.id, "known")
    return Verdict(index, kind, region, id_, "new")


def _with_registration(entry: dict[str, Any], folder: Path) -> dict[str, Any]:
    """An IDE token file names its client registration by hash; it stands in the same folder."""
    if entry.get("clientId") or str(entry.get("authMethod", "")).lower() not in {"idc", "builder-id"}:
        return entry
    name = Path(str(entry.get("clientIdHash") or BUILDER_ID_HASH)).name
    try:
        registration = orjson.loads((folder / f"{name}.json").read_bytes())
    except (OSError, orjson.JSONDecodeError):
        return entry
    if not isinstance(registration, dict):
        return entry
    return {**entry, "clientId": registration.get("clientId"), "clientSecret": registration.get("clientSecret")}


def _camel(name: str) -> str:
    head, *rest = str(name).split("_")
    return head + "".join(part.title() for part in rest)


def _clean(value: Any) -> str | None:
    """Pasted values come with quotes and blanks around them."""
    if not isinstance(value, str):
        return None
    return value.strip().strip("\"'").strip() or None


def epoch_seconds(value: Any) -> float | None:
    """An ISO instant, epoch seconds or epoch milliseconds; None for anything else, which then counts as expired."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value) / 1000 if value > 1e11 else float(value)
    if isinstance(value, str):
        try:
            return datetime.fromisoformat(value.strip()).timestamp()
        except ValueError:
            return None
    return None


def _label(kind: str, provider: str | None, secret: str | None) -> str:
    return f"{provider or kind} …{(secret or '')[-4:]}"
