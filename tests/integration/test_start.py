"""A start that cannot work says why, once, and ends; one that can work answers where the Procfile says."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
import urllib.request
from contextlib import closing
from pathlib import Path

import pytest

from simulator.client import Simulator
from tests.integration.gateway import ROOT, Gateway, clean_environment, flask_command, free_port, running_gateway, start_gateway

SECONDS = 15.0  # of which gunicorn's own start is one; a respawn loop would go on for ever


def refused_start(folder: Path, **environment: str | None) -> str:
    """What a start printed that ends by itself with a failure."""
    gateway = start_gateway(folder, upstream_url=None, workers=3, wait=False, **environment)
    try:
        assert gateway.process.wait(SECONDS) != 0
    finally:
        gateway.stop()
    assert "Traceback" not in gateway.log
    assert "Booting worker" not in gateway.log, "refused before there was a worker"
    return gateway.log


def test_without_any_key_it_refuses_in_one_line(tmp_path: Path) -> None:
    log = refused_start(tmp_path, API_KEY=None)
    assert log.count("there is no API key") == 1
    assert "keys create" in log


def test_a_stored_key_is_enough_until_it_is_disabled(tmp_path: Path) -> None:
    key = flask_command(tmp_path, "keys", "create", "laptop").stdout.strip()
    with running_gateway(tmp_path, upstream_url=None, API_KEY=None) as gateway:
        assert gateway.sdk(api_key=key).models.list().data
    assert flask_command(tmp_path, "keys", "disable", "1").returncode == 0
    assert "there is no API key" in refused_start(tmp_path, API_KEY=None)


def test_three_mistakes_are_one_message(tmp_path: Path) -> None:
    log = refused_start(tmp_path, JWT_EXPIRY_HOURS="0", LOG_LEVEL="loud", DATABASE_URL="mysql://u:hunter2@h/n")
    assert log.count("The configuration has problems") == 1
    assert all(log.count(f"  {name}: must") == 1 for name in ("JWT_EXPIRY_HOURS", "LOG_LEVEL", "DATABASE_URL"))
    assert "hunter2" not in log


@pytest.mark.parametrize(
    ("variable", "value", "says"),
    [
        ("DB_PATH", "/proc/nowhere/data.db", "cannot be opened"),
        ("DATABASE_URL", "postgres://u:hunter2@127.0.0.1:9/n?connect_timeout=3", "cannot be used"),
    ],
)
def test_a_database_that_is_not_there_is_one_line(tmp_path: Path, variable: str, value: str, says: str) -> None:
    log = refused_start(tmp_path, **{variable: value}, KIRO_SECRET_KEYS="s" * 32)
    assert log.count(says) == 1
    assert "hunter2" not in log


def test_a_damaged_database_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "data.db").write_bytes(b"not a database at all" * 300)
    assert refused_start(tmp_path).count("file is not a database") == 1


def test_with_what_a_platform_sets_it_answers_on_the_outside_address(tmp_path: Path) -> None:
    """The Procfile's own line, run by a shell with PORT, API_KEY and DATABASE_URL alone."""
    web = next(line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith("web: ")).removeprefix("web: ")
    port = free_port()
    environment = clean_environment(PORT=str(port), API_KEY="sk-paas", DATABASE_URL=f"sqlite:///{tmp_path}/data.db")
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    log = tmp_path / "log"
    with log.open("wb") as output:
        # `exec`: the shell makes way for gunicorn, so that the signal below reaches it
        command = web.replace("gunicorn", "exec gunicorn")
        process = subprocess.Popen(["sh", "-c", command], cwd=ROOT, env=environment, stdout=output, stderr=output)
    gateway = Gateway(process, port, log, tmp_path)
    try:
        assert _answers(f"http://127.0.0.2:{port}/readyz", gateway)
    finally:
        gateway.stop()
    assert (tmp_path / "data.db").exists()


def test_by_itself_it_listens_on_this_machine_only(tmp_path: Path) -> None:
    with running_gateway(tmp_path, upstream_url=None) as gateway, pytest.raises(OSError):
        urllib.request.urlopen(f"http://127.0.0.2:{gateway.port}/readyz", timeout=2)


def test_the_release_command_works_on_an_empty_database(tmp_path: Path) -> None:
    release = next(line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith("release: "))
    assert release == "release: flask --app wsgi db upgrade"
    for _ in range(2):
        done = flask_command(tmp_path, "db", "upgrade", DB_PATH=None, DATABASE_URL=f"sqlite:///{tmp_path}/data.db")
        assert done.returncode == 0, done.stderr
    current = flask_command(tmp_path, "db", "current")
    assert "(head)" in current.stdout + current.stderr


@pytest.mark.parametrize("first", ["import wsgi", "import runpy; runpy.run_path('gunicorn.conf.py'); import wsgi"])
def test_the_http_library_finds_a_patched_ssl(tmp_path: Path, first: str) -> None:
    """Imported before the patch, every HTTPS call would end in a RecursionError while plain HTTP works."""
    done = subprocess.run(
        [
            sys.executable,
            "-W",
            "error:::gevent",
            "-c",
            f"{first}; import urllib3.util.ssl_ as s; print(s.SSLContext.__module__)",
        ],
        cwd=ROOT,
        env=clean_environment(API_KEY="sk-x", DB_PATH=str(tmp_path / "data.db")),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.strip() == "gevent.ssl", done.stderr


@pytest.mark.parametrize(("workers", "shared"), [(1, False), (2, True)])
def test_several_workers_share_the_libraries(tmp_path: Path, workers: int, shared: bool) -> None:
    with running_gateway(tmp_path, upstream_url=None, workers=workers) as gateway:
        assert ("_pydantic_core" in Path(f"/proc/{gateway.process.pid}/maps").read_text()) is shared


def test_a_reload_brings_new_workers_that_answer(tmp_path: Path) -> None:
    with running_gateway(tmp_path, upstream_url=None, workers=2) as gateway:
        before = set(gateway.worker_pids())
        gateway.process.send_signal(signal.SIGHUP)
        deadline = time.monotonic() + SECONDS
        while before & set(gateway.worker_pids()) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not before & set(gateway.worker_pids())
        assert gateway.sdk().models.list().data


def test_no_record_is_lost_at_exit(tmp_path: Path) -> None:
    with Simulator.start() as upstream:
        login = tmp_path / "login.json"
        token = upstream.add_account(kind="social")["refresh_token"]
        login.write_text(json.dumps({"refreshToken": token, "authMethod": "social"}))
        with running_gateway(tmp_path, upstream_url=upstream.url, workers=2, KIRO_CREDENTIALS_FILE=str(login)) as gateway:
            sdk = gateway.sdk()
            for _ in range(20):
                sdk.messages.create(model="claude-sonnet-4.5", max_tokens=9, messages=[{"role": "user", "content": "Hi"}])
            assert gateway.stop() == 0  # at once: the writers are still gathering
    with closing(sqlite3.connect(tmp_path / "data.db")) as connection:
        assert connection.execute("SELECT count(*), min(status), max(status) FROM requests").fetchone() == (20, 200, 200)


def _answers(url: str, gateway: Gateway) -> bool:
    deadline = time.monotonic() + SECONDS
    while time.monotonic() < deadline:
        assert gateway.process.poll() is None, gateway.log
        try:
            with urllib.request.urlopen(url, timeout=2) as answer:
                return bool(answer.status == 200)
        except OSError:
            time.sleep(0.05)
    return False
