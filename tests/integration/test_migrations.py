"""Four processes start at once, on nothing and on the original's database: one migrates, all are ready."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.integration.gateway import ROOT, clean_environment, flask_command, running_gateway
from tests.unit.storage.original import dump, make_original

# One start: everything a worker does before it answers, then the number of credentials it sees.
START = "from config import Config; from app.factory import create_app; from app.services import EXTENSION as E; \
print(len(create_app(Config.from_env()).extensions[E].store.all()))"


def start(folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", START],
        cwd=ROOT,
        env=clean_environment(DB_PATH=str(folder / "data.db"), API_KEY="sk-x"),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def tables(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


@pytest.mark.parametrize(("original", "credentials"), [(False, "0"), (True, "3")], ids=["empty", "of the original"])
def test_four_starts_at_once_migrate_once(tmp_path: Path, original: bool, credentials: str) -> None:
    path = tmp_path / "data.db"
    before = b""
    if original:
        make_original(path)
        before = path.read_bytes()
    processes = [start(tmp_path) for _ in range(4)]
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0, 0], answers
    assert [out.strip() for out, _ in answers] == [credentials] * 4
    assert "".join(err for _, err in answers).count("migrated database to") == 1
    copy = Path(f"{path}.before-kiro-py")
    assert copy.exists() == original
    if original:
        assert copy.read_bytes() == before


def test_four_workers_are_ready_on_a_database_of_the_original(tmp_path: Path) -> None:
    make_original(tmp_path / "data.db")
    with running_gateway(tmp_path, upstream_url=None, workers=4) as gateway:
        deadline = time.monotonic() + 20
        while len(gateway.worker_pids()) < 4 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(gateway.worker_pids()) == 4
        assert gateway.log.count("migrated database to") == 1
        assert gateway.log.count("took over 3 credentials and 1 users") == 1
    assert "Traceback" not in gateway.log


@pytest.mark.parametrize("milliseconds", [300, 450, 600, 800])
def test_a_start_that_is_killed_at_any_moment_is_finished_by_the_next(tmp_path: Path, milliseconds: int) -> None:
    path = tmp_path / "data.db"
    make_original(path)
    before = dump(path)
    first = start(tmp_path)
    time.sleep(milliseconds / 1000)
    os.kill(first.pid, signal.SIGKILL)
    first.communicate()
    second = start(tmp_path)
    out, err = second.communicate(timeout=60)
    assert (second.returncode, out.strip()) == (0, "3"), err
    assert dump(Path(f"{path}.before-kiro-py")) == before
    assert not {name for name in tables(path) if name.startswith("original_")}


def test_the_command_line_sees_what_was_taken_over(tmp_path: Path) -> None:
    make_original(tmp_path / "data.db")
    listed = flask_command(tmp_path, "credentials", "list")
    assert listed.returncode == 0, listed.stderr
    assert "one@example.com" in listed.stdout
    assert "aorAAAAAG" not in listed.stdout
