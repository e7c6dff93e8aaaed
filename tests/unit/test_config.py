"""What start-up configuration promises: everything wrong is told at once, and no secret with it."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import FrozenInstanceError, fields
from pathlib import Path

import pytest

from config import ROOT, Config, ConfigError, example, variable_name
from tests.integration.gateway import clean_environment, free_port

THREE_MISTAKES = "PORT=eighty\nLOG_LEVEL=loud\nJWT_SECRET=hunter2-short\n"

KEY = "k" * 32


def config_of(**environment: str) -> Config:
    return Config.from_env(environment, dotenv=None)


def problems_of(**environment: str) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        config_of(**environment)
    return caught.value.problems


def test_every_variable_has_a_default_but_the_secrets() -> None:
    config = config_of()
    assert (config.host, config.port, config.db_path) == ("127.0.0.1", 8080, Path("data.db"))
    assert (config.api_key, config.admin_password, config.jwt_secret, config.kiro_secret_keys) == (None, None, None, ())


def test_the_example_file_is_the_generated_one() -> None:
    assert (ROOT / ".env.example").read_text() == example(), "write it anew: python -c 'import config; print(config.example())'"


def test_the_example_file_changes_nothing_when_copied(tmp_path: Path) -> None:
    copy = tmp_path / ".env"
    copy.write_text(example())
    assert Config.from_env({}, copy) == config_of()


def test_the_defaults_in_the_example_file_are_accepted(tmp_path: Path) -> None:
    lines = [line[1:] for line in example().splitlines() if line.startswith("#") and "=" in line and " " not in line]
    assert len(lines) == len(fields(Config))
    uncommented = tmp_path / ".env"
    uncommented.write_text("\n".join(lines))
    assert Config.from_env({}, uncommented) == config_of()


def test_three_mistakes_in_a_file_are_one_message(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text(THREE_MISTAKES)
    with pytest.raises(ConfigError) as caught:
        Config.from_env({}, dotenv)
    assert [problem.split(":")[0] for problem in caught.value.problems] == ["PORT", "JWT_SECRET", "LOG_LEVEL"]
    assert "'eighty'" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "command", [["-m", "gunicorn", "wsgi:app", "--workers", "3"], ["-m", "flask", "--app", "wsgi", "keys", "list"]]
)
def test_a_start_with_three_mistakes_says_so_once_and_ends(command: list[str]) -> None:
    mistakes = {"PORT": "eighty", "LOG_LEVEL": "loud", "JWT_SECRET": "hunter2-short"}
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=clean_environment(**mistakes), capture_output=True, text=True, timeout=30
    )
    said = done.stdout + done.stderr
    assert done.returncode != 0
    assert said.count("The configuration has problems") == 1
    assert all(said.count(f"\n  {name}: must be") == 1 for name in mistakes)
    assert "Traceback" not in said
    assert "hunter2" not in said


def test_the_real_environment_wins_over_the_file(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("PORT=1111\nHOST=10.0.0.1\nAPI_KEY=from-file\n")
    config = Config.from_env({"PORT": "2222", "API_KEY": ""}, dotenv)
    assert (config.port, config.host) == (2222, "10.0.0.1")
    assert config.api_key is None, "empty in the real environment means unset"


def test_the_real_environment_wins_in_any_spelling(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("HTTPS_PROXY=http://file:1\nREQUESTS_CA_BUNDLE=/nowhere.pem\n")
    bundle = tmp_path / "ca.pem"
    bundle.touch()
    config = Config.from_env({"https_proxy": "http://real:2", "SSL_CERT_FILE": str(bundle)}, dotenv)
    assert (config.proxy_url, config.ca_bundle) == ("http://real:2", str(bundle))


def test_a_file_with_quotes_comments_and_export_is_read(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("\ufeff# ours\nexport API_KEY='a # $b'\nHOST=\"0.0.0.0\" # outside\n\nPORT = 9000\n", encoding="utf-8")
    config = Config.from_env({}, dotenv)
    assert (config.api_key, config.host, config.port) == ("a # $b", "0.0.0.0", 9000)


def test_a_line_nobody_can_read_is_a_problem(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_text("HOST=127.0.0.1\nAPI_KEY='never closed\nPORT=0\n")
    with pytest.raises(ConfigError) as caught:
        Config.from_env({}, dotenv)
    assert caught.value.problems[0] == ".env: line 2 is not NAME=value"
    assert caught.value.problems[1].startswith("PORT: must be a port number")


def test_a_file_that_is_not_text_is_a_problem(tmp_path: Path) -> None:
    dotenv = tmp_path / ".env"
    dotenv.write_bytes(b"API_KEY=\xff\xfe\n")
    with pytest.raises(ConfigError, match="not UTF-8"):
        Config.from_env({}, dotenv)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ConfigError, match="cannot be read"):
        Config.from_env({}, tmp_path / "folder")


def test_no_secret_is_in_a_repr() -> None:
    secrets = {
        "API_KEY": "secret-key",
        "ADMIN_PASSWORD": "secret-word",
        "JWT_SECRET": "secret-" + "x" * 32,
        "DATABASE_URL": "postgres://u:secret-db@h/n",
        "KIRO_SECRET_KEYS": "secret-a" * 4 + ",secret-b" + "b" * 32,
        "HTTPS_PROXY": "http://u:secret-proxy@h:1",
    }
    assert set(secrets) == {variable_name(item.name) for item in fields(Config) if item.metadata["secret"]}
    assert "secret-" not in repr(config_of(**secrets))


def test_no_secret_is_in_a_message() -> None:
    wrong = {"JWT_SECRET": "hidden-a", "DATABASE_URL": "mysql://u:hidden-b@h", "HTTPS_PROXY": "ftp://u:hidden-c@h"}
    problems = problems_of(**wrong)
    assert len(problems) == 3
    assert "hidden" not in "".join(problems)


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        config_of().port = 1  # type: ignore[misc]


def test_postgresql_needs_the_secret_that_every_machine_shares() -> None:
    (problem,) = problems_of(DATABASE_URL="postgres://u:hidden@h/n")
    assert problem.startswith("KIRO_SECRET_KEYS: must be set when DATABASE_URL names PostgreSQL")
    assert config_of(DATABASE_URL="sqlite:///a.db").kiro_secret_keys == ()


@pytest.mark.parametrize("keys", ["short", "k" * 32 + ",short"])
def test_a_secret_that_can_be_guessed_is_refused(keys: str) -> None:
    (problem,) = problems_of(KIRO_SECRET_KEYS=keys)
    assert problem.startswith("KIRO_SECRET_KEYS: must be keys of at least 32 characters each")
    assert "short" not in problem


@pytest.mark.parametrize("scheme", ["postgres", "postgresql", "postgresql+psycopg"])
def test_postgresql_is_spoken_through_psycopg_3(scheme: str) -> None:
    config = config_of(DATABASE_URL=f"{scheme}://u:p@h:5432/n?sslmode=require", DB_PATH="ignored.db", KIRO_SECRET_KEYS=KEY)
    assert config.sqlalchemy_url == "postgresql+psycopg://u:p@h:5432/n?sslmode=require"


def test_a_database_url_of_sqlite_names_the_file(tmp_path: Path) -> None:
    config = config_of(DATABASE_URL=f"sqlite:///{tmp_path}/a.db", DB_PATH="ignored.db")
    assert config.database_url is None
    assert config.db_path == tmp_path / "a.db"
    assert config.sqlalchemy_url == f"sqlite:///{tmp_path}/a.db"
    relative = config_of(DATABASE_URL="sqlite:///some/b.db")
    assert relative.sqlalchemy_url == f"sqlite:///{Path('some/b.db').absolute()}"


@pytest.mark.parametrize("url", ["mysql://h/n", "sqlite:///:memory:", "sqlite:///", "sqlite://", "h:5432/n"])
def test_another_database_is_refused(url: str) -> None:
    assert problems_of(DATABASE_URL=url) == [
        "DATABASE_URL: must start with postgres://, postgresql:// or sqlite:/// and a file"
    ]


@pytest.mark.parametrize(
    ("value", "means"),
    [
        ("proxy.example:3128", "http://proxy.example:3128"),
        ("https://u:p@proxy:1", "https://u:p@proxy:1"),
        ("socks5h://proxy:1080", "socks5h://proxy:1080"),
    ],
)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"])
def test_a_proxy_is_read_in_every_spelling(name: str, value: str, means: str) -> None:
    assert config_of(**{name: value}).proxy_url == means


def test_the_proxy_for_https_comes_first() -> None:
    assert config_of(http_proxy="http://a:1", HTTPS_PROXY="", https_proxy="http://b:2").proxy_url == "http://b:2"


def test_hosts_without_a_proxy_are_a_list() -> None:
    assert config_of(no_proxy="localhost, .example.com,").no_proxy == ("localhost", ".example.com")


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_ca_bundle_must_be_there(name: str, tmp_path: Path) -> None:
    bundle = tmp_path / "ca.pem"
    assert problems_of(**{name: str(bundle)}) == [
        f"REQUESTS_CA_BUNDLE: names no file; correct the path or unset the variable (is {str(bundle)!r})"
    ]
    bundle.touch()
    assert config_of(**{name: str(bundle)}).ca_bundle == str(bundle)


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        *[("PORT", value) for value in ("0", "65536", "-1", "80.0", "٨٠", "8080 9090")],
        *[("WEB_CONCURRENCY", value) for value in ("0", "two", "1.5")],
        ("JWT_EXPIRY_HOURS", "0"),
        ("LOG_FORMAT", "xml"),
        ("FAST_PATH", "yes"),
        ("KIRO_UPSTREAM_URL", "kiro.example"),
        ("KIRO_UPSTREAM_URL", "https://"),
        ("PUBLIC_BASE_URL", "ftp://gateway.example"),
        ("CORS_ORIGINS", "https://a.example,b.example"),
        ("KIRO_CREDENTIALS_FILE", "/nowhere/credentials.json"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_must_be(name: str, wrong: str) -> None:
    (problem,) = problems_of(**{name: wrong})
    assert problem.startswith(f"{name}: ")
    assert wrong.split(",")[-1] in problem


def test_lists_and_switches() -> None:
    config = config_of(
        KIRO_SECRET_KEYS=f"{KEY}, old-{KEY},,",
        CORS_ORIGINS="*",
        TRUSTED_PROXIES="10.0.0.0/8",
        FAST_PATH="Off",
        LOG_LEVEL="DEBUG",
    )
    assert config.kiro_secret_keys == (KEY, f"old-{KEY}")
    assert (config.cors_origins, config.trusted_proxies) == (("*",), ("10.0.0.0/8",))
    assert (config.fast_path, config.log_level) == (False, "debug")


def test_the_port_is_free_again_after_a_refused_start() -> None:
    port = free_port()
    environment = clean_environment(PORT=str(port), LOG_LEVEL="loud")
    done = subprocess.run(
        [sys.executable, "-m", "gunicorn", "wsgi:app"], cwd=ROOT, env=environment, capture_output=True, timeout=30
    )
    assert done.returncode == 1
    assert b"Listening" not in done.stderr
