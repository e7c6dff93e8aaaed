"""Answers, still unsent: the three shapes they have, and how errors and scripted answers are put into them.

Source: protocol 1.6, 1.7 and 4.1.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from simulator.performance import Action
from simulator.refusals import Refusal
from simulator.script import Step


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer of known length."""

    status: int
    headers: dict[str, str]
    body: bytes
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Streamed:
    """An event stream."""

    headers: dict[str, str]
    actions: list[Action]
    delay_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Dropped:
    """No answer: the connection ends. how: rst or close."""

    how: str
    delay_seconds: float = 0.0


Answer = Whole | Streamed | Dropped


def refuse(refusal: Refusal, *, typed: bool = False) -> Whole:
    """Kiro's error answer (protocol 4.1). typed: with the type in the body too, as the calls by target have it (1.8)."""
    kind = {"__type": refusal.error_type} if typed else {}
    content = {**kind, "message": refusal.message, "reason": refusal.reason}
    return whole_json(refusal.status, content, headers={"x-amzn-errortype": refusal.error_type})


def oauth_error(status: int, code: str, description: str) -> Whole:
    """The error answer of both token services; the social one is known by `message` too."""
    return whole_json(status, {"error": code, "error_description": description, "message": description})


def whole_json(status: int, content: Any, *, headers: dict[str, str] | None = None, delay_seconds: float = 0.0) -> Whole:
    """A JSON answer with a request id."""
    all_headers = {"Content-Type": "application/json", **request_id(), **(headers or {})}
    return Whole(status, all_headers, json.dumps(content).encode(), delay_seconds)


def request_id() -> dict[str, str]:
    """A fresh id, as every answer carries it."""
    return {"x-amzn-requestid": str(uuid.uuid4())}


def scripted_answer(step: Step) -> Answer | None:
    """The answer a step gives without the service's help; None when the service goes on."""
    if step.reset_before_headers:
        return Dropped("close" if step.reset_before_headers == "close" else "rst", step.delay_before)
    if step.json_200 is not None:
        return whole_json(200, step.json_200, delay_seconds=step.delay_before)
    if step.status is None:
        return None
    if isinstance(step.body, str):
        headers = {"Content-Type": "text/html", **request_id(), **(step.headers or {})}
        return Whole(step.status, headers, step.body.encode(), step.delay_before)
    content = step.body if step.body is not None else {"message": "Scripted answer", "reason": None}
    return whole_json(step.status, content, headers=step.headers, delay_seconds=step.delay_before)
