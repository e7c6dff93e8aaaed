"""Start-up configuration: read once from the environment or `.env`, typed, and refused with every problem at once.

Run-time settings live in the database (`app.settings`). The real environment wins over `.env`, which stands beside this file.
This is the only module that reads the environment.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from dotenv.parser import parse_stream

ROOT = Path(__file__).resolve().parent
DOTENV = ROOT / ".env"
SQLITE = "sqlite:///"


class ConfigError(Exception):
    """The configuration cannot be used; the message names every problem, one per line."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("The configuration has problems:\n" + "\n".join(f"  {problem}" for problem in problems))
        self.problems = problems


def _text(value: str) -> str:
    return value


def _port(value: str) -> int:
    if not value.isascii() or not value.isdigit() or not 1 <= int(value) <= 65535:
        raise ValueError("must be a port number from 1 to 65535")
    return int(value)


def _positive(value: str) -> int:
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise ValueError("must be a whole number of at least 1")
    return int(value)


def _one_of(*choices: str) -> Callable[[str], str]:
    def parse(value: str) -> str:
        for choice in choices:
            if value.lower() == choice.lower():
                return choice
        raise ValueError(f"must be one of {', '.join(choices)}")

    return parse


def _switch(value: str) -> bool:
    return {"on": True, "off": False}[_one_of("on", "off")(value)]


def _url(value: str) -> str:
    if not value.startswith(("http://", "https://")) or len(value.split("//", 1)[1]) == 0:
        raise ValueError("must be a URL that starts with http:// or https://")
    return value.rstrip("/")


def _proxy(value: str) -> str:
    if "://" not in value:
        value = f"http://{value}"
    if value.split("://", 1)[0] not in {"http", "https", "socks5", "socks5h"}:
        raise ValueError("must be an http, https or socks5 URL")
    return value


def _database_url(value: str) -> str:
    """What platforms hand out means PostgreSQL through psycopg 3; a file of SQLite is accepted as well."""
    for prefix in ("postgres://", "postgresql://", "postgresql+psycopg://"):
        if value.startswith(prefix):
            return "postgresql+psycopg://" + value.removeprefix(prefix)
    # Not in memory: every worker would have a database of its own.
    if value.startswith(SQLITE) and value.removeprefix(SQLITE) not in {"", ":memory:"}:
        return value
    raise ValueError("must start with postgres://, postgresql:// or sqlite:/// and a file")


def _existing_file(value: str) -> Path:
    path = Path(value).expanduser()
    if not path.is_file():
        raise ValueError("names no file; correct the path or unset the variable")
    return path


def _existing_path(value: str) -> str:
    if not Path(value).expanduser().exists():
        raise ValueError("names no file; correct the path or unset the variable")
    return str(Path(value).expanduser())


def _path(value: str) -> Path:
    return Path(value).expanduser()


def _list(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",") if part.strip())


def _secret_of(length: int) -> Callable[[str], str]:
    def parse(value: str) -> str:
        if len(value) < length:
            raise ValueError(f"must be at least {length} characters long")
        return value

    return parse


def _secret_keys(value: str) -> tuple[str, ...]:
    keys = _list(value)
    if any(len(key) < 32 for key in keys):
        raise ValueError("must be keys of at least 32 characters each; make one with: openssl rand -hex 32")
    return keys


def _origins(value: str) -> tuple[str, ...]:
    origins = _list(value)
    for origin in origins:
        if origin != "*" and not origin.startswith(("http://", "https://")):
            raise ValueError(f"holds {origin!r}, which is not an origin such as https://app.example")
    return origins


