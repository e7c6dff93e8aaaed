"""Run-time settings: one registry, one typed snapshot. They live in the database, so every worker and machine agrees.

A new setting is one line in `SETTINGS` (and its field in `Settings`); command line, admin and documents follow. Only what
something reads is offered. While the database does not answer, the snapshot read last stays in force. A secret one is stored
sealed; one that does not open counts as the default.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.exc import IntegrityError

from app.errors import GatewayError, StorageUnavailable
from app.storage import reading, transaction
from app.storage.secrets import SecretUnreadable, place, vault
from app.storage.tables import SECRET_SETTINGS, SettingRow
from app.translate.models import parse_aliases

log = logging.getLogger(__name__)

MAX_AGE_SECONDS = 2.0


class SettingError(GatewayError):
    """A setting's name or value is not usable; the message says what is."""

    status = 400
    error_type = "invalid_request_error"


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting. parse: text → value, raises ValueError with what it must be. secret: never shown."""

    name: str
    default: Any
    parse: Callable[[str], Any]
    help: str
    secret: bool = False


def _header_text(text: str) -> str:
    if not text or not text.isascii() or not text.isprintable():
        raise ValueError("must be printable ASCII text: it becomes part of an HTTP header")
    return text


def _optional_header_text(text: str) -> str | None:
    return _header_text(text) if text else None


def _optional_url(*schemes: str) -> Callable[[str], str | None]:
    def parse(text: str) -> str | None:
        if not text:
            return None
        parts = urlsplit(text)
        if parts.scheme not in schemes or not parts.hostname:
            raise ValueError(f"must be a URL that starts with {' or '.join(scheme + '://' for scheme in schemes)}, or empty")
        return text

    return parse


def _number(low: float, high: float) -> Callable[[str], float]:
    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high:
            raise ValueError(f"must be a number from {low:g} to {high:g}")
        return value

    return parse


def _zero_or(low: float, high: float) -> Callable[[str], float]:
    """A number of that range, or 0 for never."""
    number = _number(low, high)

    def parse(text: str) -> float:
        try:
            return 0.0 if float(text) == 0 else number(text)
        except ValueError:
            raise ValueError(f"must be 0 or a number from {low:g} to {high:g}") from None

    return parse


def _count(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return int(text)

    return parse


def _one_of(*words: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"must be one of {', '.join(words)}")
        return text.lower()

    return parse


def _switch(text: str) -> bool:
    if text.lower() not in ("on", "off", "true", "false"):
        raise ValueError("must be on or off")
    return text.lower() in ("on", "true")


def _aliases(text: str) -> str:
    return ", ".join(f"{name}={target}" for name, target in parse_aliases(text).items())


SETTINGS: tuple[Setting, ...] = (
    Setting("kiro_version", "0.12.155", _header_text, "Kiro IDE version in our user agent; old ones are refused upstream"),
    Setting(
        "kiro_rest_version", "0.12.155", _header_text, "The same for usage and model listings, which have a gate of their own"
    ),
    Setting("system_version", "darwin#24.6.0", _header_text, "Operating system in our user agent"),
    Setting("node_version", "v22.12.0", _header_text, "Node version in our user agent"),
    Setting("proxy_url", None, _optional_url("http", "https", "socks5", "socks5h"), "Proxy for upstream calls", secret=True),
    Setting(
        "upstream_hosts",
        "auto",
        _one_of("q", "runtime", "auto"),
        "Hosts chats go to: q.*.amazonaws.com, runtime.*.kiro.dev, or the first until it is seen to be gone",
    ),
    Setting(
        "scheduling_mode",
        "fixed",
        _one_of("fixed", "auto"),
        "fixed: by priority; auto: spread by credits left, sessions stay where they are",
    ),
    Setting("min_usage_threshold", 5.0, _number(0, 1_000_000), "A credential with fewer credits left is left alone"),
    Setting(
        "usage_seconds", 300.0, _zero_or(60, 86_400), "How often the usage of logins in use is looked at; 0 never looks at it"
    ),
    Setting("first_ping_seconds", 5.0, _number(0.5, 60), "How long a stream's status is held back for early errors"),
    Setting("ping_seconds", 10.0, _number(0.5, 15), "Silence after which a stream gets a ping"),
    Setting("first_event_seconds", 120.0, _number(1, 720), "How long an attempt may take to its first event"),
    Setting("idle_seconds", 300.0, _number(1, 3600), "Upstream silence after which an answer is given up"),
    Setting("total_seconds", 3600.0, _number(1, 86400), "How long one answer may take in all"),
    Setting("max_attempts_per_credential", 3, _count(1, 10), "Attempts with one credential"),
    Setting("max_attempts", 9, _count(1, 30), "Attempts for one request"),
    Setting(
        "repair_requests", False, _switch, "Mend what the real API refuses: empty texts, unanswered calls, foreign roles, …"
    ),
    Setting("model_aliases", "", _aliases, "Names of your own for models, as fast=claude-haiku-4.5, deep=claude-opus-5:max"),
    Setting("pass_unknown_models", False, _switch, "Send names that mean no model to Kiro as they are, not answering 404"),
    Setting(
        "count_tokens_api_url", None, _optional_url("http", "https"), "Service asked first to count tokens, as the Messages API"
    ),
    Setting("count_tokens_api_key", None, _optional_header_text, "Key for it", secret=True),
    Setting("count_tokens_auth_type", "x-api-key", _one_of("x-api-key", "bearer"), "How the key is sent to it"),
    Setting("fetch_urls", False, _switch, "Fetch images and documents that requests name by URL; only public https addresses"),
)
BY_NAME = {setting.name: setting for setting in SETTINGS}


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A snapshot of all settings; a field per entry of the registry."""

    kiro_version: str
    kiro_rest_version: str
    system_version: str
    node_version: str
    proxy_url: str | None = field(repr=False)
    upstream_hosts: str
    scheduling_mode: str
    min_usage_threshold: float
    usage_seconds: float
    first_ping_seconds: float
    ping_seconds: float
    first_event_seconds: float
    idle_seconds: float
    total_seconds: float
    max_attempts_per_credential: int
    max_attempts: int
    repair_requests: bool
    model_aliases: str
    pass_unknown_models: bool
    count_tokens_api_url: str | None
    count_tokens_api_key: str | None = field(repr=False)
    count_tokens_auth_type: str
    fetch_urls: bool


