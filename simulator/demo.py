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


def main() -> int:
    """Run until told to stop; the exit status of the gateway."""
    host, port = os.environ.get("HOST", "127.0.0.1"), os.environ.get("PORT", "8080")
    FOLDER.mkdir(mode=0o700, exist_ok=True)
    key = _key()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, _stop)
    with Simulator.start() as upstream:
        account = upstream.add_account(kind="social")
        credentials = FOLDER / "credentials.json"
        credentials.write_text(json.dumps({"refreshToken": account["refresh_token"], "authMethod": "social"}))
        credentials.chmod(0o600)
        database = FOLDER / "data.db"
        for left_over in FOLDER.glob("data.db*"):  # its credential belongs to a stand-in that is gone
            left_over.unlink()
        environment = {
            **os.environ,
            "HOST": host,
            "PORT": port,
            "API_KEY": key,
            "DB_PATH": str(database.resolve()),
            "KIRO_UPSTREAM_URL": upstream.url,
            "KIRO_CREDENTIALS_FILE": str(credentials.resolve()),
            "DATABASE_URL": "",
            "DRAIN_SECONDS": "1",
        }
        gateway = subprocess.Popen([sys.executable, "-m", "gunicorn", "wsgi:app", "--log-level", "warning"], env=environment)
        try:
            address = f"http://{host}:{port}"
            if _wait(f"{address}/healthz", gateway):
                print(_welcome(address, key), flush=True)
            return gateway.wait()
        except KeyboardInterrupt:
            print("\nStopping the demo.", flush=True)
            return 0
        finally:
            if gateway.poll() is None:
                gateway.terminate()
                try:
                    gateway.wait(6)
                except subprocess.TimeoutExpired:
                    gateway.kill()
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
