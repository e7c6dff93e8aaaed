"""Everything that helps somebody else to find the fault, in one document without a secret.

In: what the gateway is and knows, and the steps of examinations. Out: JSON values. Of credentials and settings only what is
named here goes in; then every text is gone through, and what is known to be secret is taken out wherever it stands (an error
message may echo it), with what looks like a token, the password in a URL, and all but the first letter of an e-mail's name.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from importlib import metadata
from typing import Any
from urllib.parse import unquote, urlsplit

from app.credentials.credential import Credential
from app.doctor.step import Step
from app.doctor.wire import shown_proxy
from app.ledger import RequestRecord
from app.settings import SETTINGS, Settings
from config import Config

REMOVED = "[removed]"
PACKAGES = ("flask", "gevent", "gunicorn", "requests", "urllib3", "PySocks", "SQLAlchemy", "psycopg", "orjson", "cryptography")
SHORTEST_SECRET = 4
# What is told of a credential; what it stands or falls with is not among it.
TOLD = (
    "id",
    "kind",
    "provider",
    "name",
    "state",
    "state_until",
    "state_reason",
    "failure_count",
    "version",
    "expires_at",
    "profile_arn",
    "auth_region",
    "api_region",
    "priority",
    "max_concurrent",
    "learned",
    "subscription_title",
    "current_usage",
    "usage_limit",
    "usage_at",
    "next_reset_at",
    "success_count",
    "last_used_at",
)
_TOKEN = re.compile(r"\b(?:aoa|aor|ksk_|sk-|eyJ)[\w+/=.:~-]{12,}|(?<=\bbearer )[\w+/=.:~-]{12,}", re.I | re.A)
_USERINFO = re.compile(r"(?<=://)[^/\s@]+@")
_EMAIL = re.compile(r"(?P<first>[\w+-])[\w.+-]*@(?P<domain>[\w-]+(?:\.[\w-]+)+)")


@dataclass(frozen=True, slots=True)
class Bundle:
    """What goes into the document. steps: by the id of the credential that was examined."""

    config: Config
    settings: Settings
    credentials: Sequence[Credential]
    steps: dict[int, Sequence[Step]]
    records: Sequence[RequestRecord]

    def as_json(self) -> dict[str, Any]:
        """The document."""
        whole = {
            "versions": _versions(),
            "config": {item.name: _config(self.config, item) for item in fields(self.config)},
            "settings": {each.name: _setting(self.settings, each.name, each.secret) for each in SETTINGS},
            "credentials": [_credential(each) for each in self.credentials],
            "steps": {str(id_): [asdict(step) for step in steps] for id_, steps in self.steps.items()},
            "requests": [_record(record) for record in self.records],
        }
        secrets = sorted({text for text in self._secrets() if len(text) >= SHORTEST_SECRET}, key=len, reverse=True)
        cleaned: dict[str, Any] = _clean(whole, secrets)
        return cleaned

    def _secrets(self) -> Iterator[str]:
        """Every secret that is known, in each form it may be written in."""
        for credential in self.credentials:
            yield from filter(
                None,
                (credential.access_token, credential.refresh_token, credential.client_secret, credential.client_id),
            )
            yield from _password(credential.proxy_url)
        for each in SETTINGS:
            if each.secret:
                yield from _password(getattr(self.settings, each.name))
        for item in fields(self.config):
            value = getattr(self.config, item.name)
            if item.metadata.get("secret"):
                yield from [value] if isinstance(value, str) else value or ()
                yield from _password(value)


def _versions() -> dict[str, str]:
    found = {"python": sys.version.split()[0], "system": platform.platform()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            found[name] = "not installed"
    return found


def _config(config: Config, item: Any) -> Any:
    value = getattr(config, item.name)
    if item.metadata.get("secret"):
        return "set" if value else None
    return list(value) if isinstance(value, tuple) else value if isinstance(value, int) else value and str(value)


def _setting(settings: Settings, name: str, secret: bool) -> Any:
    value = getattr(settings, name)
    return ("set" if value else None) if secret else value


def _credential(credential: Credential) -> dict[str, Any]:
    told = {name: getattr(credential, name) for name in TOLD}
    told["learned"] = dict(credential.learned)
    told["proxy"] = shown_proxy(credential.proxy_url) if credential.proxy_url != "direct" else "direct"
    return told | {f"has_{name}": bool(getattr(credential, name)) for name in ("access_token", "refresh_token", "client_id")}


def _record(record: RequestRecord) -> dict[str, Any]:
    """Without whose conversation it was."""
    told = asdict(record) | {"session_id": None, "key_name": None, "api_key_id": None}
    return told | {"credits": None if record.credits is None else str(record.credits)}


def _password(url: Any) -> Iterator[str]:
    """The password of a URL, as it is written and as it is meant."""
    password = urlsplit(url).password if isinstance(url, str) else None
    if password:
        yield from (password, unquote(password))


def _clean(value: Any, secrets: Iterable[str]) -> Any:
    if isinstance(value, dict):
        return {key: _clean(each, secrets) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_clean(each, secrets) for each in value]
    return _clean_text(value, secrets) if isinstance(value, str) else value


def _clean_text(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        text = text.replace(secret, REMOVED)
    text = _USERINFO.sub(f"{REMOVED}@", _TOKEN.sub(REMOVED, text))
    return _EMAIL.sub(lambda found: f"{found['first']}…@{found['domain']}", text)