def snapshot(stored: dict[str, str]) -> Settings:
    """Settings from stored texts; a text that is not usable (any more) counts as the default."""
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        try:
            values[setting.name] = setting.parse(stored[setting.name]) if setting.name in stored else setting.default
        except ValueError:
            values[setting.name] = setting.default
    return Settings(**values)


class SettingsStore:
    """Reads and writes settings. clock: monotonic seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._cached: Settings | None = None
        self._read_at: float | None = None
        self._unreadable: dict[str, str] = {}

    def current(self) -> Settings:
        """The snapshot in force, at most 2 s old; older only while the database does not answer."""
        if self._cached is None or self._read_at is None or self._clock() - self._read_at >= MAX_AGE_SECONDS:
            self._read_at = self._clock()
            try:
                with reading() as session:
                    stored = {row.key: row.value for row in session.query(SettingRow)}
                self._cached = snapshot(self._opened(stored))
            except StorageUnavailable:
                if self._cached is None:
                    raise
                log.warning("the settings could not be read again; those known stay in force")
        return self._cached

    def set(self, name: str, text: str) -> None:
        """Store a value given as text. Raises SettingError naming what is allowed."""
        setting = find(name)
        try:
            setting.parse(text.strip())
        except ValueError as error:
            raise SettingError(f"{name} {error}") from None
        value = vault().seal(text.strip(), _place(name)) if setting.secret else text.strip()
        try:
            _store(name, value)
        except IntegrityError:  # another worker stored its first value at the same moment; now there is a row to change
            _store(name, value)
        self._read_at = None

    def get(self, name: str) -> Any:
        """One setting's value in force. Raises SettingError for an unknown name."""
        return getattr(self.current(), find(name).name)

    def _opened(self, stored: dict[str, str]) -> dict[str, str]:
        """Secret values in clear; what does not open is left out, and told once."""
        opened = dict(stored)
        for name in filter(stored.get, SECRET_SETTINGS):
            try:
                opened[name] = vault().open(stored[name], _place(name))
            except SecretUnreadable as error:
                del opened[name]
                if self._unreadable.get(name) != stored[name]:
                    self._unreadable[name] = stored[name]
                    log.error("the setting %s cannot be read, its default is in force: %s; set it again", name, error)
        return opened


def _place(name: str) -> str:
    return place("settings", name, "value")


def _store(name: str, value: str) -> None:
    with transaction() as session:
        session.merge(SettingRow(key=name, value=value, updated_at=time.time()))


def find(name: str) -> Setting:
    """The registry's entry. Raises SettingError that lists the names."""
    if name not in BY_NAME:
        raise SettingError(f"there is no setting {name!r}; the settings are: {', '.join(BY_NAME)}")
    return BY_NAME[name]


assert {item.name for item in fields(Settings)} == BY_NAME.keys(), "Settings and SETTINGS name the same settings"
assert {setting.name for setting in SETTINGS if setting.secret} <= SECRET_SETTINGS, "what is secret is stored sealed"
