"""Calls that are watched, and the call that tries nothing but the way to Kiro.

In: calls for `Http`. Out: the same answers, and a `Seen` for each. What a library says about a proxy is matched here and said
in our own words, because its text holds the URL with the password.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from app.doctor.hints import WAY
from app.doctor.step import FAILED, OK, Seen, Step
from app.kiro.endpoints import HttpCall
from app.upstream import http as transport
from app.upstream.http import Http, HttpAnswer, StreamingAnswer, TransportFailed

DIRECT = "direct"
PROBE = HttpCall("GET", "https://q.us-east-1.amazonaws.com/ListAvailableModels?origin=AI_EDITOR", {"Accept": "*/*"}, None)
"""Anybody may ask this; without a token it is refused, and a refusal proves that the way is open."""
PROBE_SECONDS = 20.0
WANTS_USER = "the proxy wants a user name and password, or others than these"
_REGION = re.compile(r"(?<=\.)[a-z]{2}(?:-[a-z]+)+-\d+(?=\.)")
# What the libraries say of a proxy that failed, and what it means.
_TROUBLES: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"\b407\b|authentication failed|authentication methods were rejected", re.I), WANTS_USER),
    (re.compile(r"not allowed by ruleset|Tunnel connection failed: 403", re.I), "the proxy does not let Kiro's host through"),
    (re.compile(r"Failed to resolve|Name or service not known|NameResolution", re.I), "a name does not resolve"),
    (re.compile(r"refused", re.I), "nobody listens at its address"),
    (re.compile(r"certificate|SSL", re.I), "the TLS connection failed: is its certificate in REQUESTS_CA_BUNDLE?"),
    (re.compile(r"timed? ?out|TimeLimit|in time", re.I), "no answer came in time"),
)


class WatchedHttp(Http):
    """Passes calls on and notes in `seen` what became of them.

    proxy_of: the proxy in force for a URL and a credential's own.
    """

    def __init__(self, http: Http, proxy_of: Callable[[str, str | None], str | None]) -> None:
        self._http = http
        self._proxy_of = proxy_of
        self.seen: list[Seen] = []

    def send(self, call: transport.HttpCall, *, proxy_url: str | None = None, timeout_seconds: float = 60.0) -> HttpAnswer:
        with self._noted(call.url, proxy_url) as statuses:
            answer = self._http.send(call, proxy_url=proxy_url, timeout_seconds=timeout_seconds)
            statuses.append(answer.status)
        return answer

    def open(self, call: transport.HttpCall, *, proxy_url: str | None = None) -> StreamingAnswer:
        with self._noted(call.url, proxy_url) as statuses:
            answer = self._http.open(call, proxy_url=proxy_url)
            statuses.append(answer.status)
        return answer

    def note(self, url: str, proxy_url: str | None, status: int | None, ms: int) -> None:
        """A call that somebody else sent."""
        host = urlsplit(url).hostname or ""
        region = _REGION.search(host)
        proxy = shown_proxy(self._proxy_of(url, proxy_url))
        self.seen.append(Seen(host, region[0] if region else "", proxy, status, ms))

    @contextmanager
    def _noted(self, url: str, proxy_url: str | None) -> Iterator[list[int]]:
        statuses: list[int] = []
        began_at = time.monotonic()
        try:
            yield statuses
        finally:
            self.note(url, proxy_url, statuses[0] if statuses else None, milliseconds(began_at))


def try_way(http: WatchedHttp, proxy_url: str | None) -> Step:
    """Whether Kiro is reached, and what stands between. proxy_url: as a credential has it, None for the general one."""
    http.seen.clear()
    began_at = time.monotonic()
    try:
        answer = http.send(PROBE, proxy_url=proxy_url, timeout_seconds=PROBE_SECONDS)
    except TransportFailed as error:
        outcome, said = FAILED, f"{error.message}: {trouble(error)}"
    else:
        refused = answer.status == 407  # over plain HTTP the proxy answers in Kiro's place
        outcome = FAILED if refused else OK
        said = WANTS_USER if refused else f"Kiro is reached: it answers {answer.status}, as it does without a token"
    return Step("way", outcome, said, tuple(http.seen), milliseconds(began_at), None if outcome == OK else WAY)


def trouble(error: BaseException) -> str:
    """What was behind a transport error, in words without a URL."""
    texts = []
    cause: BaseException | None = error.__cause__
    while cause is not None:
        texts.append(f"{type(cause).__name__} {cause}")
        cause = cause.__cause__
    whole = " ".join(texts)
    return next((said for pattern, said in _TROUBLES if pattern.search(whole)), "no more is known")


def shown_proxy(proxy_url: str | None) -> str:
    """A proxy for people: without user and password."""
    if not proxy_url or proxy_url == DIRECT:
        return "none"
    parts = urlsplit(proxy_url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def milliseconds(began_at: float) -> int:
    """Since a monotonic instant."""
    return round((time.monotonic() - began_at) * 1000)
