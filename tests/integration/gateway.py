"""A real gateway for a test: gunicorn in a process of its own, on a free port of the loopback."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic

ROOT = Path(__file__).resolve().parents[2]
API_KEY = "sk-test-gateway-key"
START_SECONDS = 60.0
# `KIRO_TESTS_FAST_PATH=off make test` runs every gateway without it.
FAST_PATH = "KIRO_TESTS_FAST_PATH"
OURS = frozenset(
    [
        "HOST",
        "PORT",
        "API_KEY",
        "ADMIN_USERNAME",
        "ADMIN_PASSWORD",
        "DB_PATH",
        "JWT_SECRET",
        "JWT_EXPIRY_HOURS",
        "DATABASE_URL",
        "KIRO_SECRET_KEYS",
        "KIRO_CREDENTIALS_FILE",
        "KIRO_UPSTREAM_URL",
        "LOG_LEVEL",
        "LOG_FORMAT",
        "CORS_ORIGINS",
        "PUBLIC_BASE_URL",
        "TRUSTED_PROXIES",
        "WEB_CONCURRENCY",
        "DRAIN_SECONDS",
        "FAST_PATH",
        "HTTPS_PROXY",
        "HTTP_PROXY",
        "NO_PROXY",
    ]
)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def clean_environment(**extra: str | None) -> dict[str, str]:
    """The environment without the gateway's own variables, so that a developer's `.env` habits do not leak in."""
    environment = {name: value for name, value in os.environ.items() if name.upper() not in OURS}
    if FAST_PATH in os.environ:
        environment["FAST_PATH"] = os.environ[FAST_PATH]
    environment.update({name: value for name, value in extra.items() if value is not None})
    return environment


class Gateway:
    """One running gateway. `log` is everything it printed so far."""

    def __init__(self, process: subprocess.Popen[bytes], port: int, log_path: Path, folder: Path) -> None:
        self.process = process
        self.port = port
        self.folder = folder
        self._log_path = log_path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> str:
        return self._log_path.read_text(errors="replace")

    def sdk(self, *, api_key: str = API_KEY, **options: Any) -> anthropic.Anthropic:
        """The official client, without its own retries unless asked for."""
        return anthropic.Anthropic(base_url=self.url, api_key=api_key, **{"max_retries": 0, "timeout": 60.0, **options})

    def worker_pids(self) -> list[int]:
        import psutil

        return [child.pid for child in psutil.Process(self.process.pid).children()]

    def stop(self, *, seconds: float = 20.0) -> int:
        """SIGTERM, then wait; SIGKILL to what this test started when it does not end."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                for pid in self.worker_pids():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
                self.process.kill()
                self.process.wait()
        return int(self.process.returncode)


def start_gateway(
    folder: Path,
    *,
    upstream_url: str | None,
    workers: int = 1,
    arguments: tuple[str, ...] = (),
    wait: bool = True,
    **environment: str | None,
) -> Gateway:
    """Start gunicorn with its database and log in `folder`; environment variables in upper case, None removes one."""
    port = free_port()
    log_path = folder / f"gateway-{port}.log"
    variables: dict[str, str | None] = {
        "PORT": str(port),
        "API_KEY": API_KEY,
        "DB_PATH": str(folder / "data.db"),
        "KIRO_UPSTREAM_URL": upstream_url,
        "WEB_CONCURRENCY": str(workers),
        "PYTHONUNBUFFERED": "1",
        "DRAIN_SECONDS": "5",
        **environment,
    }
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "gunicorn", "wsgi:app", *arguments],
            cwd=ROOT,
            env=clean_environment(**variables),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    gateway = Gateway(process, port, log_path, folder)
    if wait:
        wait_until_up(gateway)
    return gateway


def wait_until_up(gateway: Gateway) -> None:
    """Until /readyz answers 200; raises with the log when the process ends first."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if gateway.process.poll() is not None:
            raise AssertionError(f"the gateway ended with {gateway.process.returncode}:\n{gateway.log}")
        try:
            with urllib.request.urlopen(f"{gateway.url}/readyz", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            time.sleep(0.05)
    gateway.stop()
    raise AssertionError(f"the gateway did not come up:\n{gateway.log}")


def flask_command(folder: Path, *arguments: str, **environment: str | None) -> subprocess.CompletedProcess[str]:
    """Run `flask --app wsgi …` on the database in `folder`."""
    variables = {"DB_PATH": str(folder / "data.db"), **environment}
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", *arguments],
        cwd=ROOT,
        env=clean_environment(**variables),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@contextlib.contextmanager
def running_gateway(folder: Path, **options: Any) -> Iterator[Gateway]:
    gateway = start_gateway(folder, **options)
    try:
        yield gateway
    finally:
        gateway.stop()
