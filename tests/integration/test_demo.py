"""`make run`, `make demo` and `build.sh`, in a copy of the tree: they say what is needed and leave nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psutil
import pytest

from app.storage.secrets import Vault, place
from simulator.client import Simulator
from tests.integration.gateway import clean_environment, free_port
from tests.integration.tree import copy_tree, make, run

STOP_SECONDS = 5.0
START_SECONDS = 30.0  # measured: 1.8–2.6 s on a quiet machine, where 3 are promised


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return copy_tree(tmp_path_factory.mktemp("tree"))


class Made:
    """A running `make TARGET`, leader of a process group of its own."""

    def __init__(self, tree: Path, target: str, **environment: str) -> None:
        self.port = free_port()
        self._log = tree / f"{target}-{self.port}.log"
        with self._log.open("wb") as output:
            self.process = subprocess.Popen(
                ["make", target],
                cwd=tree,
                env=clean_environment(PORT=str(self.port), PYTHONUNBUFFERED="1", **environment),
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def group(self) -> list[psutil.Process]:
        """Everything of the group that still runs."""
        self.process.poll()
        return [each for each in psutil.process_iter() if _in_group(each, self.process.pid)]

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log
            try:
                urllib.request.urlopen(f"{self.url}/readyz", timeout=2).close()
                return
            except OSError:
                time.sleep(0.05)
        raise AssertionError(self.log)

    def post(self, key: str, *, stream: bool) -> urllib.request.addinfourl:
        messages = [{"role": "user", "content": "Hi"}]
        body = {"model": "claude-sonnet-4.5", "max_tokens": 99, "stream": stream, "messages": messages}
        headers = {"content-type": "application/json", "x-api-key": key}
        request = urllib.request.Request(f"{self.url}/v1/messages", json.dumps(body).encode(), headers)
        return urllib.request.urlopen(request, timeout=20)

    def seconds_until_gone(self) -> float:
        began_at = time.monotonic()
        while self.group() and time.monotonic() - began_at < STOP_SECONDS + 2:
            time.sleep(0.05)
        return time.monotonic() - began_at


@contextmanager
def made(tree: Path, target: str, **environment: str) -> Iterator[Made]:
    running = Made(tree, target, **environment)
    try:
        running.wait_until_ready()
        yield running
    finally:
        for left_over in running.group():
            left_over.kill()
        running.process.wait()


def _in_group(process: psutil.Process, leader: int) -> bool:
    try:
        return os.getpgid(process.pid) == leader and process.status() != psutil.STATUS_ZOMBIE
    except (ProcessLookupError, psutil.NoSuchProcess):
        return False


def tell(running: Made, how: str) -> None:
    if how == "SIGTERM to make alone":
        os.kill(running.process.pid, signal.SIGTERM)
    else:  # a terminal sends Ctrl-C to the whole group
        os.killpg(running.process.pid, signal.SIGINT)


@pytest.mark.parametrize("how", ["SIGTERM to make alone", "Ctrl-C"])
def test_the_demo_answers_its_own_line_and_leaves_nothing_behind(tree: Path, how: str) -> None:
    with made(tree, "demo") as demo:
        curl = next(line.strip() for line in _eventually(demo, "curl -sN").splitlines() if "curl -sN" in line)
        answer = subprocess.run(["sh", "-c", curl], capture_output=True, text=True, timeout=30)
        assert "event: message_stop" in answer.stdout, answer
        tell(demo, how)
        assert demo.seconds_until_gone() < STOP_SECONDS
    assert "Traceback" not in demo.log
    assert "Stopping the demo." in demo.log


@pytest.mark.parametrize("how", ["SIGTERM to make alone", "Ctrl-C"])
def test_a_run_ends_an_open_stream_with_an_error_and_leaves_nothing_behind(tree: Path, tmp_path: Path, how: str) -> None:
    with Simulator.start() as upstream:
        account = upstream.add_account(kind="social")
        login = tmp_path / "login.json"
        login.write_text(json.dumps({"refreshToken": account["refresh_token"], "authMethod": "social"}))
        upstream.script([{"text": " ".join(["word"] * 600), "delay_between": 0.2}])
        settings = {
            "API_KEY": "sk-run",
            "DB_PATH": str(tmp_path / "data.db"),
            "KIRO_UPSTREAM_URL": upstream.url,
            "KIRO_CREDENTIALS_FILE": str(login),
        }
        with made(tree, "run", **settings) as gateway, gateway.post("sk-run", stream=True) as stream:
            assert stream.readline() == b"event: message_start\n"
            tell(gateway, how)
            assert gateway.seconds_until_gone() < STOP_SECONDS
            rest = stream.read().decode()
    assert "event: error" in rest
    assert "event: message_stop" not in rest
    assert "Traceback" not in gateway.log


def test_a_refresh_in_flight_is_waited_for_and_said_so(tree: Path, tmp_path: Path) -> None:
    with Simulator.start() as upstream:
        account = upstream.add_account(kind="social")
        login = tmp_path / "login.json"
        login.write_text(json.dumps({"refreshToken": account["refresh_token"], "authMethod": "social"}))
        upstream.options(refresh_delay=4.0)  # longer than streams may go on
        settings = {"API_KEY": "sk-run", "DB_PATH": str(tmp_path / "data.db"), "KIRO_UPSTREAM_URL": upstream.url}
        with made(tree, "run", KIRO_CREDENTIALS_FILE=str(login), **settings) as gateway:
            client = threading.Thread(target=_ask, args=(gateway,))
            client.start()
            upstream.wait_for_call(lambda call: True, path="/refreshToken", seconds=20)
            began_at = time.monotonic()
            tell(gateway, "SIGTERM to make alone")
            gateway.seconds_until_gone()
            assert time.monotonic() - began_at > 2.0
            client.join(20)
        rotated = upstream.account(account["id"])["refresh_token"]
    assert "token refresh" in gateway.log
    assert rotated != account["refresh_token"]
    with closing(sqlite3.connect(tmp_path / "data.db")) as connection:
        ((sealed,),) = connection.execute("SELECT refresh_token FROM credentials").fetchall()
    vault = Vault([(tmp_path / "data.db.key").read_bytes()])
    assert vault.open(sealed, place("credentials", 1, "refresh_token")) == rotated


def test_a_run_prints_its_first_key_once(tree: Path, tmp_path: Path) -> None:
    settings = {"DB_PATH": str(tmp_path / "data.db")}
    logs = []
    for _ in range(2):
        with made(tree, "run", **settings) as gateway:
            tell(gateway, "Ctrl-C")
            assert gateway.seconds_until_gone() < STOP_SECONDS
        logs.append(gateway.log)
    assert "A new API key, shown only this once" in logs[0]
    assert logs[0].count("\n  sk-kiro-") == 1
    assert "sk-kiro-" not in logs[1]


@pytest.mark.parametrize("argument", ["all", "frontend", "backend"])
def test_build_sh_ends_well(tree: Path, argument: str) -> None:
    done = run(tree, "./build.sh", argument)
    assert done.returncode == 0, done.stderr


def test_build_sh_says_what_it_can_do(tree: Path) -> None:
    done = run(tree, "./build.sh", "nonsense")
    assert done.returncode == 2
    assert "all|frontend|backend|clean" in done.stderr


def test_cleaning_leaves_what_belongs_to_the_user(tmp_path: Path) -> None:
    tree = copy_tree(tmp_path)
    for name in (".env", "data.db", ".mypy_cache/x", "app/__pycache__/x.pyc"):
        (tree / name).parent.mkdir(exist_ok=True)
        (tree / name).touch()
    assert run(tree, "./build.sh", "clean").returncode == 0
    assert [name for name in (".venv", ".mypy_cache", "app/__pycache__") if (tree / name).exists()] == []
    assert (tree / ".env").exists()
    assert (tree / "data.db").exists()


def test_make_lists_its_targets(tree: Path) -> None:
    listed = make(tree, "help").stdout
    for target in ("run", "demo", "install", "test", "check", "frontend", "clean"):
        assert f"\n{target} " in f"\n{listed}"


def test_a_debian_without_venv_is_told_what_to_install_and_can_go_on_afterwards(tmp_path: Path) -> None:
    tree = copy_tree(tmp_path)
    (tree / ".venv").rename(tmp_path / "aside")
    python = tree / "python-of-a-fresh-debian"  # leaves half an environment behind, as the real one does
    python.write_text('#!/bin/sh\n[ "$1" = -c ] && exit 0\nmkdir -p .venv/bin && touch .venv/bin/python && exit 1\n')
    python.chmod(0o755)
    done = make(tree, "install", f"PYTHON={python}")
    assert done.returncode != 0
    assert "apt install python3-venv" in done.stdout
    assert not (tree / ".venv").exists()


def test_a_python_that_is_too_old_is_told_what_is_needed(tmp_path: Path) -> None:
    tree = copy_tree(tmp_path)
    (tree / ".venv").rename(tmp_path / "aside")
    python = tree / "old-python"
    # The real interpreter, told that it is an old one.
    python.write_text(f'#!/bin/sh\nexec {sys.executable} -c "import sys; sys.version_info = (3, 9); $2"\n')
    python.chmod(0o755)
    done = make(tree, "install", f"PYTHON={python}")
    assert done.returncode != 0
    assert "needs Python 3.11 or newer" in done.stdout + done.stderr


def _ask(gateway: Made) -> None:
    """Ask without a stream; what comes back is not the point."""
    with contextlib.suppress(OSError):
        gateway.post("sk-run", stream=False).close()


def _eventually(running: Made, text: str) -> str:
    deadline = time.monotonic() + START_SECONDS
    while text not in running.log and time.monotonic() < deadline:
        time.sleep(0.05)
    return running.log
