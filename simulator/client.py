"""A running stand-in, as tests and the demo hold it. Standard library only.

with Simulator.start() as simulator:
    account = simulator.add_account(kind="social")
    simulator.script([{"text": "Hello", "delay_between": 0.1}])
    ...
    assert simulator.calls("/generateAssistantResponse")[-1]["ended"] == "complete"
"""

from __future__ import annotations

import http.client
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import quote, urlsplit

ROOT = Path(__file__).resolve().parent.parent
STOP_SECONDS = 3.0
# A proxy from the environment is none of our business: the stand-in is on this machine.
_OPENER = urllib.request.build_opener(urllib.request.ProxyHandler({}))


class SimulatorError(Exception):
    """The stand-in did not start, or refused what it was told."""


class Simulator:
    """Talks to a stand-in; the one that `start` made is also stopped by it."""

    def __init__(self, url: str, process: subprocess.Popen[str] | None = None) -> None:
        self.url = url
        self.process = process

    @classmethod
    def start(cls, *, port: int = 0, host: str = "127.0.0.1", **options: Any) -> Simulator:
        """Start a process of its own and wait for its line. options: as in `simulator.options.Options`."""
        command = [sys.executable, "-m", "simulator", "--host", host, "--port", str(port), "--exit-with-stdin"]
        process = subprocess.Popen(
            [*command, "--options", json.dumps(options)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        line = process.stdout.readline() if process.stdout else ""
        if " listening on " not in line:
            process.kill()
            process.wait()
            raise SimulatorError(f"the simulator did not start (its status: {process.returncode})")
        return cls(line.split(" listening on ")[1].strip(), process)

    def stop(self) -> None:
        """Stop the process that `start` made."""
        if self.process is None:
            return
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None) -> None:
        self.stop()

    def add_account(self, **values: Any) -> dict[str, Any]:
        """Create or replace an account (fields: `simulator.accounts.Accounts.add`); its description with its tokens."""
        answer: dict[str, Any] = self._control("POST", "accounts", values)
        return answer

    def accounts(self) -> list[dict[str, Any]]:
        """All accounts as they are now."""
        answer: list[dict[str, Any]] = self._control("GET", "accounts")
        return answer

    def account(self, account_id: str) -> dict[str, Any]:
        """One account as it is now."""
        return next(account for account in self.accounts() if account["id"] == account_id)

    def script(self, steps: Sequence[Mapping[str, Any]]) -> None:
        """Queue steps (fields: `simulator.script.Step`)."""
        self._control("POST", "script", list(steps))

    def options(self, **values: Any) -> dict[str, Any]:
        """Change options; all of them as they are then."""
        answer: dict[str, Any] = self._control("POST", "options", values)
        return answer

    def approve(self, user_code: str | None = None, *, account: str | None = None) -> None:
        """The person with the device code says yes, as `account` or as whom the option `signs_in_as` says."""
        self._control("POST", "sign_ins", {"user_code": user_code, "decision": "approve", "account": account})

    def deny(self, user_code: str | None = None) -> None:
        """The person with the device code says no."""
        self._control("POST", "sign_ins", {"user_code": user_code, "decision": "deny"})

    def expire(self, user_code: str | None = None) -> None:
        """The device code is not used in time."""
        self._control("POST", "sign_ins", {"user_code": user_code, "decision": "expire"})

    def browse(self, authorise_url: str) -> str:
        """Open a login page as a browser whose person signs in; the address where it lands."""
        page = urlsplit(authorise_url)
        connection = http.client.HTTPConnection(urlsplit(self.url).netloc, timeout=30)
        try:
            connection.request("GET", f"{page.path}?{page.query}", headers={"Host": page.netloc})
            answer = connection.getresponse()
            landing = answer.getheader("Location")
            if landing is None:
                raise SimulatorError(f"the login page answered {answer.status}: {answer.read().decode(errors='replace')}")
            return landing
        finally:
            connection.close()

    def reset(self) -> None:
        """Script, calls and options as at the start; accounts stay."""
        self._control("POST", "reset", {})

    def calls(self, path: str | None = None) -> list[dict[str, Any]]:
        """What was received, oldest first (fields: `simulator.recording.Call`)."""
        answer: list[dict[str, Any]] = self._control("GET", "calls" + (f"?path={quote(path)}" if path else ""))
        return answer

    def clear_calls(self) -> None:
        """Forget what was received."""
        self._control("DELETE", "calls")

    def wait_for_call(
        self, fits: Callable[[dict[str, Any]], bool], *, path: str | None = None, seconds: float = 5.0
    ) -> dict[str, Any]:
        """The newest call that fits, as soon as there is one; raises AssertionError with all calls when none comes."""
        deadline = time.monotonic() + seconds
        while True:
            found = [call for call in self.calls(path) if fits(call)]
            if found:
                return found[-1]
            if time.monotonic() > deadline:
                seen = [(call["path"], call["status"], call["ended"], call["refused_by"]) for call in self.calls()]
                raise AssertionError(f"no such call within {seconds} s; seen: {seen}")
            time.sleep(0.02)

    def stats(self) -> dict[str, Any]:
        """Counts by path and status, and the open streams."""
        answer: dict[str, Any] = self._control("GET", "stats")
        return answer

    def _control(self, method: str, name: str, content: Any = None) -> Any:
        body = None if content is None else json.dumps(content).encode()
        request = urllib.request.Request(f"{self.url}/_simulator/{name}", data=body, method=method)
        try:
            with _OPENER.open(request, timeout=30) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise SimulatorError(error.read().decode(errors="replace")) from error
