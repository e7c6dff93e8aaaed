"""The containers that tools write their logins into, opened: each entry on its own, in one spelling.

In: parsed JSON. Out: one `Found` per entry. Recognised is what something holds, never what it is called: an array, an object
around a list of accounts, an account around its credentials, or a login by itself. Knows nothing of
files, so that a registration or a path is only named here.
Source: protocol 9.1 (Kiro IDE), 9.3 (all others).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from app.credentials.importers.entry import BUILDER_ID_START_URL, Found, Values, method_of, plain

# What holds the entries of an export: `accounts` of Kiro Account Manager and its kin (a list, or by id), `credentials` of the
# original's answer.
LISTS = ("accounts", "credentials")
# What an account keeps its tokens in.
NESTED = ("credentials", "credential", "tokens")
# All that the Kiro IDE writes, and what tells its file from a bare login.
IDE_NAMES = frozenset(
    "accesstoken refreshtoken expiresat authmethod provider profilearn region clientidhash starturl tokenendpoint issuerurl"
    " clientid scopes audience".split()
)
IDE_ALWAYS = frozenset("accesstoken refreshtoken expiresat authmethod provider".split())
SECRETS = ("refreshtoken", "accesstoken", "kiroapikey", "apikey")
NO_OBJECT = 'it is no JSON object; an entry looks like {"refreshToken": "…", "authMethod": "social"}'
REGISTRATION = "it is a client registration, which is found by itself: import kiro-auth-token.json, which stands beside it"
ONLY_A_PATH = "it only names another file: import that one, or this one as a file with `credentials import`"
IDE_SHARED = (
    "it is the Kiro IDE's own login: a refresh token serves once, so that the IDE and the gateway will sign each other out; "
    "sign in a second time for the gateway, or leave this login to the gateway alone"
)
CLI_SHARED = (
    "it is kiro-cli's own login: a refresh token serves once, so that kiro-cli and the gateway will sign each other out; "
    "sign in a second time for the gateway, or leave this login to the gateway alone"
)


def entries_of(parsed: Any) -> list[Found]:
    """Every entry of an export, nested credentials joined with what stands around them."""
    return [_found(each) for each in _items(parsed)]


def path_of(found: Found) -> str | None:
    """The other file that an entry names in place of a login, as those of kiro-gateway do."""
    path = found.values.get("path")
    return path if found.problem == ONLY_A_PATH and isinstance(path, str) else None


def profile_choice(parsed: Any) -> str | None:
    """The ARN of the IDE's `profile.json`; None for anything else."""
    if not isinstance(parsed, dict) or any(plain(parsed).get(name) for name in SECRETS):
        return None
    arn = parsed.get("arn")
    return arn if isinstance(arn, str) and arn.startswith("arn:") else None


def registration_name(values: Values) -> str | None:
    """What the file is named that holds this entry's client registration; None when it needs none or has it."""
    if values.get("clientid") or (method_of(values) != "idc" and not values.get("clientidhash")):
        return None
    return str(values.get("clientidhash") or _start_url_hash(values.get("starturl") or BUILDER_ID_START_URL))


def with_registration(values: Values, registration: Any) -> Values:
    """An entry joined with its client registration, `{"clientId", "clientSecret", "expiresAt"}`."""
    if not isinstance(registration, dict):
        return values
    found = plain(registration)
    return {
        **values,
        "clientid": found.get("clientid"),
        "clientsecret": found.get("clientsecret"),
        "clientsecretexpiresat": found.get("clientsecretexpiresat") or found.get("expiresat"),
    }


def _found(item: Any) -> Found:
    if not isinstance(item, dict):
        return Found({}, NO_OBJECT)
    values = _joined(plain(item))
    if not any(values.get(name) for name in SECRETS):
        if values.get("clientid") and values.get("clientsecret"):
            return Found(values, REGISTRATION)
        if values.get("path"):
            return Found(values, ONLY_A_PATH)
    belongs_to_ide = values.keys() <= IDE_NAMES and ("clientidhash" in values or values.keys() >= IDE_ALWAYS)
    return Found(values, notes=(IDE_SHARED,) if belongs_to_ide else ())


def _items(parsed: Any) -> list[Any]:
    if isinstance(parsed, list):
        return parsed
    for name in LISTS if isinstance(parsed, dict) else ():
        inside = parsed.get(name)
        if isinstance(inside, list):
            return inside
        if name == "accounts" and isinstance(inside, dict):  # by id
            return list(inside.values())
    return [parsed]


def _joined(values: dict[str, Any]) -> Values:
    """What stands inside wins, where it says something."""
    nested: Mapping[Any, Any] = next((inside for name in NESTED if isinstance(inside := values.get(name), dict)), {})
    return {**values, **{name: value for name, value in plain(nested).items() if value not in (None, "")}}


def _start_url_hash(start_url: Any) -> str:
    """How the IDE names a registration; SHA-1 is its choice and protects nothing."""
    return hashlib.sha1(orjson.dumps({"startUrl": str(start_url)}), usedforsecurity=False).hexdigest()
