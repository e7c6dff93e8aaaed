"""One entry of an export as a login.

In: one JSON object, its names in any spelling (refreshToken, refresh_token, REFRESH_TOKEN). Out: an `Entry`: the login, or the
problem that keeps it out. Knows nothing of files, databases or the container the entry stood in.
What a problem says is shown and logged, so it repeats nothing of an entry that could be a token in the wrong place.
Source: protocol 9 (names of each tool), 2 (machine ids), 1.11 (external identity providers).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from app.credentials.credential import InvalidLogin, Login, check, epoch_seconds
from app.kiro.endpoints import BUILDER_ID_PLACEHOLDER_ARN, DEFAULT_REGION, SOCIAL_PROFILE_ARN

# The start page of Builder ID, which a token file that names no registration was signed in with.
BUILDER_ID_START_URL = "https://view.awsapps.com/start"
# How exports call the ways of signing in, in plain spelling.
KIND_OF = {
    "social": "social",
    "google": "social",
    "github": "social",
    "idc": "idc",
    "builderid": "idc",
    "iam": "idc",
    "enterprise": "idc",
    "externalidp": "external_idp",
    "external": "external_idp",
    "azuread": "external_idp",
    "azure": "external_idp",
    "entra": "external_idp",
    "entraid": "external_idp",
    "microsoft": "external_idp",
    "m365": "external_idp",
    "office365": "external_idp",
    "apikey": "api_key",
}
PROVIDERS = {each.lower(): each for each in ("Google", "Github", "BuilderId", "Enterprise", "ExternalIdp", "Internal")}
# Must be kept letter by letter, or refused.
EXACT = {
    "access_token": ("accessToken",),
    "refresh_token": ("refreshToken",),
    "client_id": ("clientId",),
    "client_secret": ("clientSecret",),
    "start_url": ("startUrl",),
    "token_endpoint": ("tokenEndpoint",),
    "issuer_url": ("issuerUrl",),
    "profile_arn": ("profileArn",),
    "api_region": ("apiRegion",),
    "machine_id": ("machineId",),
}
# Shown to people only: an odd character in it is no reason to refuse a login.
PROSE = {"email": ("email",), "label": ("label", "nickname")}
REGION = ("authRegion", "idcRegion", "region")
EXPIRY = ("expiresAt", "expire", "expired")
API_KEY = ("kiroApiKey", "apiKey")
# What exports say of a login that does not work where it comes from.
OUT_OF_USE = ("error", "suspended", "disabled", "banned", "blocked", "inactive")
LARGEST_PRIORITY = 1_000_000
TOKEN_BEGINNINGS = ("aor", "aoa", "ksk_")
_EPOCH = re.compile(r"\d{9,13}(\.\d+)?")
_WORD = re.compile(r"[\w-]{1,24}")

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Found:
    """An entry that is not read yet: its values in plain spelling, or the problem that there are none.

    notes: what should be known about where it comes from.
    """

    values: Values
    problem: str | None = None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a file: the login in it, or the problem that keeps it out.

    index: its position, from 0. name: its label or e-mail, which tells what cannot be used. disabled: why it comes in disabled.
    """

    index: int
    login: Login | None
    problem: str | None = None
    name: str | None = None
    disabled: str | None = None
    plan: str | None = None
    notes: tuple[str, ...] = ()


def read_entry(index: int, found: Found) -> Entry:
    """An entry with all that is to be said about it; whatever is wrong with it becomes its problem."""
    values = found.values
    name = _prose(values, ("label", "nickname", "email"))
    if found.problem is not None:
        return Entry(index, None, found.problem, name)
    try:
        login = _login(values)
    except InvalidLogin as error:
        return Entry(index, None, error.message, name)
    return Entry(index, login, name=name, disabled=_why_disabled(values), plan=_plan(values), notes=found.notes)


def parse_login(entry: Mapping[str, Any]) -> Login:
    """One entry, in any spelling, as a login. Raises InvalidLogin naming what is missing."""
    return _login(plain(entry))


def plain(entry: Mapping[Any, Any]) -> dict[str, Any]:
    """An entry with its names in plain spelling (refreshtoken); of two spellings of one name that with a value stays."""
    values: dict[str, Any] = {}
    for name, value in entry.items():
        spelled = str(name).replace("_", "").replace("-", "").lower()
        if values.get(spelled) in (None, ""):
            values[spelled] = value
    return values


def method_of(values: Values) -> str | None:
    """The kind that an entry says it is; None when it says nothing. Raises InvalidLogin for a word that is not known."""
    method = _prose(values, ("authMethod", "auth"))
    if method is None:
        return None
    kind = KIND_OF.get(method.replace("-", "").replace("_", "").replace(" ", "").lower())
    if kind is None:
        named = f" is {method!r}, which" if _may_be_shown(method) else ""
        raise InvalidLogin(f"its authMethod{named} is not supported; supported are social, idc, external_idp and api_key")
    return kind


# -- parts of a login --


