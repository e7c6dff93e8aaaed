"""`make demo`: the gateway in front of the stand-in, with a credential, on this machine only.

Starts two processes of its own, prints one `curl` line that works when pasted and Claude Code's variables, and stops both
on Ctrl-C or SIGTERM. Its database and credentials file live in `.demo/`.
"""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import FrameType

from simulator.client import Simulator

FOLDER = Path(".demo")
START_SECONDS = 60.0
STOP_SECONDS = 4.0
STOPS = (signal.SIGTERM, signal.SIGINT)


def main() -> int:
    """Run until told to stop; the exit status of the gateway."""
    for name in STOPS:
        signal.signal(name, _stop)
    try:
        FOLDER.mkdir(mode=0o700, exist_ok=True)
        with Simulator.start() as upstream:
            return _run_gateway(upstream)
    except KeyboardInterrupt:
        return 0


def _run_gateway(upstream: Simulator) -> int:
    host, port = os.environ.get("HOST") or "127.0.0.1", os.environ.get("PORT") or "8080"
    key = _key()
    gateway = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "wsgi:app", "--log-level", "warning"],
        env={**os.environ, **_environment(upstream), "HOST": host, "PORT": port, "API_KEY": key},
    )
    try:
        address = f"http://{host}:{port}"
        if _wait(f"{address}/healthz", gateway):
            print(_welcome(address, key), flush=True)
        return gateway.wait()
    finally:
        for name in STOPS:  # impatience must not leave a process behind
            signal.signal(name, signal.SIG_IGN)
        if gateway.poll() is None:
            print("\nStopping the demo.", flush=True)
            _end(gateway)


def _environment(upstream: Simulator) -> dict[str, str]:
    """A database and a login of the demo's own, whatever `.env` says."""
    account = upstream.add_account(kind="social")
    credentials = FOLDER / "credentials.json"
    credentials.write_text(json.dumps({"refreshToken": account["refresh_token"], "authMethod": "social"}))
    credentials.chmod(0o600)
    for left_over in FOLDER.glob("data.db*"):  # its credential belongs to a stand-in that is gone
        left_over.unlink()
    return {
        "DB_PATH": str((FOLDER / "data.db").resolve()),
        "DATABASE_URL": "",
        "KIRO_UPSTREAM_URL": upstream.url,
        "KIRO_CREDENTIALS_FILE": str(credentials.resolve()),
        "DRAIN_SECONDS": "1",
    }


def _end(gateway: subprocess.Popen[bytes]) -> None:
    """As a stop of the real thing: streams end with an event, tokens in flight are saved; no longer than a person waits."""
    gateway.terminate()
    try:
        gateway.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        gateway.kill()  # its workers notice within a second that their master is gone
        gateway.wait()


def _key() -> str:
    """The demo's key, made once so that a pasted line still works after a restart."""
    path = FOLDER / "api-key"
    if not path.exists():
        path.write_text("sk-demo-" + secrets.token_urlsafe(12))
        path.chmod(0o600)
    return path.read_text().strip()


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _wait(url: str, gateway: subprocess.Popen[bytes]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and gateway.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=2):
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    print("The gateway did not start; its messages are above.", file=sys.stderr)
    return False


def _welcome(address: str, key: str) -> str:
    body = '{"model":"claude-sonnet-4.5","max_tokens":1024,"stream":true,"messages":[{"role":"user","content":"Hello, Kiro!"}]}'
    return f"""
kiro-py demo: the gateway at {address} answers from a stand-in for Kiro. Nothing leaves this machine.

Try it (paste the line into another terminal):

  curl -sN {address}/v1/messages -H 'content-type: application/json' -H 'x-api-key: {key}' -d '{body}'

Claude Code:

  export ANTHROPIC_BASE_URL={address} ANTHROPIC_AUTH_TOKEN={key}
  claude

How it stands: {address}/admin    Stop it with Ctrl-C.
"""


if __name__ == "__main__":
    sys.exit(main())