def variable(
    parse: Callable[[str], Any], help_: str, *, default: Any = None, secret: bool = False, alias: str | None = None
) -> Any:
    """One variable. parse: raises ValueError with what it must be; default: used when unset or empty."""
    metadata = {"parse": parse, "help": help_, "secret": secret, "alias": alias}
    return field(default=default, repr=not secret, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class Config:
    """Everything that is fixed at start. A field is the variable of the same name in upper case."""

    host: str = variable(_text, "Address to listen on; 0.0.0.0 for every interface", default="127.0.0.1")
    port: int = variable(_port, "Port to listen on", default=8080)
    api_key: str | None = variable(_text, "Key that clients present; more can be made with `keys create`", secret=True)
    admin_username: str = variable(_text, "Name of the first administrator", default="admin")
    admin_password: str | None = variable(_text, "Password of the first administrator", secret=True)
    db_path: Path = variable(_path, "SQLite database file", default=Path("data.db"))
    jwt_secret: str | None = variable(
        _secret_of(32), "Signs admin sessions, at least 32 characters; made and kept by itself when unset", secret=True
    )
    jwt_expiry_hours: int = variable(_positive, "Hours an admin session lasts", default=24)
    database_url: str | None = variable(
        _database_url, "PostgreSQL instead of SQLite: postgres://user:password@host/name (wins over DB_PATH)", secret=True
    )
    kiro_secret_keys: tuple[str, ...] = variable(
        _secret_keys,
        "Comma list of secrets that protect stored tokens; the first writes, all read; required with PostgreSQL",
        default=(),
        secret=True,
    )
    kiro_credentials_file: Path | None = variable(
        _existing_file, "File with Kiro logins, read at start and never written (any form that `credentials import` reads)"
    )
    kiro_upstream_url: str | None = variable(_url, "Send every upstream call to this base URL instead (a stand-in, a relay)")
    log_level: str = variable(_one_of("debug", "info", "warning", "error"), "debug, info, warning or error", default="info")
    log_format: str = variable(_one_of("text", "json"), "text or json", default="text")
    cors_origins: tuple[str, ...] = variable(_origins, "Comma list of browser origins that may call /v1", default=())
    public_base_url: str | None = variable(_url, "Address clients use, when it is not HOST and PORT")
    trusted_proxies: tuple[str, ...] = variable(_list, "Comma list of proxies whose headers are believed", default=())
    web_concurrency: int = variable(_positive, "Worker processes", default=2)
    drain_seconds: int = variable(_positive, "Seconds that open streams may go on when the gateway is stopped", default=50)
    fast_path: bool = variable(_switch, "on or off: the relay's fast path", default=True)
    proxy_url: str | None = variable(
        _proxy, "Proxy for upstream calls, when the settings name none", alias="HTTPS_PROXY", secret=True
    )
    no_proxy: tuple[str, ...] = variable(_list, "Comma list of hosts that are called without the proxy", default=())
    ca_bundle: str | None = variable(
        _existing_path, "File with the certificate authorities to trust", alias="REQUESTS_CA_BUNDLE"
    )

    @property
    def sqlalchemy_url(self) -> str:
        """Where the data is."""
        return self.database_url or f"{SQLITE}{self.db_path.absolute()}"

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None, dotenv: Path | None = DOTENV) -> Config:
        """Read `environ` (default: the process's) over `dotenv`; raises ConfigError naming every problem."""
        real = os.environ if environ is None else environ
        problems: list[str] = []
        sources = (real, _read(dotenv, problems))
        values: dict[str, Any] = {}
        for item in fields(cls):
            name = variable_name(item.name)
            text = _first(sources, name)
            if text is None:
                continue
            try:
                values[item.name] = item.metadata["parse"](text)
            except ValueError as error:
                shown = "" if item.metadata["secret"] else f" (is {text!r})"
                problems.append(f"{name}: {error}{shown}")
        values = _sqlite_as_path(values)
        if values.get("database_url") and _first(sources, "KIRO_SECRET_KEYS") is None:
            # A key made by itself would stay on this machine, and the tokens be unreadable on every other.
            problems.append(
                "KIRO_SECRET_KEYS: must be set when DATABASE_URL names PostgreSQL, to the same on every machine; "
                "make one with: openssl rand -hex 32"
            )
        if problems:
            raise ConfigError(problems)
        return cls(**values)


def variable_name(field_name: str) -> str:
    """The environment variable behind a field."""
    item = next(item for item in fields(Config) if item.name == field_name)
    return str(item.metadata["alias"] or field_name.upper())


# Variables of the system come in several spellings; the first that is set counts.
_SPELLINGS = {
    "HTTPS_PROXY": ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"),
    "NO_PROXY": ("NO_PROXY", "no_proxy"),
    "REQUESTS_CA_BUNDLE": ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"),
}


def _first(sources: Iterable[Mapping[str, str]], name: str) -> str | None:
    """The trimmed value of the first source that names the variable in any spelling; empty there means unset."""
    spellings = _SPELLINGS.get(name, (name,))
    for source in sources:
        texts = [source[spelling].strip() for spelling in spellings if spelling in source]
        if texts:
            return next(filter(None, texts), None)
    return None


def _read(dotenv: Path | None, problems: list[str]) -> dict[str, str]:
    """The variables of a `.env`; what cannot be read is added to `problems`."""
    if dotenv is None or not dotenv.exists():
        return {}
    try:
        text = dotenv.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        problems.append(f"{dotenv.name}: cannot be read: {reason}")
        return {}
    # The parser of python-dotenv itself: dotenv_values() leaves out what it does not understand.
    bindings = list(parse_stream(io.StringIO(text)))
    problems += [f"{dotenv.name}: line {item.original.line} is not NAME=value" for item in bindings if item.error]
    return {item.key: item.value for item in bindings if item.key is not None and item.value is not None}


def _sqlite_as_path(values: dict[str, Any]) -> dict[str, Any]:
    """`DATABASE_URL=sqlite:///file` says what DB_PATH says: from here on `database_url` is PostgreSQL or nothing."""
    url = values.get("database_url") or ""
    if not url.startswith(SQLITE):
        return values
    return {**values, "database_url": None, "db_path": _path(url.removeprefix(SQLITE))}


def example() -> str:
    """The text of `.env.example`: every variable with its meaning and default."""
    lines = ["# Copy to .env and change what you need; the real environment wins over it.", ""]
    for item in fields(Config):
        default = item.default
        shown = ("on" if default else "off") if isinstance(default, bool) else default
        lines += [f"# {item.metadata['help']}", f"#{variable_name(item.name)}={'' if default in (None, ()) else shown}", ""]
    return "\n".join(lines).rstrip() + "\n"