def _login(values: Values) -> Login:
    fields: dict[str, Any] = {field: _exact(values, names) for field, names in EXACT.items()}
    fields |= {field: _prose(values, names) for field, names in PROSE.items()}
    api_key = _exact(values, API_KEY)
    kind = method_of(values) or _kind_by_content(fields, api_key)
    if kind == "api_key":
        # An export may hold a key in either place; it is never refreshed and belongs to no registration.
        fields["access_token"], fields["refresh_token"] = api_key or fields["access_token"], None
    login = Login(
        kind=kind,
        **fields,
        provider=_provider(values),
        auth_region=_exact(values, REGION) or DEFAULT_REGION,
        expires_at=None if kind == "api_key" else _instant(values, EXPIRY),
        client_secret_expires_at=_instant(values, ("clientSecretExpiresAt",)),
        scopes=_scopes(values),
        proxy_url=_proxy_url(values),
        priority=_priority(values.get("priority")),
    )
    _check(login)
    return _with_own_arn(login)


def _check(login: Login) -> None:
    for region in (login.auth_region, login.api_region):
        if region and not _may_be_shown(region):
            raise InvalidLogin("its region is no AWS region; one looks like us-east-1")
    check(login)


def _kind_by_content(fields: Mapping[str, Any], api_key: str | None) -> str:
    token = fields["refresh_token"]
    if token is None and (api_key or (fields["access_token"] or "").startswith("ksk_")):
        return "api_key"
    if fields["token_endpoint"]:
        return "external_idp"
    return "idc" if fields["client_id"] and fields["client_secret"] else "social"


def _with_own_arn(login: Login) -> Login:
    """Without an ARN that is everybody's: what stands in for a missing one is chosen when a request is sent (protocol 1.8)."""
    others = {SOCIAL_PROFILE_ARN, BUILDER_ID_PLACEHOLDER_ARN}
    return replace(login, profile_arn=None) if login.kind != "social" and login.profile_arn in others else login


def _provider(values: Values) -> str | None:
    """Google, Github, BuilderId, …: as Kiro spells it, since the choice of a profile ARN looks at it."""
    given = _prose(values, ("provider", "idp"))
    if given is not None:
        return PROVIDERS.get(given.replace("-", "").replace("_", "").replace(" ", "").lower(), given)
    start_url = values.get("starturl")
    if not isinstance(start_url, str) or not start_url.strip():
        return None
    return "BuilderId" if start_url.strip().rstrip("/") == BUILDER_ID_START_URL else "Enterprise"


def _scopes(values: Values) -> str | None:
    given = values.get("scopes") or values.get("scope")
    if isinstance(given, list):
        given = " ".join(each for each in given if isinstance(each, str))
    return " ".join(given.split()) or None if isinstance(given, str) else None


def _plan(values: Values) -> str | None:
    nested = values.get("subscription")
    return _prose(values, ("subscriptionTitle",)) or (
        _prose(plain(nested), ("title", "subscriptionTitle")) if isinstance(nested, dict) else None
    )


def _why_disabled(values: Values) -> str | None:
    status = _prose(values, ("status",)) or ""
    if status.lower() in OUT_OF_USE:
        return f"{status.lower()} in the file it came from"
    if str(values.get("disabled")).lower() == "true" or str(values.get("enabled")).lower() == "false":
        return "disabled in the file it came from"
    return None


def _priority(value: Any) -> int:
    return min(max(value, -LARGEST_PRIORITY), LARGEST_PRIORITY) if type(value) is int else 0


def _instant(values: Values, names: tuple[str, ...]) -> float | None:
    """ISO 8601 with any number of digits, epoch seconds or milliseconds, as a number or as text."""
    given = next((found for name in names if (found := values.get(name.lower())) not in (None, "")), None)
    if isinstance(given, str) and _EPOCH.fullmatch(given.strip()):
        given = float(given)
    at = epoch_seconds(given)
    # Whatever lies outside of dates that can be written is a mistake: the token is refreshed on first use.
    return at if at is not None and 0 <= at < 1e11 else None


def _proxy_url(values: Values) -> str | None:
    """kiro.rs keeps a proxy's name and password apart from its address."""
    url, name = _exact(values, ("proxyUrl",)), _exact(values, ("proxyUsername",))
    if url is None or name is None or "://" not in url or "@" in url:
        return url
    password = _exact(values, ("proxyPassword",)) or ""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{quote(name, safe='')}:{quote(password, safe='')}@{rest}"


# -- text --


def _exact(values: Values, names: tuple[str, ...]) -> str | None:
    """Pasted values come with quotes and blanks around them. Raises InvalidLogin for what cannot be seen inside."""
    for name in names:
        text = unquoted(values.get(name.lower()))
        if text and not text.isprintable():
            raise InvalidLogin(
                f"its {name} holds a line break or another character that cannot be seen: copy it again, as one line"
            )
        if text:
            return text
    return None


def _prose(values: Values, names: tuple[str, ...]) -> str | None:
    for name in names:
        words = " ".join(unquoted(values.get(name.lower())).split())
        text = "".join(each for each in words if each.isprintable())
        if text and not text.startswith(TOKEN_BEGINNINGS):  # one that slipped into the wrong field would be shown
            return text
    return None


def unquoted(value: Any) -> str:
    return value.strip().strip("\"'").strip() if isinstance(value, str) else ""


def _may_be_shown(value: str) -> bool:
    """A short word is shown as it stands; what may be a secret in the wrong field is not."""
    return bool(_WORD.fullmatch(value)) and not value.startswith(TOKEN_BEGINNINGS)
