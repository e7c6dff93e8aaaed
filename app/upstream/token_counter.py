"""Asks another service how many tokens a request is, when the operator names one.

In: the client's JSON and the settings in force. Out: a number, or None when none came, whatever the reason; the caller counts
then. A failure is told once, until an answer comes again, and for PAUSE_SECONDS nobody asks, so that a dead service costs one
wait and not one for each request. Redirects are not followed: the key goes to the host that was named and to no other.
Source: protocol 5.7.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import orjson

from app.kiro.endpoints import HttpCall
from app.settings import Settings
from app.upstream.account import Sender
from app.upstream.http import TransportFailed

log = logging.getLogger(__name__)

ANSWER_SECONDS = 10.0
PAUSE_SECONDS = 30.0
MOST_TOKENS = 1 << 40


class _NoCount(Exception):
    """The text says why, and nothing of what was sent or received."""


class TokenCounter:
    """One object per process. http: one that sends to the host it is told, also when Kiro's calls go elsewhere."""

    def __init__(self, http: Sender, settings: Callable[[], Settings], clock: Callable[[], float] = time.monotonic) -> None:
        self._http = http
        self._settings = settings
        self._clock = clock
        self._silent_until: float | None = None  # None: the last answer was one

    def ask(self, raw: Any, *, version: str) -> int | None:
        """The service's count. raw: the client's body as it was parsed; version: its `anthropic-version`."""
        settings = self._settings()
        url = settings.count_tokens_api_url
        if url is None or (self._silent_until is not None and self._clock() < self._silent_until):
            return None
        headers = {"Content-Type": "application/json", "anthropic-version": version, "Connection": "close"}
        try:
            count = self._ask(url, headers | _authorization(settings), raw)
        except _NoCount as error:
            if self._silent_until is None:
                log.warning("the service that counts tokens failed, they are counted here meanwhile: %s", error)
            self._silent_until = self._clock() + PAUSE_SECONDS
            return None
        if self._silent_until is not None:
            log.info("the service that counts tokens answers again")
            self._silent_until = None
        return count

    def _ask(self, url: str, headers: dict[str, str], raw: Any) -> int:
        try:
            call = HttpCall("POST", url, headers, orjson.dumps(raw))
            answer = self._http.send(call, proxy_url=None, timeout_seconds=ANSWER_SECONDS)
            if answer.status != 200:
                raise _NoCount(f"it answered {answer.status}")
            content = orjson.loads(answer.body)
        except TransportFailed as error:
            raise _NoCount("no answer came") from error
        except (TypeError, ValueError) as error:  # deeper than can be written, or no JSON
            raise _NoCount("it cannot be asked, or its answer is no JSON") from error
        count = content.get("input_tokens") if isinstance(content, dict) else None
        if type(count) is not int or not 0 <= count <= MOST_TOKENS:
            raise _NoCount("its answer has no input_tokens")
        return max(1, count)


def _authorization(settings: Settings) -> dict[str, str]:
    key = settings.count_tokens_api_key
    if key is None:
        return {}
    return {"Authorization": f"Bearer {key}"} if settings.count_tokens_auth_type == "bearer" else {"x-api-key": key}
