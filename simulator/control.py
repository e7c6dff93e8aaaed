"""The control plane under `/_simulator/`: how a test says what it wants and sees what came.

GET    health      {"ok": true}
GET    accounts    all accounts with their tokens
POST   accounts    create or replace one (fields: `Accounts.add`); its tokens
POST   script      queue a list of steps (fields: `simulator.script.Step`)
DELETE script      forget the queue
GET    options     the options (`simulator.options.Options`)
POST   options     change some
POST   sign_ins    decide a device code: {"user_code", "decision": "approve" | "deny" | "expire", "account"}; without user_code
                   the newest one, without account the option `signs_in_as` decides who signs in
GET    calls       what was received (`simulator.recording.Call`), `?path=` only that path
DELETE calls       forget it
GET    stats       counts by path and status, open streams
POST   reset       script, calls and options as at the start; accounts stay
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from simulator.connection import Request
from simulator.state import State
from simulator.validation import check_names

PREFIX = "/_simulator/"


class Control:
    """Answers requests under PREFIX."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._actions: dict[tuple[str, str], Callable[[Request], Any]] = {
            ("GET", "health"): lambda _: {"ok": True},
            ("GET", "accounts"): lambda _: [account.describe() for account in state.accounts],
            ("POST", "accounts"): self._add_account,
            ("POST", "script"): lambda request: {"waiting": state.script.add(_list(request))},
            ("DELETE", "script"): lambda _: state.script.clear(),
            ("GET", "options"): lambda _: asdict(state.options),
            ("POST", "options"): self._change_options,
            ("POST", "sign_ins"): self._decide,
            ("GET", "calls"): lambda request: state.recording.calls(request.query.get("path")),
            ("DELETE", "calls"): lambda _: state.recording.clear(),
            ("GET", "stats"): lambda _: {**state.recording.stats(), "waiting_steps": len(state.script)},
            ("POST", "reset"): self._reset,
        }

    def answer(self, request: Request) -> tuple[int, bytes]:
        """Status and JSON body; 400 names what was wrong."""
        action = self._actions.get((request.method, request.path.removeprefix(PREFIX)))
        if action is None:
            return 404, b'{"error": "no such control"}'
        try:
            return 200, json.dumps(action(request)).encode()
        except (ValueError, TypeError) as error:
            return 400, json.dumps({"error": str(error)}).encode()

    def _add_account(self, request: Request) -> dict[str, Any]:
        values = json.loads(request.body or b"{}")
        seconds = self._state.options.access_token_seconds
        return self._state.accounts.add(values, now=self._state.clock(), token_seconds=seconds).describe()

    def _change_options(self, request: Request) -> dict[str, Any]:
        options = self._state.options.changed(json.loads(request.body))
        check_names(options)
        self._state.options = options
        return asdict(options)

    def _decide(self, request: Request) -> dict[str, Any]:
        values = {"user_code": None, "decision": "approve", "account": None, **json.loads(request.body or b"{}")}
        if set(values) != {"user_code", "decision", "account"}:
            raise ValueError("a decision has user_code, decision and account")
        device = self._state.sign_ins.device(values["user_code"])
        device.decide(values["decision"], values["account"] or self._state.options.signs_in_as)
        return {"user_code": device.user_code}

    def _reset(self, _request: Request) -> None:
        self._state.script.clear()
        self._state.recording.clear()
        self._state.options = self._state.first_options


def _list(request: Request) -> list[Any]:
    steps = json.loads(request.body)
    if not isinstance(steps, list):
        raise ValueError("a list of steps is expected")
    return steps
